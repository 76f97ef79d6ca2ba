"""Which frames of a clip training shows, under which prompt, and which of them count.

A clip with a prompt switch is shown in one of two ways: up to the switch under the old prompt, or as a whole under the
new one with the loss only on what follows the switch; the second is what a `causal` recache leaves in the cache.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtake.model.bounds import at_least, share
from longtake.model.training.compute import to_device
from longtake.model.training.data.drawing import AFTER, BEFORE, NO_SWITCH
from longtake.model.training.data.pool import LatentPool
from longtake.model.training.objectives.teacher_forcing import FlowBatch

FAR_SETTLE = 2
"""frames after the cut between a far sink and the rest that do not count, the sink itself apart"""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """What is drawn from the pool."""

    frames: int = 12
    """latent frames of a clip as trained; more than the window, so that keys from evicted context are seen"""
    place_again: float = 0.5
    """odds that a clip whose place stays is drawn again: a new place is the hardest switch and the rarest"""
    far_sink: float = 0.35
    """share of clips whose first latent frame is taken from well before the others, as the sink of a long take is"""
    old_prompt: float = 0.3
    """share of the other clips with a switch that are shown up to it, under the old prompt"""
    actor_weight: float = 4.0
    """loss weight of a cell that the actor covers; 1 elsewhere"""
    drop_text: float = 0.06
    """share of samples without a prompt"""

    def __post_init__(self) -> None:
        at_least(self, 1, "frames")
        at_least(self, 0, "actor_weight")
        share(self, "place_again", "far_sink", "old_prompt", "drop_text")


class Row(NamedTuple):
    """One sample of a clip."""

    clip: int
    """slot of the pool"""
    frames: NDArray[np.int64]
    """latent frames that are shown, in order: [F]"""
    counted: NDArray[np.float32]
    """whether each counts: [F]"""
    text: int
    """whose text: BEFORE or AFTER the switch"""


class Sampler:
    """Draws batches from a pool.

    Args:
        pool: with at least one clip.
        config: what is drawn.
        no_text: what an empty prompt is encoded as, [L, text_dim].
        actions: whether the model takes actions.
    """

    def __init__(
        self, pool: LatentPool, config: SamplingConfig, no_text: NDArray[np.float16], *, actions: bool = True
    ) -> None:
        self.pool, self.config, self._actions = pool, config, actions
        self._no_text = torch.from_numpy(no_text).to(pool.device)
        self.total = pool.config.latents[0]

    def clips(self, count: int, rng: np.random.Generator) -> FlowBatch:
        """Return clips of `frames` latent frames."""
        filled = self.pool.filled
        return self._batch([self.clip(rng, filled) for _ in range(count)], rng)

    def first_frames(self, count: int, rng: np.random.Generator) -> FlowBatch:
        """Return single frames, from before the switch, as the first frames of takes."""
        slots = rng.choice(self.pool.filled, count)
        switches = self.pool.switch[slots]
        last = np.where(switches == NO_SWITCH, self.total, np.maximum(1, switches))
        starts = rng.integers(last)
        one = np.ones(1, np.float32)
        rows = [Row(int(slot), start, one, BEFORE) for slot, start in zip(slots, starts[:, None], strict=True)]
        return self._batch(rows, rng)

    def clip(self, rng: np.random.Generator, filled: NDArray[np.int64]) -> Row:
        """Draw one clip of the slots that are filled."""
        slot = self._pick(rng, filled)
        if rng.random() < self.config.far_sink:
            return self._far(slot, rng, filled)
        frames, switch = self.config.frames, int(self.pool.switch[slot])
        if switch == NO_SWITCH:
            start = int(rng.integers(self.total - frames + 1))
            return self._row(slot, start, np.ones(frames, np.float32), BEFORE)
        if rng.random() < self.config.old_prompt:
            return self._row(slot, 0, (np.arange(frames) < switch).astype(np.float32), BEFORE)
        # Under the new prompt throughout: the context is older frames, recached.
        # Three frames at least follow the switch, or the step would be for nothing.
        first = max(0, min(switch + 3 - frames, self.total - frames))
        start = int(rng.integers(first, min(switch, self.total - frames) + 1))
        return self._row(slot, start, (np.arange(frames) + start >= switch).astype(np.float32), AFTER)

    def _pick(self, rng: np.random.Generator, filled: NDArray[np.int64]) -> int:
        slot = int(rng.choice(filled))
        if not self.pool.new_place[slot] and rng.random() < self.config.place_again:
            slot = int(rng.choice(filled))
        return slot

    def _far(self, slot: int, rng: np.random.Generator, filled: NDArray[np.int64]) -> Row:
        """A sink from the clip's start, then frames from later on; what follows the cut at once does not count."""
        rest, switch = self.config.frames - 1, int(self.pool.switch[slot])
        start = int(rng.integers(1, self.total - rest + 1))
        chosen = np.concatenate(([int(rng.integers(min(start, 3)))], np.arange(start, start + rest)))
        counted = (np.arange(self.config.frames) > FAR_SETTLE).astype(np.float32)
        counted *= chosen >= switch  # without a switch, all of them
        if not counted.any():
            return self._far(self._pick(rng, filled), rng, filled)
        return Row(slot, chosen, counted, BEFORE if switch == NO_SWITCH else AFTER)

    def _row(self, slot: int, start: int, counted: NDArray[np.float32], text: int) -> Row:
        return Row(slot, np.arange(start, start + self.config.frames), counted, text)

    def _batch(self, rows: list[Row], rng: np.random.Generator) -> FlowBatch:
        """Gather what the rows show, on the pool's device and without waiting for it."""
        pool, count = self.pool, len(rows)
        clip = self._host(np.array([row.clip for row in rows]))
        frames = self._host(np.stack([row.frames for row in rows]))
        which = self._host(np.array([row.text for row in rows]))
        wording = self._host(rng.integers(pool.config.text[0], size=count))
        silent = self._host(rng.random(count) < self.config.drop_text)
        text = torch.where(silent[:, None, None], self._no_text, pool.text[clip, which, wording])
        cover = pool.cover[clip[:, None], frames].float() / 255
        # The first frame of a sample begins a take, so it is encoded as one.
        later = pool.latents[clip[:, None], frames[:, 1:]]
        return FlowBatch(
            latents=torch.cat((pool.starts[clip[:, None], frames[:, :1]], later), 1).float(),
            counted=self._host(np.stack([row.counted for row in rows])),
            weights=1 + (self.config.actor_weight - 1) * cover,
            text=text.float(),
            actions=pool.actions[clip[:, None], frames] if self._actions else None,
        )

    def _host(self, x: NDArray[np.generic]) -> Tensor:
        return to_device(torch.from_numpy(x), self.pool.device)
