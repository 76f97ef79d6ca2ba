"""What was measured on GPUs, to hold the predictions of `longtake.model.evaluation.plan_predict` against.

All of it is longlive-1.3b with random weights at full size, 480 x 832, 12 frames a block, the window full.
"""

from dataclasses import dataclass

from longtake.model.evaluation.plan_predict import Setup

CODE = "this project's code as it was then"
STUDY = "a study of the kernels that execution 'triton' has now, without the server's generator around it"
DATE = "2026-11"

_EAGER = Setup(execution="eager", graphs=False)
_EAGER_GRAPHS = Setup(execution="eager")
_COMPILED = Setup(execution="compiled", graphs=False)


@dataclass(frozen=True, kw_only=True)
class MeasuredBlock:
    """A block that was measured, or a recache."""

    device: str
    """name among the plan's devices"""
    what: str
    """what ran"""
    setup: Setup
    ms: float
    """median"""
    recache_frames: int = 0
    """latent frames of a recache with its text; 0 for a block"""
    date: str = DATE


MEASURED = (
    MeasuredBlock(device="h100", what=CODE, setup=_EAGER, ms=309),
    MeasuredBlock(device="h100", what=CODE, setup=Setup(attention="sdpa", execution="eager", graphs=False), ms=333),
    MeasuredBlock(device="h100", what=CODE, setup=_EAGER_GRAPHS, ms=304),
    MeasuredBlock(device="h100", what=CODE, setup=_COMPILED, ms=290),
    MeasuredBlock(
        device="h100",
        what="the GPU's part of 345 ms, in which it waited for the host; " + CODE,
        setup=Setup(execution="compiled", linear="fp8"),
        ms=263,
    ),
    MeasuredBlock(device="h200", what=CODE, setup=_EAGER, ms=303),
    MeasuredBlock(device="h200", what=CODE, setup=Setup(attention="sdpa", execution="eager", graphs=False), ms=329),
    MeasuredBlock(device="h200", what=CODE, setup=_EAGER_GRAPHS, ms=295),
    MeasuredBlock(device="h200", what=CODE, setup=Setup(execution="eager", decoder="wan, channels first"), ms=551),
    MeasuredBlock(device="h200", what=STUDY, setup=Setup(decoder=None), ms=238),
    MeasuredBlock(device="h200", what=STUDY, setup=Setup(linear="fp8", decoder=None), ms=213),
    MeasuredBlock(device="h200", what=STUDY, setup=Setup(linear="fp8"), ms=236),
    MeasuredBlock(device="h100", what=CODE, setup=_EAGER, ms=177, recache_frames=9),
    MeasuredBlock(device="h200", what=CODE, setup=_EAGER, ms=165, recache_frames=9),
)
"""Not in the table: a recache of 9 in 115 ms with CUDA graphs on the H200, which these rates do not explain."""
