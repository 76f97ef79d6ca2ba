"""`longtake train`: hands over to the module of a part."""

import importlib
import sys
from importlib.util import find_spec

import pytest

from longtake.runtime.cli.train import PARTS


def test_every_part_has_its_module() -> None:
    for module in PARTS.values():
        assert find_spec(f"longtake.model.training.{module}") is not None, module


@pytest.mark.parametrize("part", PARTS)
def test_every_part_names_its_own_help(
    part: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["module", "--ot", "x", "--uot", "y"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"longtake.model.training.{PARTS[part]}").main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said == (
        f"longtake train {part}: unrecognized arguments: --ot; did you mean --out?; see longtake train {part} --help\n"
    )
