"""Says where a block's time goes on a CPU: torch's own profile, summed by kind of work.

| kind | what |
|---|---|
| attention | the products and the softmax of self-attention |
| text | the same for cross-attention; its linear layers count as linear |
| linear | the linear layers, with their GELU and bias |
| norms | norms, modulation, RoPE, residuals |
| copies | copies, type conversions, layout changes |
| decoder | latents to pictures |
| rest | everything else: views, allocation, the sampler, Python between the operators |
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from longtake.model.execution.cpu import CpuExecutor
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import World
from longtake.model.ops.attention import Attention

KINDS = ("attention", "text", "linear", "norms", "copies", "decoder", "rest")
_MARK = "longtake: "
_LINEAR = ("linear_pointwise", "addmm", "aten::mm", "aten::linear", "gelu", "_int_mm", "_scaled_mm")
_COPIES = ("copy_", "contiguous", "_to_copy", "aten::to", "clone", "aten::cat", "aten::stack")
_NORMS = (
    *("layer_norm", "rms_norm", "vector_norm", "aten::pow", "aten::mean", "rsqrt"),
    *("aten::mul", "aten::addcmul", "aten::add", "aten::sub", "aten::div", "aten::sum"),
)


def marked(kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, with its time counted as a kind."""

    def run(*arguments: Any) -> Any:
        with record_function(_MARK + kind):
            return work(*arguments)

    return run


@contextmanager
def marks(generator: Generator, world: World) -> Iterator[None]:
    """Mark attention and the decoder of a generator and a world inside the `with` block."""
    found: list[tuple[Any, str, str]] = [(world.cache, "attention", "attention")]
    found += [(layer, "attention", "text") for layer in generator.transformer.layers]
    for layer in generator.executor.layers if isinstance(generator.executor, CpuExecutor) else ():
        found += [(layer, "attention", "attention"), (layer, "cross_attention", "text")]
    if generator.decoder is not None:
        found.append((generator.decoder, "decode", "decoder"))
    before: list[Attention] = [getattr(owner, name) for owner, name, _ in found]
    for (owner, name, kind), work in zip(found, before, strict=True):
        setattr(owner, name, marked(kind, work))
    try:
        yield
    finally:
        for (owner, name, _), work in zip(found, before, strict=True):
            setattr(owner, name, work)


@contextmanager
def silent() -> Iterator[None]:
    """Silence standard error, where torch's profiler reports that it starts and stops."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def kind_of(event: Any) -> str:
    """Return the kind of a profile's event: that of the mark around it, else by its name."""
    around = event
    while around is not None:
        if around.name.startswith(_MARK):
            return str(around.name.removeprefix(_MARK))
        around = around.cpu_parent
    for kind, names in (("linear", _LINEAR), ("copies", _COPIES), ("norms", _NORMS)):
        if any(name in event.name for name in names):
            return kind
    return "rest"


def shares(generator: Generator, world: World, blocks: int = 1) -> dict[str, float]:
    """Make the world's next blocks, and return the share of each kind in their time, 0 to 1."""
    beside_us = 0.0
    generator.settle(world)
    with marks(generator, world), silent(), profile(activities=[ProfilerActivity.CPU]) as found, record_function("all"):
        for _ in range(blocks):
            block = generator.step(world)
            generator.settle(world)
            beside_us += 1000 * block.timings_ms["decode"] if block.overlaps else 0.0
    spent = dict.fromkeys(KINDS, 0.0)
    for event in found.events():
        spent[kind_of(event)] += event.self_cpu_time_total
    # This thread waits for the other one's work, so no profile of this one has it.
    spent["decoder"] += beside_us
    spent["rest"] = max(0.0, spent["rest"] - beside_us)
    total = sum(spent.values()) or 1.0
    return {kind: value / total for kind, value in spent.items()}
