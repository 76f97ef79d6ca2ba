"""The player in a dummy window, against the real server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pygame
import pytest
import zmq

from longtake.clients.player import theme
from longtake.clients.player.demo import Demo, DemoCue
from longtake.clients.player.entry import JoinWorld, OpenWorld
from longtake.clients.player.help import KEYS
from longtake.clients.player.player import Player, play
from longtake.clients.player.view import badges
from longtake.clients.session import Session
from longtake.protocol import messages as m
from longtake.protocol.errors import ConnectionFailed, ProtocolError, Refused
from longtake.runtime.server.limits import Limits
from tests.clients.fake_server import FakeServer
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach

SCRIPT = m.Script(
    name="test",
    title="A Test",
    template="a fox {time}",
    slots=[m.Slot(name="time", default="day", values={"day": "by day", "night": "at night"})],
    events={
        "night": m.EventDef(set={"time": "night"}, key="n", label="night"),
        "day": m.EventDef(set={"time": "day"}, key="up", label="day"),
    },
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path, heartbeat_s=0.3) as real:
        yield real


@pytest.fixture
def silent_server() -> Iterator[FakeServer]:
    """One that can fall silent and forget its clients."""
    context: Any = zmq.Context()
    with FakeServer("inproc://player", context, heartbeat_s=0.3) as fake:
        yield fake
    context.term()


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


@pytest.fixture
def playing(server: RealServer, window: None, tmp_path: Path) -> Iterator[Player]:
    """A player that directs a live world of its own."""
    with directing(server, tmp_path) as player:
        yield player


@contextmanager
def directing(server: RealServer | FakeServer, screenshots: Path) -> Iterator[Player]:
    with Session.connect(reach(server), reconnect_s=60) as session:
        player = Player(session, OpenWorld(script=SCRIPT, seed=7), size=(640, 480), screenshots=screenshots)
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


def test_named_keys_and_clicks_fire_too(server: RealServer, playing: Player) -> None:
    press(playing, pygame.K_UP)
    turn_until(playing, lambda: len(server.got["event"]) == 1)
    cap = next(cap for cap in playing.view.keycaps if cap.event == "night")
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=cap.rect.center))
    turn_until(playing, lambda: len(server.got["event"]) == 2)
    assert [event.name for event in server.got["event"]] == ["day", "night"]


def test_typing_a_prompt(server: RealServer, playing: Player) -> None:
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
def test_keys_of_the_loop(server: RealServer, playing: Player, key: int, unicode: str, mod: int, action: str) -> None:
    press(playing, key, unicode, mod)
    turn_until(playing, lambda: bool(server.got["control"]))
    assert server.got["control"][0].action == action
    assert server.got["control"][0].seed is None


def test_shift_f5_takes_another_seed(server: RealServer, playing: Player) -> None:
    press(playing, pygame.K_F5, mod=pygame.KMOD_SHIFT)
    turn_until(playing, lambda: bool(server.got["control"]))
    assert server.got["control"][0].seed is not None


def test_space_goes_on_when_the_world_is_paused(server: RealServer, playing: Player) -> None:
    for paused in (True, False):
        press(playing, pygame.K_SPACE, " ")
        turn_until(playing, lambda paused=paused: playing.state.paused is paused)
    assert [control.action for control in server.got["control"]] == ["pause", "resume"]


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


def test_overlays_are_switched_by_their_keys(server: RealServer, playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None)
    press(playing, pygame.K_SPACE, " ")
    turn_until(playing, lambda: playing.state.paused)
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


@pytest.fixture
def steering(window: None, tmp_path: Path) -> Iterator[tuple[RealServer, Player]]:
    """A player that directs a world whose model takes input."""
    with real_server(tmp_path, heartbeat_s=0.3, axes=True) as real, directing(real, tmp_path) as player:
        yield real, player


def release(key: int) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=key, mod=0))


def speeds(server: RealServer) -> list[float]:
    return [message.axes["speed"] for message in server.got["input"] if "speed" in message.axes]


def test_an_arrow_key_pushes_the_stick_and_letting_go_puts_it_at_rest(steering: tuple[RealServer, Player]) -> None:
    server, player = steering
    press(player, pygame.K_RIGHT)
    turn_until(player, lambda: speeds(server)[-1:] == [1.0])
    assert 0.5 <= speeds(server)[0] <= 1.0, "it is pushed halfway at once"
    turn_until(player, lambda: player.state.input_latency_ms is not None)
    turn_until(player, lambda: len(server.got["displayed"]) > 0)
    assert server.got["displayed"][0].cue is None
    turn_until(player, lambda: tuple(middle(player))[2] == 200)
    release(pygame.K_RIGHT)
    turn_until(player, lambda: speeds(server)[-1:] == [0.0])
    turn_until(player, lambda: tuple(middle(player))[2] == 100)
    assert player.state.held == {"speed": 0.0, "lift": 0.0, "horn": 0.0}
    press(player, pygame.K_LEFT)
    turn_until(player, lambda: speeds(server)[-1:] == [-1.0])


def test_an_event_of_the_script_keeps_its_arrow_key(steering: tuple[RealServer, Player]) -> None:
    server, player = steering
    press(player, pygame.K_UP)
    turn_until(player, lambda: bool(server.got["event"]))
    assert server.got["event"][0].name == "day"
    assert not server.got["input"]


def test_typing_and_losing_the_window_let_go(steering: tuple[RealServer, Player]) -> None:
    server, player = steering
    lost = pygame.event.Event(pygame.WINDOWFOCUSLOST)
    for leave in (lambda: press(player, pygame.K_SLASH, "/"), lambda: pygame.event.post(lost)):
        press(player, pygame.K_RIGHT)
        turn_until(player, lambda: speeds(server)[-1:] == [1.0])
        leave()
        turn_until(player, lambda: speeds(server)[-1:] == [0.0])
        player.keyboard.leave()


def test_a_gamepad_steers(steering: tuple[RealServer, Player]) -> None:
    server, player = steering
    pygame.event.post(pygame.event.Event(pygame.JOYAXISMOTION, instance_id=0, axis=0, value=-1.0))
    pygame.event.post(pygame.event.Event(pygame.JOYAXISMOTION, instance_id=0, axis=1, value=-1.0))
    pygame.event.post(pygame.event.Event(pygame.JOYBUTTONDOWN, instance_id=0, button=0))
    turn_until(player, lambda: player.state.held == {"speed": -1.0, "lift": 0.5, "horn": 1.0})
    pygame.event.post(pygame.event.Event(pygame.JOYHATMOTION, instance_id=0, hat=0, value=(1, 0)))
    turn_until(player, lambda: player.state.held["speed"] == 1.0)
    turn_until(player, lambda: speeds(server)[-1:] == [1.0])


def test_a_world_without_axes_says_so_once(server: RealServer, playing: Player) -> None:
    for _ in range(3):
        press(playing, pygame.K_RIGHT)
        release(pygame.K_RIGHT)
    turn_until(playing, lambda: any("takes no input" in toast.text for toast in playing.state.toasts))
    assert not server.got["input"]
    playing.state.toasts.clear()
    press(playing, pygame.K_LEFT)
    playing.turn(0.05)
    playing.turn(0.05)
    assert not playing.state.toasts


def test_f9_films_every_frame_and_records_the_take(server: RealServer, playing: Player, tmp_path: Path) -> None:
    import av

    playing.filming.connect = lambda: Session.connect(reach(server))
    turn_until(playing, lambda: playing.state.frame is not None)
    press(playing, pygame.K_F9)
    turn_until(playing, lambda: bool(playing.state.recording))
    filmed = playing.filming.recorder
    assert filmed is not None
    press(playing, pygame.K_n, "n")
    turn_until(playing, lambda: "night" in playing.state.prompt, seconds=10)
    press(playing, pygame.K_F9)
    turn_until(playing, lambda: playing.filming.recorder is None, seconds=20)
    assert any(toast.text.startswith(f"Film: {filmed.path}") for toast in playing.state.toasts)
    with av.open(str(filmed.path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        chapters = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert frames >= 2
    assert chapters[-1] == "night"
    assert [message.action for message in server.got["control"]][-2:] == ["record_start", "record_stop"]
    assert Path(server.got["control"][-2].path).stem == filmed.path.stem


def test_the_demo_plays_until_a_key_is_pressed(server: RealServer, playing: Player) -> None:
    playing.demo = Demo([DemoCue(1, "event", "night"), DemoCue(10_000, "event", "day")])
    turn_until(playing, lambda: "night" in playing.state.prompt, seconds=10)
    assert ("DEMO: press any key to direct", theme.ACCENT, False) in badges(playing.state)
    press(playing, pygame.K_F3)
    assert not playing.demo.running
    assert not playing.state.demo
    assert "the world is yours" in playing.state.toasts[-1].text


def test_a_pad_and_the_wheel_choose_and_fire_events(server: RealServer, playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None)
    for event in (
        pygame.event.Event(pygame.MOUSEWHEEL, y=-1, x=0),
        pygame.event.Event(pygame.MOUSEWHEEL, y=-1, x=0),
        pygame.event.Event(pygame.JOYBUTTONDOWN, instance_id=0, button=5),
        pygame.event.Event(pygame.JOYBUTTONDOWN, instance_id=0, button=4),
    ):
        pygame.event.post(event)
    playing.turn(0.01)
    assert playing.state.selected == "day"
    pygame.event.post(pygame.event.Event(pygame.JOYBUTTONDOWN, instance_id=0, button=0))
    pygame.event.post(pygame.event.Event(pygame.JOYBUTTONDOWN, instance_id=0, button=7))
    turn_until(playing, lambda: playing.state.paused)
    assert [event.name for event in server.got["event"]] == ["day"]


def test_a_click_on_the_timeline_tells_the_cue(server: RealServer, playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None and bool(playing.state.timeline))
    strip = playing.view._strip
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(strip.right - 2, strip.centery)))
    playing.turn(0.01)
    assert playing.state.toasts[-1].text == "0:00  start: a fox by day"


CYRILLIC = {"n": (0x442, "\u0442"), "q": (0x439, "\u0439"), "slash": (ord("."), "."), "period": (0x44E, "\u044e")}
"""what a Russian keyboard types at the places of American keys: (code, character)"""


def press_place(player: Player, place: int, key: int, unicode: str, mod: int = 0) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=unicode, mod=mod, scancode=place))
    player.turn(0.01)


def test_a_keyboard_without_latin_letters_fires_events_by_place(playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None)
    press_place(playing, pygame.KSCAN_N, *CYRILLIC["n"])
    assert playing.state.waiting_for("night")


def test_a_latin_letter_means_itself_wherever_it_is(playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None)
    press_place(playing, pygame.KSCAN_N, pygame.K_b, "b")
    assert not playing.state.pending
    press_place(playing, pygame.KSCAN_B, pygame.K_n, "n")
    assert playing.state.waiting_for("night")


def test_shortcuts_work_on_a_keyboard_without_latin_letters(playing: Player) -> None:
    press(playing, pygame.K_RETURN)
    type_text(playing, "\u043b\u0438\u0441")
    assert playing.prompt.text == "\u043b\u0438\u0441"
    press_place(playing, pygame.KSCAN_U, 0x433, "\u0433", pygame.KMOD_CTRL)
    assert playing.prompt.text == ""
    press(playing, pygame.K_ESCAPE)
    press_place(playing, pygame.KSCAN_Q, *CYRILLIC["q"], pygame.KMOD_CTRL)
    assert not playing.running


@pytest.mark.parametrize(
    "typed",
    ["\u2764\ufe0f", "\u200b", "\0", "\u0301", "\ud83d", "\U0001f469\u200d\U0001f467", "\u4e2d\u6587"],
    ids=ascii,
)
def test_typing_anything_and_editing_it_ends_nothing(playing: Player, typed: str) -> None:
    press(playing, pygame.K_RETURN)
    playing.prompt.insert(typed)
    for key in (pygame.K_HOME, pygame.K_DELETE, pygame.K_END, pygame.K_BACKSPACE, pygame.K_LEFT, pygame.K_DELETE):
        press(playing, key)
        playing.prompt.insert("a")
    assert playing.running


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
