import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model import backend
from longtake.model.backend import choose_overlap
from longtake.model.generation.decoding import Decoding
from longtake.model.generation.generator import Generator
from longtake.model.generation.snapshot import Snapshot
from longtake.model.generation.timing import Stopwatch


class SlowDecoder:
    """One or two pictures a latent frame, with a memory; it may be held up, and says on which threads it ran."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.threads: set[str] = set()
        self.fail_at = -1

    def open(self, batch: int) -> dict[str, Any]:
        return {"seen": 0, "memory": torch.zeros(batch)}

    def decode(self, latents: Tensor, state: dict[str, Any]) -> Tensor:
        assert self.go.wait(20)
        assert torch.is_inference_mode_enabled()
        self.threads.add(threading.current_thread().name.split("_")[0])
        if state["seen"] == self.fail_at:
            raise ValueError("no such colour")
        first = state["seen"] == 0
        state["seen"] += 1
        state["memory"] = state["memory"].to(latents.device) * 0.5 + latents[:, 0, 0].mean((-1, -2)).float()
        return state["memory"].sigmoid()[:, None, None, None, None].expand(-1, 1 if first else 2, 3, 8, 12)


def generator_with(small: Any, overlap: bool | None, decoder: SlowDecoder | None = None) -> Generator:
    config = small.config(positions="relative")
    return Generator(
        small.transformer(config), decoder or SlowDecoder(), None, config, small.backend(config, overlap=overlap)
    )


def film(small: Any, generator: Generator) -> list[tuple[int, int, Tensor, Tensor]]:
    """A take of two worlds by turns, with a cue, a snapshot and a fork; frames are asked for late."""
    one, two = (generator.open(seed=seed, embedding=small.embedding(generator.config, seed)) for seed in (1, 2))
    blocks = []
    for index in range(5):
        if index == 3:
            generator.cue(one, embedding=small.embedding(generator.config, 5))
        blocks += [generator.step(one), generator.step(two)]
    fork = generator.restore(generator.snapshot(one, exact=True))
    compact = generator.restore(Snapshot.from_bytes(generator.snapshot(two).to_bytes(), generator.config))
    blocks += [generator.step(world) for world in (fork, compact, one, two)]
    return [(b.index, b.first_frame, b.latents, b.frames) for b in blocks]


def test_overlap_changes_neither_bytes_nor_ticks(small: Any) -> None:
    beside = SlowDecoder()
    wanted, made = film(small, generator_with(small, False)), film(small, generator_with(small, True, beside))
    assert beside.threads >= {"decoder"}
    for (index, tick, latents, frames), (own_index, own_tick, own_latents, own_frames) in zip(
        wanted, made, strict=True
    ):
        assert (own_index, own_tick) == (index, tick)
        assert torch.equal(own_latents, latents)
        assert torch.equal(own_frames, frames)
    assert [tick for _, tick, _, _ in wanted[::2]][:5] == [0, 5, 11, 17, 23]


def test_a_block_is_there_before_its_pictures(small: Any) -> None:
    decoder = SlowDecoder()
    generator = generator_with(small, True, decoder)
    world = generator.open(seed=1, embedding=small.embedding(generator.config, 0))
    decoder.go.clear()
    block = generator.step(world)
    assert (world.block, world.next_tick, world.pending) == (1, 0, block.pending)
    decoder.go.set()
    assert block.frames.shape[1] == 5
    assert block.timings_ms["decode"] > 0
    assert generator.step(world).first_frame == 5


def test_an_error_of_the_decoder_reaches_whoever_wants_the_frames(small: Any) -> None:
    decoder = SlowDecoder()
    generator = generator_with(small, True, decoder)
    world = generator.open(seed=1, embedding=small.embedding(generator.config, 0))
    decoder.fail_at = 1
    block = generator.step(world)
    with pytest.raises(ValueError, match="no such colour"):
        _ = block.frames
    with pytest.raises(ValueError, match="no such colour"):
        generator.step(world)
    generator.close(world)
    assert world.closed


def test_what_is_being_decoded_outlives_its_world(small: Any) -> None:
    decoder = SlowDecoder()
    generator = generator_with(small, True, decoder)
    world = generator.open(seed=1, embedding=small.embedding(generator.config, 0))
    decoder.go.clear()
    block = generator.step(world)
    generator.close(world)
    decoder.go.set()
    assert block.frames.shape[1] == 5


@pytest.mark.parametrize("idle_cores", [0, 1])
def test_by_default_a_core_that_would_be_idle_decodes(
    monkeypatch: pytest.MonkeyPatch, small: Any, idle_cores: int
) -> None:
    monkeypatch.setattr(backend, "usable_cores", lambda: torch.get_num_threads() + idle_cores)
    decoder = SlowDecoder()
    generator = generator_with(small, None, decoder)
    block = generator.step(generator.open(seed=1, embedding=small.embedding(generator.config, 0)))
    assert block.overlaps == bool(idle_cores)
    assert block.frames is not None
    assert decoder.threads == {"decoder" if idle_cores else threading.current_thread().name}


def test_a_gpu_overlaps_unless_it_is_told_not_to() -> None:
    assert choose_overlap(torch.device("cuda"), None)
    assert not choose_overlap(torch.device("cuda"), False)


class WholeBlocks(SlowDecoder):
    """Takes a block in one call, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = 0

    def decode_block(self, latents: Tensor, state: dict[str, Any]) -> Tensor:
        self.blocks += 1
        return torch.cat([self.decode(frame, state) for frame in latents.split(1, dim=1)], dim=1)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_block_is_decoded_in_one_call_if_the_decoder_can(overlap: bool) -> None:
    latents = torch.randn(2, 3, 4, 8, 12)
    frames = []
    for decoder in (SlowDecoder(), WholeBlocks()):
        decoding = Decoding(decoder, torch.device("cpu"), overlap=overlap, whole_blocks=True)
        state = decoding.open(2)
        watch = Stopwatch(torch.device("cpu"), lambda: 0.0)
        frames.append(torch.cat([decoding.start(latents + n, state, watch).wait() for n in range(2)], dim=1))
    assert torch.equal(*frames)
    assert isinstance(decoder, WholeBlocks)
    assert decoder.blocks == 2


def test_on_a_cpu_frames_are_decoded_one_by_one(small: Any) -> None:
    decoder = WholeBlocks()
    generator = generator_with(small, False, decoder)
    generator.step(generator.open(seed=1, embedding=small.embedding(generator.config, 0)))
    assert decoder.blocks == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_overlap_changes_no_bytes_on_a_gpu(small: Any) -> None:
    config = small.config(positions="relative")
    takes = []
    for overlap in (False, True):
        transformer = small.transformer(config)
        takes.append(
            film(
                small,
                Generator(transformer, SlowDecoder(), None, config, small.backend(config, "cuda", overlap=overlap)),
            )
        )
    for wanted, made in zip(*takes, strict=True):
        assert wanted[:2] == made[:2]
        assert torch.equal(wanted[2], made[2])
        assert torch.equal(wanted[3], made[3])
