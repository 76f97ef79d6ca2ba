"""What a world is opened with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from longtake.protocol.messages import Mode, ModelInfo, Script, Understood
from longtake.runtime.world.lead import LeadConfig


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Everything that a world is opened with."""

    name: str
    model: ModelInfo
    script: Script = field(default_factory=Script)
    prompt: str | None = None
    seed: int = 0
    mode: Mode = "live"
    paused: bool = False
    readings: bool = False
    snapshot_every_s: float = 5.0
    lead: LeadConfig = field(default_factory=LeadConfig)
    understand: Callable[[str], Understood | None] = lambda prompt: None
    """what the model takes a prompt for"""
    threads: int = 0
    """CPU threads of the generator; for the take's header only"""
    options: tuple[tuple[str, str], ...] = ()
    """options that the model was loaded with; for the take's header only"""
    versions: tuple[tuple[str, str], ...] = ()
    """versions of the software; for the take's header only"""

    def labels_of(self, prompt: str) -> Mapping[str, str]:
        """Return what the model takes a prompt for, by kind; nothing if it cannot say."""
        understood = self.understand(prompt)
        return understood.labels if understood is not None else {}
