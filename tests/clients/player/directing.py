"""A player that directs a world in a dummy window, and what a hand does to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pygame

from longtake.clients.player.entry import OpenWorld
from longtake.clients.player.player import Player
from longtake.clients.session import Session
from longtake.protocol import messages as m
from tests.clients.fake_server import FakeServer
from tests.clients.real_server import RealServer
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
