"""Steering by hand: arrow keys and gamepads, against the real server."""

from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest

from longtake.clients.player.player import Player
from tests.clients.player.directing import directing, middle, press, turn_until
from tests.clients.real_server import RealServer, real_server


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
