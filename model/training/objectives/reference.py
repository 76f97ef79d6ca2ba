"""Two mistakes of the public training code, kept apart so that its recordings can be matched. Off by default.

1. Its cache is not cut from the graph. A block's exit step writes keys and values with their history; the clean pass
   replaces the values and leaves the history. So later blocks send gradients into what earlier blocks had at their
   exit step. Its buffer holds 33 latent frames; once it is full, frames move to other slots, and if that happens in a
   step without gradients the histories stay behind, so that the gradients reach the wrong block.
2. Its recache at a prompt switch agrees with no inference. The window's latents go through once without a mask, and
   the sink is recomputed only if it is among them; later its keys and values are zero, and still attended.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.cache.functional import FunctionalBlock, FunctionalCache
from longtake.model.cache.window import by_head
from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.execution.base import CLEAN_TIMESTEP
from longtake.model.generation.world import CachedWindow
from longtake.model.network.rope import Rope, rotate
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import sdpa

BUFFER_FRAMES = 33
"""Latent frames that the reference's training cache holds."""
LATENTS_KEPT = 21
"""Latent frames that the reference's recache computes."""

KeysValues = tuple[Tensor, Tensor]


class CarriedHistory:
    """What the reference's cache remembers of exit steps, for the blocks of one chunk.

    Args:
        exit_step: of the chunk's blocks.
        block_frames: their latent frames.
    """

    def __init__(self, exit_step: int, block_frames: int) -> None:
        self._block_frames = block_frames
        self._moves_with_frames = exit_step == 0
        self._at_exit: dict[int, list[KeysValues]] = {}

    def attach(self, cache: FunctionalCache) -> None:
        """Give the keys and values that the next block will see the history that they have in the reference.

        Call it before the block begins.
        """
        block_end = cache.end_frame + self._block_frames
        rolled = 0 if self._moves_with_frames else max(0, block_end - BUFFER_FRAMES)
        sink_end = min(cache.end_frame, cache.first_frame + cache.sink_frames)
        recent = range(max(sink_end, cache.end_frame - cache.window.ring_frames), cache.end_frame)
        for layer, slots in enumerate(cache.slots):
            for frame in (*range(cache.first_frame, sink_end), *recent):
                source = self._at_exit.get(frame if frame < sink_end else frame - rolled)
                slot = cache.window.slot(frame)
                keys, values = (x.detach() for x in slots[slot])
                if source is not None:
                    # Their values stay; only gradients see the difference.
                    keys = keys + (source[layer][0] - source[layer][0].detach())
                    values = values + (source[layer][1] - source[layer][1].detach())
                slots[slot] = keys, values

    def record(self, block: FunctionalBlock) -> None:
        """Note a block's keys and values after its exit step."""
        by_layer = [_by_frame(stored, block.frames) for stored in block.stored if stored is not None]
        for offset in range(block.frames):
            self._at_exit[block.first_frame + offset] = [frames[offset] for frames in by_layer]


@torch.no_grad()
def reference_recache(world: CachedWindow[FunctionalCache], transformer: Transformer, config: GeneratorConfig) -> None:
    """Rewrite a world's cache as the reference does in training; what nobody will see is not computed.

    Raises:
        ConfigError: positions are relative, which the reference's training does not have.
    """
    if config.positions != "absolute":
        raise ConfigError("the reference's recache has absolute positions; use the recache of inference")
    cache, end = world.cache, world.cache.end_frame
    recent = range(max(config.sink_frames, end - config.ring_frames), end)
    sink = range(config.sink_frames) if end <= LATENTS_KEPT else range(0)
    known = {written.frame: written.latents for written in (*world.sink, *world.past)}
    latents = torch.stack([known[frame] for frame in (*sink, *recent)], dim=1)
    zero_frames = config.sink_frames - len(sink)
    pairs = _clean_keys_values(world, transformer, latents, (*sink, *recent), zero_frames)
    cache.restart(0)
    _store(cache, [(k[:, : config.sink_frames], v[:, : config.sink_frames]) for k, v in pairs])
    cache.keep_sink(recent.start)
    _store(cache, [(k[:, config.sink_frames :], v[:, config.sink_frames :]) for k, v in pairs])


def _clean_keys_values(
    world: CachedWindow[FunctionalCache],
    transformer: Transformer,
    latents: Tensor,
    frames: Sequence[int],
    zero_frames: int,
) -> list[KeysValues]:
    """Return each layer's keys (before RoPE) and values of latents that all see each other.

    Args:
        world: whose prompt is in force.
        transformer: the network.
        latents: clean ones, [B, F, C, h, w].
        frames: their positions, F of them.
        zero_frames: how many frames with keys and values of zero they see as well; they come first in the result.
    """
    sizes = transformer.config
    table = Rope(sizes.head_dim, sizes.grid, latents.device).table(list(frames))
    made: list[KeysValues] = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        pair = tuple(F.pad(x, (0, 0, 0, 0, 0, 0, zero_frames, 0)) for x in (k, v))
        made.append((pair[0], pair[1]))
        turned = F.pad(rotate(k, table).to(k.dtype), (0, 0, 0, 0, 0, 0, zero_frames, 0))
        seen = sdpa(by_head(rotate(q, table).to(q.dtype)), by_head(turned), by_head(pair[1]))
        attended: Tensor = seen.transpose(1, 2).unflatten(1, q.shape[1:3])
        return attended

    t = torch.full(latents.shape[:2], CLEAN_TIMESTEP, device=latents.device)
    transformer(latents, t, world.prompt_kv, lambda layer: attend)
    return made


def _by_frame(pair: KeysValues, frames: int) -> list[KeysValues]:
    """Cut keys and values [B, heads, T, head_dim] into those of each frame."""
    keys, values = (x.chunk(frames, dim=2) for x in pair)
    return list(zip(keys, values, strict=True))


def _store(cache: FunctionalCache, pairs: Sequence[KeysValues]) -> None:
    """Write frames that come next, given by each layer's keys before RoPE and values."""
    block = cache.begin((pairs[0][0].shape[1],))
    for layer, (keys, values) in enumerate(pairs):
        block.store(layer, keys, values)
    cache.commit(block)
