"""The server: sockets, sessions and the tick loop."""
