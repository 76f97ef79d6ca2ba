"""Lists every way to compute that works on a device; a self-check runs them one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from longtake.model.cache.registry import CACHES
from longtake.model.choice import Target
from longtake.model.errors import BackendError
from longtake.model.execution.compiled import missing_compiler
from longtake.model.execution.cuda_graphs import missing_graphs
from longtake.model.ops.attention.registry import ATTENTIONS
from longtake.model.ops.linear.registry import EIGHT_BITS, LINEARS
from longtake.model.ops.triton.available import missing_triton
from longtake.model.options import BackendOptions

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class FastPath:
    """One way: a precision, and what to ask of `Backend.chosen`."""

    precision: str
    options: BackendOptions

    @property
    def dtype(self) -> torch.dtype:
        """The precision's."""
        return PRECISIONS[self.precision]

    @property
    def name(self) -> str:
        """A name for people."""
        options = self.options
        linears = "" if options.linear == "auto" else f", {options.linear} linears"
        kept = "" if options.cache == "plain" else f", {options.cache} keys and values"
        run = "" if options.execution == "auto" else f", {options.execution}"
        graphs = "" if options.graphs is None else f", {'' if options.graphs else 'no '}CUDA graphs"
        return f"{self.precision}, {options.attention} attention{linears}{kept}{run}{graphs}"


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
        for name in ATTENTIONS.names():
            if ATTENTIONS.missing(name, Target(device=device, dtype=dtype)) is None:
                yield FastPath(precision=precision, options=BackendOptions(attention=name))
    for precision, dtype in PRECISIONS.items():
        if missing_triton(Target(device=device, dtype=dtype)) is None:
            # On a CPU, for the tests: plain linears, which is what it has on a GPU.
            yield FastPath(precision=precision, options=BackendOptions(execution="triton", linear="plain"))
    target = Target(device=device, dtype=torch.bfloat16, block_tokens=rows)
    for linear in EIGHT_BITS:
        if LINEARS.missing(linear, target) is None:
            yield FastPath(precision="bf16", options=BackendOptions(linear=linear))
    for cache in CACHES.names():
        if cache != "plain":
            yield FastPath(precision="bf16", options=BackendOptions(cache=cache))
    if missing_graphs(target) is None:
        yield FastPath(precision="bf16", options=BackendOptions(graphs=False))
    if compile:
        if problem := missing_compiler(target):
            raise BackendError(problem)
        yield FastPath(precision="bf16", options=BackendOptions(execution="compiled"))
