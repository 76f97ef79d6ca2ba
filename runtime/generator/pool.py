"""The generators of a server. A world gets one from the pool, and keeps it as long as it runs.

A pool of one is the normal case. With more, a new world goes to the ready generator that has its model and the
fewest worlds. A generator that is lost takes down its own worlds only, and they come back in its successor.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import zmq

from longtake.protocol import sockets
from longtake.protocol.messages import Message, ModelInfo
from longtake.runtime.generator.supervisor import Supervisor


class GeneratorPool:
    """See the module's docstring. Never blocks, except in `stop`."""

    def __init__(self, generators: Sequence[Supervisor]) -> None:
        if not generators:
            raise ValueError("a pool needs at least one generator")
        self.generators = tuple(generators)

    @property
    def models(self) -> list[ModelInfo]:
        """All models on offer, without duplicates; empty until the first generator is ready."""
        by_name: dict[str, ModelInfo] = {}
        for generator in self.generators:
            for model in generator.models:
                by_name.setdefault(model.name, model)
        return list(by_name.values())

    @property
    def loading(self) -> bool:
        """Whether a generator is loading its models for the first time, so that more may soon be on offer."""
        return any(generator.state == "starting" and not generator.models for generator in self.generators)

    @property
    def sockets(self) -> list[sockets.Socket]:
        """The sockets to poll."""
        return [generator.socket for generator in self.generators if generator.socket is not None]

    def start(self) -> None:
        """Start all generators."""
        for generator in self.generators:
            generator.start()

    def choose(self, model: str, worlds_of: Callable[[Supervisor], int]) -> Supervisor | None:
        """Return the generator for a new world of `model`, or None if no generator has that model.

        A ready one comes first, then the one with the fewest worlds. If the only one that has the model is being
        replaced, the world waits for it.
        """
        able = [one for one in self.generators if any(known.name == model for known in one.models)]
        return min(able, key=lambda one: (one.state != "ready", worlds_of(one)), default=None)

    def received(self) -> Iterator[tuple[Supervisor, Message, "zmq.Frame | None"]]:
        """Yield each message that has arrived, with its generator and its binary part."""
        for generator in self.generators:
            while (received := generator.receive()) is not None:
                message, part = received
                yield generator, message, part

    def watch(self) -> list[Supervisor]:
        """Look after the generators; call it often. Returns those that were lost since the last call.

        Raises `GeneratorFailed` if one cannot be started for the first time.
        """
        return [generator for generator in self.generators if generator.watch() == "lost"]

    def stop(self) -> None:
        """End all generators and wait for them."""
        for generator in self.generators:
            generator.stop()


def standing(generator: Supervisor) -> Literal["ready", "starting", "lost"]:
    """Return the state of a generator as a world's status reports it."""
    if generator.state == "ready":
        return "ready"
    return "lost" if generator.models else "starting"
