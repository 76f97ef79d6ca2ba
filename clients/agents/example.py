"""An example agent in one file: a lamplighter that keeps the light of a world going up and down.

It only looks at pixels. After a while of dark it asks for day, after a while of brightness for night, and it prints
what it sees. The world runs in lockstep: it waits for the agent, so the agent may think as long as it likes and the
take is still smooth. Run it against a server:

    longtake serve &
    python -m longtake.clients.agents.example --seconds 60
"""

import argparse

import numpy as np
import numpy.typing as npt

from longtake.clients.session import Session, Transport
from longtake.protocol.endpoints import DEFAULT_ENDPOINT
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import EventDef, Script, Slot

PATIENCE_S = 4.0
"""how long it must be dark, or bright, before the agent acts"""
DARK = 0.35
"""mean brightness (0 to 1) below which a picture is dark"""

SCRIPT = Script(
    name="lamplighter",
    title="The Lamplighter",
    template="a white bird flies over a big city {time}, {weather}",
    slots=[
        Slot(name="time", default="day", values={"day": "by day", "night": "at night"}),
        Slot(name="weather", default="clear", values={"clear": "under a clear sky", "fog": "in thick fog"}),
    ],
    events={
        "day": EventDef(set={"time": "day", "weather": "clear"}),
        "night": EventDef(set={"time": "night"}),
    },
)


def brightness(pixels: npt.NDArray[np.uint8]) -> float:
    """Return the mean brightness of a picture `[H, W, 3] uint8 RGB`, 0 to 1."""
    return float(pixels.mean()) / 255


class Lamplighter:
    """Decides which event to fire, one picture at a time."""

    def __init__(self, fps: int) -> None:
        self._patience = round(PATIENCE_S * fps)
        self._dark_for = 0
        self._bright_for = 0

    def decide(self, pixels: npt.NDArray[np.uint8]) -> str | None:
        """Look at the next picture; return the event to fire, or None."""
        if brightness(pixels) < DARK:
            self._dark_for, self._bright_for = self._dark_for + 1, 0
        else:
            self._dark_for, self._bright_for = 0, self._bright_for + 1
        if self._dark_for == self._patience:
            return "day"
        if self._bright_for == self._patience:
            return "night"
        return None


def run(server: str | Transport, *, seconds: float, seed: int) -> int:
    """Direct a world for so long; return the number of cues. Raises LongtakeError."""
    cues = 0
    with Session.connect(server, client="lamplighter") as session:
        world = session.open("diorama", script=SCRIPT, seed=seed, mode="lockstep", delivery="every")
        fps, block = world.info.model.fps, world.info.model.block_frames
        agent = Lamplighter(fps)
        for _ in range(round(seconds * fps / block)):
            for picture in world.advance(block):
                event = agent.decide(picture.pixels)
                if event is not None:
                    ack = world.event(event)
                    cues += 1
                    light = brightness(picture.pixels)
                    print(f"{picture.header.tick / fps:6.1f} s  brightness {light:.2f}  {event} from tick {ack.tick}")
        world.close()
    return cues


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="An agent that keeps the light of a world going up and down.")
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="the server (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the take (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the world (default %(default)s)")
    options = parser.parse_args()
    try:
        run(options.endpoint, seconds=options.seconds, seed=options.seed)
    except LongtakeError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
