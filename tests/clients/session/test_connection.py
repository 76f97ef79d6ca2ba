"""What a session does when the server falls silent, forgets it, dies, or says goodbye."""

import threading
import time

import pytest

from longtake.clients.session import ConnectionState, Session
from longtake.protocol import messages as m
from longtake.protocol.errors import ConnectionFailed, ConnectionLost, LongtakeError, WorldClosed
from tests.clients.fake_server import FakeServer
from tests.reach import reach

HEARTBEAT_S = 0.3


def connect(server: FakeServer, **options) -> Session:
    return Session.connect(reach(server), **options)


def wait_for(condition, what: str, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"{what} did not come about"
        time.sleep(0.01)


def test_heartbeats_go_both_ways(fake_server):
    with connect(fake_server) as session:
        wait_for(lambda: len(fake_server.got["heartbeat"]) >= 3, "three heartbeats")
        session.open()
        fake_server.tell(m.Heartbeat(sent=42.0))
        wait_for(lambda: m.Heartbeat(sent=42.0, reply=True) in fake_server.got["heartbeat"], "the reply")
        assert 0 < session.rtt_ms < 1000
        time.sleep(1.2)
        assert session.reconnects == 0


def test_a_silent_server_is_noticed_and_found_again(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="lockstep")
        assert len(world.advance(3)) == 3
        fake_server.silent = True
        waiting = world.prompt("into the void", wait=False)
        wait_for(lambda: session.state is ConnectionState.RECONNECTING, "noticing the silence")
        with pytest.raises(ConnectionLost, match="has been silent for"):
            waiting.result(5)
        with pytest.raises(ConnectionLost, match="being made again; retry soon"):
            world.prompt("still nobody")
        fake_server.silent = False
        wait_for(lambda: session.reconnects >= 1, "the new connection")
        wait_for(lambda: len(fake_server.got["subscribe"]) >= 2, "the new subscription")
        assert world.ended is None
        assert [p.header.tick for p in world.advance(3)] == [3, 4, 5]
        assert fake_server.got["join"][-1] == m.Join(
            request=fake_server.got["join"][-1].request, world="w1", role="director"
        )


def test_a_machine_that_stops_for_a_while_loses_nothing(fake_server):
    """Client and server stop together, and the client is the first to go on."""
    with connect(fake_server) as session:
        transport = session._connection._transport
        wait, stopped = transport.wait, threading.Event()

        def stop_once(timeout_s: float) -> None:
            if not stopped.is_set():
                fake_server.silent = True
                time.sleep(5 * HEARTBEAT_S)
                transport.wait = wait
                stopped.set()
            wait(timeout_s)

        transport.wait = stop_once
        assert stopped.wait(20)
        time.sleep(HEARTBEAT_S)
        fake_server.silent = False
        time.sleep(4 * HEARTBEAT_S)
        assert session.reconnects == 0
        assert session.state is ConnectionState.CONNECTED


def test_a_server_that_forgot_its_clients_is_greeted_again(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="latest")
        fake_server.forget_clients()
        wait_for(lambda: session.reconnects >= 1, "the new connection")
        wait_for(lambda: len(fake_server.got["subscribe"]) >= 2, "the new subscription")
        fake_server.publish("w1", 2)
        assert world.next_picture(5).header.tick in (0, 1)


def test_a_world_that_is_gone_after_a_restart_ends(fake_server):
    with connect(fake_server) as session:
        world = session.open()
        fake_server.do(lambda: (fake_server.worlds.clear(), fake_server.sessions.clear()))
        wait_for(lambda: world.ended is not None, "the end of the world")
        with pytest.raises(WorldClosed, match=r"w1 could not be joined again: no world 'w1'"):
            world.next_picture(5)
        assert session.open().name == "w1"


def test_pictures_taken_while_away_are_not_granted_twice(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="offline", buffer_frames=8)
        fake_server.publish("w1", 8)
        world.wait(lambda w: len(w._buffer) == 8, "a full buffer", 5)
        fake_server.silent = True
        wait_for(lambda: session.state is ConnectionState.RECONNECTING, "noticing the silence")
        assert [world.next_picture(1).header.tick for _ in range(3)] == [0, 1, 2]
        fake_server.silent = False
        wait_for(lambda: len(fake_server.got["subscribe"]) >= 2, "the new subscription")
        assert fake_server.got["subscribe"][1].credit == 3


def test_goodbye_of_the_server_is_a_loss_at_once(fake_server):
    with connect(fake_server, reconnect_s=0) as session:
        world = session.open()
        fake_server.tell(m.Goodbye())
        wait_for(lambda: session.state is ConnectionState.CLOSED, "the end", 5)
        with pytest.raises(ConnectionLost, match="said goodbye"):
            world.next_picture(5)


def test_a_server_that_never_comes_back_is_given_up():
    with FakeServer("tcp://127.0.0.1:0", heartbeat_s=HEARTBEAT_S) as server:
        session = connect_tcp(server, reconnect_s=1.0)
        world = session.open()
    wait_for(lambda: session.state is ConnectionState.CLOSED, "giving up")
    with pytest.raises(ConnectionFailed, match="no Longtake server answers"):
        world.next_picture(5)
    with pytest.raises(LongtakeError, match="no Longtake server answers"):
        session.worlds()
    session.close()


def test_a_server_restarted_at_the_same_place_is_found():
    with FakeServer("tcp://127.0.0.1:0", heartbeat_s=HEARTBEAT_S) as server:
        endpoint = server.endpoint
        session = connect_tcp(server, reconnect_s=20)
        session.open()
    port = int(endpoint.rpartition(":")[2])
    with FakeServer(f"tcp://127.0.0.1:{port}") as server:
        wait_for(lambda: session.reconnects >= 1, "the new connection")
        assert session.open().name == "w1"
        session.close()


def connect_tcp(server: FakeServer, **options) -> Session:
    return Session.connect(server.endpoint, **options)


def test_nonsense_from_the_server_does_not_end_the_connection(fake_server):
    with connect(fake_server) as session:
        session.open()

        def babble() -> None:
            (peer,) = fake_server.sessions
            for junk in (b"", b"\xc1", b"\x80", b"\x81\xa4type\xa9from_2099"):
                fake_server.control.send_multipart([peer, junk])
            for frames_peer, _ in fake_server.subscriptions:
                for parts in ([b""], [b"\xc1", b"x"], [b"\x80", b"", b""]):
                    fake_server.frames.send_multipart([frames_peer, *parts])

        fake_server.do(babble)
        assert len(session.worlds()) == 1
        assert session.reconnects == 0
