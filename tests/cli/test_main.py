"""The entry point: help, one-line errors, a quick start, and a reader that goes away."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from longtake.runtime.cli.main import COMMANDS, build_parser, one_line
from longtake.runtime.cli.output import print_json

Call = Callable[..., Any]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call: Call, command: str) -> None:
    called = call(command, "--help")
    assert called.code == 0
    assert f"longtake {command}" in called.out


def test_no_command_prints_the_list(call: Call) -> None:
    called = call()
    assert called.code == 2
    assert all(f"\n    {command}" in called.out for command in COMMANDS)


def test_a_file_error_names_the_file() -> None:
    assert one_line(FileNotFoundError(2, "No such file or directory", "x.tsv")) == "x.tsv: No such file or directory"
    assert one_line(ValueError("two\nlines")) == "two lines"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_commands_start_fast_and_without_torch() -> None:
    code = (
        "import sys; from longtake.runtime.cli.main import run; assert run(['models']) == 0;"
        "assert not {'torch', 'pygame', 'av', 'zmq'} & set(sys.modules), 'imported for a list of models'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "from longtake.runtime.cli.main import run; import sys; sys.exit(run(['models', '--json']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and the parsers of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from parsers(sub)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_every_argument_is_and_no_default_is_a_riddle(command: str) -> None:
    found = [parser for parser in parsers(build_parser(command)) if f" {command}" in parser.prog]
    assert found
    for parser in found:
        text = parser.format_help()
        assert "None" not in text
        assert "()" not in text
        unexplained = [action.dest for action in parser._actions if not action.help]
        assert set(unexplained) <= {"kind", "action"}, "only a choice of subcommands explains itself"


@pytest.mark.parametrize(
    ("arguments", "command", "meant"),
    [
        (["play", "--fulscreen"], "play", "--fullscreen"),
        (["play", "--hedless"], "play", "--headless"),
        (["serve", "--bnd", "x"], "serve", "--bind"),
        (["join", "--tokn", "x"], "join", ""),
        (["render", "a fox", "--secnds=4"], "render", "--seconds"),
        (["models", "pull", "x", "--fodler"], "models pull", "--folder"),
        (["models", "pul"], "models", "pull"),
        (["models", "pulll", "longlive-1.3b"], "models", "pull"),
        (["scenarios", "--shwo"], "scenarios", "--show"),
        (["bench", "live", "--worlsd", "2"], "bench live", "--worlds"),
        (["bench", "genrator"], "bench", "generator"),
        (["bench", "plan", "--devcie", "h100"], "bench plan", "--device"),
        (["eval", "clpi"], "eval", "clip"),
        (["eval", "vbench", "--sampels", "2"], "eval vbench", "--samples"),
        (["--verison"], "", "--version"),
    ],
)
def test_a_mistake_names_the_help_of_its_command_and_what_was_meant(
    call: Call, arguments: list[str], command: str, meant: str
) -> None:
    called = call(*arguments)
    assert called.code == 2
    program = f"longtake {command}".strip()
    assert called.line.startswith(f"{program}: ")
    assert called.line.endswith(f"; see {program} --help")
    assert meant in called.line
    assert f"did you mean {meant}?" in called.line or not meant


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_subcommand_names_its_own_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for parser in parsers(build_parser(command)):
        with pytest.raises(SystemExit):
            parser.parse_args(["--no-such-option-anywhere"])
        assert capsys.readouterr().err.endswith(f"; see {parser.prog} --help\n")


def test_help_lists_the_options_of_the_model_that_is_asked_for(call: Call) -> None:
    assert "--text-encoder" not in call("play", "--help").out
    assert "longtake play --model longlive-1.3b --help" in call("play", "--help").out
    for words in (["--model", "longlive-1.3b"], ["--model=longlive-1.3b"]):
        assert "--text-encoder" in call("play", *words, "--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_speaks_python(call: Call, command: str) -> None:
    assert "None" not in call(command, "--help").out


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_a_terminal_cannot_show_is_printed_as_escapes(encoding: str) -> None:
    code = (
        "import sys, longtake.runtime.cli.main as main, longtake.runtime.cli.models as models;"
        "models.run = lambda options: print('\\u4e2d \\udcff \\u00e9') or print('\\u4e2d', file=sys.stderr) or 0;"
        "sys.exit(main.run(['models']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout.strip() == "\u4e2d \udcff \u00e9".encode(encoding, "backslashreplace")


@pytest.mark.skipif(os.name == "nt", reason="there is no such shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_output_is_no_fault(closed: str) -> None:
    """Python has None for such a stream, and the next file to be opened would get its number."""
    command = f"{shlex.quote(sys.executable)} -m longtake scenarios {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"night-train" in done.stdout) == (not closed.startswith((">", "<")))


def test_json_is_printed_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"prompt": "\u4e2d \U0001f98a \u00e9"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"prompt": "\u4e2d \U0001f98a \u00e9"}


def test_a_fault_of_ours_is_one_line_and_no_failed_check(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: argparse.Namespace) -> int:
        raise KeyError("gone")

    monkeypatch.setattr("longtake.runtime.cli.models.run", fail)
    called = call("models")
    assert called.code == 2
    assert called.line.startswith("longtake models: a fault in longtake (KeyError: 'gone')")
