"""Whether a window can be opened here. Environment variables are read in the command line only."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version

BLIND_DRIVERS = ("dummy", "offscreen")
"""SDL's video drivers that show nothing"""
HOW_TO_GET_A_WINDOW = (
    "for a window run `longtake play` in a desktop session, or here after `ssh -X`; or serve here and join from your "
    "own machine through a tunnel (`longtake serve`, README)"
)


def has_display() -> bool:
    """Whether there is a screen to open a window on."""
    driver = os.environ.get("SDL_VIDEODRIVER", "")
    if driver in BLIND_DRIVERS:
        return False
    if driver or sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pygame_conflict() -> str:
    """What to do where pygame and pygame-ce are both installed, which share a folder and break each other; else ""."""
    try:
        found = [f"{name} {version(name)}" for name in ("pygame", "pygame-ce")]
    except PackageNotFoundError:
        return ""
    return f"{' and '.join(found)} overwrite each other: pip uninstall pygame pygame-ce, then pip install pygame-ce"


def quiet_pygame() -> None:
    """Keep pygame from greeting on standard output when it is imported."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
