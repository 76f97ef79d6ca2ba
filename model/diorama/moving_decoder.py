"""A decoder that moves pictures instead of drawing each frame: what lies between two key pictures is warped from both.

A latent frame stands for four frames. A decoder that draws all four must know the place of each edge in each of them;
what it does not know exactly it blurs over the block, so frames stand still within a block and jump at its end.
Here a latent frame makes one *key picture*, its last frame, and flows that say where each place of the other three is
seen in this key picture and in the one before. The two are blended, and a change is added for what no flow explains
(a wing that flaps, or what just came into view; there the blend can be left out). A key picture that is slightly wrong
then fades in over the block.

Its memory is the last latent frame and the last key picture, which depends on two latent frames and no more.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from longtake.model.diorama.autoencoder_parts import AutoencoderConfig, decoder_trunk, two_latents

BETWEEN = 3
"""frames of a block before its key picture"""
_MOTION_CHANNELS = (2, 2 * BETWEEN * 2, BETWEEN, BETWEEN)
"""velocity, what each frame adds to it towards each key picture, and each frame's two weights"""
_KEPT = 4.0
"""an untrained decoder keeps this much of a blend, before the sigmoid"""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What one latent frame makes before it meets the key picture of the one before it."""

    key: Tensor
    """[B, 3, H, W]: the block's last frame, around zero"""
    motion: Tensor
    """[B, 20, 4 * h, 4 * w]: flows and weights"""
    change: Tensor
    """[B, 3, 3, H, W], by colour and then by frame: added to the first three frames"""


@dataclass(kw_only=True)
class MovingState:
    """The memory of a take: last latent frame [B, C, h, w] and key picture [B, 3, H, W]; None before the first."""

    previous: Tensor | None
    key: Tensor | None
    batch: int = 1


class MovingDecoder(nn.Module):
    """(latent, the latent before it, the key picture before it) -> frames [B, 4, 3, H, W], nominally 0..1."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        if config.frames_per_latent != BETWEEN + 1:
            raise ValueError(f"a latent frame is {BETWEEN + 1} frames here, not {config.frames_per_latent}")
        self.config = config
        width, pixels = config.decoder_widths[-1], 2 * config.upscale
        self.body = nn.Sequential(*decoder_trunk(config))
        self.key = nn.Conv2d(width, 3 * pixels * pixels, 3, padding=1)
        self.motion = nn.Conv2d(width, sum(_MOTION_CHANNELS), 3, padding=1)
        self.change = nn.Conv2d(width, BETWEEN * 3 * pixels * pixels, 3, padding=1)
        self.pixels = nn.PixelShuffle(pixels)
        for head in (self.motion, self.change):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def parts(self, latent: Tensor, previous: Tensor) -> Parts:
        """Both [B, C, h, w]; `previous` is zeros for a take's first latent frame."""
        features = self.body(two_latents(latent, previous))
        # Contiguous: what follows is far slower on channels-last pictures.
        return Parts(
            key=self.pixels(self.key(features)).contiguous(),
            motion=self.motion(features),
            change=self.pixels(self.change(features)).contiguous().unflatten(1, (3, BETWEEN)),
        )

    def frames(self, parts: Parts, key_before: Tensor) -> Tensor:
        """Blend the block's frames, [B, 4, 3, H, W] float32; `key_before` is `parts.key` in a take's first block."""
        keys = torch.stack([parts.key, key_before], 1).float()
        batch, _, _, height, width = keys.shape
        # Places in a picture need more digits than bf16 has.
        places, weights, kept = _seen_where(parts.motion.float(), (height, width))
        # One call samples all three frames, one above the other, without a copy of the key picture for each.
        seen = functional.grid_sample(
            keys.flatten(0, 1), places.flatten(2, 3).flatten(0, 1), padding_mode="border", align_corners=False
        ).view(batch, 2, 3, BETWEEN, height, width)
        blended = torch.lerp(seen[:, 0], seen[:, 1], weights.unsqueeze(1))
        first = torch.addcmul(parts.change.float(), blended, kept.unsqueeze(1))
        return torch.cat([first.transpose(1, 2), keys[:, :1]], 1).add_(0.5)

    def forward(self, latent: Tensor, previous: Tensor, key_before: Tensor | None = None) -> Tensor:
        """One block; without `key_before` it is a take's first."""
        parts = self.parts(latent, previous)
        return self.frames(parts, parts.key if key_before is None else key_before)

    def decode_clip(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> frames [B, 4 * F, 3, H, W], all at once; equal to streaming them."""
        return self.decode_with_lean(latents)[0]

    def decode_with_lean(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """As `decode_clip`, and how far blends lean to one key picture: mean departure of their weights, 0 to 0.75.

        Left to themselves they lean to the newer picture, which then comes in mostly at the boundary of the block.
        """
        batch, count = latents.shape[:2]
        previous = torch.cat([torch.zeros_like(latents[:, :1]), latents[:, :-1]], 1)
        parts = self.parts(latents.flatten(0, 1), previous.flatten(0, 1))
        keys = parts.key.unflatten(0, (batch, count))
        before = torch.cat([keys[:, :1], keys[:, :-1]], 1).flatten(0, 1)
        frames = self.frames(parts, before)
        weights = _weights(parts.motion.split(_MOTION_CHANNELS, 1)[2].float())
        lean = (weights - _weights(torch.zeros_like(weights))).abs().mean()
        return frames.reshape(batch, -1, *frames.shape[2:]), lean

    def open(self, batch: int = 1) -> MovingState:
        """State of a new take: nothing before the first latent frame."""
        return MovingState(previous=None, key=None, batch=batch)

    def decode(self, latents: Tensor, state: MovingState) -> Tensor:
        """Next latent frames [B, F, C, h, w] -> frames [B, 4 * F, 3, H, W] float in 0..1; updates `state`.

        Example, the loop that drives it::

            state = decoder.open()
            for latents in blocks:
                show(decoder.decode(latents, state))
        """
        pictures: list[Tensor] = []
        for latent in latents.unbind(1):
            parts = self.parts(latent, torch.zeros_like(latent) if state.previous is None else state.previous)
            pictures.append(self.frames(parts, parts.key if state.key is None else state.key).clamp_(0, 1))
            state.previous, state.key = latent, parts.key
        return torch.cat(pictures, 1)


def _seen_where(motion: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return each pixel's place in both key pictures, how much the older one counts, and how much of both is kept.

    Args:
        motion: [B, 20, h, w]; one unit of flow is a pixel of the encoder, and features lie at every second of them.
        size: H and W of the pictures.

    Returns:
        [B, 2, 3, H, W, 2] for `grid_sample`, and twice [B, 3, H, W].
    """
    height, width = motion.shape[-2:]
    velocity, extra, logits, kept = motion.contiguous().split(_MOTION_CHANNELS, 1)
    # What a frame shows at x is at x + 3 v in the key picture three frames later, and at x - v in the one before.
    frame = torch.arange(BETWEEN, device=motion.device, dtype=motion.dtype)
    times = torch.stack([BETWEEN - frame, -1 - frame]).view(1, 2, BETWEEN, 1, 1, 1)
    offsets = torch.addcmul(extra.unflatten(1, (2, BETWEEN, 2)), times, velocity[:, None, None])
    offsets = offsets * torch.tensor([1 / width, 1 / height], device=motion.device).view(2, 1, 1)
    low = torch.cat([offsets.flatten(1, 3), _weights(logits), torch.sigmoid(kept + _KEPT)], 1)
    # Two products enlarge bilinearly, in less time than `interpolate`, and leave x and y side by side.
    down, across = (_enlarging(*sizes, motion.device) for sizes in zip(low.shape[-2:], size, strict=True))
    y, x = (_places(count, motion.device) for count in size)
    with _in_full_precision(motion.device):
        wide = low @ across.T
        moved = wide[:, : -2 * BETWEEN].unflatten(1, (2, BETWEEN, 2)).movedim(3, -1)
        # Two more rows add each pixel's own place: x, the same in every row of the picture, and y.
        zeros, ones = torch.zeros_like(x), torch.ones_like(x)
        own = torch.stack([torch.stack([x, zeros], -1), torch.stack([zeros, ones], -1)])
        moved = torch.cat([moved, own.expand(*moved.shape[:3], -1, -1, -1)], 3).flatten(-2)
        places = (torch.cat([down, torch.ones_like(y)[:, None], y[:, None]], 1) @ moved).unflatten(-1, (-1, 2))
        weights, kept = (down @ wide[:, -2 * BETWEEN :]).split(BETWEEN, 1)
    return places, weights, kept


def _in_full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Multiply in the operands' own type, whatever training has asked for; the `meta` device knows no such thing."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _enlarging(count: int, wanted: int, device: torch.device) -> Tensor:
    """Return what enlarges `count` samples in a line to `wanted`, linearly: [wanted, count]."""
    lines = torch.eye(count, device=device).unsqueeze(0)
    return functional.interpolate(lines, size=wanted, mode="linear", align_corners=False)[0].T


def _weights(logits: Tensor) -> Tensor:
    """Return how much the older key picture counts, [B, 3, h, w]; without a word from the features, by its distance."""
    frame = torch.arange(BETWEEN, device=logits.device)
    return torch.sigmoid(logits + torch.log((BETWEEN - frame) / (1 + frame)).view(BETWEEN, 1, 1))


def _places(count: int, device: torch.device) -> Tensor:
    """Return the places of pixels in a line for `grid_sample`, [count], -1..1 from edge to edge."""
    return (torch.arange(count, device=device) + 0.5) * (2 / count) - 1
