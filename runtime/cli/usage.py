"""Exit codes, and the error for what cannot be done."""

import difflib
from collections.abc import Iterable

from longtake.protocol.errors import LongtakeError

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""exit codes: done, a check failed, what was asked for cannot be done, Ctrl-C"""


class UsageError(LongtakeError, ValueError):
    """What was asked for cannot be done; the message is one line and says what can."""

    def __init__(self, message: str) -> None:
        super().__init__("usage", message)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that does not exist, with the likeliest one meant."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no {kind} is called {name!r}; there are: {', '.join(names)}{hint}"
