"""F9: a film of every frame, and a take of the same name, from the real server."""

from pathlib import Path

import pygame

from longtake.clients.player.player import Player
from longtake.clients.session import Session
from tests.clients.player.directing import press, turn_until
from tests.clients.real_server import RealServer
from tests.reach import reach


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
