"""Jitter and percentiles of a live session."""

import math
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from longtake.model.evaluation.bench import Spread
from longtake.protocol.messages import Axis, InputAck
from longtake.runtime.cli import bench_live


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


class SteeredWorld:
    """A world as the hand sees it: inputs are answered at once, with the tick they get."""

    def __init__(self) -> None:
        axes = [Axis(name="horn", low=0.0, button=True), Axis(name="lift", low=-0.5)]
        self.info = SimpleNamespace(model=SimpleNamespace(axes=axes))
        self.tick = 0
        self.inputs: list[dict[str, float]] = []
        self.reported: list[tuple[Any, float]] = []

    def ask_input(self, axes: dict[str, float]) -> "Future[InputAck]":
        self.inputs.append(axes)
        answer: Future[InputAck] = Future()
        answer.set_result(InputAck(request=1, world="w", generation=0, block=2, tick=self.tick, axes=axes))
        return answer

    def displayed(self, cue: Any, latency_ms: float) -> None:
        self.reported.append((cue, latency_ms))


def test_a_hand_moves_a_stick_and_sees_its_first_picture() -> None:
    world = SteeredWorld()
    hand = bench_live.Hand(world, bench_live.LiveConfig(seconds=10, input_every_s=1.0))  # type: ignore[arg-type]
    assert hand.arrived(0, 0.0) == []
    world.tick, now = 12, 0.0
    while not world.inputs:
        hand.move(now)
        now += 0.25
    sent = now - 0.25
    assert 0.5 <= sent <= 1.75
    assert world.inputs[0].get("lift") in (-0.5, 0.0, 1.0)
    hand.move(now + 10)
    assert len(world.inputs) == 1, "one is under way"
    assert hand.arrived(11, sent + 0.1) == []
    assert hand.arrived(12, sent + 0.2) == [pytest.approx(200)]
    assert hand.arrived(13, sent + 0.3) == []
    assert world.reported == [(None, pytest.approx(200))]
