"""A block whose latents are made; its frames may still be decoding."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from longtake.model.errors import WorldError
from longtake.model.generation.decoding import PendingFrames
from longtake.model.generation.timing import Stopwatch


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A block whose latents are made.

    Attributes:
        index: in the take.
        first_frame: tick of its first picture.
        latents: [B, F, C, h, w].
        pending: its frames, which may still be decoding; None without a decoder.
        stopwatch: the world's until this block was made.
        decode_stopwatch: that of the decoder, for this block.
        overlaps: True if its frames decode while the next block is made, so that `wait` returns before they are done.
        made: the device's event after the block's last denoising pass; None on a CPU, which is done by then.
    """

    index: int
    first_frame: int
    latents: Tensor
    pending: PendingFrames | None
    stopwatch: Stopwatch
    decode_stopwatch: Stopwatch
    overlaps: bool
    made: torch.cuda.Event | None

    def wait(self) -> None:
        """Wait until the block is denoised. Its frames may take longer."""
        if self.made is not None:
            self.made.synchronize()

    @cached_property
    def frames(self) -> Tensor:
        """[B, n, H, W, 3] uint8 RGB on the CPU. Waits until they are decoded. Raises WorldError without a decoder."""
        if self.pending is None:
            raise WorldError("this generator has no decoder, so its blocks have latents and no frames")
        return self.pending.wait()

    @cached_property
    def step_ms(self) -> dict[str, float]:
        """Milliseconds by region (`longtake.model.generation.timing.REGIONS`), without decoding.

        What the world did since the block before counts: cues, and that block's clean pass. Waits for the denoising.
        """
        self.wait()
        return self.stopwatch.read()

    @cached_property
    def timings_ms(self) -> dict[str, float]:
        """As `step_ms`, with the decoding. Waits for the frames. If decoding overlaps, so do the regions."""
        spent = dict(self.step_ms)
        if self.pending is not None:
            _ = self.frames
            spent["decode"] += self.decode_stopwatch.read()["decode"]
        return spent
