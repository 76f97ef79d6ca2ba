"""The server over real sockets, with the fake model in a thread: requests, roles, recording, coming and going."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FullDisk
from raw_client import RawClient

from longtake.clients.session import Session
from longtake.protocol import messages
from longtake.protocol.errors import EndpointError
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.binding import ServerError
from longtake.runtime.server.local import local_server
from longtake.runtime.server.loop import Server, ServerConfig
from longtake.runtime.takes.file import TakeReset, TakeRestore, read_take
from tests.reach import reach

Start = Callable[..., Any]


def test_a_session_opens_steers_and_watches(start: Start) -> None:
    local = start()
    with Session.connect(reach(local)) as session:
        assert [model.name for model in session.models] == ["fake"]
        world = session.open(model="fake", prompt="a red balloon", seed=7, mode="lockstep", delivery="every")
        first = world.advance(8)
        ack = world.prompt("a fox")
        second = world.advance(8)
        assert [p.header.tick for p in first + second] == list(range(16))
        assert [p.header.cue for p in second] == [0 if p.header.tick < ack.tick else 1 for p in second]
        assert ack.tick == 8
        assert [mark.kind for mark in world.timeline] == ["start", "prompt"]


def test_in_process_over_inproc(start: Start) -> None:
    with local_server("fake", in_process=True, factory="fakes:load") as local:
        assert local.endpoint.startswith("inproc://")
        with Session.connect(reach(local)) as session:
            world = session.open(model="fake", prompt="x", mode="lockstep", delivery="every")
            assert len(world.advance(12)) == 12


def test_several_directors_and_a_viewer(start: Start) -> None:
    local = start()
    with RawClient(local) as director, RawClient(local) as viewer:
        joined = director.open(mode="lockstep")
        seen = viewer.ask(messages.Join, messages.Joined, world="", role="viewer")
        assert (seen.world, seen.role, seen.seed) == (joined.world, "viewer", joined.seed)
        for refused in (
            viewer.ask(messages.Prompt, messages.Ack, world=joined.world, text="mine"),
            viewer.control_world(joined.world, "reset"),
            viewer.control_world(joined.world, "close"),
        ):
            assert (refused.code, refused.retryable) == ("forbidden", False)
        assert director.ask(messages.Prompt, messages.Ack, world=joined.world, text="mine").cue == 1
        again = viewer.ask(messages.Join, messages.Joined, world=joined.world, role="director")
        assert again.role == "director"
        assert viewer.ask(messages.Prompt, messages.Ack, world=joined.world, text="yours").coalesced == 2
        assert len(viewer.ask(messages.Worlds, messages.WorldList).worlds) == 1


def test_statuses_come_twice_a_second_and_displayed_feeds_them(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        for ms in (100.0, 300.0, 200.0):
            client.send(messages.Displayed(world=world, cue=1, event_to_photon_ms=ms))
        status = client.wait(messages.Status, event_to_photon_ms=200.0)
        assert (status.members, status.generator, status.mode) == (1, "ready", "lockstep")
        begun = time.monotonic()
        for _ in range(4):
            client.wait(messages.Status)
        assert 1.0 < time.monotonic() - begun < 5.0


def test_a_pause_is_told_at_once(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open().world
        client.control_world(world, "pause")
        assert client.wait(messages.Status, paused=True)
        tick = client.control_world(world, "pause").tick
        time.sleep(0.4)
        assert client.control_world(world, "resume").tick == tick
        assert client.wait(messages.Status, paused=False)


def test_recording_from_the_middle_holds_the_take_from_its_beginning(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=9).world
        client.control_world(world, "advance", ticks=8)
        client.ask(messages.Prompt, messages.Ack, world=world, text="a fox")
        client.control_world(world, "advance", ticks=8)
        assert client.control_world(world, "record_start", path="mine").detail == "mine.take"
        assert client.wait(messages.Status, recording="mine.take")
        assert client.control_world(world, "record_start", path="mine").code == "recording"
        client.control_world(world, "advance", ticks=8)
        client.control_world(world, "reset", seed=10)
        client.control_world(world, "advance", ticks=4)
        assert client.control_world(world, "record_stop").detail == "mine.take"
    take = read_take(local.server.config.takes / "mine.take")
    assert take.header.seed == 9
    assert [block.block for block in take.blocks] == [0, 1, 2, 3, 4, 5, 0]
    assert [cue.label for cue in take.cues] == ["a fox"]
    assert take.ended


def test_a_disk_that_fails_ends_the_recording_and_nothing_else(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtake.runtime.takes.recorder.TakeWriter", FullDisk)
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.control_world(world, "record_start", path="full")
        client.control_world(world, "advance", ticks=40)
        told = [m.text for m in client.seen if isinstance(m, messages.Notice) and m.kind == "recording"]
        assert len(told) == 2
        assert "No space left" in told[1]
        assert client.wait(messages.Status).recording == ""
        assert client.control_world(world, "advance", ticks=4).tick == 44
        stopped = client.control_world(world, "record_stop")
        assert (stopped.code, "No space left" in stopped.message) == ("recording", True)
        assert client.control_world(world, "record_stop").message == "nothing is being recorded"


def test_a_disk_that_fails_at_the_end_of_a_recording_is_no_complete_take(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longtake.runtime.takes.recorder.TakeWriter", FullDisk)
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.control_world(world, "record_start", path="full")
        client.control_world(world, "advance", ticks=4)
        stopped = client.control_world(world, "record_stop")
        assert (stopped.code, "No space left" in stopped.message) == ("recording", True)
        assert client.wait(messages.Status, recording="").tick == 4
        assert not any(m.text.endswith("is complete") for m in client.seen if isinstance(m, messages.Notice))
        assert client.control_world(world, "close").world == world


def test_frames_that_cannot_be_decoded_take_the_world_back_to_its_snapshot(start: Start) -> None:
    # Decoding fails so fast that the step of block 10 is mostly on its way by then.
    local = start(fake={"decode_s": 1e-6, "decode_fails_at": 9}, snapshot_every_s=0.01)
    takes = local.server.config.takes
    with Session.connect(reach(local)) as session:
        frames = []
        for _ in range(2):
            world = session.open(model="fake", prompt="a fox", seed=3, mode="lockstep", delivery="every")
            world.record_start(f"{world.name}.take")
            pictures = world.advance(8)
            plan = local.server.worlds.find(world.name).world.plan
            wait_for(lambda plan=plan: plan.restore_point.snapshot is not None)
            pictures += world.advance(56)
            frames.append([picture.pixels.tobytes() for picture in pictures])
            world.record_stop()
            take = read_take(takes / f"{world.name}.take")
            restores = [record for record in take.records if isinstance(record, TakeRestore)]
            assert [restore.kind for restore in restores] == ["compact"] * (len(frames) == 1)
            assert not any(isinstance(record, TakeReset) for record in take.records)
    assert len(frames[0]) == 64
    assert frames[0] == frames[1]


def test_a_vanished_clients_world_is_kept_rejoined_and_in_the_end_closed(start: Start) -> None:
    local = start(heartbeat_s=0.2, keep_s=1.5)
    client = RawClient(local)
    world = client.open(mode="lockstep", seed=3).world
    client.control_world(world, "advance", ticks=8)
    client.vanish()
    room = local.server.worlds.find(world)
    until = time.monotonic() + 20
    while room.members and time.monotonic() < until:
        time.sleep(0.02)
    assert room.members == []
    with RawClient(local) as again:
        joined = again.ask(messages.Join, messages.Joined, world=world, role="director")
        assert (joined.tick, joined.seed) == (8, 3)
        assert again.control_world(world, "advance", ticks=4).tick == 12
        again.send(messages.Goodbye())
    with RawClient(local) as watcher:
        until = time.monotonic() + 20
        while watcher.ask(messages.Worlds, messages.WorldList).worlds and time.monotonic() < until:
            watcher.send(messages.Heartbeat(sent=0.0))
            time.sleep(0.05)
        assert watcher.ask(messages.Worlds, messages.WorldList).worlds == []


def test_a_client_that_has_gone_is_no_warning(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    local = start(heartbeat_s=0.2)
    client = RawClient(local)
    room = local.server.worlds.find(client.open().world)
    client.vanish()
    until = time.monotonic() + 20
    while room.members and time.monotonic() < until:
        time.sleep(0.02)
    assert room.members == []
    assert "does not take its messages" not in caplog.text


def test_leaving_lets_the_world_go_on(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open().world
        client.ask(messages.Leave, messages.Done, world=world)
        assert client.ask(messages.Prompt, messages.Ack, world=world, text="x").code == "unknown_world"
        assert client.ask(messages.Join, messages.Joined, world=world).role == "viewer"


def test_closing_is_told_to_everybody(start: Start) -> None:
    local = start()
    with RawClient(local) as director, RawClient(local) as viewer:
        world = director.open().world
        viewer.ask(messages.Join, messages.Joined, world=world)
        assert isinstance(director.control_world(world, "close"), messages.Done)
        assert viewer.wait(messages.Notice, kind="closed").world == world
        assert director.ask(messages.Worlds, messages.WorldList).worlds == []


def test_the_end_of_the_server_is_told(start: Start) -> None:
    with local_server("fake", in_process=True, factory="fakes:load", endpoint="tcp://127.0.0.1:0") as local:
        client = RawClient(local)
        world = client.open().world
    assert client.wait(messages.Notice, kind="shutdown").world == world
    assert client.wait(messages.Goodbye)
    client.vanish()


def test_heartbeats_are_answered(start: Start) -> None:
    local = start(heartbeat_s=0.3)
    with RawClient(local) as client:
        client.send(messages.Heartbeat(sent=12.5))
        assert client.wait(messages.Heartbeat, reply=True).sent == 12.5
        assert client.wait(messages.Heartbeat, reply=False)


def test_a_port_in_use_is_one_clear_line(start: Start) -> None:
    local = start()
    second = Server(
        ServerConfig(endpoint=local.endpoint, generator=GeneratorHostConfig(models=("fake",), factory="f:f"))
    )
    with pytest.raises(ServerError, match=r"is in use: another server may be running there") as error:
        second.bind()
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/none/socket"
    server = Server(ServerConfig(endpoint=endpoint, generator=GeneratorHostConfig(models=("fake",), factory="f:f")))
    with pytest.raises(ServerError, match=r"cannot be bound: No such file or directory$"):
        server.bind()


def test_only_loopback_is_bound() -> None:
    server = Server(
        ServerConfig(endpoint="tcp://0.0.0.0:0", generator=GeneratorHostConfig(models=("fake",), factory="f:f"))
    )
    with pytest.raises(EndpointError, match="ssh -L"):
        server.bind()


def test_a_model_that_does_not_load_is_one_clear_line(start: Start) -> None:
    with pytest.raises(ServerError, match=r"could not be started: the weights are missing: weights\.bin"):
        start(fake={"fail_to_load": "the weights are missing: weights.bin"})


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
