"""Draws clips of the diorama. It makes training data and never runs at play time.

Everything is measured in units (`labels.WIDTH` x `labels.HEIGHT`); `scale` pixels make one. Strips and sprites are
drawn once a process and laid at sub-pixel positions, so a frame is a handful of multiply-and-adds on `[C, H, W]`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtake.model.diorama.actions import Actions, checked, no_actions
from longtake.model.diorama.art import weather
from longtake.model.diorama.art.actors import extent, sprite, stance
from longtake.model.diorama.art.canvas import Floats, Strip
from longtake.model.diorama.art.ocean import HORIZON
from longtake.model.diorama.art.places import CAMERA, FRONT, LAYERS, PARALLAX, RAILS, VARIANTS, layer
from longtake.model.diorama.art.sky import clouds, glitter, overcast, sky
from longtake.model.diorama.labels import HEIGHT, TIMES, WEATHERS, WIDTH
from longtake.model.diorama.scene import Scene, Switch
from longtake.model.diorama.timeline import EDGE, Path, Timeline, path, timeline

_RAIN, _SNOW, _FOG = (WEATHERS.index(name) for name in ("rain", "snow", "fog"))
_TRAIN = "train"
_SEEN = 1 / 255
"""Weights below this change no pixel."""
_RAIN_OPACITY, _SNOW_OPACITY, _BANK_OPACITY = 0.80, 0.96, 0.32
_SKY_FOG = 0.62
"""How much of the sky fog hides."""
_RAIN_SKY, _SNOW_SKY = 0.24, 0.14
"""How much darker rain and snow make the sky."""
_CLOUD_PARALLAX, _CLOUD_DRIFT = 0.125, 0.0625
"""How far clouds move with the ground, and by themselves in a frame."""
_CLOUD_CAMERA = 0.5
_CLOUD_SHADE = np.array((0.24, 0.19, 0.10), np.float32)
"""How much darker a covered sky makes its clouds."""
_GLITTER = 0.8
_NEAR = 2
"""Rails and the wave in front are lit as the near layer is, and move with it."""


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
        veil=(float(int(96 * numbers[3])), float(int(96 * numbers[4]))),
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
            each.actor: path(each.actor, self.line, self.chances.phases) for each in self.scenes
        }

    def clip(self) -> Clip:
        frames = np.empty((self.frames, HEIGHT * self.scale, WIDTH * self.scale, 3), np.uint8)
        boxes = np.empty((self.frames, 4), np.float32)
        for index in range(self.frames):
            picture = self._backdrop(index)
            self._places(picture, index)
            boxes[index] = self._actors(picture, index)
            self._front(picture, index)
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
        dark = float(_RAIN_SKY * line.weathers[index, _RAIN] + _SNOW_SKY * line.weathers[index, _SNOW])
        if dark > _SEEN:
            picture *= np.float32(1 - dark)
        if fog > _SEEN:
            picture += _SKY_FOG * fog * (line.fog[index][:, None, None] - picture)
        offset = self.chances.cloud + _CLOUD_PARALLAX * line.motion.distance[index] + _CLOUD_DRIFT * index
        drop = _CLOUD_CAMERA * line.motion.lift[index]
        tint = line.cloud[index] / 255 * (1 - line.cover[index] * _CLOUD_SHADE - dark)
        self._over(picture, clouds(self.chances.variants[0], scale), (offset, drop), tint, None, 1 - 0.7 * fog)
        return picture

    def _new_place(self, index: int) -> Floats | None:
        """How far each column shows the new place: `[W]`; None while there is only one to see, the old or the new."""
        edge = float(self.line.edge[index])
        if edge >= WIDTH or edge <= -EDGE:
            return None
        share = np.clip((self.columns - edge) / EDGE, 0, 1)
        return (share * share * (3 - 2 * share)).astype(np.float32)

    def _which(self, index: int) -> int:
        return int(float(self.line.edge[index]) <= -EDGE)

    def _places(self, picture: Floats, index: int) -> None:
        """Lay the place over the sky; while one gives way to another, both, side by side with a soft edge."""
        share = self._new_place(index)
        if share is None:
            self._place(picture, index, self._which(index))
            return
        new = picture.copy()
        self._place(picture, index, 0)
        self._place(new, index, 1)
        picture += share * (new - picture)

    def _place(self, picture: Floats, index: int, which: int) -> None:
        for depth in range(len(PARALLAX)):
            self._layer(picture, index, which, depth)
            if depth == 0 and self.scenes[which].place == "ocean":
                self._glitter(picture, index)
        opacity = self._train(index)
        if opacity > _SEEN:
            self._layer(picture, index, which, RAILS, opacity=opacity)

    def _layer(self, picture: Floats, index: int, which: int, depth: int, *, opacity: float | Floats = 1.0) -> None:
        """Lay one layer of the old (`which` 0) or the new place (1) over the picture, and its lamps."""
        line, light = self.line, min(depth, _NEAR)
        art = layer(self.scenes[which].place, depth, 0 if depth == RAILS else self.chances.variants[which], self.scale)
        offset = self.chances.offsets[which] + PARALLAX[light] * line.motion.distance[index]
        at = (offset, CAMERA[light] * line.motion.lift[index])
        tint = (line.factors[index, light], line.additions[index, light])
        white = float(line.weathers[index, _SNOW])
        if white < 1:
            self._over(picture, art.bare, at, *tint, opacity=opacity)
        if white > 0:
            self._over(picture, art.snowed, at, *tint, opacity=white * opacity)
        shine = float(line.glow[index, light])
        if art.glow is not None and shine > _SEEN:
            self._shine(picture, art.glow, at, shine)

    def _front(self, picture: Floats, index: int) -> None:
        """Lay what stands before the actor over it."""
        share = self._new_place(index)
        shown: tuple[tuple[int, float | Floats], ...] = ((self._which(index), 1.0),)
        if share is not None:
            shown = ((0, 1 - share), (1, share))
        for which, opacity in shown:
            if len(LAYERS[self.scenes[which].place]) > FRONT:
                self._layer(picture, index, which, FRONT, opacity=opacity)

    def _glitter(self, picture: Floats, index: int) -> None:
        """Lay the light of sun or moon on the water."""
        line = self.line
        clear = _GLITTER * (1 - float(line.cover[index]))
        down = round(CAMERA[0] * float(line.motion.lift[index]) * self.scale)
        for time, weight in zip(TIMES, line.times[index], strict=True):
            if weight * clear > _SEEN:
                art = np.roll(glitter(time, HORIZON, self.scale), down, axis=1) * np.float32(weight * clear)
                picture *= 1 - art[3] / 255
                picture += art[:3]

    def _train(self, index: int) -> float:
        """How much of a train, and so of its rails, is seen."""
        swap = float(self.line.swap[index])
        return sum(weight for scene, weight in zip(self.scenes, (1 - swap, swap), strict=True) if scene.actor == _TRAIN)

    def _actors(self, picture: Floats, index: int) -> tuple[float, float, float, float]:
        """Lay the actor over the place; returns its box in pixels. Looks that cross-fade are blended first."""
        moves, height, width = self.line.motion, *picture.shape[1:]
        sprites, boxes = [], []
        for (actor, colour, sea), weight in self._looks(index).items():
            way = self.paths[actor]
            looks = stance(actor, float(way.cycle[index]), sea, float(moves.factor[index]), float(moves.lift[index]))
            left, top, art = sprite(actor, colour, looks, way.poses[index], self.scale)
            x0, y0, x1, y1 = extent(art)
            boxes.append((max(left + x0, 0), max(top + y0, 0), min(left + x1, width), min(top + y1, height)))
            sprites.append((left, top, art * np.float32(weight)))
        self._lay(picture, sprites, index)
        xs0, ys0, xs1, ys1 = zip(*boxes, strict=True)
        return min(xs0), min(ys0), max(xs1), max(ys1)

    def _looks(self, index: int) -> dict[tuple[str, str, bool], float]:
        """Every (actor, colour, at sea) seen in a frame, with its weight; the weights sum to 1."""
        swap = float(self.line.swap[index])
        centre = self.paths[self.scenes[0].actor].poses[index].x
        moved = float(np.clip((centre - self.line.edge[index]) / EDGE, 0, 1))
        looks: dict[tuple[str, str, bool], float] = {}
        for scene, share in zip(self.scenes, (1 - swap, swap), strict=True):
            for stage, part in zip(self.scenes, (1 - moved, moved), strict=True):
                if share * part > _SEEN:
                    look = (scene.actor, scene.colour, stage.place == "ocean")
                    looks[look] = looks.get(look, 0.0) + share * part
        return looks

    def _lay(self, picture: Floats, sprites: list[tuple[int, int, Floats]], index: int) -> None:
        """Lay the sum of weighted sprites over the picture."""
        height, width = picture.shape[1:]
        left, top = min(x for x, _, _ in sprites), min(y for _, y, _ in sprites)
        right = max(x + art.shape[2] for x, _, art in sprites)
        bottom = max(y + art.shape[1] for _, y, art in sprites)
        whole = np.zeros((4, bottom - top, right - left), np.float32)
        for x, y, art in sprites:
            whole[:, y - top : y - top + art.shape[1], x - left : x - left + art.shape[2]] += art
        y0, x0 = max(top, 0), max(left, 0)
        part = whole[:, y0 - top : height - top, x0 - left : width - left]
        target = picture[:, y0 : y0 + part.shape[1], x0 : x0 + part.shape[2]]
        _blend(target, part, self.line.actor_factor[index], self.line.actor_addition[index])

    def _weather(self, picture: Floats, index: int) -> None:
        """Let rain, snow and banks of fog pass in front."""
        weights = self.line.weathers[index]
        if weights[_FOG] > _SEEN:
            self._pass(
                picture, weather.banks(self.scale), weather.BANK_DRIFT, index, weights[_FOG] * _BANK_OPACITY, "fog"
            )
        if weights[_RAIN] > _SEEN:
            self._pass(
                picture, weather.rain(self.scale), weather.RAIN_DRIFT, index, weights[_RAIN] * _RAIN_OPACITY, "drops"
            )
        if weights[_SNOW] > _SEEN:
            opacity = weights[_SNOW] * _SNOW_OPACITY
            self._pass(picture, weather.snow(self.scale), weather.SNOW_DRIFT, index, opacity, "drops")

    def _pass(
        self, picture: Floats, veil: weather.Veil, drift: tuple[float, float], index: int, opacity: float, colour: str
    ) -> None:
        (x, y), (dx, dy) = self.chances.veil, drift
        amount = veil.cut(x - dx * index, y - dy * index) * np.float32(opacity)
        tone: Floats = getattr(self.line, colour)[index]
        for channel in range(3):
            plane = picture[channel]
            plane += amount * (tone[channel] - plane)

    def _over(
        self,
        picture: Floats,
        art: Strip,
        at: tuple[float, float],
        factor: Floats,
        addition: Floats | None,
        opacity: float | Floats = 1.0,
    ) -> None:
        """Lay a strip over the picture, tinted; `at` is how far into it the frame starts and how far it has sunk."""
        top, part = art.cut(at[0] * self.scale, at[1] * self.scale, *picture.shape[1:])
        if not isinstance(opacity, float) or opacity < 1:
            part *= np.asarray(opacity, np.float32)
        _blend(picture[:, top : top + part.shape[1]], part, factor, addition)

    def _shine(self, picture: Floats, art: Strip, at: tuple[float, float], strength: float) -> None:
        """Screen lamps onto the picture: light adds, but never burns out."""
        top, part = art.cut(at[0] * self.scale, at[1] * self.scale, *picture.shape[1:])
        target = picture[:, top : top + part.shape[1]]
        target *= 1 - part[3] * np.float32(strength / 255)
        target += part[:3] * np.float32(strength)


def _blend(target: Floats, art: Floats, factor: Floats, addition: Floats | None) -> None:
    """Lay premultiplied `art` `[4, h, w]` over `target` `[3, h, w]` in place, tinted on the way."""
    alpha = art[3] * np.float32(1 / 255)
    colour = art[:3]
    colour *= factor[:, None, None]
    if addition is not None:
        colour += alpha * addition[:, None, None]
    target *= 1 - alpha
    target += colour
