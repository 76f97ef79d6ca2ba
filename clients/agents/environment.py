"""A Gymnasium environment: an agent sees frames and sends cues, and the world waits for it (lockstep).

    env = LongtakeEnv("tcp://127.0.0.1:5570", script=script)
    frame, info = env.reset(seed=7)
    frame, reward, terminated, truncated, info = env.step("night")   # or an index, a prompt, or None
    frame, *_ = env.step({"cue": 0, "axes": [1.0, 0.0]})             # a model that is steered by hand
    env.close()

Needs the extra `agents`. Nothing else of the package imports this module.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from longtake.clients.session import Picture, Session, Transport, World
from longtake.protocol.axes import in_words
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Axis, Reading, Script

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as error:
    raise ImportError("the Gymnasium environment needs the extra agents: pip install 'longtake[agents]'") from error

Pixels: TypeAlias = npt.NDArray[np.uint8]
Cue: TypeAlias = "int | str | Mapping[str, Any] | None"
"""None or 0: nothing; a number or a name: an event of the script; {"prompt": text}: a new prompt.

{"cue": one of these, "axes": values}, both optional, for a model with axes: they are held until the next step that
gives some; buttons are down from 0.5 on.
"""
Reward: TypeAlias = Callable[[Pixels, dict[str, Any]], float]

FIRST_FRAME_S = 120.0
"""the model may have to be loaded first, and the first block is the slowest"""
READING_S = 5.0
MAX_SEED = 2**31


class LongtakeEnv(gymnasium.Env[Pixels, Any]):
    """A world as an environment. An episode never ends by itself: wrap it in a `TimeLimit`.

    Observation: the last frame of the step, `[H, W, 3] uint8 RGB`. `info` holds `frames` (all frames of the step,
    `[n, H, W, 3]`), `tick`, `block`, `cue` (the last in force), `prompt`, and with `readings` the probe's `labels`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 16}  # noqa: RUF012  (Gymnasium's own interface)

    def __init__(
        self,
        server: str | Transport,
        *,
        script: Script | None = None,
        model: str = "diorama",
        prompt: str | None = None,
        ticks_per_step: int | None = None,
        reward: Reward | None = None,
        readings: bool = False,
        render_mode: str | None = "rgb_array",
    ) -> None:
        """Connect to a server, by an endpoint or a transport. Raises LongtakeError.

        `ticks_per_step` is one block unless given; `reward` is computed from the observation and `info`, and is 0
        without it.
        """
        self._session = Session.connect(server, client="longtake-env")
        info = next((known for known in self._session.models if known.name == model), None)
        if info is None:
            offered = ", ".join(known.name for known in self._session.models) or "none"
            self._session.close()
            raise LongtakeError("unknown_model", f"the server has no model {model!r}; it has {offered}")
        self._model = info
        self._script = script or Script()
        self._prompt = prompt
        self._ticks = ticks_per_step or info.block_frames
        self._reward = reward
        self._readings = readings
        self._world: World | None = None
        self._opened_with: str | None = None
        self._steered = False
        """a cue was sent. A reset would keep the newest prompt, but every episode starts under the first one."""
        self._frame: Pixels = np.zeros((info.height, info.width, 3), np.uint8)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": info.fps}
        self.events = list(self._script.events)
        """names of the events; action n fires events[n - 1], action 0 does nothing"""
        self.observation_space = spaces.Box(0, 255, (info.height, info.width, 3), np.uint8)
        self.action_space: spaces.Space[Any] = action_space(len(self.events), info.axes)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        """Start an episode, always under the prompt the world was opened with. Without a seed, one is drawn.

        `options={"prompt": text}` begins this episode under another prompt.
        """
        super().reset(seed=seed)
        world_seed = seed if seed is not None else int(self.np_random.integers(MAX_SEED))
        prompt = (options or {}).get("prompt", self._prompt)
        if self._world is not None and prompt == self._opened_with and not self._steered:
            self._world.reset(seed=world_seed)
        else:
            self._leave_world()
            self._world = self._session.open(
                self._model.name,
                prompt=prompt,
                seed=world_seed,
                mode="lockstep",
                script=self._script,
                delivery="every",
                readings=self._readings,
            )
            self._opened_with = prompt
            self._steered = False
        # Every episode begins at rest.
        self._hold(np.zeros(len(self._model.axes), np.float32))
        info = self._advance(self._model.first_block_frames)
        return self._frame, info

    def step(self, action: Cue) -> tuple[Pixels, float, bool, bool, dict[str, Any]]:
        """Send a cue, or none, and advance the world by `ticks_per_step`."""
        self._send(action)
        info = self._advance(self._ticks)
        reward = self._reward(self._frame, info) if self._reward else 0.0
        return self._frame, reward, False, False, info

    def render(self) -> Any:
        """Return the last frame."""
        return self._frame

    def close(self) -> None:
        """End the world and the connection."""
        self._leave_world()
        self._session.close()

    def _hold(self, values: Any) -> None:
        """Hold the axes at values, in the order of the model's axes."""
        axes = self._model.axes
        if not axes and not np.size(values):
            return
        if np.shape(values) != (len(axes),):
            known = in_words(self._model) or "none"
            raise LongtakeError("invalid", f"axes of shape {np.shape(values)} for a model with {len(axes)}: {known}")
        held = {
            axis.name: float(value >= 0.5) if axis.button else float(value)
            for axis, value in zip(axes, values, strict=True)
        }
        self._entered().input(held)

    def _send(self, action: Cue) -> None:
        world = self._entered()
        if isinstance(action, Mapping):
            if "axes" in action:
                self._hold(action["axes"])
            action = action if "prompt" in action else action.get("cue")
        if action is None or (not isinstance(action, str | Mapping) and int(action) == 0):
            return
        self._steered = True
        if isinstance(action, Mapping):
            world.prompt(action["prompt"])
        elif isinstance(action, str):
            world.event(action)
        else:
            world.event(self.events[int(action) - 1])

    def _advance(self, ticks: int) -> dict[str, Any]:
        world = self._entered()
        pictures = world.advance(ticks, timeout_s=FIRST_FRAME_S)
        self._frame = pictures[-1].pixels
        header = pictures[-1].header
        marks = [mark for mark in world.timeline if mark.cue <= header.cue]
        return {
            "frames": np.stack([picture.pixels for picture in pictures]),
            "tick": header.tick,
            "block": header.block,
            "cue": header.cue,
            "prompt": marks[-1].prompt if marks else world.info.prompt,
            **self._labels(world, pictures[-1]),
        }

    def _labels(self, world: World, picture: Picture) -> dict[str, Any]:
        """Return the probe's reading of the newest block."""
        if not self._readings:
            return {}
        block = picture.header.block
        reading: Reading | None = None

        def came(world: World) -> bool:
            nonlocal reading
            reading = next((known for known in reversed(world.readings) if known.block == block), None)
            return reading is not None

        world.wait(came, f"the reading of block {block}", READING_S)
        assert reading is not None  # wait raises otherwise
        return {"labels": dict(reading.labels)}

    def _entered(self) -> World:
        if self._world is None:
            raise LongtakeError("no_world", "call reset() before step()")
        return self._world

    def _leave_world(self) -> None:
        if self._world is not None and self._world.ended is None:
            self._world.close()
        self._world = None


def action_space(events: int, axes: Sequence[Axis]) -> spaces.Space[Any]:
    """Return the space of `step`: which event fires (0: none) and, if the model has axes, what is held."""
    cue = spaces.Discrete(events + 1)
    if not axes:
        return cue
    low, high = (np.array([getattr(axis, end) for axis in axes], np.float32) for end in ("low", "high"))
    return spaces.Dict({"cue": cue, "axes": spaces.Box(low, high, dtype=np.float32)})
