"""Replaying takes: the same blocks again, through resets and restores, and where they first differ."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes import FakeConfig, FakeModel
from raw_client import RawClient

from longtake.protocol import messages
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.takes.file import Take, TakeBlock, TakeRestore, encode_record, read_take
from longtake.runtime.takes.replay import Replay, ReplayFailed, replay

Start = Callable[..., Any]
FAKE = GeneratorHostConfig(models=("fake",), factory="fakes:load")
TINY = GeneratorHostConfig(models=("fake",), factory="tiny_model:load")


def recorded(start: Start) -> tuple[Take, Path]:
    """A take of six blocks with a cue, and of three more after a reset."""
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=1).world
        client.ask(messages.Prompt, messages.Ack, world=world, text="a fox", at_tick=8)
        client.control_world(world, "record_start", path="good")
        client.control_world(world, "advance", ticks=24)
        client.control_world(world, "reset", seed=2)
        client.control_world(world, "advance", ticks=12)
        client.control_world(world, "record_stop")
    path = local.server.config.takes / "good.take"
    return read_take(path), path


def changed(take: Take, path: Path, before: dict[int, Any], instead: dict[int, Any] | None = None) -> Take:
    """The take with records put before (or instead of) the blocks of its first generation."""
    records: list[Any] = [take.header]
    seen = set()
    for record in take.records:
        block = record.block if isinstance(record, TakeBlock) and record.block not in seen else None
        if block is not None:
            seen.add(block)
            records += before.get(block, [])
        records.append((instead or {}).get(block, record))
    changed_path = path.parent / "changed.take"
    changed_path.write_bytes(b"".join(encode_record(record) for record in records))
    return read_take(changed_path)


def test_a_take_is_made_again_bit_for_bit(start: Start) -> None:
    take, _ = recorded(start)
    result = replay(take, FAKE, in_process=True)
    assert (result.blocks, result.same, result.first_difference) == (9, 9, None)
    assert str(result) == "all 9 blocks are the same, bit for bit"


def test_a_take_with_inputs_is_made_again_bit_for_bit(start: Start) -> None:
    local = start(fake={"axes": True})
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=1).world
        client.ask(messages.Input, messages.InputAck, world=world, axes={"speed": 0.1, "horn": 1.0})
        client.control_world(world, "record_start", path="steered")
        client.control_world(world, "advance", ticks=12)
        client.ask(messages.Input, messages.InputAck, world=world, axes={"speed": -1.0})
        client.control_world(world, "advance", ticks=12)
        client.control_world(world, "reset", seed=2)
        client.control_world(world, "advance", ticks=8)
        client.control_world(world, "record_stop")
    path = local.server.config.takes / "steered.take"
    take = read_take(path)
    assert [block.actions for block in take.blocks if block.actions] == [(0.1, 0.0, 1.0), (-1.0, 0.0, 1.0)]
    result = replay(take, FAKE, in_process=True)
    assert (result.blocks, result.same) == (8, 8)
    still = changed(take, path, {}, {3: TakeBlock(block=3, digest=take.blocks[3].digest)})
    result = replay(still, FAKE, in_process=True)
    assert result.first_difference is not None
    assert result.first_difference.block == 3, "without its input the block is another"


def test_a_steered_take_of_a_real_network_is_made_again_bit_for_bit(start: Start) -> None:
    local = start(generator={"factory": "tiny_model:load"})
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=1).world
        client.control_world(world, "record_start", path="steered")
        for axes in ({"speed": 1.0}, {"lift": -0.3}, {"speed": 0.1, "lift": 0.0}):
            client.control_world(world, "advance", ticks=12)
            client.ask(messages.Input, messages.InputAck, world=world, axes=axes)
        client.ask(messages.Prompt, messages.Ack, world=world, text="a fox at night")
        client.control_world(world, "advance", ticks=24)
        client.control_world(world, "record_stop")
    take = read_take(local.server.config.takes / "steered.take")
    assert [block.actions for block in take.blocks if block.actions] == [(1.0, 0.0), (1.0, -0.3), (0.1, 0.0)]
    result = replay(take, TINY, in_process=True)
    assert (result.blocks, result.same) == (len(take.blocks), len(take.blocks))


def test_it_says_where_it_first_differs(start: Start) -> None:
    take, path = recorded(start)
    wrong = TakeBlock(block=4, digest="ab" * 16)
    result = replay(changed(take, path, {}, {4: wrong}), FAKE, in_process=True)
    assert result.first_difference is not None
    assert result.first_difference.block == 4
    assert "1 of 9 blocks differ, first block 4 (tick 16, generation 0)" in str(result)


def test_a_prompt_that_was_tampered_with_shows_from_there_on(start: Start) -> None:
    take, path = recorded(start)
    other = TakeBlock(block=2, digest=take.blocks[2].digest, prompt="a boat")
    result = replay(changed(take, path, {}, {2: other}), FAKE, in_process=True)
    assert result.first_difference is not None
    assert result.first_difference.block == 2
    assert result.same == 2 + 3


@pytest.mark.parametrize(
    "restores",
    [
        {4: [TakeRestore(block=4, source=4, kind="compact")]},
        {5: [TakeRestore(block=5, source=3, kind="compact")]},
        {3: [TakeRestore(block=3, source=0, kind="open")]},
        {
            4: [TakeRestore(block=4, source=1, kind="compact"), TakeRestore(block=4, source=1, kind="compact")],
            5: [TakeRestore(block=5, source=4, kind="compact")],
        },
    ],
)
def test_restores_are_repeated_where_they_were(start: Start, restores: dict[int, Any]) -> None:
    take, path = recorded(start)
    result = replay(changed(take, path, restores), FAKE, in_process=True)
    assert result.first_difference is None, str(result)
    assert result.blocks == 9


def test_another_model_is_named(start: Start) -> None:
    take, _ = recorded(start)
    other = Replay(take, FAKE, in_process=True)
    other.model = FakeModel(config=FakeConfig(height=24)).announced
    assert other.differences() == "height was 12, is 24"
    missing = GeneratorHostConfig(models=("another",), factory="fakes:load")
    with pytest.raises(ReplayFailed, match="needs the model 'fake'"):
        replay(take, missing, in_process=True)


def test_options_that_are_not_the_recorded_ones_are_named(start: Start) -> None:
    take, path = recorded(start)
    header = msgspec.structs.replace(take.header, options={"linear": "int8", "compile": "True"})
    path.write_bytes(b"".join(encode_record(record) for record in [header, *take.records]))
    again = GeneratorHostConfig(models=("fake",), factory="fakes:load", options={"linear": "plain", "seed": "3"})
    other = Replay(read_take(path), again, in_process=True)
    other.model = FakeModel().announced
    assert other.differences() == "compile was True, is not given, linear was int8, is plain, seed was not given, is 3"


def test_it_ends_its_generator_when_left_early(start: Start) -> None:
    import threading

    take, _ = recorded(start)
    before = {thread for thread in threading.enumerate() if thread.name == "generator"}
    blocks = Replay(take, FAKE, in_process=True).blocks()
    assert next(blocks).same
    blocks.close()
    time.sleep(0.05)
    after = {thread for thread in threading.enumerate() if thread.name == "generator" and thread.is_alive()}
    assert after <= before
