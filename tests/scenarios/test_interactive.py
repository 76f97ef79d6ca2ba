"""LongLive's interactive prompt files."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from longtake.protocol.messages import ModelInfo
from longtake.scenarios.interactive import first_tick, load_interactive
from longtake.scenarios.loading import ScenarioError, problems

DIORAMA = ModelInfo(name="diorama", height=96, width=160, fps=16, block_frames=4, first_block_frames=4, window_blocks=9)
LONGLIVE = replace(DIORAMA, name="longlive-1.3b", height=480, width=832, block_frames=12, first_block_frames=9)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "two takes.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_latent_frames_become_ticks() -> None:
    assert [first_tick(latent, LONGLIVE) for latent in (0, 1, 3, 40)] == [0, 1, 9, 157]
    assert [first_tick(latent, DIORAMA) for latent in (0, 1, 3, 40)] == [0, 4, 12, 160]


def test_each_line_is_a_take_with_the_switches_where_they_are_asked_for(tmp_path: Path) -> None:
    six = [f"scene {n}" for n in range(6)]
    path = write(tmp_path, json.dumps({"prompts": six}), "", json.dumps({"prompts": ["a", "b {braces}"]}))
    first, second = load_interactive(path, LONGLIVE, seed=5)
    assert (first.name, first.model, first.seed, first.template) == ("two-takes-1", "longlive-1.3b", 5, "scene 0")
    assert [cue.tick for cue in first.cues(16)] == [157, 317, 477, 637, 797]
    assert [cue.text for cue in first.cues(16)] == six[1:]
    assert first.seconds * 16 == 957
    assert second.name == "two-takes-3"
    assert second.cues(16)[0].text == "b {braces}"
    assert list(problems(first)) == list(problems(second)) == []


def test_braces_in_the_first_prompt_name_no_slots(tmp_path: Path) -> None:
    (take,) = load_interactive(write(tmp_path, json.dumps({"prompts": ["a {fox}"]})), DIORAMA)
    assert take.template == "a (fox)"
    assert list(problems(take)) == []


def test_switches_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"prompts": ["a", "b", "c"]}))
    (take,) = load_interactive(path, DIORAMA, switch_latents=(3, 9))
    assert [cue.tick for cue in take.cues(16)] == [12, 36]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":1: not JSON"),
        ("[]", ":1: prompts: expected"),
        ('{"prompts": []}', ":1: prompts: expected"),
        ('{"prompts": ["a", 3]}', ":1: prompts[1]: expected a text"),
        ('{"prompts": ["a", " "]}', ":1: prompts[1]: expected a text"),
        (json.dumps({"prompts": ["x"] * 7}), "7 prompts need 6 switches, there are 5"),
        ("", "no line with prompts"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_interactive(write(tmp_path, line), DIORAMA)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("switches", [(0, 4), (8, 4), (4, 4), (-1,)])
def test_switches_rise(tmp_path: Path, switches: tuple[int, ...]) -> None:
    with pytest.raises(ScenarioError, match="rising positive"):
        load_interactive(write(tmp_path, "{}"), DIORAMA, switch_latents=switches)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none.jsonl: cannot be read"):
        load_interactive(tmp_path / "none.jsonl", DIORAMA)
