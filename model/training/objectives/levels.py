"""The noise levels that the losses draw."""

from dataclasses import dataclass

import torch
from torch import Tensor

from longtake.model.bounds import positive
from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import TABLE_STEPS


@dataclass(frozen=True, kw_only=True)
class NoiseLevels:
    """Draws the timesteps at which distributions are compared: uniform, then shifted, then clamped."""

    shift: float = 5.0
    """Of the noise schedule, the sampler's own."""
    lowest: float = 20.0
    """Smallest timestep, 0 to 1000: below it the scores have nothing left to say."""
    highest: float = 980.0
    """Largest timestep."""

    def __post_init__(self) -> None:
        positive(self, "shift")
        if not 0 <= self.lowest <= self.highest <= TABLE_STEPS:
            raise ConfigError(f"lowest {self.lowest} and highest {self.highest} must lie in order within 0 to 1000")

    def timesteps(self, draws: Tensor) -> Tensor:
        """Return the timesteps of uniform draws: [...] integers 0 to 999 -> [...] float32."""
        even = draws.float() / TABLE_STEPS
        warped = self.shift * even / (1 + (self.shift - 1) * even) * TABLE_STEPS
        return warped.clamp(self.lowest, self.highest)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Return one timestep for each member of a batch: [B] float32 on the generator's device."""
        draws = torch.randint(0, TABLE_STEPS, (batch,), generator=generator, device=generator.device)
        return self.timesteps(draws)
