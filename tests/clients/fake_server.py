"""A small scripted server that speaks protocol 1.0 over real sockets, for the tests of the clients.

It keeps no model: frames are pictures of one colour (the tick), sent when the test says so. It records what
it receives in `got`, obeys credit, and can fall silent or forget its clients.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import zmq
from PIL import Image

from longtake.protocol import endpoints, wire
from longtake.protocol import messages as m
from longtake.protocol.errors import LongtakeError, error_message

HEIGHT, WIDTH, FPS, BLOCK = 16, 24, 16, 4
MODEL = m.ModelInfo(
    name="diorama", height=HEIGHT, width=WIDTH, fps=FPS, block_frames=BLOCK, first_block_frames=BLOCK, window_blocks=9
)


@dataclass
class FakeWorld:
    """One world: what it was opened with, and where it stands."""

    opened: m.Open
    name: str
    members: set[bytes] = field(default_factory=set)
    generation: int = 0
    tick: int = 0
    cue: int = 0
    paused: bool = False


@dataclass
class Subscription:
    """One client's frames: credit left and, for `every`, what waits for credit."""

    subscribe: m.Subscribe
    credit: int
    waiting: deque[list[bytes]] = field(default_factory=deque)


def colour(tick: int) -> tuple[int, int, int]:
    """The colour of a tick's picture."""
    return (tick % 256, (tick * 7) % 256, 40)


class FakeServer:
    """Serves in a thread of its own between `start` and `stop`; `do` runs a function on that thread."""

    def __init__(self, endpoint: str, context: Any = None, *, heartbeat_s: float = 1.0) -> None:
        self.context = context or zmq.Context()
        self._own = context is None
        self.heartbeat_s = heartbeat_s
        self.bind = endpoints.parse_bind(endpoint)
        self.endpoint = endpoint
        self.silent = False
        self.version = (1, 0)
        self.models = [MODEL]
        self.answer_subscribe = True
        self.worlds: dict[str, FakeWorld] = {}
        self.sessions: dict[bytes, str] = {}
        self.subscriptions: dict[tuple[bytes, str], Subscription] = {}
        self.got: dict[str, list[Any]] = defaultdict(list)
        self.published = 0
        self._jobs: deque[tuple[Callable[[], Any], threading.Event]] = deque()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FakeServer":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        if self._own:
            self.context.term()

    def do(self, job: Callable[[], Any]) -> None:
        """Run `job` on the server's thread and wait for it."""
        done = threading.Event()
        self._jobs.append((job, done))
        assert done.wait(5), "the fake server did not get to the job"

    # --- what tests make happen ----------------------------------------------------------------------------

    def publish(self, world: str = "w1", count: int = 1, *, held: bool = False) -> None:
        """Show the next `count` frames of a world."""
        self.do(lambda: [self._publish(self.worlds[world], held) for _ in range(count)])

    def tell(self, message: m.Message, world: str = "w1") -> None:
        """Send a message to every member of a world."""
        self.do(lambda: [self._send(peer, message) for peer in self.worlds[world].members])

    def forget_clients(self) -> None:
        """As after a restart that kept the worlds."""

        def forget() -> None:
            self.sessions.clear()
            self.subscriptions.clear()
            for world in self.worlds.values():
                world.members.clear()

        self.do(forget)

    # --- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.control = self.context.socket(zmq.ROUTER)
        self.frames = self.context.socket(zmq.ROUTER)
        for sock in (self.control, self.frames):
            sock.linger = 0
            sock.maxmsgsize = wire.MAX_SOCKET_BYTES
            sock.router_mandatory = 1
        self.control.bind(str(self.bind))
        self.frames.bind(str(endpoints.frames_bind(self.bind)))
        frames_at = endpoints.frames_bind(self.bind)
        if self.bind.scheme == "tcp":
            self.endpoint = self.control.last_endpoint.decode()
            frames_at = endpoints.parse(self.frames.last_endpoint.decode())
        self.frames_at = endpoints.frames_announcement(frames_at)
        self._ready.set()
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self.control.close()
            self.frames.close()

    def _turn(self) -> None:
        while self._jobs:
            job, done = self._jobs.popleft()
            job()
            done.set()
        poller = zmq.Poller()
        poller.register(self.control, zmq.POLLIN)
        poller.register(self.frames, zmq.POLLIN)
        ready = dict(poller.poll(2))
        for sock, union, handle in (
            (self.control, m.FromClient, self._on_control),
            (self.frames, m.FromClientFrames, self._on_frames),
        ):
            if sock in ready:
                peer, data = sock.recv_multipart()
                if self.silent:
                    continue
                try:
                    message = wire.decode(data, union)
                    self.got[message.__struct_config__.tag].append(message)
                    handle(peer, message)
                except LongtakeError as error:
                    request = getattr(locals().get("message"), "request", None)
                    self._send(peer, error_message(error, request if error.request is None else None), sock)

    def _send(self, peer: bytes, message: m.Message, sock: Any = None) -> None:
        try:
            (sock or self.control).send_multipart([peer, wire.encode(message)])
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:  # a client that has just left is no failure of the server
                raise

    def _on_control(self, peer: bytes, message: Any) -> None:
        if isinstance(message, m.Hello):
            if message.version[0] != self.version[0]:
                raise LongtakeError("version", f"this server speaks {self.version}")
            self.sessions.setdefault(peer, f"session-{len(self.got['hello'])}")
            welcome = m.Welcome(
                version=self.version,
                server="fake",
                session=self.sessions[peer],
                frames_endpoint=self.frames_at,
                models=self.models,
                heartbeat_s=self.heartbeat_s,
            )
            self._send(peer, welcome)
        elif peer not in self.sessions:
            raise LongtakeError("hello_first", "say hello first")
        elif isinstance(message, m.Heartbeat):
            if not message.reply:
                self._send(peer, m.Heartbeat(sent=message.sent, reply=True))
        elif isinstance(message, m.Goodbye):
            del self.sessions[peer]
        elif not isinstance(message, m.Displayed):
            getattr(self, f"_{message.__struct_config__.tag}")(peer, message)

    def _worlds(self, peer: bytes, message: m.Worlds) -> None:
        entries = [
            m.WorldEntry(world=w.name, model="diorama", script="free", mode="live", tick=w.tick, members=len(w.members))
            for w in self.worlds.values()
        ]
        self._send(peer, m.WorldList(request=message.request, worlds=entries))

    def _open(self, peer: bytes, message: m.Open) -> None:
        world = FakeWorld(opened=message, name=f"w{len(self.worlds) + 1}", paused=message.paused)
        self.worlds[world.name] = world
        self._join(peer, m.Join(request=message.request, world=world.name, role="director"))
        # right behind the answer: a client must not miss it
        self._send(peer, self.applied(world, "start", "start"))

    def applied(self, world: FakeWorld, kind: Any, label: str) -> m.Applied:
        return m.Applied(
            world=world.name,
            generation=world.generation,
            cue=world.cue,
            block=world.tick // BLOCK,
            tick=world.tick,
            kind=kind,
            label=label,
            prompt=label,
        )

    def _join(self, peer: bytes, message: m.Join) -> None:
        world = self._find(message.world or next(iter(self.worlds), ""))
        world.members.add(peer)
        opened = world.opened
        joined = m.Joined(
            request=message.request,
            world=world.name,
            role=message.role,
            model=MODEL,
            script=opened.script,
            mode=opened.mode,
            seed=opened.seed,
            generation=world.generation,
            tick=world.tick,
            block=0,
            paused=world.paused,
            prompt=opened.prompt or "",
        )
        self._send(peer, joined)

    def _leave(self, peer: bytes, message: m.Leave) -> None:
        world = self._find(message.world)
        world.members.discard(peer)
        self._done(peer, message.request, world)

    def _prompt(self, peer: bytes, message: m.Prompt) -> None:
        world = self._find(message.world)
        world.cue += 1
        self._ack(peer, message.request, world, message.text, message.at_tick)

    def _event(self, peer: bytes, message: m.Event) -> None:
        world = self._find(message.world)
        if message.name not in world.opened.script.events:
            raise LongtakeError("unknown_event", f"no event {message.name!r}")
        world.cue += 1
        self._ack(peer, message.request, world, message.name, message.at_tick)

    def _ack(self, peer: bytes, request: int, world: FakeWorld, prompt: str, at_tick: int | None) -> None:
        block = -(-max(world.tick, at_tick or 0) // BLOCK)
        ack = m.Ack(
            request=request,
            world=world.name,
            generation=world.generation,
            cue=world.cue,
            block=block,
            tick=block * BLOCK,
            prompt=prompt,
        )
        self._send(peer, ack)

    def _control(self, peer: bytes, message: m.Control) -> None:
        world = self._find(message.world)
        if message.action == "reset":
            world.generation, world.tick = world.generation + 1, 0
        elif message.action in ("pause", "resume"):
            world.paused = message.action == "pause"
        elif message.action in ("advance", "step"):
            if world.opened.mode != "lockstep" and message.action == "advance":
                raise LongtakeError("wrong_mode", "advance needs a lockstep world")
            for _ in range(message.ticks or BLOCK):
                self._publish(world)
        elif message.action == "close":
            del self.worlds[world.name]
        self._done(peer, message.request, world)

    def _done(self, peer: bytes, request: int, world: FakeWorld) -> None:
        self._send(peer, m.Done(request=request, world=world.name, tick=world.tick, generation=world.generation))

    def _find(self, name: str) -> FakeWorld:
        if name not in self.worlds:
            raise LongtakeError("unknown_world", f"no world {name!r}")
        return self.worlds[name]

    # --- frames --------------------------------------------------------------------------------------------

    def _on_frames(self, peer: bytes, message: Any) -> None:
        key = (peer, message.world)
        if isinstance(message, m.Subscribe):
            if message.session not in self.sessions.values():
                raise LongtakeError("unknown_session", "say hello first")
            if not self.answer_subscribe:
                return
            world = self._find(message.world)
            self.subscriptions[key] = Subscription(subscribe=message, credit=message.credit)
            subscribed = m.Subscribed(
                request=message.request,
                world=world.name,
                delivery=message.delivery,
                encoding=message.encoding,
                generation=world.generation,
                tick=world.tick,
            )
            self._send(peer, subscribed, self.frames)
        elif isinstance(message, m.Unsubscribe):
            self.subscriptions.pop(key, None)
        elif key in self.subscriptions:
            self.subscriptions[key].credit += message.frames
            self._flush(peer, self.subscriptions[key])

    def _publish(self, world: FakeWorld, held: bool = False) -> None:
        tick = max(0, world.tick - 1) if held else world.tick
        for (peer, name), subscription in list(self.subscriptions.items()):
            if name != world.name:
                continue
            parts = self._frame(world, tick, held, subscription.subscribe.encoding)
            if subscription.subscribe.delivery == "latest":
                subscription.waiting.clear()
            subscription.waiting.append(parts)
            self._flush(peer, subscription)
        self.published += 1
        world.tick += 0 if held else 1

    def _frame(self, world: FakeWorld, tick: int, held: bool, encoding: Any) -> list[bytes]:
        header = m.Frame(
            world=world.name,
            generation=world.generation,
            number=self.published,
            tick=tick,
            block=tick // BLOCK,
            cue=world.cue,
            height=HEIGHT,
            width=WIDTH,
            encoding=encoding,
            held=held,
        )
        pixels = np.full((HEIGHT, WIDTH, 3), colour(tick), np.uint8)
        if encoding == "raw":
            return [wire.encode(header), pixels.tobytes()]
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=95)
        return [wire.encode(header), file.getvalue()]

    def _flush(self, peer: bytes, subscription: Subscription) -> None:
        while subscription.waiting and subscription.credit:
            subscription.credit -= 1
            try:
                self.frames.send_multipart([peer, *subscription.waiting.popleft()])
            except zmq.ZMQError:  # it has gone
                self.subscriptions = {key: s for key, s in self.subscriptions.items() if s is not subscription}
                return
