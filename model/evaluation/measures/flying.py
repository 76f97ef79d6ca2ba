"""Scenes whose ground can be seen to move: the actor flies, and nothing falls in front of the ground.

Rain and snow move as one, and more clearly than the ground behind them, so flow would be theirs.
"""

from longtake.model.diorama.labels import COLOURS, PLACES, TIMES
from longtake.model.diorama.scene import Scene

FLYERS = ("balloon", "bird", "plane")
WEATHERS = ("clear", "fog")


def flying_scene(index: int) -> Scene:
    """Return scene `index`: all places in turn, with other hours, weathers and actors each time round."""
    round_, place = divmod(index, len(PLACES))
    return Scene(
        place=PLACES[place],
        time=TIMES[(place + round_) % len(TIMES)],
        weather=WEATHERS[(place // 2 + round_) % len(WEATHERS)],
        actor=FLYERS[(place + round_) % len(FLYERS)],
        colour=COLOURS[(place + 3 * round_) % len(COLOURS)],
    )
