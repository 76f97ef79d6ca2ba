"""The generator's worker: carries out the server's commands on the models and worlds it holds.

A model has the verbs of `longtake.model.interface.WorldModel`. If a block's frames are decoded while the next block is
denoised (`overlaps`), a thread of its own waits for them, hashes and sends them, and the worker goes on with the next
command. What else a step leaves (`settle`) is done when the frames have been sent, or handed to that thread.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from longtake.model import interface
from longtake.protocol.conditioning import Conditioning, carried, newly_carried
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenCue,
    GenCued,
    GenDone,
    GenEncode,
    GenError,
    GenOpen,
    GenReady,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
    GenStop,
)
from longtake.protocol.messages import Message, ModelInfo
from longtake.runtime.generator.encoder import Encoder, for_model

log = logging.getLogger(__name__)

Models: TypeAlias = Mapping[str, interface.WorldModel]
"""loaded models by name"""


@dataclass(kw_only=True)
class HeldWorld:
    """A world, its model, and the generation that the server gave it."""

    generation: int
    model: interface.WorldModel
    world: interface.World
    readings: bool
    prompt: str | None
    """of its conditioning; None if it is not known, after a restore"""
    ahead_ms: float = 0.0
    """what new prompts have cost since the last step"""
    after_ms: float = 0.0
    """what the last step's new prompt has cost after the block"""
    failure: threading.Lock = field(default_factory=threading.Lock)
    """taken for good by the first failure; the worker and the finisher may fail at the same time"""

    @property
    def failed(self) -> bool:
        """Whether a block could not be made. The server was told, and will restore, reset or close the world."""
        return self.failure.locked()

    def fail(self) -> bool:
        """Mark the world as failed; return whether this is its first failure, which the server is to be told."""
        return self.failure.acquire(blocking=False)


@dataclass(frozen=True, kw_only=True)
class DenoisedBlock:
    """A block without its frames."""

    command: GenStep
    held: HeldWorld
    block: interface.Block
    begun: float
    """on the clock of the process, s"""
    recache_ms: float
    """time that a new conditioning took in the step"""
    ahead_ms: float
    """and before it"""
    after_ms: float
    """and after the block before, which the model counts in this one"""
    stepped: bool
    """whether a `gen_stepped` says when the generator is free"""


class Worker:
    """Carries out commands; one answer each, or a `gen_error`. `send` is called from two threads."""

    def __init__(self, models: Models, send: Callable[..., None]) -> None:
        self._models = models
        self._send = send
        self._encoder = Encoder()
        self._worlds: dict[str, HeldWorld] = {}
        self._finisher = ThreadPoolExecutor(1, "generator-frames")
        self._poisoned = False

    def ready(self, *, pid: int, threads: int) -> None:
        """Tell the server what is on offer."""
        models = [announced(model.info) for model in self._models.values()]
        self._send(GenReady(models=models, pid=pid, threads=threads))

    def carry_out(self, command: Message, part: bytes) -> bool:
        """Carry out one command; return False if the process has to end (stop, or a fatal failure)."""
        if isinstance(command, GenStop):
            return False
        try:
            self._do(command, part)
        except Exception as error:  # Whatever a model raises is an answer, not the end of the loop.
            self._report(command, error)
        return not self._poisoned

    def hint(self, message: GenEncode) -> None:
        """Prepare what a coming step needs. Called on the mailbox's thread."""
        model = self._models.get(message.model)
        if model is not None:
            self._encoder.hint(model, carried(message))

    def close(self) -> None:
        """Forget all worlds and end the threads."""
        self._encoder.close()
        self._finisher.shutdown()
        for name in list(self._worlds):
            self._forget(name)

    def _do(self, command: Message, part: bytes) -> None:
        if isinstance(command, GenStep | GenCue):
            self._unless_failed(command)
            return
        # Whatever else happens to a world, the frames it was asked for before go out first.
        self._finish()
        if isinstance(command, GenSnapshot):
            self._snapshot(command)
        elif isinstance(command, GenOpen):
            self._forget(command.world)
            model = self._model(command.model)
            world = model.open(seed=command.seed, conditioning=for_model(carried(command)))
            self._keep(command, model, world, command.prompt)
        elif isinstance(command, GenRestore):
            self._forget(command.world)
            model = self._model(command.model)
            self._keep(command, model, model.restore(part), None)
        elif isinstance(command, GenClose):
            self._forget(command.world)
            self._done(command)

    def _keep(
        self,
        command: GenOpen | GenRestore,
        model: interface.WorldModel,
        world: interface.World,
        prompt: str | None,
    ) -> None:
        self._worlds[command.world] = HeldWorld(
            generation=command.generation, model=model, world=world, readings=command.readings, prompt=prompt
        )
        self._done(command)

    def _done(self, command: GenOpen | GenRestore | GenClose) -> None:
        name = str(type(command).__struct_config__.tag)
        self._send(GenDone(world=command.world, generation=command.generation, command=name))

    def _forget(self, name: str) -> None:
        held = self._worlds.pop(name, None)
        if held is not None:
            held.model.close(held.world)

    def _model(self, name: str) -> interface.WorldModel:
        if name not in self._models:
            raise ValueError(f"this generator has no model {name!r}; it has: {', '.join(self._models)}")
        return self._models[name]

    def _held(self, command: GenStep | GenCue | GenSnapshot) -> HeldWorld:
        held = self._worlds.get(command.world)
        if held is None or held.generation != command.generation:
            raise ValueError(f"world {command.world} of generation {command.generation} is not open")
        return held

    def _unless_failed(self, command: GenStep | GenCue) -> None:
        held = self._held(command)
        if held.failed:
            return  # the command was sent before the server heard of the failure, and is not answered
        try:
            self._make(command, held) if isinstance(command, GenStep) else self._cue_ahead(command, held)
        except Exception as error:
            if held.fail() or is_fatal(error):
                raise
            log.debug("a failed world fails again", exc_info=True)

    def _cue_ahead(self, command: GenCue, held: HeldWorld) -> None:
        """Bring a world under a conditioning; its step then finds it in place."""
        recache_ms = self._condition(held, carried(command), time.perf_counter())
        held.ahead_ms += recache_ms
        self._send(
            GenCued(world=command.world, generation=command.generation, block=command.block, recache_ms=recache_ms)
        )

    def _make(self, command: GenStep, held: HeldWorld) -> None:
        begun = time.perf_counter()
        if command.via is not None:
            self._condition(held, Conditioning(prompt=command.via, actions=command.actions), begun)
        recache_ms = self._condition(held, newly_carried(command), begun)
        ahead_ms, held.ahead_ms = held.ahead_ms, 0.0
        after_ms, held.after_ms = held.after_ms, 0.0
        block = held.model.step(held.world)
        if block.index != command.block:
            raise ValueError(f"the model made block {block.index} instead of block {command.block}")
        settles = isinstance(held.model, interface.SettlingModel)
        made = DenoisedBlock(
            command=command,
            held=held,
            block=block,
            begun=begun,
            recache_ms=recache_ms,
            ahead_ms=ahead_ms,
            after_ms=after_ms,
            stepped=settles or block.overlaps or command.late,
        )
        if not block.overlaps:
            self._send_frames(made)
        else:
            if not settles:
                _ = block.step_ms  # waits for the transformer
            self._finisher.submit(self._finish_one, made)
        if not made.stepped:
            return
        if not command.late:
            interface.settle(held.model, held.world)
        step_ms = (time.perf_counter() - begun) * 1000 - recache_ms
        if command.late:
            # It settles the block too, without the clean pass, whose place the recache takes.
            caught_up = time.perf_counter()
            late_recache(held.model).catch_up(held.world)
            held.after_ms = (time.perf_counter() - caught_up) * 1000
        self._send(
            GenStepped(
                world=command.world,
                generation=command.generation,
                block=block.index,
                step_ms=step_ms,
                recache_ms=held.after_ms,
            )
        )

    def _condition(self, held: HeldWorld, conditioning: Conditioning | None, begun: float) -> float:
        """Bring a world under a conditioning if it is new; return what a new prompt cost, in milliseconds."""
        if conditioning is None:
            return 0.0
        new_prompt = conditioning.prompt != held.prompt
        if new_prompt:
            self._encoder.encode(held.model, conditioning)
            held.prompt = conditioning.prompt
        if conditioning.late:
            late_recache(held.model).cue_late(held.world, for_model(conditioning))
            return 0.0
        held.model.cue(held.world, for_model(conditioning))
        # What costs no recache must not lower what the server takes one to last.
        return (time.perf_counter() - begun) * 1000 if new_prompt else 0.0

    def _finish(self) -> None:
        """Wait until all frames are sent. The thread takes one task after another."""
        self._finisher.submit(lambda: None).result()

    def _finish_one(self, made: DenoisedBlock) -> None:
        """Send a block's frames, on the finisher's thread."""
        if made.held.failed:
            return  # the server has been told of an earlier failure
        try:
            self._send_frames(made)
        except Exception as error:  # as in `carry_out`
            if made.held.fail() or is_fatal(error):
                self._report(made.command, error)

    def _report(self, command: Message, error: Exception) -> None:
        """Answer a command that failed; called in the handling of its error."""
        log.exception("%s failed", type(command).__name__)
        fatal = is_fatal(error)
        self._poisoned = self._poisoned or fatal
        self._send(
            GenError(
                world=getattr(command, "world", ""),
                generation=getattr(command, "generation", 0),
                code="no_room" if is_out_of_memory(error) else "generator",
                message=one_line(error),
                fatal=fatal,
            )
        )

    def _send_frames(self, made: DenoisedBlock) -> None:
        """Send a block with its frames; waits until they are decoded."""
        command, block = made.command, made.block
        frames = pixels_of(block.frames)
        labels, confidence = made.held.model.read(frames) if made.held.readings else ({}, {})
        timings = {key: float(value) for key, value in block.timings_ms.items()}
        # The server needs the whole cost of a new prompt, and which part of it the step did not have to bear.
        own_ms = max(0.0, timings.get("recache", 0.0) - made.after_ms)
        timings["recache"] = max(own_ms, made.recache_ms + made.ahead_ms)
        if made.ahead_ms:
            timings["ahead"] = made.ahead_ms
        timings["total"] = (time.perf_counter() - made.begun) * 1000
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
                labels=dict(labels),
                confidence=dict(confidence),
                stepped=made.stepped,
            ),
            frames.data,
        )

    def _snapshot(self, command: GenSnapshot) -> None:
        held = self._held(command)
        if held.failed:
            return  # as in `_step`
        snapshot = held.model.snapshot(held.world, exact=command.exact)
        data = snapshot.to_bytes()
        saved = GenSaved(world=command.world, generation=command.generation, block=snapshot.block, exact=command.exact)
        self._send(saved, data)


def late_recache(model: interface.WorldModel) -> interface.LateRecacheModel:
    """Return a model as one that can recache late. Raises ValueError if it cannot: another one made the take."""
    if not isinstance(model, interface.LateRecacheModel):
        raise ValueError(f"a new prompt is to be recached after its block, which {model.info.name} cannot")
    return model


def announced(info: interface.ModelInfo) -> ModelInfo:
    """Return what the server announces of a model."""
    return msgspec.convert(info, ModelInfo, from_attributes=True)


def pixels_of(frames: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return a model's frames `[1, n, H, W, 3] uint8` (numpy or torch) as a contiguous `[n, H, W, 3]` array."""
    array = np.asarray(frames)
    if array.ndim != 5 or array.shape[0] != 1 or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise ValueError(f"frames must be [1, n, H, W, 3] uint8, not {array.shape} {array.dtype}")
    return np.ascontiguousarray(array[0])


def digest_of(frames: npt.NDArray[np.uint8]) -> str:
    """Return blake2b-128 of a block's frames, hex."""
    return hashlib.blake2b(frames.data, digest_size=16).hexdigest()


def is_fatal(error: BaseException) -> bool:
    """Return True if the process has to be replaced: after an error of the device nothing works."""
    text = f"{type(error).__name__}: {error}"
    return not is_out_of_memory(error) and ("CUDA" in text or type(error).__name__ == "AcceleratorError")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory ran out, on the host or on the device."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def one_line(error: BaseException) -> str:
    """Return an error's text in one line of at most 300 characters."""
    text = " ".join(str(error).split())[:300]
    return text or type(error).__name__
