"""The actors of the air: balloon, bird and plane. All face right; the origin is the middle of the sprite."""

import math

from longtake.model.diorama.art.canvas import Canvas, Colour, Point
from longtake.model.diorama.art.palette import CREAM, INK, Paint
from longtake.model.diorama.art.stance import Stance

_WOOD: Colour = (150, 96, 56)
_GLASS: Colour = (168, 218, 244)


def balloon(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A hot-air balloon that burns a flame to climb."""
    if stance.effort:
        high = 5.0 + 4.0 * stance.effort
        canvas.blob([(-3.4, 20), (0, 20 - high), (3.4, 20), (0, 21.5)], (255, 150, 40))
        canvas.blob([(-1.8, 20), (0, 20 - high * 0.6), (1.8, 20), (0, 21)], (255, 240, 150))
    for side in (-1, 1):
        canvas.stroke((side * 8, 8), (side * 4.2, 22), 1.4, (112, 78, 56))
    canvas.blob(
        [(0, -29), (14, -24), (18.5, -11), (13, 3), (5, 13), (-5, 13), (-13, 3), (-18.5, -11), (-14, -24)], paint.base
    )
    for half, top, tone in ((10.5, -27.5, paint.light), (4.6, -29, paint.base)):
        canvas.blob([(0, top), (half, -22), (half, -4), (2.4, 12.5), (-2.4, 12.5), (-half, -4), (-half, -22)], tone)
    canvas.blob([(14, -24), (18.5, -11), (13, 3), (5, 13), (11, 2), (15, -11)], paint.shade)
    canvas.rounded(-5.4, 12, 5.4, 14.6, 1, paint.shade)
    canvas.rounded(-5.6, 20.5, 5.6, 29, 1.8, _WOOD)
    canvas.box(-5.6, 22, 5.6, 24, (208, 152, 96))


def bird(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A plump bird, its wing beating once a cycle."""
    beat = math.cos(stance.turn)
    canvas.blob([(-12, -1), (-27, -6), (-26, 0), (-29, 4), (-13, 6)], paint.shade)
    _wing(canvas, 1, beat * 0.85, paint.shade)
    canvas.blob([(-15, 0), (-8, -7.5), (4, -8.5), (12, -5), (15, 2), (9, 9.5), (-3, 10.5), (-12, 6.5)], paint.base)
    canvas.blob([(14, 2), (9, 9.2), (-3, 10.4), (-9, 8), (2, 5.5)], paint.light)
    canvas.polygon(
        [(21, -6.5), (30, -3), (21, -0.5)],
        (255, 168, 34) if paint.base[0] < 240 or paint.base[1] > 190 else (255, 222, 96),
    )
    canvas.circle(15, -5, 8.2, paint.base)
    canvas.circle(17.6, -6.6, 2.9, (255, 255, 255))
    canvas.circle(18.3, -6.4, 1.6, INK)
    _wing(canvas, 0, beat, paint.light)
    _wing(canvas, 0, beat, paint.base, shrink=0.78)


def _wing(canvas: Canvas, shift: float, beat: float, colour: Colour, shrink: float = 1.0) -> None:
    """A wing rooted at the shoulder; `beat` runs from 1, up, to -1, down."""
    lift = -23 * beat
    points: list[Point] = [
        (8, -3),
        (-2, lift * 0.75 - 2),
        (-15, lift - 1),
        (-17, lift * 0.7 + 2),
        (-10, lift * 0.2 + 2),
        (-4, 3),
    ]
    root_x, root_y = 3.0, -1.0
    canvas.blob(
        [(root_x + (px - root_x) * shrink + 5 * shift, root_y + (py - root_y) * shrink - shift) for px, py in points],
        colour,
    )


def plane(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A stout propeller plane."""
    x, y, _ = canvas.pose
    canvas.pose = (x, y, -0.05)
    canvas.blob([(-21, -3), (-30, -16), (-23, -16.5), (-12, -5)], paint.base)
    canvas.blob([(-20, -3), (-26, -12), (-23, -12.5), (-15, -4)], paint.light)
    canvas.blob([(-28, -3), (-10, -8.5), (10, -9.5), (22, -6), (25, 0), (21, 6), (6, 9), (-12, 6.5)], paint.base)
    canvas.blob([(-24, 0), (0, 4), (22, 4), (6, 9), (-12, 6.5)], paint.shade)
    canvas.blob([(-4, -8), (0, -15), (8, -15), (13, -8)], _GLASS)
    canvas.box(4.4, -14, 6, -8, paint.base)
    canvas.blob([(20, -6.4), (26, -2.5), (26, 3), (20.5, 6.2)], CREAM if paint.trim == CREAM else paint.trim)
    canvas.blob([(8, 0), (-4, 13), (-15, 15), (-13, 10), (-6, 1)], paint.light)
    canvas.blob([(6, 1), (-4, 11), (-11, 12.6), (-5, 2)], paint.base)
    canvas.blob([(-22, -1), (-33, 3), (-30, 5), (-18, 2.4)], paint.light)
    reach = 10 + 3.5 * math.cos(2 * stance.turn)
    canvas.ellipse(28.4, 0, 1.7, reach, (226, 230, 238))
    canvas.circle(27.6, 0, 2.2, INK)
