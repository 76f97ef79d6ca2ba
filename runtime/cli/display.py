"""Finds out whether a window can open here. Only the command line reads environment variables."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

GPUS = Path("/dev/dri")
"""where Linux lists what can render"""
BLIND_DRIVERS = ("dummy", "offscreen")
"""SDL's video drivers that show nothing"""
HOW_TO_GET_A_WINDOW = (
    "for a window run `longtake play` in a desktop session or over `ssh -X`; or run `longtake serve` here and join "
    "from your own machine through a tunnel (README)"
)


def has_display() -> bool:
    """Return whether there is a screen to open a window on."""
    return not no_window()


def no_window() -> str:
    """Return why no window can open here, as half a sentence, or "" if one can."""
    driver = os.environ.get("SDL_VIDEODRIVER", "")
    if driver in BLIND_DRIVERS:
        return f"SDL_VIDEODRIVER={driver} shows nothing"
    if driver or sys.platform in ("win32", "darwin"):
        return ""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return "there is no display here"


def open_display() -> str:
    """Try to reach the display that the environment announces. Return why it fails, or "". Imports pygame."""
    if why := no_window():
        return why
    quiet_pygame()
    draw_plainly(GPUS.glob("render*"))
    import pygame

    try:
        pygame.display.init()
    except pygame.error as error:
        return f"the display cannot be opened ({error})"
    pygame.display.quit()
    return ""


def draw_plainly(gpus: Iterable[Path]) -> None:
    """Where there is no GPU, keep SDL from showing the window through OpenGL, which it does without asking.

    It is computed by the processor then: 20 ms a picture of 1280 x 800, where handing it to X11 takes none.
    """
    x11 = os.environ.get("SDL_VIDEODRIVER", "") in ("", "x11") and os.environ.get("DISPLAY")
    if sys.platform == "linux" and x11 and not os.environ.get("WAYLAND_DISPLAY") and not any(gpus):
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")


def quiet_pygame() -> None:
    """Stop pygame from printing its greeting when it is imported."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
