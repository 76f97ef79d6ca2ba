"""The player's window: layout and drawing. It reads the state and changes nothing.

+--------------------------------------------------+
| LIVE  title                                  HUD |
|                    picture                       |
|--------------------------------------------------|
| timeline                                         |
| event keys                                       |
| prompt line                                      |
+--------------------------------------------------+
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pygame

from longtake.clients.player import event_keys, gauge, hud, prompt_bar, theme, timeline
from longtake.clients.player import help as player_help
from longtake.clients.player.event_keys import Keycap, KeyPages, layout_keys
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.state import PlayerState
from longtake.protocol.messages import Applied

MARGIN = 14
"""pixels between the chrome and the window's edge"""
MIN_PICTURE = 0.45
"""share of the window's height that the picture keeps; larger chrome is cut"""
SHARPEN_FROM = 3.0
"""scales from which the picture is doubled without smoothing first: softer than pixels, crisper than a blur"""
GLOW_FRAMES = 4
"""frames between two updates of the light around the picture"""
GLOW = 62
"""its brightness, of 255"""
MAX_DETAIL_LINES = 4
"""of what the player waits for"""


@dataclass(kw_only=True)
class ViewOptions:
    """What is switched on and off."""

    hud: bool = False
    help: bool = False
    chrome: bool = True


class View:
    """Draws a state onto a surface. Keeps the scaled picture, so that a key press does not scale it again."""

    def __init__(self, surface: pygame.Surface) -> None:
        self.options = ViewOptions()
        self.text = theme.Text()
        self.keycaps: list[Keycap] = []
        """the event keys as they were drawn last, in window coordinates"""
        self.more_rect = pygame.Rect(0, 0, 0, 0)
        """the button to further event keys; empty where all are shown"""
        self._page = 0
        self._chosen = ""
        """the event that was chosen when the page was last turned to it"""
        self.prompt_rect = pygame.Rect(0, 0, 0, 0)
        self._prompt_bar = prompt_bar.PromptBar(self.text)
        self._surface = surface
        self._source: pygame.Surface | None = None
        self._scaled: pygame.Surface | None = None
        self._light: pygame.Surface | None = None
        self._frames = 0
        self._strip = pygame.Rect(0, 0, 0, 0)
        self._shown = pygame.Rect(0, 0, 0, 0)
        """where the picture was drawn last"""

    def mark_at(self, state: PlayerState, position: tuple[int, int]) -> Applied | None:
        """Return the cue at a place of the timeline, or None elsewhere."""
        if not self.options.chrome or not self._strip.collidepoint(position):
            return None
        return timeline.mark_at(self._strip, state, position[0])

    def turn_page(self) -> None:
        """Show the next event keys, where not all fit."""
        self._page += 1

    def resize(self, surface: pygame.Surface) -> None:
        """Draw onto another surface."""
        self._surface = surface
        self._scaled = self._light = None

    def show(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Take a new picture, `[H, W, 3] uint8 RGB`."""
        height, width, _ = pixels.shape
        raw = np.ascontiguousarray(pixels).tobytes()
        # In the window's format: pygame takes three times as long to scale 24 bits a pixel, and the light ten times.
        self._source = pygame.image.frombuffer(raw, (width, height), "RGB").convert(self._surface)
        self._scaled = None
        if self._frames % GLOW_FRAMES == 0:
            self._light = None
        self._frames += 1

    def picture(self) -> pygame.Surface | None:
        """Return the newest picture in its own size, for a screenshot."""
        return self._source

    def draw(self, state: PlayerState, prompt: PromptLine, now: float, fps: float) -> None:
        """Draw everything."""
        surface = self._surface
        surface.fill(theme.BACKGROUND)
        area = surface.get_rect()
        self.keycaps, self.more_rect = [], pygame.Rect(0, 0, 0, 0)
        if self.options.chrome or prompt.focused:
            area = self._draw_chrome(state, prompt, now)
        self._draw_picture(area, state)
        if self.options.chrome:
            self._draw_corner(state, now)
            gauge.draw(surface, MARGIN, area.bottom - MARGIN, state, self.text)
        if self.options.hud:
            hud.draw(surface, surface.get_width() - MARGIN, MARGIN, area.bottom, state, self.text, fps)
        self._draw_toasts(area, state, now)
        if state.connection != "live" or state.frame is None:
            self._draw_waiting(area, state, now)
        if self.options.help:
            player_help.draw(surface, state, self.text)

    # --- picture -------------------------------------------------------------------------------------------

    def _draw_picture(self, area: pygame.Rect, state: PlayerState) -> None:
        if self._source is None:
            return
        target = fit(self._source.get_size(), area)
        if self._light is None or self._light.get_size() != area.size:
            self._light = _light(self._source, area.size)
        self._surface.blit(self._light, area)
        if self._scaled is None or self._scaled.get_size() != target.size:
            self._scaled = _scale(self._source, target.size)
        self._surface.blit(self._scaled, target)
        self._shown = target
        dimmed = state.connection != "live" or (state.frame is not None and state.frame.stale)
        if dimmed:
            shade = pygame.Surface(target.size)
            shade.set_alpha(120)
            self._surface.blit(shade, target)

    def _draw_corner(self, state: PlayerState, now: float) -> None:
        """Draw the badges and the title, upper left."""
        edge = MARGIN if self._shown.width > 20 * MARGIN else 4
        x, top, right = self._shown.left + edge, self._shown.top + edge, self._shown.right - edge
        for label, colour, dot in badges(state):
            x = self._draw_badge((x, top), right, label, colour, dot, now) + 6
        title = self.text.fit(state.script.title if state.info else "", right - x - 12, theme.NORMAL)
        if len(title) > 2:
            shown = self.text.render(title, theme.NORMAL, theme.BRIGHT)
            shadow = self.text.render(title, theme.NORMAL, theme.BACKGROUND)
            y = top + 11 - shown.get_height() // 2
            self._surface.blit(shadow, (x + 7, y + 1))
            self._surface.blit(shown, (x + 6, y))

    def _draw_badge(
        self, place: tuple[int, int], right: int, label: str, colour: theme.Colour, dot: bool, now: float
    ) -> int:
        """Draw a badge at `place`, cut at `right`; return its right edge."""
        label = self.text.fit(label, right - place[0] - 30, theme.SMALL - 1, bold=True)
        shown = self.text.render(label, theme.SMALL - 1, colour, bold=True)
        rect = pygame.Rect(*place, shown.get_width() + (30 if dot else 18), 22)
        theme.panel(self._surface, rect, radius=11)
        left = rect.left + 9
        if dot:
            bright = 0.65 + 0.35 * abs((now % 2.0) - 1.0)
            pygame.draw.circle(self._surface, theme.mix(theme.PANEL, colour, bright), (left + 4, rect.centery), 4)
            left += 13
        self._surface.blit(shown, (left, rect.centery - shown.get_height() // 2))
        return rect.right

    def _draw_toasts(self, area: pygame.Rect, state: PlayerState, now: float) -> None:
        colours = {"info": theme.TEXT, "good": theme.GOOD, "bad": theme.BAD}
        y = area.bottom - MARGIN
        for toast in reversed(state.live_toasts(now)):
            text = self.text.fit(toast.text, area.width - 6 * MARGIN, theme.NORMAL)
            label = self.text.render(text, theme.NORMAL, colours[toast.kind])
            rect = label.get_rect().inflate(28, 14)
            rect.midbottom = (area.centerx, y)
            theme.panel(self._surface, rect, opacity=225, radius=rect.height // 2)
            self._surface.blit(label, label.get_rect(center=rect.center))
            y = rect.top - 6

    def _draw_waiting(self, area: pygame.Rect, state: PlayerState, now: float) -> None:
        """Say over the picture what the player is waiting for."""
        texts = {
            "connecting": "Connecting",
            "reconnecting": "Reconnecting",
            "live": "Waiting for the first frame",
            "failed": "No connection",
            "closed": "The world has ended",
        }
        moving = state.connection in ("connecting", "reconnecting", "live")
        dots = "." * (int(now * 2) % 4) if moving else ""
        title = self.text.render(texts[state.connection], theme.LARGE, theme.BRIGHT)
        lines = self.text.wrap(state.detail, area.width - 8 * MARGIN, theme.NORMAL)[:MAX_DETAIL_LINES]
        details = [self.text.render(line, theme.NORMAL, theme.MUTED) for line in lines]
        width = max(title.get_width() + 24, *(line.get_width() for line in [title, *details])) + 56
        step = self.text.line(theme.NORMAL)
        rect = pygame.Rect(0, 0, width, 64 + (step * len(details) + 8 if details else 0))
        rect.center = area.center
        theme.panel(self._surface, rect, opacity=235, radius=12)
        top = rect.top + 20
        left = rect.centerx - title.get_width() // 2
        self._surface.blit(title, (left, top))
        self._surface.blit(self.text.render(dots or " ", theme.LARGE, theme.MUTED), (left + title.get_width() + 2, top))
        for row, line in enumerate(details):
            self._surface.blit(line, (rect.centerx - line.get_width() // 2, top + 34 + row * step))

    # --- chrome --------------------------------------------------------------------------------------------

    def _draw_chrome(self, state: PlayerState, prompt: PromptLine, now: float) -> pygame.Rect:
        """Draw the rows below the picture from the bottom up; return the area left for the picture."""
        window = self._surface.get_rect()
        bottom = window.bottom - MARGIN
        height = prompt_bar.height_of(state)
        self.prompt_rect = pygame.Rect(MARGIN, bottom - height, window.width - 2 * MARGIN, height)
        top = self.prompt_rect.top
        if self.options.chrome:
            room = window.height * (1 - MIN_PICTURE) - height - timeline.HEIGHT - 3 * MARGIN
            rows = max(1, int(room // (event_keys.KEY_HEIGHT + event_keys.ROW_GAP)))
            keys = layout_keys(state, self.text, window.width - 2 * MARGIN, rows)
            shift = top - keys.height - (10 if keys.height else 0)
            self._place_keys(keys, state, shift)
            strip = pygame.Rect(MARGIN, shift - timeline.HEIGHT - 2, window.width - 2 * MARGIN, timeline.HEIGHT)
            top = strip.top
            self._strip = strip
            timeline.draw(self._surface, strip, state, self.text, now)
            event_keys.draw(self._surface, self.keycaps, state, self.text, now)
            if self.more_rect:
                event_keys.draw_more(self._surface, self.more_rect, self._page, len(keys.pages), self.text)
        self._prompt_bar.draw(self._surface, self.prompt_rect, state, prompt, now)
        return pygame.Rect(0, 0, window.width, max(1, top - 6))

    def _place_keys(self, keys: KeyPages, state: PlayerState, top: int) -> None:
        """Set the keycaps of the page in view, with its top at `top`. An event that is chosen brings its page along."""
        if state.selected != self._chosen:
            self._chosen = state.selected
            self._page = keys.page_of(state.selected) or 0
        self._page %= len(keys.pages)
        self.keycaps = [replace(cap, rect=cap.rect.move(MARGIN, top)) for cap in keys.pages[self._page]]
        self.more_rect = keys.more.move(MARGIN, top) if keys.more else pygame.Rect(0, 0, 0, 0)


def badges(state: PlayerState) -> list[tuple[str, theme.Colour, bool]]:
    """Return (text, colour, with a dot) for each badge in the corner."""
    shown: list[tuple[str, theme.Colour, bool]] = []
    if state.connection == "reconnecting":
        shown.append(("RECONNECTING", theme.BAD, True))
    elif state.info is None:
        return []
    elif (state.status and state.status.generator != "ready") or (state.frame and state.frame.stale):
        shown.append(("GENERATOR RESTARTING", theme.BAD, True))
    elif state.paused:
        shown.append(("PAUSED", theme.ACCENT, False))
    else:
        shown.append(("LIVE", theme.GOOD, True))
    if state.recording or state.filming:
        shown.append((f"REC {state.filming or state.recording}", theme.BAD, True))
    if state.info is not None and not state.director:
        shown.append(("VIEWER", theme.COOL, False))
    if state.demo:
        shown.append(("DEMO: press any key to direct", theme.ACCENT, False))
    return shown


def fit(size: tuple[int, int], area: pygame.Rect) -> pygame.Rect:
    """Return the largest centred rectangle of that shape in `area`; at an integer scale if that costs little."""
    width, height = size
    scale = min(area.width / width, area.height / height)
    if scale > 1 and int(scale) / scale > 0.95:
        scale = int(scale)
    rect = pygame.Rect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
    rect.center = area.center
    return rect


def _scale(source: pygame.Surface, size: tuple[int, int]) -> pygame.Surface:
    if size[0] >= SHARPEN_FROM * source.get_width():
        source = pygame.transform.scale(source, (source.get_width() * 2, source.get_height() * 2))
    return pygame.transform.smoothscale(source, size)


def _light(source: pygame.Surface, size: tuple[int, int]) -> pygame.Surface:
    """Return the picture's colours as dim light for the room around it."""
    spots = pygame.transform.smoothscale(source, (8, 6))
    light = pygame.transform.smoothscale(spots, size)
    light.fill((GLOW, GLOW, GLOW), special_flags=pygame.BLEND_RGB_MULT)
    return light
