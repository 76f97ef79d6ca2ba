"""What devices can do: figures from data sheets, and a short measurement of this processor."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

MEASURE_S = 0.3
MATRIX = 1536
"""side of the measured product: large enough for the peak, small enough for a laptop"""
COPY_VALUES = 2**25
"""fp32 values in the measured copy: more than the caches hold"""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device's peaks. A multiplication and an addition are two operations."""

    name: str
    flops: float
    """dense matrix products a second in `precision`"""
    fp8_flops: float = 0.0
    """the same in FP8; 0 if the device has none"""
    bytes_per_second: float
    memory_bytes: float
    """0 if unknown"""
    precision: str = "bf16"
    source: str
    """source of the figures"""


DEVICES = {
    "h100": Device(
        name="H100 SXM",
        flops=989.4e12,
        fp8_flops=1978.9e12,
        bytes_per_second=3.35e12,
        memory_bytes=80e9,
        source="NVIDIA's data sheet, dense; a product of side 8192 was measured at 798e12, a copy at 3.0e12",
    ),
    "h200": Device(
        name="H200 SXM",
        flops=989.4e12,
        fp8_flops=1978.9e12,
        bytes_per_second=4.8e12,
        memory_bytes=141e9,
        source="NVIDIA's data sheet, dense",
    ),
    "4090": Device(
        name="RTX 4090",
        flops=165.2e12,
        fp8_flops=330.3e12,
        bytes_per_second=1.008e12,
        memory_bytes=24e9,
        source="NVIDIA's Ada white paper, dense, sums kept in fp32",
    ),
}


def this_cpu(precision: str, threads: int) -> Device:
    """Return this processor, measured for less than a second.

    Args:
        precision: bf16 or fp32.
        threads: torch's threads, for the name; the caller sets them.
    """
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    a, b = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
    out = torch.empty(MATRIX, MATRIX, dtype=dtype)
    product_s = best_of(lambda: torch.mm(a, b, out=out))
    source, target = torch.zeros(COPY_VALUES), torch.empty(COPY_VALUES)
    copy_s = best_of(lambda: target.copy_(source))
    return Device(
        name=f"this CPU, {threads} threads",
        flops=2 * MATRIX**3 / product_s,
        bytes_per_second=2 * source.nbytes / copy_s,
        memory_bytes=0,
        precision=precision,
        source=f"measured just now: a product of side {MATRIX}, and a copy of {source.nbytes // 2**20} MiB",
    )


def best_of(
    work: Callable[[], object], *, seconds: float = MEASURE_S, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the shortest of the runs that fit into a time, in seconds; the first run only warms up."""
    work()
    best, end = float("inf"), clock() + seconds
    while True:
        begun = clock()
        work()
        done = clock()
        best = min(best, done - begun)
        if done >= end:
            return best
