"""The evaluation's arithmetic, its prompt files, and its course over a model with a scripted probe."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.errors import ConfigError
from longtake.model.evaluation.adherence import EvalPrompt, Score, evaluate, read_prompts, switched, write_prompts

PROMPT = EvalPrompt(
    text="a red fox", labels={"place": "city", "time": "day", "weather": "rain", "actor": "fox", "colour": "red"}
)


def test_wilson_interval_of_known_cases() -> None:
    # Computed from the formula by hand for 9 of 10 and 120 of 120.
    low, high = Score(hits=9, trials=10).interval
    assert (low, high) == (pytest.approx(0.596, abs=1e-3), pytest.approx(0.982, abs=1e-3))
    assert Score(hits=120, trials=120).interval[0] == pytest.approx(0.969, abs=1e-3)
    assert math.isnan(Score(hits=0, trials=0).rate)


def test_prompt_files_come_back(tmp_path: Path) -> None:
    partial = EvalPrompt(text="night", labels={"time": "night"})
    quoted = EvalPrompt(text='"The Long Way Home", by "night', labels={"time": "night"})
    prompts = [PROMPT, quoted, partial]
    write_prompts(tmp_path / "p.tsv", prompts)
    assert read_prompts(tmp_path / "p.tsv") == prompts
    crlf = (tmp_path / "p.tsv").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "crlf.tsv").write_bytes(b"\xef\xbb\xbf" + crlf)
    assert read_prompts(tmp_path / "crlf.tsv") == prompts
    assert "\t?\t" in (tmp_path / "p.tsv").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt\tplace\n", "lacks the column time"),
        ("prompt\tplace\ttime\tweather\tactor\tcolour\n", "has no prompts"),
        ("prompt\tplace\ttime\tweather\tactor\tcolour\nx\tmoon\t?\t?\t?\t?\n", "line 2: place 'moon' is not one of"),
        ("prompt\tplace\ttime\tweather\tactor\tcolour\n\tcity\t?\t?\t?\t?\n", "line 2: the prompt is empty"),
    ],
)
def test_bad_prompt_files_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.tsv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_prompts(tmp_path / "p.tsv")
    with pytest.raises(ConfigError, match="cannot read"):
        read_prompts(tmp_path / "missing.tsv")


def test_a_switch_keeps_the_actor_and_changes_the_rest() -> None:
    other = switched(PROMPT, 4)
    assert other is not None
    assert {k for k in SCORED if other.labels[k] == PROMPT.labels[k]} == {"actor", "colour"}
    assert switched(EvalPrompt(text="x", labels={"actor": "fox"}), 0) is None


def test_the_default_prompts_name_every_kind_evenly() -> None:
    import longtake.model.evaluation as package

    prompts = read_prompts(Path(package.__file__).parent / "prompts.tsv")
    assert len(prompts) == 60
    for kind in SCORED:
        counts = [sum(p.labels[kind] == label for p in prompts) for label in LABELS[kind]]
        assert min(counts) >= 60 // len(LABELS[kind]) - 1


class Actor:
    """A model whose frames carry their prompt's number, and whose probe reads them back, a late fox as a bird."""

    def __init__(self) -> None:
        self.info = SimpleNamespace(fps=16, block_frames=4)
        self.generator = self
        self.prompts: list[str] = []

    def open(self, *, seed: list[int], prompt: list[str]) -> Any:
        return SimpleNamespace(block=0, prompt=list(prompt))

    def step(self, world: Any) -> Any:
        world.block += 1
        for prompt in world.prompt:
            if prompt not in self.prompts:
                self.prompts.append(prompt)
        codes = torch.tensor([[self.prompts.index(p), world.block] for p in world.prompt], dtype=torch.uint8)
        return SimpleNamespace(frames=codes[:, None, None, None, :].expand(-1, 4, 1, 1, 2))

    def snapshot(self, world: Any, exact: bool) -> Any:
        return SimpleNamespace(block=world.block, prompt=list(world.prompt))

    def restore(self, snapshot: Any) -> Any:
        return SimpleNamespace(block=snapshot.block, prompt=list(snapshot.prompt))

    def cue(self, world: Any, prompt: list[str]) -> None:
        world.prompt = prompt

    def close(self, world: Any) -> None:
        world.prompt = []

    def read(self, frames: torch.Tensor) -> tuple[dict[str, str], dict[str, float]]:
        assert frames.shape[0] == 8
        code, block = frames[-1, 0, 0].tolist()
        labels = dict(PROMPT.labels)
        if self.prompts[code] != PROMPT.text:
            labels |= (switched(PROMPT, 0) or PROMPT).labels
        elif block > 40:
            labels["actor"] = "bird"
        return labels, dict.fromkeys(labels, 1.0)


def test_evaluation_reads_at_5_s_at_15_s_and_after_a_switch() -> None:
    tally = evaluate(Actor(), [PROMPT], [0, 1])  # type: ignore[arg-type]
    scores = {name: (s.hits, s.trials) for name, s in tally.scores().items()}
    assert {name for name in scores if name.startswith("5s.")} == {f"5s.{kind}" for kind in SCORED}
    assert all(scores[f"5s.{kind}"] == (2, 2) for kind in SCORED)
    assert scores["15s.actor"] == (0, 2)
    assert scores["15s.colour"] == (2, 2)
    assert all(scores[f"switch.{kind}"] == (2, 2) for kind in SCORED)
    assert [m["read"] for m in tally.misses] == ["bird", "bird"]
