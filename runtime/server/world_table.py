"""The worlds of a server: opens and closes them, and gives them turns on their generators."""

import logging
import secrets
from dataclasses import dataclass
from pathlib import Path

from longtake.protocol.errors import Refused, error_message
from longtake.protocol.generator_messages import GenBlock, GenCued, GenDone, GenError, GenReady, GenSaved, GenStepped
from longtake.protocol.messages import Message, Notice, Open, Role, WorldEntry
from longtake.runtime.generator.pool import GeneratorPool
from longtake.runtime.generator.supervisor import Supervisor
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.sessions import Client
from longtake.runtime.server.world_room import ServerPorts, WorldRoom
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Requester
from longtake.runtime.world.reports import joined
from longtake.runtime.world.running_world import RunningWorld
from longtake.runtime.world.understanding import reader_of

log = logging.getLogger(__name__)

MOST_PASSED_OVER = 8
"""turns that a world waits for while others' blocks are due"""
FULL_LOAD = 0.95
"""of the generator's time that live worlds may take together"""


@dataclass(frozen=True, kw_only=True)
class WorldTableConfig:
    """What all worlds of a server have in common."""

    takes: Path
    """folder of the take files"""
    keep_s: float
    """how long a world without members is kept"""
    snapshot_every_s: float
    limits: Limits
    options: tuple[tuple[str, str], ...] = ()
    """options that the models were loaded with; for take headers"""
    versions: tuple[tuple[str, str], ...] = ()
    """versions of the software; for take headers"""


class WorldTable:
    """All worlds of a server."""

    def __init__(self, config: WorldTableConfig, pool: GeneratorPool, ports: ServerPorts) -> None:
        self._config = config
        self._pool = pool
        self._ports = ports
        self._worlds: dict[str, WorldRoom] = {}
        self._waiting: list[tuple[Client, Open]] = []
        """`open` requests that wait for a generator to load its models"""
        self._count = 0
        self._run = secrets.token_hex(2)
        """part of every world's name, so that a client does not mistake a new server's world for its old one"""
        self._last_turn: dict[Supervisor, str] = {}
        """by generator: the world that had its last turn"""

    # --- clients -------------------------------------------------------------------------------------------

    def entries(self) -> list[WorldEntry]:
        """Return the list of running worlds."""
        return [room.entry() for room in self._worlds.values()]

    def find(self, name: str) -> WorldRoom:
        """Return a world; an empty name means the newest. Raises `Refused("unknown_world")`."""
        if not name and self._worlds:
            return next(reversed(self._worlds.values()))
        if not name:
            how = "open one: `longtake play --endpoint ADDRESS`, or start the server as `longtake serve SCENARIO`"
            raise Refused("unknown_world", f"no world runs here yet; {how}")
        if name not in self._worlds:
            known = ", ".join(self._worlds) or "none"
            raise Refused("unknown_world", f"no world {name!r} runs here; there are: {known}")
        return self._worlds[name]

    def of_member(self, client: Client, name: str, *, steer: bool = False) -> WorldRoom:
        """Return a world the client has joined; with `steer`, as a director. Raises `Refused`."""
        room = self._worlds.get(name)
        role = client.roles.get(name)
        if room is None or role is None:
            raise Refused(
                "unknown_world",
                f"join the world {name!r} first; this client is in: {', '.join(client.roles) or 'none'}",
            )
        if steer and role != "director":
            raise Refused("forbidden", f"viewers may not steer {name}; join it as a director")
        return room

    def open(self, client: Client, message: Open) -> None:
        """Open a world with the client as its director; `joined` follows when the generator has opened it."""
        generator = self._pool.choose(message.model, lambda one: len(self._on(one)))
        if generator is None and self._pool.loading:
            self._waiting.append((client, message))
            return
        self._check_room(client)
        if generator is None:
            known = ", ".join(model.name for model in self._pool.models)
            raise Refused("unknown_model", f"this server has no model {message.model!r}; it has: {known}")
        world = RunningWorld(self._world_config(message, generator))
        self._check_time(world, generator)
        self._count += 1
        room = WorldRoom(world, generator, self._ports, self._config.takes)
        self._worlds[world.name] = room
        room.await_joined(client)
        world.open(Requester(client=client, request=message.request))
        log.info("%s opens %s: %s, seed %d, %s", client.name, world.name, message.model, message.seed, message.mode)

    def join(self, client: Client, name: str, role: Role, request: int) -> None:
        """Add a client to a running world and send it the world's state."""
        room = self.find(name)
        room.enter(client, role)
        self._ports.sessions.send(client, joined(room.world, request, role, room.recorder.name))

    def leave(self, client: Client, name: str) -> WorldRoom:
        """Remove a client from a world; the world goes on."""
        room = self.of_member(client, name)
        room.exit(client)
        return room

    def forget(self, client: Client) -> None:
        """Remove a client that is gone from everything."""
        self._waiting = [(other, message) for other, message in self._waiting if other is not client]
        for room in self._worlds.values():
            if client in room.members:
                room.exit(client)
        self._ports.publisher.forget_client(client)

    # --- generator -----------------------------------------------------------------------------------------

    def from_generator(self, generator: Supervisor, message: Message, part: "memoryview | None") -> None:
        """Hand a generator's message to its world."""
        now = self._ports.clock.now()
        if isinstance(message, GenReady):
            self._generator_back(generator)
            return
        room = self._worlds.get(getattr(message, "world", ""))
        if room is None or room.generator is not generator:
            return
        world = room.world
        if isinstance(message, GenBlock) and part is not None:
            world.block_made(message, part, now)
        elif isinstance(message, GenStepped):
            world.denoised(message)
        elif isinstance(message, GenCued):
            world.cued(message)
        elif isinstance(message, GenSaved) and part is not None:
            world.saved(message, bytes(part))
        elif isinstance(message, GenDone):
            world.command_done(message)
        elif isinstance(message, GenError):
            log.error("world %s: the generator reports: %s", room.name, message.message)
            world.failed(message)
        self._settle(room)

    def generator_lost(self, generator: Supervisor) -> None:
        """A generator is gone: hold its worlds until its successor is ready."""
        for room in self._on(generator):
            room.world.generator_lost()
            room.world.changed = True
            self._settle(room)

    def give_turns(self) -> None:
        """Let each free generator work for the next of its worlds that wants something, in turn."""
        for generator in self._pool.generators:
            if generator.state == "ready" and not generator.busy:
                self._give_turn(generator)

    # --- time ----------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of all worlds."""
        deadlines = [room.world.deadline for room in self._worlds.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def next_turn(self) -> float | None:
        """Return when a block is next to begin on a generator that is idle."""
        rooms = [room for room in self._worlds.values() if room.generator.state == "ready" and not room.generator.busy]
        turns = [room.world.pacing.turn_at for room in rooms]
        return min((turn for turn in turns if turn is not None), default=None)

    def next_status(self) -> float | None:
        """Return when the next status is due."""
        return min((room.status_at for room in self._worlds.values() if room.members), default=None)

    def service(self) -> None:
        """Show due frames, send due statuses, and close worlds that have been empty for too long."""
        for generator in self._pool.generators:
            rooms = self._on(generator)
            running = sum(room.world.running for room in rooms)
            for room in rooms:
                room.world.pacing.worlds_on_generator = max(1, running)
        for room in list(self._worlds.values()):
            room.service()
            self._settle(room)
            room.report()
            self._expire(room)

    def settle(self, room: WorldRoom) -> None:
        """Carry out the effects of a request to a world."""
        self._settle(room)
        room.report()

    def close_all(self, text: str) -> None:
        """End everything: the server closes."""
        for room in list(self._worlds.values()):
            room.tell(Notice(world=room.name, kind="shutdown", text=text, tick=room.world.tick))
            room.end()
        self._worlds.clear()

    # --- inside --------------------------------------------------------------------------------------------

    def _on(self, generator: Supervisor) -> list[WorldRoom]:
        """Return the worlds on a generator, the oldest first."""
        return [room for room in self._worlds.values() if room.generator is generator]

    def _world_config(self, message: Open, generator: Supervisor) -> WorldConfig:
        return WorldConfig(
            name=f"w{self._count + 1}-{self._run}",
            model=next(model for model in generator.models if model.name == message.model),
            script=message.script,
            prompt=message.prompt,
            seed=message.seed,
            mode=message.mode,
            paused=message.paused,
            readings=message.readings,
            snapshot_every_s=self._config.snapshot_every_s,
            threads=generator.threads,
            options=self._config.options,
            versions=self._config.versions,
            understand=reader_of(message.model),
        )

    def _give_turn(self, generator: Supervisor) -> None:
        """Give the generator's next turn to the world whose block is due first.

        If none is due, it goes to the first that wants one, beginning after the last that had one. A world that was
        passed over often comes first: a live world that is always late must not keep the others waiting for ever.
        """
        now = self._ports.clock.now()
        rooms = self._on(generator)
        names = [room.name for room in rooms]
        last = self._last_turn.get(generator, "")
        start = names.index(last) + 1 if last in names else 0
        wanting = [room for room in rooms[start:] + rooms[:start] if room.world.wants_turn(now)]
        if wanting:
            overlooked = [room for room in wanting if room.passed_over >= MOST_PASSED_OVER]
            room = min(overlooked or wanting, key=lambda room: room.world.pacing.urgency(now))
            for other in wanting:
                other.passed_over += 1
            room.passed_over = 0
            self._last_turn[generator] = room.name
            generator.send(room.world.next_command(now))

    def _check_room(self, client: Client) -> None:
        if len(self._worlds) >= self._config.limits.worlds:
            raise Refused("too_many", f"{len(self._worlds)} worlds run here, the most this server takes; close one")
        mine = sum(role == "director" for role in client.roles.values())
        if mine >= self._config.limits.worlds_per_client:
            raise Refused("too_many", f"this client directs {mine} worlds, the most it may; close one")

    def _check_time(self, world: RunningWorld, generator: Supervisor) -> None:
        """Refuse a live world for which the generator has no time left, going by what the others measure."""
        live = [room.world for room in self._on(generator) if room.world.config.mode == "live"]
        measured = [other.load() for other in live if other.load() > 0]
        if world.config.mode != "live" or not measured:
            return
        taken, more = sum(measured), max(measured)
        if taken + more > FULL_LOAD:
            raise Refused(
                "no_room",
                f"the generator is {100 * taken:.0f} % busy with {len(live)} live world{'s' if len(live) > 1 else ''} "
                f"and one more would take about {100 * more:.0f} %: close one, or open this one in lockstep or "
                "offline mode",
            )

    def _generator_back(self, generator: Supervisor) -> None:
        self._announce_models()
        for room in self._on(generator):
            room.world.generator_back()
            room.world.changed = True
            self._settle(room)
        waiting, self._waiting = self._waiting, []
        for client, message in waiting:
            try:
                self.open(client, message)
            except Refused as error:
                self._ports.sessions.send(client, error_message(error, message.request))
        for room in list(self._worlds.values()):
            self._settle(room)

    def _announce_models(self) -> None:
        """Tell every client that `welcome` now lists models; `hello` fetches it."""
        text = "ready: " + ", ".join(model.name for model in self._pool.models)
        for client in self._ports.sessions.all():
            if client.minor >= 1:  # the kind `models` is of protocol 1.1
                self._ports.sessions.send(client, Notice(world="", kind="models", text=text))

    def _settle(self, room: WorldRoom) -> None:
        """Carry out a world's effects, and remove it if that closed it."""
        room.carry_out()
        if room.world.phase == "closed" and self._worlds.pop(room.name, None) is not None:
            room.end()
            log.info("world %s is closed", room.name)

    def _expire(self, room: WorldRoom) -> None:
        if room.empty_since is not None and self._ports.clock.now() - room.empty_since > self._config.keep_s:
            room.world.close(f"nobody has been here for {self._config.keep_s:g} s")
            self._settle(room)
