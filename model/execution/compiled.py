"""The layers' arithmetic through torch's compiler: norms, modulation, GELU and conversions become a few kernels.

Self-attention and the cache between the two halves of a layer stay as they are: they are good kernels already, and what
they read changes from block to block. So nothing is compiled again when the window fills or the ring turns; all layers
share the same code.

Compiling takes from seconds to minutes, so `Generator.warm_up` does it before the first world is opened, for the
lengths that a live world meets at every block and every prompt change; other lengths run uncompiled.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.execution.eager import EagerExecutor
from longtake.model.network.layers import Attend, Layer, Modulation, PromptKV
from longtake.model.network.transformer import Transformer

Compiler = str | Callable[..., Callable[..., object]]
"""The backend of `torch.compile`, as it takes it."""


def missing_compiler(target: Target) -> str | None:
    """Return why torch cannot compile for a target here, or None if it can."""
    device = target.device
    compilers = (os.environ.get("CXX", "g++"), "clang++") if device.type == "cpu" else ("gcc", "clang", "cc")
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"compiling needs a {'C++' if device.type == 'cpu' else 'C'} compiler: install {compilers[0]}"
    if device.type == "cuda" and find_spec("triton") is None:
        return "compiling for a GPU needs triton: pip install triton"
    return None


class Halves(NamedTuple):
    """A layer's two halves around self-attention, compiled; called with the layer first.

    frames: the numbers of latent frames that they were compiled for.
    """

    frames: frozenset[int]
    before: Callable[..., tuple[Tensor, Tensor, Tensor]]
    after: Callable[..., Tensor]


class CompiledLayer:
    """Runs a layer's compiled halves if the number of latent frames is one of theirs, and otherwise the layer.

    Frames that are modulated each in its own way run uncompiled too: only a recache of a steered take has them.
    """

    def __init__(self, layer: Layer, halves: Halves) -> None:
        self._layer, self._halves = layer, halves

    def __call__(self, x: Tensor, condition: Tensor | Modulation, attend: Attend, prompt_kv: PromptKV) -> Tensor:
        """See `Layer.forward`."""
        layer, halves = self._layer, self._halves
        m = condition if isinstance(condition, Modulation) else layer.modulate(condition)
        if x.shape[1] not in halves.frames or m.shift.shape[1] != 1:
            out: Tensor = layer(x, m, attend, prompt_kv)
            return out
        return halves.after(layer, x, attend(*halves.before(layer, x, m)), m, prompt_kv)


def compiled_executor(
    transformer: Transformer,
    timesteps: Sequence[float],
    warm_up_frames: Sequence[int],
    compiler: Compiler = "inductor",
) -> EagerExecutor:
    """Return an executor whose layers run compiled; the first run of each length compiles it.

    Args:
        transformer: on its device, with its linears chosen.
        timesteps: of the sampler.
        warm_up_frames: the lengths to compile for.
        compiler: backend of torch's compiler.
    """
    halves = Halves(
        frames=frozenset(warm_up_frames),
        before=torch.compile(Layer.before_attention, dynamic=False, backend=compiler),
        after=torch.compile(Layer.after_attention, dynamic=False, backend=compiler),
    )
    layers = [CompiledLayer(layer, halves) for layer in transformer.layers]
    return EagerExecutor(transformer, timesteps, layers=layers, warm_up_frames=warm_up_frames)
