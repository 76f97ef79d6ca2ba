"""The small parts: times, tables, JSON, jitter, figures."""

import argparse
import json
import math
from typing import Any

import pytest

from longtake.model.errors import ConfigError
from longtake.model.evaluation.bench import BenchConfig, Spread, bench
from longtake.model.evaluation.self_check import run_self_check
from longtake.runtime.cli import arguments, bench_live
from longtake.runtime.cli.bench import shown
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import unknown


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("2.5s", 2.5), ("1m30s", 90), ("3m", 180), ("0", 0)])
def test_times(text: str, expected: float) -> None:
    assert arguments.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-1", "5 s", "1h", "nan", "inf", "1e3"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time"):
        arguments.seconds(text)


@pytest.mark.parametrize("text", ["-1", "1.5", "", "9223372036854775808", "99999999999999999999"])
def test_what_is_no_seed(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.seed(text)
    assert arguments.seed(str(arguments.MAX_SEED)) == arguments.MAX_SEED


def test_a_table_has_straight_columns() -> None:
    lines = table([["name", "n"], ["a", "10"], ["long one", "2"]], right=(1,)).splitlines()
    assert lines == ["name       n", "--------  --", "a         10", "long one   2"]


def test_json_is_json_whatever_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [1.5, math.inf], "c": {"d": None}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": None}}


def test_suggestions() -> None:
    assert unknown("model", "diorma", ["diorama", "x"]) == (
        "no model is called 'diorma'; there are: diorama, x; did you mean diorama?"
    )
    assert "mean" not in unknown("model", "qqq", ["diorama"])


def test_figures_for_people() -> None:
    assert shown({"p50": 1.234, "p95": math.nan, "max": None}) == "p50 1.23, p95 -, max -"
    assert shown(12345.6) == "12346"
    assert shown({}) == "-"


def test_jitter_is_the_distance_from_an_even_grid() -> None:
    even = [10 + index / 16 for index in range(40)]
    assert max(bench_live.jitter_ms(even, 16)) == pytest.approx(0, abs=1e-6)
    late = even.copy()
    late[7] += 0.004
    assert max(bench_live.jitter_ms(late, 16)) == pytest.approx(4)
    with_a_gap = even[:10] + even[15:]
    assert max(bench_live.jitter_ms(with_a_gap, 16)) == pytest.approx(0, abs=1e-6), "a skipped deadline is none"
    assert bench_live.jitter_ms(even[:2], 16) == []


def test_spreads_are_observed_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert bench_live.Spread.of(values) == bench_live.Spread(p50=50, p95=95, max=100, count=100)
    assert bench_live.Spread.of([]) == bench_live.Spread(p50=None, p95=None, max=None, count=0)
    assert Spread.of(values) == Spread(p50=50, p95=95, max=100)
    assert math.isnan(Spread.of([]).p50)


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

    def open(self, *, seed: int, prompt: str) -> str:
        self.clock.now += 1.0
        return prompt

    def cue(self, world: str, prompt: str) -> None:
        self.clock.now += 0.030
        self.cues.append(prompt)

    def step(self, world: str) -> Any:
        self.clock.now += 0.010
        self.steps += 1
        frames = argparse.Namespace(shape=(1, 4, 2, 2, 3))
        step_ms = {"denoise": 8.0, "recache": 25.0, "decode": 0.0}
        return argparse.Namespace(frames=frames, step_ms=step_ms, timings_ms={**step_ms, "decode": 1.5})

    def close(self, world: str) -> None:
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


def test_the_self_check_passes_here_and_notices_wrong_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from longtake.model.evaluation import self_check

    results = list(run_self_check("cpu"))
    assert len(results) == 16  # for both kinds of positions: 5 plain, fp8 and int8 maps, fp8 keys and values
    assert all(result.passed for result in results), [result.summary() for result in results]

    monkeypatch.setattr(self_check, "run_case", lambda case, config, weights, **how: spoiled(case, config, weights))

    def spoiled(case: Any, config: Any, weights: Any) -> Any:
        from longtake.model.evaluation.conformance import run_case

        return run_case(case, config, {**weights, "head.head.bias": weights["head.head.bias"] + 0.1})

    assert not next(run_self_check("cpu")).passed
