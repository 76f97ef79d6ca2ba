"""Hosts worlds: the server, the generator process, worlds and their ticks, takes, and the command line."""

from longtake.protocol.version import __version__ as __version__
