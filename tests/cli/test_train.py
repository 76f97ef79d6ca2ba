"""`longtake train`: hands over to the module of a part."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from longtake.model.training.child import run_module
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


@pytest.mark.parametrize(
    ("part", "arguments", "said"),
    [
        ("clips", "--out /dev/null/x --clips 2", "/dev/null/x"),
        ("clips", "--out x --clips 0", "clips and scale must be 1 or more, got 0"),
        ("clips", "--out x --clips 2 --frames 3", "a clip needs 36 frames to fit a switch, got 3"),
        ("autoencoder", "--data none --held-out none --out x --ranks 1", "none holds no finished clips"),
        ("autoencoder", "--data none --held-out none --out x --ranks 1 --start no", "no/encoder.safetensors"),
        ("probe", "--data none --held-out none --out x --ranks 1", "none holds no finished clips"),
        ("probe", "--data none --held-out none --out /dev/null/x --ranks 1", "cannot write into /dev/null/x"),
        ("text_encoder", "--out /dev/null/x", "/dev/null/x"),
        ("text_encoder", "--out x --words none.txt", "none.txt: No such file"),
        ("text_encoder", "--out x --like none.safetensors", "none.safetensors"),
        ("text_encoder", "--out x --start none", "none/text_encoder.safetensors"),
        ("motion", "--out x --start none --minutes 1", "weights are missing: none"),
        ("motion", "--out x --preset huge", "no network is called 'huge'"),
        ("motion", "--out x --set kept=2", "kept_first 20 must be at most kept 2"),
        ("motion", "--out x --set motion_width=0", "motion_width 0 is no motion head"),
        ("export", "--runs none", "none holds no run with weights to export"),
    ],
)
def test_what_a_part_cannot_use_is_one_line(
    part: str,
    arguments: str,
    said: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_module([PARTS[part], *arguments.split()]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
