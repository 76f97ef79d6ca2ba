"""What goes into the wheel: packages missed in pyproject.toml, and data without a pattern, vanish from it silently."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from longtake.protocol.version import __version__

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("clients", "model", "protocol", "runtime", "scenarios")
CODE = (".py", ".pyc")
NOT_SHIPPED = ("model/diorama/weights/runs",)
"""logs of the training runs: for readers of the repository, not for the wheel"""
FOR_GIT = (".keep", ".gitignore", ".gitkeep", ".gitattributes")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def package_folders() -> list[Path]:
    return sorted(path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py"))


def name_of(folder: Path) -> str:
    return ".".join(("longtake", *folder.relative_to(ROOT).parts))


def test_packages_are_those_of_the_tree(project: dict[str, Any]) -> None:
    tree = ["longtake", *(name_of(folder) for folder in package_folders())]
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(tree)


def test_every_folder_with_code_is_a_package() -> None:
    with_code = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert with_code == set(package_folders())


def test_no_code_at_the_root_but_the_entry_point() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["__main__.py"]


def left_at_home(path: Path) -> bool:
    return any(ROOT / folder in path.parents for folder in NOT_SHIPPED)


def data_files() -> list[Path]:
    return sorted(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in CODE and path.name not in FOR_GIT and not left_at_home(path)
    )


def test_every_data_file_is_in_the_wheel(project: dict[str, Any]) -> None:
    table: dict[str, list[str]] = project["tool"]["setuptools"]["package-data"]
    shipped = {
        path
        for package, patterns in table.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    left_out = [str(path.relative_to(ROOT)) for path in data_files() if path not in shipped]
    assert not left_out, "give them a pattern in [tool.setuptools.package-data], or a line in NOT_SHIPPED here"


def test_the_default_scenario_is_data() -> None:
    assert ROOT / "scenarios" / "library" / "default.yaml" in data_files()


def test_the_command_is_installed(project: dict[str, Any]) -> None:
    assert project["project"]["scripts"] == {"longtake": "longtake.__main__:main"}


def test_a_client_installs_without_torch(project: dict[str, Any]) -> None:
    needed = " ".join(project["project"]["dependencies"])
    for heavy in ("torch", "av", "safetensors", "transformers"):
        assert heavy not in needed.replace("-", " ").split()
        assert f"{heavy}=" not in needed
        assert f"{heavy}>" not in needed


def test_the_licence_is_there(project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_ruff_lints_everything(project: dict[str, Any]) -> None:
    ruff = project["tool"]["ruff"]
    assert "exclude" not in ruff
    assert "extend-exclude" not in ruff
    banned = ruff["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_type_checkers_see_the_types(folder: str) -> None:
    """The root is no package, so each folder below it needs the marker of PEP 561."""
    assert (ROOT / folder / "py.typed").is_file()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_tells_the_version(folder: str) -> None:
    assert importlib.import_module(f"longtake.{folder}").__version__ == __version__


def test_the_version_is_the_same_everywhere(project: dict[str, Any]) -> None:
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "longtake.protocol.version.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


def test_a_checkout_that_was_never_installed_knows_its_version(tmp_path: Path) -> None:
    (tmp_path / "longtake").symlink_to(ROOT)
    code = (
        "import importlib.metadata, sys\n"
        "importlib.metadata.version = lambda name: sys.exit(f'{name} was looked up among the installed packages')\n"
        "from longtake.runtime.server.loop import versions\n"
        "print(dict(versions())['longtake'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, __version__), done.stderr
