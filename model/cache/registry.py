"""What a world's keys and values are kept in, by name. To add one, see docs/howto/add-a-cache.md.

| name | what it is |
|---|---|
| plain | the ring in the model's precision |
| fp8 | the ring in eight bits (`longtake.model.cache.fp8`) |
"""

from typing import Protocol

import torch

from longtake.model.cache.base import WorldCache
from longtake.model.cache.fp8 import Fp8Cache
from longtake.model.cache.ring import RingCache
from longtake.model.choice import Choice, Registry
from longtake.model.config import GeneratorConfig
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention


class CacheFactory(Protocol):
    """Makes the cache of one world."""

    def __call__(
        self,
        config: GeneratorConfig,
        *,
        batch: int,
        rope: Rope,
        attention: Attention,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> WorldCache:
        """Return an empty cache; arguments as `RingCache`."""
        ...


CACHES: Registry[CacheFactory] = Registry(
    "cache",
    {
        "plain": Choice(make=lambda target: RingCache),
        "fp8": Choice(make=lambda target: Fp8Cache),
    },
    lambda target: "plain",
)
