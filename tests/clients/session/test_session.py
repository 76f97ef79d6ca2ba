"""The session against a small server over inproc and loopback TCP: requests, worlds, steering and errors."""

import threading
import time

import msgspec
import pytest
import zmq

from longtake.clients.session import ConnectionState, InprocTransport, Session
from longtake.protocol import messages as m
from longtake.protocol.errors import (
    ConnectionFailed,
    ConnectionLost,
    EndpointError,
    ProtocolError,
    Refused,
    RequestTimeout,
    SessionClosed,
    VersionMismatch,
    WorldClosed,
)
from longtake.protocol.wire import encode
from tests.clients.fake_server import MODEL, FakeServer
from tests.reach import reach

SCRIPT = m.Script(
    name="s",
    slots=[m.Slot(name="time", values={"night": "at night"})],
    events={"night": m.EventDef(set={"time": "night"})},
)


def connect(server: FakeServer, **options) -> Session:
    return Session.connect(reach(server), **options)


def test_connecting_tells_models_and_worlds(fake_server):
    with connect(fake_server, client="a test") as session:
        assert [model.name for model in session.models] == ["diorama"]
        assert session.worlds() == []
        assert session.state is ConnectionState.CONNECTED
    assert session.state is ConnectionState.CLOSED
    assert fake_server.got["hello"] == [m.Hello(client="a test")]
    assert wait_for(lambda: len(fake_server.got["goodbye"]) == 1)


def test_a_new_welcome_tells_of_models_loaded_since(fake_server):
    fake_server.models = []
    with connect(fake_server) as session:
        assert session.models == []
        session_id = session.session_id()
        fake_server.models = [msgspec.structs.replace(MODEL, name="late")]
        assert [model.name for model in session.refresh().models] == ["late"]
        assert session.models[0].name == "late"
        assert session.session_id() == session_id


def test_open_sends_what_was_asked_and_misses_no_message_behind_the_answer(fake_server):
    with connect(fake_server) as session:
        world = session.open(prompt="a red balloon", seed=7, mode="lockstep", script=SCRIPT, readings=True)
        world.wait(lambda w: bool(w.timeline), "the start mark", 5)
        assert world.timeline[0].kind == "start"
        assert (world.name, world.info.seed, world.info.role) == ("w1", 7, "director")
    (opened,) = fake_server.got["open"]
    assert (opened.prompt, opened.seed, opened.mode, opened.script, opened.readings) == (
        "a red balloon",
        7,
        "lockstep",
        SCRIPT,
        True,
    )


def test_cues_are_acknowledged_with_block_and_tick(fake_server):
    with connect(fake_server) as session:
        world = session.open(script=SCRIPT)
        assert (world.prompt("rain", at_tick=161).block, world.prompt("sun", at_tick=160).tick) == (41, 160)
        assert world.event("night", cut_in=True).cue == 3
        futures = [world.prompt(f"cue {n}", wait=False) for n in range(50)]
        assert [future.result(5).cue for future in futures] == list(range(4, 54))
    assert fake_server.got["event"][0].cut_in


def test_actions_reach_the_server(fake_server):
    with connect(fake_server) as session:
        world = session.open(mode="lockstep")
        world.pause()
        world.resume()
        world.step(3)
        world.record_start("a.take")
        world.record_stop()
        assert world.reset(seed=5).generation == world.generation == 1
        world.displayed(2, 250.0)
        world.close()
    sent = [(c.action, c.ticks, c.seed, c.path) for c in fake_server.got["control"]]
    assert sent == [
        ("pause", None, None, None),
        ("resume", None, None, None),
        ("step", 3, None, None),
        ("record_start", None, None, "a.take"),
        ("record_stop", None, None, None),
        ("reset", None, 5, None),
        ("close", None, None, None),
    ]
    assert fake_server.got["displayed"] == [m.Displayed(world="w1", cue=2, event_to_photon_ms=250.0)]


def test_state_follows_what_the_server_says(fake_server):
    with connect(fake_server) as session:
        world = session.open()
        status = m.Status(
            world="w1",
            generation=0,
            tick=9,
            block=2,
            mode="live",
            paused=True,
            fps=16.0,
            lead=1,
            lead_target=2,
            shown=9,
            held=0,
            skipped=0,
            block_ms=1.0,
            recache_ms=1.0,
            tick_jitter_ms=0.1,
        )
        reading = m.Reading(world="w1", generation=0, block=2, tick=8, labels={"time": "day"}, confidence={"time": 1.0})
        fake_server.tell(status)
        fake_server.tell(reading)
        world.wait(lambda w: bool(w.readings), "a reading", 5)
        assert world.status == status
        assert list(world.readings) == [reading]
        with pytest.raises(RequestTimeout, match="paused at tick 9: resume or step it"):
            world.next_picture(0.05)


def test_a_reset_by_somebody_else_discards_the_older_generation(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="lockstep")
        world.wait(lambda w: bool(w.timeline), "the start mark", 5)
        fake_server.publish("w1", 3)
        world.control("reset").result(5)
        fake_server.publish("w1", 1)
        fake_server.tell(fake_server.applied(fake_server.worlds["w1"], "start", "again"))
        world.wait(lambda w: bool(w.timeline) and w.timeline[0].label == "again", "the new start", 5)
        assert world.next_picture(5).header.generation == 1
        assert [mark.generation for mark in world.timeline] == [1]


def test_refusals_come_back_as_errors(fake_server):
    with connect(fake_server) as session:
        with pytest.raises(Refused, match="no world 'gone'") as refused:
            session.join("gone")
        assert (refused.value.code, refused.value.retryable) == ("unknown_world", False)
        world = session.open()
        with pytest.raises(Refused, match="lockstep"):
            world.advance(4)
        with pytest.raises(Refused, match="no event 'noon'"):
            world.event("noon")


def test_a_prompt_of_100_kb_is_refused_before_it_is_sent(fake_server):
    with connect(fake_server) as session:
        world = session.open()
        with pytest.raises(ProtocolError, match=r"prompt\.text: expected str of length <= 2000 \(it has 100000\)"):
            world.prompt("x" * 100_000)
        assert fake_server.got["prompt"] == []
        assert world.prompt("x").cue == 1


def test_a_server_refuses_it_too_and_the_connection_lives_on(fake_server):
    with connect(fake_server) as session:
        world = session.open()
        number, answer = session._requests.begin(m.Ack)
        session._connection.send(encode(m.Prompt(request=number, world="w1", text="x" * 100_000)))
        with pytest.raises(Refused, match="length <= 2000") as refused:
            answer.result(5)
        assert refused.value.code == "invalid"
        assert world.prompt("y").cue == 1
        assert session.reconnects == 0


def test_two_clients_share_a_world(fake_server):
    with connect(fake_server) as director, connect(fake_server) as viewer:
        opened = director.open()
        watched = viewer.join()
        assert (watched.name, watched.info.role) == (opened.name, "viewer")
        watched.leave()
        with pytest.raises(WorldClosed, match="left w1"):
            watched.wait(lambda w: False, "nothing", 5)
        assert director.worlds()[0].members == 1
        viewer.join("w1").leave()  # a world that was left can be joined again


def test_a_world_is_joined_once_per_session(fake_server):
    with connect(fake_server) as session:
        session.open()
        with pytest.raises(Refused, match="has joined w1 already"):
            session.join("w1")


def test_a_closed_world_ends_its_frames(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="lockstep")
        fake_server.publish("w1", 2)
        fake_server.tell(m.Notice(world="w1", kind="closed", text="by its director"))
        world.wait(lambda w: w.ended is not None, "the end", 5)
        assert [p.header.tick for p in world.frames()] == [0, 1]
        with pytest.raises(WorldClosed, match="w1 has ended: by its director"):
            world.next_picture(1)


def test_closing_the_session_wakes_whoever_waits(fake_server):
    session = connect(fake_server)
    world = session.open()
    ended: list[type] = []

    def watch() -> None:
        try:
            world.next_picture(20)
        except SessionClosed as error:
            ended.append(type(error))

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.05)
    session.close()
    session.close()
    watcher.join(5)
    assert ended == [SessionClosed]
    with pytest.raises(SessionClosed):
        world.prompt("too late")
    assert list(world.frames()) == []


def test_threads_may_steer_at_once(fake_server):
    with connect(fake_server) as session:
        world = session.open()
        cues: list[int] = []
        threads = [
            threading.Thread(target=lambda: cues.extend(world.prompt("p").cue for _ in range(20))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(cues) == list(range(1, 101))


def test_no_thread_is_left_behind(fake_server):
    before = threading.active_count()
    connect(fake_server).close()
    assert threading.active_count() == before


def test_nobody_there():
    started = time.monotonic()
    with pytest.raises(ConnectionFailed, match=r"start one with `longtake serve`"):
        Session.connect("tcp://127.0.0.1:1", timeout_s=0.3)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5570", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "http://x:1"])
def test_bad_endpoints(endpoint):
    with pytest.raises(EndpointError):
        Session.connect(endpoint)


def test_inproc_needs_the_servers_context():
    with pytest.raises(EndpointError, match=r"give InprocTransport\(endpoint, context\)"):
        Session.connect("inproc://x")
    with pytest.raises(EndpointError, match="not in this process"):
        InprocTransport("tcp://127.0.0.1:5570", zmq.Context.instance())


def test_another_major_version(fake_server):
    fake_server.version = (2, 0)
    with pytest.raises(VersionMismatch):
        connect(fake_server)


def test_frames_that_do_not_arrive_are_explained(fake_server):
    fake_server.answer_subscribe = False
    with (
        connect(fake_server, request_timeout_s=0.3) as session,
        pytest.raises(ConnectionLost, match="forward that port too"),
    ):
        session.open()


def test_an_answer_that_does_not_come(fake_server):
    with connect(fake_server, request_timeout_s=0.1) as session:
        fake_server.silent = True
        with pytest.raises(RequestTimeout, match="no answer to worlds"):
            session.worlds()
        fake_server.silent = False


def test_an_unknown_context_is_left_alone():
    context = zmq.Context()
    with FakeServer("inproc://mine", context) as server:
        connect(server).close()
        assert not context.closed
    context.term()


def wait_for(condition, timeout_s: float = 5.0) -> bool:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()
