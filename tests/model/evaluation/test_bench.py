"""What `longtake bench generator` measures beside the blocks, on configurations that step in milliseconds."""

import argparse
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from longtake.model.config import GeneratorConfig, preset
from longtake.model.errors import ConfigError
from longtake.model.evaluation.bench import BenchConfig, bench
from longtake.model.evaluation.bench_kinds import KINDS, marks, shares
from longtake.model.evaluation.bench_model import bare_model, changed
from longtake.model.evaluation.bench_rates import RateMeter, gflop, own_products, time_recaches
from longtake.model.interface import Conditioning, ModelInfo, World


def test_a_configuration_alone_can_be_measured() -> None:
    config = preset("tiny")
    result = bench(bare_model("tiny", config, device="cpu"), BenchConfig(blocks=4, warmup_blocks=3, cue_every=2))
    assert result.frames == 4 * 12
    found = result.arithmetic
    assert found is not None
    assert found.gflop == gflop(config)
    denoising_ms = result.regions_ms["denoise"] + result.regions_ms["clean"]
    assert found.rate == pytest.approx(1000 * found.gflop["block"] / denoising_ms)
    assert 0 < found.share < 1
    assert set(found.recaches_of_a_block) == {"keep", "refresh"}
    assert tuple(found.kinds_ms) == KINDS
    assert sum(found.kinds_ms.values()) == pytest.approx(result.block_ms.p50)
    assert found.kinds_ms["decoder"] == 0
    assert all(found.kinds_ms[kind] > 0 for kind in ("attention", "text", "linear", "norms", "copies", "rest"))


def test_prompts_and_weights_of_a_bare_model_are_its_own_and_the_same_again() -> None:
    state = torch.get_rng_state()
    made = []
    for prompt in ("a fox", "a fox", "a boat"):
        model = bare_model("tiny", preset("tiny"), device="cpu", precision="fp32")
        made.append(model.step(model.open(seed=1, conditioning=Conditioning(prompt=prompt))).latents)
    assert torch.equal(made[0], made[1])
    assert not torch.allclose(made[0], made[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_fields_are_changed_by_name() -> None:
    changes = {"layers": "5", "window_frames": "15", "shift": "2.5", "timesteps": "1000,500", "recache": "causal"}
    made = changed(preset("medium"), changes)
    sizes = replace(preset("medium").transformer, layers=5)
    wanted = replace(preset("medium"), transformer=sizes, window_frames=15, shift=2.5, recache="causal")
    assert made == replace(wanted, timesteps=(1000.0, 500.0))
    assert changed(made, {}) == made


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"depth": "5"}, "no field is called 'depth'; there are dim, "),
        ({"layers": "many"}, "layers: 'many' is not a number"),
        ({"timesteps": "1000,late"}, "timesteps: '1000,late' is not numbers"),
        ({"recache": "often"}, "recache must be one of"),
        ({"heads": "5"}, "head width"),
        ({"transformer": "none"}, "no field is called 'transformer'"),
    ],
)
def test_impossible_fields_are_refused(texts: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(preset("medium"), texts)


def test_the_arithmetic_of_the_medium_preset() -> None:
    counted = gflop(preset("medium"))
    assert counted["block"] == pytest.approx(57, abs=1)
    assert 0.5 < counted["recache 9"] / counted["block"] < 0.6
    assert 0.7 < counted["recache 12"] / counted["block"] < 0.8


def test_a_rate_is_that_of_the_best_try_and_the_median_sample() -> None:
    # Each try takes a second longer than the one before; the clock is asked before and after it.
    times = itertools.accumulate(itertools.chain.from_iterable((1, wait) for wait in itertools.count(1)))
    threads = torch.get_num_threads()
    meter = RateMeter(threads, lambda: float(next(times)))
    assert math.isnan(meter.rate(torch.float32, 1))
    meter.sample()
    assert torch.get_num_threads() == threads
    first = {"bf16": 1, "fp32": 4} if len(meter.read()) == 2 * len({1, threads}) else {"fp32": 1}
    for precision, seconds in first.items():
        assert meter.read()[f"{precision}, 1 thread"] == pytest.approx(2 * 1024**3 / seconds / 1e9)
    meter.sample()
    meter.sample()
    assert meter.read()[f"{next(iter(first))}, 1 thread"] < 2 * 1024**3 / 1e9


def test_the_layers_products_are_measured_one_by_one(small: Any) -> None:
    for dtype in (torch.bfloat16, torch.float32):
        found = own_products(small.config(), dtype)
        assert list(found) == ["18 x 48 x 144", "18 x 48 x 48", "18 x 48 x 96", "18 x 96 x 48"]
        assert min(found.values()) > 0


FEWER = {"recache": "causal", "sink_on_recache": "refresh", "recache_frames": 6}


def full_world(small: Any, config: GeneratorConfig) -> Any:
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    for _ in range(config.window_frames // config.block_frames + 1):
        generator.step(world)
    return generator, world


@pytest.mark.parametrize(("changes", "refreshed"), [({}, 12), (FEWER, 6)])
def test_both_kinds_of_recache_are_timed(
    small: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], refreshed: int
) -> None:
    from longtake.model.generation import recache

    generator, world = full_world(small, small.config(**changes))
    lengths = []
    plain = recache.rewrite
    monkeypatch.setattr(
        recache,
        "rewrite",
        lambda world, executor, latents, *rest: (
            lengths.append(latents.shape[1]),
            plain(world, executor, latents, *rest),
        ),
    )
    found = time_recaches(generator, world, clock=lambda: 0.0)
    assert lengths == [9, refreshed] * 5
    assert (found.keep_frames, found.refresh_frames) == (9, refreshed)
    assert found.keep is not None
    assert found.refresh is not None


@pytest.mark.parametrize("mode", ["none", "clear"])
def test_without_a_recache_there_is_none_to_time(small: Any, mode: str) -> None:
    found = time_recaches(*full_world(small, small.config(recache=mode)))
    assert (found.keep, found.refresh) == (None, None)


@pytest.mark.parametrize("execution", ["cpu", "eager"])
def test_attention_and_text_are_told_apart_and_marks_are_taken_off_again(small: Any, execution: str) -> None:
    config = small.config()
    generator = small.generator(config, execution=execution)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    layers = [*generator.transformer.layers, *getattr(generator.executor, "layers", ())]
    before = [world.cache.attention, *(layer.attention for layer in layers)]
    found = shares(generator, world, blocks=2)
    assert [world.cache.attention, *(layer.attention for layer in layers)] == before
    assert sum(found.values()) == pytest.approx(1)
    assert found["attention"] > 0
    assert found["text"] > 0
    assert found["decoder"] == 0
    assert world.block == 2


def test_marks_are_taken_off_after_an_error(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    before = world.cache.attention

    def fail() -> None:
        with marks(generator, world):
            assert world.cache.attention is not before
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert world.cache.attention is before


class Clock:
    """Seconds that pass only when something is made."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Takes 10 ms for a block and 30 ms for a cue, by its own clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cues: list[str] = []
        self.steps = 0
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="clocked", height=2, width=2, fps=16, block_frames=4, first_block_frames=1, window_blocks=4
        )

    def open(self, *, seed: int, conditioning: Conditioning) -> str:
        self.clock.now += 1.0
        return conditioning.prompt

    def prepare(self, conditioning: Conditioning) -> None:
        raise AssertionError("the benchmark prepares nothing")

    def cue(self, world: World, conditioning: Conditioning) -> None:
        self.clock.now += 0.030
        self.cues.append(conditioning.prompt)

    def step(self, world: World) -> Any:
        self.clock.now += 0.010
        self.steps += 1
        step_ms = {"denoise": 8.0, "recache": 25.0, "decode": 0.0}
        return argparse.Namespace(index=self.steps - 1, step_ms=step_ms, timings_ms={**step_ms, "decode": 1.5})

    def snapshot(self, world: World, exact: bool = False) -> Any:
        raise AssertionError("the benchmark saves nothing")

    def restore(self, data: bytes) -> World:
        raise AssertionError("the benchmark restores nothing")

    def read(self, frames: Any) -> Any:
        raise AssertionError("the benchmark reads nothing")

    def close(self, world: World) -> None:
        self.closed = True


def test_bench_by_a_clock_that_is_known() -> None:
    clock = Clock()
    model = Model(clock)
    result = bench(model, BenchConfig(blocks=8, warmup_blocks=3, cue_every=4), clock=clock)
    assert model.steps == 1 + 3 + 8
    assert model.closed
    assert len(model.cues) == 2
    assert model.cues[0] != model.cues[1]
    assert result.first_block_ms == pytest.approx(1010)
    assert result.frames == 32
    assert result.seconds == pytest.approx(8 * 0.010 + 2 * 0.030)
    assert result.fps == pytest.approx(32 / 0.14)
    assert result.block_ms.max == pytest.approx(10)
    assert result.cue_ms.p50 == pytest.approx(30)
    assert result.recache_ms == 25
    assert result.regions_ms == {"denoise": 8.0, "recache": 25.0, "decode": 1.5}


def test_a_benchmark_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one block"):
        BenchConfig(blocks=0)
