"""Decoding that is recorded against decoding as ever."""

import time
from collections.abc import Hashable
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.execution.cuda_graphs import Run
from longtake.model.generation.decoding import Decoding
from longtake.model.generation.decoding_graph import DecodingGraph
from longtake.model.generation.timing import Stopwatch
from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig


class Recorder:
    """Stands for CUDA's: repeats what it was given, and returns the same tensor each time."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run: Run, kind: Hashable) -> Run:
        self.recorded += 1
        out = run()
        assert out is not None

        def replay() -> Tensor | None:
            self.replayed += 1
            fresh = run()
            assert fresh is not None
            return out.copy_(fresh)

        return replay


@pytest.fixture
def decoder() -> TinyDecoder:
    torch.manual_seed(2)
    made = TinyDecoder(TinyDecoderConfig(widths=(16, 12, 8, 8))).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_(std=0.1)
    return made


def decoding(decoder: Any, **more: Any) -> Decoding:
    return Decoding(decoder, torch.device("cpu"), overlap=False, whole_blocks=True, **more)


def film(made: Decoding, blocks: int = 4) -> list[Tensor]:
    """Two takes in turn, one of which is saved and loaded on the way."""
    watch = Stopwatch(torch.device("cpu"), time.perf_counter)
    states = [made.open(1), made.open(1)]
    source = torch.Generator().manual_seed(5)
    frames = []
    for block in range(blocks):
        for index in range(2):
            latents = torch.randn(1, 3, 16, 4, 6, generator=source)
            frames.append(made.start(latents, states[index], watch).wait().clone())
        if block == 1:
            states[1] = made.load(made.save(states[1]), 1)
    return frames


def test_takes_share_one_recording_and_decode_the_same_bytes(decoder: TinyDecoder) -> None:
    recorder = Recorder()
    wanted, made = film(decoding(decoder)), film(decoding(decoder, capture=recorder))
    assert [part.shape[1] for part in made] == [9, 9, *[12] * 6]
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))
    assert (recorder.recorded, recorder.replayed) == (1, 6), "a take's first block is no replay"


def test_a_block_of_another_size_has_a_recording_of_its_own(decoder: TinyDecoder) -> None:
    recorder = Recorder()
    graph = DecodingGraph(decoder, recorder)
    state = decoder.open()
    with torch.inference_mode():
        for frames in (3, 3, 1, 3, 1):
            graph.decode(torch.zeros(1, frames, 16, 4, 6), state)
    assert len(graph) == recorder.recorded == 2


def test_it_is_recorded_ahead(decoder: TinyDecoder) -> None:
    recorder = Recorder()
    made = decoding(decoder, capture=recorder)
    made.warm_up(torch.zeros(1, 3, 16, 4, 6))
    assert recorder.recorded == 1
    film(made)
    assert recorder.recorded == 1


def test_a_decoder_that_cannot_be_recorded_runs_as_ever() -> None:
    class Plain:
        def open(self, batch: int) -> None:
            return None

        def decode(self, latents: Tensor, state: None) -> Tensor:
            return torch.zeros(1, 4, 3, 8, 8)

    recorder = Recorder()
    made = decoding(Plain(), capture=recorder)
    made.warm_up(torch.zeros(1, 3, 16, 4, 6))
    assert (
        made.start(torch.zeros(1, 3, 16, 4, 6), None, Stopwatch(torch.device("cpu"), time.perf_counter)).wait().shape[1]
        == 12
    )
    assert recorder.recorded == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_decode_the_same_pictures(decoder: TinyDecoder) -> None:
    from longtake.model.execution.cuda_graphs import cuda_capture

    decoder.cuda()
    graph, plain, recorded = DecodingGraph(decoder, cuda_capture()), decoder.open(), decoder.open()
    with torch.inference_mode():
        for _ in range(4):
            latents = torch.randn(1, 3, 16, 4, 6, device="cuda")
            wanted = decoder.decode_block(latents, plain)
            assert (graph.decode(latents, recorded) - wanted).abs().max() < 1e-3
