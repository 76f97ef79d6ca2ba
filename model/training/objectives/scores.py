"""Score networks: bidirectional transformers that say which clean latents noisy ones come from.

The real score is a frozen teacher and the fake score follows the generator. Both see a whole window of latents at
positions 0, 1, 2, ..., wherever it lies in the take, at one timestep and without a mask.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.errors import ShapeError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.rope import Rope, rotate
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import Attention, sdpa


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
    """Estimates the flow of noisy latents."""

    def flow(self, xt: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """Return the flow `noise - x0`: xt [B, F, C, h, w], t [B] -> [B, F, C, h, w]."""
        ...

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """Return the clean latents that the flow leads to; shapes as for `flow`."""
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
        network: Wan's transformer; trained or not, it is the caller's.
        schedule: turns flow into clean latents: the one that adds the noise. (The public reference takes a shift of 8
            here and of 5 for the noise, a mistake.)
    """

    def __init__(self, network: Transformer, schedule: Schedule) -> None:
        self.network, self.schedule = network, schedule
        self._attends: dict[int, Attend] = {}

    def flow(self, xt: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """See `Score.flow`."""
        network, frames = self.network, xt.shape[1]
        attend = self._attends.setdefault(frames, FullAttention(network, frames))
        timesteps = t[:, None].expand(-1, frames)
        flow: Tensor = network(xt, timesteps, conditioning.text, lambda layer: attend, actions=conditioning.actions)
        return flow

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """See `Score.clean`."""
        return self.schedule.clean(xt, self.flow(xt, t, conditioning), t[:, None].expand(xt.shape[:2]))


@torch.no_grad()
def guided(
    score: Score, xt: Tensor, t: Tensor, wanted: Conditioning, unwanted: Conditioning, guidance: float
) -> Tensor:
    """Return clean latents pushed away from an unwanted conditioning: wanted + guidance * (wanted - unwanted).

    A guidance of 0 is the wanted estimate alone, 3 what is usually written as a weight of 4.
    """
    estimate = score.clean(xt, t, wanted)
    if guidance == 0:
        return estimate
    return estimate + guidance * (estimate - score.clean(xt, t, unwanted))
