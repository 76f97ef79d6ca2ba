"""A world that is steered by hand: where inputs take effect, and what becomes of them."""

from typing import Any

import pytest
from fakes import FakeConfig, FakeModel
from stage import Stage

from longtake.protocol.errors import Refused
from longtake.protocol.generator_messages import GenOpen, GenStep
from longtake.protocol.messages import InputAck
from longtake.runtime.takes.file import TakeBlock, TakeHeader, TakeReset
from longtake.runtime.world.reports import status

REST = (0.0, 0.0, 0.0)


def stage(**config: Any) -> Stage:
    fake = config.pop("fake", {})
    return Stage(model=FakeModel(config=FakeConfig(axes=True, **fake)), **config)


def hold(stage: Stage, *, at_tick: int | None = None, who: str = "me", **axes: float) -> InputAck:
    return stage.world.hold(axes, at_tick=at_tick, who=who, request=5)


def steps(stage: Stage) -> dict[int, tuple[float, ...]]:
    """The actions that each block was made under, by block."""
    known, actions = {}, REST
    for step in stage.commands(GenStep):
        actions = step.actions if step.prompt is not None else actions
        known[step.block] = actions
    return known


def test_an_input_is_in_the_next_block_not_yet_begun() -> None:
    scene = stage().open()
    scene.run(6)
    begun = scene.world.plan.committed
    ack = hold(scene, speed=1.0)
    assert (ack.request, ack.block, ack.tick) == (5, begun, 4 * begun)
    assert ack.axes == {"speed": 1.0, "lift": 0.0, "horn": 0.0}
    scene.run(12)
    made = steps(scene)
    assert made[begun - 1] == REST
    assert made[begun] == made[begun + 1] == (1.0, 0.0, 0.0), "it is held"


def test_of_inputs_before_a_block_the_newest_wins_and_nothing_is_queued() -> None:
    scene = stage().open()
    scene.run(6)
    begun = scene.world.plan.committed
    for speed in (0.1, 0.9, -0.3):
        hold(scene, speed=speed)
    scene.run(12)
    made = steps(scene)
    assert made[begun] == made[max(made)] == (-0.3, 0.0, 0.0)


def test_a_step_carries_actions_only_if_they_changed_and_the_prompt_with_them() -> None:
    scene = stage().open()
    scene.run(6)
    hold(scene, speed=1.0)
    hold(scene, speed=0.0)
    scene.run(8)
    hold(scene, speed=0.5)
    scene.run(12)
    (carrying,) = [step for step in scene.commands(GenStep) if step.prompt is not None]
    assert (carrying.prompt, carrying.actions) == ("a red balloon", (0.5, 0.0, 0.0))


def test_no_recache_is_counted_for_an_input() -> None:
    scene = stage().open()
    scene.run(6)
    hold(scene, speed=1.0)
    scene.run(12)
    assert len(scene.world.lead.recache_s) == 0


def test_inputs_at_a_tick_do_not_depend_on_when_they_are_sent() -> None:
    early, late = stage(mode="lockstep").open(), stage(mode="lockstep").open()
    assert hold(early, at_tick=18, speed=1.0).block == 5
    early.advance(32)
    late.advance(16)
    assert hold(late, at_tick=18, speed=1.0).tick == 20
    late.advance(16)
    assert steps(early) == steps(late)
    assert steps(early)[4] == REST
    assert steps(early)[5] == (1.0, 0.0, 0.0)
    assert early.digests == late.digests


def test_one_script_gives_the_same_frames_in_all_modes() -> None:
    digests = {}
    for mode in ("live", "lockstep", "offline"):
        scene = stage(mode=mode, paused=mode != "lockstep").open()
        hold(scene, at_tick=20, speed=1.0)
        hold(scene, at_tick=40, lift=-0.5)
        scene.world.resume(scene.clock.now())
        if mode == "live":
            scene.run(64)
        elif mode == "lockstep":
            scene.advance(64)
        else:
            while len(scene.shown) < 64:
                scene.show()
        digests[mode] = scene.digests[:16]
    # A paused world makes its first blocks before the inputs are sent; none of them lies at or after tick 20.
    assert digests["live"] == digests["lockstep"] == digests["offline"]


def test_input_and_cue_share_a_block() -> None:
    scene = stage(mode="lockstep").open()
    scene.advance(8)
    scene.world.cue("prompt", "a blue fox", at_tick=None, cut_in=False, request=1, now=scene.clock.now())
    hold(scene, lift=0.5)
    scene.advance(4)
    step = scene.commands(GenStep)[-1]
    assert (step.prompt, step.actions) == ("a blue fox", (0.0, 0.5, 0.0))


def test_a_reset_keeps_what_is_held() -> None:
    scene = stage(mode="lockstep").open()
    scene.advance(8)
    hold(scene, speed=1.0)
    hold(scene, at_tick=100, speed=-1.0)
    scene.world.reset(None)
    scene.advance(120)
    (reset,) = [record for record in scene.records if isinstance(record, TakeReset)]
    assert reset.actions == scene.commands(GenOpen)[-1].actions == (1.0, 0.0, 0.0)
    assert all(step.prompt is None for step in scene.commands(GenStep)[2:]), "nothing has changed since it was opened"


def test_a_generator_that_dies_comes_back_under_the_same_actions() -> None:
    undisturbed, scene = stage(mode="lockstep").open(), stage(mode="lockstep", snapshot_every_s=0.0).open()
    for one in (undisturbed, scene):
        hold(one, speed=0.5)
        one.advance(12)
        hold(one, lift=-0.5, horn=1.0)
        one.advance(8)
    scene.die()
    scene.revive()
    for one in (undisturbed, scene):
        one.advance(8)
        hold(one, speed=0.0)
        one.advance(8)
    assert scene.digests == undisturbed.digests


def test_without_a_snapshot_the_take_is_made_again_with_its_inputs() -> None:
    undisturbed, scene = stage(mode="lockstep").open(), stage(mode="lockstep", snapshot_every_s=1e9).open()
    for one in (undisturbed, scene):
        one.advance(8)
        hold(one, speed=0.5)
        one.advance(8)
    scene.die()
    scene.revive()
    for one in (undisturbed, scene):
        one.advance(8)
    assert scene.digests == undisturbed.digests


def test_a_take_has_the_actions_of_its_blocks() -> None:
    scene = stage(mode="lockstep").open()
    scene.advance(8)
    hold(scene, speed=1.0)
    scene.advance(8)
    records = list(scene.world.records())
    assert isinstance(records[0], TakeHeader)
    assert records[0].actions == REST
    blocks = [record for record in records if isinstance(record, TakeBlock)]
    assert [block.actions for block in blocks] == [(), (), (1.0, 0.0, 0.0), ()]
    assert [block.prompt for block in blocks] == [None, None, "a red balloon", None]


def test_who_leaves_lets_go() -> None:
    scene = stage(mode="lockstep").open()
    hold(scene, speed=1.0)
    scene.advance(8)
    scene.world.let_go("me")
    scene.advance(8)
    assert list(steps(scene).values()) == [(1.0, 0.0, 0.0)] * 2 + [REST] * 2


def test_a_status_tells_what_is_held_and_how_long_inputs_take() -> None:
    scene = stage().open()
    hold(scene, speed=0.5)
    scene.world.input_photon_ms.add(210.0)
    told = status(scene.world, scene.clock.now(), members=1, recording="", generator="ready")
    assert told.axes == {"speed": 0.5, "lift": 0.0, "horn": 0.0}
    assert (told.input_to_photon_ms, told.event_to_photon_ms) == (210.0, None)


def test_a_model_without_axes_refuses_an_input() -> None:
    scene = Stage().open()
    with pytest.raises(Refused, match="fake takes no input"):
        hold(scene, speed=1.0)


def test_a_bad_input_changes_nothing() -> None:
    scene = stage().open()
    with pytest.raises(Refused, match="speed cannot be held at 2"):
        scene.world.hold({"lift": 0.5, "speed": 2}, at_tick=None, who="me", request=1)
    assert scene.world.plan.input.actions == REST
