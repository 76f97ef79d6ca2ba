"""The tiny decoder: latent frames to frames, by 2-D convolutions with a memory of one frame in each block.

Parameter names are those of the public `taew2_1` (TAEHV), so its file loads as it is. Each latent frame becomes four
frames, and a take's first becomes one, as with Wan's own decoder. Streaming is exact: each memory is the previous frame
at that depth, so latent frames may come one by one or all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from longtake.model.errors import ShapeError

# fmt: off
LATENT_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)
LATENT_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)
# fmt: on
"""mean and deviation of the channels of Wan2.1's latents, which normalise the transformer's"""


@dataclass(frozen=True, kw_only=True)
class TinyDecoderConfig:
    """Sizes of the decoder. The defaults fit the public weights."""

    latent_channels: int = 16
    widths: tuple[int, int, int, int] = (256, 128, 64, 64)
    """channels at 1/8, 1/4, 1/2 and the full size of a frame"""
    grows: tuple[int, int, int] = (1, 2, 2)
    """frames that one frame becomes after each of the three stages"""
    blocks: int = 3
    """blocks with a memory in each stage"""
    latents: Literal["normalised", "raw"] = "normalised"
    """what the weights were trained on: `taew2_1` on the transformer's latents, `lighttaew2_1` on Wan's, which are
    those times a standard deviation plus a mean for each channel"""

    @property
    def frames_per_latent(self) -> int:
        """Frames that a latent frame becomes."""
        first, second, third = self.grows
        return first * second * third


class MemoryBlock(nn.Module):
    """Three convolutions of a frame and the previous one, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, pairs: Tensor, out: Tensor) -> None:
        """Compute frames.

        Args:
            pairs: each frame with the one before it, [B, T, 2 C, h, w].
            out: where the frames go, [B, T, C, h, w]; any strides.
        """
        frames = pairs[:, :, : out.shape[2]]
        mixed: Tensor = self.conv(pairs.flatten(0, 1))
        torch.add(mixed.view(frames.shape), frames, out=out).relu_()


class Grow(nn.Module):
    """Turns one frame into `times` frames, by a linear map of each pixel.

    It comes after the nearest-neighbour upsampling in the order of the parts. The two can change places, since all
    pixels are mapped alike, and then the map has a quarter of the pixels.
    """

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        self.times = times
        self.conv = nn.Conv2d(width, width * times, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, h, w] -> [B, T * times, C, h, w]."""
        batch, channels = x.shape[0], x.shape[2]
        out: Tensor = self.conv(x.flatten(0, 1)).reshape(batch, -1, channels, *x.shape[3:])
        return out


class SoftClamp(nn.Module):
    """Bends outliers back; nearly the identity between -2 and 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.tanh(x / 3) * 3


@dataclass(kw_only=True)
class TinyState:
    """The decoder's memory of a take: the last frame of each block, [B, C, h, w], by the block's index."""

    memory: dict[int, Tensor] = field(default_factory=dict)
    started: bool = False


class TinyDecoder(nn.Module):
    """See the module."""

    def __init__(self, config: TinyDecoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        parts: list[nn.Module] = [SoftClamp(), nn.Conv2d(config.latent_channels, widths[0], 3, padding=1), nn.ReLU()]
        for width, after, times in zip(widths, widths[1:], config.grows, strict=False):
            parts += [MemoryBlock(width) for _ in range(config.blocks)]
            parts += [nn.Upsample(scale_factor=2), Grow(width, times)]
            parts += [nn.Conv2d(width, after, 3, padding=1, bias=False)]
        parts += [nn.ReLU(), nn.Conv2d(widths[-1], 3, 3, padding=1)]
        self.decoder = nn.Sequential(*parts)
        self._scale: tuple[Tensor, Tensor] | None = None

    def open(self, batch: int = 1) -> TinyState:
        """Return the state of a new take. Its batch is that of the first latents."""
        return TinyState()

    @torch.inference_mode()
    def decode(self, latents: Tensor, state: TinyState) -> Tensor:
        """Decode the next latent frames; updates `state`.

        Args:
            latents: [B, F, C, h, w] float, as the transformer makes them.
            state: from `open`; changed in place.

        Returns:
            [B, n, 3, 8 h, 8 w] float in 0..1; n is 4 F, or 4 F - 3 with a take's first latent frame.

        Raises:
            ShapeError: the latents do not fit this decoder.
        """
        if latents.ndim != 5 or latents.shape[2] != self.config.latent_channels:
            raise ShapeError(f"latents {tuple(latents.shape)} are not [B, F, {self.config.latent_channels}, h, w]")
        x = self._as_trained(latents).to(self.decoder[1].weight.dtype)  # type: ignore[arg-type]
        memories: list[tuple[int, MemoryBlock]] = []
        waiting: list[nn.Module] = []
        for place, part in enumerate(self.decoder):
            if isinstance(part, MemoryBlock):
                memories.append((place, part))
                continue
            if memories:
                x, memories = _run_memories(x, memories, state), []
            if isinstance(part, nn.Upsample):
                waiting.append(part)
            elif isinstance(part, Grow):
                x = _each(waiting.pop(), part(x))
            else:
                x = _each(part, x)
        if not state.started:
            state.started = True
            x = x[:, self.config.frames_per_latent - 1 :]
        return x.clamp(0, 1)

    def decode_block(self, latents: Tensor, state: TinyState) -> Tensor:
        """Decode a block in one call; as `decode`, which takes any number of latent frames."""
        return self.decode(latents, state)

    def memory(self, state: TinyState) -> list[Tensor] | None:
        """Return the tensors of a take's memory, by depth; None before its first latent frame is decoded."""
        return [state.memory[place] for place in sorted(state.memory)] if state.started else None

    def with_memory(self, tensors: list[Tensor]) -> TinyState:
        """Return the state of a take that has begun, with this memory."""
        places = [place for place, part in enumerate(self.decoder) if isinstance(part, MemoryBlock)]
        return TinyState(memory=dict(zip(places, tensors, strict=True)), started=True)

    def _as_trained(self, latents: Tensor) -> Tensor:
        if self.config.latents == "normalised":
            return latents
        if self._scale is None or self._scale[0].device != latents.device:
            mean, std = (torch.tensor(values, device=latents.device) for values in (LATENT_MEAN, LATENT_STD))
            self._scale = mean.view(-1, 1, 1), std.view(-1, 1, 1)
        mean, std = self._scale
        return latents.float() * std + mean


def _each(part: nn.Module, x: Tensor) -> Tensor:
    """Apply a part to every frame: [B, T, C, h, w] -> [B, T, C', h', w']."""
    out: Tensor = part(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return out


def _run_memories(x: Tensor, blocks: Sequence[tuple[int, MemoryBlock]], state: TinyState) -> Tensor:
    """Run the blocks of a stage: [B, T, C, h, w] -> the same; updates the memory.

    Each block reads frames beside the ones before them. The block before it writes them there itself, so nothing is
    concatenated: this decoder's time is in such passes, not in its convolutions.
    """
    batch, frames, channels, *size = x.shape
    pairs = x.new_empty((batch, frames, 2 * channels, *size))
    pairs[:, :, :channels].copy_(x)
    for index, (place, block) in enumerate(blocks):
        now, before = pairs.split(channels, dim=2)
        past = state.memory.get(place)
        if past is None:
            before[:, 0].zero_()
        else:
            before[:, 0].copy_(past)
        before[:, 1:].copy_(now[:, :-1])
        state.memory[place] = now[:, -1].clone()
        last = index == len(blocks) - 1
        following = torch.empty_like(x) if last else torch.empty_like(pairs)
        block(pairs, following[:, :, :channels])
        pairs = following
    return pairs
