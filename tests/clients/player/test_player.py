"""The player in a dummy window, against the real server."""

import time
from pathlib import Path

import pygame
import pytest

from longtake.clients.player import theme
from longtake.clients.player.demo import Demo, DemoCue
from longtake.clients.player.entry import JoinWorld, OpenWorld
from longtake.clients.player.player import SHRINK_TRIES, WINDOW, Player, fitting, play, window_of
from longtake.clients.player.view import badges
from longtake.clients.session import Session
from longtake.protocol import messages as m
from longtake.protocol.errors import ConnectionFailed, ProtocolError, Refused
from longtake.runtime.server.limits import Limits
from tests.clients.fake_server import FakeServer
from tests.clients.player.directing import SCRIPT, directing, middle, press, turn_until
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach


def test_the_window_is_no_larger_than_the_desktop() -> None:
    assert fitting(WINDOW, (1920, 1080)) == WINDOW
    assert fitting(WINDOW, (640, 400)) == (640, 400)
    assert fitting(WINDOW, (1280, 768)) == (1280, 768)


def test_it_opens_the_world_it_was_asked_for_and_shows_its_frames(server: RealServer, playing: Player) -> None:
    opened = server.got["open"][0]
    assert (opened.script, opened.seed, opened.mode) == (SCRIPT, 7, "live")
    turn_until(playing, lambda: playing.state.frame is not None and playing.state.tick >= 2)
    red, green, blue = middle(playing)
    assert (red, green, blue) == (0, playing.state.tick % 256, 90)


def test_a_key_fires_its_event_and_the_first_frame_under_it_is_reported(server: RealServer, playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None)
    press(playing, pygame.K_n, "n")
    (cue,) = playing.state.pending
    assert playing.state.waiting_for("night")
    turn_until(playing, lambda: bool(server.got["displayed"]))
    assert server.got["event"][0].name == "night"
    assert cue.tick is not None
    assert playing.state.frame is not None
    assert playing.state.frame.tick >= cue.tick
    assert not playing.state.waiting_for("night")
    report = server.got["displayed"][0]
    assert report.cue == 1
    assert 0 < report.event_to_photon_ms < 5000
    assert playing.state.latency_ms == report.event_to_photon_ms


def test_what_the_server_refuses_is_shown(window: None, tmp_path: Path) -> None:
    limits = Limits(cues_per_second=0, cue_burst=1)  # which opening the world takes
    with real_server(tmp_path, limits=limits) as server, directing(server, tmp_path) as playing:
        press(playing, pygame.K_n, "n")
        turn_until(playing, lambda: bool(playing.state.toasts))
        assert "cues per second" in playing.state.toasts[0].text
        assert playing.state.pending == []


def test_screenshots_hold_the_world_s_own_pixels(server: RealServer, playing: Player, tmp_path: Path) -> None:
    turn_until(playing, lambda: playing.state.frame is not None and playing.view.picture() is not None)
    press(playing, pygame.K_F12)
    press(playing, pygame.K_F12)
    press(playing, pygame.K_F12, mod=pygame.KMOD_SHIFT)
    files = sorted(tmp_path.glob("*.png"))
    sizes = [pygame.image.load(str(file)).get_size() for file in files]
    assert sorted(sizes) == [(24, 16), (24, 16), (640, 480)]


def test_a_screenshot_that_cannot_be_saved_is_a_toast(server: RealServer, playing: Player, tmp_path: Path) -> None:
    turn_until(playing, lambda: playing.view.picture() is not None)
    (tmp_path / "file").touch()
    playing._screenshots = tmp_path / "file"  # no folder
    press(playing, pygame.K_F12)
    assert "cannot be saved" in playing.state.toasts[-1].text


def test_a_viewer_watches_and_cannot_steer(server: RealServer, playing: Player, tmp_path: Path) -> None:
    with Session.connect(reach(server)) as session:
        watching = Player(session, JoinWorld(), size=(480, 360), screenshots=tmp_path)
        watching.connector.start()
        turn_until(watching, lambda: watching.state.info is not None)
        press(watching, pygame.K_n, "n")
        press(watching, pygame.K_SPACE, " ")
        press(watching, pygame.K_SLASH, "/")
        assert not watching.prompt.focused
        assert "viewers only watch" in watching.state.toasts[-1].text
        time.sleep(0.1)
        assert server.got["event"] == []
        assert server.got["control"] == []
        watching.connector.stop()


def test_it_goes_on_after_a_lost_connection(silent_server: FakeServer, window: None, tmp_path: Path) -> None:
    server = silent_server
    with directing(server, tmp_path) as playing:
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


def test_it_opens_the_world_again_at_a_restarted_server(
    silent_server: FakeServer, window: None, tmp_path: Path
) -> None:
    server = silent_server
    with directing(server, tmp_path) as playing:
        server.publish()
        turn_until(playing, lambda: playing.state.frame is not None)
        server.do(server.worlds.clear)
        server.forget_clients()
        turn_until(playing, lambda: len(server.got["open"]) == 2 and playing.state.connection == "live", 10)
        turn_until(playing, lambda: bool(server.subscriptions) and playing.state.frame is None)
        server.publish()
        turn_until(playing, lambda: playing.state.frame is not None)


def test_a_world_closed_for_all_stays_closed_until_asked_for(server: RealServer, playing: Player) -> None:
    with Session.connect(reach(server), client="another director") as session:
        session.join(role="director", delivery=None).close()
    turn_until(playing, lambda: playing.state.connection == "closed")
    assert "closed by another director" in playing.state.detail
    press(playing, pygame.K_F5)
    turn_until(playing, lambda: playing.state.connection == "live")
    assert len(server.got["open"]) == 2


def test_play_says_when_nobody_answers(window: None) -> None:
    with pytest.raises(ConnectionFailed):
        play("tcp://127.0.0.1:1")


def test_play_says_when_the_world_is_refused(server: RealServer, window: None) -> None:
    with pytest.raises(Refused, match="no world 'nowhere'"):
        play(reach(server), join="nowhere")
    assert not pygame.display.get_init()


def test_play_ends_when_the_window_is_closed(server: RealServer, window: None, tmp_path: Path) -> None:
    with Session.connect(reach(server)) as session:
        player = Player(session, OpenWorld(script=SCRIPT), screenshots=tmp_path)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        player.run()
    assert not pygame.display.get_init()


def test_the_demo_plays_until_a_key_is_pressed(server: RealServer, playing: Player) -> None:
    playing.demo = Demo([DemoCue(1, "event", "night"), DemoCue(10_000, "event", "day")])
    turn_until(playing, lambda: "night" in playing.state.prompt, seconds=10)
    assert ("DEMO: press any key to direct", theme.ACCENT, False) in badges(playing.state)
    press(playing, pygame.K_F3)
    assert not playing.demo.running
    assert not playing.state.demo
    assert "the world is yours" in playing.state.toasts[-1].text


def test_a_prompt_and_a_title_that_cannot_be_drawn_end_no_player(
    server: RealServer, window: None, tmp_path: Path
) -> None:
    script = m.Script(title="\0", template="a \u200bfox {w}", slots=[m.Slot(name="w", default="\ufe0f")])
    with Session.connect(reach(server)) as session:
        player = Player(session, OpenWorld(script=script), size=(640, 480), screenshots=tmp_path)
        player.connector.start()
        turn_until(player, lambda: player.state.frame is not None)
        assert (player.state.script.title, player.state.prompt) == ("", "a fox")
        with Session.connect(reach(server)) as other:
            director = other.join(role="director", delivery=None)
            with pytest.raises(ProtocolError, match="visible"):
                director.prompt("\u200b")
            director.prompt("two\0 foxes\u202e")
        turn_until(player, lambda: player.state.prompt == "two foxes")
        player.connector.stop()


@pytest.mark.parametrize(("refusals", "tries"), [(0, 1), (2, 3), (99, SHRINK_TRIES)])
def test_a_window_asks_for_its_old_size_until_the_screen_is_let_go(
    monkeypatch: pytest.MonkeyPatch, refusals: int, tries: int
) -> None:
    asked: list[tuple[int, int]] = []

    def set_mode(size: tuple[int, int], flags: int) -> pygame.Surface:
        asked.append(size)
        return pygame.Surface(size if len(asked) > refusals else (1600, 1000))

    monkeypatch.setattr(pygame.display, "set_mode", set_mode)
    monkeypatch.setattr(pygame.event, "pump", lambda: None)
    monkeypatch.setattr(pygame.time, "wait", lambda ms: None)
    assert window_of((1280, 800)).get_size() == ((1280, 800) if refusals < SHRINK_TRIES else (1600, 1000))
    assert asked == [(1280, 800)] * tries
