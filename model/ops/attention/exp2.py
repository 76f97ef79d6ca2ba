"""Softmax to base 2: attention in fewer passes over the scores, for inference on a CPU."""

import math

import torch
from torch import Tensor

from longtake.model.ops.attention.base import in_chunks

SAFE_SUMS = 1e-20, 1e20
"""Between these, a row's sum of powers of two has neither overflowed nor underflowed, in bf16 or in fp32."""


def exp2_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with scaled queries (`longtake.model.ops.attention.prescaled`): `bmm` in fewer passes.

    It does not search for a row's largest score to subtract, and it divides after the second product, where there is
    less to divide. If the sums show that this left the number range, it computes the softmax the long way.
    """
    return in_chunks(exp2_products, q, k, v)


def exp2_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend at once, whatever the size of the scores."""
    batch, heads, _, width = q.shape
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    weights = torch.bmm(q, k.transpose(1, 2)).exp2_()
    sums = weights.sum(dim=-1, keepdim=True)
    smallest, largest = sums.aminmax()
    if smallest.item() > SAFE_SUMS[0] and largest.item() < SAFE_SUMS[1]:
        out = torch.bmm(weights, v).div_(sums)
    else:
        out = torch.bmm(torch.bmm(q, k.transpose(1, 2)).mul_(math.log(2)).softmax(dim=-1), v)
    return out.view(batch, heads, -1, width)
