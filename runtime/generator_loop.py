"""The generator's loop: carries out the server's commands on the models it holds, one after another.

Three threads. The *mailbox* owns the socket: it queues commands, sends answers, and answers pings while a step
runs. The *worker* (the caller's thread) owns the models and their worlds. The *encoder* encodes the prompts of
coming cues while the worker makes a block.

A model is an object with the verbs of `longtake.model.generator.Generator` (open, cue, step, snapshot, restore,
close, encode), `info` with the fields of `ModelInfo`, `snapshot_from_bytes(data)` if it announces "snapshot", and
`read(frames [n, H, W, 3] uint8)` returning `labels` and `confidence` if it announces "reading".
"""

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
import zmq

from longtake.protocol.errors import ProtocolError
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenDone,
    GenEncode,
    GenError,
    GenOpen,
    GenPing,
    GenReady,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStop,
    ToGenerator,
)
from longtake.protocol.messages import Message, ModelInfo
from longtake.protocol.wire import decode, encode

log = logging.getLogger(__name__)

Models: TypeAlias = dict[str, Any]
"""by name; see the module's docstring"""
PING_EVERY_S = 1.0


@dataclass(kw_only=True)
class HeldWorld:
    """A world of a model, and what the server calls it."""

    generation: int
    model: Any
    world: Any
    readings: bool


class Mailbox:
    """The socket to the server, in a thread of its own so that pings are answered while a step runs."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, check: Callable[[float], None]) -> None:
        """`check` is called about once a second with the seconds since the server was last heard."""
        self.commands: queue.SimpleQueue[tuple[Message, bytes]] = queue.SimpleQueue()
        self.on_hint: Callable[[GenEncode], None] | None = None
        """gets prompts that will be needed, at once and on this thread"""
        self._context = context
        self._endpoint = endpoint
        self._check = check
        self._inside = f"inproc://longtake-mailbox-{id(self)}"
        self._outbox: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._outbox.linger = 0
        self._outbox.bind(self._inside)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="generator-mailbox", daemon=True)
        self._thread.start()

    def send(self, message: Message, part: Any = None) -> None:
        """Send an answer with its binary part; the part must not change afterwards."""
        parts = [encode(message)] if part is None else [encode(message), part]
        self._outbox.send_multipart(parts, copy=False)

    def close(self) -> None:
        """Send what is queued, then close."""
        self._outbox.send(b"")
        self._thread.join(timeout=5)
        self._outbox.close(0)

    def _run(self) -> None:
        socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        inbox: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        socket.linger = 500
        inbox.linger = 0
        try:
            socket.connect(self._endpoint)
            inbox.connect(self._inside)
            self._serve(socket, inbox)
        except zmq.ContextTerminated:
            log.debug("the context was closed before the mailbox")
        finally:
            socket.close()
            inbox.close(0)

    def _serve(self, socket: "zmq.Socket[bytes]", inbox: "zmq.Socket[bytes]") -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(inbox, zmq.POLLIN)
        heard = checked = time.monotonic()
        while True:
            ready = dict(poller.poll(int(PING_EVERY_S * 1000)))
            now = time.monotonic()
            if socket in ready:
                heard = now
                self._receive(socket)
            if inbox in ready:
                parts = inbox.recv_multipart(copy=False)
                if len(parts) == 1 and not len(parts[0]):
                    return
                socket.send_multipart(parts, copy=False)
            if now - checked >= PING_EVERY_S:
                checked = now
                self._check(now - heard)

    def _receive(self, socket: "zmq.Socket[bytes]") -> None:
        parts = socket.recv_multipart()
        try:
            message = decode(parts[0], ToGenerator)
        except ProtocolError as error:
            log.error("a command from the server is not understood: %s", error)
            return
        if isinstance(message, GenPing):
            if not message.reply:
                socket.send(encode(GenPing(sent=message.sent, reply=True)))
            return
        if isinstance(message, GenEncode):
            if self.on_hint is not None:
                self.on_hint(message)
            return
        self.commands.put((message, parts[1] if len(parts) > 1 else b""))


class Encoder:
    """Encodes prompts ahead of their steps. The models keep the results; this only sees to it that they have them."""

    MAX_WAITING = 32
    """hints beyond it are left out: the step encodes its prompt itself then"""

    def __init__(self) -> None:
        self._hints: queue.SimpleQueue[tuple[Any, str] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def hint(self, model: Any, prompt: str) -> None:
        """Encode `prompt` soon, on the encoder's thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="generator-encoder", daemon=True)
            self._thread.start()
        if self._hints.qsize() < self.MAX_WAITING:
            self._hints.put((model, prompt))

    def encode(self, model: Any, prompt: str) -> None:
        """See to it that the model has encoded `prompt`; waits if the encoder is just at it."""
        with self._lock:
            model.encode(prompt)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._hints.put(None)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while (item := self._hints.get()) is not None:
            try:
                self.encode(*item)
            except Exception:  # the step meets the same error, and answers with it
                log.exception("a prompt could not be encoded ahead")


class Worker:
    """Carries out commands; one answer each, or a `gen_error`."""

    def __init__(self, models: Models, send: Callable[..., None]) -> None:
        self._models = models
        self._send = send
        self._encoder = Encoder()
        self._worlds: dict[str, HeldWorld] = {}

    def ready(self, *, pid: int, threads: int) -> None:
        """Tell the server what is on offer."""
        models = [msgspec.convert(model.info, ModelInfo, from_attributes=True) for model in self._models.values()]
        self._send(GenReady(models=models, pid=pid, threads=threads))

    def carry_out(self, command: Message, part: bytes) -> bool:
        """Carry out one command; return False if the process has to end (stop, or a fatal failure)."""
        if isinstance(command, GenStop):
            return False
        try:
            self._do(command, part)
        except Exception as error:  # whatever a model raises is an answer, not the end of the loop
            log.exception("%s failed", type(command).__name__)
            fatal = is_fatal(error)
            self._send(
                GenError(
                    world=getattr(command, "world", ""),
                    generation=getattr(command, "generation", 0),
                    code="no_room" if is_out_of_memory(error) else "generator",
                    message=one_line(error),
                    fatal=fatal,
                )
            )
            return not fatal
        return True

    def hint(self, message: GenEncode) -> None:
        """A prompt is going to be needed. Called on the mailbox's thread."""
        model = self._models.get(message.model)
        if model is not None:
            self._encoder.hint(model, message.prompt)

    def close(self) -> None:
        """Forget all worlds and end the encoder."""
        self._encoder.close()
        for name in list(self._worlds):
            self._forget(name)

    def _do(self, command: Message, part: bytes) -> None:
        if isinstance(command, GenStep):
            self._step(command)
        elif isinstance(command, GenSnapshot):
            self._snapshot(command)
        elif isinstance(command, GenOpen):
            self._forget(command.world)
            model = self._model(command.model)
            self._keep(command, model, model.open(seed=command.seed, prompt=command.prompt))
        elif isinstance(command, GenRestore):
            self._forget(command.world)
            model = self._model(command.model)
            self._keep(command, model, model.restore(model.snapshot_from_bytes(part)))
        elif isinstance(command, GenClose):
            self._forget(command.world)
            self._done(command)

    def _keep(self, command: GenOpen | GenRestore, model: Any, world: Any) -> None:
        self._worlds[command.world] = HeldWorld(
            generation=command.generation, model=model, world=world, readings=command.readings
        )
        self._done(command)

    def _done(self, command: GenOpen | GenRestore | GenClose) -> None:
        name = str(type(command).__struct_config__.tag)
        self._send(GenDone(world=command.world, generation=command.generation, command=name))

    def _forget(self, name: str) -> None:
        held = self._worlds.pop(name, None)
        if held is not None:
            held.model.close(held.world)

    def _model(self, name: str) -> Any:
        if name not in self._models:
            raise ValueError(f"this generator has no model {name!r}; it has: {', '.join(self._models)}")
        return self._models[name]

    def _held(self, command: GenStep | GenSnapshot) -> HeldWorld:
        held = self._worlds.get(command.world)
        if held is None or held.generation != command.generation:
            raise ValueError(f"world {command.world} of generation {command.generation} is not open")
        return held

    def _step(self, command: GenStep) -> None:
        held = self._held(command)
        begun = time.perf_counter()
        recache_ms = 0.0
        if command.prompt is not None:
            self._encoder.encode(held.model, command.prompt)
            held.model.cue(held.world, command.prompt)
            recache_ms = (time.perf_counter() - begun) * 1000
        block = held.model.step(held.world)
        if block.index != command.block:
            raise ValueError(f"the model made block {block.index} where block {command.block} was asked for")
        frames = pixels_of(block.frames)
        reading = held.model.read(frames) if held.readings else None
        timings = {key: float(value) for key, value in block.timings_ms.items()}
        # the server reckons with the whole of what a new prompt costs
        timings["recache"] = max(timings.get("recache", 0.0), recache_ms)
        timings["total"] = (time.perf_counter() - begun) * 1000
        count, height, width, _ = frames.shape
        self._send(
            GenBlock(
                world=command.world,
                generation=command.generation,
                block=block.index,
                first_tick=block.first_frame,
                frames=count,
                height=height,
                width=width,
                digest=digest_of(frames),
                timings_ms=timings,
                labels=dict(reading.labels) if reading else {},
                confidence=dict(reading.confidence) if reading else {},
            ),
            frames.data,
        )

    def _snapshot(self, command: GenSnapshot) -> None:
        held = self._held(command)
        snapshot = held.model.snapshot(held.world, exact=command.exact)
        data = snapshot.to_bytes()
        saved = GenSaved(world=command.world, generation=command.generation, block=snapshot.block, exact=command.exact)
        self._send(saved, data)


def pixels_of(frames: Any) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a model's frames `[1, n, H, W, 3] uint8` (numpy or torch) as a contiguous `[n, H, W, 3]` array."""
    array = np.asarray(frames)
    if array.ndim != 5 or array.shape[0] != 1 or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise ValueError(f"frames must be [1, n, H, W, 3] uint8, not {array.shape} {array.dtype}")
    return np.ascontiguousarray(array[0])


def digest_of(frames: "np.ndarray[Any, np.dtype[np.uint8]]") -> str:
    """Return blake2b-128 of a block's frames, hex."""
    return hashlib.blake2b(frames.data, digest_size=16).hexdigest()


def is_fatal(error: BaseException) -> bool:
    """Whether the process must be replaced: an error of the device poisons everything after it."""
    text = f"{type(error).__name__}: {error}"
    return not is_out_of_memory(error) and ("CUDA" in text or type(error).__name__ == "AcceleratorError")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the host or the device."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def one_line(error: BaseException) -> str:
    """Return an error's text in one line of at most 300 characters."""
    text = " ".join(str(error).split())[:300]
    return text or type(error).__name__


def run_generator(
    *,
    context: zmq.Context[zmq.Socket[bytes]],
    endpoint: str,
    load: Callable[[], Models],
    pid: int,
    threads: int,
    check: Callable[[float], None],
) -> bool:
    """Load the models and serve until told to stop; return whether the end was in order.

    A failure to load is reported to the server as a fatal `gen_error` without a world.
    """
    mailbox = Mailbox(context, endpoint, check)
    try:
        try:
            worker = Worker(load(), mailbox.send)
            mailbox.on_hint = worker.hint
            worker.ready(pid=pid, threads=threads)
        except Exception as error:  # the server shows it to whoever started it
            log.exception("the models could not be loaded")
            mailbox.send(GenError(world="", generation=0, code="generator", message=one_line(error), fatal=True))
            return False
        while True:
            command, part = mailbox.commands.get()
            if not worker.carry_out(command, part):
                worker.close()
                return isinstance(command, GenStop)
    finally:
        mailbox.close()
