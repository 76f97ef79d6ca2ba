"""docs/scenarios.md against the code: every field of every part, and an example that loads."""

import re
from pathlib import Path

import msgspec
import pytest

from longtake.protocol.keys import PLAYER_KEYS
from longtake.scenarios.loading import load
from longtake.scenarios.schema import EventSpec, Expectations, Moment, Scenario, SlotSpec

PAGE = (Path(__file__).parents[2] / "docs/scenarios.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("## The file", Scenario),
        ("### A slot", SlotSpec),
        ("### An event", EventSpec),
        ("### An entry of the timeline", Moment),
        ("### Expectations", Expectations),
    ],
)
def test_every_field_is_in_its_table(heading: str, part: type[msgspec.Struct]) -> None:
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n##", 1)[0]
    named = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert set(named) == set(part.__struct_fields__)


def test_the_example_loads_and_its_timeline_is_as_told(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "lighthouse.yaml"
    path.write_text(example, encoding="utf-8")
    cues = load(path).cues(16)
    assert [(cue.tick // 16, cue.text) for cue in cues] == [
        (6, "night"),
        (10, "fog"),
        (18, "clear"),
        (24, "the same boat at dawn"),
    ]


def test_the_player_s_keys_are_named() -> None:
    assert {"space", "enter", "escape", "tab", "/", ".", "f1", "f12"} <= PLAYER_KEYS
    assert "Space, Enter, Escape, Tab, `/`, `.` and F1 to F12" in PAGE
