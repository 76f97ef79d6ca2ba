"""Takes that are steered: every frame is made, and written again, under its own actions."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import ShapeError
from longtake.model.execution.base import CLEAN
from longtake.model.execution.cpu import CpuExecutor
from longtake.model.execution.eager import EagerExecutor
from longtake.model.generation.noise import SeededNoise
from longtake.model.generation.prompts import Prompts
from longtake.model.generation.snapshot import Snapshot
from longtake.model.interface import Conditioning, ModelInfo
from longtake.model.loaded import LoadedModel

HELD = [(), (), (1.0, 0.0), (1.0, 0.0), (-0.5, 0.25), (0.0, 0.0), (0.0, 1.0), (0.3, -1.0)]
"""What each block is made under, over and over."""


def steered(small: Any, **changes: Any) -> Any:
    """A small config with two axes."""
    config = small.config(timesteps=(1000.0, 500.0), **changes)
    return replace(config, transformer=replace(config.transformer, actions=2))


def held_at(block: int) -> tuple[float, ...]:
    return HELD[block % len(HELD)]


def film(generator: Any, world: Any, blocks: range) -> list[Tensor]:
    made = []
    for block in blocks:
        generator.steer(world, held_at(block))
        made.append(generator.step(world).latents)
    return made


@pytest.mark.parametrize("linear", ["auto", "plain"])
@pytest.mark.parametrize("mode", ["longlive", "causal"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize(("block", "window", "sink_frames"), [(3, 12, 3), (1, 5, 1)])
def test_a_steered_take_with_recaches_equals_the_plain_one(
    small: Any, block: int, window: int, sink_frames: int, sink: str, mode: str, linear: str
) -> None:
    config = steered(
        small,
        block_frames=block,
        window_frames=window,
        sink_frames=sink_frames,
        recache=mode,
        sink_on_recache=sink,
        positions="relative",
    )
    generator = small.generator(config, linear=linear)
    assert isinstance(generator.executor, CpuExecutor if linear == "auto" else EagerExecutor)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    plain = small.plain(generator.transformer, config, small.embedding(config, 0))
    shape = (block, *config.transformer.latent_shape)
    full = window // block
    for index in range(2 * full + 3):
        for frame in range(index * block, (index + 1) * block):
            plain.actions[frame] = held_at(index) or (0.0, 0.0)
        with torch.no_grad():
            if index in (full, full + 2, 2 * full + 1):
                embedding = small.embedding(config, 100 + index)
                generator.cue(world, embedding=embedding)
                plain.set_prompt(embedding)
                getattr(plain, f"recache_{mode}")(sink == "keep")
            wanted = plain.step(SeededNoise([3]).draw(index, 2, shape))
        (made,) = film(generator, world, range(index, index + 1))
        assert small.error(made, wanted) < 2e-5, index


def test_actions_matter_and_rest_is_none(small: Any) -> None:
    config = steered(small)
    generator = small.generator(config)
    worlds = [
        generator.open(seed=1, embedding=small.embedding(config, 0), actions=actions)
        for actions in ((), (0.0, 0.0), (0.0, 0.1))
    ]
    none, rest, other = (generator.step(world).latents for world in worlds)
    assert torch.equal(none, rest)
    assert small.error(other, none) > 1e-3


def test_steering_costs_no_recache_and_a_held_stick_no_modulation(small: Any) -> None:
    config = steered(small)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.step(world)
    generator.settle(world)
    end, groups = world.cache.end_frame, world.groups
    generator.steer(world, (1.0, 0.0))
    assert (world.cache.end_frame, world.groups) == (end, groups)
    for step in (0, 1, CLEAN):
        held = generator.executor.condition(step, ((1.0, 0.0),))
        assert generator.executor.condition(step, ((1.0, 0.0),) * 3) is held
        assert generator.executor.condition(step, ((0.5, 0.0),)) is not held
        assert generator.executor.condition(step, ((0.0, 0.0),)) is generator.executor.condition(step)


@pytest.mark.parametrize("exact", [True, False])
def test_a_snapshot_goes_on_under_the_same_actions_as_often_as_wanted(small: Any, exact: bool) -> None:
    config = steered(small)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    film(generator, world, range(3))
    generator.steer(world, (1.0, -1.0))
    saved = generator.snapshot(world, exact=exact).to_bytes()
    wanted = [generator.step(world).latents for _ in range(2)]
    for _ in range(2):
        fork = generator.restore(Snapshot.from_bytes(saved, config))
        made = [generator.step(fork).latents for _ in range(2)]
        # A compact one is written again in one go, which rounds differently.
        errors = [small.error(one, other) for one, other in zip(made, wanted, strict=True)]
        assert max(errors) == 0 if exact else max(errors) < 1e-5


def test_a_snapshot_has_the_actions_of_every_frame(small: Any) -> None:
    config = steered(small, block_frames=1, window_frames=5, sink_frames=1)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    film(generator, world, range(8))
    again = Snapshot.from_bytes(generator.snapshot(world).to_bytes(), config)
    assert again.actions == held_at(7)
    assert [(frame.frame, frame.actions) for frame in again.past] == [(n, held_at(n)) for n in range(3, 8)]
    assert [frame.actions for frame in again.sink] == [held_at(0)]


def test_the_wrong_number_of_actions_is_refused(small: Any) -> None:
    config = steered(small)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    with pytest.raises(ShapeError, match="3 actions for a model with 2 axes"):
        generator.steer(world, (1.0, 0.0, 0.0))
    without = small.generator(small.config())
    with pytest.raises(ShapeError, match="2 actions for a model with 0 axes"):
        without.open(seed=1, embedding=small.embedding(config, 0), actions=(1.0, 0.0))


class Encoder:
    def encode(self, prompts: list[str]) -> Tensor:
        return torch.stack([torch.randn(6, 16, generator=torch.Generator().manual_seed(len(p))) for p in prompts])


def test_the_verbs_recache_for_a_new_prompt_only(small: Any) -> None:
    config = steered(small)
    generator = small.generator(config)
    generator.prompts = Prompts(Encoder(), config.transformer.text_tokens)
    info = ModelInfo(
        name="toy", height=8, width=12, fps=16, block_frames=3, first_block_frames=3, window_blocks=4
    )  # what it says does not matter here
    model = LoadedModel(generator, info, None)
    world = model.open(seed=1, conditioning=Conditioning(prompt="a fox", actions=(0.5, 0.0)))
    model.step(world)
    model.settle(world)
    prompt, groups = world.prompt, world.groups
    model.cue(world, Conditioning(prompt="a fox", actions=(1.0, 0.0)))
    assert (world.prompt, world.groups, world.actions) == (prompt, groups, (1.0, 0.0))
    model.cue(world, Conditioning(prompt="a boat", actions=(1.0, 0.0)))
    assert world.prompt is not prompt
    assert world.groups == groups + 1
    assert [frame.actions for frame in world.past] == [(0.5, 0.0)] * 3, "written again under what it was made under"
