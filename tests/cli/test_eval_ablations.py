"""`longtake eval ablations` on a model that paints grey squares: what is filmed, kept, taken up again, and refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from longtake.model.config import GeneratorConfig, preset
from longtake.model.errors import BackendError
from longtake.model.evaluation.ablations import conditions, takes
from longtake.model.evaluation.ablations.tables import ASKS
from longtake.model.evaluation.studio import Studio
from longtake.model.interface import ModelInfo
from longtake.runtime.cli.eval_ablations import ABLATIONS

Call = Callable[..., Any]
LABELS = {"place": "city", "time": "day", "weather": "rain", "actor": "fox", "colour": "red"}


@dataclass
class Painter:
    """Paints what it is told in one grey, a little lighter in every frame."""

    weights: str
    config: GeneratorConfig
    opened: list[str]
    under: str
    fails_at: int
    tick: int = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="diorama", height=8, width=8, fps=16, block_frames=4, first_block_frames=4, window_blocks=9,
            weights=self.weights, device="cpu", precision="fp32",
        )  # fmt: skip

    @property
    def generator(self) -> Any:
        return SimpleNamespace(config=self.config)

    def open(self, *, seed: int, conditioning: Any) -> Any:
        if len(self.opened) == self.fails_at:
            raise KeyboardInterrupt
        self.opened.append(f"{self.under} {self.weights} {seed}")
        return SimpleNamespace(tick=0)

    def cue(self, world: Any, conditioning: Any) -> None: ...

    def close(self, world: Any) -> None: ...

    def step(self, world: Any) -> Any:
        world.tick += 4
        return SimpleNamespace(frames=np.tile(painted(world.tick), (1, 1, 1, 1, 1)))

    def read(self, frames: Any) -> Any:
        return LABELS, {}


def painted(tick: int) -> Any:
    """Four frames [4, 8, 8, 3] with an edge, each a little lighter than the one before."""
    grey = 40 + np.arange(tick, tick + 4).reshape(4, 1, 1, 1) % 100
    frames = np.broadcast_to(grey, (4, 8, 8, 3)).astype(np.uint8)
    frames[:, 4:] += 50
    return frames


@dataclass
class Machine:
    """What the command loads in these tests, and what was filmed."""

    opened: list[str] = field(default_factory=list)
    fails_at: int = -1
    config: GeneratorConfig = field(default_factory=lambda: preset("diorama"))
    weights: str = "abc"

    def load(self, folder: Path, condition: Any, **given: Any) -> Painter:
        if condition.linear == "fp8":
            raise BackendError("no fp8 here")
        weights = folder.name if folder.name.startswith("w-") else self.weights
        return Painter(weights, condition.drive(self.config), self.opened, condition.name, self.fails_at)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(conditions, "load_under", machine.load)
    monkeypatch.setattr(takes, "QUICK", takes.Extent(takes=2, long_takes=1, long_s=20, sink_s=10))
    blocks = lambda count: np.concatenate([painted(4 * block) for block in range(count)])  # noqa: E731
    monkeypatch.setattr(Studio, "draw", lambda self, scene, seed, count, **kwargs: blocks(count))
    return machine


def test_every_ablation_is_filmed_once_and_the_tables_are_written(call: Call, machine: Machine, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "w-before"
    other.mkdir()
    called = call("eval", "ablations", "--quick", "--out", out, "--against", other, "--json")
    assert called.code == 0, called.err
    body = json.loads((out / "results.json").read_text())
    assert json.loads(called.out) == body
    assert {table["ablation"] for table in body["ablations"]} == set(ABLATIONS) == set(ASKS)
    by_name = {table["ablation"]: table for table in body["ablations"]}
    names = ["recache", "whole window", "late recache", "keep", "clear", "drawn"]
    assert [c["name"] for c in by_name["switch"]["conditions"]] == names
    assert [c["weights"] for c in by_name["long"]["conditions"]] == ["abc", "w-before"]
    assert by_name["precision"]["missing"] == {"fp8": "no fp8 here"}
    # recache, whole, late, keep, clear; once for 4 steps and fp32; 3 other steps, renoise, bf16, int8; as is, no sink,
    # others
    assert len(machine.opened) == 2 * 5 + 2 * 7 + 3
    for name in ("ablations.md", "ablations.html", "plots/switch-place.svg", "plots/sink-detail.svg"):
        assert (out / name).is_file()
    assert call("eval", "ablations", "--quick", "--out", out, "--against", other).code == 0
    assert len(machine.opened) == 27


def test_a_run_that_was_stopped_goes_on(call: Call, machine: Machine, tmp_path: Path) -> None:
    out, asked = tmp_path / "out", ("eval", "ablations", "--quick", "--only", "switch")
    machine.fails_at = 3
    assert call(*asked, "--out", out).code == 130
    assert len(machine.opened) == 3
    (table,) = json.loads((out / "results.json").read_text())["ablations"]
    assert [(c["name"], c["takes"]) for c in table["conditions"]] == [("recache", 2), ("drawn", 2)]
    machine.fails_at = -1
    called = call(*asked, "--out", out)
    assert called.code == 0, called.err
    names = ("as-is", "whole", "late", "keep", "clear")
    assert machine.opened == [f"{name} abc {seed}" for name in names for seed in (0, 1)]
    assert "| | recache | whole window | late recache | keep | clear | drawn |" in called.out
    # More takes add to it, and another ablation keeps the table of the first.
    assert call(*asked, "--out", out, "--seeds", "3").code == 0
    assert len(machine.opened) == 15
    assert call("eval", "ablations", "--quick", "--only", "sink", "--out", out).code == 0
    written = json.loads((out / "results.json").read_text())["ablations"]
    assert [table["ablation"] for table in written][:2] == ["switch", "sink"]


def test_parts_share_the_takes(call: Call, machine: Machine, tmp_path: Path) -> None:
    for number in ("1/2", "2/2"):
        asked = ("eval", "ablations", "--quick", "--only", "switch", "--out", tmp_path / "out", "--part", number)
        assert call(*asked).code == 0
        assert len(machine.opened) == (5 if number == "1/2" else 10)


def test_takes_of_another_model_or_configuration_are_refused(call: Call, machine: Machine, tmp_path: Path) -> None:
    asked = ("eval", "ablations", "--quick", "--only", "sink", "--out", tmp_path / "out")
    assert call(*asked).code == 0
    machine.config = takes.replace(machine.config, shift=3.0)
    assert "holds takes of other weights or settings" in call(*asked).line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "swich", "--out", "x"], "did you mean switch?"),
        ([], "--out"),
        (["--out", "x", "--model", "longlive-1.3b"], "filmed with diorama"),
        (["--out", "file.txt"], "file.txt is no folder"),
        (["--out", "x", "--against", "none"], "--against none: no such folder"),
        (["--out", "x", "--weights", "none"], "--weights none: no such folder"),
        (["--out", "x", "--weights", "."], "transformer.safetensors"),
        (["--out", "x", "--seeds", "0"], "at least 1"),
        (["--out", "letters"], "letters/takes is not empty"),
    ],
)
def test_bad_input_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "letters" / "takes").mkdir(parents=True)
    (tmp_path / "letters" / "takes" / "a.txt").write_text("")
    if said.startswith("letters"):
        monkeypatch.setattr(conditions, "load_under", Machine().load)
    called = call("eval", "ablations", *arguments)
    assert called.code == 2
    assert said in called.line
