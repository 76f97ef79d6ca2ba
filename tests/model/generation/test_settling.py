"""A block's clean pass is run after its frames have left; when it is run changes no byte."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import ShapeError, WorldError
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import World


def film(small: Any, generator: Generator, settled: str) -> list[Tensor]:
    """Two worlds by turns past their window, with cues and an exact and a compact snapshot on the way."""
    config = generator.config
    worlds = [generator.open(seed=seed, embedding=small.embedding(config, seed)) for seed in (1, 2)]
    made = []

    def step(world: World) -> None:
        made.append(generator.step(world).latents.clone())
        if settled == "at once" or (settled == "at times" and len(made) % 3 == 0):
            generator.settle(world)

    for index in range(7):
        if index in (2, 6):
            generator.cue(worlds[0], embedding=small.embedding(config, index))
        for world in worlds:
            step(world)
    fork = generator.restore(generator.snapshot(worlds[0], exact=True))
    again = generator.restore(generator.snapshot(worlds[1]))
    for world in (fork, again, *worlds):
        step(world)
    for world in worlds:
        generator.settle(world)
        held = world.cache.save()
        made += [held.keys, held.values]
    return made


@pytest.mark.parametrize("settled", ["at times", "by the next verb"])
@pytest.mark.parametrize(
    ("recache", "overlap"),
    [("longlive", False), ("longlive", True), ("causal", False), ("clear", False), ("none", False)],
)
def test_when_a_block_is_settled_changes_no_byte(small: Any, settled: str, recache: str, overlap: bool) -> None:
    config = small.config(positions="relative", timesteps=(1000.0, 500.0), recache=recache)
    wanted = film(small, small.generator(config), "at once")
    made = film(small, small.generator(config, overlap=overlap), settled)
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_the_clean_pass_waits_for_settle_or_for_the_next_verb(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.settle(world)  # nothing is left of no block
    generator.step(world)
    assert world.cache.end_frame == 0
    generator.settle(world)
    generator.settle(world)
    assert world.cache.end_frame == config.block_frames
    assert world.groups == 1
    for verb in (
        lambda: generator.step(world),
        lambda: generator.cue(world, embedding=small.embedding(config, 1)),
        lambda: generator.steer(world, ()),
        lambda: generator.snapshot(world),
    ):
        generator.step(world)
        blocks = world.block
        verb()
        assert world.cache.end_frame >= config.block_frames * blocks


def test_a_world_may_close_before_it_is_settled(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.step(world)
    generator.close(world)
    assert world.unsettled is None
    with pytest.raises(WorldError, match="closed"):
        generator.settle(world)


@pytest.mark.parametrize(
    ("recache", "late", "passes"), [("causal", False, 1), ("causal", True, 1), ("clear", False, 0), ("none", False, 1)]
)
def test_a_recache_takes_the_place_of_the_clean_pass(small: Any, recache: str, late: bool, passes: int) -> None:
    config = small.config(recache=recache)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.step(world)
    if late:
        generator.cue(world, embedding=small.embedding(config, 9), late=True)
        generator.step(world)
    written = []
    write = world.executor.write

    def counted(*arguments: Any) -> None:
        written.append(1)
        write(*arguments)

    world.executor.write = counted
    if late:
        generator.catch_up(world)
    else:
        generator.cue(world, embedding=small.embedding(config, 9))
    assert len(written) == passes


def test_a_prompt_that_is_refused_leaves_the_block_to_be_settled(small: Any) -> None:
    config = small.config(recache="causal")
    generator = small.generator(config)
    world, other = (generator.open(seed=1, embedding=small.embedding(config, 0)) for _ in range(2))
    for each in (world, other):
        generator.step(each)
    with pytest.raises(ShapeError):
        generator.cue(world, embedding=small.embedding(config, 9)[..., :-1])
    assert torch.equal(generator.step(world).latents, generator.step(other).latents)
