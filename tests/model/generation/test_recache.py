"""Prompt changes against the plain implementation in conftest.py: every mode, before and after the wrap."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from longtake.model.config import preset
from longtake.model.errors import ConfigError
from longtake.model.generation.noise import SeededNoise
from longtake.model.generation.recache import RecachePlan, block_groups, live_lengths, plan_recache

LAYOUTS = [(3, 12, 3), (1, 5, 1), (2, 7, 1), (3, 8, 1)]
"""Block, window and sink frames."""


def run_both(small: Any, config: Any, switches: list[int], blocks: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Latents of both implementations, block by block, with a new prompt before each block in switches."""
    generator = small.generator(config)
    shape = (config.block_frames, *config.transformer.latent_shape)
    noise = SeededNoise([3])
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    plain = small.plain(generator.transformer, config, small.embedding(config, 0))
    pairs = []
    for index in range(blocks):
        if index in switches:
            embedding = small.embedding(config, 100 + index)
            generator.cue(world, embedding=embedding)
            plain.set_prompt(embedding)
            plain_recache(plain, config)
        made = generator.step(world).latents
        with torch.no_grad():
            pairs.append((made, plain.step(noise.draw(index, len(config.timesteps), shape))))
    return pairs


@torch.no_grad()
def plain_recache(plain: Any, config: Any) -> None:
    if config.recache == "clear":
        plain.clear()
    elif config.recache != "none":
        getattr(plain, f"recache_{config.recache}")(config.sink_on_recache == "keep")


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize("mode", ["longlive", "causal"])
@pytest.mark.parametrize(("block", "window", "sink_frames"), LAYOUTS)
def test_recache_equals_the_plain_one(
    small: Any, block: int, window: int, sink_frames: int, mode: str, sink: str, positions: str
) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink_frames,
        recache=mode,
        sink_on_recache=sink,
        positions=positions,
        timesteps=(1000.0, 500.0),
    )
    full = window // block
    # Before the window is full, when it just is, and twice after it has moved on.
    switches = [1, full, full + 2, 2 * full + 1]
    for index, (made, wanted) in enumerate(run_both(small, config, switches, 2 * full + 3)):
        assert small.error(made, wanted) < 2e-5, index


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize(
    ("block", "window", "sink_frames", "kept"), [(1, 5, 1, 3), (1, 5, 1, 2), (2, 7, 1, 4), (3, 12, 3, 7)]
)
def test_a_recache_of_fewer_frames_equals_the_plain_one(
    small: Any, block: int, window: int, sink_frames: int, kept: int, positions: str
) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink_frames,
        recache="causal",
        sink_on_recache="refresh",
        recache_frames=kept,
        positions=positions,
        timesteps=(1000.0, 500.0),
    )
    full = window // block
    # Before the window is full, when it just is, while it grows again, and after it has moved on.
    switches = [1, full, full + 1, 3 * full]
    for index, (made, wanted) in enumerate(run_both(small, config, switches, 4 * full + 3)):
        assert small.error(made, wanted) < 2e-5, index


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("mode", ["clear", "none"])
def test_clear_and_none_equal_the_plain_ones(small: Any, mode: str, positions: str) -> None:
    config = small.config(
        block_frames=1, window_frames=4, sink_frames=1, recache=mode, positions=positions, timesteps=(1000.0, 500.0)
    )
    for index, (made, wanted) in enumerate(run_both(small, config, [2, 7], 14)):
        assert small.error(made, wanted) < 2e-5, index


def test_the_modes_differ(small: Any) -> None:
    made = {}
    for mode in ("longlive", "causal", "clear", "none"):
        for sink in ("keep", "refresh"):
            config = small.config(recache=mode, sink_on_recache=sink)
            generator = small.generator(config)
            world = generator.open(seed=3, embedding=small.embedding(config, 0))
            for _ in range(6):
                generator.step(world)
            generator.cue(world, embedding=small.embedding(config, 1))
            made[mode, sink] = generator.step(world).latents
    names = list(made)
    for one in names:
        for other in names:
            same = one[0] == other[0] and (one == other or one[0] in ("clear", "none"))
            assert (small.error(made[one], made[other]) < 1e-6) == same, (one, other)


def test_plans_follow_the_table(small: Any) -> None:
    def plan(end: int, first: int = 0, **changes: Any) -> RecachePlan | None:
        return plan_recache(small.config(**changes), first, end)

    assert plan(0) is None
    assert plan(6) == RecachePlan(keep_sink=False, first_frame=0, group_frames=(6,))
    assert plan(12) == RecachePlan(keep_sink=False, first_frame=0, group_frames=(12,))
    assert plan(15) == RecachePlan(keep_sink=True, first_frame=6, group_frames=(9,))
    refreshed = RecachePlan(keep_sink=False, first_frame=3, group_frames=(12,))
    assert plan(15, sink_on_recache="refresh") == refreshed
    assert plan(15, first=3, sink_on_recache="refresh") == refreshed
    causal = RecachePlan(keep_sink=True, first_frame=6, group_frames=(3, 3, 3))
    assert plan(15, recache="causal") == causal
    fewer = {"recache": "causal", "sink_on_recache": "refresh", "recache_frames": 6}
    assert plan(6, **fewer) == RecachePlan(keep_sink=False, first_frame=0, group_frames=(3, 3))
    assert plan(9, **fewer) == RecachePlan(keep_sink=False, first_frame=3, group_frames=(3, 3))
    assert plan(15, **fewer) == RecachePlan(keep_sink=False, first_frame=9, group_frames=(3, 3))
    assert plan(15, recache="clear") == RecachePlan(keep_sink=False, first_frame=15, group_frames=())
    assert plan(15, recache="none") is None


@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize("before", [2, 4, 6])
def test_the_world_remembers_the_sink_that_is_in_the_cache(small: Any, sink: str, before: int) -> None:
    config = small.config(sink_on_recache=sink)
    generator = small.generator(config)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    made = [generator.step(world).latents for _ in range(before)]
    old = world.prompt
    generator.cue(world, embedding=small.embedding(config, 1))
    made += [generator.step(world).latents for _ in range(5)]
    generator.settle(world)
    first = 6 if sink == "refresh" and before == 6 else 0
    assert [w.frame for w in world.sink] == list(range(first, first + 3))
    assert [w.frame for w in world.past] == list(range(3 * (before + 5) - 12, 3 * (before + 5)))
    kept = sink == "keep" and before == 6
    assert all(w.prompt is (old if kept else world.prompt) for w in world.sink)
    takes = torch.cat(made, 1)
    assert all(torch.equal(w.latents, takes[:, w.frame]) for w in (*world.sink, *world.past))


def test_groups_are_cut_at_the_takes_block_boundaries() -> None:
    assert block_groups(5, 12, 3) == (1, 3, 3)
    assert block_groups(4, 8, 1) == (1, 1, 1, 1)


def test_a_cue_before_the_first_block_is_that_prompt_from_the_start(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    changed = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.cue(changed, embedding=small.embedding(config, 1))
    straight = generator.open(seed=1, embedding=small.embedding(config, 1))
    assert torch.equal(generator.step(changed).latents, generator.step(straight).latents)


def test_lengths_of_a_live_world_are_those_of_a_block_and_of_a_full_windows_recache() -> None:
    config = preset("longlive-1.3b")
    assert live_lengths(config) == [3, 9]
    assert live_lengths(replace(config, sink_on_recache="refresh")) == [3, 12]
    assert live_lengths(replace(config, recache="none")) == [3]
    fewer = replace(config, recache="causal", sink_on_recache="refresh", recache_frames=6)
    assert live_lengths(fewer) == [3, 6]


def test_a_shorter_window_is_refused_where_its_sink_stays(small: Any) -> None:
    for changes in (
        {"recache": "causal", "sink_on_recache": "keep"},
        {"recache": "none", "sink_on_recache": "refresh"},
    ):
        with pytest.raises(ConfigError, match="recache_frames shortens the window"):
            small.config(**changes, recache_frames=6)
    for frames, said in ((3, "more than the sink"), (13, "at most the window"), (-1, "recache_frames")):
        with pytest.raises(ConfigError, match=said):
            small.config(recache="causal", sink_on_recache="refresh", recache_frames=frames)


@pytest.mark.parametrize("sink", ["keep", "refresh", "refresh, fewer"])
@pytest.mark.parametrize("mode", ["longlive", "causal", "clear", "none"])
def test_of_several_prompts_before_a_block_only_the_last_one_counts(small: Any, mode: str, sink: str) -> None:
    """Bit for bit: a server recaches ahead of the block, and again if another cue follows. Replays do it once."""
    sizes = {"block_frames": 1, "window_frames": 5, "sink_frames": 1, "timesteps": (1000.0, 500.0)}
    kept = 3 if "fewer" in sink and mode == "causal" else 0
    config = small.config(**sizes, recache=mode, sink_on_recache=sink.split(",")[0], recache_frames=kept)
    generator = small.generator(config)
    prompts = [small.embedding(config, number) for number in range(4)]
    once, again = (generator.open(seed=3, embedding=prompts[0]) for _ in range(2))
    for index in range(12):
        if index in (2, 9):  # while the take fits in the window, and later
            generator.cue(again, embedding=prompts[1])
            generator.cue(again, embedding=prompts[2])
            for world in (once, again):
                generator.cue(world, embedding=prompts[3 if index == 2 else 0])
        assert torch.equal(generator.step(once).latents, generator.step(again).latents), f"block {index}"
    saved = [generator.restore(generator.snapshot(world)) for world in (once, again)]
    assert torch.equal(*(generator.step(world).latents for world in saved))
