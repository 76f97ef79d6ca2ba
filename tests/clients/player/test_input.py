"""What keys and clicks do, on any keyboard, against the real server."""

from pathlib import Path

import pygame
import pytest
from msgspec.structs import replace

from longtake.clients.player.entry import OpenWorld
from longtake.clients.player.help import KEYS
from longtake.clients.player.player import Player
from longtake.clients.session import Session
from longtake.protocol import messages as m
from tests.clients.player.directing import SCRIPT, press, turn_until, type_text
from tests.clients.real_server import RealServer
from tests.reach import reach


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


def test_tab_and_a_click_turn_to_further_event_keys(server: RealServer, tmp_path: Path) -> None:
    events = {f"e{n}": m.EventDef(set={"time": "night"}, label=f"event number {n}") for n in range(12)}
    with Session.connect(reach(server)) as session:
        script = replace(SCRIPT, events=events)
        player = Player(session, OpenWorld(script=script), size=(640, 400), screenshots=tmp_path)
        player.connector.start()
        turn_until(player, lambda: bool(player.view.more_rect))
        first = [cap.event for cap in player.view.keycaps]
        press(player, pygame.K_TAB)
        turn_until(player, lambda: [cap.event for cap in player.view.keycaps] != first)
        second = [cap.event for cap in player.view.keycaps]
        place = player.view.more_rect.center
        pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=place))
        turn_until(player, lambda: [cap.event for cap in player.view.keycaps] not in (first, second))
        assert server.got["event"] == []
        player.connector.stop()


def test_a_click_on_the_timeline_tells_the_cue(server: RealServer, playing: Player) -> None:
    turn_until(playing, lambda: playing.state.frame is not None and bool(playing.state.timeline))
    strip = playing.view._strip
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(strip.right - 2, strip.centery)))
    playing.turn(0.01)
    assert playing.state.toasts[-1].text == "0:00  start: a fox by day"


def test_with_shift_an_event_or_a_prompt_cuts_in(server: RealServer, playing: Player) -> None:
    press(playing, pygame.K_UP, mod=pygame.KMOD_LSHIFT)
    press(playing, pygame.K_UP)
    turn_until(playing, lambda: len(server.got["event"]) == 2)
    assert [event.cut_in for event in server.got["event"]] == [True, False]
    press(playing, pygame.K_SLASH, "/")
    type_text(playing, "a fox")
    press(playing, pygame.K_RETURN, "\r", mod=pygame.KMOD_RSHIFT)
    turn_until(playing, lambda: bool(server.got["prompt"]))
    assert server.got["prompt"][0].cut_in
    assert "Shift" in dict(KEYS)
