"""Prompt state: base text plus slots, and the one prompt they render to. The same rule serves every model.

While the base is the script's own, the prompt is its template filled with the slots' phrases. After a typed
prompt it is that text, followed by the phrases of the slots that events have set since. A typed prompt replaces what
was said before, or amends it (`longtake.runtime.world.amending`).
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from longtake.protocol.errors import Refused
from longtake.protocol.fields import MAX_PROMPT
from longtake.protocol.messages import EventDef, Script, Slot
from longtake.runtime.world.amending import Reader, amended, no_labels

_PLACE = re.compile(r"\{([^{}]*)\}")


def check_script(script: Script) -> None:
    """Raise `Refused` if a script contradicts itself: "bad_script", or "invalid" if an event's prompt could not be.

    "bad_script": two slots have one name, or the template or an event names a slot that is not there.
    """
    names = Counter(slot.name for slot in script.slots)
    slots = ", ".join(names) or "none"
    if twice := [name for name, count in names.items() if count > 1]:
        raise Refused("bad_script", f"the script has more than one slot {twice[0]!r}")
    for name in _PLACE.findall(script.template or ""):
        if name not in names:
            raise Refused("bad_script", f"the template names the slot {name!r}; the script has: {slots}")
    for event, definition in script.events.items():
        for name in definition.set:
            if name not in names:
                raise Refused("bad_script", f"event {event!r} sets the slot {name!r}; the script has: {slots}")
    if script.template is not None:
        _check_events(script, script.template)


def _check_events(script: Script, template: str) -> None:
    """Raise `Refused("invalid")` if the prompt would be empty or too long after an event.

    Lengths are added up, and a prompt is rendered only where the sum is no answer: a script may have a thousand events
    and hundreds of places, and other clients' worlds wait meanwhile.
    """
    places, around = Counter(_PLACE.findall(template)), _PLACE.sub("", template)
    values = {slot.name: slot.values for slot in script.slots}
    first = {slot.name: _phrase(slot, slot.default) for slot in script.slots}
    length = len(around) + sum(count * len(first[name]) for name, count in places.items())
    saying = _says(around) + sum(_says(first[name]) for name in places)
    for event, definition in script.events.items():
        new_length, new_saying = length, saying
        for name, value in definition.set.items():
            phrase = values[name].get(value, value)
            new_length += places[name] * (len(phrase) - len(first[name]))
            new_saying += (name in places) * (_says(phrase) - _says(first[name]))
        # What `tidy` removes is not known here. Twice the limit is too long in any case.
        if not new_saying or new_length > 2 * MAX_PROMPT:
            raise Refused("invalid", f"after event {event!r} {_problem(new_saying and new_length)}")
        if new_length > MAX_PROMPT:
            rendered = len(PromptState(script=script).with_event(event).prompt())
            if rendered > MAX_PROMPT:
                raise Refused("invalid", f"after event {event!r} {_problem(rendered)}")


def _says(text: str) -> bool:
    """Whether anything is left of a text in a prompt."""
    return bool(text.strip(" ,"))


def _problem(length: int) -> str:
    """Say why a prompt of this length cannot be."""
    if not length:
        return "the prompt would be empty; write what the picture shows"
    return f"the prompt would have {length} characters; at most {MAX_PROMPT} are accepted"


@dataclass(frozen=True, kw_only=True)
class PromptState:
    """What a world is asked to show. Immutable: a cue makes a new one."""

    script: Script
    base: str | None = None
    """typed text; None while the script's template applies"""
    slots: dict[str, str] = field(default_factory=dict)
    """values that events have set"""
    labels_of: Reader = field(default=no_labels, repr=False, compare=False)
    """what the world's model takes a text for"""

    @classmethod
    def start(cls, script: Script, prompt: str | None, labels_of: Reader = no_labels) -> "PromptState":
        """Return the state a world opens with. Raises `Refused` if there is nothing to show, or a bad script."""
        if prompt is None and script.template is None:
            raise Refused("bad_script", "give a prompt, or a script with a template: there is nothing to show yet")
        check_script(script)
        state = cls(script=script, base=prompt, labels_of=labels_of)
        state.check()
        return state

    def with_prompt(self, text: str, *, amend: bool = False) -> "PromptState":
        """Return the state after a typed prompt: it replaces the base and clears the slots.

        With `amend` the base becomes what the prompt in force says and still holds, followed by the text.
        """
        return replace(self, base=amended(self.prompt(), text, self.labels_of) if amend else text, slots={})

    def with_event(self, name: str) -> "PromptState":
        """Return the state after an event. Raises `Refused("unknown_event")`."""
        definition = self._definition(name)
        return replace(self, slots={**self.slots, **definition.set})

    def prompt(self) -> str:
        """Return the rendered prompt."""
        if self.base is not None:
            phrases = (_phrase(slot, self.slots[slot.name]) for slot in self.script.slots if slot.name in self.slots)
            return tidy(", ".join([self.base, *(phrase for phrase in phrases if phrase)]))
        said = {slot.name: _phrase(slot, self.slots.get(slot.name, slot.default)) for slot in self.script.slots}
        return tidy(_PLACE.sub(lambda place: said[place.group(1)], self.script.template or ""))

    def check(self) -> None:
        """Raise `Refused("invalid")` if the rendered prompt is empty or longer than a prompt may be."""
        length = len(self.prompt())
        if not 0 < length <= MAX_PROMPT:
            # A prompt that amends grows with each change, and events add their clauses.
            more = ": type the whole scene again" if len(self.base or "") > MAX_PROMPT else ""
            raise Refused("invalid", _problem(length) + more)

    def _definition(self, name: str) -> EventDef:
        definition = self.script.events.get(name)
        if definition is None:
            known = ", ".join(self.script.events) or "none"
            raise Refused("unknown_event", f"this world has no event {name!r}; it has: {known}")
        return definition


def _phrase(slot: Slot, value: str) -> str:
    return slot.values.get(value, value)


def tidy(text: str) -> str:
    """Remove what an empty phrase leaves: double spaces, and commas with nothing between them."""
    text = re.sub(r"\s+", " ", text).replace(" ,", ",")
    return re.sub(r"(,\s*)+,", ",", text).strip(" ,")
