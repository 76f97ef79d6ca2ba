"""Scenarios, films and the player against the real server and a fake world model."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pygame
import pytest

from longtake.clients.film.headless import render
from longtake.clients.player.entry import OpenWorld
from longtake.clients.player.player import Player
from longtake.clients.session import Session
from longtake.protocol import messages as m
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.binding import ServerError
from longtake.runtime.server.local import LocalServer, local_server, server_thread
from longtake.runtime.server.loop import ServerConfig
from longtake.scenarios.runner import run_scenario, schedule
from longtake.scenarios.schema import EventSpec, Expectations, Moment, Scenario, SlotSpec
from tests.reach import reach

SCENARIO = Scenario(
    name="test",
    model="fake",
    seed=11,
    template="a fox {time}, {place}",
    slots={"time": SlotSpec(default="day", values={"day": "by day", "night": "at night"}), "place": SlotSpec()},
    events={"night": EventSpec(set={"time": "night"}, key="n"), "die": EventSpec(set={"place": "x"})},
    timeline=[
        Moment(at="1s", event="night", name="dark"),
        Moment(after="dark", delay="0s", prompt="a bird over the sea"),
        Moment(tick=37, event="night"),
    ],
    seconds=4,
    expect=Expectations(held_max=1000, latency_ms_max=20_000),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    config = ServerConfig(
        endpoint=f"inproc://scenario-{tmp_path.name}",
        in_process=True,
        takes=tmp_path / "takes",
        generator=GeneratorHostConfig(models=("fake",), factory="tests.runtime.fakes:load"),
    )
    with server_thread(config) as local:
        yield local
    assert local.context is not None
    local.context.term()


def test_one_scenario_and_one_seed_are_one_take_in_every_mode(server: LocalServer) -> None:
    modes: list[m.Mode] = ["lockstep", "offline"]
    reports = [run_scenario(SCENARIO, reach(server), mode=mode) for mode in modes]
    filmed = render(
        reach(server),
        seconds=4,
        model="fake",
        seed=11,
        script=SCENARIO.script(),
        mode="live",
        prepare=lambda world: schedule(world, SCENARIO.cues(16)) and None,
    )
    assert reports[0].frames_digest == reports[1].frames_digest == filmed.digest
    assert [(cue.name, cue.tick) for cue in reports[0].cues] == [
        ("dark", 16),
        ("a bird over the sea", 16),
        ("night", 40),
    ]
    assert [(mark.label, mark.tick) for mark in filmed.timeline] == [
        ("", 0), ("night", 16), ("a bird over the sea", 16), ("night", 40),
    ]  # fmt: skip
    assert filmed.timeline[-1].prompt == "a bird over the sea, at night"
    other = run_scenario(SCENARIO, reach(server), mode="lockstep", seed=12)
    assert other.frames_digest != filmed.digest


def test_a_live_run_is_measured_and_recorded(server: LocalServer, tmp_path: Path) -> None:
    report = run_scenario(SCENARIO, reach(server), record="a.take")
    assert report.passed
    assert {check.name: check.outcome for check in report.checks} == {"held": "passed", "latency_ms": "passed"}
    assert report.fps is not None
    assert report.fps < 17
    assert [file.name for file in (tmp_path / "takes").iterdir()] == ["a.take"]


def turn_until(player: Player, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"did not come about; {player.state}"
        player.turn(0.02)


def press(player: Player, key: int, unicode: str = "") -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=unicode, mod=0))
    player.turn(0.01)


def test_playing_at_a_real_server(server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Session.connect(reach(server)) as session:
        player = Player(
            session, OpenWorld(model="fake", script=SCENARIO.script()), size=(640, 480), screenshots=tmp_path
        )
        player.connector.start()
        turn_until(player, lambda: player.state.frame is not None)
        press(player, pygame.K_n, "n")
        turn_until(player, lambda: player.state.latency_ms is not None and "night" in player.state.in_force())
        assert player.state.prompt == "a fox at night"
        assert player.state.pending == []
        press(player, pygame.K_SPACE, " ")
        turn_until(player, lambda: player.state.paused)
        tick = player.state.status.tick if player.state.status else -1
        press(player, pygame.K_PERIOD, ".")
        turn_until(player, lambda: player.state.tick >= tick + 3)
        press(player, pygame.K_F9)
        turn_until(player, lambda: player.state.recording.startswith("test-"))
        press(player, pygame.K_F9)
        turn_until(player, lambda: player.state.recording == "")
        press(player, pygame.K_F5)
        turn_until(player, lambda: player.state.frame is not None and player.state.frame.generation == 1)
        assert player.state.prompt == "a fox at night", "a reset keeps the prompt"
        assert "night" in player.state.in_force()
        assert not player.state.paused
        player.connector.stop()
    pygame.display.quit()


@pytest.mark.slow
def test_the_player_survives_the_server_s_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    factory = "tests.runtime.fakes:load"
    with local_server("fake", factory=factory, takes=tmp_path) as first:
        endpoint = first.endpoint
        session = Session.connect(endpoint, reconnect_s=60)
        player = Player(
            session, OpenWorld(model="fake", script=SCENARIO.script()), size=(480, 360), screenshots=tmp_path
        )
        player.connector.start()
        turn_until(player, lambda: player.state.tick > 10)
    turn_until(player, lambda: player.state.connection == "reconnecting")
    with ExitStack() as stack:
        # Another test may have one of the ports for a while.
        for attempt in range(30):
            try:
                stack.enter_context(local_server("fake", factory=factory, takes=tmp_path, endpoint=endpoint))
                break
            except ServerError as error:
                if "in use" not in str(error) or attempt == 29:
                    raise
                time.sleep(1)
        turn_until(player, lambda: player.state.connection == "live" and player.state.frame is not None)
        press(player, pygame.K_n, "n")
        turn_until(player, lambda: player.state.latency_ms is not None)
        player.connector.stop()
        session.close()
    pygame.display.quit()
