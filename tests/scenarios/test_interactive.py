"""LongLive's interactive prompt files."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from longtake.protocol.messages import ModelInfo
from longtake.scenarios.errors import ScenarioError
from longtake.scenarios.interactive import SWITCH_LATENTS, first_tick, read_prompts, takes_of
from longtake.scenarios.loading import problems
from longtake.scenarios.schema import Scenario

DIORAMA = ModelInfo(name="diorama", height=96, width=160, fps=16, block_frames=4, first_block_frames=4, window_blocks=9)
LONGLIVE = replace(DIORAMA, name="longlive-1.3b", height=480, width=832, block_frames=12, first_block_frames=9)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "two takes.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def takes(
    path: Path, model: ModelInfo, *, switch_latents: tuple[int, ...] = SWITCH_LATENTS, seed: int = 0
) -> list[Scenario]:
    return takes_of(read_prompts(path, switch_latents=switch_latents), model, seed=seed)


def test_latent_frames_become_ticks() -> None:
    assert [first_tick(latent, LONGLIVE) for latent in (0, 1, 3, 40)] == [0, 1, 9, 157]
    assert [first_tick(latent, DIORAMA) for latent in (0, 1, 3, 40)] == [0, 4, 12, 160]


def test_each_line_is_a_take_with_the_switches_where_they_are_asked_for(tmp_path: Path) -> None:
    six = [f"scene {n}" for n in range(6)]
    path = write(tmp_path, json.dumps({"prompts": six}), "", json.dumps({"prompts": ["a", "b {braces}"]}))
    first, second = takes(path, LONGLIVE, seed=5)
    assert (first.name, first.model, first.seed, first.template) == ("two-takes-1", "longlive-1.3b", 5, "scene 0")
    assert [cue.tick for cue in first.cues(16)] == [157, 317, 477, 637, 797]
    assert [cue.text for cue in first.cues(16)] == six[1:]
    assert first.seconds * 16 == 957
    assert second.name == "two-takes-3"
    assert second.cues(16)[0].text == "b {braces}"
    assert list(problems(first)) == list(problems(second)) == []


def test_braces_in_the_first_prompt_name_no_slots(tmp_path: Path) -> None:
    (take,) = takes(write(tmp_path, json.dumps({"prompts": ["a {fox}"]})), DIORAMA)
    assert take.template == "a (fox)"
    assert list(problems(take)) == []


def test_switches_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"prompts": ["a", "b", "c"]}))
    (take,) = takes(path, DIORAMA, switch_latents=(3, 9))
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
        takes(write(tmp_path, line), DIORAMA)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    raw = '{"prompts": ["a\u2028fox\x85runs", "b"]}'
    path = tmp_path / "takes.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{raw}\r\n\r\n{raw}".encode())
    file = read_prompts(path)
    assert [(line.number, line.prompts) for line in file.lines] == [(1, ("a fox runs", "b")), (3, ("a fox runs", "b"))]


def test_plain_text_is_one_prompt_a_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa fox, at dawn\r\n\n  a \u201cbird\u201d\u2029over {the} sea \n".encode())
    one, two = takes(path, DIORAMA, seed=3)
    assert (one.name, one.template, one.seed, one.seconds) == ("prompts-1", "a fox, at dawn", 3, 10)
    assert (two.name, two.template) == ("prompts-3", "a \u201cbird\u201d over (the) sea")
    assert not one.timeline
    assert list(problems(one)) == list(problems(two)) == []


def test_a_text_file_may_hold_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text('\n{"prompts": ["a", "b"]}\n', encoding="utf-8")
    assert read_prompts(path).lines[0].prompts == ("a", "b")
    path.write_text('{"prompts": ["a", "b"]}\na fox', encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"prompts\.txt:2: not JSON"):
        read_prompts(path)


@pytest.mark.parametrize("line", ["\u200b", "x" * 2001, "\ufe0f"], ids=["zero width", "long", "mark"])
def test_plain_prompts_are_checked(tmp_path: Path, line: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(f"a fox\n{line}", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"prompts\.txt:2: expected a text of 1 to 2000 visible characters"):
        read_prompts(path)


def test_files_that_hold_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfea\0")
    with pytest.raises(ScenarioError, match=r"a\.txt: not UTF-8 text"):
        read_prompts(tmp_path / "a.txt")
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        read_prompts(tmp_path)


@pytest.mark.parametrize("switches", [(0, 4), (8, 4), (4, 4), (-1,)])
def test_switches_rise(tmp_path: Path, switches: tuple[int, ...]) -> None:
    with pytest.raises(ScenarioError, match="rising positive"):
        takes(write(tmp_path, "{}"), DIORAMA, switch_latents=switches)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none.jsonl: cannot be read"):
        takes(tmp_path / "none.jsonl", DIORAMA)


def test_files_that_were_put_together_have_byte_order_marks_within(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\ufeff{"prompts": ["a"]}\n\ufeff{"prompts": ["b"]}\n', encoding="utf-8")
    assert [line.prompts for line in read_prompts(tmp_path / "a.jsonl").lines] == [("a",), ("b",)]
    (tmp_path / "b.txt").write_text('\ufeff\n\ufeff{"prompts": ["a"]}\n', encoding="utf-8")
    assert [line.prompts for line in read_prompts(tmp_path / "b.txt").lines] == [("a",)]


def test_a_file_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a fox", encoding="utf-16")
    with pytest.raises(ScenarioError, match=r"a\.txt: not UTF-8 text; save it as UTF-8"):
        read_prompts(tmp_path / "a.txt")
