"""The fake server with a little more of a world in it: cues take effect at their tick, and the take runs by itself.

A picture's colour says what is in force: its red channel is the number of the cue. With `runs` set, a frame is shown
at every turn of the loop in live and offline worlds that are not paused, while everybody with `every` has credit.
"""

from typing import Any

import msgspec
import numpy as np
import zmq

from longtake.protocol import messages as m
from longtake.protocol import wire
from tests.clients.fake_server import BLOCK, FPS, HEIGHT, WIDTH, FakeServer, FakeWorld


class ActingServer(FakeServer):
    """Planned cues per world: (tick, cue number, kind, label)."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.runs = False
        self.planned: dict[str, list[tuple[int, int, str, str]]] = {}
        self.in_force: dict[str, int] = {}
        self.labels: dict[int, dict[str, str]] = {}
        """what the probe reads, by the cue in force"""
        self.refuse_cues = 0
        """so many cues are refused as too fast"""
        self.members_told: list[m.Message] = []

    def _turn(self) -> None:
        super()._turn()
        for world in list(self.worlds.values()) if self.runs else ():
            if not world.paused and world.opened.mode != "lockstep" and self._everybody_has_credit(world):
                self._publish(world)

    def _everybody_has_credit(self, world: FakeWorld) -> bool:
        mine = [sub for (_, name), sub in self.subscriptions.items() if name == world.name]
        every = [sub for sub in mine if sub.subscribe.delivery == "every"]
        return bool(mine) and all(sub.credit > len(sub.waiting) for sub in every)

    def _tell(self, world: FakeWorld, message: m.Message) -> None:
        self.members_told.append(message)
        for peer in list(world.members):
            try:
                self._send(peer, message)
            except zmq.ZMQError:  # it has gone
                world.members.discard(peer)

    def _open(self, peer: bytes, message: m.Open) -> None:
        name = f"w{len(self.worlds) + 1}"
        self.planned.pop(name, None)
        self.in_force.pop(name, None)
        super()._open(peer, message)

    def _ack(self, peer: bytes, request: int, world: FakeWorld, prompt: str, at_tick: int | None) -> None:
        if self.refuse_cues:
            self.refuse_cues -= 1
            world.cue -= 1
            self._send(peer, m.Error(code="too_fast", message="slowly", retryable=True, request=request))
            return
        tick = -(-max(world.tick, at_tick or 0) // BLOCK) * BLOCK
        kind = "event" if prompt in world.opened.script.events else "prompt"
        self.planned.setdefault(world.name, []).append((tick, world.cue, kind, prompt))
        super()._ack(peer, request, world, prompt, at_tick)

    def _control(self, peer: bytes, message: m.Control) -> None:
        super()._control(peer, message)
        world = self.worlds.get(message.world)
        if world is None:
            return
        if message.action == "reset":
            self.planned[world.name] = []
            self.in_force[world.name] = 0
            self._tell(world, msgspec.structs.replace(self.applied(world, "start", "start"), cue=0))
        if message.action in ("pause", "resume"):
            self._tell(world, self.status(world))

    def _publish(self, world: FakeWorld, held: bool = False) -> None:
        for tick, cue, kind, label in self.planned.get(world.name, []):
            if tick == world.tick and cue > self.in_force.get(world.name, 0):
                self.in_force[world.name] = cue
                mark = msgspec.structs.replace(self.applied(world, kind, label), cue=cue, recache_ms=20.0)
                self._tell(world, mark)
        if world.opened.readings and world.tick % BLOCK == 0:
            reading = m.Reading(
                world=world.name,
                generation=world.generation,
                block=world.tick // BLOCK,
                tick=world.tick,
                labels=self.labels.get(self.in_force.get(world.name, 0), {}),
                confidence={},
            )
            self._tell(world, reading)
        super()._publish(world, held)

    def _frame(self, world: FakeWorld, tick: int, held: bool, encoding: Any) -> list[bytes]:
        cue = self.in_force.get(world.name, 0)
        header = m.Frame(
            world=world.name,
            generation=world.generation,
            number=self.published,
            tick=tick,
            block=tick // BLOCK,
            cue=cue,
            height=HEIGHT,
            width=WIDTH,
            encoding="raw",
            held=held,
        )
        return [wire.encode(header), np.full((HEIGHT, WIDTH, 3), (cue, tick % 256, 90), np.uint8).tobytes()]

    def status(self, world: FakeWorld) -> m.Status:
        return m.Status(
            world=world.name,
            generation=world.generation,
            tick=world.tick,
            block=world.tick // BLOCK,
            mode=world.opened.mode,
            paused=world.paused,
            fps=FPS,
            lead=2,
            lead_target=4,
            shown=world.tick,
            held=3,
            skipped=0,
            block_ms=50,
            recache_ms=20,
            tick_jitter_ms=0.5,
        )
