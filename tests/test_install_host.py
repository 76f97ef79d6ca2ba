"""Which build of torch `make play` installs, and what it says when there is no room."""

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[1] / ".ci" / "install-host"


@pytest.fixture(scope="module")
def script() -> Any:
    loader = SourceFileLoader("install_host", str(PATH))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("system", "gpu", "free_mb", "build", "said"),
    [
        ("Linux", False, 2000, "small", "no NVIDIA GPU"),
        ("Linux", True, 2000, "small", "on the CPU"),
        ("Linux", True, 20_000, "large", "CUDA"),
        ("Linux", True, 900, "", "900 MB are free"),
        ("Linux", False, 1499, "", "needs 1,500 MB"),
        ("Darwin", False, 2000, "large", "PyPI"),
    ],
)
def test_what_is_installed(script: Any, system: str, gpu: bool, free_mb: int, build: str, said: str) -> None:
    chosen, why = script.chosen(system, gpu=gpu, free_mb=free_mb, temporary_mb=5000)
    assert chosen == build
    assert said in why


def test_a_full_temporary_folder_is_named(script: Any) -> None:
    chosen, why = script.chosen("Linux", gpu=False, free_mb=5000, temporary_mb=100)
    assert chosen == ""
    assert "set TMPDIR" in why


def test_the_room_of_a_folder_that_is_not_there_yet(script: Any, tmp_path: Path) -> None:
    assert script.free_mb(tmp_path / "a" / "b") > 0


@pytest.mark.parametrize(
    ("configuration", "own"),
    [
        ("", False),
        ("global.cert='x'\n:env:.default-timeout='180'\n", False),
        ("global.index-url='https://mirror.example/simple'\n", True),
        (":env:.find-links='/wheels'\n", True),
        ("user.extra-index-url='a b'\n", True),
        ("install.no-index='true'\n", True),
    ],
)
def test_sources_of_ones_own_are_used(script: Any, configuration: str, own: bool) -> None:
    assert script.names_sources(configuration) is own


def venv_whose_pip_says(folder: Path, said: str, code: int) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n[ \"$3\" = config ] && exit 0\necho '{said}' >&2\nexit {code}\n")
    python.chmod(0o755)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="there is no such shell")
def test_without_a_network_pip_speaks_and_one_line_says_what_to_do(tmp_path: Path) -> None:
    said = "ERROR: No matching distribution found for torch"
    venv = venv_whose_pip_says(tmp_path / ".venv", said, 1)
    done = subprocess.run([sys.executable, str(PATH), str(venv)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Without a network" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_broken_environment_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(PATH), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run this again" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
