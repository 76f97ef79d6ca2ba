"""Flow matching with teacher forcing.

A share of the noise levels are the sampler's own, the others are drawn from the shifted schedule.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from longtake.model.bounds import part, share
from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.teacher_forcing import (
    Asked,
    FlowBatch,
    MakeAttention,
    TeacherForcing,
    TeacherForcingConfig,
)


@dataclass(frozen=True, kw_only=True)
class FlowConfig(TeacherForcingConfig):
    """What the loss draws."""

    sampler_levels: float = 0.5
    """share of frames at the sampler's own noise levels"""
    guidance: float = 0.0
    """how much of what the prompt changes is added to the target (Tang et al., 2025, arXiv:2502.12154), so that play
    time gets guidance in one forward; at g it settles at a scale of 1 / (1 - g)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "sampler_levels")
        part(self, "guidance")


class FlowMatching(TeacherForcing):
    """The loss of a batch; draws from torch's own random stream.

    Args:
        generator: of the model that is trained.
        config: what is drawn.
        make_attention: called once for each number of frames and copies.
        device: of the batches.
        no_text: what an empty prompt is encoded as, [L, text_dim]; guidance needs it.
    """

    def __init__(
        self,
        generator: GeneratorConfig,
        config: FlowConfig,
        make_attention: MakeAttention,
        device: torch.device | str = "cpu",
        no_text: Tensor | None = None,
    ) -> None:
        if config.guidance and no_text is None:
            raise ConfigError("guidance compares a prompt with an empty one: give no_text")
        super().__init__(generator, config, make_attention, device, no_text)
        self.config = config

    def draw_levels(self, shape: tuple[int, ...]) -> Tensor:
        """Draw noise levels: [...] float32, 0 to 1."""
        device = self.levels.device
        even = torch.rand(shape, device=device)
        drawn = self.shift * even / (1 + (self.shift - 1) * even)
        own = self.levels[torch.randint(len(self.levels), shape, device=device)]
        return torch.where(torch.rand(shape, device=device) < self.config.sampler_levels, own, drawn)

    def _ask(self, model: Transformer, batch: FlowBatch, copies: int, context: Tensor | None) -> Asked:
        clips, frames = batch.latents.shape[:2]
        sigma = self.draw_levels((clips, copies, frames))
        noise, xt = self._noised(batch, sigma)
        packed = self._packed(batch, copies, context)

        def target(flow: Tensor) -> Tensor:
            wanted = noise - batch.latents[:, None]
            if not self.config.guidance or not model.training:
                return wanted
            with torch.no_grad():
                unprompted = packed.flow(model, xt, sigma, text=self._blank(batch.text))
            return wanted + self.config.guidance * (flow.detach() - unprompted)

        return Asked(packed=packed, batch=batch, xt=xt, sigma=sigma, target=target)
