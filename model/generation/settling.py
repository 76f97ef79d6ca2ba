"""What a block leaves to be done once its frames are on their way: its clean pass, and the recache of a late cue.

The clean pass writes the finished block into the cache. A recache that follows at once writes it again, under the new
prompt, or forgets it, so the clean pass is left out then; what is in the cache afterwards is the same.
"""

from longtake.model.config import GeneratorConfig
from longtake.model.execution.base import CLEAN
from longtake.model.generation.recache import recache
from longtake.model.generation.world import World


def settle(world: World, config: GeneratorConfig, *, recached: bool = False) -> None:
    """Make the last block past, if that has not been done; `recached` if a recache follows at once."""
    unsettled, world.unsettled = world.unsettled, None
    if unsettled is None:
        return
    block, first_frame, latents = unsettled
    with world.stopwatch.region("clean"):
        if not recached or config.recache == "none":
            condition = world.executor.condition(CLEAN, (world.actions,))
            world.executor.write(block, latents, world.prompt_kv, condition)
        world.cache.commit(block)
        world.record(first_frame, latents, (config.block_frames,), config.window_frames, (world.actions,))


def catch_up(world: World, config: GeneratorConfig) -> None:
    """Settle the last block, and recache if it was the first one of a late cue."""
    owes = world.late_block is not None and world.block > world.late_block
    settle(world, config, recached=owes)
    if owes:
        world.late_block = None
        rebuild_window(world, config)


def rebuild_window(world: World, config: GeneratorConfig) -> None:
    """Recache, on the world's stopwatch."""
    with world.stopwatch.region("recache"):
        recache(world, world.executor, config)
