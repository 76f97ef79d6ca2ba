"""What devices can do: data sheets, rates that were measured, and a short measurement of this processor."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

MEASURE_S = 0.3
MATRIX = 1536
"""side of the measured product: large enough for the peak, small enough for a laptop"""
COPY_VALUES = 2**25
"""fp32 values in the measured copy: more than the caches hold"""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a device was measured to do inside the passes of a transformer, by kind of work. Nothing is a peak."""

    width: int
    """of the transformer that was measured; narrower ones reach less"""
    attention: Mapping[str, float]
    """operations a second of self- and cross-attention together, by name in the registry of attentions"""
    products: Mapping[str, float]
    """operations a second of the layers' linears, by name in the registry of linears"""
    between: Mapping[str, float]
    """bytes a second of what lies between the products, by name in the registry of executions: the bytes that this
    execution has to move, or for `eager` and `compiled` those of plain PyTorch"""
    quantise: float
    """bytes a second of quantising what feeds an 8-bit product"""
    decoders: Mapping[str, float]
    """operations a second of decoders"""
    host_ms: float
    """what a pass takes longer if the host launches its kernels one by one"""
    rest_ms: Mapping[str, float]
    """what else a pass takes, by execution"""
    source: str
    """where the figures come from, and when"""


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
    rates: Rates | None = None
    """what was measured on it; None if nothing was"""


H200_RATES = Rates(
    width=1536,
    # flash3: 26.7 ms a pass of 16.6 TFLOP. In one layer alone the others take 1.06 and 0.665 ms to its 0.91.
    attention={"flash3": 621e12, "cudnn": 537e12, "sdpa": 537e12, "flash3-fp8": 838e12},
    products={"plain": 696e12, "fp8": 1206e12},
    between={"eager": 1.84e12, "compiled": 2.3e12, "triton": 3.9e12},
    quantise=1.88e12,
    decoders={"tiny": 81e12, "wan": 167e12, "wan, channels first": 150e12},
    host_ms=1.6,
    rest_ms={"eager": 0.0, "compiled": 0.0, "triton": 1.8},
    source="measured on an H200 in November 2026, torch 2.11, random weights at full size; compiled: from the H100's",
)
H100_RATES = replace(
    H200_RATES,
    # From whole blocks of 304, 290 and 309 ms; a third less than on an H200 where memory is all that counts.
    between={"eager": 1.6e12, "compiled": 2.0e12, "triton": 2.7e12},
    quantise=1.31e12,
    host_ms=1.0,
    source=(
        "from whole blocks on an H100 in November 2026, torch 2.11, random weights at full size; attention, products "
        "and decoders as on an H200, the same chip; triton and quantise scaled from there by bandwidth"
    ),
)

DEVICES = {
    "h100": Device(
        name="H100 SXM",
        flops=989.4e12,
        fp8_flops=1978.9e12,
        bytes_per_second=3.35e12,
        memory_bytes=80e9,
        source="NVIDIA's data sheet, dense; a product of side 8192 was measured at 798e12, a copy at 3.0e12",
        rates=H100_RATES,
    ),
    "h200": Device(
        name="H200 SXM",
        flops=989.4e12,
        fp8_flops=1978.9e12,
        bytes_per_second=4.8e12,
        memory_bytes=141e9,
        source="NVIDIA's data sheet, dense",
        rates=H200_RATES,
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
