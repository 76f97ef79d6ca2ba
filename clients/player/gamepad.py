"""Gamepads: their sticks and buttons steer the world. They may be plugged in at any time."""

import pygame

from longtake.clients.player.steering import Steering

HAT = {(0, -1): "left", (0, 1): "right", (1, -1): "down", (1, 1): "up"}
"""direction pad, by its axis and way"""


class Gamepads:
    """Turns the events of gamepads into calls of the steering."""

    def __init__(self, steering: Steering) -> None:
        pygame.joystick.init()
        self._steering = steering
        # SDL sends the events of a gamepad only while somebody holds its object.
        self._open: dict[int, pygame.joystick.JoystickType] = {}
        self._hat: set[str] = set()

    def handle(self, event: pygame.event.Event, now: float) -> bool:
        """Handle one event; return whether it was a gamepad's."""
        if event.type == pygame.JOYDEVICEADDED:
            pad = pygame.joystick.Joystick(event.device_index)
            self._open[pad.get_instance_id()] = pad
        elif event.type == pygame.JOYDEVICEREMOVED:
            self._open.pop(event.instance_id, None)
            self._steering.let_go(now)
        elif event.type == pygame.JOYAXISMOTION:
            # Every other axis points down; the world's axes point up.
            self._steering.lean(event.axis, event.value if event.axis % 2 == 0 else -event.value, now)
        elif event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            self._steering.button(event.button, now, down=event.type == pygame.JOYBUTTONDOWN)
        elif event.type == pygame.JOYHATMOTION:
            self._pad(event.value, now)
        else:
            return False
        return True

    def _pad(self, ways: tuple[int, int], now: float) -> None:
        """Treat the direction pad as arrow keys."""
        held = {HAT[axis, way] for axis, way in enumerate(ways) if way}
        for direction in self._hat - held:
            self._steering.release(direction, now)
        for direction in held - self._hat:
            self._steering.push(direction, now)
        self._hat = held
