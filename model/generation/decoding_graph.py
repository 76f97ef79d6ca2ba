"""A block's decoding recorded once and replayed as one launch, for decoders whose memory is a few tensors.

A recording reads and writes its own copy of a take's memory, so all takes share it: theirs is copied in before and out
after, for the tiny decoder at 480 x 832 67 MB each way. A take's first block has fewer frames and runs as ever.

    graph = DecodingGraph(decoder, cuda_capture())
    pictures = graph.decode(latents, state)      # good until the next call
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from longtake.model.execution.cuda_graphs import Capture, Run


@runtime_checkable
class RecordableDecoder(Protocol):
    """A decoder whose work on a block is the same for every block but a take's first."""

    def memory(self, state: Any) -> list[Tensor] | None:
        """Return the tensors of a take's memory, always in the same order; None before its first block is decoded."""
        ...

    def with_memory(self, tensors: list[Tensor]) -> Any:
        """Return a state whose memory is these tensors, of a take that has begun."""
        ...

    def decode_block(self, latents: Tensor, state: Any) -> Tensor:
        """See `longtake.model.generation.world.BlockDecoder`."""
        ...


class Recording:
    """One recording, for latents and a memory of certain shapes."""

    def __init__(self, decoder: RecordableDecoder, latents: Tensor, memory: list[Tensor], capture: Capture) -> None:
        self._latents = latents.clone()
        self._memory = [tensor.clone() for tensor in memory]

        def run() -> Tensor:
            state = decoder.with_memory(list(self._memory))
            pictures = decoder.decode_block(self._latents, state)
            remembered = decoder.memory(state)
            assert remembered is not None, "a block was decoded"
            torch._foreach_copy_(self._memory, remembered)
            return pictures

        self._replay: Run = capture(run, tuple(latents.shape))

    def decode(self, latents: Tensor, memory: list[Tensor]) -> Tensor:
        """Decode a block, and change the memory in place."""
        self._latents.copy_(latents)
        torch._foreach_copy_(self._memory, memory)
        pictures = self._replay()
        assert pictures is not None, "a block has pictures"
        torch._foreach_copy_(memory, self._memory)
        return pictures


class DecodingGraph:
    """See the module.

    Args:
        decoder: what to record.
        capture: what records; its working memory must not be shared with recordings that run at the same time.
    """

    def __init__(self, decoder: RecordableDecoder, capture: Capture) -> None:
        self._decoder, self._capture = decoder, capture
        self._recordings: dict[tuple[object, ...], Recording] = {}

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self._recordings)

    def decode(self, latents: Tensor, state: Any) -> Tensor:
        """Decode a block, recording it if it is the first of its size: [B, F, C, h, w] -> [B, n, 3, H, W] float."""
        memory = self._decoder.memory(state)
        if memory is None:
            return self._decoder.decode_block(latents, state)
        key = (latents.shape, latents.dtype, *(tensor.shape for tensor in memory))
        if key not in self._recordings:
            self._recordings[key] = Recording(self._decoder, latents, memory, self._capture)
        return self._recordings[key].decode(latents, memory)
