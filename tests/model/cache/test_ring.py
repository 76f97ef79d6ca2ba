"""The ring against full attention with a mask over every frame there ever was."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.cache.ring import RingCache
from longtake.model.config import GeneratorConfig
from longtake.model.errors import WorldError
from longtake.model.network.rope import Rope, rotate
from longtake.model.ops.attention import bmm

LAYOUTS = [(3, 12, 3), (1, 9, 1), (2, 7, 1), (3, 8, 1), (1, 4, 0), (2, 8, 3), (3, 6, 3)]
"""Block, window and sink frames: also a ring that blocks do not divide, and a sink longer than a block."""


def new_cache(config: GeneratorConfig, batch: int = 1, dtype: torch.dtype = torch.float32) -> RingCache:
    rope = Rope(config.transformer.head_dim, config.transformer.grid)
    return RingCache(config, batch=batch, rope=rope, attention=bmm, device="cpu", dtype=dtype)


def random_qkv(config: GeneratorConfig, frames: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    sizes = config.transformer
    return tuple(torch.randn(3, batch, frames, sizes.frame_tokens, sizes.heads, sizes.head_dim))


def masked(q: Tensor, keys: list[Tensor], values: list[Tensor], positions: list[float], first: int) -> Tensor:
    """Attention over all frames (lists by index, each [B, 1, S, heads, hd]); a position of nan masks a frame out."""
    rope = Rope(q.shape[-1], (2, 3))
    turned = [rotate(k, rope.table([0 if math.isnan(p) else p])) for k, p in zip(keys, positions, strict=True)]
    q = rotate(q, rope.table(positions[first : first + q.shape[1]])).flatten(1, 2).transpose(1, 2)
    k, v = (torch.cat(x, 1).flatten(1, 2).transpose(1, 2) for x in (turned, values))
    hidden = torch.tensor([math.isnan(p) for p in positions]).repeat_interleave(keys[0].shape[2])
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    return (scores.masked_fill(hidden, -math.inf).softmax(-1) @ v).transpose(1, 2)


def seen_positions(config: GeneratorConfig, end: int) -> list[float]:
    """Where each frame of a take of `end` frames is seen by its last block; nan where it is not."""
    sink, ring = config.sink_frames, config.ring_frames
    positions = [float(f) if f < sink or f >= end - ring else math.nan for f in range(end)]
    if config.positions == "relative":
        for frame in range(min(sink, end)):
            positions[frame] = frame + max(0, end - config.window_frames)
    return positions


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize(("block", "window", "sink"), LAYOUTS)
def test_ring_equals_masked_attention(small: Any, block: int, window: int, sink: int, positions: str) -> None:
    config = small.config(block_frames=block, window_frames=window, sink_frames=sink, positions=positions)
    cache = new_cache(config, batch=2)
    buffers = (cache.keys.data_ptr(), cache.values.data_ptr())
    keys: list[Tensor] = []
    values: list[Tensor] = []
    for index in range(3 * window // block):
        first = index * block
        made = cache.begin((block,))
        for forward in range(2):  # the second overwrites the first
            q, k, v = random_qkv(config, block, batch=2)
            out = made.attend(1)(q, k, v).flatten(1, 2)
            now_keys, now_values = [*keys, *k.split(1, 1)], [*values, *v.split(1, 1)]
            wanted = masked(q, now_keys, now_values, seen_positions(config, first + block), first)
            assert torch.allclose(out, wanted, atol=1e-5), (index, forward)
        cache.commit(made)
        keys, values = now_keys, now_values
        assert cache.valid_frames == min(window, first + block)
    assert (cache.keys.data_ptr(), cache.values.data_ptr()) == buffers


def test_longlives_table_of_frames_in_sight(small: Any) -> None:
    cache = new_cache(small.config())
    tagged: dict[int, list[int]] = {}
    for index in range(14):
        block = cache.begin((3,))
        _, k, _ = random_qkv(cache_config := small.config(), 3)
        tags = torch.arange(index * 3, index * 3 + 3).view(1, 3, 1, 1, 1)
        block.store(0, k, tags.expand(*k.shape).float())
        cache.commit(block)
        tokens = block.layout.visible_frames * cache_config.transformer.frame_tokens
        tagged[index] = sorted({int(tag) for tag in cache.values[0, 0, 0, :tokens, 0].tolist()})
    assert tagged[0] == [0, 1, 2]
    assert tagged[3] == list(range(12))
    assert tagged[4] == [0, 1, 2, *range(6, 15)]
    assert tagged[5] == [0, 1, 2, *range(9, 18)]
    assert tagged[13] == [0, 1, 2, *range(33, 42)]


def test_groups_see_the_groups_before_them(small: Any) -> None:
    config = small.config(block_frames=2, window_frames=8, sink_frames=2)
    q, k, v = random_qkv(config, 6)
    together = new_cache(config)
    out = together.begin((2, 2, 2)).attend(0)(q, k, v)
    apart = new_cache(config)
    for start in (0, 2, 4):
        part = slice(start, start + 2)
        block = apart.begin((2,))
        assert torch.allclose(block.attend(0)(q[:, part], k[:, part], v[:, part]), out[:, part], atol=1e-5)
        apart.commit(block)
    assert torch.equal(apart.keys, together.keys)


def test_sink_keys_do_not_wear_out(small: Any) -> None:
    config = small.config(block_frames=1, window_frames=3, sink_frames=1, positions="relative")
    cache = new_cache(config, dtype=torch.bfloat16)
    _, first, v = random_qkv(config, 1)
    for frame in range(300):
        block = cache.begin((1,))
        block.store(0, first if frame == 0 else torch.randn_like(first), v)
        cache.commit(block)
    wanted = rotate(first, cache.rope.table([297])).flatten(1, 2).transpose(1, 2)[0]
    made = cache.keys[0, 0, :, : config.transformer.frame_tokens].float()
    assert small.error(made, wanted) < 5e-3


def test_what_does_not_fit_is_refused(small: Any) -> None:
    cache = new_cache(small.config())
    with pytest.raises(WorldError, match="13 latent frames do not fit"):
        cache.begin((13,))
    cache.commit(cache.begin((12,)))
    with pytest.raises(WorldError, match="do not fit in the 9"):
        cache.begin((10,))
    with pytest.raises(WorldError, match="do not fit in the 0"):
        cache.begin((3, 3))
    stale = cache.begin((3,))
    cache.commit(stale)
    with pytest.raises(WorldError, match="15 comes next"):
        cache.commit(stale)
    cache.restart(20)
    with pytest.raises(WorldError, match="sink is not full"):
        cache.keep_sink(20)


def test_save_and_load(small: Any) -> None:
    config = small.config(positions="relative")
    cache, other = new_cache(config), new_cache(config)
    for _ in range(6):
        block = cache.begin((3,))
        for layer in range(2):
            block.store(layer, *random_qkv(config, 3)[1:])
        cache.commit(block)
    other.load(saved := cache.save())
    q, k, v = random_qkv(config, 3)
    assert torch.equal(cache.begin((3,)).attend(1)(q, k, v), other.begin((3,)).attend(1)(q, k, v))
    assert not torch.equal(saved.keys, cache.keys)  # a copy: the ring went on
