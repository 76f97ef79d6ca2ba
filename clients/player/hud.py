"""The panel with the numbers (F3): frame rate, lead, held frames, event-to-photon latency, and the machine's work."""

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState

WIDTH = 218
"""pixels"""
LEAST_STEP = 12
"""pixels from line to line in a small window"""
OPACITY = 235
"""of 255: small grey figures must be readable over a bright sky"""


def rows(state: PlayerState, shown_fps: float) -> list[tuple[str, str, theme.Colour]]:
    """Return (label, value, colour) for each line of the panel; a dash for values the server has not sent yet."""
    status, info = state.status, state.info
    lines: list[tuple[str, str, theme.Colour]] = []
    wanted = info.model.fps if info else 0
    lines.append(("screen", f"{shown_fps:.1f} fps", _rate_colour(shown_fps, wanted)))
    latency = state.latency_ms
    lines.append(("event to photon", f"{latency:.0f} ms" if latency is not None else "-", theme.BRIGHT))
    if state.axes:
        latency = state.input_latency_ms
        lines.append(("stick to photon", f"{latency:.0f} ms" if latency is not None else "-", theme.BRIGHT))
    if status is None or info is None:
        return [*lines, ("server", "-", theme.MUTED)]
    lines += [
        ("world", f"{status.fps:.1f} fps", _rate_colour(status.fps, wanted)),
        ("lead (made ahead)", f"{status.lead} of {status.lead_target}", theme.TEXT if status.lead else theme.BAD),
        ("held", f"{status.held}", theme.ACCENT if status.held else theme.TEXT),
        ("skipped", f"{status.skipped}", theme.BAD if status.skipped else theme.TEXT),
        ("block", f"{status.block_ms:.0f} ms", theme.TEXT),
        ("recache", f"{status.recache_ms:.0f} ms", theme.TEXT),
        ("tick jitter", f"{status.tick_jitter_ms:.1f} ms", theme.TEXT),
        ("tick / block", f"{state.tick} / {state.frame.block if state.frame else status.block}", theme.TEXT),
        ("seed", f"{info.seed}", theme.TEXT),
        ("model", info.model.name, theme.TEXT),
        ("on", " ".join(part for part in (info.model.device, info.model.precision) if part) or "-", theme.TEXT),
        ("directors, viewers", f"{status.members}", theme.TEXT),
    ]
    return lines


def draw(
    surface: pygame.Surface, right: int, top: int, bottom: int, state: PlayerState, text: theme.Text, fps: float
) -> pygame.Rect:
    """Draw the panel with its upper right corner at (right, top); return the area it covers.

    It keeps above `bottom`: with small letters if it has to, and without the last lines if that is not enough.
    """
    lines = rows(state, fps)
    room = max(0, bottom - top - 2 * theme.GAP)
    step = max(LEAST_STEP, min(text.line(theme.SMALL) + 5, room // len(lines)))
    lines = lines[: room // step]
    size = theme.SMALL if step > text.line(theme.SMALL) else theme.SMALL - 2
    rect = pygame.Rect(right - WIDTH, top, WIDTH, len(lines) * step + 2 * theme.GAP)
    theme.panel(surface, rect, opacity=OPACITY)
    y = rect.top + theme.GAP + 2
    for label, value, colour in lines:
        surface.blit(text.render(label, size, theme.MUTED), (rect.left + 12, y))
        shown = text.render(text.fit(value, WIDTH - 130, size), size, colour)
        surface.blit(shown, (rect.right - 12 - shown.get_width(), y))
        y += step
    return rect


def _rate_colour(fps: float, wanted: float) -> theme.Colour:
    return theme.GOOD if fps >= 0.95 * wanted else theme.ACCENT if fps >= 0.8 * wanted else theme.BAD
