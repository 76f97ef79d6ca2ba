"""Choosing and firing events with a pad or the mouse's wheel, against the real server."""

import pygame

from longtake.clients.player.player import Player
from tests.clients.player.directing import turn_until
from tests.clients.real_server import RealServer


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
