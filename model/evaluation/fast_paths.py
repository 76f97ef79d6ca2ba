"""Lists every way to compute that works on a device; a self-check runs them one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from longtake.model.cache.fp8 import cache_names
from longtake.model.errors import BackendError
from longtake.model.execution.compiled import missing_compiler
from longtake.model.execution.cuda_graphs import missing_graphs
from longtake.model.ops import attention
from longtake.model.ops import linear as quantise

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class FastPath:
    """One of them, by the names that `longtake.model.generation.generator.Generator` takes."""

    precision: str
    attention: str = "auto"
    linear: str = "auto"
    cache: str = "plain"
    compile: bool = False
    graphs: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """The precision's."""
        return PRECISIONS[self.precision]

    @property
    def name(self) -> str:
        """A name for people."""
        maps = "" if self.linear == "auto" else f", {self.linear} maps"
        kept = "" if self.cache == "plain" else f", {self.cache} keys and values"
        how = f"{', compiled' if self.compile else ''}{', CUDA graphs' if self.graphs else ''}"
        return f"{self.precision}, {self.attention} attention{maps}{kept}{how}"


def fast_paths(
    device: torch.device,
    rows: int,
    *,
    compile: bool = False,  # noqa: A002 - the name that torch gives it
) -> Iterator[FastPath]:
    """Yield everything that works on a device for blocks of so many tokens; compiled layers only on request.

    Raises BackendError if they are requested and there is no compiler.
    """
    for precision, dtype in PRECISIONS.items():
        for name in attention.attention_names():
            if attention.missing(name, device, dtype) is None:
                yield FastPath(precision=precision, attention=name)
    for linear in quantise.EIGHT_BITS:
        if quantise.missing(linear, device, torch.bfloat16, rows) is None:
            yield FastPath(precision="bf16", linear=linear)
    for cache in cache_names():
        if cache != "plain":
            yield FastPath(precision="bf16", cache=cache)
    if missing_graphs(device) is None:
        yield FastPath(precision="bf16", graphs=True)
    if compile:
        if problem := missing_compiler(device):
            raise BackendError(problem)
        yield FastPath(precision="bf16", compile=True)
