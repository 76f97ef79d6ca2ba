"""docs/howto/add-a-world-model.md: a model in one file and one line of the registry, then everything works with it."""

import json
from pathlib import Path

import numpy as np
import pytest

from longtake.clients.session import InprocTransport, Session
from longtake.model.interface import REGISTRY
from longtake.runtime.cli.main import run
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.local import local_server
from longtake.runtime.takes.file import read_take
from longtake.runtime.takes.replay import replay

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "howto" / "add-a-world-model.md"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the toy's file on the path, and its line into the registry."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setitem(REGISTRY, "toy", "toy_model:SPEC")


def test_it_is_served_steered_recorded_and_replayed(tmp_path: Path) -> None:
    with (
        local_server("toy", in_process=True, takes=tmp_path) as local,
        Session.connect(InprocTransport(local.endpoint, local.context)) as session,
    ):
        assert [model.name for model in session.models] == ["toy"]
        world = session.open("toy", seed=3, prompt="a red sky", mode="lockstep", delivery="every")
        world.record_start("toy.take")
        before = world.advance(8)
        world.prompt("a blue sky")
        after = world.advance(8)
        world.record_stop()
        world.close()
    first, last = before[0].pixels, after[-1].pixels
    assert not np.array_equal(first[-1, 0], last[-1, 0]), "the sky follows the prompt"
    assert np.argmax(first[0, :, 0] == 255) == 3, "the sun stands where the seed says"

    take = read_take(tmp_path / "toy.take")
    assert [cue.label for cue in take.cues] == ["a blue sky"]
    result = replay(take, GeneratorHostConfig(models=("toy",)), in_process=True)
    assert (result.blocks, result.same) == (4, 4)


def test_the_command_line_knows_it(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # set by the command, and taken back after the test this way
    assert run(["models", "--json"]) == 0
    (row,) = [row for row in json.loads(capfd.readouterr().out)["models"] if row["name"] == "toy"]
    assert row["ready"]
    assert row["summary"] == "a sky and a sun"
    assert run(["bench", "generator", "--model", "toy", "--blocks", "2", "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert (figures["model"], figures["frames"]) == ("toy", 8)
    assert run(["bench", "generator", "--model", "toy", "--option", "moon=2"]) == 2
    assert "there is no option moon; there are sun" in capfd.readouterr().err
    assert run(["bench", "plan", "--model", "toy", "--device", "h100"]) == 2
    assert "cannot be planned" in capfd.readouterr().err


def test_the_page_shows_this_model() -> None:
    model = (HERE / "toy_model.py").read_text(encoding="utf-8")
    assert f"```python\n{model}```" in PAGE.read_text(encoding="utf-8"), "copy tests/howto/toy_model.py into the page"
