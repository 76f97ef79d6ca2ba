"""Running a scenario against the real server, and judging what came of it."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from longtake.clients.session import World
from longtake.protocol import messages as m
from longtake.protocol.errors import Refused
from longtake.runtime.server.limits import Limits
from longtake.scenarios.errors import ScenarioError
from longtake.scenarios.report import Check
from longtake.scenarios.runner import judge, model_for, run_scenario
from longtake.scenarios.schema import EventSpec, Expectations, Moment, Scenario, SlotSpec, TimedCue
from tests.clients.real_server import PaintedModel, RealServer, real_server
from tests.reach import reach

SCENARIO = Scenario(
    name="test",
    seed=11,
    template="a fox {time}",
    slots={"time": SlotSpec(default="day", values={"day": "by day", "night": "at night"})},
    events={"night": EventSpec(set={"time": "night"}), "day": EventSpec(set={"time": "day"})},
    timeline=[Moment(at="1s", event="night"), Moment(tick=30, prompt="a bird at night", labels={"time": "night"})],
    seconds=6,
    expect=Expectations(adherence_min={"time": 0.9}),
)
READER = PaintedModel().announced
BLIND = replace(READER, capabilities=[])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path) as real:
        yield real


@pytest.mark.parametrize("mode", ["lockstep", "offline"])
def test_a_run_sends_every_cue_with_its_tick_before_the_world_starts(server: RealServer, mode: Any) -> None:
    seen: list[tuple[int, int]] = []
    report = run_scenario(SCENARIO, reach(server), mode=mode, progress=lambda *at: seen.append(at))
    opened = server.got["open"][0]
    assert (opened.seed, opened.mode, opened.readings, opened.script.name) == (11, mode, True, "test")
    assert [event.at_tick for event in server.got["event"]] == [16]
    assert [prompt.at_tick for prompt in server.got["prompt"]] == [30]
    assert [(cue.name, cue.asked_tick, cue.tick) for cue in report.cues] == [
        ("night", 16, 16),
        ("a bird at night", 30, 32),
    ]
    assert seen[-1] == (96, 96)
    assert (report.fps, report.held, report.latency_ms) == (None, None, None)
    assert report.passed
    assert report.adherence["time"].share == 1.0
    deadline = time.monotonic() + 5
    while server.worlds and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.worlds == [], "the world was closed"


def test_one_scenario_and_seed_show_the_same_frames_in_lockstep_and_offline(server: RealServer) -> None:
    modes: list[m.Mode] = ["lockstep", "offline"]
    reports = [run_scenario(SCENARIO, reach(server), mode=mode) for mode in modes]
    assert reports[0].frames_digest is not None
    assert reports[0].frames_digest == reports[1].frames_digest


def test_a_live_run_measures_rate_underruns_and_latency(server: RealServer) -> None:
    # loose limits: what is measured is tested here, not the speed of this machine
    live = replace(SCENARIO, expect=Expectations(fps_min=1, held_max=1000, latency_ms_max=60_000))
    report = run_scenario(live, reach(server))
    outcomes = {check.name: check.outcome for check in report.checks}
    assert outcomes == {"fps": "passed", "held": "passed", "latency_ms": "passed"}
    assert report.passed
    assert report.frames_digest is None
    assert [event.at_tick for event in server.got["event"]] == [16, None, None]
    assert len(server.got["displayed"]) == 2


def test_a_picture_that_does_not_follow_fails_the_run(server: RealServer) -> None:
    server.model.labels = {"time": "day"}
    report = run_scenario(SCENARIO, reach(server), mode="lockstep")
    assert not report.passed
    assert report.adherence["time"].share < 0.5


def test_seconds_and_seed_can_be_overridden_and_the_take_recorded(server: RealServer) -> None:
    report = run_scenario(SCENARIO, reach(server), mode="lockstep", seconds=1.5, seed=99, record="a.take")
    assert (report.ticks, len(report.cues)) == (24, 1)
    assert server.got["open"][0].seed == 99
    actions = [control.action for control in server.got["control"]]
    assert (actions[0], actions[-2:]) == ("record_start", ["record_stop", "close"])


def test_a_take_that_a_full_disk_ended_costs_the_run_but_not_its_report(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(world: World) -> m.Done:
        raise Refused("recording", "no space left on device")

    monkeypatch.setattr(World, "record_stop", full)
    report = run_scenario(SCENARIO, reach(server), mode="lockstep", seconds=1.5, record="a.take")
    assert (report.ticks, report.passed) == (24, False)
    assert "no space left on device" in report.lines()[-1]


def test_cues_refused_as_too_fast_are_sent_again(tmp_path: Path) -> None:
    # opening the world takes one of the two
    with real_server(tmp_path, limits=Limits(cue_burst=2)) as server:
        report = run_scenario(SCENARIO, reach(server), mode="lockstep")
        assert [cue.tick for cue in report.cues] == [16, 32]
        assert len(server.got["prompt"]) > 1


def test_what_the_model_cannot_do_is_refused_before_anything_runs() -> None:
    with pytest.raises(ScenarioError, match=r"expect.adherence_min: .*'reading'"):
        model_for(SCENARIO, [BLIND])
    with pytest.raises(ScenarioError, match="no 'diorama'; it has longlive"):
        model_for(SCENARIO, [replace(READER, name="longlive")])
    assert model_for(replace(SCENARIO, expect=Expectations()), [BLIND]) is BLIND


def test_a_scenario_may_be_given_by_name(server: RealServer) -> None:
    report = run_scenario("harbour-watch", reach(server), seconds=1, mode="lockstep")
    assert report.scenario == "harbour-watch"


def test_a_file_that_is_missing_is_said_before_connecting(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such scenario file"):
        run_scenario(tmp_path / "x.yaml", "tcp://127.0.0.1:1")


# --- judging -----------------------------------------------------------------------------------------------


def reading(tick: int, label: str) -> m.Reading:
    return m.Reading(world="w", generation=0, block=tick // 4, tick=tick, labels={"time": label}, confidence={})


def test_blocks_are_judged_from_three_seconds_after_a_change_on() -> None:
    cues = [TimedCue(100, "event", "night", "night", {"time": "night"})]
    readings = [reading(tick, "day") for tick in range(0, 148, 4)] + [
        reading(tick, "night") for tick in range(148, 200, 4)
    ]
    judged = judge(SCENARIO, cues, [100], readings, 16)["time"]
    assert judged.blocks == 25 + 13, "25 before the cue, none while it settles, 13 after"
    assert judged.share == 1.0


def test_a_cue_about_something_else_does_not_stop_the_judging() -> None:
    cues = [TimedCue(100, "event", "rain", "rain", {"time": "day", "weather": "rain"})]
    assert judge(SCENARIO, cues, [100], [reading(tick, "day") for tick in range(0, 200, 4)], 16)["time"].blocks == 50


def test_nothing_is_judged_where_nothing_is_said() -> None:
    cues = [TimedCue(0, "prompt", "a fox", "", {})]
    assert judge(SCENARIO, cues, [0], [reading(tick, "day") for tick in range(0, 200, 4)], 16) == {}


def test_checks() -> None:
    assert Check.least("fps", 15, 15).outcome == "passed"
    assert Check.least("fps", 15, 14.9).outcome == "failed"
    assert Check.most("held", 0, 0).outcome == "passed"
    assert Check.most("held", 0, 1).outcome == "failed"
    assert Check.most("held", 0, None).outcome == "not measured"


def test_the_report_reads_as_a_table_and_as_json(server: RealServer) -> None:
    report = run_scenario(SCENARIO, reach(server), mode="lockstep")
    text = "\n".join(report.lines())
    assert "a bird at night" in text
    assert "adherence.time" in text
    data = json.loads(report.json())
    assert data["passed"] is True
    assert data["checks"][0] == msgspec.to_builtins(report.checks[0])


STEERED = Scenario(
    name="steered",
    template="a fox",
    timeline=[
        Moment(at="1s", input={"speed": 1, "lift": 0}),
        Moment(tick=30, input={"speed": -0.5}),
        Moment(tick=40, prompt="a bird"),
    ],
    seconds=4,
)


@pytest.fixture
def steerable(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path, axes=True) as real:
        yield real


def test_inputs_are_sent_with_their_ticks_and_give_the_same_frames_in_every_mode(steerable: RealServer) -> None:
    modes: list[m.Mode] = ["lockstep", "offline"]
    reports = [run_scenario(STEERED, reach(steerable), mode=mode) for mode in modes]
    sent = [(message.axes, message.at_tick) for message in steerable.got["input"]]
    assert sent == [({"speed": 1.0, "lift": 0.0}, 16), ({"speed": -0.5}, 30)] * 2
    assert reports[0].frames_digest is not None
    assert reports[0].frames_digest == reports[1].frames_digest
    still = run_scenario(replace(STEERED, timeline=STEERED.timeline[2:]), reach(steerable), mode="lockstep")
    assert still.frames_digest != reports[0].frames_digest


def test_an_input_that_the_model_cannot_take_is_refused_before_anything_runs(server: RealServer) -> None:
    with pytest.raises(ScenarioError, match=r"steered: timeline\[0\].input: diorama takes no input") as error:
        run_scenario(STEERED, reach(server), mode="lockstep")
    assert "\n" not in str(error.value)
    assert not server.got["open"]
    model = PaintedModel()
    model.config = dataclasses.replace(model.config, axes=True)
    too_far = replace(STEERED, timeline=[Moment(tick=3, input={"lift": 0.6})])
    with pytest.raises(ScenarioError, match=r"lift cannot be held at 0\.6; diorama has speed -1 to 1"):
        model_for(too_far, [model.announced])
    assert model_for(STEERED, [model.announced]).name == "diorama"
