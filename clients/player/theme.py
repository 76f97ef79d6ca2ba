"""How the player looks: colours, spacing and text. Dark and quiet, so that the picture is the brightest thing.

Text is drawn at twice its size and scaled down, which looks the same with and without font hinting, and every
rendered piece is kept, because the same few words are drawn in every frame.
"""

import bisect
import logging
from collections import OrderedDict
from pathlib import Path

import pygame

from longtake.clients.bidi import drawn_order, mirrored, script_of
from longtake.clients.fonts import Fonts, coverage, has
from longtake.protocol.text import clean

logger = logging.getLogger(__name__)

Colour = tuple[int, int, int]
FontRun = tuple[pygame.font.Font, str]
"""characters and the font that draws them"""

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
MAX_KEPT_BYTES = 8 * 1024 * 1024
"""of their pixels"""
BYTES_PER_PIXEL = 4


def mix(low: Colour, high: Colour, share: float) -> Colour:
    """Return the colour at `share` (0 to 1) of the way from `low` to `high`."""
    share = min(1.0, max(0.0, share))
    return (
        round(low[0] + (high[0] - low[0]) * share),
        round(low[1] + (high[1] - low[1]) * share),
        round(low[2] + (high[2] - low[2]) * share),
    )


class Text:
    """Renders text and keeps what it has rendered. Never raises, whatever the text is.

    Characters that the player's own font lacks are drawn with an installed font that has them.
    """

    def __init__(self, fonts: Fonts | None = None) -> None:
        self.kept_bytes = 0
        """size of the rendered pieces that are kept"""
        self._installed = fonts or Fonts()
        self._turns = can_turn()
        """whether fonts can draw from right to left"""
        self._fonts: dict[tuple[Path | None, int, bool, str], pygame.font.Font] = {}
        self._kept: OrderedDict[tuple[str, int, Colour, bool, bool | None], pygame.Surface] = OrderedDict()

    def render(
        self,
        text: str,
        height: int = NORMAL,
        colour: Colour = TEXT,
        *,
        bold: bool = False,
        right_to_left: bool | None = None,
    ) -> pygame.Surface:
        """Return a transparent surface with `text`. Do not keep it over a resize.

        The text settles its direction itself; `right_to_left` says it for a part that is cut out of a line.
        """
        key = (text, height, colour, bold, right_to_left)
        surface = self._kept.get(key)
        if surface is None:
            surface = self._draw(text, height, colour, bold, right_to_left)
            if _bytes(surface) > MAX_KEPT_BYTES // 8:
                return surface
            self._kept[key] = surface
            self.kept_bytes += _bytes(surface)
            while len(self._kept) > MAX_KEPT or self.kept_bytes > MAX_KEPT_BYTES:
                self.kept_bytes -= _bytes(self._kept.popitem(last=False)[1])
        self._kept.move_to_end(key)
        return surface

    def width(self, text: str, height: int = NORMAL, *, bold: bool = False) -> int:
        """Return the width of rendered `text` in pixels."""
        return int(self.extent(text, height, bold=bold))

    def extent(self, text: str, height: int = NORMAL, *, bold: bool = False) -> float:
        """Return the width before it is rounded, for parts that are put side by side."""
        try:
            return sum(font.size(part)[0] for font, part in self._runs(text, height, bold)) / OVERSAMPLE
        except (pygame.error, ValueError) as error:
            logger.debug("the width of %a is unknown: %s", text[:80], error)
            return 0.0

    def line(self, height: int = NORMAL) -> int:
        """Return the distance between two lines of text in pixels."""
        return round(self._font(None, height, False).get_linesize() / OVERSAMPLE)

    def fit(self, text: str, width: int, height: int = NORMAL, *, bold: bool = False) -> str:
        """Return `text`, cut with an ellipsis to at most `width` pixels; "" if nothing fits."""
        whole = len(text)
        text = text[: max(0, width)]  # a character takes a pixel at least
        if len(text) == whole and self.width(text, height, bold=bold) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle].rstrip() + "…", height, bold=bold) <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + "…" if low else ""

    def part(self, text: str, left: int, width: int, height: int = NORMAL) -> tuple[int, str]:
        """Return the part of a long line that is visible in `width` pixels from `left` on, and where it starts."""
        places = range(len(text) + 1)
        first = max(0, bisect.bisect_right(places, left, key=lambda place: self.width(text[:place], height)) - 1)
        room = width + max(0, left - self.width(text[:first], height))
        end = min(len(text), first + max(1, room))
        count = bisect.bisect_right(range(end - first), room, key=lambda n: self.width(text[first : first + n], height))
        return self.width(text[:first], height), text[first : first + count + 1]

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

    def _draw(self, text: str, height: int, colour: Colour, bold: bool, direction: bool | None) -> pygame.Surface:
        blank = pygame.Surface((1, self.line(height)), pygame.SRCALPHA)
        try:
            large = self._draw_large(self._runs(text, height, bold, direction), height, colour, bold)
            size = (large.get_width() // OVERSAMPLE, large.get_height() // OVERSAMPLE)
            # smoothscale fails on empty surfaces
            return pygame.transform.smoothscale(large, size) if all(size) else blank
        except (pygame.error, ValueError) as error:
            logger.debug("%a cannot be drawn: %s", text[:80], error)
            return blank

    def _draw_large(self, runs: list[FontRun], height: int, colour: Colour, bold: bool) -> pygame.Surface:
        own = self._font(None, height, bold)
        parts = [
            (font, font.render(part, True, colour).convert_alpha())
            for font, part in runs
            if font.size(part)[0]  # some releases of SDL_ttf cannot render what has no width
        ]
        if len(parts) == 1 and parts[0][0] is own:
            return parts[0][1]
        row = pygame.Surface((sum(part.get_width() for _, part in parts), own.get_linesize()), pygame.SRCALPHA)
        x = 0
        for font, part in parts:
            row.blit(part, (x, own.get_ascent() - font.get_ascent()))
            x += part.get_width()
        return row

    def _runs(self, text: str, height: int, bold: bool, direction: bool | None = None) -> list[FontRun]:
        """Split `text` into runs from left to right, each with a font that has its characters."""
        shown = clean(text) or " " * len(text)
        if shown.isascii() and not direction:
            return [(self._font(None, height, bold), shown)]
        own = coverage(own_file(bold))
        runs: list[FontRun] = []
        for whole, right_to_left in drawn_order(shown) if direction is None else [(shown, direction)]:
            faces = self._installed.runs(whole, lambda character: has(own, character))
            for face, part in reversed(faces) if right_to_left else faces:
                file = own_file(bold) if face is None else face
                # a selector that the font does not know would be drawn as a box
                kept = "".join(c for c in part if not _is_selector(c) or has(coverage(file), c))
                if kept:
                    turns = right_to_left and self._turns
                    font = self._font(face, height, bold, script_of(kept) if turns else "")
                    runs.append((font, mirrored(kept) if right_to_left and not turns else kept))
        return runs

    def _font(self, face: Path | None, height: int, bold: bool, script: str = "") -> pygame.font.Font:
        """Return a font; `face` None is the player's own. With a script it draws that from right to left."""
        key = (face, height, bold, script)
        if key not in self._fonts:
            own = font_path(bold)
            # pygame draws its default font at 0.69 of the requested size
            size = round(height * OVERSAMPLE * (1.0 if face or own else 1.3))
            try:
                font = pygame.font.Font(str(face or own) if face or own else None, size)
                font.size("x")  # a font that could not be read may fail only here
                if script:
                    font.set_direction(pygame.DIRECTION_RTL)
                    font.set_script(script)
                self._fonts[key] = font
            except (pygame.error, OSError) as error:
                if face is None:
                    raise
                logger.debug("%s cannot be used: %s", face, error)
                self._installed.give_up(face)
                self._fonts[key] = self._font(None, height, bold, script)
        return self._fonts[key]


def font_path(bold: bool) -> Path | None:
    """Return the plain font of pygame's examples; None stands for pygame's default font, which is bold."""
    if bold:
        return None
    path = Path(pygame.__file__).parent / "examples" / "data" / "sans.ttf"
    return path if path.is_file() else None


def can_turn() -> bool:
    """Whether pygame can draw from right to left, and joins Arabic letters: pygame-ce can, if built with HarfBuzz."""
    pygame.font.init()
    try:
        pygame.font.Font(None, 12).set_direction(pygame.DIRECTION_RTL)
    except (AttributeError, pygame.error):
        return False
    return True


def own_file(bold: bool) -> Path:
    """Return the file of the player's own font."""
    return font_path(bold) or Path(pygame.__file__).parent / pygame.font.get_default_font()


def _is_selector(character: str) -> bool:
    """Whether a character only says how its neighbours are drawn."""
    return character in "\u200c\u200d" or "\ufe00" <= character <= "\ufe0f"


def _bytes(surface: pygame.Surface) -> int:
    return surface.get_width() * surface.get_height() * BYTES_PER_PIXEL


def panel(surface: pygame.Surface, rect: pygame.Rect, *, opacity: int = 205, radius: int = 8) -> None:
    """Draw a dark rounded panel, slightly transparent."""
    layer = pygame.Surface(rect.size, pygame.SRCALPHA)
    pygame.draw.rect(layer, (*PANEL, opacity), layer.get_rect(), border_radius=radius)
    pygame.draw.rect(layer, (*LINE, opacity), layer.get_rect(), width=1, border_radius=radius)
    surface.blit(layer, rect)
