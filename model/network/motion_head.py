"""A convolutional head that moves the picture: it corrects a causal transformer's flow from the last two latent frames.

What the next frame shows is mostly what the last ones showed, a little further on. Patches and attention learn such
shifts slowly; a few convolutions over the same latents learn them in minutes. So the head foretells the next frame from
the two before it and from the actions, once for each block; then, in every step of the sampler, it weighs what it
foretold against what the transformer says is to be seen.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake.model.ops.convolution import packed_convolution

LEVELS: Final = 8
"""cosines that a noise level is told by"""
BEFORE: Final = 2
"""latent frames that are looked back at: where things are, and how fast they move"""
HIDDEN: Final = 64
"""width of the layer that the conditioning passes"""
FORETELLING: Final = 3
"""residual convolutions that foretell a frame"""
WEIGHING: Final = 2
"""residual convolutions that correct a flow"""


class Before(NamedTuple):
    """What stands before each of some latent frames.

    Attributes:
        latents: the last frame and the one before it, [B, F, 2, C, h, w]; zeros for those that there are not.
        known: whether there are such frames, [B, F, 2], 1 or 0.
        actions: what the last frame was made under, [B, F, axes]; None for a model without actions.
    """

    latents: Tensor
    known: Tensor
    actions: Tensor | None = None

    @classmethod
    def of(cls, frames: Tensor, actions: Tensor | None = None) -> "Before":
        """Return what stands before each frame of clips.

        Args:
            frames: of a take from its start, [B, F, C, h, w].
            actions: what each was made under, [B, F, axes].
        """
        b, f = frames.shape[:2]
        padded = torch.cat((frames.new_zeros(b, BEFORE, *frames.shape[2:]), frames), 1)
        latents = torch.stack([padded[:, BEFORE - back : BEFORE - back + f] for back in range(1, BEFORE + 1)], 2)
        index = torch.arange(f, device=frames.device)
        known = (index[:, None] >= torch.arange(1, BEFORE + 1, device=frames.device)).to(frames.dtype)
        if actions is not None:
            actions = torch.cat((torch.zeros_like(actions[:, :1]), actions[:, :-1]), 1)
        return cls(latents, known.expand(b, f, BEFORE), actions)

    def repeat(self, copies: int) -> "Before":
        """Return the same before each of so many copies of the frames, one copy after the other."""
        actions = None if self.actions is None else self.actions.repeat(1, copies, 1)
        return Before(self.latents.repeat(1, copies, 1, 1, 1, 1), self.known.repeat(1, copies, 1), actions)


class Convolutions(nn.Module):
    """A linear convolution, and beside it residual ones that a conditioning modulates (FiLM, arXiv:1709.07871).

    Args:
        inputs: channels.
        outputs: channels.
        width: channels in between.
        depth: residual convolutions.
        told: width of the conditioning.
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, depth: int, told: int) -> None:
        super().__init__()
        self.inner, self.depth, self.width = 2 * width * depth, depth, width
        self._packed: list[Callable[[Tensor], Tensor]] | None = None
        self.inputs = nn.Conv2d(inputs, width, 5, padding=2)
        self.straight = nn.Conv2d(inputs, outputs, 5, padding=2)
        self.residual = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.outputs = nn.Conv2d(width, outputs, 3, padding=1)
        self.condition = nn.Sequential(nn.Linear(told, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, self.inner + 2 * outputs))

    def initialise(self) -> None:
        """Start with an output of zero."""
        for last in (self.straight, self.outputs):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def pack(self, size: Sequence[int]) -> None:
        """Lay the weights out for oneDNN, for inference at a height and width; later changes have no effect."""
        both = [torch.cat((x, y)) for x, y in zip(self._pair(self.inputs), self._pair(self.straight), strict=True)]
        rest = [self._pair(each) for each in (*self.residual, self.outputs)]
        self._packed = [packed_convolution(weight, bias, size) for weight, bias in (both, *rest)]

    @staticmethod
    def _pair(convolution: nn.Module) -> tuple[Tensor, Tensor]:
        return convolution.get_parameter("weight"), convolution.get_parameter("bias")

    def _run(self, frames: Tensor) -> tuple[Tensor, Tensor, Sequence[Callable[[Tensor], Tensor]]]:
        """Return what the first convolutions make, and the others."""
        if self._packed is None or torch.is_grad_enabled():
            others: list[Callable[[Tensor], Tensor]] = [*self.residual, self.outputs]
            return self.inputs(frames), self.straight(frames), others
        x, straight = self._packed[0](frames).split((self.width, self.outputs.out_channels), 1)
        return x, straight, self._packed[1:]

    def forward(self, seen: Tensor, told: Tensor) -> Tensor:
        """seen: [B, F, inputs, h, w], told: [B, F, width] -> [B, F, outputs, h, w]."""
        frames = seen.flatten(0, 1)
        made = self.condition(told).flatten(0, 1)[..., None, None]
        modulation = made[:, : self.inner].unflatten(1, (self.depth, 2, -1))
        gains = made[:, self.inner :].unflatten(1, (2, -1))
        x, straight, (*residual, outputs) = self._run(frames)
        for index, convolution in enumerate(residual):
            x = x + convolution(F.gelu(x * (1 + modulation[:, index, 0]) + modulation[:, index, 1]))
        sums = straight * (1 + gains[:, 0]) + outputs(F.gelu(x)) * (1 + gains[:, 1])
        result: Tensor = sums.view(*seen.shape[:2], *sums.shape[1:])
        return result


class MotionHead(nn.Module):
    """See the module. As built it changes nothing.

    Args:
        channels: of a latent frame.
        width: of the convolutions.
        actions: axes of the action vector; 0 for none.
    """

    def __init__(self, channels: int, width: int, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.foretelling = Convolutions(
            BEFORE * channels, channels, width=width, depth=FORETELLING, told=BEFORE + 2 * actions
        )
        self.weighing = Convolutions(
            (2 + BEFORE) * channels, channels, width=width, depth=WEIGHING, told=LEVELS + BEFORE + 2 * actions
        )

    def initialise(self) -> None:
        """Start by foretelling nothing and changing nothing."""
        self.foretelling.initialise()
        self.weighing.initialise()

    def pack(self, size: Sequence[int]) -> None:
        """Make inference faster on a CPU that `has_packed_convolution`; see `Convolutions.pack`."""
        self.foretelling.pack(size)
        self.weighing.pack(size)

    def foretell(self, actions: Tensor | None, before: Before) -> Tensor:
        """Return the frames that seem to come next: zeros where less than two stand before them.

        Args:
            actions: what they are made under, [B, F, axes]; None is zeros.
            before: what stands before them.

        Returns:
            [B, F, C, h, w].
        """
        dtype = self.foretelling.inputs.weight.dtype
        foretold = self.foretelling(before.latents.to(dtype).flatten(2, 3), self._told(actions, before, dtype))
        result: Tensor = foretold * before.known.to(dtype).amin(-1)[..., None, None, None]
        return result

    def forward(
        self,
        flow: Tensor,
        noisy: Tensor,
        t: Tensor,
        actions: Tensor | None,
        before: Before,
        foretold: Tensor | None = None,
    ) -> Tensor:
        """Return the flow, corrected.

        Args:
            flow: the transformer's, [B, F, C, h, w].
            noisy: what it is the flow of, like it.
            t: timesteps, [B, F], 0 to 1000.
            actions: what the frames are made under, [B, F, axes]; None is zeros.
            before: what stands before them.
            foretold: from `foretell`, if that has been called.

        Returns:
            Like flow, in its type.
        """
        dtype = self.weighing.inputs.weight.dtype
        foretold = self.foretell(actions, before) if foretold is None else foretold
        level, noisy, said = t.to(dtype) / 1000, noisy.to(dtype), flow.to(dtype)
        estimate = noisy - level[..., None, None, None] * said
        seen = torch.cat((noisy, estimate, foretold, before.latents[:, :, 0].to(dtype)), 2)
        tellers = torch.stack([torch.cos(math.pi * turns * level) for turns in range(LEVELS)], -1)
        told = torch.cat((tellers, self._told(actions, before, dtype)), -1)
        corrected: Tensor = (said + self.weighing(seen, told)).to(flow.dtype)
        return corrected

    def _told(self, actions: Tensor | None, before: Before, dtype: torch.dtype) -> Tensor:
        """Return which frames are known, then the actions of the frames and of those before them: [B, F, width]."""
        known = before.known.to(dtype)
        if not self.actions:
            return known
        still = known.new_zeros(*known.shape[:2], self.actions)
        each = [still if told is None else told.to(dtype) for told in (actions, before.actions)]
        return torch.cat((known, *each), -1)
