"""Every `longtake ...` line in the documents is one the command line understands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from longtake.runtime.cli.main import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """Yield (document, command line) for every line of a shell block that calls longtake."""
    for document in DOCUMENTS:
        for block in FENCE.findall(document.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.match(r"(?:\$ )?(?:\S*/)?longtake\s+(.*)", line)
                if found:
                    yield document.name, found.group(1)


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_documented_commands_parse(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    for mark in ("&", ">"):  # what follows is the shell's
        words = words[: words.index(mark)] if mark in words else words
    options = build_parser(words[0]).parse_args(words)
    assert options.command in COMMANDS, document


def test_the_readme_shows_commands() -> None:
    assert sum(document == "README.md" for document, _ in commands()) >= 5


def test_every_option_of_longlive_is_in_its_table() -> None:
    from longtake.model.interface import model_spec

    text = (ROOT / "docs" / "longlive.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `--"))
    spec = model_spec("longlive-1.3b")
    flags = {argument.option: argument.flag for argument in spec.arguments}
    for option in spec.options.names():
        assert flags.get(option, f"{option}=") in rows, option


def test_linear_takes_what_there_is() -> None:
    from longtake.model.ops.linear.registry import LINEARS

    for name in ("auto", *LINEARS.names()):
        assert build_parser("serve").parse_args(["serve", "--linear", name]).linear == name
