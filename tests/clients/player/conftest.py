"""A server, a dummy window, and a player that directs a world of its own in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
import zmq

from longtake.clients.fonts import Fonts
from longtake.clients.player import theme
from longtake.clients.player.player import Player
from tests.clients.fake_server import FakeServer
from tests.clients.player.directing import directing
from tests.clients.real_server import RealServer, real_server


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


@pytest.fixture(scope="module")
def text() -> Iterator[theme.Text]:
    """Draws with no font of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_mode((64, 64))
        yield theme.Text(Fonts([]))
        pygame.display.quit()


@pytest.fixture
def playing(server: RealServer, window: None, tmp_path: Path) -> Iterator[Player]:
    """A player that directs a live world of its own."""
    with directing(server, tmp_path) as player:
        yield player
