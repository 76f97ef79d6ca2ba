"""Teacher forcing: losses on clips whose frames are denoised given the clean ones before them, apart from any data.

A clip is packed as one clean copy and n noised ones (`window.py`), so that every frame is denoised in the exact
conditions of play time: given the clean past that the cache would hold. Frames without a past, the first of a take, are
a clip of one frame without a clean copy.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from longtake.model.bounds import at_least, share
from longtake.model.config import GeneratorConfig
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.motion_head import Before
from longtake.model.network.transformer import Transformer


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

    def in_order(self, frames: Tensor) -> "FlowBatch":
        """Return the clips with other frames in their places: indices [B, F]."""
        latents, counted, weights = (
            in_order(x[:, None], frames)[:, 0] for x in (self.latents, self.counted, self.weights)
        )
        actions = None if self.actions is None else in_order(self.actions[:, None], frames)[:, 0]
        return FlowBatch(latents=latents, counted=counted, weights=weights, text=self.text, actions=actions)


@dataclass(frozen=True, kw_only=True)
class TeacherForcingConfig:
    """How clips are packed."""

    copies: int = 3
    """noised copies of each clip; the clean copy is paid once for all of them"""
    context_noise: float = 0.25
    """largest noise level of the clean copy, in half of the clips, so that small errors are not amplified"""

    def __post_init__(self) -> None:
        at_least(self, 1, "copies")
        share(self, "context_noise")


MakeAttention = Callable[[int, int], Attend]
"""Makes the self-attention for so many frames and so many packed copies."""


class Packed:
    """A batch behind one clean copy: gives the flow of noised copies of it.

    Args:
        batch: of F latent frames.
        copies: noised copies of each clip.
        context: noise of the clean copy's frames, [B, F]; None for no clean copy.
        attend: self-attention over all copies.
        past: what the clean copy shows; the batch itself unless it is another.
    """

    def __init__(
        self, batch: FlowBatch, copies: int, context: Tensor | None, attend: Attend, past: FlowBatch | None = None
    ) -> None:
        self._batch, self._copies, self._attend = batch, copies, attend
        self._total = copies + (context is not None)
        self.past = None if context is None else past or batch
        """what stands before the frames; None for frames that begin a take"""
        if context is not None and self.past is not None:
            c, x0 = context[..., None, None, None], self.past.latents
            self.clean = (1 - c) * x0 + c * torch.randn_like(x0)
            """the clean copy, with its noise, [B, F, C, h, w]"""

    def flow(
        self, model: Transformer, xt: Tensor, sigma: Tensor, *, text: Tensor | None = None, at_rest: bool = False
    ) -> Tensor:
        """Return the flow of noised copies.

        Args:
            model: predicts it.
            xt: noised latents, [B, copies, F, C, h, w].
            sigma: their noise levels, [B, copies, F].
            text: instead of the batch's.
            at_rest: whether the noised copies are made under no action; the clean past keeps its own.

        Returns:
            Like xt, float32.
        """
        batch, frames = self._batch, self._batch.latents.shape[1]
        packed, t = xt.flatten(1, 2), sigma.flatten(1) * 1000
        if self.past is not None:
            packed = torch.cat((self.clean, packed), 1)
            t = torch.cat((torch.zeros_like(t[:, :frames]), t), 1)  # shown as clean, whatever its noise
        # Every copy of a frame, the clean one included, carries the actions that the frame was made under.
        actions = None if batch.actions is None else batch.actions.repeat(1, self._total, 1)
        if actions is not None and at_rest:
            actions[:, -self._copies * frames :] = 0
        if actions is not None and self.past is not None and self.past.actions is not None:
            actions[:, :frames] = self.past.actions
        text = batch.text if text is None else text
        before = self._before(xt) if model.config.motion_width else None
        made = model(packed, t, text, lambda layer: self._attend, actions=actions, before=before, copies=self._copies)
        flow: Tensor = made[:, -self._copies * frames :].float().unflatten(1, (self._copies, frames))
        return flow

    def _before(self, xt: Tensor) -> Before:
        """Return what stands before the frames of [B, copies, F, C, h, w]: nothing if there is no clean copy."""
        if self.past is not None:
            return Before.of(self.clean, self.past.actions)
        return Before.of(torch.zeros_like(xt[:, 0, :1])).repeat(xt.shape[2])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a network is asked, and what it should say."""

    packed: Packed
    batch: FlowBatch
    """what the answers are weighed by"""
    xt: Tensor
    """noised latents, [B, copies, F, C, h, w]"""
    sigma: Tensor
    """their noise levels, [B, copies, F]"""
    target: Callable[[Tensor], Tensor]
    """the flow wanted, given the one that the network has made"""


class TeacherForcing(ABC):
    """The loss of a batch; draws from torch's own random stream.

    Args:
        generator: of the model that is trained.
        config: how clips are packed.
        make_attention: called once for each number of frames and copies.
        device: of the batches.
        no_text: what an empty prompt is encoded as, [L, text_dim].
    """

    def __init__(
        self,
        generator: GeneratorConfig,
        config: TeacherForcingConfig,
        make_attention: MakeAttention,
        device: torch.device | str = "cpu",
        no_text: Tensor | None = None,
    ) -> None:
        self.packing, self.shift = config, generator.shift
        self.levels = torch.tensor(Schedule(generator.shift).warp(generator.timesteps), device=device) / 1000
        self._no_text = None if no_text is None else no_text.to(device)
        self._make_attention = make_attention
        self._attention: dict[tuple[int, int], Attend] = {}

    def clips(self, model: Transformer, batch: FlowBatch) -> Tensor:
        """Return the loss of clips: frames are denoised given the clean ones before them."""
        return self._error(model, self.ask(model, batch))

    def ask(self, model: Transformer, batch: FlowBatch) -> Asked:
        """Return what `clips` asks a network of clips."""
        shape = batch.latents.shape[:2]
        context = torch.rand(shape, device=batch.latents.device) * self.packing.context_noise
        context *= (torch.rand(len(context), 1, device=context.device) < 0.5).float()
        return self._ask(model, batch, self.packing.copies, context)

    def first_frames(self, model: Transformer, batch: FlowBatch) -> Tensor:
        """Return the loss of single frames [B, 1, ...] that begin a take."""
        return self._error(model, self._ask(model, batch, 1, None))

    @abstractmethod
    def _ask(self, model: Transformer, batch: FlowBatch, copies: int, context: Tensor | None) -> Asked:
        """Noise a batch; `context` [B, F] is the clean copy's noise, if any."""

    def _error(self, model: Transformer, asked: Asked) -> Tensor:
        """Return the mean squared error of the flow."""
        flow = asked.packed.flow(model, asked.xt, asked.sigma)
        return weighted_error(flow, asked.target(flow), asked.batch)

    def _noised(self, batch: FlowBatch, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return noise and the batch noised by it to `sigma` [B, copies, F]: each [B, copies, F, C, h, w]."""
        x0, level = batch.latents[:, None], sigma[..., None, None, None]
        noise = torch.randn(*sigma.shape[:2], *batch.latents.shape[1:], device=x0.device)
        return noise, (1 - level) * x0 + level * noise

    def _packed(self, batch: FlowBatch, copies: int, context: Tensor | None, past: FlowBatch | None = None) -> Packed:
        total = copies + (context is not None)
        return Packed(batch, copies, context, self._attend(batch.latents.shape[1], total), past)

    def _blank(self, text: Tensor) -> Tensor:
        """Return the empty prompt in place of `text` [B, L, text_dim]."""
        assert self._no_text is not None, "checked when made"
        return self._no_text.to(text.dtype).expand_as(text)

    def _attend(self, frames: int, copies: int) -> Attend:
        if (frames, copies) not in self._attention:
            # What an evaluation makes first must serve training too.
            with torch.inference_mode(False):
                self._attention[frames, copies] = self._make_attention(frames, copies)
        return self._attention[frames, copies]


def in_order(x: Tensor, frames: Tensor) -> Tensor:
    """Return x [B, copies, F, ...] with other frames in their places: indices [B, F]."""
    index = frames.view(len(frames), 1, -1, *(1,) * (x.ndim - 3))
    return x.gather(2, index.expand_as(x))


def weighted_error(flow: Tensor, target: Tensor, batch: FlowBatch) -> Tensor:
    """Return the mean squared error of flows [B, copies, F, C, h, w] over the cells that count, by their weights."""
    error = (flow - target).square().mean(3)
    weights = (batch.weights * batch.counted[..., None, None])[:, None].expand_as(error)
    mean: Tensor = (error * weights).sum() / weights.sum().clamp_min(1)
    return mean
