"""Options of every model that runs on our generator: how it computes, not what."""

from dataclasses import dataclass

from longtake.model.errors import ConfigError
from longtake.model.interface.options import Options
from longtake.model.interface.spec import Argument

WEIGHTS_ARGUMENT = Argument(
    flag="--weights",
    group="weights",
    option="folder",
    metavar="DIR",
    folder=True,
    help="folder of the weights (default: diorama's ship with it, others are where `longtake models pull` puts them)",
)
"""command-line argument for a model's `folder`"""

BACKEND_ARGUMENTS = (
    Argument(
        flag="--linear",
        group="back end",
        option="linear",
        choices=("auto", "plain", "onednn", "upcast", "fp8", "te-fp8", "int8"),
        help="how linear layers are computed; `longtake doctor` says which of these work here",
    ),
    Argument(
        flag="--fast",
        group="back end",
        option="fast",
        switch=True,
        help="eight bits for speed, on a Hopper GPU: the same as --linear fp8 and --option attention=flash3-fp8",
    ),
)
"""command-line arguments for the options of the back end"""


FAST = {"attention": "flash3-fp8", "linear": "fp8"}
"""what `fast` stands for"""


@dataclass(frozen=True, kw_only=True)
class BackendOptions(Options):
    """Options of the back end."""

    attention: str = "auto"
    """what computes attention, see `longtake.model.ops.attention.registry`"""
    linear: str = "auto"
    """what computes the layers' linears, see `longtake.model.ops.linear.registry`"""
    cache: str = "plain"
    """what keys and values are kept in, see `longtake.model.cache.registry`"""
    execution: str = "auto"
    """what runs a pass, see `longtake.model.execution.registry`"""
    graphs: bool | None = None
    """replay passes as CUDA graphs, see `longtake.model.execution.cuda_graphs`; None does so on a GPU if layers
    are not compiled"""
    overlap: bool | None = None
    """decode while the next block is denoised; None does so on a GPU, and on a CPU with a core to spare"""
    fast: bool = False
    """the same as linear=fp8 and attention=flash3-fp8: faster on a Hopper GPU, and less exact"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, meant in FAST.items():
            asked = getattr(self, name)
            if self.fast and asked not in ("auto", meant):
                raise ConfigError(f"fast and {name}={asked} contradict each other; leave one out")

    @property
    def wanted_attention(self) -> str:
        """What is to compute attention, whichever option says so."""
        return FAST["attention"] if self.fast else self.attention

    @property
    def wanted_linear(self) -> str:
        """What is to compute the linears, whichever option says so."""
        return FAST["linear"] if self.fast else self.linear

    @property
    def wanted_execution(self) -> str:
        """What is to run a pass, whichever option says so."""
        return self.execution


@dataclass(frozen=True, kw_only=True)
class CompiledOptions(BackendOptions):
    """The same for a model that can be compiled."""

    compile: bool = False
    """the same as execution=compiled: run the layers through torch's compiler; starting takes minutes longer"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compile and self.execution not in ("auto", "compiled"):
            raise ConfigError(f"compile and execution={self.execution} contradict each other; leave one out")

    @property
    def wanted_execution(self) -> str:
        """See `BackendOptions`."""
        return "compiled" if self.compile else self.execution
