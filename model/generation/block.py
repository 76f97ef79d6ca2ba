"""A block that has been made, its frames perhaps still being decoded."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from longtake.model.errors import WorldError
from longtake.model.generation.decoding import PendingFrames
from longtake.model.generation.timing import Stopwatch


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A block that has been made.

    Attributes:
        index: in the take.
        first_frame: tick of its first picture.
        latents: [B, F, C, h, w].
        pictures: its frames, perhaps still being decoded; None without a decoder.
        stopwatch: the world's.
        decode_stopwatch: the decoder's, for this block.
        overlaps: whether its frames are made beside what comes next, so that `wait` ends before they are there.
        made: the device's event after the block's last forward; None on a CPU, which is there by then.
    """

    index: int
    first_frame: int
    latents: Tensor
    pictures: PendingFrames | None
    stopwatch: Stopwatch
    decode_stopwatch: Stopwatch
    overlaps: bool
    made: torch.cuda.Event | None

    def wait(self) -> None:
        """Wait until the transformer is done with the block; its frames may take longer."""
        if self.made is not None:
            self.made.synchronize()

    @cached_property
    def frames(self) -> Tensor:
        """[B, n, H, W, 3] uint8 RGB on the CPU. Waits until they are decoded. Raises WorldError without a decoder."""
        if self.pictures is None:
            raise WorldError("this generator has no decoder, so its blocks have latents and no frames")
        return self.pictures.wait()

    @cached_property
    def step_ms(self) -> dict[str, float]:
        """By region (`longtake.model.generation.timing.REGIONS`), cues since the last block included, not its decoding.

        Waits for the transformer. Ask for it before the next block is begun, which would count as this one's.
        """
        self.wait()
        return self.stopwatch.read()

    @cached_property
    def timings_ms(self) -> dict[str, float]:
        """As `step_ms`, with the decoding; waits for the frames. Where decoding overlaps, the regions do too."""
        spent = dict(self.step_ms)
        if self.pictures is not None:
            _ = self.frames
            spent["decode"] += self.decode_stopwatch.read()["decode"]
        return spent
