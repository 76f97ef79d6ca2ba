"""What a pass and a world ask of a cache of keys and values.

Slots are latent frames: first the sink's, then a ring. Keys are stored after RoPE, and attention without a mask ignores
their order, so a block's keys go into the oldest block's slots:

    block = cache.begin((block_frames,))       # where the block's frames go, what they see, their rotations
    for every forward of the block:
        attend = block.attend(layer)           # stores k and v, attends to everything visible
    cache.commit(block)                        # after the clean pass: the frames are now past

What is valid is always a prefix of the slots: they fill up once, and from then on all are in use.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from longtake.model.cache.layout import BlockLayout
from longtake.model.network.layers import Attend
from longtake.model.ops.attention import Attention


class CacheBlock(Protocol):
    """Frames that are being computed into a cache. Made by `Cache.begin`."""

    @property
    def layout(self) -> BlockLayout:
        """Where the frames go and what they see."""
        ...

    @property
    def table(self) -> Tensor:
        """The rotations of the frames, from `Rope.table`."""
        ...

    @property
    def layout_key(self) -> tuple[object, ...]:
        """Where the frames lie and what they see: equal for two forwards that differ in `table` only."""
        ...

    def attend(self, layer: int) -> Attend:
        """Return the self-attention of a layer, for `Layer.forward`."""
        ...

    def store(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write keys (normed, before RoPE) and values: [B, F, S, heads, head_dim] each."""
        ...

    def attend_pair(self, layer: int, qk: Tensor, v: Tensor, attention: Attention) -> Tensor:
        """Compute the self-attention of a layer in fewer passes than `attend`, for inference.

        Args:
            layer: its index.
            qk: queries and keys of all the frames' tokens, [B, T, 2, heads, head_dim] float32, normed, before RoPE;
                overwritten.
            v: [B, T, heads, head_dim] in the cache's type.
            attention: instead of the cache's.

        Returns:
            [B, T, heads, head_dim] like v.
        """
        ...


class Cache(Protocol):
    """Keys and values of a take's window."""

    @property
    def first_frame(self) -> int:
        """Index in the take of the first frame since the cache was last emptied; the sink starts there."""
        ...

    @property
    def end_frame(self) -> int:
        """Index of the next frame."""
        ...

    @property
    def sink_frames(self) -> int:
        """Latent frames of the sink."""
        ...

    @property
    def valid_frames(self) -> int:
        """Slots in use."""
        ...

    def restart(self, first_frame: int) -> None:
        """Forget everything; the next frame has the given index in the take, and becomes the sink's first."""
        ...

    def keep_sink(self, next_frame: int) -> None:
        """Forget everything but the sink; the next frame has the given index in the take."""
        ...

    def begin(self, group_frames: Sequence[int]) -> CacheBlock:
        """Start computing the frames that come next.

        Args:
            group_frames: latent frames of each group. A group sees the past, the groups before it, and the whole of
                itself. Usually there is one group, a block; several only if they fit without wrapping (a recache).

        Raises:
            WorldError: the frames do not fit.
        """
        ...

    def commit(self, block: CacheBlock) -> None:
        """Make the block's frames past: what its last forward wrote stays. Raises WorldError out of order."""
        ...


class CacheState(NamedTuple):
    """A copy of a cache's contents: `WorldCache.load` brings it back exactly."""

    first_frame: int
    end_frame: int
    ring_first: int
    sink_shift: int
    keys: Tensor
    values: Tensor
    unrotated_sink_keys: Tensor


class WorldCache(Cache, Protocol):
    """A cache that a world can be played on: it can be saved too."""

    def save(self) -> CacheState:
        """Return a copy of what is valid."""
        ...

    def load(self, state: CacheState) -> None:
        """Bring back a saved copy, of a cache of the same sizes."""
        ...
