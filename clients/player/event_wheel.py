"""The event wheel: a gamepad's bumpers or the mouse's wheel choose an event of the script, a button fires it."""

from typing import TYPE_CHECKING

import pygame

if TYPE_CHECKING:
    from longtake.clients.player.player import Player

FIRE, HELP, LEFT, RIGHT, PAUSE = 0, 1, 4, 5, 7
"""buttons, as most pads number them: A, B, the two bumpers, Start"""
WHEEL_BUTTON = 2
"""of the mouse"""


class EventWheel:
    """Turns pygame's events of a pad's buttons and of the mouse's wheel into calls of the player."""

    def __init__(self, player: "Player") -> None:
        self._player = player

    def handle(self, event: pygame.event.Event) -> None:
        """Handle one event of the window, if it is for the wheel."""
        if event.type == pygame.MOUSEWHEEL:
            self._choose(-event.y)
        elif event.type == pygame.JOYBUTTONDOWN:
            self._press(event.button)
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == WHEEL_BUTTON:
            self._press(FIRE, cut_in=bool(pygame.key.get_mods() & pygame.KMOD_SHIFT))

    def _press(self, button: int, *, cut_in: bool = False) -> None:
        player = self._player
        if button == FIRE and player.state.selected in player.state.script.events:
            player.requests.fire(player.state.selected, cut_in=cut_in)
        elif button == HELP:
            player.view.options.help = not player.view.options.help
        elif button == PAUSE:
            player.pause()
        elif button in (LEFT, RIGHT):
            self._choose(1 if button == RIGHT else -1)

    def _choose(self, step: int) -> None:
        """Choose the next event, or the one before."""
        state = self._player.state
        names = list(state.script.events)
        if not names or not step:
            return
        if state.selected not in names:
            state.selected = names[0 if step > 0 else -1]
        else:
            state.selected = names[(names.index(state.selected) + (1 if step > 0 else -1)) % len(names)]
