"""Whether the kernels can run on a target; imports no Triton."""

import os
from importlib.util import find_spec

from longtake.model.choice import Target
from longtake.model.ops.precision import HALF_TYPES

FP8_CAPABILITY = (8, 9)
"""compute capability of the first GPUs with e4m3 (Ada and Hopper)"""


def interpreted() -> bool:
    """True if Triton was told to interpret kernels on the CPU, which is how they are tested without a GPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def missing_triton(target: Target) -> str | None:
    """Return why the kernels cannot be had on a target, or None."""
    kind = target.device.type
    if kind == "cpu" and not interpreted():
        return "execution 'triton' needs a CUDA device, not cpu (for tests, TRITON_INTERPRET=1 runs it on a CPU)"
    if kind not in ("cpu", "cuda"):
        return f"execution 'triton' needs a CUDA device, not {kind}"
    if find_spec("triton") is None:
        return "execution 'triton' needs triton: pip install triton"
    if kind == "cuda" and target.dtype not in HALF_TYPES:
        # Nothing is gained in fp32, which is for comparisons.
        return f"execution 'triton' computes in half precision on a GPU, not {target.dtype}; use execution=eager"
    return None
