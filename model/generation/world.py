"""A world: one running take, with what it takes to rebuild its cache."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from longtake.model.cache.base import Cache, CacheBlock, WorldCache
from longtake.model.execution.base import Actions, Executor, FrameActions
from longtake.model.generation.noise import NoiseSource
from longtake.model.generation.timing import Stopwatch
from longtake.model.network.layers import PromptKV

if TYPE_CHECKING:
    from longtake.model.generation.decoding import PendingFrames


class TextEncoder(Protocol):
    """Turns prompts into tokens."""

    def encode(self, prompts: list[str]) -> Tensor:
        """Return [B, text_tokens, text_dim], zero padded."""
        ...


class Decoder(Protocol):
    """Turns latent frames into pictures one at a time, and remembers those before."""

    def open(self, batch: int) -> Any:
        """Return the state of a decoder that has seen nothing; `decode` changes it in place."""
        ...

    def decode(self, latents: Tensor, state: Any) -> Tensor:
        """Return the pictures of one latent frame: [B, 1, C, h, w] -> [B, n, 3, H, W] float, 0 to 1."""
        ...


@runtime_checkable
class BlockDecoder(Protocol):
    """A decoder that takes a block's latent frames in one call, with the same pictures as one by one."""

    def decode_block(self, latents: Tensor, state: Any) -> Tensor:
        """Return the pictures of latent frames in order: [B, F, C, h, w] -> [B, n, 3, H, W] float, 0 to 1."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """What a world is told to show; compared by identity.

    Attributes:
        texts: one for each member of the batch, or None if only the embedding is known.
        embedding: the text encoder's tokens, [B, text_tokens, text_dim].
    """

    texts: tuple[str, ...] | None
    embedding: Tensor


class CachedFrame(NamedTuple):
    """A latent frame in the cache, and how its keys were written.

    Attributes:
        frame: its index in the take.
        latents: [B, C, h, w].
        prompt: under which its keys were written.
        group: number of the group it was computed in; frames of a group saw each other.
        actions: what it was made under.
    """

    frame: int
    latents: Tensor
    prompt: Prompt
    group: int
    actions: Actions = ()


class Unsettled(NamedTuple):
    """A block that is made, whose clean pass has not been run yet.

    Attributes:
        block: its place in the cache.
        first_frame: its first latent frame's index in the take.
        latents: [B, F, C, h, w].
    """

    block: CacheBlock
    first_frame: int
    latents: Tensor


CacheT = TypeVar("CacheT", bound=Cache)


@dataclass(kw_only=True, eq=False)
class CachedWindow(Generic[CacheT]):
    """A take's window: the cache, and what it was written from.

    Attributes:
        prompt: in force from the next block on.
        prompt_kv: the prompt's cross-attention keys and values per layer.
        cache: keys and values of the window.
        past: the last window's latent frames, oldest first.
        sink: the latent frames in the cache's sink.
        groups: groups computed so far.
    """

    prompt: Prompt
    prompt_kv: Sequence[PromptKV]
    cache: CacheT
    past: list[CachedFrame] = field(default_factory=list)
    sink: list[CachedFrame] = field(default_factory=list)
    groups: int = 0

    def record(
        self,
        first_frame: int,
        latents: Tensor,
        group_frames: Sequence[int],
        window_frames: int,
        actions: FrameActions = (),
    ) -> None:
        """Record that frames from first_frame on were written under the prompt in force.

        latents: [B, F, C, h, w]; actions: what each frame was made under, or one for all.
        """
        groups = [self.groups + index for index, count in enumerate(group_frames) for _ in range(count)]
        self.groups += len(group_frames)
        each = [*actions] if len(actions) == len(groups) else [*(actions or [()])] * len(groups)
        written = [
            CachedFrame(first_frame + offset, latents[:, offset], self.prompt, group, each[offset])
            for offset, group in enumerate(groups)
        ]
        self.past = [w for w in self.past if w.frame < first_frame] + written
        del self.past[:-window_frames]
        sink_end = self.cache.first_frame + self.cache.sink_frames
        self.sink += [w for w in written if w.frame < sink_end]

    def latents_of(self, first_frame: int, end_frame: int) -> list[CachedFrame]:
        """Return the recorded frames from first_frame to end_frame - 1."""
        return [w for w in self.past if first_frame <= w.frame < end_frame]


@dataclass(kw_only=True, eq=False)
class World(CachedWindow[WorldCache]):
    """One running take. Made and changed by the verbs of `longtake.model.generation.generator.Generator`.

    Attributes, beside those of its window:
        noise: its own random stream.
        batch: members of the batch.
        actions: what the next blocks are made under, all members of the batch alike.
        executor: runs its passes; the generator's, or its own recorded ones.
        stopwatch: time spent since the last block was made, its clean pass included.
        decoder_state: the decoder's memory; None without a decoder.
        block: index of the next block.
        next_tick: tick of the next RGB frame; frames still in `pending` are not counted yet.
        pending: the last block's frames where they may still be being decoded.
        next_noise: the next block's, where it has been drawn ahead.
        unsettled: the last block until its clean pass has been run; None after that.
        late_block: the first block of a prompt under which the window is to be rebuilt after it; None if there is none.
    """

    noise: NoiseSource
    batch: int
    executor: Executor
    stopwatch: Stopwatch
    decoder_state: Any = None
    actions: Actions = ()
    block: int = 0
    next_tick: int = 0
    closed: bool = False
    pending: "PendingFrames | None" = None
    next_noise: Tensor | None = None
    unsettled: Unsettled | None = None
    late_block: int | None = None
