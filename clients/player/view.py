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

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pygame

from longtake.clients.player import gauge, hud, theme, timeline
from longtake.clients.player import help as player_help
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.state import PlayerState
from longtake.protocol.messages import Applied, EventDef, Understood

MARGIN = 14
"""pixels between the chrome and the window's edge"""
KEY_HEIGHT = 26
ARROWS = {
    "up": ((-5, 3), (5, 3), (0, -4)),
    "down": ((-5, -3), (5, -3), (0, 4)),
    "left": ((3, -5), (3, 5), (-4, 0)),
    "right": ((-3, -5), (-3, 5), (4, 0)),
}
"""keys whose caps show a drawn triangle, in pixels from the middle: not every font has arrows"""
KEY_GAP = 16
GROUP_GAP = 24
"""extra gap between events that set different slots"""
PROMPT_HEIGHT = 36
UNDERSTOOD_HEIGHT = 16
"""added to the prompt line if the model says what it takes the prompt for"""
MIN_PICTURE = 0.45
"""share of the window's height that the picture keeps; larger chrome is cut"""
SHARPEN_FROM = 3.0
"""scales from which the picture is doubled without smoothing first: softer than pixels, crisper than a blur"""
GLOW_FRAMES = 4
"""frames between two updates of the light around the picture"""
GLOW = 62
"""its brightness, of 255"""


@dataclass(frozen=True, kw_only=True)
class Keycap:
    """One event on the screen."""

    event: str
    definition: EventDef
    rect: pygame.Rect
    """pixels, in the window"""


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
        self.prompt_rect = pygame.Rect(0, 0, 0, 0)
        self._surface = surface
        self._source: pygame.Surface | None = None
        self._scaled: pygame.Surface | None = None
        self._light: pygame.Surface | None = None
        self._frames = 0
        self._scroll = 0
        self._strip = pygame.Rect(0, 0, 0, 0)
        self._shown = pygame.Rect(0, 0, 0, 0)
        """where the picture was drawn last"""

    def mark_at(self, state: PlayerState, position: tuple[int, int]) -> Applied | None:
        """Return the cue at a place of the timeline, or None elsewhere."""
        if not self.options.chrome or not self._strip.collidepoint(position):
            return None
        return timeline.mark_at(self._strip, state, position[0])

    def resize(self, surface: pygame.Surface) -> None:
        """Draw onto another surface."""
        self._surface = surface
        self._scaled = self._light = None

    def show(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Take a new picture, `[H, W, 3] uint8 RGB`."""
        height, width, _ = pixels.shape
        raw = np.ascontiguousarray(pixels).tobytes()
        self._source = pygame.image.frombuffer(raw, (width, height), "RGB")
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
        self.keycaps = []
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
        detail = self.text.render(
            self.text.fit(state.detail, area.width - 8 * MARGIN, theme.NORMAL), theme.NORMAL, theme.MUTED
        )
        width = max(title.get_width() + 24, detail.get_width() if state.detail else 0) + 56
        rect = pygame.Rect(0, 0, width, 92 if state.detail else 64)
        rect.center = area.center
        theme.panel(self._surface, rect, opacity=235, radius=12)
        top = rect.top + 20
        left = rect.centerx - title.get_width() // 2
        self._surface.blit(title, (left, top))
        self._surface.blit(self.text.render(dots or " ", theme.LARGE, theme.MUTED), (left + title.get_width() + 2, top))
        if state.detail:
            self._surface.blit(detail, (rect.centerx - detail.get_width() // 2, rect.bottom - 36))

    # --- chrome --------------------------------------------------------------------------------------------

    def _draw_chrome(self, state: PlayerState, prompt: PromptLine, now: float) -> pygame.Rect:
        """Draw the rows below the picture from the bottom up; return the area left for the picture."""
        window = self._surface.get_rect()
        bottom = window.bottom - MARGIN
        height = PROMPT_HEIGHT + (UNDERSTOOD_HEIGHT if state.understood is not None else 0)
        self.prompt_rect = pygame.Rect(MARGIN, bottom - height, window.width - 2 * MARGIN, height)
        top = self.prompt_rect.top
        if self.options.chrome:
            room = window.height * (1 - MIN_PICTURE) - height - timeline.HEIGHT - 3 * MARGIN
            rows = max(1, int(room // (KEY_HEIGHT + 6)))
            self.keycaps, keys = layout_keys(state, self.text, window.width - 2 * MARGIN, rows)
            shift = top - keys - (10 if keys else 0)
            self.keycaps = [
                Keycap(event=cap.event, definition=cap.definition, rect=cap.rect.move(MARGIN, shift))
                for cap in self.keycaps
            ]
            strip = pygame.Rect(MARGIN, shift - timeline.HEIGHT - 2, window.width - 2 * MARGIN, timeline.HEIGHT)
            top = strip.top
            self._strip = strip
            timeline.draw(self._surface, strip, state, self.text, now)
            self._draw_keys(state, now)
        self._draw_prompt(state, prompt, now)
        return pygame.Rect(0, 0, window.width, max(1, top - 6))

    def _draw_keys(self, state: PlayerState, now: float) -> None:
        in_force = state.in_force()
        for cap in self.keycaps:
            glow = 1.0 if state.waiting_for(cap.event) else state.glow(cap.event, now)
            on = cap.event in in_force
            edge = theme.mix(theme.FAINT if on else theme.LINE, theme.ACCENT, glow)
            label_colour = theme.mix(theme.BRIGHT if on else theme.MUTED, theme.ACCENT, glow)
            if cap.event == state.selected and state.director:
                pygame.draw.rect(self._surface, theme.ACCENT, cap.rect.inflate(10, 4), width=1, border_radius=7)
            if not state.director:
                edge, label_colour = theme.LINE, theme.TEXT if on else theme.FAINT
            x = cap.rect.left
            if cap.definition.key:
                x = self._draw_cap(cap, glow, edge, label_colour)
            label = self.text.render(cap.definition.label or cap.event, theme.NORMAL, label_colour)
            self._surface.blit(label, (x, cap.rect.centery - label.get_height() // 2))
            if on:
                pygame.draw.line(
                    self._surface,
                    theme.ACCENT,
                    (x, cap.rect.bottom - 1),
                    (x + label.get_width() - 1, cap.rect.bottom - 1),
                    2,
                )

    def _draw_cap(self, cap: Keycap, glow: float, edge: theme.Colour, colour: theme.Colour) -> int:
        """Draw the key itself; return the x of its label."""
        name = self.text.render(key_name(cap.definition.key), theme.SMALL, colour, bold=True)
        wide = _cap_width(self.text, cap.definition)
        key = pygame.Rect(cap.rect.left, cap.rect.top + 1, wide - 7, cap.rect.height - 4)
        pygame.draw.rect(self._surface, theme.BACKGROUND, key.move(0, 2), border_radius=5)
        pygame.draw.rect(self._surface, theme.mix(theme.RAISED, theme.ACCENT, glow * 0.28), key, border_radius=5)
        pygame.draw.rect(self._surface, edge, key, width=1, border_radius=5)
        self._surface.blit(name, name.get_rect(center=key.center))
        if cap.definition.key in ARROWS:
            points = [(key.centerx + x, key.centery + y) for x, y in ARROWS[cap.definition.key]]
            pygame.draw.polygon(self._surface, colour, points)
        return cap.rect.left + wide

    def _draw_prompt(self, state: PlayerState, prompt: PromptLine, now: float) -> None:
        rect = self.prompt_rect
        pygame.draw.rect(self._surface, theme.PANEL, rect, border_radius=8)
        edge = theme.ACCENT if prompt.focused else theme.LINE
        pygame.draw.rect(self._surface, edge, rect, width=1, border_radius=8)
        inner = rect.inflate(-28, 0)
        if prompt.focused:
            self._draw_typing(inner, prompt, now)
            return
        hint = "type a prompt: /" if state.director else "viewer" if state.info else ""
        if prompt.text and state.director:
            hint = "unsent text: /"
        note = self.text.render(hint + "    help: F1", theme.SMALL, theme.FAINT)
        self._surface.blit(note, (inner.right - note.get_width(), rect.centery - note.get_height() // 2))
        shown = self.text.fit(state.prompt, inner.width - note.get_width() - 24, theme.NORMAL)
        label = self.text.render(shown, theme.NORMAL, theme.TEXT)
        understood = state.understood
        y = rect.centery - label.get_height() // 2 - (UNDERSTOOD_HEIGHT // 2 if understood is not None else 0)
        self._surface.blit(label, (inner.left, y))
        if understood is not None:
            self._mark_unknown(shown, understood, inner.left, y + label.get_height())
            self._draw_understood(understood, inner, y + label.get_height() + 2)

    def _mark_unknown(self, shown: str, understood: Understood, left: int, y: int) -> None:
        """Underline the words of the prompt that the model does not know."""
        for match in re.finditer(r"[^\W\d_]+", shown):
            if match.group().lower() in understood.unknown:
                start = left + self.text.width(shown[: match.start()], theme.NORMAL)
                end = left + self.text.width(shown[: match.end()], theme.NORMAL)
                pygame.draw.line(self._surface, theme.BAD, (start, y), (end, y))

    def _draw_understood(self, understood: Understood, inner: pygame.Rect, y: int) -> None:
        """Say what the model takes the prompt for, what it leaves to chance, and what it does not know."""
        x = inner.left
        for words, colour in understood_line(understood):
            words = self.text.fit(words, inner.right - x, theme.SMALL)
            label = self.text.render(words, theme.SMALL, colour)
            self._surface.blit(label, (x, y))
            x += label.get_width() + 12

    def _draw_typing(self, inner: pygame.Rect, prompt: PromptLine, now: float) -> None:
        """Draw the edited text, scrolled so that the cursor is visible."""
        before = self.text.width(prompt.text[: prompt.cursor], theme.LARGE)
        whole = self.text.width(prompt.text, theme.LARGE)
        self._scroll = min(self._scroll, before, max(0, whole - inner.width + 2))
        self._scroll = max(self._scroll, before - inner.width + 2)
        self._surface.set_clip(inner)
        shown = prompt.text or "what happens next?"
        start, visible = self.text.part(shown, self._scroll, inner.width, theme.LARGE)
        label = self.text.render(visible, theme.LARGE, theme.BRIGHT if prompt.text else theme.FAINT)
        self._surface.blit(label, (inner.left + start - self._scroll, inner.centery - label.get_height() // 2))
        self._surface.set_clip(None)
        if now % 1.0 < 0.6:
            x = inner.left + before - self._scroll
            pygame.draw.line(self._surface, theme.ACCENT, (x, inner.centery - 9), (x, inner.centery + 9), 2)


def understood_line(understood: Understood) -> list[tuple[str, theme.Colour]]:
    """Return the parts of the line that says what the model takes the prompt for, with their colours."""
    parts = [(f"shown as: {understood.shown_as or 'anything'}", theme.TEXT)]
    if understood.by_chance:
        parts.append((f"by chance: {', '.join(understood.by_chance)}", theme.MUTED))
    if understood.unknown:
        parts.insert(1, (f"not known: {', '.join(understood.unknown)}", theme.BAD))
    return parts


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


def key_name(key: str) -> str:
    """Return the text of a keycap; arrows are drawn instead, see ARROWS."""
    return " " if key in ARROWS else key.upper() if len(key) == 1 else key


def layout_keys(state: PlayerState, text: theme.Text, width: int, max_rows: int) -> tuple[list[Keycap], int]:
    """Lay keycaps out in rows from (0, 0); also return the rows' height. Events that set the same slots are together.

    Events beyond the last row are left out; F1 lists them all.
    """
    groups: dict[frozenset[str], list[tuple[str, EventDef, int]]] = {}
    for name, definition in state.script.events.items():
        label = text.width(definition.label or name, theme.NORMAL)
        groups.setdefault(frozenset(definition.set), []).append(
            (name, definition, _cap_width(text, definition) + label)
        )
    caps: list[Keycap] = []
    x, row = 0, 0
    for group in groups.values():
        whole = sum(wide + KEY_GAP for _, _, wide in group) - KEY_GAP
        if x and x + whole > width >= whole and row + 1 < max_rows:
            x, row = 0, row + 1
        for name, definition, wide in group:
            if x and x + wide > width:
                x, row = 0, row + 1
            if row < max_rows:
                rect = pygame.Rect(x, row * (KEY_HEIGHT + 6), wide, KEY_HEIGHT)
                caps.append(Keycap(event=name, definition=definition, rect=rect))
            x += wide + KEY_GAP
        x += GROUP_GAP
    return caps, max((cap.rect.bottom for cap in caps), default=0)


def _cap_width(text: theme.Text, definition: EventDef) -> int:
    """Return the width of a keycap and the space after it; 0 for an event without a key."""
    if not definition.key:
        return 0
    return max(22, text.width(key_name(definition.key), theme.SMALL, bold=True) + 12) + 7


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
