"""Attention for training: every frame sees what it would see at play time, for a whole clip in one pass.

A clip comes as one clean copy and n noised copies of its F latent frames (teacher forcing). Frame i of any copy attends
to the *clean* keys of the sink and of the window before it, and to its own copy's keys of frame i, which is exactly
what the ring cache holds while block i is denoised (noised copies) and in its clean pass (clean copy).
Positions are the `relative` ones: from the wrap on, the sink stays at the window's far end.

`WindowAttention` runs frame by frame, for a CPU: autograd would fill a zero tensor of the whole clip for each of the F
slices, so its backward pass is written by hand. `longtake.model.training.objectives.fused` is the same in one call.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.network.rope import Rope


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the interleaved pairs of x [..., head_dim] by angles whose cos and sin are given, [..., head_dim / 2]."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class PackedAttention(ABC):
    """Callable for a layer's self-attention over packed copies.

    Args:
        config: window, sink and grid; blocks of one latent frame.
        frames: latent frames of a clip, F.
        copies: clean and noised copies together.
        dtype: of q, k and v.
        device: of q, k and v.

    Raises:
        ConfigError: the config is of a model that this attention is not written for.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        frames: int,
        copies: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        if config.block_frames != 1 or config.sink_frames != 1 or config.positions != "relative":
            raise ConfigError("training attention is written for blocks of one latent frame, a sink of one, relative")
        self.frames, self.copies, self.heads = frames, copies, config.transformer.heads
        self.window = config.window_frames
        self.late = max(0, frames - self.window)
        """frames that see the sink moved, because the window has left it behind"""
        rope = Rope(config.transformer.head_dim, config.transformer.grid, device)
        table = torch.view_as_real(rope.table(list(range(frames)))).to(dtype)  # [F, S, hd / 2, 2]
        self.cos, self.sin = table[..., 0].contiguous(), table[..., 1].contiguous()

    @abstractmethod
    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B, copies * F, S, heads, hd] before RoPE -> the same shape."""


class WindowAttention(PackedAttention):
    """Frame by frame, with a backward pass written by hand: the fastest on a CPU."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B, copies * F, S, heads, hd] before RoPE -> the same shape."""
        q, k, v = (self._heads_first(x) for x in (q, k, v))  # [B * heads, F, copies, S, hd]
        sink = k[:, 0, 0]
        cos, sin = self.cos[:, None], self.sin[:, None]
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        # The sink as seen from each frame: its own position until the wrap, then moving with the window.
        far = slice(1, self.late + 1)
        moved = turn(sink[:, None].expand(-1, self.late, -1, -1), self.cos[far], self.sin[far])
        out: Tensor = _Windows.apply(q, k, v, moved, self.window)  # type: ignore[no-untyped-call]
        return self._frames_first(out)

    def _heads_first(self, x: Tensor) -> Tensor:
        batch, _, tokens, heads, width = x.shape
        x = x.view(batch, self.copies, self.frames, tokens, heads, width).permute(0, 4, 2, 1, 3, 5)
        return x.reshape(batch * heads, self.frames, self.copies, tokens, width)

    def _frames_first(self, x: Tensor) -> Tensor:
        _, frames, copies, tokens, width = x.shape
        x = x.unflatten(0, (-1, self.heads)).permute(0, 3, 2, 4, 1, 5)
        return x.reshape(x.shape[0], copies * frames, tokens, -1, width)


class _Windows(torch.autograd.Function):
    """Softmax attention frame by frame; q, k, v [N, F, copies, S, hd], moved sinks [N, late, S, hd]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, moved: Tensor, window: int) -> Tensor:
        frames = q.shape[1]
        clean_k, clean_v = k[:, :, 0].contiguous(), v[:, :, 0].contiguous()
        out = torch.empty_like(q)
        saved = []
        scale = q.shape[-1] ** -0.5
        for i in range(frames):
            past_k, past_v = _past(clean_k, clean_v, moved, i, window)
            queries = q[:, i].flatten(1, 2) * scale  # [N, copies * S, hd]
            own = torch.matmul(queries.unflatten(1, q.shape[2:4]), k[:, i].transpose(-1, -2)).flatten(1, 2)
            scores = own if i == 0 else torch.cat((torch.bmm(queries, past_k.transpose(1, 2)), own), -1)
            p = torch.softmax(scores, -1)
            reach = past_k.shape[1]
            attended = torch.matmul(p[..., reach:].unflatten(1, q.shape[2:4]), v[:, i])
            if i:
                attended += torch.bmm(p[..., :reach], past_v).view_as(attended)
            out[:, i] = attended
            saved.append(p)
        ctx.save_for_backward(q, k, v, moved, out, *saved)
        ctx.window = window
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        q, k, v, moved, out, *saved = ctx.saved_tensors
        window, scale = ctx.window, q.shape[-1] ** -0.5
        clean_k, clean_v = k[:, :, 0].contiguous(), v[:, :, 0].contiguous()
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        past_grad_k, past_grad_v = torch.zeros_like(clean_k), torch.zeros_like(clean_v)
        grad_moved = torch.zeros_like(moved)
        grad = grad.contiguous()
        along = (grad * out).sum(-1)  # [N, F, copies, S]
        for i in range(q.shape[1]):
            past_k, past_v = _past(clean_k, clean_v, moved, i, window)
            p, reach = saved[i], past_k.shape[1]
            g = grad[:, i]
            flat = g.flatten(1, 2)
            own = torch.matmul(g, v[:, i].transpose(-1, -2)).flatten(1, 2)
            grad_p = own if i == 0 else torch.cat((torch.bmm(flat, past_v.transpose(1, 2)), own), -1)
            grad_s = grad_p.sub_(along[:, i].flatten(1, 2).unsqueeze(-1)).mul_(p).mul_(scale)
            own_s = grad_s[..., reach:].unflatten(1, q.shape[2:4])
            own_p = p[..., reach:].unflatten(1, q.shape[2:4])
            into_q = torch.matmul(own_s, k[:, i])
            grad_k[:, i] = torch.matmul(own_s.transpose(-1, -2), q[:, i])
            grad_v[:, i] = torch.matmul(own_p.transpose(-1, -2), g)
            if i:
                into_q += torch.bmm(grad_s[..., :reach], past_k).view_as(into_q)
                from_k = torch.bmm(grad_s[..., :reach].transpose(1, 2), q[:, i].flatten(1, 2))
                from_v = torch.bmm(p[..., :reach].transpose(1, 2), flat)
                _spread(past_grad_k, past_grad_v, grad_moved, from_k, from_v, i, window)
            grad_q[:, i] = into_q
        grad_k[:, :, 0] += past_grad_k
        grad_v[:, :, 0] += past_grad_v
        return grad_q, grad_k, grad_v, grad_moved, None


def _past(k: Tensor, v: Tensor, moved: Tensor, i: int, window: int) -> tuple[Tensor, Tensor]:
    """The clean keys and values frame i sees before itself: each [N, frames * S, hd]."""
    if i < window:
        return k[:, :i].flatten(1, 2), v[:, :i].flatten(1, 2)
    recent = slice(i - window + 2, i)
    past_k = torch.cat((moved[:, i - window], k[:, recent].flatten(1, 2)), 1)
    return past_k, torch.cat((v[:, 0], v[:, recent].flatten(1, 2)), 1)


def _spread(k: Tensor, v: Tensor, moved: Tensor, from_k: Tensor, from_v: Tensor, i: int, window: int) -> None:
    """Add the gradients of `_past`'s result to where its parts came from."""
    tokens = k.shape[2]
    if i < window:
        k[:, :i] += from_k.unflatten(1, (-1, tokens))
        v[:, :i] += from_v.unflatten(1, (-1, tokens))
        return
    recent = slice(i - window + 2, i)
    moved[:, i - window] += from_k[:, :tokens]
    v[:, 0] += from_v[:, :tokens]
    k[:, recent] += from_k[:, tokens:].unflatten(1, (-1, tokens))
    v[:, recent] += from_v[:, tokens:].unflatten(1, (-1, tokens))
