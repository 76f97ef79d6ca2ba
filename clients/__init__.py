"""Everything that talks to a server: the session API, the player, headless films and agents."""

from longtake.protocol.version import __version__ as __version__
