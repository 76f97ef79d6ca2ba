"""Attention without a mask: the contract, and the two plain ways to compute it.

An attention takes q, k, v as [B, heads, tokens, head_dim] (any strides, the last dimension contiguous) and returns
[B, heads, query tokens, head_dim]. None masks: the caller passes exactly the keys that are visible.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

LARGEST_SCORES = 2**23
"""Above this many scores, attention runs in chunks of heads and queries. So what the first product writes is still in
the processor's cache when the second reads it, and a large model's scores do not fill the memory."""


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Torch's fused attention; picks its own kernel (cuDNN or flash on a GPU)."""
    return F.scaled_dot_product_attention(q, k, v)


def bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Two explicit matrix products: the fastest on a CPU at diorama's sizes, where calls cost more than arithmetic."""
    return in_chunks(two_products, q, k, v)


def two_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend at once, whatever the size of the scores."""
    batch, heads, _, width = q.shape
    scores = torch.bmm((q * width**-0.5).flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
    return torch.bmm(scores.softmax(dim=-1), v.flatten(0, 1)).view(batch, heads, *q.shape[2:])


def in_chunks(attention: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend at once, or above `LARGEST_SCORES` in chunks: as many heads at a time as there are threads."""
    if q[..., 0].numel() * k.shape[2] <= LARGEST_SCORES:
        return attention(q, k, v)
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    heads, rows = torch.get_num_threads(), max(1, LARGEST_SCORES // k.shape[2])
    for into, queries, keys, values in zip(*(x.flatten(0, 1).split(heads) for x in (out, q, k, v)), strict=True):
        for made, part in zip(into.split(rows, dim=1), queries.split(rows, dim=1), strict=True):
            made.copy_(attention(part[None], keys[None], values[None])[0])
    return out
