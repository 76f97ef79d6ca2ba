"""The player in a dummy window, against a server that speaks the real protocol."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
import zmq

from longtake.clients.player.help import KEYS
from longtake.clients.player.player import JoinWorld, OpenWorld, Player, play
from longtake.clients.session import Session
from longtake.protocol import messages as m
from longtake.protocol.errors import ConnectionFailed, Refused
from tests.clients.acting_server import ActingServer
from tests.reach import reach

SCRIPT = m.Script(
    name="test",
    title="A Test",
    template="a fox {time}",
    slots={"time": m.Slot(default="day", values={"day": "by day", "night": "at night"})},
    events={
        "night": m.EventDef(set={"time": "night"}, key="n", label="night"),
        "day": m.EventDef(set={"time": "day"}, key="up", label="day"),
    },
)


@pytest.fixture
def server() -> Iterator[ActingServer]:
    context: Any = zmq.Context()
    with ActingServer("inproc://player", context, heartbeat_s=0.3) as acting:
        yield acting
    context.term()


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


@pytest.fixture
def playing(server: ActingServer, window: None, tmp_path: Path) -> Iterator[Player]:
    """A player that directs a world of its own, which stands until the test publishes."""
    with Session.connect(reach(server), reconnect_s=60) as session:
        player = Player(session, OpenWorld(script=SCRIPT, seed=7), size=(640, 480), screenshots=tmp_path)
        player.connector.start()
        turn_until(player, lambda: player.state.info is not None)
        yield player
        player.connector.stop()


def turn_until(player: Player, condition: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"did not come about; {player.state}"
        player.turn(0.01)


def press(player: Player, key: int, unicode: str = "", mod: int = 0) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=unicode, mod=mod, scancode=0))
    player.turn(0.01)


def type_text(player: Player, text: str) -> None:
    for character in text:
        pygame.event.post(pygame.event.Event(pygame.TEXTINPUT, text=character))
    player.turn(0.01)


def middle(player: Player) -> tuple[int, ...]:
    surface = pygame.display.get_surface()
    assert surface is not None
    return tuple(surface.get_at((surface.get_width() // 2, 120)))[:3]


def test_it_opens_the_world_it_was_asked_for_and_shows_its_frames(server: ActingServer, playing: Player) -> None:
    opened = server.got["open"][0]
    assert (opened.script, opened.seed, opened.mode) == (SCRIPT, 7, "live")
    server.publish(count=3)
    turn_until(playing, lambda: playing.state.frame is not None and playing.state.tick == server.worlds["w1"].tick - 1)
    red, green, blue = middle(playing)
    assert (red, green, blue) == (0, playing.state.tick % 256, 90)


def test_a_key_fires_its_event_and_the_first_frame_under_it_is_reported(server: ActingServer, playing: Player) -> None:
    server.publish()
    turn_until(playing, lambda: playing.state.frame is not None)
    press(playing, pygame.K_n, "n")
    turn_until(playing, lambda: bool(server.got["event"]) and playing.state.pending[0].ack is not None)
    assert server.got["event"][0].name == "night"
    assert playing.state.waiting_for("night")
    tick = playing.state.pending[0].tick
    assert tick is not None
    server.publish(count=tick - server.worlds["w1"].tick)
    time.sleep(0.05)
    playing.turn(0.01)
    assert server.got["displayed"] == []
    server.publish()
    turn_until(playing, lambda: bool(server.got["displayed"]))
    report = server.got["displayed"][0]
    assert report.cue == 1
    assert 50 <= report.event_to_photon_ms < 5000
    assert playing.state.latency_ms == report.event_to_photon_ms


def test_named_keys_and_clicks_fire_too(server: ActingServer, playing: Player) -> None:
    press(playing, pygame.K_UP)
    turn_until(playing, lambda: len(server.got["event"]) == 1)
    cap = next(cap for cap in playing.view.keycaps if cap.event == "night")
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=cap.rect.center))
    turn_until(playing, lambda: len(server.got["event"]) == 2)
    assert [event.name for event in server.got["event"]] == ["day", "night"]


def test_typing_a_prompt(server: ActingServer, playing: Player) -> None:
    press(playing, pygame.K_SLASH, "/")
    assert playing.prompt.focused
    type_text(playing, "a fox n")
    assert server.got["event"] == [], "letters are not event keys while typing"
    press(playing, pygame.K_BACKSPACE)
    type_text(playing, "in snow")
    press(playing, pygame.K_RETURN, "\r")
    turn_until(playing, lambda: bool(server.got["prompt"]))
    assert server.got["prompt"][0].text == "a fox in snow"
    assert not playing.prompt.focused
    press(playing, pygame.K_RETURN, "\r")
    press(playing, pygame.K_UP)
    assert playing.prompt.text == "a fox in snow"
    press(playing, pygame.K_ESCAPE)
    assert not playing.prompt.focused


def test_the_slash_that_opens_the_line_is_not_typed_into_it(playing: Player) -> None:
    press(playing, pygame.K_SLASH, "/")
    type_text(playing, "/")
    assert playing.prompt.text == ""
    type_text(playing, "/day/")
    assert playing.prompt.text == "/day/"


@pytest.mark.parametrize(
    ("key", "unicode", "mod", "action"),
    [
        (pygame.K_SPACE, " ", 0, "pause"),
        (pygame.K_PERIOD, ".", 0, "step"),
        (pygame.K_F5, "", 0, "reset"),
        (pygame.K_F9, "", 0, "record_start"),
    ],
)
def test_keys_of_the_loop(server: ActingServer, playing: Player, key: int, unicode: str, mod: int, action: str) -> None:
    press(playing, key, unicode, mod)
    turn_until(playing, lambda: bool(server.got["control"]))
    assert server.got["control"][0].action == action
    assert server.got["control"][0].seed is None


def test_shift_f5_takes_another_seed(server: ActingServer, playing: Player) -> None:
    press(playing, pygame.K_F5, mod=pygame.KMOD_SHIFT)
    turn_until(playing, lambda: bool(server.got["control"]))
    assert server.got["control"][0].seed is not None


def test_space_goes_on_when_the_world_is_paused(server: ActingServer, playing: Player) -> None:
    server.do(lambda: server._tell(server.worlds["w1"], server.status(server.worlds["w1"])))
    turn_until(playing, lambda: playing.state.status is not None)
    server.do(lambda: setattr(server.worlds["w1"], "paused", True))
    server.do(lambda: server._tell(server.worlds["w1"], server.status(server.worlds["w1"])))
    turn_until(playing, lambda: playing.state.paused)
    press(playing, pygame.K_SPACE, " ")
    turn_until(playing, lambda: bool(server.got["control"]))
    assert server.got["control"][0].action == "resume"


def test_what_the_server_refuses_is_shown(server: ActingServer, playing: Player) -> None:
    server.refuse_cues = 1
    press(playing, pygame.K_n, "n")
    turn_until(playing, lambda: bool(playing.state.toasts))
    assert playing.state.toasts[0].text == "slowly"
    assert playing.state.pending == []


def test_screenshots_hold_the_world_s_own_pixels(server: ActingServer, playing: Player, tmp_path: Path) -> None:
    server.publish(count=2)
    turn_until(playing, lambda: playing.state.frame is not None and playing.view.picture() is not None)
    press(playing, pygame.K_F12)
    press(playing, pygame.K_F12)
    press(playing, pygame.K_F12, mod=pygame.KMOD_SHIFT)
    files = sorted(tmp_path.glob("*.png"))
    sizes = [pygame.image.load(str(file)).get_size() for file in files]
    assert sorted(sizes) == [(24, 16), (24, 16), (640, 480)]


def test_a_screenshot_that_cannot_be_saved_is_a_toast(server: ActingServer, playing: Player, tmp_path: Path) -> None:
    server.publish()
    turn_until(playing, lambda: playing.view.picture() is not None)
    playing._screenshots = tmp_path / "missing"
    press(playing, pygame.K_F12)
    assert "cannot be saved" in playing.state.toasts[-1].text


def test_overlays_are_switched_by_their_keys(server: ActingServer, playing: Player) -> None:
    server.publish()
    turn_until(playing, lambda: playing.state.frame is not None)
    seen = set()
    surface = pygame.display.get_surface()
    assert surface is not None
    for key in (pygame.K_F1, pygame.K_F1, pygame.K_F2, pygame.K_F2, pygame.K_F3):
        press(playing, key)
        seen.add(hash(surface.get_buffer().raw))
    options = playing.view.options
    assert (options.help, options.chrome, options.hud) == (False, True, True)
    assert len(seen) >= 4
    assert {"F1", "F2", "F3", "F5", "F9", "F11", "F12"} <= {key for key, _ in KEYS}


def test_a_spectator_watches_and_cannot_steer(server: ActingServer, playing: Player, tmp_path: Path) -> None:
    with Session.connect(reach(server)) as session:
        watching = Player(session, JoinWorld(world="w1"), size=(480, 360), screenshots=tmp_path)
        watching.connector.start()
        turn_until(watching, lambda: watching.state.info is not None)
        press(watching, pygame.K_n, "n")
        press(watching, pygame.K_SPACE, " ")
        press(watching, pygame.K_SLASH, "/")
        assert not watching.prompt.focused
        assert "watching only" in watching.state.toasts[-1].text
        time.sleep(0.1)
        assert server.got["event"] == []
        assert server.got["control"] == []
        watching.connector.stop()


def test_it_goes_on_after_a_lost_connection(server: ActingServer, playing: Player) -> None:
    server.publish()
    turn_until(playing, lambda: playing.state.frame is not None)
    server.silent = True
    turn_until(playing, lambda: playing.state.connection == "reconnecting")
    press(playing, pygame.K_n, "n")
    assert playing.state.pending == [], "nothing is sent into the void"
    server.silent = False
    turn_until(playing, lambda: playing.state.connection == "live" and len(server.got["subscribe"]) > 1)
    server.publish(count=2)
    turn_until(playing, lambda: playing.state.tick > 0)


def test_it_opens_the_world_again_at_a_restarted_server(server: ActingServer, playing: Player) -> None:
    server.publish()
    turn_until(playing, lambda: playing.state.frame is not None)
    server.do(server.worlds.clear)
    server.forget_clients()
    turn_until(playing, lambda: len(server.got["open"]) == 2 and playing.state.connection == "live", 10)
    turn_until(playing, lambda: bool(server.subscriptions) and playing.state.frame is None)
    server.publish()
    turn_until(playing, lambda: playing.state.frame is not None)


def test_a_world_closed_for_all_stays_closed_until_asked_for(server: ActingServer, playing: Player) -> None:
    server.tell(m.Notice(world="w1", kind="closed", text="by another director"))
    turn_until(playing, lambda: playing.state.connection == "closed")
    assert "by another director" in playing.state.detail
    press(playing, pygame.K_F5)
    turn_until(playing, lambda: playing.state.connection == "live")
    assert len(server.got["open"]) == 2


def test_play_says_when_nobody_answers(window: None) -> None:
    with pytest.raises(ConnectionFailed):
        play("tcp://127.0.0.1:1")


def test_play_says_when_the_world_is_refused(server: ActingServer, window: None) -> None:
    with pytest.raises(Refused, match="no world 'nowhere'"):
        play(reach(server), join="nowhere")
    assert not pygame.display.get_init()


def test_play_ends_when_the_window_is_closed(server: ActingServer, window: None, tmp_path: Path) -> None:
    with Session.connect(reach(server)) as session:
        player = Player(session, OpenWorld(script=SCRIPT), screenshots=tmp_path)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        player.run()
    assert not pygame.display.get_init()
