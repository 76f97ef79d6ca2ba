"""From the product of q, k and v to attention: norms, RoPE, and the write into the ring."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.cache.fp8 import quantise
from longtake.model.cache.ring import RingSlots
from longtake.model.network.rope import rotate
from longtake.model.ops.attention.fp8 import saturated
from longtake.model.ops.linear.fp8 import E4M3
from longtake.model.ops.triton.kernels import qkv_kernel
from longtake.model.ops.triton.launch import block, check_contiguous, grid, rows_of


class Norms(NamedTuple):
    """The norm weights of q and k, [D] each, and their eps."""

    query: Tensor
    key: Tensor
    eps: float


def write_qkv(qkv: Tensor, norms: Norms, slots: RingSlots) -> Tensor:
    """Norm and rotate q and k, write k and v into the ring, and return q.

    Args:
        qkv: of all the frames' tokens, [B, T, 3 D], contiguous.
        norms: over the full width D.
        slots: where the tokens go.

    Returns:
        Queries after RoPE, [B, T, heads, head_dim] in qkv's type.
    """
    check_contiguous(qkv)
    batch, tokens, _ = qkv.shape
    keys = slots.keys
    heads, ring_tokens, head_dim = keys.shape[1:]
    queries = torch.empty((batch, tokens, heads, head_dim), dtype=qkv.dtype, device=qkv.device)
    scales = (slots.key_scales, slots.value_scales)
    qkv_kernel[grid(qkv, batch * tokens)](
        qkv,
        norms.query,
        norms.key,
        torch.view_as_real(slots.table),
        slots.tokens,
        queries,
        keys,
        slots.values,
        *(queries if scale is None else scale for scale in scales),
        slots.sink_keys,
        batch * tokens,
        tokens,
        slots.sink_start,
        slots.sink_tokens,
        ring_tokens,
        slots.sink_keys.shape[2],
        norms.eps,
        HEADS=heads,
        HEAD_DIM=head_dim,
        ROWS=rows_of(qkv),
        HEADS_BLOCK=block(heads),
        HALF_BLOCK=block(head_dim // 2),
        SCALED=slots.key_scales is not None,
        SATURATED=keys.dtype == E4M3,
        SINK=slots.sink_tokens > 0,
        num_warps=4,
    )
    return queries


def plain_write_qkv(qkv: Tensor, norms: Norms, slots: RingSlots) -> Tensor:
    """Compute what `write_qkv` does, operator by operator."""
    heads, _, head_dim = slots.keys.shape[1:]
    q, k, v = qkv.float().unflatten(-1, (3, -1)).unbind(-2)
    q = F.rms_norm(q, q.shape[-1:], norms.query.float(), norms.eps).unflatten(-1, (heads, head_dim))
    k = F.rms_norm(k, k.shape[-1:], norms.key.float(), norms.eps).unflatten(-1, (heads, head_dim))
    v = v.unflatten(-1, (heads, head_dim))
    if slots.sink_tokens:
        sink = slice(slots.sink_start, slots.sink_start + slots.sink_tokens)
        slots.sink_keys[:, :, sink] = k.transpose(1, 2)[:, :, : slots.sink_tokens].to(slots.sink_keys.dtype)
    table, at = slots.table.flatten(0, -2), slots.tokens.long()
    for x, kept, scales in (
        (rotate(k, table), slots.keys, slots.key_scales),
        (v, slots.values, slots.value_scales),
    ):
        by_head = x.transpose(1, 2)
        if kept.dtype != E4M3:
            kept[:, :, at] = by_head.to(kept.dtype)
            continue
        if scales is None:
            rounded = saturated(by_head)
        else:
            rounded, scale = quantise(by_head)
            scales[:, :, at] = scale.to(scales.dtype)
        # Torch has no assignment by index in e4m3.
        kept.view(torch.uint8)[:, :, at] = rounded.view(torch.uint8)
    return rotate(q, table).to(qkv.dtype)
