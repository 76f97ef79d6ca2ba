"""Scenario files: what is read, what is refused and how the refusal is worded; and the files that ship."""

import textwrap
from pathlib import Path

import pytest

from longtake.protocol.keys import NAMED_KEYS
from longtake.runtime.world.prompt_state import PromptState
from longtake.scenarios.errors import ScenarioError, ScenarioNotFound
from longtake.scenarios.loading import library, load
from longtake.scenarios.schema import PROBE_LABELS, TimedInput, moment_ticks, seconds_of

GOOD = textwrap.dedent("""\
    name: test
    title: A Test
    seed: 3
    template: "a {colour} fox {time}"
    slots:
      time: {default: day, values: {day: by day, night: at night}}
      colour: {default: red}
    events:
      night: {key: n, label: night, set: {time: night}}
      day: {set: {time: day}}
    timeline:
      - {at: 1m30s, event: night, name: first}
      - {after: first, delay: 2.5s, prompt: a bird over the sea, labels: {actor: bird}}
      - {tick: 16, event: day}
    labels: {actor: fox}
    seconds: 120
    expect:
      fps_min: 15
      adherence_min: {time: 0.8, actor: 0.5}
""")


def write(folder: Path, text: str) -> Path:
    path = folder / "test.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_scenario_is_read_whole(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, GOOD))
    script = scenario.script()
    assert (script.name, script.title, script.template) == ("test", "A Test", "a {colour} fox {time}")
    assert {slot.name: slot for slot in script.slots}["time"].values == {"day": "by day", "night": "at night"}
    assert (script.events["night"].key, script.events["night"].set) == ("n", {"time": "night"})
    cues = scenario.cues(fps=16)
    assert [(cue.tick, cue.kind, cue.text) for cue in cues] == [
        (16, "event", "day"),
        (1440, "event", "night"),
        (1480, "prompt", "a bird over the sea"),
    ]
    assert cues[0].labels == {"time": "day", "colour": "red", "actor": "fox"}
    assert cues[1].labels == {"time": "night", "colour": "red", "actor": "fox"}
    assert cues[2].labels == {"actor": "bird"}


def test_inputs_of_the_timeline(tmp_path: Path) -> None:
    steered = GOOD.replace("event: night, name", "input: {speed: 1, lift: -0.5}, name", 1)
    scenario = load(write(tmp_path, steered))
    assert scenario.inputs(fps=16) == [TimedInput(1440, {"speed": 1.0, "lift": -0.5})]
    assert [cue.tick for cue in scenario.cues(fps=16)] == [16, 1480]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seed: 3", "sed: 3", "test.yaml:3: sed: is not a known key"),
        ("seed: 3", "seed: x", "test.yaml:3: seed: expected `int`, got `str`"),
        ("seed: 3", "seed: -1", "test.yaml:3: seed: expected `int` >= 0"),
        ("name: test", "title2: test", "test.yaml:1: title2: is not a known key"),
        ("name: test\n", "", "test.yaml: name: is missing"),
        ("name: test", "name: a test", "test.yaml:1: name: has 1 to 64 letters, digits"),
        ("label: night,", "lable: night,", "test.yaml:9: events.night.lable: is not a known key"),
        ("key: n,", "key: 1,", "test.yaml:9: events.night.key: expected `str`, got `int`; put the value in quotes"),
        ("set: {time: night}", "set: {hour: night}", "test.yaml:9: events.night.set.hour: is not a slot"),
        (
            "set: {time: night}",
            "set: {time: dusk}",
            "test.yaml:9: events.night.set.time: 'dusk' is not one of its values",
        ),
        ("set: {time: night}", "set: {}", "test.yaml:9: events.night.set: an event sets at least one slot"),
        ("day: {set:", "day: {key: N, set:", "test.yaml:10: events.day.key: 'N' is taken by 'night'"),
        ("key: n,", "key: nosuchkey,", "test.yaml:9: events.night.key: 'nosuchkey' is no key; write one character, or"),
        ("key: n,", "key: space,", "test.yaml:9: events.night.key: 'space' belongs to the player"),
        ("a {colour} fox", "a {color} fox", "test.yaml:4: template: {color} is not a slot; the slots are time, colour"),
        ("a {colour} fox", "a fox", "test.yaml:7: slots.colour: the template does not use it"),
        ("a {colour} fox", "a {colour fox", "test.yaml:4: template: "),
        ("{default: day, values", "{default: noon, values", "test.yaml:6: slots.time.default: 'noon' is not one of"),
        ("{at: 1m30s,", "{", "test.yaml:12: timeline[0]: give exactly one of at, tick and after"),
        ("{at: 1m30s,", "{at: 1m30s, tick: 4,", "test.yaml:12: timeline[0]: give exactly one of at, tick and after"),
        ("{at: 1m30s,", "{at: later,", "test.yaml:12: timeline[0].at: is not a time such as 5s"),
        ("event: night, name", "event: nigth, name", "test.yaml:12: timeline[0].event: 'nigth' is not an event"),
        ("event: night, name", "name", "test.yaml:12: timeline[0]: give exactly one of prompt, event and input"),
        (
            "event: night, name",
            "event: night, input: {speed: 1}, name",
            "timeline[0]: give exactly one of prompt, event and",
        ),
        ("event: night, name", "input: {speed: fast}, name", "timeline[0].input: expected `float`, got `str`"),
        ("event: night, name", "input: {speed: yes}, name", "timeline[0].input: expected `float`, got `bool`"),
        ("event: night, name", "input: {speed: .nan}, name", "timeline[0].input.speed: `.nan` is not a number"),
        ("event: night, name", "input: {}, name", "timeline[0].input: names no axis"),
        ("{after: first", "{after: second", "test.yaml:13: timeline[1].after: 'second' is not the name of an earlier"),
        (
            "labels: {actor: bird}",
            "labels: {actor: whale}",
            "test.yaml:13: timeline[1].labels.actor: 'whale' is not one",
        ),
        ("labels: {actor: fox}", "labels: {actor: cat}", "test.yaml:15: labels.actor: 'cat' is not one"),
        ("seconds: 120", "seconds: 60", "test.yaml:12: timeline[0]: starts at 90 s, but the run ends at 60 s"),
        ("time: 0.8,", "tiem: 0.8,", "test.yaml:19: expect.adherence_min.tiem: no slot and no label"),
        ("time: 0.8,", "time: 80,", "test.yaml:19: expect.adherence_min: expected `float` <= 1.0"),
        ("fps_min: 15", "fps_minimum: 15", "test.yaml:18: expect.fps_minimum: is not a known key"),
        ("name: test", "name: [", "test.yaml:3: not valid YAML"),
        ("name: test", "\tname: test", "test.yaml:1: not valid YAML"),
        ("seed: 3", "name: other", "test.yaml:3: name: is there twice, first in line 1"),
        ("day: {set:", "night: {set:", "test.yaml:10: events.night: is there twice, first in line 9"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, GOOD.replace(before, after, 1)))
    text = str(caught.value)
    assert "\n" not in text
    assert message in text.replace(f"{tmp_path}/", "")


def test_files_that_are_no_scenarios(tmp_path: Path) -> None:
    with pytest.raises(ScenarioNotFound, match="no such scenario file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ScenarioNotFound, match="the library has around-the-world, default"):
        load("nonesuch")
    for text in ("- a list", "", "just words"):
        with pytest.raises(ScenarioError, match="a scenario is a map"):
            load(write(tmp_path, text))
    (tmp_path / "test.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(tmp_path / "test.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "template: " + "[" * 5000 + "]" * 5000,
        "[" * 400_000,
        "a: &a [*a]",
        "\n".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}' if n else 'x'] * 9)}]" for n in range(12)),
        "\n".join(f"k{n}: 1" for n in range(30_000)),
    ],
    ids=["deep", "deeper", "itself", "aliases of aliases", "long"],
)
def test_files_that_would_eat_stack_or_memory(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScenarioError, match="than a scenario can be"):
        load(write(tmp_path, text))


def test_the_named_keys_are_those_of_the_player(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    assert [pygame.key.name(pygame.key.key_code(name)) for name in NAMED_KEYS] == list(NAMED_KEYS)
    pygame.display.quit()


def test_a_blank_template(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="blank"):
        load(write(tmp_path, 'name: x\ntemplate: "  "\n'))


def test_yaml_builds_no_objects(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="the type"):
        load(write(tmp_path, "name: !!python/object/apply:os.getcwd []"))


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("2.5s", 2.5), ("3m", 180), ("1m30s", 90)])
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "1h", "-1s", "1s1m"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        seconds_of(text)


def test_after_counts_from_the_named_entry(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, GOOD))
    assert moment_ticks(scenario.timeline, 16) == [1440, 1480, 16]


# --- the library -------------------------------------------------------------------------------------------

LIBRARY = library()


def test_the_library_begins_with_the_default_and_has_company() -> None:
    assert next(iter(LIBRARY)) == "default"
    assert len(LIBRARY) >= 5


@pytest.mark.parametrize("name", list(LIBRARY))
def test_a_shipped_scenario_is_named_like_its_file_and_says_what_it_shows(name: str) -> None:
    scenario = LIBRARY[name]
    assert scenario.name == name
    assert scenario.title
    assert scenario.description
    assert scenario.timeline
    assert scenario.expect.adherence_min


@pytest.mark.parametrize("name", list(LIBRARY))
def test_a_shipped_scenario_speaks_of_what_diorama_can_show(name: str) -> None:
    scenario = LIBRARY[name]
    for slot, spec in scenario.slots.items():
        for value in spec.values:
            assert value in PROBE_LABELS["diorama"].get(slot, (value,)), f"{slot}: {value}"
    for cue in scenario.cues(16):
        for kind, label in (cue.labels or {}).items():
            assert label in PROBE_LABELS["diorama"].get(kind, (label,)), f"{cue.name}: {kind}: {label}"


@pytest.mark.parametrize("name", list(LIBRARY))
def test_the_server_accepts_a_shipped_scenario_and_its_prompts_read_well(name: str) -> None:
    scenario = LIBRARY[name]
    state = PromptState.start(scenario.script(), None)
    prompts = {state.prompt()}
    for cue in scenario.cues(16):
        state = state.with_event(cue.text) if cue.kind == "event" else state.with_prompt(cue.text)
        state.check()
        prompts.add(state.prompt())
    for prompt in prompts:
        assert "{" not in prompt
        assert "  " not in prompt
        assert ", ," not in prompt
        assert 20 < len(prompt) < 160
    assert len(prompts) > len(scenario.timeline) // 2, "the cues change the prompt"


@pytest.mark.parametrize("name", list(LIBRARY))
def test_the_events_of_a_shipped_scenario_all_have_keys_and_labels(name: str) -> None:
    for event in LIBRARY[name].events.values():
        assert event.key
        assert event.label


# --- whatever the parser raises ------------------------------------------------------------------------------

SHORT = "name: x\ntemplate: a fox\n"
SLOTS = "name: x\ntemplate: a {w}\nslots:\n  w: {default: 'no', values: {'no': a, 'yes': b}}\nevents:\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: 2024-02-30", "test.yaml:3: title: `2024-02-30` is read as a date; put it in quotes"),
        ("title: 2024-02-03", "test.yaml:3: title: `2024-02-03` is read as a date; put it in quotes"),
        ("title: !!int x", "test.yaml:3: title: `x` cannot be used as a number"),
        ("seed: 010", "test.yaml:3: seed: `010` is read as 8, to the base of eight"),
        ("seed: !!bool maybe", "test.yaml:3: seed: `maybe` cannot be used as true or false"),
        ("seed: !!float x", "test.yaml:3: seed: `x` cannot be used as a number"),
        ("title: !!binary x", "test.yaml:3: title: `x` is read as the type 'binary'; put it in quotes"),
        ("title: !!set {a}", "test.yaml:3: title: the type"),
        ("title: !foo x", "test.yaml:3: title: `x` is read as the type '!foo'"),
        ("title: =", "test.yaml:3: title: `=` is read as the type 'value'"),
        ("seed: " + "9" * 5000, "9\u2026` cannot be used as a number"),
        ("seed: " + "9" * 400, "test.yaml:3: seed: expected `int` <= "),
        ("seconds: .nan", "test.yaml:3: seconds: `.nan` is not a number that can be used"),
        ("seconds: .inf", "test.yaml:3: seconds: `.inf` is not a number that can be used"),
        ("expect: {fps_min: .nan}", "test.yaml:3: expect.fps_min: `.nan` is not a number"),
        (f"timeline: [{{at: {'1' * 400}s, prompt: a}}]", "test.yaml:3: timeline[0].at: expected `str` of length <= 20"),
        (f"timeline: [{{at: {'1' * 18}s, prompt: a}}]", "test.yaml:3: timeline[0]: starts at"),
        (f"timeline: [{{tick: {'1' * 30}, prompt: a}}]", "test.yaml:3: timeline[0].tick: expected `int` <= "),
        ('timeline: [{at: 1s, prompt: "\\u200b"}]', "test.yaml:3: timeline[0].prompt: is blank"),
        ("? [a]\n: b", "test.yaml:3: a list or a map cannot be a key"),
        ("null: 3", "test.yaml:3: the key `null` is read as nothing; put it in quotes"),
        ("1: 2", "test.yaml:3: the key `1` is read as a number; put it in quotes"),
        ('"\\0": 2', "test.yaml:3: a key has no visible character"),
        ("<<: [1]", "test.yaml:3: `<<` takes a map"),
        ('timeline: [{at: 1s, prompt: ", ,"}]', "test.yaml:3: timeline[0].prompt: is blank"),
        ('timeline: [{at: 1s, input: {"a b": 1}}]', "test.yaml:3: timeline[0].input: has 1 to 64 letters"),
        ("slots: {w: red}", "test.yaml:3: slots.w: expected `map`, got `str`"),
        ("timeline: {at: 1s}", "test.yaml:3: timeline: expected `list`, got `map`"),
        ("seconds: 60s", "test.yaml:3: seconds: expected `float`, got `str`; write a plain number without quotes"),
        ("seconds: 1e2", "test.yaml:3: seconds: expected `float`, got `str`; write a plain number without quotes"),
        ("title: *nope", "test.yaml:3: not valid YAML"),
        ("title: a\x07b", "test.yaml:3: not valid YAML: the character U+0007 is not allowed"),
        ('title: "\\ud800"', "test.yaml:3: not valid YAML"),
        ("--- \nname: y", "not valid YAML: but found another document"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_whatever_the_parser_raises_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, SHORT + text))
    assert "\n" not in str(caught.value)
    assert message in str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  blue sky: {set: {w: 'yes'}}", "test.yaml:6: events.blue sky: has 1 to 64 letters"),
        ("  f\u00fc: {set: {w: 'yes'}}", "test.yaml:6: events.f\u00fc: has 1 to 64 letters"),
        ("  n: {set: {w: no}}", "test.yaml:6: events.n.set: expected `str`, got `bool`; put the value in quotes"),
        ("  n: {set: {no: 'yes'}}", "test.yaml:6: events.n.set: the key `no` is read as true or false"),
        ("  n: {key: ' ', set: {w: 'yes'}}", "test.yaml:6: events.n.key: ' ' belongs to the player"),
        ("  n: {key: TAB, set: {w: 'yes'}}", "test.yaml:6: events.n.key: 'TAB' belongs to the player"),
        ("\n".join(f"  e{n}: {{set: {{w: 'yes'}}}}" for n in range(1100)), "scenario: cannot be sent to a server"),
    ],
    ids=["space in a name", "umlaut", "bool", "bool key", "space", "tab", "too many"],
)
def test_events_that_could_never_fire_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, SLOTS + text))
    assert message in str(caught.value).replace(f"{tmp_path}/", "")


def test_a_script_too_large_to_send_is_refused(tmp_path: Path) -> None:
    phrases = ", ".join(f"v{n}: {'x' * 300}" for n in range(500))
    text = f"name: x\ntemplate: a {{w}}\nslots:\n  w: {{default: v0, values: {{{phrases}}}}}\n"
    with pytest.raises(ScenarioError, match=r"scenario: cannot be sent to a server: a message of \d+ bytes is over"):
        load(write(tmp_path, text))


def test_a_key_without_quotes_is_named_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"test\.yaml:4: slots\.w\.values: the key `no` is read as true or false"):
        load(write(tmp_path, SLOTS.replace("{'no': a", "{no: a") + "  n: {set: {w: 'yes'}}"))


def test_merged_maps_may_be_overridden(tmp_path: Path) -> None:
    text = SLOTS + (
        "  base: &base {label: a, key: b, set: {w: 'yes'}}\n"
        "  other: {<<: *base, key: o, label: b}\n"
        "  third: {<<: [{key: t}, *base], label: c}\n"
    )
    events = load(write(tmp_path, text)).events
    assert {name: (event.label, event.key, event.set["w"]) for name, event in events.items()} == {
        "base": ("a", "b", "yes"),
        "other": ("b", "o", "yes"),
        "third": ("c", "t", "yes"),
    }
    with pytest.raises(ScenarioError, match=r"events\.other\.key: 'b' is taken by 'base'"):
        load(write(tmp_path, text.replace("key: o, ", "")))


def test_text_is_cleaned_and_a_byte_order_mark_skipped(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, '\ufeffname: x\ntitle: "\\0"\ntemplate: "a\\u200b fox\\nruns"\n'))
    assert (scenario.title.strip(), scenario.template) == ("", "a fox runs")


@pytest.mark.parametrize(
    ("template", "default", "instead", "message"),
    [
        ("{w}", "''", "a fox", "test.yaml:2: template: the prompt would be empty"),
        (", {w} ,", "''", "a fox", "test.yaml:2: template: the prompt would be empty"),
        ("{w}", "a fox", "''", "test.yaml:6: events.n.set: the prompt would be empty"),
        ("{w}" * 100, "z" * 30, "a", "test.yaml:2: template: the prompt would have 3000 characters; at most 2000"),
        ("{w}" * 100, "a", "z" * 30, "test.yaml:6: events.n.set: the prompt would have 3000 characters; at most 2000"),
    ],
)
def test_a_prompt_that_could_not_be_is_found_when_the_file_is_read(
    tmp_path: Path, template: str, default: str, instead: str, message: str
) -> None:
    head = f'name: x\ntemplate: "{template}"\nslots:\n'
    text = f"{head}  w: {{default: {default}}}\nevents:\n  n: {{set: {{w: {instead}}}}}\n"
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, text))
    assert message in str(caught.value).replace(f"{tmp_path}/", "")
