"""Draws clips of the diorama. It makes training data and never runs at play time.

Everything is measured in units (`labels.WIDTH` x `labels.HEIGHT`); `scale` pixels make one. Strips and sprites are
drawn once a process at sub-pixel positions, so a frame is a handful of multiply-and-adds on planes `[C, H, W]`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtake.model.diorama.actions import Actions, checked, no_actions
from longtake.model.diorama.art import weather
from longtake.model.diorama.art.actors import SPRITE_HEIGHT, SPRITE_WIDTH, STEPS, extent, placed, sprite
from longtake.model.diorama.art.canvas import Bytes, Floats, Strip
from longtake.model.diorama.art.places import PARALLAX, RAILS, VARIANTS, layer
from longtake.model.diorama.art.sky import clouds, overcast, sky
from longtake.model.diorama.labels import FPS, HEIGHT, TIMES, WEATHERS, WIDTH
from longtake.model.diorama.scene import Scene, Switch
from longtake.model.diorama.timeline import EDGE, Path, Timeline, path, timeline

_RAIN, _SNOW, _FOG = (WEATHERS.index(name) for name in ("rain", "snow", "fog"))
_TRAIN = "train"
_SEEN = 1 / 255
"""Weights below this change no pixel."""
_RAIN_OPACITY, _SNOW_OPACITY, _BANK_OPACITY = 0.72, 0.94, 0.42
_SKY_FOG = 0.62
"""How much of the sky fog hides."""
_RAIN_DRIFT, _SNOW_DRIFT, _BANK_DRIFT = (-2.0, 6.0), (-1.0, 1.0), (-0.5, 0.0)
"""How far veils move in one frame, in units."""
_RAILS_LIGHT = 2
"""Rails are lit as the near layer is."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A rendered clip of T frames."""

    frames: NDArray[np.uint8]
    """`[T, H, W, 3]` RGB."""
    boxes: NDArray[np.float32]
    """The actor's box in pixels, x0, y0, x1, y1: `[T, 4]`."""
    actions: Actions
    """What the clip was made under: `[ceil(T / 4), 2]`."""
    velocity: NDArray[np.float32]
    """How far the ground scrolled since the frame before, in units, negative when it goes back: `[T]`."""


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What the seed decides and no caption tells."""

    variants: tuple[int, int]
    """Which drawing of the old and of the new place."""
    offsets: tuple[float, float]
    """How far into their strips the places start, in units."""
    cloud: float
    veil: tuple[float, float]
    phases: tuple[float, float, float]


def _chances(seed: int) -> Chances:
    rng = np.random.default_rng([seed, 11])
    first, second = (int(value) for value in rng.integers(VARIANTS, size=2))
    numbers = [float(value) for value in rng.random(8)]
    return Chances(
        variants=(first, second),
        offsets=(960 * numbers[0], 960 * numbers[1]),
        cloud=320 * numbers[2],
        veil=(192 * numbers[3], 128 * numbers[4]),
        phases=(numbers[5], numbers[6], numbers[7]),
    )


def render_clip(
    scene: Scene, switch: Switch | None, frames: int, seed: int, scale: int = 1, actions: Actions | None = None
) -> Clip:
    """Render `frames` frames of a scene that may switch to another; the same arguments give the same bytes.

    `actions` holds one row of `actions.AXES` for each four frames; without it nobody steers.

    Raises:
        ValueError: no frames, a scale below 1, a switch beyond the clip's end, or actions that do not fit.
    """
    if frames < 1 or scale < 1:
        raise ValueError(f"frames and scale must be 1 or more, got {frames} and {scale}")
    if switch is not None and switch.frame >= frames:
        raise ValueError(f"the switch at frame {switch.frame} is beyond the clip's {frames} frames")
    track = no_actions(frames) if actions is None else checked(actions, frames)
    return _Renderer(scene, switch, track, frames, seed, scale).clip()


class _Renderer:
    """One clip in the making."""

    def __init__(
        self, scene: Scene, switch: Switch | None, actions: Actions, frames: int, seed: int, scale: int
    ) -> None:
        self.scenes = (scene, switch.scene if switch else scene)
        self.frames, self.scale = frames, scale
        self.actions = actions
        self.line: Timeline = timeline(scene, switch, frames, actions)
        self.chances = _chances(seed)
        self.columns = (np.arange(WIDTH * scale, dtype=np.float32) + 0.5) / scale
        self._sky: tuple[tuple[float, ...], Floats] | None = None
        self.paths: dict[str, Path] = {
            each.actor: path(each.actor, self.line.clock, self.line.motion, self.chances.phases) for each in self.scenes
        }

    def clip(self) -> Clip:
        frames = np.empty((self.frames, HEIGHT * self.scale, WIDTH * self.scale, 3), np.uint8)
        boxes = np.empty((self.frames, 4), np.float32)
        for index in range(self.frames):
            picture = self._backdrop(index)
            self._places(picture, index)
            boxes[index] = self._actors(picture, index)
            self._weather(picture, index)
            frames[index] = np.clip(picture, 0, 255, out=picture).transpose(1, 2, 0)
        velocity = self.line.motion.velocity.astype(np.float32)
        return Clip(frames=frames, boxes=boxes, actions=self.actions, velocity=velocity)

    def _backdrop(self, index: int) -> Floats:
        """Sky and clouds: a fresh `[3, H, W]` float32 0..255."""
        line, scale = self.line, self.scale
        key = (*line.times[index].tolist(), float(line.cover[index]))
        if self._sky is None or self._sky[0] != key:
            picture = np.zeros((3, HEIGHT * scale, WIDTH * scale), np.float32)
            for time, weight in zip(TIMES, key, strict=False):
                if weight > 0:
                    clear = sky(time, self.chances.variants[0], scale)
                    picture += weight * (clear + key[-1] * (overcast(time, scale) - clear))
            self._sky = (key, picture)
        picture = self._sky[1].copy()
        fog = float(line.weathers[index, _FOG])
        if fog > _SEEN:
            picture += _SKY_FOG * fog * (line.fog[index][:, None, None] - picture)
        offset = (self.chances.cloud + 0.12 * line.motion.distance[index] + 2.0 * index / FPS) * scale
        shade = 1 - 0.18 * line.cover[index]
        opacity = 1 - 0.7 * fog
        _over(picture, clouds(self.chances.variants[0], scale), offset, line.cloud[index] / 255 * shade, None, opacity)
        return picture

    def _places(self, picture: Floats, index: int) -> None:
        """Lay the place over the sky; while one gives way to another, both, side by side with a soft edge."""
        edge = float(self.line.edge[index])
        if edge >= WIDTH:
            self._place(picture, index, 0)
        elif edge <= -EDGE:
            self._place(picture, index, 1)
        else:
            new = picture.copy()
            self._place(picture, index, 0)
            self._place(new, index, 1)
            share = np.clip((self.columns - edge) / EDGE, 0, 1)
            picture += (share * share * (3 - 2 * share)) * (new - picture)

    def _place(self, picture: Floats, index: int, which: int) -> None:
        line, place = self.line, self.scenes[which].place
        variant, start = self.chances.variants[which], self.chances.offsets[which]
        white = float(line.weathers[index, _SNOW])
        for depth, parallax in enumerate(PARALLAX):
            offset = (start + parallax * line.motion.distance[index]) * self.scale
            art = layer(place, depth, variant, self.scale)
            tint = (line.factors[index, depth], line.additions[index, depth])
            if white < 1:
                _over(picture, art.bare, offset, *tint)
            if white > 0:
                _over(picture, art.snowed, offset, *tint, opacity=white)
            shine = float(line.glow[index, depth])
            if art.glow is not None and shine > _SEEN:
                _shine(picture, art.glow, offset, shine)
        self._rails(picture, index, place, white)

    def _rails(self, picture: Floats, index: int, place: str, white: float) -> None:
        swap = float(self.line.swap[index])
        opacity = sum(
            weight for scene, weight in zip(self.scenes, (1 - swap, swap), strict=True) if scene.actor == _TRAIN
        )
        if opacity > _SEEN:
            art = layer(place, RAILS, 0, self.scale)
            tint = (self.line.factors[index, _RAILS_LIGHT], self.line.additions[index, _RAILS_LIGHT])
            offset = self.line.motion.distance[index] * self.scale
            _over(picture, art.snowed if white > 0.5 else art.bare, offset, *tint, opacity=opacity)

    def _actors(self, picture: Floats, index: int) -> tuple[float, float, float, float]:
        """Lay the actor over the place; returns its box in pixels. Looks that cross-fade are blended first."""
        looks = self._looks(index)
        height, width = picture.shape[1:]
        rows, columns = SPRITE_HEIGHT * self.scale, SPRITE_WIDTH * self.scale
        blend = np.zeros((4, height + 2 * rows, width + 2 * columns), np.float32) if len(looks) > 1 else None
        boxes = []
        for (actor, colour, sea), weight in looks.items():
            left, right, top, down, step = self._pose(actor, index)
            art = sprite(actor, colour, step, sea, (right, down), self.scale)
            x0, y0, x1, y1 = extent(art)
            boxes.append((max(left + x0, 0), max(top + y0, 0), min(left + x1, width), min(top + y1, height)))
            if blend is None:
                self._lay(picture, art, left, top, index)
            else:
                blend[:, top + rows : top + 2 * rows, left + columns : left + 2 * columns] += np.float32(weight) * art
        if blend is not None:
            self._lay(picture, blend[:, rows:-rows, columns:-columns], 0, 0, index)
        xs0, ys0, xs1, ys1 = zip(*boxes, strict=True)
        return min(xs0), min(ys0), max(xs1), max(ys1)

    def _looks(self, index: int) -> dict[tuple[str, str, bool], float]:
        """Every (actor, colour, at sea) seen in a frame, with its weight; the weights sum to 1."""
        swap = float(self.line.swap[index])
        centre = float(self.paths[self.scenes[0].actor].x[index])
        moved = float(np.clip((centre - self.line.edge[index]) / EDGE, 0, 1))
        looks: dict[tuple[str, str, bool], float] = {}
        for scene, share in zip(self.scenes, (1 - swap, swap), strict=True):
            for stage, part in zip(self.scenes, (1 - moved, moved), strict=True):
                if share * part > _SEEN:
                    look = (scene.actor, scene.colour, stage.place == "ocean")
                    looks[look] = looks.get(look, 0.0) + share * part
        return looks

    def _pose(self, actor: str, index: int) -> tuple[int, int, int, int, int]:
        """Left and its sub-pixel, top and its sub-pixel, in pixels, and the step of movement."""
        way = self.paths[actor]
        left, right = placed((float(way.x[index]) - SPRITE_WIDTH / 2) * self.scale)
        top, down = placed((float(way.y[index]) - SPRITE_HEIGHT / 2) * self.scale)
        return left, right, top, down, int(float(way.cycle[index]) * STEPS) % STEPS

    def _lay(self, picture: Floats, art: Bytes | Floats, left: int, top: int, index: int) -> None:
        height, width = picture.shape[1:]
        y0, x0 = max(top, 0), max(left, 0)
        part = art[:, y0 - top : height - top, x0 - left : width - left].astype(np.float32)
        target = picture[:, y0 : y0 + part.shape[1], x0 : x0 + part.shape[2]]
        _blend(target, part, self.line.actor_factor[index], self.line.actor_addition[index])

    def _weather(self, picture: Floats, index: int) -> None:
        """Let rain, snow and banks of fog pass in front."""
        weights = self.line.weathers[index]
        if weights[_FOG] > _SEEN:
            self._pass(picture, weather.banks(self.scale), _BANK_DRIFT, index, weights[_FOG] * _BANK_OPACITY, "fog")
        if weights[_RAIN] > _SEEN:
            self._pass(picture, weather.rain(self.scale), _RAIN_DRIFT, index, weights[_RAIN] * _RAIN_OPACITY, "drops")
        if weights[_SNOW] > _SEEN:
            opacity = weights[_SNOW] * _SNOW_OPACITY
            self._pass(picture, weather.snow(self.scale), _SNOW_DRIFT, index, opacity, "drops")

    def _pass(
        self, picture: Floats, veil: weather.Veil, drift: tuple[float, float], index: int, opacity: float, colour: str
    ) -> None:
        (x, y), (dx, dy) = self.chances.veil, drift
        amount = veil.cut(x - dx * index, y - dy * index) * np.float32(opacity)
        tone: Floats = getattr(self.line, colour)[index]
        for channel in range(3):
            plane = picture[channel]
            plane += amount * (tone[channel] - plane)


def _blend(target: Floats, art: Floats, factor: Floats, addition: Floats | None) -> None:
    """Lay premultiplied `art` `[4, h, w]` over `target` `[3, h, w]` in place, tinted on the way."""
    alpha = art[3] * np.float32(1 / 255)
    colour = art[:3]
    colour *= factor[:, None, None]
    if addition is not None:
        colour += alpha * addition[:, None, None]
    target *= 1 - alpha
    target += colour


def _over(
    picture: Floats, art: Strip, offset: float, factor: Floats, addition: Floats | None, opacity: float = 1.0
) -> None:
    part = art.cut(float(offset), picture.shape[2])
    if opacity < 1:
        part *= np.float32(opacity)
    _blend(picture[:, art.top :], part, factor, addition)


def _shine(picture: Floats, art: Strip, offset: float, strength: float) -> None:
    """Screen lamps onto the picture: light adds, but never burns out."""
    part = art.cut(float(offset), picture.shape[2])
    target = picture[:, art.top :]
    alpha = part[3] * np.float32(strength / 255)
    target *= 1 - alpha
    target += part[:3] * np.float32(strength)
