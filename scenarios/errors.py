"""The exceptions of scenario files.

ScenarioError                  base: what is wrong, where, and what to do
`- ScenarioNotFound            no such file and no such name in the library
"""

from longtake.protocol.errors import LongtakeError


class ScenarioError(LongtakeError, ValueError):
    """A scenario cannot be used. The message is one line and names the file and the key."""

    def __init__(self, message: str) -> None:
        super().__init__("scenario", " ".join(message.split()))


class ScenarioNotFound(ScenarioError):
    """The name is neither a file nor a scenario of the library."""
