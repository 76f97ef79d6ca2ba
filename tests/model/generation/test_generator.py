from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import ConfigError, ShapeError, SnapshotError, WorldError
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import RecordedNoise, SeededNoise
from longtake.model.generation.snapshot import Snapshot


class FakeDecoder:
    """Two pictures a latent frame: the mean of the first channel, and how many frames it has seen."""

    def open(self, batch: int) -> dict[str, Any]:
        return {"seen": 0, "memory": torch.zeros(batch)}

    def decode(self, latents: Tensor, state: dict[str, Any]) -> Tensor:
        state["seen"] += 1
        state["memory"] = state["memory"] * 0.5 + latents[:, 0, 0].mean((-1, -2)).float()
        values = torch.stack((state["memory"].sigmoid(), torch.full_like(state["memory"], state["seen"] / 255)), 1)
        return values[:, :, None, None, None].expand(-1, -1, 3, 8, 12)


class FakeEncoder:
    """Tokens drawn from the prompt's length; counts its calls."""

    def __init__(self, tokens: int, width: int) -> None:
        self.shape, self.calls = (tokens, width), 0

    def encode(self, prompts: list[str]) -> Tensor:
        self.calls += 1
        return torch.stack(
            [torch.randn(*self.shape, generator=torch.Generator().manual_seed(len(prompt))) for prompt in prompts]
        )


def generator_with_all(small: Any, cache: str = "plain", **changes: Any) -> Generator:
    config = small.config(**changes)
    encoder = FakeEncoder(config.transformer.text_tokens, config.transformer.text_dim)
    return Generator(small.transformer(config), FakeDecoder(), encoder, config, small.backend(config, cache=cache))


def make(generator: Generator, world: Any, blocks: int) -> list[Tensor]:
    return [generator.step(world).latents for _ in range(blocks)]


@pytest.mark.parametrize(("block", "window", "sink"), [(3, 12, 3), (1, 5, 1), (2, 7, 1)])
def test_streaming_equals_the_plain_implementation(small: Any, block: int, window: int, sink: int) -> None:
    for positions in ("absolute", "relative"):
        config = small.config(block_frames=block, window_frames=window, sink_frames=sink, positions=positions)
        generator = small.generator(config)
        world = generator.open(seed=3, embedding=small.embedding(config, 0))
        plain = small.plain(generator.transformer, config, small.embedding(config, 0))
        shape = (block, *config.transformer.latent_shape)
        for index in range(window // block + 2):
            with torch.no_grad():
                wanted = plain.step(SeededNoise([3]).draw(index, 4, shape))
            assert small.error(generator.step(world).latents, wanted) < 2e-5, (positions, index)


def test_relative_equals_absolute_until_the_window_moves(small: Any) -> None:
    made = []
    for positions in ("absolute", "relative"):
        config = small.config(positions=positions)
        generator = small.generator(config)
        made.append(make(generator, generator.open(seed=1, embedding=small.embedding(config, 0)), 6))
    errors = [small.error(a, b) for a, b in zip(*made, strict=True)]
    assert max(errors[:4]) == 0
    assert min(errors[4:]) > 1e-3


def test_relative_does_not_know_the_absolute_index(small: Any) -> None:
    config = small.config(positions="relative")
    generator = small.generator(config)
    world, late = (generator.open(seed=1, embedding=small.embedding(config, 0)) for _ in range(2))
    late.cache.restart(3_000_000)
    for _ in range(6):
        assert small.error(generator.step(late).latents, generator.step(world).latents) < 1e-5


def test_a_block_can_be_drawn_alone() -> None:
    shape = (3, 4, 2, 2)
    noise = SeededNoise([7])
    for block in range(4):
        noise.draw(block, 4, shape)
    assert torch.equal(noise.draw(5, 4, shape), SeededNoise([7]).draw(5, 4, shape))
    draws = [SeededNoise([seed]).draw(block, 4, shape) for seed in (7, 8, -1, 2**40) for block in (0, 1)]
    assert len({float(draw.sum()) for draw in draws}) == len(draws)
    assert torch.equal(SeededNoise([7, 8]).draw(2, 4, shape)[:, 1:], SeededNoise([8]).draw(2, 4, shape))


def test_the_global_generator_is_left_alone(small: Any) -> None:
    generator = generator_with_all(small)
    state = torch.get_rng_state()
    make(generator, generator.open(seed=1, prompt="a fox"), 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_recorded_noise_that_runs_out_is_an_error(small: Any) -> None:
    config = small.config()
    shape = config.transformer.latent_shape
    noise = RecordedNoise(torch.randn(1, 6, *shape), torch.randn(2, 3, 3, *shape))
    generator = small.generator(config)
    world = generator.open(seed=0, embedding=small.embedding(config, 0), noise=noise)
    make(generator, world, 2)
    with pytest.raises(ShapeError, match="has no block 2"):
        generator.step(world)


def test_two_worlds_interleaved_equal_two_worlds_alone(small: Any) -> None:
    generator = generator_with_all(small, positions="relative")

    def take(seed: int, prompt: str, after: str) -> Any:
        world = generator.open(seed=seed, prompt=prompt)
        for index in range(7):
            if index == 5:
                generator.cue(world, after)
            block = generator.step(world)
            yield block.latents, block.frames

    alone = [list(take(1, "a fox", "night")), list(take(2, "a boat at sea", "a storm"))]
    together = list(zip(take(1, "a fox", "night"), take(2, "a boat at sea", "a storm"), strict=True))
    for index, pair in enumerate(together):
        for world, (latents, frames) in enumerate(pair):
            assert torch.equal(latents, alone[world][index][0])
            assert torch.equal(frames, alone[world][index][1])


def test_a_batch_of_two_equals_two_of_one(small: Any) -> None:
    generator = generator_with_all(small, positions="relative", recache="causal")
    both = generator.open(seed=[1, 2], prompt=["a fox", "a boat at sea"])
    singles = [generator.open(seed=1, prompt="a fox"), generator.open(seed=2, prompt="a boat at sea")]
    for index in range(7):
        if index == 5:
            for world in (both, *singles):
                generator.cue(world, "night")
        made = generator.step(both).latents
        for member, world in enumerate(singles):
            assert small.error(made[member : member + 1], generator.step(world).latents) < 1e-5


@pytest.mark.parametrize("blocks", [0, 2, 6])
@pytest.mark.parametrize("cache", ["plain", "fp8"])
def test_an_exact_snapshot_goes_on_bit_for_bit(small: Any, blocks: int, cache: str) -> None:
    generator = generator_with_all(small, cache=cache, positions="relative")
    world = generator.open(seed=1, prompt="a fox")
    make(generator, world, blocks)
    saved = generator.snapshot(world, exact=True)
    fork = generator.restore(saved)
    data = saved.to_bytes()
    from_disk = generator_with_all(small, cache=cache, positions="relative")
    forks = [(generator, fork), (from_disk, from_disk.restore(Snapshot.from_bytes(data, from_disk.config)))]
    wanted = [generator.step(world) for _ in range(4)]
    for owner, copy in (*forks, (generator, generator.restore(saved))):
        for block in wanted:
            made = owner.step(copy)
            assert torch.equal(made.latents, block.latents)
            assert torch.equal(made.frames, block.frames)
            assert (made.index, made.first_frame) == (block.index, block.first_frame)


@pytest.mark.parametrize("mode", ["longlive", "causal", "clear", "none"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize("before", [1, 3, 6])
def test_a_compact_snapshot_is_exact_where_nothing_has_left_the_window(
    small: Any, mode: str, sink: str, before: int
) -> None:
    generator = generator_with_all(small, recache=mode, sink_on_recache=sink, positions="relative")
    world = generator.open(seed=1, prompt="a fox")
    make(generator, world, before)
    generator.cue(world, "a storm at sea")
    restored = generator.restore(Snapshot.from_bytes(generator.snapshot(world).to_bytes(), generator.config))
    wanted, made = make(generator, world, 3), make(generator, restored, 3)
    errors = [small.error(a, b) for a, b in zip(made, wanted, strict=True)]
    # Where nothing is recached, the window saw frames that are gone.
    lossy = before > 4 and mode == "none"
    assert max(errors) < (0.5 if lossy else 1e-5), errors
    assert restored.prompt.texts == ("a storm at sea",)


def test_a_compact_snapshot_long_after_the_recache_is_near(small: Any) -> None:
    generator = generator_with_all(small, positions="relative", recache="causal", sink_on_recache="refresh")
    world = generator.open(seed=1, prompt="a fox")
    make(generator, world, 3)
    generator.cue(world, "a storm at sea")
    make(generator, world, 6)
    restored = generator.restore(generator.snapshot(world))
    assert (restored.block, restored.next_tick) == (world.block, world.next_tick)
    assert restored.decoder_state["seen"] == 12  # the last window's latents
    near = small.error(generator.step(restored).latents, generator.step(world).latents)
    generator.settle(world)
    other = generator.open(seed=1, prompt="a fox")
    far = small.error(make(generator, other, 10)[-1], world.past[-1].latents[:, None])
    assert 0 < near < far / 2


def test_compact_snapshots_are_small_and_checked(small: Any) -> None:
    generator = generator_with_all(small)
    world = generator.open(seed=1, prompt="a fox")
    make(generator, world, 9)
    exact = generator.snapshot(world, exact=True)
    latents = generator.config.window_frames + generator.config.sink_frames
    frame_bytes = 4 * world.past[0].latents.numel()
    data = exact.compact().to_bytes()
    assert len(data) < latents * frame_bytes + 4 * world.prompt.embedding.numel() + 4096
    assert len(exact.to_bytes()) > len(data) + world.cache.keys.nbytes
    with pytest.raises(SnapshotError, match="another configuration"):
        Snapshot.from_bytes(data, small.config(shift=3.0))
    with pytest.raises(SnapshotError, match="not a snapshot"):
        Snapshot.from_bytes(b"nonsense", generator.config)
    with pytest.raises(SnapshotError, match="another configuration"):
        generator_with_all(small, shift=3.0).restore(exact)


def test_frames_are_pictures_and_ticks_count_them(small: Any) -> None:
    generator = generator_with_all(small)
    world = generator.open(seed=1, prompt="a fox")
    blocks = [generator.step(world) for _ in range(2)]
    assert [block.first_frame for block in blocks] == [0, 6]
    frames = blocks[1].frames
    assert frames is not None
    assert (tuple(frames.shape), frames.dtype) == ((1, 6, 8, 12, 3), torch.uint8)
    assert frames[0, 1::2, 0, 0, 0].tolist() == [4, 5, 6]  # the decoder's count, rounded to the nearest level


def test_timings_name_the_regions_and_use_the_clock_given(small: Any) -> None:
    config = small.config()
    ticks = count()
    generator = Generator(small.transformer(config), None, None, config, clock=lambda: float(next(ticks)))
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    first = generator.step(world).timings_ms
    assert first == {"text": 1000, "recache": 0, "denoise": 1000, "clean": 0, "decode": 0}  # it has no decoder
    generator.cue(world, embedding=small.embedding(config, 1))
    generator.cue(world, embedding=small.embedding(config, 2))
    second = generator.step(world).timings_ms
    assert (second["text"], second["recache"], second["clean"]) == (2000, 2000, 1000), "the first block's clean pass"
    assert generator.step(world).timings_ms["recache"] == 0


def test_prompts_are_encoded_once(small: Any) -> None:
    generator = generator_with_all(small)
    generator.encode("a fox")
    for _ in range(3):
        generator.open(seed=1, prompt="a fox")
    assert generator.prompts.text_encoder.calls == 1


def test_short_embeddings_are_padded_with_zeros(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    short = small.embedding(config, 0)[:, :4]
    padded = torch.cat((short, torch.zeros(1, 2, config.transformer.text_dim)), 1)
    made = [generator.step(generator.open(seed=1, embedding=e)).latents for e in (short, padded)]
    assert torch.equal(*made)


def test_bf16_goes_on_and_stays_near(small: Any) -> None:
    config = small.config(positions="relative")
    takes = []
    for dtype in (torch.float32, torch.bfloat16):
        generator = small.generator(config, dtype=dtype)
        world = generator.open(seed=1, embedding=small.embedding(config, 0))
        takes.append(make(generator, world, 6))
    assert takes[1][0].dtype == torch.bfloat16
    assert max(small.error(half, full) for full, half in zip(*takes, strict=True)) < 0.1


def test_misuse_is_an_error_that_says_what_to_do(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    with pytest.raises(WorldError, match="no text encoder"):
        generator.open(seed=1, prompt="a fox")
    with pytest.raises(WorldError, match="a prompt or an embedding"):
        generator.open(seed=1)
    with pytest.raises(ShapeError, match="3 prompts for a batch of 2"):
        generator.open(seed=[1, 2], prompt=["a", "b", "c"])
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    generator.close(world)
    generator.close(world)
    with pytest.raises(WorldError, match="closed"):
        generator.step(world)
    with pytest.raises(ConfigError, match="the config says"):
        Generator(small.transformer(config), None, None, small.config(transformer=other_sizes(config)))


def other_sizes(config: Any) -> Any:
    from dataclasses import replace

    return replace(config.transformer, ffn_dim=64)
