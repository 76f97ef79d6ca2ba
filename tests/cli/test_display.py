"""Whether a window can be opened."""

import sys
from pathlib import Path

import pytest

from longtake.runtime.cli import display


@pytest.mark.parametrize(
    ("environment", "there"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":0", "SDL_VIDEODRIVER": "dummy"}, False),
        ({"SDL_VIDEODRIVER": "kmsdrm"}, True),
    ],
)
def test_display(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], there: bool) -> None:
    monkeypatch.setattr(display.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert display.has_display() is there


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SDL has another way")
@pytest.mark.parametrize(
    ("there", "gpus", "plain"),
    [
        ({"DISPLAY": ":1"}, [], "0"),
        ({"DISPLAY": ":1", "SDL_VIDEODRIVER": "x11"}, [], "0"),
        ({"DISPLAY": ":1"}, [Path("renderD128")], None),
        ({"DISPLAY": ":1", "WAYLAND_DISPLAY": "wayland-0"}, [], None),
        ({"DISPLAY": ":1", "SDL_VIDEODRIVER": "wayland"}, [], None),
        ({}, [], None),
        ({"DISPLAY": ":1", "SDL_FRAMEBUFFER_ACCELERATION": "1"}, [], "1"),
    ],
)
def test_without_a_gpu_pictures_do_not_go_through_opengl(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, str], gpus: list[Path], plain: str | None
) -> None:
    environment = dict(there)
    monkeypatch.setattr(display.os, "environ", environment)
    display.draw_plainly(gpus)
    assert environment.get("SDL_FRAMEBUFFER_ACCELERATION") == plain
