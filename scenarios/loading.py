"""Finds and reads scenario files. A mistake in one is an error of one line that names the file and the key."""

import math
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from longtake.protocol.errors import ProtocolError
from longtake.protocol.fields import MAX_PROMPT
from longtake.protocol.keys import NAMED_KEYS, PLAYER_KEYS
from longtake.protocol.messages import Open
from longtake.protocol.wire import encode_checked
from longtake.scenarios.errors import ScenarioError, ScenarioNotFound
from longtake.scenarios.schema import (
    PROBE_LABELS,
    EventSpec,
    Moment,
    Scenario,
    SlotSpec,
    moment_ticks,
)
from longtake.scenarios.yaml_values import parse

SUFFIXES = (".yaml", ".yml")
SLOT_PLACE = re.compile(r"\{([^{}]*)\}")
"""finds slots in a template"""
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
NAME_PROBLEM = "has 1 to 64 letters, digits, dots, - and _"
MAX_BYTES = 1 << 20
"""a scenario file is a few kilobytes; more is a mistaken path"""


def library() -> dict[str, Scenario]:
    """Return the scenarios that ship with the package by name, `default` first."""
    names = sorted(library_names(), key=lambda name: (name != "default", name))
    return {name: load(name) for name in names}


def library_names() -> list[str]:
    """Return the names of the shipped scenarios: their file names without the suffix."""
    folder = resources.files("longtake.scenarios") / "library"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(SUFFIXES))


def load(path_or_name: str | Path) -> Scenario:
    """Return a scenario from a YAML file, or from the library by its name. Raises ScenarioError."""
    text, shown = _read(path_or_name)
    document = parse(text, shown)
    data, lines = document.data, document.lines
    if not isinstance(data, dict):
        raise ScenarioError(f"{shown}: a scenario is a map of keys such as name, template and slots")
    scenario = _convert(data, shown, lines)
    for key, problem in problems(scenario):
        raise ScenarioError(f"{shown}{_at(key, lines)}: {key}: {problem}")
    return scenario


def problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield what does not fit together in a scenario, as (key, problem)."""
    yield from _template_problems(scenario)
    yield from _event_problems(scenario)
    yield from _prompt_problems(scenario)
    yield from _timeline_problems(scenario)
    yield from _label_problems(scenario, "labels", scenario.labels)
    yield from _size_problems(scenario)
    kinds = {*scenario.slots, *scenario.labels, *(kind for moment in scenario.timeline for kind in moment.labels)}
    for kind in scenario.expect.adherence_min:
        if kind not in kinds:
            yield f"expect.adherence_min.{kind}", f"no slot and no label is called {kind!r}"
        elif kind not in PROBE_LABELS.get(scenario.model, kinds):
            known = ", ".join(PROBE_LABELS[scenario.model])
            yield f"expect.adherence_min.{kind}", f"{scenario.model}'s probe reads {known} only"


def _template_problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    fields = SLOT_PLACE.findall(scenario.template)
    if is_blank(scenario.template):
        yield "template", "is blank; write what the picture shows"
    if any(brace in SLOT_PLACE.sub("", scenario.template) for brace in "{}"):
        yield "template", "has a brace without its partner"
    for field in fields:
        if field not in scenario.slots:
            yield "template", f"{{{field}}} is not a slot; the slots are {_list(scenario.slots)}"
    for name in scenario.slots:
        if name not in fields:
            yield f"slots.{name}", f"the template does not use it; add {{{name}}}"
    for name, slot in scenario.slots.items():
        if slot.values and slot.default not in slot.values:
            yield f"slots.{name}.default", f"{slot.default!r} is not one of its values {_list(slot.values)}"


def _event_problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    keys: dict[str, str] = {}
    for name, event in scenario.events.items():
        where = f"events.{name}"
        if not event.set:
            yield f"{where}.set", "an event sets at least one slot"
        for slot, value in event.set.items():
            if slot not in scenario.slots:
                yield f"{where}.set.{slot}", f"is not a slot; the slots are {_list(scenario.slots)}"
            elif scenario.slots[slot].values and value not in scenario.slots[slot].values:
                values = scenario.slots[slot].values
                yield f"{where}.set.{slot}", f"{value!r} is not one of its values {_list(values)}"
        if len(event.key) > 1 and event.key.lower() not in (*NAMED_KEYS, *PLAYER_KEYS):
            yield f"{where}.key", f"{event.key!r} is no key; write one character, or one of {_list(NAMED_KEYS)}"
        if event.key.lower() in PLAYER_KEYS or event.key.isspace():
            yield f"{where}.key", f"{event.key!r} belongs to the player; choose another"
        if event.key and event.key.lower() in keys:
            yield f"{where}.key", f"{event.key!r} is taken by {keys[event.key.lower()]!r}"
        keys[event.key.lower()] = name


def _prompt_problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield where the prompt would be empty or too long, at the start and after each event."""
    first = {name: slot.default for name, slot in scenario.slots.items()}
    for where, values in [
        ("template", first),
        *((f"events.{name}.set", first | event.set) for name, event in scenario.events.items()),
    ]:
        said = {name: slot.values.get(values[name], values[name]) for name, slot in scenario.slots.items()}
        prompt = _filled(scenario.template, said)
        length = len(" ".join(prompt.split()))
        if is_blank(prompt):
            yield where, "the prompt would be empty; write what the picture shows"
        elif length > MAX_PROMPT:
            yield where, f"the prompt would have {length} characters; at most {MAX_PROMPT} are accepted"


def _filled(template: str, said: dict[str, str]) -> str:
    """Return a template with a phrase for each slot that there is."""
    return SLOT_PLACE.sub(lambda place: said.get(place.group(1), ""), template)


def is_blank(text: str) -> bool:
    """Whether nothing is left of a text in a prompt: commas that empty phrases leave are removed."""
    return not text.replace(",", "").strip()


def _timeline_problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    named: set[str] = set()
    for index, moment in enumerate(scenario.timeline):
        where = f"timeline[{index}]"
        yield from _moment_problems(scenario, where, moment, named)
        if moment.name is not None:
            named.add(moment.name)
    if any(moment.after is not None and moment.after not in named for moment in scenario.timeline):
        return
    fps = 16  # The rate of both models. It only decides whether an entry lies inside the run.
    for index, tick in enumerate(_ticks(scenario, fps)):
        if tick >= scenario.seconds * fps:
            yield f"timeline[{index}]", f"starts at {tick / fps:g} s, but the run ends at {scenario.seconds:g} s"


def _moment_problems(scenario: Scenario, where: str, moment: Moment, named: set[str]) -> Iterator[tuple[str, str]]:
    if sum(value is not None for value in (moment.at, moment.tick, moment.after)) != 1:
        yield where, "give exactly one of at, tick and after"
    if sum(value is not None for value in (moment.prompt, moment.event, moment.input)) != 1:
        yield where, "give exactly one of prompt, event and input"
    yield from _input_problems(f"{where}.input", moment)
    if moment.prompt is not None and is_blank(moment.prompt):
        yield f"{where}.prompt", "is blank; write what the picture shows"
    if moment.event is not None and moment.event not in scenario.events:
        yield f"{where}.event", f"{moment.event!r} is not an event; the events are {_list(scenario.events)}"
    if moment.amend is not None and moment.prompt is None:
        yield f"{where}.amend", "only a prompt can amend; an event sets its slots"
    if moment.after is not None and moment.after not in named:
        yield f"{where}.after", f"{moment.after!r} is not the name of an earlier entry"
    if moment.name is not None and moment.name in named:
        yield f"{where}.name", f"{moment.name!r} is used twice"
    yield from _label_problems(scenario, f"{where}.labels", moment.labels)


def _input_problems(where: str, moment: Moment) -> Iterator[tuple[str, str]]:
    """Yield what no model could hold. The axes and their ranges are the model's (`runner.check_inputs`)."""
    if moment.input is None:
        return
    if not moment.input:
        yield where, "names no axis; write for example {speed: 1}"
    for axis, value in moment.input.items():
        if not math.isfinite(value):
            yield f"{where}.{axis}", f"{value} is not a number that can be held"
    if moment.labels:
        yield where.removesuffix("input") + "labels", "an input changes no label"


def _label_problems(scenario: Scenario, where: str, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    known = PROBE_LABELS.get(scenario.model, {})
    for kind, label in labels.items():
        if label not in known.get(kind, (label,)):
            yield f"{where}.{kind}", f"{label!r} is not one of {_list(known[kind])}"


def _size_problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    try:
        encode_checked(Open(request=0, model=scenario.model, seed=scenario.seed, script=scenario.script()))
    except ProtocolError as error:
        yield "scenario", f"cannot be sent to a server: {error}"


def _ticks(scenario: Scenario, fps: int) -> list[int]:
    try:
        return moment_ticks(scenario.timeline, fps)
    except KeyError:
        return []  # already reported: an `after` names no entry


def _read(path_or_name: str | Path) -> tuple[str, str]:
    """Return the text of a file, and the name that errors show for it."""
    path = Path(path_or_name)
    if path.suffix in SUFFIXES:
        if not path.is_file():
            raise ScenarioNotFound(f"{path}: no such scenario file")
        if path.stat().st_size > MAX_BYTES:
            raise ScenarioError(f"{path}: larger than a scenario can be ({MAX_BYTES >> 20} MiB)")
        try:
            return path.read_text(encoding="utf-8-sig"), str(path)
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    if str(path_or_name) not in library_names():
        raise ScenarioNotFound(f"no scenario called {path_or_name!s}; the library has {_list(library_names())}")
    entry = resources.files("longtake.scenarios") / "library" / f"{path_or_name}.yaml"
    return entry.read_text(encoding="utf-8"), entry.name


def _at(key: str, lines: dict[str, int]) -> str:
    """Return `:line` of a key, or of the nearest key above it."""
    while key and key not in lines:
        cut = max(key.rfind("."), key.rfind("["))
        key = key[:cut] if cut > 0 else ""
    return f":{lines[key]}" if key else ""


def _convert(data: dict[str, Any], shown: str, lines: dict[str, int]) -> Scenario:
    """Return the typed scenario. Map entries are converted one by one first, so that an error can name one."""
    for section, entry_type in (("slots", SlotSpec), ("events", EventSpec)):
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if not NAME.fullmatch(name):
                raise ScenarioError(f"{shown}{_at(f'{section}.{name}', lines)}: {section}.{name}: {NAME_PROBLEM}")
            try:
                msgspec.convert(entry, entry_type, strict=True)
            except msgspec.ValidationError as error:
                raise ScenarioError(_explain(shown, f"{section}.{name}", str(error), lines)) from error
    try:
        return msgspec.convert(data, Scenario, strict=True)
    except msgspec.ValidationError as error:
        raise ScenarioError(_explain(shown, "", str(error), lines)) from error


def _explain(shown: str, prefix: str, message: str, lines: dict[str, int]) -> str:
    """Return one line for a msgspec error such as "Object contains unknown field `x` - at `$.timeline[2]`"."""
    problem, _, path = message.partition(" - at ")
    path = path.removeprefix("`key` in ")  # what is wrong is a key of the map, not a value in it
    key = prefix + path.strip("`").removeprefix("$").replace("[...]", "")
    if "unknown field" in problem or "missing required field" in problem:
        key += "." + problem.split("`")[1]
        problem = "is missing" if "missing" in problem else "is not a known key"
    elif "matching regex" in problem:
        time = key.rpartition(".")[2] in ("at", "delay")
        problem = "is not a time such as 5s, 2.5s or 1m30s" if time else NAME_PROBLEM
    elif problem.startswith("Expected `str") and ("got `int`" in problem or "got `bool`" in problem):
        problem += "; put the value in quotes"
    elif problem.startswith(("Expected `int", "Expected `float")) and "got `str`" in problem:
        problem += "; write a plain number without quotes, such as 12"
    problem = problem.replace("`object", "`map").replace("`array", "`list")
    key = key.lstrip(".")
    return f"{shown}{_at(key, lines)}: {key or 'scenario'}: {problem[:1].lower()}{problem[1:]}"


def _list(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "none"
