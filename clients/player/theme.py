"""How the player looks: colours, spacing and text. Dark and quiet, so that the picture is the brightest thing.

Text is drawn at twice its size and scaled down, which looks the same with and without font hinting, and every
rendered piece is kept, because the same few words are drawn in every frame.
"""

from collections import OrderedDict
from pathlib import Path

import pygame

Colour = tuple[int, int, int]

BACKGROUND: Colour = (8, 9, 13)
PANEL: Colour = (16, 18, 24)
RAISED: Colour = (26, 29, 38)
LINE: Colour = (40, 44, 56)
FAINT: Colour = (84, 90, 108)
MUTED: Colour = (134, 141, 160)
TEXT: Colour = (216, 220, 230)
BRIGHT: Colour = (248, 249, 252)
ACCENT: Colour = (246, 178, 92)
"""lamp light: what the player has just done, and what is in force"""
COOL: Colour = (110, 168, 235)
"""the machine's own work: lead, recache"""
GOOD: Colour = (122, 200, 150)
BAD: Colour = (238, 104, 98)

SMALL, NORMAL, LARGE = 12, 14, 17
"""text heights in pixels"""
GAP = 8
"""the unit of spacing in pixels"""
OVERSAMPLE = 2
MAX_KEPT = 512
"""rendered pieces of text kept at a time"""


def mix(low: Colour, high: Colour, share: float) -> Colour:
    """Return the colour at `share` (0 to 1) of the way from `low` to `high`."""
    share = min(1.0, max(0.0, share))
    return (
        round(low[0] + (high[0] - low[0]) * share),
        round(low[1] + (high[1] - low[1]) * share),
        round(low[2] + (high[2] - low[2]) * share),
    )


class Text:
    """Renders text and keeps what it has rendered."""

    def __init__(self) -> None:
        self._fonts: dict[tuple[int, bool], pygame.font.Font] = {}
        self._kept: OrderedDict[tuple[str, int, Colour, bool], pygame.Surface] = OrderedDict()

    def render(self, text: str, height: int = NORMAL, colour: Colour = TEXT, *, bold: bool = False) -> pygame.Surface:
        """Return a transparent surface with `text`. Do not keep it over a resize."""
        key = (text, height, colour, bold)
        surface = self._kept.get(key)
        if surface is None:
            surface = self._draw(text, height, colour, bold)
            self._kept[key] = surface
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return surface

    def width(self, text: str, height: int = NORMAL, *, bold: bool = False) -> int:
        """Return the width of rendered `text` in pixels."""
        return self._font(height, bold).size(text)[0] // OVERSAMPLE

    def line(self, height: int = NORMAL) -> int:
        """Return the distance between two lines of text in pixels."""
        return round(self._font(height, False).get_linesize() / OVERSAMPLE)

    def fit(self, text: str, width: int, height: int = NORMAL, *, bold: bool = False) -> str:
        """Return `text`, cut with an ellipsis to at most `width` pixels; "" if nothing fits."""
        if self.width(text, height, bold=bold) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle].rstrip() + "…", height, bold=bold) <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + "…" if low else ""

    def wrap(self, text: str, width: int, height: int = NORMAL) -> list[str]:
        """Break `text` into lines of at most `width` pixels; a longer word is cut."""
        lines: list[str] = []
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and self.width(longer, height) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        return [self.fit(line, width, height) for line in [*lines, line] if line]

    def _draw(self, text: str, height: int, colour: Colour, bold: bool) -> pygame.Surface:
        large = self._font(height, bold).render(text, True, colour)
        size = (large.get_width() // OVERSAMPLE, large.get_height() // OVERSAMPLE)
        if not all(size):  # smoothscale fails on empty surfaces
            return pygame.Surface((1, self.line(height)), pygame.SRCALPHA)
        return pygame.transform.smoothscale(large.convert_alpha(), size)

    def _font(self, height: int, bold: bool) -> pygame.font.Font:
        key = (height, bold)
        if key not in self._fonts:
            path = font_path(bold)
            # pygame draws its default font at 0.69 of the requested size
            size = height * OVERSAMPLE * (1.0 if path else 1.3)
            self._fonts[key] = pygame.font.Font(str(path) if path else None, round(size))
        return self._fonts[key]


def font_path(bold: bool) -> Path | None:
    """Return the plain font of pygame's examples; None stands for pygame's default font, which is bold."""
    if bold:
        return None
    path = Path(pygame.__file__).parent / "examples" / "data" / "sans.ttf"
    return path if path.is_file() else None


def panel(surface: pygame.Surface, rect: pygame.Rect, *, opacity: int = 205, radius: int = 8) -> None:
    """Draw a dark rounded panel, slightly transparent."""
    layer = pygame.Surface(rect.size, pygame.SRCALPHA)
    pygame.draw.rect(layer, (*PANEL, opacity), layer.get_rect(), border_radius=radius)
    pygame.draw.rect(layer, (*LINE, opacity), layer.get_rect(), width=1, border_radius=radius)
    surface.blit(layer, rect)
