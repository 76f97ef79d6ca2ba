"""Scenario files, their library, and the runner that plays one through a session."""

from longtake.protocol.version import __version__ as __version__
