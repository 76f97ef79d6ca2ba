"""The report of a scenario's run: figures, checks, and a table of both."""

from typing import Literal

import msgspec

from longtake.protocol.messages import CueKind

Outcome = Literal["passed", "failed", "not measured"]


class CueReport(msgspec.Struct, frozen=True, kw_only=True):
    """A cue of the timeline: the tick it was asked for, and the tick it took effect."""

    name: str
    kind: CueKind
    asked_tick: int
    tick: int
    block: int
    prompt: str


class Adherence(msgspec.Struct, frozen=True, kw_only=True):
    """How often the probe read what the scenario expects."""

    blocks: int
    """blocks that were judged"""
    share: float
    """share of them that were right, 0 to 1"""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation and what was measured."""

    name: str
    bound: Literal["at least", "at most"]
    wanted: float
    measured: float | None
    outcome: Outcome

    @classmethod
    def least(cls, name: str, wanted: float, measured: float | None) -> "Check":
        """Return a check that a value is at least `wanted`."""
        return cls._make(name, "at least", wanted, measured, measured is not None and measured >= wanted)

    @classmethod
    def most(cls, name: str, wanted: float, measured: float | None) -> "Check":
        """Return a check that a value is at most `wanted`."""
        return cls._make(name, "at most", wanted, measured, measured is not None and measured <= wanted)

    @classmethod
    def _make(
        cls, name: str, bound: Literal["at least", "at most"], wanted: float, measured: float | None, good: bool
    ) -> "Check":
        outcome: Outcome = "not measured" if measured is None else "passed" if good else "failed"
        return cls(name=name, bound=bound, wanted=wanted, measured=measured, outcome=outcome)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a run. `msgspec.to_builtins` turns it into a map for JSON; None was not measured."""

    scenario: str
    model: str
    seed: int
    mode: str
    ticks: int
    wall_s: float
    fps: float | None
    held: int | None
    skipped: int | None
    latency_ms: float | None
    frames_digest: str | None
    """SHA-256 of all frames in lockstep and offline mode; equal for the same script, seed and machine"""
    cues: list[CueReport]
    adherence: dict[str, Adherence]
    checks: list[Check]
    take_lost: str = ""
    """why the take file is not whole, if one was asked for"""

    @property
    def passed(self) -> bool:
        """True if no check failed and no take was lost. An expectation that is not measured here counts as neither."""
        return not self.take_lost and all(check.outcome != "failed" for check in self.checks)

    def json(self) -> str:
        """Return the report as one line of JSON, `passed` included."""
        return msgspec.json.encode(msgspec.to_builtins(self) | {"passed": self.passed}).decode()

    def lines(self) -> list[str]:
        """Return the report as a table for people."""
        lines = [
            f"{self.scenario}  {self.model}  seed {self.seed}  {self.mode}  {self.ticks} ticks in {self.wall_s:.1f} s",
            "",
            f"{'cue':<24} {'asked':>7} {'tick':>7} {'block':>7}  prompt",
        ]
        lines += [
            f"{cue.name[:24]:<24} {cue.asked_tick:>7} {cue.tick:>7} {cue.block:>7}  {cue.prompt}" for cue in self.cues
        ]
        lines += ["", f"{'expectation':<24} {'wanted':>16} {'measured':>10}  outcome"]
        for check in self.checks:
            wanted = f"{check.bound} {check.wanted:g}"
            measured = "-" if check.measured is None else f"{check.measured:.3g}"
            lines.append(f"{check.name:<24} {wanted:>16} {measured:>10}  {check.outcome}")
        if self.frames_digest:
            lines += ["", f"frames {self.frames_digest}"]
        if self.take_lost:
            lines += ["", f"the take is not whole: {self.take_lost}"]
        return lines
