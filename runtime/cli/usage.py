"""Exit codes, and the error for a request that cannot be carried out."""

from collections.abc import Iterable

from longtake.model.command_line import meant
from longtake.protocol.errors import LongtakeError

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""exit codes: done, a check failed, the request cannot be carried out, Ctrl-C"""


class UsageError(LongtakeError, ValueError):
    """The request cannot be carried out; the message is one line and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("usage", message)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return one line about a name that does not exist, with the closest one that does."""
    names = list(known)
    return f"no {kind} is called {name!r}; there are: {', '.join(names)}{meant(name, names, near=0.5)}"
