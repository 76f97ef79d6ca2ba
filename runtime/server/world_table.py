"""The worlds of a server: opening and closing them, giving them turns on the generator, carrying out their effects."""

import logging
import secrets
from pathlib import Path

from longtake.protocol.errors import Refused, error_message
from longtake.protocol.generator_messages import GenBlock, GenDone, GenError, GenReady, GenSaved, GenStepped
from longtake.protocol.messages import Message, Notice, Open, Role, WorldEntry
from longtake.runtime.clock import Clock
from longtake.runtime.generator.supervisor import Supervisor
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.publisher import Publisher
from longtake.runtime.server.sessions import Client, Sessions
from longtake.runtime.server.world_room import ServerPorts, WorldRoom
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Requester
from longtake.runtime.world.running_world import RunningWorld

log = logging.getLogger(__name__)

FULL_LOAD = 0.95
"""of the generator's time that live worlds may take together"""


class WorldTable:
    """All worlds of a server."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        sessions: Sessions,
        publisher: Publisher,
        clock: Clock,
        limits: Limits,
        takes: Path,
        keep_s: float,
        snapshot_every_s: float,
        options: tuple[tuple[str, str], ...],
        versions: tuple[tuple[str, str], ...],
    ) -> None:
        self._supervisor = supervisor
        self._sessions = sessions
        self._publisher = publisher
        self._clock = clock
        self._ports = ServerPorts(supervisor=supervisor, sessions=sessions, publisher=publisher, clock=clock)
        self._limits = limits
        self._takes = takes
        self._keep_s = keep_s
        self._snapshot_every_s = snapshot_every_s
        self._options = options
        self._versions = versions
        self._worlds: dict[str, WorldRoom] = {}
        self._waiting: list[tuple[Client, Open]] = []
        """opens that wait for the first generator to be ready"""
        self._count = 0
        self._run = secrets.token_hex(2)
        """part of the worlds' names: a client that finds a new server must not take one of its worlds for its own"""
        self._turn = ""
        """the world that had the last turn on the generator"""

    # --- clients -------------------------------------------------------------------------------------------

    def entries(self) -> list[WorldEntry]:
        """Return the list of running worlds."""
        return [
            WorldEntry(
                world=room.name,
                model=room.world.config.model.name,
                script=room.world.config.script.name,
                mode=room.world.config.mode,
                tick=room.world.playback.tick,
                members=len(room.members),
            )
            for room in self._worlds.values()
        ]

    def find(self, name: str) -> WorldRoom:
        """Return a world; an empty name means the newest. Raises `Refused("unknown_world")`."""
        if not name and self._worlds:
            return next(reversed(self._worlds.values()))
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
        if self._supervisor.state == "starting" and not self._supervisor.models:
            self._waiting.append((client, message))
            return
        self._check_room(client)
        model = next((model for model in self._supervisor.models if model.name == message.model), None)
        if model is None:
            known = ", ".join(model.name for model in self._supervisor.models)
            raise Refused("unknown_model", f"this server has no model {message.model!r}; it has: {known}")
        config = WorldConfig(
            name=f"w{self._count + 1}-{self._run}",
            model=model,
            script=message.script,
            prompt=message.prompt,
            seed=message.seed,
            mode=message.mode,
            paused=message.paused,
            readings=message.readings,
            snapshot_every_s=self._snapshot_every_s,
            threads=self._supervisor.threads,
            options=self._options,
            versions=self._versions,
        )
        world = RunningWorld(config)
        self._check_time(world)
        self._count += 1
        room = WorldRoom(world, self._ports, self._takes)
        self._worlds[config.name] = room
        room.enter(client, "director")
        world.open(Requester(client=client, request=message.request))
        log.info("%s opens %s: %s, seed %d, %s", client.name, config.name, model.name, config.seed, config.mode)

    def join(self, client: Client, name: str, role: Role, request: int) -> None:
        """Take a client into a running world and tell it how that stands."""
        room = self.find(name)
        room.enter(client, role)
        self._sessions.send(client, room.world.joined(request, role, room.recorder.name))

    def leave(self, client: Client, name: str) -> WorldRoom:
        """Let a client out of a world, which goes on."""
        room = self.of_member(client, name)
        room.exit(client)
        return room

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self._waiting = [(other, message) for other, message in self._waiting if other is not client]
        for room in self._worlds.values():
            if client in room.members:
                room.exit(client)
        self._publisher.forget_client(client)

    # --- generator -----------------------------------------------------------------------------------------

    def from_generator(self, message: Message, part: "memoryview | None") -> None:
        """Hand a generator's message to its world."""
        now = self._clock.now()
        if isinstance(message, GenReady):
            self._generator_back()
            return
        room = self._worlds.get(getattr(message, "world", ""))
        if room is None:
            return
        world = room.world
        if isinstance(message, GenBlock) and part is not None:
            world.block_made(message, part, now)
        elif isinstance(message, GenStepped):
            world.denoised(message)
        elif isinstance(message, GenSaved) and part is not None:
            world.saved(message, bytes(part))
        elif isinstance(message, GenDone):
            world.command_done(message)
        elif isinstance(message, GenError):
            log.error("world %s: the generator reports: %s", room.name, message.message)
            world.failed(message)
        self._settle(room)

    def generator_lost(self) -> None:
        """The generator is gone; a new one is coming."""
        for room in list(self._worlds.values()):
            room.world.generator_lost()
            room.world.changed = True
            self._settle(room)

    def give_turn(self) -> None:
        """If the generator is free, let the next world that wants something have it: in turn, after the last one."""
        if self._supervisor.state != "ready" or self._supervisor.busy:
            return
        now = self._clock.now()
        names = list(self._worlds)
        start = names.index(self._turn) + 1 if self._turn in self._worlds else 0
        for name in names[start:] + names[:start]:
            world = self._worlds[name].world
            if world.wants_turn(now):
                self._turn = name
                self._supervisor.send(world.next_command(now))
                return

    # --- time ----------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of all worlds."""
        deadlines = [room.world.deadline for room in self._worlds.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def next_status(self) -> float | None:
        """Return when the next status is due."""
        return min((room.status_at for room in self._worlds.values() if room.members), default=None)

    def service(self) -> None:
        """Show what is due, report, and close what nobody has been in for long."""
        worlds_on_generator = sum(room.world.playback.running for room in self._worlds.values())
        for room in list(self._worlds.values()):
            room.world.worlds_on_generator = max(1, worlds_on_generator)
            room.service()
            self._settle(room)
            room.report()
            self._expire(room)

    def settle(self, room: WorldRoom) -> None:
        """Carry out what a request to a world has left behind."""
        self._settle(room)
        room.report()

    def close_all(self, text: str) -> None:
        """End everything: the server closes."""
        for room in list(self._worlds.values()):
            notice = Notice(world=room.name, kind="shutdown", text=text, tick=room.world.playback.tick)
            room.tell(notice)
            room.end()
        self._worlds.clear()

    # --- inside --------------------------------------------------------------------------------------------

    def _check_room(self, client: Client) -> None:
        if len(self._worlds) >= self._limits.worlds:
            raise Refused("too_many", f"{len(self._worlds)} worlds run here, the most this server takes; close one")
        mine = sum(role == "director" for role in client.roles.values())
        if mine >= self._limits.worlds_per_client:
            raise Refused("too_many", f"this client directs {mine} worlds, the most it may; close one")

    def _check_time(self, world: RunningWorld) -> None:
        """Refuse a live world for which the generator has no time left, going by what the others measure."""
        live = [room.world for room in self._worlds.values() if room.world.config.mode == "live"]
        measured = [other.load() for other in live if other.load() > 0]
        if world.config.mode != "live" or not measured:
            return
        taken, more = sum(measured), max(measured)
        if taken + more > FULL_LOAD:
            raise Refused(
                "no_room",
                f"the generator is {100 * taken:.0f} % busy with {len(live)} live worlds and one more would take "
                f"about {100 * more:.0f} %: close one, or open this one in lockstep or offline mode",
            )

    def _generator_back(self) -> None:
        for room in list(self._worlds.values()):
            room.world.generator_back()
            room.world.changed = True
            self._settle(room)
        waiting, self._waiting = self._waiting, []
        for client, message in waiting:
            try:
                self.open(client, message)
            except Refused as error:
                self._sessions.send(client, error_message(error, message.request))
        for room in list(self._worlds.values()):
            self._settle(room)

    def _settle(self, room: WorldRoom) -> None:
        """Carry out a world's effects, and let go of it if that closed it."""
        room.carry_out()
        if room.world.phase == "closed" and self._worlds.pop(room.name, None) is not None:
            room.end()
            log.info("world %s is closed", room.name)

    def _expire(self, room: WorldRoom) -> None:
        if room.empty_since is not None and self._clock.now() - room.empty_since > self._keep_s:
            room.world.close(f"nobody has been here for {self._keep_s:g} s")
            self._settle(room)
