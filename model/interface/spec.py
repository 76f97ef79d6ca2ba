"""One entry for each world model: everything that the runtime and the command line know of it before it is loaded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.model.interface.options import Options
from longtake.model.interface.understanding import Understanding
from longtake.model.interface.world_model import Axis, WorldModel

if TYPE_CHECKING:
    from longtake.model.evaluation.conformance import CaseResult
    from longtake.model.evaluation.plan_parts import PlanSource


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """How a model is to be loaded."""

    name: str
    device: str = "auto"
    """auto, cpu or cuda"""
    precision: str = "auto"
    """auto, bf16 or fp32"""
    threads: int = 0
    """CPU threads; 0 leaves the number to the library"""
    options: Mapping[str, str] = field(default_factory=dict)
    """texts by name; `ModelSpec.options` parses them"""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A command-line argument that sets one of a model's options. Models can share an argument: then it is equal."""

    flag: str
    """such as `--decoder`"""
    group: str
    """heading in `--help`"""
    option: str
    """name of the option it sets"""
    help: str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    const: str | None = None
    """value of the flag when nothing follows it; None if it needs a value"""
    switch: bool = False
    """True for a flag that takes no value and turns the option on"""
    folder: bool = False
    """True if the value is a folder, which has to exist"""

    @property
    def dest(self) -> str:
        """Name of the attribute that argparse sets."""
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file of a model's weights."""

    name: str
    part: str
    """what it holds, such as "lora" """
    size_bytes: int
    """size of the whole file; 0 if it is not known"""
    path: Path | None
    """None if it is not here"""
    here_bytes: int = 0

    @property
    def complete(self) -> bool:
        """True if the whole file is here."""
        return self.path is not None and self.size_bytes in (0, self.here_bytes)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where a model's weights belong, and which of their files are here."""

    folder: Path
    files: tuple[WeightsFile, ...] = ()
    remedy: str = ""
    """what to do about a missing file"""

    @property
    def missing(self) -> list[str]:
        """File names that are not here, or not whole."""
        return [Path(file.name).name for file in self.files if not file.complete]


@dataclass(frozen=True, kw_only=True)
class SelfCheck:
    """What `longtake conformance --self --model NAME` was asked for."""

    device: str
    options: Mapping[str, str]
    compile: bool


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A world model that can be served.

    The module that defines it imports no torch: its functions import what they need when they are called.
    """

    name: str
    summary: str
    load: Callable[[LoadRequest], WorldModel]
    """runs in the generator's process"""
    options: type[Options] = Options
    """what `--option NAME=VALUE` sets; checked before a process is started"""
    arguments: tuple[Argument, ...] = ()
    """arguments of the command line for the most used options"""
    threads: int = 0
    """threads of the generator's process on a CPU; 0 leaves the number to torch"""
    loads_within_s: float = 120.0
    """a generator that is not ready by then is taken to hang"""
    capabilities: tuple[str, ...] = ()
    """as in `ModelInfo.capabilities`"""
    axes: tuple[Axis, ...] = ()
    """as in `ModelInfo.axes`"""
    logger: str = ""
    """a logger whose progress is always shown, for a model that takes minutes to load"""
    licence: str = ""
    parameters: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    """distributions that only this model needs, with what to give to pip"""
    bundled: bool = False
    """True if the weights are part of the package"""
    weights: Callable[[], Weights] | None = None
    """None for a model without weights"""
    digest: Callable[[], str] | None = None
    """returns the hash of the weights, if it can be had without loading them"""
    pull: Callable[[Path | None, Callable[[str], None], Sequence[str]], list[Path]] | None = None
    """fetches public weights into a folder (None: where they belong), tells what it does, some parts only or all"""
    understand: Callable[[str], Understanding] | None = None
    """says what the model takes a text for, within a millisecond; the server asks it for every prompt"""
    knows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """all that the model can show, by kind, if that is a closed list; clients list it"""
    plan: "Callable[[], PlanSource] | None" = None
    """returns what `bench plan` counts"""
    self_check: "Callable[[SelfCheck], Iterator[CaseResult]] | None" = None
    """runs the model's own weights through every fast path of this machine"""
