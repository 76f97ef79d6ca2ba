"""The actors of the ground: train, boat and fox. All face right; the origin is the middle of the sprite."""

import math

from longtake.model.diorama.art.canvas import Canvas, Colour
from longtake.model.diorama.art.palette import CREAM, INK, Paint
from longtake.model.diorama.art.stance import LEVELS, Stance

_WOOD: Colour = (158, 106, 66)
_GLASS: Colour = (255, 232, 160)
_STEEL: Colour = (70, 72, 88)


def _wheel(canvas: Canvas, x: float, y: float, radius: float, turn: float) -> None:
    canvas.circle(x, y, radius, INK)
    canvas.circle(x, y, radius * 0.62, (196, 200, 212))
    reach = radius * 0.62
    dx, dy = reach * math.cos(turn), reach * math.sin(turn)
    canvas.stroke((x - dx, y - dy), (x + dx, y + dy), radius * 0.34, INK)


def train(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A steam engine with one coach that whistles two plumes of steam; wheels stand on y = 20."""
    turn = stance.turn / 2
    for index in range(3):
        age = (stance.phase + index) / 3
        fading = min(1.0, (1 - age) / 0.3)
        if fading > 0.2:
            canvas.circle(19 - 32 * age, -20 - 9 * age, (2.8 + 4.5 * age) * fading, (238, 238, 244))
    for side in (-1, 1) if stance.effort else ():
        canvas.blob(
            [(1, -16), (1 + side * 9, -22 - 4 * stance.effort), (1 + side * 4, -25 - 6 * stance.effort), (1, -20)],
            (250, 252, 255),
        )
        canvas.circle(1 + side * 8, -23 - 5 * stance.effort, 2.2 + 1.6 * stance.effort, (250, 252, 255))
    canvas.box(-10, 10, -2, 13, _STEEL)
    canvas.rounded(-36, -8, -8, 14, 2.4, paint.base)
    canvas.rounded(-37.5, -11, -6.5, -7, 1.6, paint.shade)
    canvas.box(-36, 5.5, -8, 8, paint.trim)
    for x in (-32, -23, -14):
        canvas.rounded(x - 1.2, -4, x + 4.6, 3, 1, _GLASS)
    canvas.rounded(-4, -3, 27, 14, 4.5, paint.base)
    canvas.box(-4, 9, 27, 14, paint.shade)
    canvas.rounded(-6, -14, 8, 14, 1.6, paint.base)
    canvas.rounded(-8, -17, 10, -13, 1.6, paint.shade)
    canvas.rounded(-2.6, -10, 4.6, -2, 1, _GLASS)
    canvas.box(12.5, -3, 15, 9, paint.trim)
    canvas.polygon([(17.4, -2), (16, -15), (24, -15), (22.6, -2)], _STEEL)
    canvas.circle(28, 2, 2.6, (255, 240, 170))
    canvas.polygon([(25, 12), (34, 19), (25, 19)], _STEEL)
    _wheel(canvas, 1, 13.6, 6.4, turn)
    for axle in (-30, -14, 13.5, 23):
        _wheel(canvas, axle, 15.6, 4.4, turn)


def boat(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A sailing boat, ashore on toy wheels."""
    if not stance.sea:
        for wheel in (-12, 12):
            _wheel(canvas, wheel, 20, 5, stance.turn)
    canvas.stroke((1, -31), (1, 12), 2.2, _WOOD)
    canvas.blob([(-1.5, -29), (-9, -14), (-21, 6), (-10, 7.4), (-1.5, 7)], paint.base)
    canvas.blob([(-1.5, -12), (-14, -4), (-18, 1.5), (-9, 1), (-1.5, 0)], paint.light)
    canvas.blob([(4, -25), (12, -10), (20, 5.5), (10, 7), (4, 6.6)], paint.light)
    canvas.polygon([(1, -31.5), (11, -28.5), (1, -25.5)], paint.base)
    canvas.blob([(-29, 9), (-24, 20), (-14, 23), (12, 23), (23, 19), (31, 8.4), (10, 11), (-12, 11.4)], paint.base)
    canvas.blob([(-26, 16), (-23, 20.4), (-14, 23), (12, 23), (22, 19.6), (26, 15.4), (0, 18)], paint.shade)
    canvas.blob([(-29, 9), (-28, 12), (-12, 14), (10, 13.8), (29.6, 11), (31, 8.4), (10, 11), (-12, 11.4)], paint.trim)


def fox(canvas: Canvas, paint: Paint, stance: Stance) -> None:
    """A fox that runs or stands; at sea it does so on a raft. Its paws reach y = 19."""
    stride, reach = stance.turn, stance.stride / LEVELS
    lift = reach * math.sin(2 * stride)
    if stance.sea:
        for y, tone in ((20.5, (196, 146, 96)), (24, _WOOD)):
            canvas.rounded(-30, y - 1.6, 30, y + 2.6, 2, tone)
    dark = (58, 42, 48) if paint.base != (30, 30, 38) else (96, 98, 114)
    legs = ((-11, 0.0), (-8, math.pi), (10, math.pi * 0.6), (13, math.pi * 1.6))
    for order in (1, 3, 0, 2):
        x, shift = legs[order]
        swing = reach * math.sin(stride + shift)
        foot = (x + 6.5 * swing, 17.6 - 3.0 * reach * max(0.0, math.cos(stride + shift)))
        canvas.stroke((x, 5 - lift), (x + 2.2 * swing - 0.5, 11.5), 4.2, paint.base if order in (0, 2) else paint.shade)
        canvas.stroke((x + 2.2 * swing - 0.5, 11), foot, 3.4, dark)
    wag = 3 * reach * math.sin(stride)
    canvas.blob(
        [(-13, 3), (-20, -5 + wag), (-31, -11 + wag), (-37, -7 + wag), (-33, 2 + wag), (-24, 6.5), (-15, 8)], paint.base
    )
    tip = (255, 252, 246) if paint.trim == CREAM else paint.trim
    canvas.blob([(-30.5, -10.5 + wag), (-37, -7 + wag), (-34, 0.5 + wag), (-29, -3 + wag)], tip)
    canvas.pose = (canvas.pose[0], canvas.pose[1] - lift, 0.0)
    canvas.blob([(-17, 1), (-12, -5.5), (0, -5), (11, -8), (17, -4), (15, 5), (8, 8.5), (-4, 7), (-13, 9)], paint.base)
    canvas.blob([(17, -3), (16, 5), (9, 8.6), (7, 4), (12, -2)], tip)
    _head(canvas, paint, tip, dark)


def _head(canvas: Canvas, paint: Paint, tip: Colour, dark: Colour) -> None:
    for x in (9.5, 18.0):
        canvas.polygon([(x - 3.6, -12), (x - 0.6, -25.5), (x + 5.2, -13)], paint.base)
        canvas.polygon([(x - 1.4, -19), (x - 0.6, -25.5), (x + 2.4, -19)], dark)
    canvas.blob([(6, -11), (11, -17.5), (20, -17), (25, -11), (34, -6.5), (25, -3.2), (14, -2.5)], paint.base)
    canvas.blob([(10, -5), (18, -8), (33.5, -6.6), (25, -3), (15, -1.8)], tip)
    canvas.circle(33.2, -7.2, 2.0, INK)
    canvas.circle(20.4, -11.4, 1.9, INK)
