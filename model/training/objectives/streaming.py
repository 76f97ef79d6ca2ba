"""Streaming long tuning: one long take, a chunk of which is judged at a time (LongLive).

The take goes on from the cache, so the generator learns from frames that it makes after its own long past. Once a
take, the prompt switches at a chunk's start and the window is recached as in inference. The scores see a window that
overlaps the chunk before; only the new frames count.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longtake.model.errors import ConfigError
from longtake.model.generation.noise import NoiseSource
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import Chunk, DrawnNoise, Draws, Prompts
from longtake.model.training.objectives.take_state import restore_world, world_state

Reencode = Callable[[Tensor], Tensor]
"""Makes the image latent of the last frame that latents [B, F, C, h, w] decode to: -> [B, 1, C, h, w]."""


@dataclass(frozen=True, kw_only=True)
class StreamingConfig:
    """How a long take is cut. Frames are latent frames."""

    window_frames: int = 21
    """What the scores see, and the first chunk."""
    chunk_frames: int = 18
    """New frames of every later chunk; the rest of the window overlaps."""
    longest_frames: int = 240
    """A take ends before it would be longer."""

    def __post_init__(self) -> None:
        if not 0 < self.chunk_frames <= self.window_frames <= self.longest_frames:
            raise ConfigError(
                f"chunk_frames {self.chunk_frames}, window_frames {self.window_frames} and longest_frames "
                f"{self.longest_frames} must rise"
            )

    @property
    def overlap_frames(self) -> int:
        """Frames of a window that earlier chunks made."""
        return self.window_frames - self.chunk_frames

    @property
    def starts(self) -> range:
        """First frames of the chunks after the first one."""
        return range(self.window_frames, self.longest_frames - self.chunk_frames + 1, self.chunk_frames)

    @property
    def switches(self) -> range:
        """Frames at which a prompt may switch: where a chunk starts that is neither the first nor the last."""
        return self.starts[:-1]


class Take:
    """One long take.

    Args:
        rollout: makes it.
        config: how it is cut.
        prompts: what it is made under.
        noise: its random stream.
        switch_frame: where the second prompt starts: the start of a chunk, or None for never.
        reencode: makes the window's first frame an image latent, which a video autoencoder's first frame is. Without
            it, the frame stays as it was made.
    """

    def __init__(
        self,
        rollout: Rollout,
        config: StreamingConfig,
        prompts: Prompts,
        noise: NoiseSource,
        *,
        switch_frame: int | None = None,
        reencode: Reencode | None = None,
    ) -> None:
        for name in ("window_frames", "chunk_frames"):
            if getattr(config, name) % rollout.config.block_frames:
                raise ConfigError(
                    f"{name} {getattr(config, name)} is not whole blocks of {rollout.config.block_frames}"
                )
        if switch_frame is not None and (prompts.second is None or switch_frame not in config.starts):
            raise ConfigError(f"a switch at {switch_frame} needs a second prompt, and a chunk that starts there")
        self.rollout, self.config, self.prompts = rollout, config, prompts
        self.switch_frame, self._reencode = switch_frame, reencode
        self.conditioning: Conditioning = prompts.first
        self.world = rollout.open(prompts.first, noise)
        self.end_frame = 0
        self._past: Tensor | None = None

    @property
    def finished(self) -> bool:
        """Whether another chunk would make the take too long."""
        return self.end_frame > 0 and self.end_frame + self.config.chunk_frames > self.config.longest_frames

    def next_chunk(self, *, exit_step: int, gradient: bool) -> Chunk:
        """Make the next chunk: see `Rollout.extend`."""
        start = self.end_frame
        if start == self.switch_frame and self.prompts.second is not None:
            self.conditioning = self.prompts.second
            self.rollout.switch(self.world, self.conditioning)
        count = self.config.chunk_frames if start else self.config.window_frames
        latents = self.rollout.extend(
            self.world,
            blocks=count // self.rollout.config.block_frames,
            exit_step=exit_step,
            gradient_blocks=None if gradient else 0,
        )
        window, mask = self._window(latents)
        self.end_frame += count
        seen = latents.detach() if self._past is None else torch.cat((self._past, latents.detach()), dim=1)
        self._past = seen[:, -self.config.window_frames :]
        return Chunk(
            first_frame=start,
            latents=latents,
            window=window,
            mask=mask,
            conditioning=self.conditioning.between(self.end_frame - window.shape[1], self.end_frame),
        )

    def state(self) -> dict[str, Any]:
        """Return what `restore` goes on from, as plain values and tensors: all but prompts, switch and noise."""
        return {"end_frame": self.end_frame, "past": self._past, "world": world_state(self.world)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the state of a take of the same prompts and switch."""
        self.end_frame, self._past = state["end_frame"], state["past"]
        switched = self.switch_frame is not None and self.switch_frame < self.end_frame
        if switched and self.prompts.second is not None:
            self.conditioning = self.prompts.second
            self.world = self.rollout.open(self.conditioning, self.world.noise)
        restore_world(self.world, state["world"])

    def _window(self, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the scores see of new latents [B, F, C, h, w], and which of it is new."""
        overlap = self.config.overlap_frames
        if self._past is None or not overlap:
            return latents, None
        first = self._past[:, -overlap : -overlap + 1] if overlap > 1 else self._past[:, -1:]
        if self._reencode is not None:
            # As if the video started with what is remembered of it.
            with torch.no_grad():
                first = self._reencode(self._past[:, : self._past.shape[1] - overlap + 1])
        rest = self._past[:, self._past.shape[1] - overlap + 1 :]
        window = torch.cat((first, rest, latents), dim=1)
        mask = torch.ones(window.shape[:2], dtype=torch.bool, device=window.device)
        mask[:, :overlap] = False
        return window, mask


class LongTakes:
    """A source of chunks that go through one long take after the other.

    The generator's and the critic's turns take the chunks of the same take by turns. Weights move meanwhile, and the
    cache is not computed again.

    Args:
        rollout: makes the takes.
        config: how they are cut.
        reencode: see `Take`.
    """

    def __init__(self, rollout: Rollout, config: StreamingConfig, reencode: Reencode | None = None) -> None:
        self.rollout, self.config, self.reencode = rollout, config, reencode
        self.take: Take | None = None

    def next_chunk(self, prompts: Prompts, draws: Draws, *, gradient: bool) -> Chunk:
        """See `ChunkSource.next_chunk`; the prompts count if the take before is finished."""
        if self.take is None or self.take.finished:
            switches = self.config.switches if prompts.second is not None else range(0)
            switch_frame = switches[draws.choose(len(switches))] if switches else None
            self.take = self._begin(prompts, switch_frame, draws)
        # The noise of a step comes from its own draws, so that a run that was stopped goes on with the same.
        self.take.world.noise = DrawnNoise(draws, len(self.take.prompts.first.text))
        return self.take.next_chunk(exit_step=self.rollout.draw_exit(draws.choose), gradient=gradient)

    def state(self) -> dict[str, Any]:
        """Return what `restore` goes on from, as plain values and tensors."""
        if self.take is None or self.take.finished:
            return {}
        prompts = [{"text": c.text, "actions": c.actions} for c in self.take.prompts if c is not None]
        return {"prompts": prompts, "switch_frame": self.take.switch_frame, "take": self.take.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on in the middle of the take of a state, or with a new one if there was none."""
        self.take = None
        if state:
            prompts = Prompts(*(Conditioning(**fields) for fields in state["prompts"]))
            self.take = self._begin(prompts, state["switch_frame"], Draws(seed=0))
            self.take.restore(state["take"])

    def _begin(self, prompts: Prompts, switch_frame: int | None, draws: Draws) -> Take:
        noise = DrawnNoise(draws, len(prompts.first.text))
        return Take(self.rollout, self.config, prompts, noise, switch_frame=switch_frame, reencode=self.reencode)
