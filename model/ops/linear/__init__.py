"""Linears for inference: the same product, computed faster on some processor or GPU. `registry` has them by name."""

from longtake.model.ops.linear.base import LinearFactory, LinearOp

__all__ = ["LinearFactory", "LinearOp"]
