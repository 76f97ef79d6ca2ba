"""The command line in this process, with the small fake model of the engine's tests."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from longtake.runtime.cli.main import run

FAKES = str(Path(__file__).parents[1] / "runtime")


@dataclass(frozen=True, kw_only=True)
class Called:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, f"an error is one line, not {self.err!r}"
        return lines[0]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that make a command use the fake model, also in the processes it starts."""
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [FAKES, os.environ.get("PYTHONPATH", "")])))
    monkeypatch.delenv("LONGTAKE_FAKE", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # set by some commands, and taken back after the test this way
    return ["--factory", "fakes:load"]


@pytest.fixture
def steered(fake: list[str]) -> list[str]:
    """The same with a model that takes input, as the default scenario needs it."""
    return [*fake[:-1], "fakes:load_steered"]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    """Call the command line and return its exit code and what it printed."""
    # Interpreted kernels are slow; tests/model has them.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")

    def command(*arguments: str | Path) -> Called:
        capfd.readouterr()
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return Called(code=code, out=out, err=err)

    return command
