"""The argument parser of every command: a mistake is one line that names the help of the command that was typed."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

NEAR = 0.6
"""how alike two words must be, from 0 to 1, before one is suggested for the other"""


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the usage, and suggests the nearest option or subcommand.

    A subcommand's parser reports its own mistakes, so the line names its help and not that of the whole program.
    """

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and exit with one line if anything is left over: nothing is passed up to the parser above."""
        given = list(sys.argv[1:] if args is None else args)
        self._check_options(given)
        known, extra = super().parse_known_args(given, namespace)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return known, extra

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        line = "".join(sign if sign.isprintable() else " " for sign in message)
        self.exit(2, f"{self.prog}: {' '.join(line.split())}; see {self.prog} --help\n")

    def _check_options(self, given: list[str]) -> None:
        """Report the first option that does not exist, before anything that only follows from it.

        `bench --worlsd 2 live` would otherwise be told that there is no kind of bench called 2.
        """
        own = list(self._own(given))
        if "--help" in own or "-h" in own:
            return
        for word in own:
            flag = word.split("=")[0]
            if not flag.startswith("--") or " " in word or any(known.startswith(flag) for known in flags_of(self)):
                continue
            self.error(f"unrecognized arguments: {word}{self._hint(flag, given)}")

    def _hint(self, flag: str, given: Sequence[str]) -> str:
        """Say which option was meant: one of the subcommand that is given, or one of this parser."""
        for name, parser in self._subcommands().items():
            if name in given and flag in flags_of(parser):
                return f"; {flag} goes after `{parser.prog}`"
            if name in given and (hint := meant(flag, flags_of(parser, hidden=False))):
                return hint.replace("?", f", after `{parser.prog}`?")
        return meant(flag, flags_of(self, hidden=False))

    def _own(self, given: Iterable[str]) -> Iterator[str]:
        """Yield the words before a subcommand, a remainder or `--`."""
        remainder = any(action.nargs == argparse.REMAINDER for action in self._actions)
        subcommands = set(self._subcommands())
        for word in given:
            if word == "--" or word in subcommands or (remainder and not word.startswith("-")):
                return
            yield word

    def _subcommands(self) -> dict[str, argparse.ArgumentParser]:
        """Return the parsers of the subcommands by name."""
        found: dict[str, argparse.ArgumentParser] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= action.choices
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices, with the nearest one."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            action, f"invalid choice: {str(value)!r} (choose from {', '.join(choices)}){meant(str(value), choices)}"
        )


def flags_of(parser: argparse.ArgumentParser, *, hidden: bool = True) -> list[str]:
    """Return the options that a parser itself takes, with or without those that `--help` leaves out."""
    actions = [action for action in parser._actions if hidden or action.help != argparse.SUPPRESS]
    return [flag for action in actions for flag in action.option_strings]


def meant(word: str, known: Iterable[str], near: float = NEAR) -> str:
    """Return `; did you mean X?` for the nearest known word, or an empty string.

    Leading dashes and capitals do not count.
    """
    bare = {name.lstrip("-").lower(): name for name in known}
    close = difflib.get_close_matches(word.lstrip("-").lower(), bare, n=1, cutoff=near)
    return f"; did you mean {bare[close[0]]}?" if close else ""
