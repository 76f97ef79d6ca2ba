"""What clients and servers say to each other: messages, limits, errors. docs/protocol.md is the authority."""

from longtake.protocol.version import __version__ as __version__
