"""Recorded forwards against those that are run each time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from longtake.model.errors import BackendError
from longtake.model.execution.cuda_graphs import Run


class Recorder:
    """Stands for CUDA's: repeats what it was given, at the same addresses, and lets nothing be made in between."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run: Run) -> Run:
        self.recorded += 1
        out = run()

        def replay() -> torch.Tensor | None:
            self.replayed += 1
            fresh = run()
            if out is not None and fresh is not None:
                out.copy_(fresh)
            return out

        return replay


def film(small: Any, config: Any, capture: Any, *, cache: str = "plain", device: str = "cpu") -> list[torch.Tensor]:
    """Two worlds in turn, past the window, with prompt changes before and after it; one is restored on the way."""
    generator = small.generator(config, cache=cache, device=device)
    generator._capture = capture
    worlds = [generator.open(seed=seed, embedding=small.embedding(config, seed)) for seed in (1, 2)]
    made = []
    for block in range(14):
        for index, world in enumerate(worlds):
            if block in (2, 6, 11):
                generator.cue(world, embedding=small.embedding(config, 10 * block + index))
            if config.transformer.actions and block % 3 != 2:
                generator.steer(world, (block / 14, -index / 2))
            made.append(generator.step(world).latents.clone())
        if block == 8:
            worlds[0] = generator.restore(generator.snapshot(worlds[0], exact=True))
            worlds[1] = generator.restore(generator.snapshot(worlds[1]))
    return made


@pytest.mark.parametrize("cache", ["plain", "fp8"])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize(("block", "window", "sink_frames"), [(3, 12, 3), (1, 5, 1), (2, 6, 0)])
def test_replayed_forwards_are_the_same(
    small: Any, block: int, window: int, sink_frames: int, sink: str, positions: str, cache: str
) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink_frames,
        positions=positions,
        sink_on_recache=sink,
        timesteps=(1000.0, 500.0),
    )
    recorder = Recorder()
    wanted, made = film(small, config, None, cache=cache), film(small, config, recorder, cache=cache)
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))
    forwards = 3  # of a block: two steps and the clean pass
    assert recorder.recorded == 4 * forwards * (window - sink_frames) // block
    # Every block that sees a full window, of both worlds.
    full = 14 - (window // block - 1)
    assert recorder.replayed == 2 * forwards * full


def test_the_modulation_of_a_steered_take_is_copied_in(small: Any) -> None:
    config = small.config(timesteps=(1000.0, 500.0))
    config = replace(config, transformer=replace(config.transformer, actions=2))
    recorder = Recorder()
    wanted, made = film(small, config, None), film(small, config, recorder)
    assert recorder.replayed
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_a_ring_of_no_whole_blocks_is_run_as_ever(small: Any, caplog: pytest.LogCaptureFixture) -> None:
    config = small.config(block_frames=3, window_frames=8, sink_frames=1, timesteps=(1000.0,))
    recorder = Recorder()
    wanted, made = film(small, config, None), film(small, config, recorder)
    assert recorder.recorded == 0
    assert "no CUDA graphs" in caplog.text
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_without_cuda_they_are_refused(small: Any) -> None:
    with pytest.raises(BackendError, match="CUDA device"):
        small.generator(small.config(), graphs=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cache", ["plain", "fp8"])
def test_cuda_graphs_are_the_same(small: Any, cache: str) -> None:
    from longtake.model.execution.cuda_graphs import cuda_capture

    config = small.config(positions="relative")
    capture: Callable[[], Any] = cuda_capture
    wanted = film(small, config, None, cache=cache, device="cuda")
    made = film(small, config, capture(), cache=cache, device="cuda")
    assert max(small.error(one, other) for one, other in zip(made, wanted, strict=True)) < 1e-5
