"""A late cue: its first block sees the new prompt with the window as it is, and the recache comes after it."""

from typing import Any

import pytest
import torch

from longtake.model.errors import WorldError
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import SeededNoise
from longtake.model.generation.recache import recache
from longtake.model.generation.world import World

LAYOUT = {"block_frames": 1, "window_frames": 5, "sink_frames": 1, "recache": "causal"}


def test_the_block_is_that_of_a_cue_without_a_recache_and_those_after_it_are_not(small: Any) -> None:
    config = small.config(**LAYOUT)
    generator = small.generator(config)
    plain = small.plain(generator.transformer, config, small.embedding(config, 0))
    noise, shape = SeededNoise([3]), (1, *config.transformer.latent_shape)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    for index in range(8):
        if index == 4:
            generator.cue(world, embedding=small.embedding(config, 9), late=True)
            plain.set_prompt(small.embedding(config, 9))
        with torch.no_grad():
            wanted = plain.step(noise.draw(index, len(config.timesteps), shape))
            if index == 4:
                plain.recache_causal(config.sink_on_recache == "keep")
        assert small.error(generator.step(world).latents, wanted) < 2e-5, index


@pytest.mark.parametrize("caught_up", ["at once", "by the next verb"])
def test_when_the_window_catches_up_changes_no_byte(small: Any, caught_up: str) -> None:
    config = small.config(**LAYOUT)
    generator = small.generator(config)
    world, other = (generator.open(seed=3, embedding=small.embedding(config, 0)) for _ in range(2))
    for each in (world, other):
        for _ in range(3):
            generator.step(each)
        generator.cue(each, embedding=small.embedding(config, 9), late=True)
        generator.step(each)
    generator.catch_up(world)
    if caught_up == "at once":
        generator.catch_up(world)  # nothing is left to do
        generator.settle(other)
        with torch.inference_mode():
            recache(other, other.executor, config)
        other.late_block = None
    else:
        generator.steer(other, ())
    assert torch.equal(world.cache.keys, other.cache.keys)
    assert torch.equal(generator.step(world).latents, generator.step(other).latents)


def two_worlds(small: Any, generator: Generator) -> list[World]:
    """Alike, after three blocks."""
    worlds = [generator.open(seed=3, embedding=small.embedding(generator.config, 0)) for _ in range(2)]
    for world in worlds:
        for _ in range(3):
            generator.step(world)
    return worlds


def assert_the_same_from_here(generator: Generator, worlds: list[World]) -> None:
    for _ in range(3):
        one, other = (generator.step(world).latents for world in worlds)
        assert torch.equal(one, other)


def test_of_several_cues_before_a_block_only_the_last_counts(small: Any) -> None:
    generator = small.generator(small.config(**LAYOUT))
    worlds = two_worlds(small, generator)
    for world, cues in zip(worlds, ((7, 8, 9), (9,)), strict=True):
        for number in cues:
            generator.cue(world, embedding=small.embedding(generator.config, number), late=True)
    assert_the_same_from_here(generator, worlds)


def test_an_early_cue_takes_the_place_of_a_late_one(small: Any) -> None:
    generator = small.generator(small.config(**LAYOUT))
    worlds = two_worlds(small, generator)
    generator.cue(worlds[0], embedding=small.embedding(generator.config, 9), late=True)
    for world in worlds:
        generator.cue(world, embedding=small.embedding(generator.config, 5))
    assert_the_same_from_here(generator, worlds)


def test_a_world_is_not_saved_before_the_block_of_its_late_cue(small: Any) -> None:
    config = small.config(**LAYOUT)
    generator = small.generator(config)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    generator.step(world)
    generator.cue(world, embedding=small.embedding(config, 9), late=True)
    with pytest.raises(WorldError, match="a late cue waits for its block"):
        generator.snapshot(world)
    generator.step(world)
    again = generator.restore(generator.snapshot(world, exact=True))
    assert torch.equal(generator.step(again).latents, generator.step(world).latents)


@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize("more_blocks", [0, 5])
def test_an_early_cue_takes_the_place_of_a_recache_that_is_owed(small: Any, sink: str, more_blocks: int) -> None:
    generator = small.generator(small.config(**LAYOUT, sink_on_recache=sink))
    worlds = two_worlds(small, generator)
    for world in worlds:
        for _ in range(more_blocks):
            generator.step(world)
        generator.cue(world, embedding=small.embedding(generator.config, 9), late=True)
        generator.step(world)
    generator.catch_up(worlds[0])
    for world in worlds:
        generator.cue(world, embedding=small.embedding(generator.config, 5))
    assert_the_same_from_here(generator, worlds)
