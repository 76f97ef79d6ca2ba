"""The server's end of a generator: starts it, watches it, and replaces it when it dies or hangs."""

import logging
import os
import shutil
import tempfile
from typing import Any, Literal, TypeAlias

import zmq

from longtake.protocol import sockets
from longtake.protocol.errors import LongtakeError, ProtocolError
from longtake.protocol.generator_messages import (
    FromGenerator,
    GenBlock,
    GenCue,
    GenCued,
    GenError,
    GenPing,
    GenReady,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
    GenStop,
)
from longtake.protocol.messages import Message, ModelInfo
from longtake.protocol.wire import decode, encode
from longtake.runtime.clock import Clock
from longtake.runtime.generator.hosts import GeneratorHost, GeneratorHostConfig

log = logging.getLogger(__name__)

GeneratorState = Literal["stopped", "starting", "ready", "lost"]
PING_EVERY_S = 1.0
LAST_WORDS_MS = 50
"""how long to wait for the last message of a generator that has ended"""
STOP_LINGER_MS = 500
"""how long a last `gen_stop` may take to leave"""
IPC_PREFIX = "longtake-"
LONGEST_DELAY_S = 30.0
"""between two attempts to start a generator"""


Turn: TypeAlias = tuple[str, int, int]
"""world, generation, and the block of a step; other turns have numbers below 0 instead"""


def turn_of(message: GenStep | GenStepped | GenBlock | GenSnapshot | GenSaved | GenCue | GenCued) -> Turn:
    """Return the turn that a message begins or ends."""
    if isinstance(message, GenSnapshot | GenSaved):
        number = -1
    else:
        number = -2 if isinstance(message, GenCue | GenCued) else message.block
    return message.world, message.generation, number


class GeneratorFailed(LongtakeError):
    """The generator could not be started."""

    def __init__(self, message: str) -> None:
        super().__init__("generator", message)


class Supervisor:
    """One generator and the socket to it. Never blocks, except in `stop`.

    Every start gets an endpoint and a socket of its own, so nothing of a dead generator can arrive later.
    """

    def __init__(
        self,
        *,
        config: GeneratorHostConfig,
        host: GeneratorHost,
        context: sockets.Context,
        clock: Clock,
    ) -> None:
        self.state: GeneratorState = "stopped"
        self.models: list[ModelInfo] = []
        """as announced by the newest generator; kept while it is being replaced"""
        self.threads = 0
        self.pid = 0
        self.socket: sockets.Socket | None = None
        self.restarts = 0
        self._config = config
        self._host = host
        self._context = context
        self._clock = clock
        self._folder = ""
        """folder of the ipc sockets; readable by this user only"""
        self._starts = 0
        self._started = self._pinged = self._heard = 0.0
        self._again_at = 0.0
        self._delay_s = 0.0
        self._busy: Turn | None = None
        self._owed: dict[Turn, float] = {}
        """when each turn was sent, until its result arrives. Frames may arrive before or after the turn is over."""
        self._half_done: set[Turn] = set()
        """steps of which one of two messages is here: the frames, or the word that the generator is free"""
        self._why = ""

    @property
    def busy(self) -> bool:
        """Whether a step, cue or snapshot is running. One at a time keeps turns fair, and cues in the next step."""
        return self._busy is not None

    def start(self) -> None:
        """Start a generator."""
        now = self._clock.now()
        self._starts += 1
        self.socket = sockets.dealer(self._context, sockets.SUPERVISOR)
        endpoint = self._bind(self.socket)
        self._host.start(endpoint)
        self._started = self._heard = self._pinged = now
        self.state = "starting"

    def send(self, message: Message, part: Any = None) -> None:
        """Send a command. If no generator is ready, drop it: a new generator restores the worlds anyway."""
        if self.state != "ready" or self.socket is None:
            return
        if isinstance(message, GenStep | GenCue | GenSnapshot):
            self._busy = turn_of(message)
            self._owed[self._busy] = self._clock.now()
        parts = [encode(message)] if part is None else [encode(message), part]
        try:
            self.socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._lose("it takes no more commands")

    def receive(self) -> tuple[Message, "zmq.Frame | None"] | None:
        """Return the next message with its binary part, or None. Pings are handled here."""
        while self.socket is not None:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return None
            self._heard = self._clock.now()
            try:
                message = decode(parts[0].buffer, FromGenerator)
            except ProtocolError as error:
                self._lose(f"its message is not understood: {error}")
                return None
            if isinstance(message, GenPing):
                continue
            if not self._take_note(message):
                continue
            return message, parts[1] if len(parts) > 1 else None
        return None

    def watch(self) -> Literal["", "lost"]:
        """Look after the generator; call it often. Returns "lost" once each time it was lost.

        Raises `GeneratorFailed` if the first generator cannot be started: a person has to fix that.
        """
        now = self._clock.now()
        if self.state in ("starting", "ready"):
            self._look(now)
        if self._why:
            why, self._why = self._why, ""
            if not self.models:
                raise GeneratorFailed(f"the generator could not be started: {why}")
            return "lost"
        if self.state == "lost" and now >= self._again_at:
            log.warning("starting a new generator")
            self.restarts += 1
            self.start()
        return ""

    def stop(self, patience_s: float = 3.0) -> None:
        """End the generator and wait for it."""
        if self.socket is not None:
            if self.state == "ready":
                try:
                    self.socket.linger = STOP_LINGER_MS
                    self.socket.send(encode(GenStop()), zmq.NOBLOCK)
                except zmq.ZMQError:
                    log.debug("the generator takes no goodbye")
            else:
                patience_s = 0.0
        self._host.end(patience_s if self.state == "ready" else 0.0)
        self.state = "stopped"
        self._close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take_note(self, message: Message) -> bool:
        """Update the state of the generator; return whether the message is for a world."""
        if isinstance(message, GenReady):
            self.models, self.threads, self.pid = message.models, message.threads, message.pid
            self.state = "ready"
            return True
        if isinstance(message, GenCued | GenStepped | GenBlock | GenSaved):
            self._end(turn_of(message), message)
        elif isinstance(message, GenError):
            failed = message.world, message.generation
            self._busy = None if self._busy and self._busy[:2] == failed else self._busy
            self._owed = {turn: since for turn, since in self._owed.items() if turn[:2] != failed}
            self._half_done = {turn for turn in self._half_done if turn[:2] != failed}
            if message.fatal:
                self._lose(message.message)
                return False
        return True

    def _end(self, turn: Turn, message: GenCued | GenStepped | GenBlock | GenSaved) -> None:
        """Take note that a turn is over, or half of it."""
        frames_first = isinstance(message, GenBlock) and message.stepped and turn not in self._half_done
        if self._busy == turn and not frames_first:
            self._busy = None
        if turn in self._owed and turn not in self._half_done and (frames_first or isinstance(message, GenStepped)):
            self._half_done.add(turn)
        else:
            self._half_done.discard(turn)
            self._owed.pop(turn, None)

    def _look(self, now: float) -> None:
        if not self._host.alive():
            # Its last message, such as why it ended, may still be on its way.
            if self.socket is None or not self.socket.poll(LAST_WORDS_MS):
                self._lose("its process ended")
        elif self.state == "starting" and now - self._started > self._config.load_limit_s:
            self._lose(f"its models were not loaded within {self._config.load_limit_s:g} s")
        elif self.state == "ready" and now - self._heard > self._config.silent_s:
            self._lose(f"it has been silent for {now - self._heard:.0f} s")
        elif self._owed and now - min(self._owed.values()) > self._config.step_within_s:
            self._lose(f"a step took longer than {self._config.step_within_s:g} s")
        elif now - self._pinged >= PING_EVERY_S and self.socket is not None:
            self._pinged = now
            try:
                self.socket.send(encode(GenPing(sent=now)), zmq.NOBLOCK)
            except zmq.Again:
                # A starting generator has not connected yet; `load_limit_s` bounds that.
                if self.state == "ready":
                    self._lose("it takes no more messages")

    def _lose(self, why: str) -> None:
        if self.state == "lost":
            return
        # `watch` raises the failure of the first generator, so that it is shown once.
        log.log(logging.ERROR if self.models else logging.INFO, "the generator is lost: %s", why)
        now = self._clock.now()
        if self.state == "ready" and now - self._started > 2 * LONGEST_DELAY_S:
            self._delay_s = 0.0
        self._again_at = now + self._delay_s
        self._delay_s = min(LONGEST_DELAY_S, max(0.5, 2 * self._delay_s))
        self.state = "lost"
        self._why = why
        self._busy = None
        self._owed.clear()
        self._half_done.clear()
        self._host.end(0.0)
        self._close()

    def _bind(self, socket: sockets.Socket) -> str:
        if self._host.transport == "ipc":
            self._folder = self._folder or tempfile.mkdtemp(prefix=IPC_PREFIX)
            endpoint = f"ipc://{os.path.join(self._folder, f'generator-{self._starts}')}"
        elif self._host.transport == "inproc":
            endpoint = f"inproc://longtake-generator-{id(self)}-{self._starts}"
        else:
            endpoint = "tcp://127.0.0.1:*"
        socket.bind(endpoint)
        return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
