"""Everything the pages name exists: files, folders, modules, imports. Tables and the navigation are whole."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md", *sorted(ROOT.glob("docs/**/*.md"))]
FOLDERS = ("benchmarks", "clients", "docs", "model", "protocol", "runtime", "scenarios", "tests")
A_PATH = re.compile(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./*-]*)")
A_NAME = re.compile(r"(?<![\w./-])(longtake\.(?:clients|model|protocol|runtime|scenarios)(?:\.\w+)*)")
A_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
AN_IMPORT = re.compile(r"^\s*from (longtake[\w.]*) import ([\w, ]+)", re.MULTILINE)


def found(pattern: re.Pattern[str]) -> list[Any]:
    """Return a test's parameter for every different match on every page."""
    return [
        pytest.param(match, id=f"{page.relative_to(ROOT)}: {str(match)[:60].strip()}")
        for page in PAGES
        for match in sorted(set(pattern.findall(page.read_text(encoding="utf-8"))))
    ]


def resolve(name: str) -> Any:
    """Return the module, or what is in one, that a dotted name means. Raises ImportError or AttributeError."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


@pytest.mark.parametrize("path", found(A_PATH))
def test_paths_are_there(path: str) -> None:
    assert list(ROOT.glob(path.rstrip("./"))), path


@pytest.mark.parametrize("name", found(A_NAME))
def test_dotted_names_are_there(name: str) -> None:
    resolve(name)


@pytest.mark.parametrize("statement", found(AN_IMPORT))
def test_imports_work(statement: tuple[str, str]) -> None:
    module, names = statement
    for name in names.split(","):
        resolve(f"{module}.{name.strip()}")


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inside in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
            yield from pages(inside)

    listed = set(pages(yaml.safe_load(text)["nav"]))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES if ROOT / "docs" in page.parents}


@pytest.mark.parametrize("table", found(A_TABLE))
def test_no_blank_line_cuts_a_table(table: str) -> None:
    heading, rule, *_ = [*table.splitlines(), ""]
    assert re.fullmatch(r"\|(?:[-: ]+\|)+", rule), f"no table begins with {heading}"
