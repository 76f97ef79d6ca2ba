"""How a clip unfolds: every fade, wipe, tint and position as one number a frame, worked out before drawing."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from longtake.model.diorama.actions import Actions, no_actions
from longtake.model.diorama.art.actors import ACTORS, Pose
from longtake.model.diorama.art.canvas import Floats
from longtake.model.diorama.art.palette import LIGHTS
from longtake.model.diorama.art.places import CAMERA
from longtake.model.diorama.labels import FPS, TIMES, WEATHERS, WIDTH
from longtake.model.diorama.motion import Motion, motion
from longtake.model.diorama.scene import Scene, Switch

GROUND_SPEED: Final = {"slow": 16.0, "normal": 24.0, "fast": 40.0}
"""How fast the ground scrolls by itself, in units a second: 1, 1.5 and 2.5 units a frame."""
LIGHT_SECONDS: Final = 1.0
WEATHER_SECONDS: Final = 1.0
SPEED_SECONDS: Final = 1.0
PLACE_SECONDS: Final = 1.5
ACTOR_SECONDS: Final = 0.6
EDGE: Final = 28.0
"""Width of the soft edge between two places, in units."""

_SNOW_HAZE = (0.16, 0.05, 0.0)
_FOG_HAZE = (0.74, 0.46, 0.16)
_RAIN_SHADE = (0.80, 0.82, 0.89)
_FOG_ACTOR = 0.08
_COVER = {"clear": 0.0, "rain": 0.94, "snow": 0.90, "fog": 0.94}
"""How much of the sky each weather covers."""


def ramp(frames: int, start: int, seconds: float) -> Floats:
    """0 before frame `start`, 1 from `seconds` later on, smooth between: `[T]`."""
    progress = np.clip((np.arange(frames) - start + 1) / (seconds * FPS), 0, 1)
    return (progress * progress * (3 - 2 * progress)).astype(np.float32)


def sweep(frames: int, start: int, seconds: float) -> Floats:
    """0 before frame `start`, 1 from `seconds` later on, even between: `[T]`.

    A place moves in this way because a slow beginning would hide, for half a second, that anything was asked for: from
    the player, and from a model that has only the last frames to tell how far a change has come.
    """
    return np.clip((np.arange(frames) - start + 1) / (seconds * FPS), 0, 1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What is seen in each of T frames. Colours are float32 0..255 unless named a factor."""

    times: Floats
    """Weight of each time of day: `[T, 4]`."""
    weathers: Floats
    """Weight of each weather: `[T, 4]`."""
    cover: Floats
    """How much of the sky is covered: `[T]`."""
    motion: Motion
    """How the ground, the camera and the actor move."""
    clock: Floats
    """Seconds of movement of a grounded actor, quickened by speed: `[T]`."""
    edge: Floats
    """Where the new place begins, in units from the left; beyond the frame before the switch: `[T]`."""
    swap: Floats
    """Weight of the new actor and colour: `[T]`."""
    factors: Floats
    """What multiplies each layer's colour, as a factor: `[T, 3 layers, 3]`."""
    additions: Floats
    """The haze added where a layer is opaque: `[T, 3 layers, 3]`."""
    glow: Floats
    """How strongly each layer's lamps shine: `[T, 3 layers]`."""
    actor_factor: Floats
    """Factor on the actor's colour: `[T, 3]`."""
    actor_addition: Floats
    """Fog over the actor: `[T, 3]`."""
    cloud: Floats
    """Colour of the clouds: `[T, 3]`."""
    fog: Floats
    """Colour of the fog: `[T, 3]`."""
    drops: Floats
    """Colour of rain and snow: `[T, 3]`."""


def _weights(frames: int, labels: tuple[str, ...], old: str, new: str, amount: Floats) -> Floats:
    table = np.zeros((frames, len(labels)), np.float32)
    table[:, labels.index(old)] += 1 - amount
    table[:, labels.index(new)] += amount
    return table


def _table(field: str) -> Floats:
    return np.array([getattr(LIGHTS[time], field) for time in TIMES], np.float32)


def timeline(scene: Scene, switch: Switch | None, frames: int, actions: Actions | None = None) -> Timeline:
    """Work out a clip of `frames` frames; without a switch the scene holds, without actions nobody steers."""
    after = switch.scene if switch else scene
    start = switch.frame if switch else frames
    times = _weights(frames, TIMES, scene.time, after.time, ramp(frames, start, LIGHT_SECONDS))
    weathers = _weights(frames, WEATHERS, scene.weather, after.weather, ramp(frames, start, WEATHER_SECONDS))
    quick = ramp(frames, start, SPEED_SECONDS).astype(np.float64)
    own = ((1 - quick) * GROUND_SPEED[scene.speed] + quick * GROUND_SPEED[after.speed]) / FPS
    moves = motion(own, no_actions(frames) if actions is None else actions)
    normal = GROUND_SPEED["normal"] / FPS
    gait = np.sign(moves.velocity) * np.sqrt(np.abs(moves.velocity) / normal)
    wipe = sweep(frames, start, PLACE_SECONDS) if after.place != scene.place else np.zeros(frames, np.float32)
    factors, additions = _tints(times, weathers)
    glow = times @ _table("glow")
    fog = weathers[:, WEATHERS.index("fog")]
    veil = (_FOG_ACTOR * fog)[:, None]
    fog_colour = times @ _table("fog")
    return Timeline(
        times=times,
        weathers=weathers,
        cover=weathers @ np.array([_COVER[weather] for weather in WEATHERS], np.float32),
        motion=moves,
        clock=(np.cumsum(gait / FPS) - gait[0] / FPS).astype(np.float32),
        edge=np.where(wipe > 0, WIDTH * (1 - wipe) - EDGE * wipe, WIDTH + EDGE).astype(np.float32),
        swap=ramp(frames, start, ACTOR_SECONDS),
        factors=factors,
        additions=additions,
        glow=glow[:, None] * (1 - fog[:, None] * np.array(_FOG_HAZE, np.float32) * 0.7),
        actor_factor=times @ _table("actor") / 255 * (1 - veil),
        actor_addition=fog_colour * veil,
        cloud=times @ _table("cloud"),
        fog=fog_colour,
        drops=times @ _table("rain"),
    )


def _tints(times: Floats, weathers: Floats) -> tuple[Floats, Floats]:
    """Factor and addition of each layer: `[T, 3, 3]` both. Haze of the hour first, the weather's own over it."""
    _, rain, snow, fog = (weathers[:, index, None, None] for index in range(len(WEATHERS)))
    light = np.einsum("tk,klc->tlc", times, _table("layers")) / 255
    haze = np.einsum("tk,kl->tl", times, _table("hazes"))[..., None]
    overcast = np.einsum("tk,kc->tc", times, _table("overcast")[:, 1])[:, None]
    clear = (times @ _table("haze"))[:, None]
    covered = np.clip(rain + snow + fog, 0, 1)
    haze_colour = clear + covered * (overcast - clear)
    haze = haze * (1 - fog) + snow * (1 - haze) * np.array(_SNOW_HAZE, np.float32)[:, None]
    thick = fog * np.array(_FOG_HAZE, np.float32)[:, None]
    shade = 1 - rain * (1 - np.array(_RAIN_SHADE, np.float32))
    factors = light * shade * (1 - haze) * (1 - thick)
    additions = haze_colour * haze * (1 - thick) + (times @ _table("fog"))[:, None] * thick
    return factors.astype(np.float32), additions.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Path:
    """Where an actor is, how it is posed, and which step of its movement it shows, frame by frame."""

    poses: list[Pose]
    cycle: Floats
    """Cycles of movement so far: `[T]`."""


_LEAD: Final = 6.0
"""How far an actor runs ahead in the frame for each time the world's own pace, in units."""
_FULL_CLIMB: Final = 0.13
"""Change of lift in one frame at which an actor noses up all it can."""
_LEAP_PITCH: Final = 0.045
"""Radians a leaping actor noses up for each unit a frame that it rises."""


def path(actor: str, line: Timeline, phases: tuple[float, float, float]) -> Path:
    """The path of an actor; `phases` in 0..1 sets where in the frame, the bob and the cycle a take begins."""
    art, moves = ACTORS[actor], line.motion
    place, bob, cycle = phases
    seconds = np.arange(len(line.clock)) / FPS
    lead = _LEAD * np.clip(moves.factor - 1, -1, 1.2)
    x = WIDTH * (0.42 + 0.12 * place) + lead
    down, up = art.climb
    height = np.where(moves.lift > 0, up, down) * moves.lift + (moves.leap if art.leaps else 0.0)
    sunk = CAMERA[2] * moves.lift if art.grounded else 0.0
    y = art.y - height + sunk + art.bob * np.sin(2 * np.pi * (seconds / 4.0 + bob))
    rock = art.rock * np.sin(2 * np.pi * (seconds / 3.0 + cycle))
    angle = rock + art.lean * moves.lift + art.pitch * np.clip(moves.climb / _FULL_CLIMB, -1, 1)
    if art.leaps:
        angle = angle + _LEAP_PITCH * moves.rise
    crouch = 1 - art.squash * np.clip(-moves.lift, 0, 1) * (moves.leap <= 0)
    poses = [
        Pose(x=float(x[t]), y=float(y[t]), angle=float(angle[t]), height=float(crouch[t]), foot=art.foot)
        for t in range(len(seconds))
    ]
    own = line.clock if art.grounded else seconds
    return Path(poses=poses, cycle=(own * art.cycle + cycle).astype(np.float32))
