"""Decoding beside the generation: the frames of one block are made while the next block is denoised.

    decoding = Decoding(decoder, device, overlap=True)
    state = decoding.open(batch=1)
    pending = decoding.start(latents, state, stopwatch)      # returns at once
    ...                                                      # more work for the transformer
    frames = pending.wait()                                  # [B, n, H, W, 3] uint8 on the CPU

On a CUDA device the decoder has its own stream, ordered by events, so the host waits for nothing but the frames. On a
CPU it has its own thread, if the transformer leaves a core idle. Without overlap `start` decodes at once. The frames
are the same bytes in every case. Everything that touches a decoder's memory goes through here, in call order.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from longtake.model.execution.cuda_graphs import Capture
from longtake.model.generation.decoding_graph import DecodingGraph, RecordableDecoder
from longtake.model.generation.packing import Packed, pack, unpack
from longtake.model.generation.timing import Stopwatch
from longtake.model.generation.world import BlockDecoder, Decoder


class PendingFrames(Protocol):
    """A block's frames, which may still be decoding."""

    def wait(self) -> Tensor:
        """Return the frames, [B, n, H, W, 3] uint8 on the CPU; raises what the decoder raised."""
        ...

    def count(self) -> int:
        """Return how many frames each member of the batch has."""
        ...


class ReadyFrames:
    """Frames that are on the host, or will be after an event of the device."""

    def __init__(self, frames: Tensor, copied: torch.cuda.Event | None = None) -> None:
        self._frames, self._copied = frames, copied

    def wait(self) -> Tensor:
        """See `PendingFrames`."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._frames

    def count(self) -> int:
        """See `PendingFrames`; does not wait."""
        return self._frames.shape[1]


class FutureFrames:
    """Frames that a thread decodes."""

    def __init__(self, future: "Future[Tensor]") -> None:
        self._future = future

    def wait(self) -> Tensor:
        """See `PendingFrames`."""
        return self._future.result()

    def count(self) -> int:
        """See `PendingFrames`; waits for the frames."""
        return self.wait().shape[1]


class Decoding:
    """Runs a decoder, beside the transformer or in turn with it.

    Args:
        decoder: latents to pictures.
        device: of the decoder.
        overlap: decode beside the caller's work; otherwise `start` decodes at once.
        whole_blocks: decode a block in one call if the decoder can. None does so on a GPU, which takes fewer launches
            and more memory.
        capture: records a block's decoding, if the decoder can be recorded and decodes whole blocks.
    """

    def __init__(
        self,
        decoder: Decoder,
        device: torch.device,
        *,
        overlap: bool,
        whole_blocks: bool | None = None,
        capture: Capture | None = None,
    ) -> None:
        self._decoder, self._device = decoder, device
        whole = device.type == "cuda" if whole_blocks is None else whole_blocks
        self._block_decoder = decoder if whole and isinstance(decoder, BlockDecoder) else None
        self.graph: DecodingGraph | None = None
        if capture is not None and whole and isinstance(decoder, RecordableDecoder):
            self.graph = DecodingGraph(decoder, capture)
        self._stream = torch.cuda.Stream(device) if overlap and device.type == "cuda" else None
        self._cuda = device.type == "cuda"
        self._thread: ThreadPoolExecutor | None = None
        if overlap and self._stream is None:
            # The thread count is per-thread state and affects rounding.
            self._thread = ThreadPoolExecutor(
                1, "decoder", initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)
            )

    @property
    def overlaps(self) -> bool:
        """True if `start` returns before the frames are decoded."""
        return self._stream is not None or self._thread is not None

    def warm_up(self, latents: Tensor) -> None:
        """Record the decoding of a block like these latents, [B, F, C, h, w], if it is recorded at all."""
        if self.graph is None:
            return
        state = self.open(latents.shape[0])
        with self._in_order(), torch.inference_mode():
            for _ in range(2):
                self.graph.decode(latents, state)

    def open(self, batch: int) -> Any:
        """Return the memory of a decoder that has seen nothing."""
        with self._in_order():
            return self._decoder.open(batch)

    def save(self, state: Any) -> Packed:
        """Return a copy of a decoder's memory; call it once everything that was started has been counted."""
        with self._in_order():
            return pack(state)

    def load(self, packed: Packed, batch: int) -> Any:
        """Return the memory that `save` copied."""
        with self._in_order():
            return unpack(packed, self._decoder.open(batch), self._device)

    def see(self, latents: Sequence[Tensor], state: Any) -> None:
        """Decode latent frames [B, 1, C, h, w] only for what they leave in the memory."""
        with self._in_order():
            for frame in latents:
                self._decoder.decode(frame, state)

    def start(self, latents: Tensor, state: Any, stopwatch: Stopwatch) -> PendingFrames:
        """Start to decode a block, [B, F, C, h, w], after everything that was started before."""
        if self._thread is not None:
            return FutureFrames(self._thread.submit(self._decode, latents, state, stopwatch))
        with self._in_order():
            if self._stream is not None:
                # Otherwise its memory could be reused while this stream still reads it.
                latents.record_stream(self._stream)
            frames = self._decode(latents, state, stopwatch)
            if not self._cuda:
                return ReadyFrames(frames)
            # Copies into pinned memory are a hundred times faster.
            host = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
            host.copy_(frames, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
            return ReadyFrames(host, copied)

    def _decode(self, latents: Tensor, state: Any, stopwatch: Stopwatch) -> Tensor:
        # Inference mode is per-thread state, and this may not be the caller's thread.
        with torch.inference_mode(), stopwatch.region("decode"):
            if self.graph is not None:
                return _to_pixels(self.graph.decode(latents, state))
            if self._block_decoder is not None:
                return _to_pixels(self._block_decoder.decode_block(latents, state))
            pictures = [self._decoder.decode(frame, state) for frame in latents.split(1, dim=1)]
            return _to_pixels(torch.cat(pictures, dim=1))

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        """Run what is inside on the decoder's stream, if it has one, after what the caller's stream has so far."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield


def _to_pixels(pictures: Tensor) -> Tensor:
    """[B, n, 3, H, W] float, 0 to 1 -> [B, n, H, W, 3] uint8."""
    pixels = pictures.float().mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return torch.stack(pixels.unbind(2), -1)
