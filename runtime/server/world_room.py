"""One world of a server with its members and its recording; carries out the world's effects."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from longtake.protocol.errors import Refused
from longtake.protocol.messages import Message, Role, Subscribe, Subscribed, WorldEntry
from longtake.runtime.clock import Clock
from longtake.runtime.generator.pool import standing
from longtake.runtime.generator.supervisor import Supervisor
from longtake.runtime.server.publisher import Publisher
from longtake.runtime.server.sessions import Client, Sessions
from longtake.runtime.takes.recorder import Recorder
from longtake.runtime.world.effects import Answer, Command, DropWaiting, Effect, Publish, Record, Tell
from longtake.runtime.world.reports import status
from longtake.runtime.world.running_world import RunningWorld

log = logging.getLogger(__name__)

STATUS_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ServerPorts:
    """The parts of the server that carry out a world's effects."""

    sessions: Sessions
    publisher: Publisher
    clock: Clock


class WorldRoom:
    """A world, its members and its recording."""

    def __init__(self, world: RunningWorld, generator: Supervisor, ports: ServerPorts, takes: Path) -> None:
        self.world = world
        self.generator = generator
        """the world stays on it; a successor takes over its worlds"""
        self.recorder = Recorder(takes)
        self.members: list[Client] = []
        self._opener: Client | None = None
        """the member that `joined` has not been sent to yet: it is told nothing before"""
        self.empty_since: float | None = None
        """when the last member left"""
        self.status_at = 0.0
        """when the next status is due"""
        self.passed_over = 0
        """turns of its generator that others had since it began to want one"""
        self._to = ports
        name, mode = world.config.name, world.config.mode
        world.may_show = lambda: ports.publisher.ready(name, mode)

    @property
    def name(self) -> str:
        """The world's name."""
        return self.world.config.name

    def entry(self) -> WorldEntry:
        """Return the world's line in the list of worlds."""
        config = self.world.config
        return WorldEntry(
            world=self.name,
            model=config.model.name,
            script=config.script.name,
            mode=config.mode,
            tick=self.world.tick,
            members=len(self.members),
        )

    def subscribed(self, message: Subscribe) -> Subscribed:
        """Return the answer to a subscription of the world's frames."""
        return Subscribed(
            request=message.request,
            world=self.name,
            delivery=message.delivery,
            encoding=message.encoding,
            generation=self.world.generation,
            tick=self.world.tick,
        )

    def await_joined(self, opener: Client) -> None:
        """Make the client that opens the world its first member; what concerns it follows `joined`."""
        self.enter(opener, "director")
        self._opener = opener

    def enter(self, client: Client, role: Role) -> None:
        """Make a client a member, or change its role."""
        if client is self._opener:
            self._opener = None
        client.roles[self.name] = role
        if role != "director":
            self.world.let_go(client.token)
        if client not in self.members:
            self.members.append(client)
        self.empty_since = None
        self.world.changed = True

    def exit(self, client: Client) -> None:
        """Remove a member."""
        client.roles.pop(self.name, None)
        self.members.remove(client)
        self.world.let_go(client.token)
        self._to.publisher.forget_membership(client, self.name)
        self.world.changed = True
        if not self.members:
            self.empty_since = self._to.clock.now()

    def service(self) -> None:
        """Show what is due."""
        while self.world.service(self._to.clock.now()):
            self.carry_out()
        self.carry_out()

    def carry_out(self) -> None:
        """Carry out the world's effects."""
        effects = self.world.effects
        while effects:
            batch = effects.copy()
            effects.clear()
            for effect in batch:
                self._carry_out(effect)

    def tell(self, message: Message) -> None:
        """Send a message to every member."""
        for member in self.members:
            if member is not self._opener:
                self._to.sessions.send(member, message)

    def report(self) -> None:
        """Send the members a status if one is due or something has changed."""
        now = self._to.clock.now()
        if not (self.world.changed or now >= self.status_at) or self.world.phase == "closed":
            return
        self.world.changed = False
        self.status_at = now + STATUS_EVERY_S
        if not self.members:
            return
        report = status(
            self.world,
            now,
            members=len(self.members),
            recording=self.recorder.name,
            generator=standing(self.generator),
            waiting_for=[client.name or "a client without a name" for client in self._waiting_for()],
        )
        self.tell(report)

    def end(self) -> None:
        """The world is closed: end its recording and its memberships."""
        with suppress(Refused):  # its members were told when it could not be written any more
            self.recorder.stop(self.world.tick)
        self._to.publisher.forget_world(self.name)
        for member in self.members:
            member.roles.pop(self.name, None)
        self.members.clear()

    def _waiting_for(self) -> list[Client]:
        """Return the directors that must take frames before the world goes on."""
        publisher = self._to.publisher
        if self.world.config.mode == "offline" and not publisher.is_read(self.name):
            return [client for client in self.members if client.roles[self.name] == "director"]
        return publisher.blocking(self.name)

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Publish):
            self._to.publisher.publish(self.name, effect)
        elif isinstance(effect, Tell):
            self.tell(effect.message)
        elif isinstance(effect, Command):
            self.generator.send(effect.message, effect.part)
        elif isinstance(effect, Record):
            self._write(effect)
        elif isinstance(effect, DropWaiting):
            self._to.publisher.drop_waiting(self.name)
        elif isinstance(effect, Answer) and isinstance(effect.to.client, Client):
            self._to.sessions.send(effect.to.client, effect.message)
            if effect.to.client is self._opener:
                self._opener = None
                self.world.changed = True

    def _write(self, effect: Record) -> None:
        failure = self.recorder.write(effect.record)
        if failure:
            log.error("world %s: %s", self.name, failure)
            self.world.notice("recording", failure)
            self.world.changed = True
