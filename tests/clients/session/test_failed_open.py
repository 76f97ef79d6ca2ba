"""An `open` that fails leaves no world behind; numbers of numpy count as numbers."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtake.clients.session import AsyncSession, Session
from longtake.clients.session.pending_requests import wait_answer
from longtake.protocol.errors import ProtocolError, Refused
from longtake.runtime.server.limits import Limits
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach


@pytest.mark.parametrize(
    "watch", [{"encoding": "png"}, {"delivery": "some"}, {"encoding": None}, {"delivery": "every", "buffer_frames": 0}]
)
def test_a_failed_open_leaves_no_world_behind(tmp_path: Path, watch: dict[str, Any]) -> None:
    with real_server(tmp_path) as server, Session.connect(reach(server)) as session:
        with pytest.raises((ProtocolError, ValueError)):
            session.open(prompt="a fox", **watch)
        assert session.worlds() == []
        assert server.got["open"] == []


def test_an_open_whose_subscription_is_refused_leaves_no_world_behind(tmp_path: Path) -> None:
    limits = Limits(subscriptions_per_client=1)
    with real_server(tmp_path, limits=limits) as server, Session.connect(reach(server)) as session:
        first = session.open(prompt="a fox")
        with pytest.raises(Refused) as caught:
            session.open(prompt="a bird")
        assert caught.value.code == "too_many"
        assert wait_for(lambda: [entry.world for entry in session.worlds()] == [first.name])
        with Session.connect(reach(server)) as other:
            other.open(prompt="a boat")
            with pytest.raises(Refused):
                other.join(first.name)
            assert wait_for(lambda: {entry.world: entry.members for entry in session.worlds()}[first.name] == 1)


@pytest.mark.parametrize(
    ("options", "meant"),
    [({"promtp": "a fox"}, "prompt"), ({"sead": 7}, "seed"), ({"fps": 16}, ""), ({"role": ""}, "")],
)
def test_a_misspelt_option_is_an_error_and_opens_nothing(tmp_path: Path, options: dict[str, Any], meant: str) -> None:
    with real_server(tmp_path) as server, Session.connect(reach(server)) as session:
        with pytest.raises(TypeError, match=rf"open\(\) got an unexpected keyword argument '\w+'.*{meant}"):
            session.open(**options)
        with pytest.raises(TypeError, match=r"'encodng'; did you mean encoding\?"):
            session.join(encodng="raw")  # type: ignore[call-arg]
        assert server.got["open"] == server.got["join"] == []


@pytest.mark.parametrize("late", [False, True])
def test_ctrl_c_while_a_world_opens_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """With `late` the world has come already when the wait is interrupted."""

    def interrupted(future: Any, timeout_s: float, what: str) -> None:
        if late:
            future.result(10)
        future.cancel()
        raise KeyboardInterrupt

    with real_server(tmp_path) as server, Session.connect(reach(server)) as session:
        with monkeypatch.context() as patch:
            patch.setattr("longtake.clients.session.pending_requests.wait_answer", interrupted)
            with pytest.raises(KeyboardInterrupt):
                session.open(prompt="a fox")
        assert wait_for(lambda: len(server.got["open"]) == 1 and server.got["control"] != [])
        assert wait_for(lambda: session.worlds() == [])


def test_ctrl_c_ends_a_wait_and_gives_the_answer_up() -> None:
    class Interrupted(Future[int]):
        def result(self, timeout: float | None = None) -> int:
            raise KeyboardInterrupt

    future = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        wait_answer(future, 1.0, "open")
    assert future.cancelled()


def test_an_asynchronous_open_whose_subscription_is_refused(tmp_path: Path) -> None:
    async def go(server: RealServer) -> None:
        async with await AsyncSession.connect(reach(server)) as session:
            first = await session.open(prompt="a fox")
            with pytest.raises(Refused):
                await session.open(prompt="a bird")
            until = time.monotonic() + 5
            while [entry.world for entry in await session.worlds()] != [first.name]:
                assert time.monotonic() < until
                await asyncio.sleep(0.02)

    with real_server(tmp_path, limits=Limits(subscriptions_per_client=1)) as server:
        asyncio.run(go(server))


def test_numbers_of_numpy_open_and_advance(tmp_path: Path) -> None:
    with real_server(tmp_path) as server, Session.connect(reach(server)) as session:
        world = session.open(prompt="a fox", seed=np.int64(7), mode="lockstep", delivery="every")
        assert world.info.seed == 7
        assert [picture.header.tick for picture in world.advance(np.int32(4))] == [0, 1, 2, 3]
        with pytest.raises(ProtocolError, match=r"control\.ticks: expected int.*, got float"):
            world.advance(np.float32(4))  # type: ignore[arg-type]
        with pytest.raises(ProtocolError, match=r"control: a ndarray cannot be sent"):
            world.advance(np.arange(4))  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
