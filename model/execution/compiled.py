"""The layers' arithmetic through torch's compiler: norms, modulation, GELU and conversions become a few kernels.

Self-attention and the cache between the two halves of a layer stay as they are: they are good kernels already, and what
they read changes from block to block. So nothing is compiled again when the window fills or the ring turns; all layers
share the same code. There is no CUDA graph: a layer of a large model takes longer than its launches.

Compiling takes from seconds to minutes, so `Generator.warm_up` does it before the first world is opened, for the
lengths that a live world meets at every block and every prompt change; other lengths run uncompiled.
"""

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec

import torch

from longtake.model.config import GeneratorConfig
from longtake.model.errors import BackendError
from longtake.model.generation.recache import plan_recache
from longtake.model.network.layers import Layer, LayerParts
from longtake.model.network.transformer import Transformer

Backend = str | Callable[..., Callable[..., object]]
"""As `torch.compile` takes it."""


def missing_compiler(device: torch.device) -> str | None:
    """Return why torch cannot compile for a device here, or None where it can."""
    compilers = (os.environ.get("CXX", "g++"), "clang++") if device.type == "cpu" else ("gcc", "clang", "cc")
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"compiling needs a {'C++' if device.type == 'cpu' else 'C'} compiler: install {compilers[0]}"
    if device.type == "cuda" and find_spec("triton") is None:
        return "compiling for a GPU needs triton: pip install triton"
    return None


def compiled_lengths(config: GeneratorConfig) -> list[int]:
    """Return the numbers of latent frames worth compiling for: a block, and the recache of a full window."""
    end = config.window_frames + config.block_frames
    plan = plan_recache(config, 0, end)
    frames = sum(plan.group_frames) if plan else 0
    return sorted({config.block_frames, frames} - {0})


def compile_layers(transformer: Transformer, config: GeneratorConfig, backend: Backend = "inductor") -> None:
    """Let the layers run compiled from now on, where the length fits; the first run of each length compiles it.

    Args:
        transformer: on its device, with its maps chosen.
        config: whose lengths.
        backend: of torch's compiler.

    Raises:
        BackendError: there is no compiler; the message says what to install.
    """
    if problem := missing_compiler(next(transformer.parameters()).device):
        raise BackendError(problem)
    parts = LayerParts(
        frames=frozenset(compiled_lengths(config)),
        before=torch.compile(Layer.before_attention, dynamic=False, backend=backend),
        after=torch.compile(Layer.after_attention, dynamic=False, backend=backend),
    )
    for layer in transformer.layers:
        layer.use_compiled(parts)
