"""Prompt lists filmed under VBench's names, with the engine's small fake model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.model.locks import locked
from longtake.runtime.cli.vbench import file_name

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def films(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_list_is_filmed_as_vbench_names_it(call: Call, fake: list[str]) -> None:
    Path("color.txt").write_text("a red bus.\n\na blue bus\na red bus.\n", encoding="utf-8")
    Path("long.txt").write_text("a red bus drives\n\na blue bus stands\na red bus drives\n", encoding="utf-8")
    arguments = ["eval", "vbench", "color.txt", "--extended", "long.txt", "--samples", "2", "--seconds", "0.5"]
    called = call(*arguments, "--seed", "7", "--output", "out", "--json", *fake)
    assert called.code == 0, called.err
    names = ["a blue bus-0.mp4", "a blue bus-1.mp4", "a red bus.-0.mp4", "a red bus.-1.mp4"]
    assert films("out/color") == names
    entry = json.loads(Path("out/color.json").read_text(encoding="utf-8"))["films"]["a red bus.-1.mp4"]
    assert (entry["prompt"], entry["told"], entry["seed"], entry["frames"]) == ("a red bus.", "a red bus drives", 8, 8)
    assert entry["weights"] == "fake"
    told = json.loads(Path("out/color.prompts.json").read_text(encoding="utf-8"))
    assert told == {name: name.rsplit("-", 1)[0] for name in names}

    # what is there is kept, what is missing is made, and a film of another kind is not passed off as this one
    (Path("out/color") / names[0]).unlink()
    called = call(*arguments, "--seed", "7", "--output", "out", "--json", *fake)
    assert json.loads(called.out)["lists"][0]["made"] == 1
    called = call(*arguments, "--seed", "8", "--output", "out", *fake)
    assert called.code == 2
    assert "choose another --output" in called.line

    # nor are films of other weights put beside them
    account = Path("out/color.json")
    account.write_text(account.read_text(encoding="utf-8").replace('"fake"', '"older"'), encoding="utf-8")
    (Path("out/color") / names[0]).unlink()
    called = call(*arguments, "--seed", "7", "--output", "out", *fake)
    assert called.code == 2
    assert "films of weights older" in called.line
    assert films("out/color") == names[1:]


def test_two_commands_do_not_film_into_one_folder(call: Call, fake: list[str]) -> None:
    Path("color.txt").write_text("a red bus\n", encoding="utf-8")
    arguments = ["eval", "vbench", "color.txt", "--samples", "1", "--seconds", "0.5", "--output", "out", *fake]
    with locked(Path("out/color/.lock")):
        called = call(*arguments)
        assert called.code == 2
        assert "another longtake is filming into out/color: wait for it, or choose another --output" in called.line
    assert call(*arguments).code == 0
    assert films("out/color") == ["a red bus-0.mp4"]


def test_interactive_prompts_keep_their_cues(call: Call, fake: list[str]) -> None:
    line = json.dumps({"prompts": ["a fox", "a fox at night"]})
    Path("story.jsonl").write_text(line + "\n", encoding="utf-8")
    called = call(
        "eval", "vbench", "story.jsonl", "--switch-latents", "2", "--seconds", "1", "--output", "out", *fake
    )  # fmt: skip
    assert called.code == 0, called.err
    assert films("out/story") == ["story-1-0.mp4"]
    entry = json.loads(Path("out/story.json").read_text(encoding="utf-8"))["films"]["story-1-0.mp4"]
    assert [switch["prompt"] for switch in entry["switches"]] == ["a fox at night"]
    assert [cue["prompt"] for cue in entry["cues"]] == ["a fox", "a fox at night"]
    assert 0 < entry["cues"][1]["tick"] <= entry["switches"][0]["tick"] + 12


def test_names() -> None:
    assert file_name("a red bus", 3, "color-1") == "a red bus-3.mp4"
    assert file_name("half/half", 0, "color-2") == "color-2-0.mp4"
    assert file_name("x" * 250, 0, "color-3") == "color-3-0.mp4"
    assert file_name("x" * 249, 0, "color-3") == f"{'x' * 249}-0.mp4"


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (["none.txt"], "none.txt"),
        (["."], "no .txt"),
        (["film.mp4"], "film.mp4"),
        (["empty/color.txt"], "no prompts"),
        (["empty/color.txt", "empty/color.txt"], "same name"),
        (["one.txt", "--extended", "two.txt"], "line by line"),
        (["one.txt", "two.txt", "--extended", "two.txt"], "single .txt"),
    ],
)
def test_bad_lists_are_one_line(call: Call, fake: list[str], lists: list[str], said: str) -> None:
    Path("empty").mkdir()
    Path("empty/color.txt").write_text("\n", encoding="utf-8")
    Path("one.txt").write_text("a\n", encoding="utf-8")
    Path("two.txt").write_text("a\nb\n", encoding="utf-8")
    if lists == ["."]:
        for path in Path().glob("*.txt"):
            path.unlink()
    called = call("eval", "vbench", *lists, *fake)
    assert called.code == 2
    assert said in called.line
    assert not Path("renders").exists()
