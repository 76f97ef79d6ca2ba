"""The window's attention in one call of torch's fused kernel, for a GPU; equal to `WindowAttention`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.training.objectives.window import PackedAttention, turn


class FusedWindowAttention(PackedAttention):
    """Frames are the kernel's batch, clips and heads its heads.

    The queries of a frame are those of all its copies; its keys are the clean frames that the window shows before it,
    then every copy's own. A mask over frame, query and key says which copy a query belongs to and how far back the
    clip reaches. A mask over the whole packed clip in one row would make the kernel compute five times as much.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        frames: int,
        copies: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, frames, copies, dtype, device)
        self.reach = min(self.window, frames) - 1
        """clean frames before the last one that a frame can see"""
        self.mask = self._mask(config.transformer.frame_tokens, device) if frames > 1 or copies > 1 else None
        if self.mask is not None:
            self.mask = torch.zeros(self.mask.shape, dtype=dtype, device=device).masked_fill_(~self.mask, -torch.inf)

    def _mask(self, tokens: int, device: torch.device | str) -> Tensor:
        """Which keys a query sees: [F, 1, copies * S, (reach + copies) * S] bool."""
        back = torch.arange(1, self.reach + 1, device=device)
        seen = torch.arange(self.frames, device=device)[:, None] >= back  # [F, reach]
        past = seen[:, None].expand(-1, self.copies, -1)
        own = torch.eye(self.copies, dtype=torch.bool, device=device).expand(self.frames, -1, -1)
        by_frame = torch.cat((past, own), -1)  # [F, copies, reach + copies]
        return by_frame.repeat_interleave(tokens, 1).repeat_interleave(tokens, 2)[:, None].contiguous()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B, copies * F, S, heads, hd] before RoPE -> the same shape."""
        batch = q.shape[0]
        q, k, v = (self._frames_outermost(x) for x in (q, k, v))  # [F, B * heads, copies, S, hd]
        sink = k[0, :, 0]
        cos, sin = self.cos[:, None, None], self.sin[:, None, None]
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        far = slice(1, self.late + 1)
        moved = turn(sink.expand(self.late, *sink.shape), self.cos[far, None], self.sin[far, None])
        keys = torch.cat((self._past(k[:, :, 0], moved), k), 2).flatten(2, 3)
        sink_values = v[:1, :, 0].expand(self.late, -1, -1, -1)
        values = torch.cat((self._past(v[:, :, 0], sink_values), v), 2).flatten(2, 3)
        out = F.scaled_dot_product_attention(q.flatten(2, 3), keys, values, attn_mask=self.mask)
        return self._batch_outermost(out, batch)

    def _past(self, clean: Tensor, sink: Tensor) -> Tensor:
        """What each frame sees before itself, nearest first.

        Args:
            clean: keys or values of the clean copy, [F, N, S, hd].
            sink: the first frame's as the late frames see it, [late, N, S, hd].

        Returns:
            [F, N, reach, S, hd]; zeros before the clip's start.
        """
        steps = [F.pad(clean, (0, 0) * 3 + (back, 0))[: self.frames] for back in range(1, self.reach + 1)]
        if self.late:
            steps[-1] = torch.cat((steps[-1][: self.window], sink))
        return torch.stack(steps, 2) if steps else clean[:, :, None][:, :, :0]

    def _frames_outermost(self, x: Tensor) -> Tensor:
        batch, _, tokens, heads, width = x.shape
        x = x.view(batch, self.copies, self.frames, tokens, heads, width).permute(2, 0, 4, 1, 3, 5)
        return x.reshape(self.frames, batch * heads, self.copies, tokens, width)

    def _batch_outermost(self, x: Tensor, batch: int) -> Tensor:
        x = x.unflatten(2, (self.copies, -1)).unflatten(1, (batch, self.heads)).permute(1, 3, 0, 4, 2, 5)
        return x.flatten(1, 2).contiguous()
