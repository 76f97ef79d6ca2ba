"""Attention for queries that carry the scores' factor already."""

import math

from longtake.model.ops.attention.base import Attention, bmm
from longtake.model.ops.attention.exp2 import exp2_attention
from longtake.model.ops.attention.upcast import upcast, upcast_exp2_attention

_FOR_SCALED_QUERIES: dict[Attention, Attention] = {bmm: exp2_attention, upcast: upcast_exp2_attention}


def prescaled(attention: Attention, width: int) -> tuple[float, Attention]:
    """Return a factor for queries of a head width, and the attention that takes queries multiplied by it.

    For inference: the factor costs nothing as part of a norm's weight. It is 1 for an attention that has no such form.
    """
    if attention not in _FOR_SCALED_QUERIES:
        return 1.0, attention
    return math.log2(math.e) * width**-0.5, _FOR_SCALED_QUERIES[attention]
