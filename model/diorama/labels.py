"""The closed label sets of the diorama world, and the units everything in it is measured in."""

from typing import Final

FPS: Final = 16
"""Frames a second."""
HEIGHT: Final = 96
WIDTH: Final = 160
"""Size of the picture in units: one unit is one pixel at scale 1."""

PLACES: Final = ("meadow", "forest", "desert", "mountains", "city", "ocean")
TIMES: Final = ("dawn", "day", "dusk", "night")
WEATHERS: Final = ("clear", "rain", "snow", "fog")
ACTORS: Final = ("balloon", "bird", "plane", "train", "boat", "fox")
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SPEEDS: Final = ("slow", "normal", "fast")

LABELS: Final[dict[str, tuple[str, ...]]] = {
    "place": PLACES,
    "time": TIMES,
    "weather": WEATHERS,
    "actor": ACTORS,
    "colour": COLOURS,
    "speed": SPEEDS,
}
"""Every kind of label, in the order of the fields of a scene."""

SCORED: Final = ("place", "time", "weather", "actor", "colour")
"""The kinds a probe reads back from a picture; speed needs more than one frame and is not scored."""
