"""What each key and click does in the player."""

import string
from typing import TYPE_CHECKING

import pygame

from longtake.clients.player.timeline_text import clock

if TYPE_CHECKING:
    from longtake.clients.player.player import Player

REPEAT_MS = (400, 40)
"""while typing only: a held event key must not fire repeatedly"""

ARROWS = {pygame.K_LEFT: "left", pygame.K_RIGHT: "right", pygame.K_UP: "up", pygame.K_DOWN: "down"}
"""keys that steer by hand, unless the script has given them to an event"""


SPECIAL_KEYS = 1 << 30
"""bit of the key codes of keys that type nothing, such as arrows (SDL's SDLK_SCANCODE_MASK)"""
PLACES = {
    **{getattr(pygame, f"KSCAN_{letter.upper()}"): ord(letter) for letter in string.ascii_lowercase},
    **{getattr(pygame, f"KSCAN_{digit}"): ord(digit) for digit in string.digits},
    pygame.KSCAN_PERIOD: pygame.K_PERIOD,
    pygame.KSCAN_SLASH: pygame.K_SLASH,
    pygame.KSCAN_COMMA: pygame.K_COMMA,
    pygame.KSCAN_SEMICOLON: pygame.K_SEMICOLON,
    pygame.KSCAN_MINUS: pygame.K_MINUS,
}
"""the keys of an American keyboard by their place"""


def latin_key(event: pygame.event.Event) -> int:
    """Return a key's code; for a key that types no ASCII, as on a Cyrillic keyboard, that of its place in America."""
    key: int = event.key
    if key < 128 or key & SPECIAL_KEYS:
        return key
    place: int = PLACES.get(event.dict.get("scancode", -1), key)
    return place


class Keyboard:
    """Turns pygame's events into calls of the player."""

    def __init__(self, player: "Player") -> None:
        self._player = player
        self._opening = ""
        """what the key types that opened the prompt line: it may still arrive as text"""

    def handle(self, event: pygame.event.Event) -> None:
        """Handle one event of the window."""
        if event.type == pygame.TEXTINPUT and self._player.prompt.focused:
            if event.text != self._opening:
                self._player.prompt.insert(event.text)
            self._opening = ""
        elif event.type == pygame.KEYDOWN:
            self._opening = ""
            if not self._any_time(event):
                self._typing(event) if self._player.prompt.focused else self._playing(event)
        elif event.type == pygame.KEYUP and event.key in ARROWS:
            self._player.steering.release(ARROWS[event.key], self._player.now())
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._player.steering.let_go(self._player.now())
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            self._click(event.pos)

    def _any_time(self, event: pygame.event.Event) -> bool:
        """Handle keys that also work while typing; return whether it was one."""
        player, options = self._player, self._player.view.options
        shift = bool(event.mod & pygame.KMOD_SHIFT)
        if event.key == pygame.K_F1:
            options.help = not options.help
        elif event.key == pygame.K_F2:
            options.chrome = not options.chrome
        elif event.key == pygame.K_F3:
            options.hud = not options.hud
        elif event.key == pygame.K_F5:
            player.restart(other_seed=shift)
        elif event.key == pygame.K_F9:
            player.record()
        elif event.key == pygame.K_F11:
            player.toggle_fullscreen()
        elif event.key == pygame.K_F12:
            player.screenshot(window=shift)
        elif latin_key(event) == pygame.K_q and event.mod & (pygame.KMOD_CTRL | pygame.KMOD_META):
            player.quit()
        else:
            return False
        return True

    def _playing(self, event: pygame.event.Event) -> None:
        player = self._player
        if event.key == pygame.K_ESCAPE:
            player.view.options.help = False
        elif event.unicode == "/" or event.key in (pygame.K_RETURN, pygame.K_KP_ENTER, pygame.K_KP_DIVIDE):
            self.focus()
            self._opening = event.unicode if event.unicode == "/" else ""
        elif event.key == pygame.K_SPACE:
            player.pause()
        elif event.key == pygame.K_TAB:
            player.view.turn_page()
        elif event.unicode == ".":
            player.requests.control("step")
        elif (name := self._event_of(event)) is not None:
            player.requests.fire(name, cut_in=bool(event.mod & pygame.KMOD_SHIFT) and not self._needs_shift(name))
        elif event.key in ARROWS:
            player.steering.push(ARROWS[event.key], player.now())
        elif latin_key(event) == pygame.K_SLASH:
            self.focus()
            self._opening = event.unicode
        elif latin_key(event) == pygame.K_PERIOD:
            player.requests.control("step")

    def _typing(self, event: pygame.event.Event) -> None:
        prompt = self._player.prompt
        word = bool(event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT))
        if event.key == pygame.K_ESCAPE:
            self.leave()
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            text = prompt.submit()
            self.leave()
            if text:
                self._player.requests.say(text, cut_in=bool(event.mod & pygame.KMOD_SHIFT))
        elif event.key == pygame.K_BACKSPACE:
            prompt.backspace(word=word)
        elif event.key == pygame.K_DELETE:
            prompt.delete()
        elif event.key in (pygame.K_LEFT, pygame.K_RIGHT):
            prompt.move_sideways(-1 if event.key == pygame.K_LEFT else 1, word=word)
        elif event.key == pygame.K_HOME:
            prompt.move_to(0)
        elif event.key == pygame.K_END:
            prompt.move_to(-1)
        elif event.key == pygame.K_UP:
            prompt.older()
        elif event.key == pygame.K_DOWN:
            prompt.newer()
        elif event.mod & (pygame.KMOD_CTRL | pygame.KMOD_META):
            self._editing(latin_key(event))

    def _editing(self, key: int) -> None:
        """Ctrl with a letter, as in a shell: v pastes, u clears, a and e go to the ends, w deletes a word."""
        prompt = self._player.prompt
        if key == pygame.K_v:
            self._paste()
        elif key == pygame.K_u:
            prompt.clear()
        elif key == pygame.K_a:
            prompt.move_to(0)
        elif key == pygame.K_e:
            prompt.move_to(-1)
        elif key == pygame.K_w:
            prompt.backspace(word=True)

    def focus(self) -> None:
        """Begin to type."""
        if not self._player.state.director:
            self._player.toast("viewers only watch: join with --role director to steer")
            return
        self._player.steering.let_go(self._player.now())
        self._player.prompt.focus()
        pygame.key.set_repeat(*REPEAT_MS)
        pygame.key.start_text_input()

    def leave(self) -> None:
        """Stop typing."""
        self._player.prompt.leave()
        pygame.key.set_repeat()
        pygame.key.stop_text_input()

    def _click(self, position: tuple[int, int]) -> None:
        player = self._player
        if player.view.prompt_rect.collidepoint(position):
            if not player.prompt.focused:
                self.focus()
            return
        if player.view.more_rect.collidepoint(position):
            player.view.turn_page()
        for cap in player.view.keycaps:
            if cap.rect.collidepoint(position):
                player.requests.fire(cap.event, cut_in=bool(pygame.key.get_mods() & pygame.KMOD_SHIFT))
        mark = player.view.mark_at(player.state, position)
        if mark is not None:
            when = clock(mark.tick // player.state.fps)
            player.toast(f"{when}  {player.state.label_of(mark.kind, mark.label)}: {mark.prompt}")

    def _needs_shift(self, name: str) -> bool:
        """Whether an event's key is neither a letter nor a digit: then Shift may be needed to type it at all."""
        key = self._player.state.script.events[name].key
        return len(key) == 1 and not key.isalnum()

    def _event_of(self, event: pygame.event.Event) -> str | None:
        """Return the script's event with this key, or None."""
        if event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META):
            return None
        own = {pygame.key.name(event.key).lower(), event.unicode.lower()}
        # The character that a key types comes before what an American keyboard has in its place.
        for pressed in (own, {pygame.key.name(latin_key(event)).lower()}):
            for name, definition in self._player.state.script.events.items():
                if definition.key and definition.key.lower() in pressed:
                    return name
        return None

    def _paste(self) -> None:
        try:
            text = clipboard()
        except pygame.error as error:
            self._player.toast(f"the clipboard cannot be read: {error}", bad=True)
            return
        self._player.prompt.insert(text)


def clipboard() -> str:
    """Return the clipboard's text. Raises pygame.error if there is no clipboard."""
    if hasattr(pygame.scrap, "get_text"):  # pygame-ce
        return str(pygame.scrap.get_text())
    pygame.scrap.init()
    data = pygame.scrap.get("text/plain;charset=utf-8") or pygame.scrap.get(pygame.SCRAP_TEXT) or b""
    return data.decode("utf-8", "replace").rstrip("\0")
