"""Flow matching with teacher forcing: the loss, apart from any data.

A clip is packed as one clean copy and n noised ones (`window.py`), so that every frame is denoised in the exact
conditions of play time: given the clean past that the cache would hold. A share of the noise levels are the sampler's
own, the others are drawn from the shifted schedule. Frames without a past, the first of a take, are a clip of one
frame without a clean copy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.transformer import Transformer


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """What the loss draws."""

    copies: int = 3
    """noised copies of each clip; the clean copy is paid once for all of them"""
    context_noise: float = 0.25
    """largest noise level of the clean copy, in half of the clips, so that small errors are not amplified"""
    sampler_levels: float = 0.5
    """share of frames at the sampler's own noise levels"""
    guidance: float = 0.0
    """how much of what the prompt changes is added to the target (Tang et al., 2025, arXiv:2502.12154), so that play
    time gets guidance in one forward; at g it settles at a scale of 1 / (1 - g)"""

    def __post_init__(self) -> None:
        if not 0 <= self.guidance < 1:
            raise ConfigError(f"guidance must be 0 to below 1, not {self.guidance}")


@dataclass(frozen=True, kw_only=True)
class FlowBatch:
    """Clips of F latent frames."""

    latents: Tensor
    """[B, F, C, h, w] float32"""
    counted: Tensor
    """[B, F] float32, whether a frame's loss counts"""
    weights: Tensor
    """[B, F, h, w] float32, of each cell's loss"""
    text: Tensor
    """[B, L, text_dim]"""
    actions: Tensor | None = None
    """[B, F, axes] float32, what each frame was made under; None for a model without actions"""


MakeAttention = Callable[[int, int], Attend]
"""Makes the self-attention for so many frames and so many packed copies."""


class FlowMatching:
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
        self.config, self.shift = config, generator.shift
        self._no_text = None if no_text is None else no_text.to(device)
        self.levels = torch.tensor(Schedule(generator.shift).warp(generator.timesteps), device=device) / 1000
        self._make_attention = make_attention
        self._attention: dict[tuple[int, int], Attend] = {}

    def clips(self, model: Transformer, batch: FlowBatch) -> Tensor:
        """Return the loss of clips: frames are denoised given the clean ones before them."""
        shape = batch.latents.shape[:2]
        context = torch.rand(shape, device=batch.latents.device) * self.config.context_noise
        context *= (torch.rand(len(context), 1, device=context.device) < 0.5).float()
        return self._error(model, batch, self.config.copies, context)

    def first_frames(self, model: Transformer, batch: FlowBatch) -> Tensor:
        """Return the loss of single frames [B, 1, ...] that begin a take."""
        return self._error(model, batch, 1, None)

    def draw_levels(self, shape: tuple[int, ...]) -> Tensor:
        """Draw noise levels: [...] float32, 0 to 1."""
        device = self.levels.device
        even = torch.rand(shape, device=device)
        drawn = self.shift * even / (1 + (self.shift - 1) * even)
        own = self.levels[torch.randint(len(self.levels), shape, device=device)]
        return torch.where(torch.rand(shape, device=device) < self.config.sampler_levels, own, drawn)

    def _error(self, model: Transformer, batch: FlowBatch, copies: int, context: Tensor | None) -> Tensor:
        """Return the weighted mean squared error of the flow; `context` [B, F] is the clean copy's noise, if any."""
        x0 = batch.latents
        clips, frames = x0.shape[:2]
        sigma = self.draw_levels((clips, copies, frames))
        noise = torch.randn(clips, copies, *x0.shape[1:], device=x0.device)
        level = sigma[..., None, None, None]
        packed = ((1 - level) * x0[:, None] + level * noise).flatten(1, 2)
        t = sigma.flatten(1) * 1000
        total = copies
        if context is not None:
            c = context[..., None, None, None]
            packed = torch.cat(((1 - c) * x0 + c * torch.randn_like(x0), packed), 1)
            t = torch.cat((torch.zeros_like(context), t), 1)  # shown as clean, whatever its noise
            total += 1
        # Every copy of a frame, the clean one included, carries the actions that the frame was made under.
        actions = None if batch.actions is None else batch.actions.repeat(1, total, 1)
        attend = self._attend(frames, total)
        made = model(packed, t, batch.text, lambda layer: attend, actions=actions)
        flow = made[:, -copies * frames :].float().unflatten(1, (copies, frames))
        target = noise - x0[:, None]
        if self.config.guidance and model.training:
            with torch.no_grad():
                blank = model(packed, t, self._blank(batch.text), lambda layer: attend, actions=actions)
            unprompted = blank[:, -copies * frames :].float().unflatten(1, (copies, frames))
            target = target + self.config.guidance * (flow.detach() - unprompted)
        error = (flow - target).square().mean(3)
        weights = (batch.weights * batch.counted[..., None, None])[:, None].expand_as(error)
        mean: Tensor = (error * weights).sum() / weights.sum().clamp_min(1)
        return mean

    def _blank(self, text: Tensor) -> Tensor:
        assert self._no_text is not None, "checked when made"
        return self._no_text.to(text.dtype).expand_as(text)

    def _attend(self, frames: int, copies: int) -> Attend:
        if (frames, copies) not in self._attention:
            # What an evaluation makes first must serve training too.
            with torch.inference_mode(False):
                self._attention[frames, copies] = self._make_attention(frames, copies)
        return self._attention[frames, copies]
