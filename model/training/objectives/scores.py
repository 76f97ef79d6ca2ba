"""Score networks: transformers that say which clean latents noisy ones come from.

The real score is a frozen teacher and the fake score follows the generator. Both see a whole window of latents at one
timestep and at positions 0, 1, 2, ..., wherever it lies in the take. A bidirectional score, as LongLive has, sees the
noisy window without a mask. A causal one, for a world whose teacher is causal itself, sees each noisy frame after the
clean ones before it.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.errors import ShapeError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.motion_head import Before
from longtake.model.network.rope import Rope, rotate
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.training.objectives.checkpointed import checkpointed
from longtake.model.training.objectives.teacher_forcing import MakeAttention


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditioning:
    """What latent frames are made under.

    Attributes:
        text: the prompt's tokens, [B, text_tokens, text_dim].
        actions: a vector for each latent frame, [B, F, axes]; None for a model without actions.
    """

    text: Tensor
    actions: Tensor | None = None

    def between(self, first_frame: int, end_frame: int) -> "Conditioning":
        """Return the same for the frames first_frame to end_frame - 1; raises ShapeError if actions end before."""
        if self.actions is None:
            return self
        if end_frame > self.actions.shape[1]:
            raise ShapeError(f"actions for {self.actions.shape[1]} latent frames do not reach frame {end_frame - 1}")
        return Conditioning(text=self.text, actions=self.actions[:, first_frame:end_frame])


class Score(Protocol):
    """Estimates the clean latents behind noisy ones."""

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        """Return the clean latents that a window seems to come from.

        Args:
            xt: noisy latents, [B, F, C, h, w].
            t: a timestep for each member of the batch, [B], 0 to 1000.
            conditioning: what the window was made under.
            context: the latents that the noise was added to, like xt. Only a causal score looks at them, and at those
                before the frame in question.

        Returns:
            Like xt.
        """
        ...


class FullAttention:
    """Self-attention of every frame to every frame, at positions 0, 1, 2, ....

    Args:
        transformer: whose heads and grid they are.
        frames: latent frames of a window.
        attention: computes it.
    """

    def __init__(self, transformer: Transformer, frames: int, attention: Attention = sdpa) -> None:
        sizes = transformer.config
        self._table = Rope(sizes.head_dim, sizes.grid, transformer.patch_embedding.weight.device).table(range(frames))
        self._attention = attention

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v: [B, F, S, heads, head_dim] before RoPE -> the same shape."""
        turned = (rotate(q, self._table).to(q.dtype), rotate(k, self._table).to(k.dtype), v)
        by_head = (x.flatten(1, 2).transpose(1, 2) for x in turned)
        attended: Tensor = self._attention(*by_head).transpose(1, 2).unflatten(1, q.shape[1:3])
        return attended


class BidirectionalScore:
    """A transformer without a cache as a score.

    Args:
        network: the transformer; trained or not, it is the caller's.
        schedule: turns flow into clean latents: the one that adds the noise. (The public reference takes a shift of 8
            here and of 5 for the noise, a mistake.)
        checkpointing: compute its layers again in the backward pass.
    """

    def __init__(self, network: Transformer, schedule: Schedule, *, checkpointing: bool = False) -> None:
        self.network, self.schedule = network, schedule
        self._layers = checkpointed(network, checkpointing)
        self._attends: dict[int, Attend] = {}

    def flow(self, xt: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """Return the network's estimate of `noise - x0`; arguments as for `Score.clean`."""
        network, frames = self.network, xt.shape[1]
        attend = self._attends.setdefault(frames, FullAttention(network, frames))
        timesteps = t[:, None].expand(-1, frames)
        flow: Tensor = network(
            xt,
            timesteps,
            conditioning.text,
            lambda layer: attend,
            actions=conditioning.actions,
            layers=self._layers,
        )
        return flow

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        """See `Score.clean`."""
        return self.schedule.clean(xt, self.flow(xt, t, conditioning), t[:, None].expand(xt.shape[:2]))


class CausalScore:
    """A causal transformer as a score: every frame is judged as its cache would let it be made at play time.

    Args:
        network: the transformer; trained or not, it is the caller's.
        schedule: turns flow into clean latents: the one that adds the noise.
        make_attention: makes the self-attention for so many frames and packed copies (`FlowMatching`).
        checkpointing: compute its layers again in the backward pass.
    """

    def __init__(
        self, network: Transformer, schedule: Schedule, make_attention: MakeAttention, *, checkpointing: bool = False
    ) -> None:
        self.network, self.schedule, self._make_attention = network, schedule, make_attention
        self._layers = checkpointed(network, checkpointing)
        self._attends: dict[int, Attend] = {}

    def flow(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        """Return the network's estimate of `noise - x0`; arguments as for `Score.clean`."""
        frames = xt.shape[1]
        if frames not in self._attends:
            self._attends[frames] = self._make_attention(frames, 2)
        attend, actions = self._attends[frames], conditioning.actions
        noisy = t[:, None].expand(-1, frames)
        before = Before.of(context, actions) if self.network.config.motion_width else None
        flow: Tensor = self.network(
            torch.cat((context, xt), dim=1),
            torch.cat((torch.zeros_like(noisy), noisy), dim=1),
            conditioning.text,
            lambda layer: attend,
            actions=None if actions is None else actions.repeat(1, 2, 1),
            before=before,
            layers=self._layers,
        )
        return flow[:, frames:]

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        """See `Score.clean`."""
        return self.schedule.clean(xt, self.flow(xt, t, conditioning, context), t[:, None].expand(xt.shape[:2]))


@torch.no_grad()
def guided(
    score: Score,
    xt: Tensor,
    t: Tensor,
    wanted: Conditioning,
    unwanted: Conditioning,
    context: Tensor,
    *,
    guidance: float,
) -> Tensor:
    """Return clean latents pushed away from an unwanted conditioning: wanted + guidance * (wanted - unwanted).

    A guidance of 0 is the wanted estimate alone, 3 what is usually written as a weight of 4.
    """
    estimate = score.clean(xt, t, wanted, context)
    if guidance == 0:
        return estimate
    return estimate + guidance * (estimate - score.clean(xt, t, unwanted, context))
