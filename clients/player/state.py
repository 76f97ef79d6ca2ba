"""What the player knows, without a window: cues on their way, latencies, toasts, the take's timeline.

Everything here takes the time as an argument (`now`, seconds of the client's monotonic clock) and draws nothing, so
that the tests need neither a clock nor a screen.
"""

import re
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from longtake.protocol.messages import (
    Ack,
    Applied,
    Axis,
    CueKind,
    Frame,
    Joined,
    MarkKind,
    Notice,
    Script,
    Status,
    Understood,
)

TOAST_S = 4.0
FLASH_S = 0.6
"""how long a keycap glows after its event was fired"""
LATENCIES = 50
"""event-to-photon measurements kept"""
PENDING_S = 30.0
"""a cue that is neither shown nor refused by then is dropped: the world was reset, or the server is gone"""

ConnectionPhase = Literal["connecting", "live", "reconnecting", "failed", "closed"]
ToastKind = Literal["info", "good", "bad"]


@dataclass(kw_only=True)
class PendingCue:
    """A cue from the key press until its first frame is on the screen."""

    kind: CueKind
    label: str
    pressed: float
    """when the key was pressed, seconds"""
    ack: Ack | None = None

    @property
    def tick(self) -> int | None:
        """The tick at which it takes effect; None until the server has answered."""
        return self.ack.tick if self.ack else None


@dataclass(frozen=True, kw_only=True)
class Toast:
    """A line that is shown for a while."""

    text: str
    kind: ToastKind
    until: float


@dataclass(kw_only=True)
class PlayerState:
    """Everything the player knows about the world it shows."""

    connection: ConnectionPhase = "connecting"
    detail: str = ""
    """one line about a connection that does not work"""
    info: Joined | None = None
    status: Status | None = None
    frame: Frame | None = None
    """header of the newest frame on the screen"""
    timeline: list[Applied] = field(default_factory=list)
    pending: list[PendingCue] = field(default_factory=list)
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    held: dict[str, float] = field(default_factory=dict)
    """what this client holds, by axis, as it was sent last"""
    input_latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    flashes: dict[str, float] = field(default_factory=dict)
    """when each event was last fired from here"""
    toasts: list[Toast] = field(default_factory=list)
    demo: bool = False
    """the script's timeline plays by itself"""
    filming: str = ""
    """name of the film being taken, or "" """
    selected: str = ""
    """the event that a gamepad or the mouse wheel has chosen"""
    _read: tuple[tuple[str, Script], dict[str, str]] | None = None

    # --- derived -------------------------------------------------------------------------------------------

    @property
    def script(self) -> Script:
        """The world's script; an empty one before the world is joined."""
        return self.info.script if self.info else Script()

    @property
    def model(self) -> str:
        """The name of the world's model, or "the model" before it is known."""
        return self.info.model.name if self.info else "the model"

    @property
    def fps(self) -> int:
        """Ticks of the world in a second; 1 before it is joined."""
        return self.info.model.fps if self.info else 1

    def label_of(self, kind: MarkKind, label: str) -> str:
        """Return what a mark is called for people: an event by its label, not by its name."""
        if kind == "event" and label in self.script.events:
            return self.script.events[label].label or label
        return label or kind

    @property
    def director(self) -> bool:
        """Whether this client may steer."""
        return self.info is not None and self.info.role == "director"

    @property
    def paused(self) -> bool:
        """Whether the world is paused."""
        if self.status is not None:
            return self.status.paused
        return self.info.paused if self.info else False

    @property
    def tick(self) -> int:
        """The tick of the frame on the screen; before the first frame, the tick at joining."""
        if self.frame is not None:
            return self.frame.tick
        return self.info.tick if self.info else 0

    @property
    def prompt(self) -> str:
        """The rendered prompt of the frame on the screen."""
        mark = self._mark_in_force()
        if mark is not None:
            return mark.prompt
        return self.info.prompt if self.info is not None else ""

    @property
    def understood(self) -> Understood | None:
        """What the model takes the prompt of the frame on the screen for; None if it does not say."""
        mark = self._mark_in_force()
        return mark.understood if mark is not None else None

    @property
    def recording(self) -> str:
        """Name of the take being recorded, or ""."""
        if self.status is not None:
            return self.status.recording
        return self.info.recording if self.info else ""

    @property
    def latency_ms(self) -> float | None:
        """Median event-to-photon latency of this client's own cues."""
        return statistics.median(self.latencies_ms) if self.latencies_ms else None

    @property
    def input_latency_ms(self) -> float | None:
        """Median latency from this client's hand to the screen."""
        return statistics.median(self.input_latencies_ms) if self.input_latencies_ms else None

    @property
    def axes(self) -> list[Axis]:
        """What the world can be steered by; empty if its model takes no input."""
        return self.info.model.axes if self.info else []

    @property
    def in_hand(self) -> dict[str, float]:
        """What is held: by this client if it directs the world, else by whoever does."""
        if self.director and any(self.held.values()):
            return self.held
        return self.status.axes if self.status and not self.director else self.held

    def slots(self) -> dict[str, str]:
        """Return the value of each slot in the current prompt, without slots that the prompt does not mention.

        They are read from the text, which every client has, also after joining late, a reset or a typed prompt.
        """
        prompt = self.prompt
        if self._read is None or self._read[0] != (prompt, self.script):
            self._read = ((prompt, self.script), read_slots(prompt, self.script))
        return self._read[1]

    def in_force(self) -> set[str]:
        """Return the events whose values the picture shows."""
        values = self.slots().items()
        return {name for name, event in self.script.events.items() if event.set.items() <= values}

    def _mark_in_force(self) -> Applied | None:
        return next((mark for mark in reversed(self.timeline) if mark.tick <= self.tick), None)

    # --- changes -------------------------------------------------------------------------------------------

    def joined(self, info: Joined, *, another: bool = False) -> None:
        """A world was opened, joined, or joined again after the connection was lost.

        `another` says that it is not the same world even if it has the same name, as after a server's restart.
        """
        if another or self.info is None or (self.info.world, self.info.generation) != (info.world, info.generation):
            self.pending.clear()
            self.frame = None
        self.info = info
        self.status = None
        self.timeline = list(info.timeline)
        self.connection, self.detail = "live", ""

    def press(self, kind: CueKind, label: str, now: float) -> PendingCue:
        """A key fired an event, or a prompt was entered."""
        cue = PendingCue(kind=kind, label=label, pressed=now)
        self.pending.append(cue)
        if kind == "event":
            self.flashes[label] = now
        return cue

    def refused(self, cue: PendingCue, why: str, now: float) -> None:
        """The server refused a cue."""
        if cue in self.pending:
            self.pending.remove(cue)
        self.toast(why, now, "bad")

    def shown(self, frame: Frame, now: float) -> list[tuple[int, float]]:
        """A frame has reached the screen. Return (cue, event-to-photon in ms) for each cue that it shows first."""
        if self.frame is not None and frame.generation > self.frame.generation:
            self.timeline = [mark for mark in self.timeline if mark.generation >= frame.generation]
        self.frame = frame
        measured: list[tuple[int, float]] = []
        waiting: list[PendingCue] = []
        for cue in self.pending:
            ack = cue.ack
            if ack is not None and ack.generation == frame.generation and ack.cue <= frame.cue:
                measured.append((ack.cue, (now - cue.pressed) * 1e3))
            elif (ack is None or ack.generation >= frame.generation) and now - cue.pressed < PENDING_S:
                waiting.append(cue)
        self.pending = waiting
        self.latencies_ms.extend(latency for _, latency in measured)
        return measured

    def notice(self, notice: Notice, now: float) -> None:
        """Show a notice of the world."""
        texts: dict[str, tuple[str, ToastKind]] = {
            "closed": ("The world was closed", "bad"),
            "reset": ("The take starts again", "info"),
            "generator_lost": ("The generator is gone; a new one is starting", "bad"),
            "generator_back": ("The generator is back", "good"),
            "recording": ("Recording", "info"),
            "shutdown": ("The server is shutting down", "bad"),
        }
        text, kind = texts[notice.kind]
        if notice.kind == "recording" and notice.text:
            text = notice.text[:1].upper() + notice.text[1:]
        elif notice.text and notice.kind in ("closed", "shutdown"):
            text = f"{text}: {notice.text}"
        self.toast(text, now, kind)

    def toast(self, text: str, now: float, kind: ToastKind = "info") -> None:
        """Show a line for a while. A repeated line is shown once."""
        self.toasts = [toast for toast in self.toasts if toast.text != text and toast.until > now][-3:]
        self.toasts.append(Toast(text=text, kind=kind, until=now + TOAST_S))

    def live_toasts(self, now: float) -> list[Toast]:
        """Return the lines to show, oldest first."""
        self.toasts = [toast for toast in self.toasts if toast.until > now]
        return self.toasts

    def glow(self, event: str, now: float) -> float:
        """Return how brightly a keycap glows: 1 when just pressed, then down to 0."""
        pressed = self.flashes.get(event)
        return max(0.0, 1.0 - (now - pressed) / FLASH_S) if pressed is not None else 0.0

    def waiting_for(self, event: str) -> bool:
        """Whether an event was fired from here and is not on the screen yet."""
        return any(cue.kind == "event" and cue.label == event for cue in self.pending)


def read_slots(prompt: str, script: Script) -> dict[str, str]:
    """Find the value of each slot in a prompt: the one whose phrase or name comes last, whole words only.

    The name counts because people type "in the desert" where the scenario says "over a sandy desert".
    A value without a phrase ("under a clear sky" may well be said by saying nothing) holds when no other does.
    """
    found: dict[str, str] = {}
    for slot in script.slots:
        name = slot.name
        set_by_events = (event.set[name] for event in script.events.values() if name in event.set)
        values = dict.fromkeys([slot.default, *slot.values, *set_by_events])
        phrases = {value: slot.values.get(value, value) for value in values}
        places = {
            value: max(_last_place(phrase, prompt), _last_place(value, prompt))
            for value, phrase in phrases.items()
            if phrase
        }
        mentioned = [value for value, place in places.items() if place > (-1, 0)]
        silent = [value for value, phrase in phrases.items() if not phrase]
        if mentioned:
            found[name] = max(mentioned, key=lambda value: places[value])
        elif silent:
            found[name] = silent[0]
    return found


def _last_place(phrase: str, text: str) -> tuple[int, int]:
    """(end, length) of the last mention of a phrase, (-1, 0) without one; of two that end together the longer wins."""
    ends = [match.end() for match in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", text)]
    return (ends[-1], len(phrase)) if ends else (-1, 0)
