"""Attention without a mask: plain, and faster on some processor or GPU. `registry` has them by name."""

from longtake.model.ops.attention.base import Attention, bmm, sdpa

__all__ = ["Attention", "bmm", "sdpa"]
