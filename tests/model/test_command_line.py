"""A mistake on a command line is one line: what is wrong, what was meant, and the help of that very command."""

import argparse

import pytest

from longtake.model.command_line import Parser


@pytest.fixture
def parser() -> Parser:
    """A program with an option, a command of two kinds, and one that hands the rest on."""
    parser = Parser(prog="tool")
    parser.add_argument("--verbose", action="store_true")
    commands = parser.add_subparsers(dest="command")
    measure = commands.add_parser("measure")
    measure.add_argument("--hidden", help=argparse.SUPPRESS)
    measure.add_argument("--encoding", choices=["png", "jpeg"])
    kinds = measure.add_subparsers(dest="kind", required=True)
    kinds.add_parser("live").add_argument("--worlds", type=int)
    kinds.add_parser("history")
    hand = commands.add_parser("hand")
    hand.add_argument("part")
    hand.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--verbos measure live", None),
        ("--vrebose", "tool: unrecognized arguments: --vrebose; did you mean --verbose?; see tool --help"),
        (
            "measure live --worlsd 2",
            "tool measure live: unrecognized arguments: --worlsd; did you mean --worlds?; see tool measure live --help",
        ),
        (
            "measure live --worlsd=2",
            "tool measure live: unrecognized arguments: --worlsd=2; did you mean --worlds?; "
            "see tool measure live --help",
        ),
        (
            "measure --worlsd 2 live",
            "tool measure: unrecognized arguments: --worlsd; did you mean --worlds, after `tool measure live`?; "
            "see tool measure --help",
        ),
        (
            "measure --worlds 2 live",
            "tool measure: unrecognized arguments: --worlds; --worlds goes after `tool measure live`; "
            "see tool measure --help",
        ),
        (
            "measure histroy",
            "tool measure: argument kind: invalid choice: 'histroy' (choose from live, history); "
            "did you mean history?; see tool measure --help",
        ),
        (
            "measure --encoding jepg live",
            "tool measure: argument --encoding: invalid choice: 'jepg' (choose from png, jpeg); "
            "did you mean jpeg?; see tool measure --help",
        ),
        ("measure --hiden 1 live", "tool measure: unrecognized arguments: --hiden; see tool measure --help"),
        ("measure live more", "tool measure live: unrecognized arguments: more; see tool measure live --help"),
        ("measure", "tool measure: the following arguments are required: kind; see tool measure --help"),
        ("hand it --on whatever", None),
        ("hand it -- --on", None),
        ("measure --hidden 1 live --wor 2", None),
    ],
)
def test_one_line_with_the_help_of_the_command_that_was_typed(
    parser: Parser, capsys: pytest.CaptureFixture[str], arguments: str, line: str | None
) -> None:
    if line is None:
        parser.parse_args(arguments.split())
        return
    with pytest.raises(SystemExit) as end:
        parser.parse_args(arguments.split())
    assert end.value.code == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_a_strange_argument_is_still_one_line(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["measure", "live", "a\nb\x1b[2J"])
    assert (
        capsys.readouterr().err == "tool measure live: unrecognized arguments: a b [2J; see tool measure live --help\n"
    )


def test_help_wins_over_a_mistake(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["measure", "live", "--worlsd", "--help"])
    assert end.value.code == 0
    assert "--worlds" in capsys.readouterr().out
