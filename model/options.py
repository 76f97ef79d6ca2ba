"""Options that every model built on our generator takes: how it computes, not what."""

from dataclasses import dataclass

from longtake.model.interface.options import Options
from longtake.model.interface.spec import Argument

BACKEND_ARGUMENTS = (
    Argument(
        flag="--linear",
        group="back end",
        option="linear",
        choices=("auto", "plain", "onednn", "upcast", "fp8", "te-fp8", "int8"),
        help="how linear layers are computed; `longtake doctor` says which of these work here",
    ),
)
"""arguments of the command line that set them"""


@dataclass(frozen=True, kw_only=True)
class BackendOptions(Options):
    """See the module."""

    attention: str = "auto"
    """see `longtake.model.ops.attention`"""
    linear: str = "auto"
    """what computes the linears: plain, onednn, upcast, fp8, te-fp8 or int8, see `longtake.model.ops.linear`"""
    cache: str = "plain"
    """what keys and values are kept as, see `longtake.model.cache.fp8`"""
    graphs: bool = False
    """replay each world's forwards as CUDA graphs, see `longtake.model.execution.cuda_graphs`"""
    overlap: bool | None = None
    """decode while the next block is denoised; None does so on a GPU, and on a CPU with a core to spare"""


@dataclass(frozen=True, kw_only=True)
class CompiledOptions(BackendOptions):
    """The same for a model that can be compiled."""

    compile: bool = False
    """run the layers through torch's compiler, at the cost of a start that takes minutes"""
