"""The table for whoever has the card: its rows, its limit of time, the lines it writes, and its rehearsal."""

import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from longtake.runtime.cli.bench_history import read_history

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("h100_table", ROOT / "benchmarks" / "h100_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "h100_table", module)
    spec.loader.exec_module(module)
    return module


def asked(**changes: Any) -> Namespace:
    return Namespace(**{"rehearse": True, "before": "none", "only": [], "limit": 300.0, **changes})


GENERATOR = {
    "fps": 46.123,
    "block_ms": {"p50": 260.0},
    "cue_ms": {"p50": float("nan")},
    "regions_ms": {"denoise": 210.0, "decode": 8.0},
    "first_block_ms": 900.0,
}
LIVE = {
    "fps": 16.0,
    "frames_held": 1,
    "event_to_photon_ms": {"p50": 700.0},
    "block_ms": 255.0,
    "lead_frames": 8,
}


class Cards:
    """Stands for the processes: prints what they would."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[tuple[list[str], Mapping[str, str]]] = []
        self._failing = failing

    def __call__(self, argv: Sequence[str], environment: Mapping[str, str], limit_s: float) -> str:
        self.calls.append((list(argv), environment))
        if self._failing and self._failing in argv:
            raise RuntimeError("failed (1): out of memory")
        if "conformance" in argv:
            return json.dumps({"passed": False, "cases": [{"passed": True}, {"passed": False}]})
        return json.dumps(LIVE if "live" in argv else GENERATOR)


def results(table: ModuleType, run: Cards, **changes: Any) -> dict[str, Any]:
    options = asked(**changes)
    return {result.row.name: result for result in table.measure(table.rows_of(options), options, run)}


def test_every_row_runs_and_has_its_figures(table: ModuleType) -> None:
    cards = Cards()
    made = results(table, cards)
    assert not [result.problem for result in made.values() if result.problem]
    assert made["after, bf16"].figures == {
        "fps": 46.12,
        "block_p50_ms": 260.0,
        "denoise_ms": 210.0,
        "decode_ms": 8.0,
        "first_block_ms": 900.0,
    }
    assert made["conformance --self"].figures == {"passed": 1, "cases": 2}
    three = made["live, three worlds"].figures
    assert (three["worlds"], three["frames_held"], three["event_to_photon_p50_ms"]) == (3, 3, 700.0)
    seeds = [argv[-1] for argv, _ in cards.calls if "live" in argv]
    assert seeds == ["0", "0", "1", "0", "1", "2"]


def test_on_the_card_the_rows_differ_in_what_they_measure(table: ModuleType) -> None:
    rows = {row.name: row for row in table.rows_of(asked(rehearse=False, before="503ad10"))}
    assert "wan" in rows["after, bf16, Wan's decoder"].arguments
    assert "wan" not in rows["after, bf16"].arguments
    assert "fp8" in rows["after, FP8 linears"].arguments
    assert "--fast" in rows["after, FP8 linears, attention and ring"].arguments
    assert "full" in rows["before, bf16"].arguments
    assert {name for name, row in rows.items() if row.before} == {"before, bf16", "before, bf16, Wan's decoder"}
    assert len({row.arguments for row in rows.values() if not row.worlds}) == len(rows) - 3
    seconds = sum(float(row.arguments[-1]) for row in rows.values() if row.worlds)
    assert seconds == 100


def test_a_row_that_fails_says_so_and_the_rest_goes_on(table: ModuleType) -> None:
    made = results(table, Cards(failing="wan"))
    assert "out of memory" in table.table_line(made["after, bf16, Wan's decoder"])
    assert made["live, one world"].figures


def test_nothing_starts_when_the_time_is_over(table: ModuleType) -> None:
    cards = Cards()
    made = results(table, cards, limit=1.0)
    assert not cards.calls
    assert all("are over" in result.problem for result in made.values())


def test_a_row_that_is_not_there_is_named(table: ModuleType) -> None:
    with pytest.raises(SystemExit, match="no row 'bf16'; there are: conformance"):
        table.rows_of(asked(only=["bf16"]))


def test_its_lines_are_lines_of_the_history(table: ModuleType, tmp_path: Path) -> None:
    options = asked()
    made = results(table, Cards())
    path = tmp_path / "h.jsonl"
    lines = [table.history_line(result, options, "abcdef0", "a card") for result in made.values()]
    path.write_text("\n".join(lines), encoding="utf-8")
    runs = read_history(path)
    assert len(runs) == len(made)
    assert all("rehearsal" in run.note for run in runs)


def test_the_commit_before_is_run_from_a_checkout_of_its_own(
    table: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "checkout", lambda commit: table.contextlib.nullcontext({"PYTHONPATH": f"at {commit}"}))
    cards = Cards()
    results(table, cards, before="503ad10")
    assert [environment for argv, environment in cards.calls if environment] == 2 * [{"PYTHONPATH": "at 503ad10"}]


def test_what_a_process_said_last_is_the_problem(table: ModuleType) -> None:
    code = "import sys; print('first', file=sys.stderr); print('longtake: no card', file=sys.stderr); sys.exit(3)"
    with pytest.raises(RuntimeError, match=r"failed \(3\): longtake: no card"):
        table.run_process([sys.executable, "-c", code], {}, 30)
    failed = "import sys; print('{}'); sys.exit(1)"
    assert table.run_process([sys.executable, "-c", failed], {}, 30) == "{}\n", "a check that failed has figures"
    with pytest.raises(RuntimeError, match="not done after"):
        table.run_process([sys.executable, "-c", "import time; time.sleep(60)"], {}, 0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_rehearsal_runs(table: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "h.jsonl"
    only = ("--only", "after, bf16", "--only", "live, one world")
    code = table.main(["--rehearse", "--before", "none", *only, "--limit", "500", "--output", str(path)])
    assert code == 0, capsys.readouterr().out
    generator, live = read_history(path)
    assert generator.figures["fps"] > 0
    assert live.figures["worlds"] == 1
