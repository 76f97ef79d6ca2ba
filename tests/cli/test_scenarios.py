"""`longtake scenarios`: the library, its files and its suggestions."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from longtake.scenarios.loading import library

Call = Callable[..., Any]


def test_the_library_is_listed_with_a_line_each(call: Call) -> None:
    called = call("scenarios")
    assert called.code == 0
    lines = called.out.splitlines()
    for name, scenario in library().items():
        assert any(line.startswith(name) and scenario.title in line for line in lines)


def test_programs_get_all_of_it(call: Call) -> None:
    listed = json.loads(call("scenarios", "--json").out)
    assert [one["name"] for one in listed] == list(library())
    assert all(one["events"] and one["description"] for one in listed)


def test_one_scenario_and_its_file(call: Call) -> None:
    told = call("scenarios", "night-train").out
    assert told.startswith("Night Train: ")
    assert "\n  1      city\n" in told
    shown = call("scenarios", "night-train", "--show").out
    assert msgspec.yaml.decode(shown)["name"] == "night-train"


def test_a_wrong_name_gets_the_nearest_one(call: Call) -> None:
    assert call("scenarios", "nigth-train", "--show").line.endswith("did you mean night-train?")
    assert "needs a name" in call("scenarios", "--show").line
