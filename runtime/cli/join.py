"""`longtake join`: open a window on a world that runs at a server, to watch or to direct it."""

import argparse

from longtake.protocol.endpoints import DEFAULT_ENDPOINT, parse_connect
from longtake.runtime.cli.display import open_display
from longtake.runtime.cli.usage import OK, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "endpoint", nargs="?", default=DEFAULT_ENDPOINT, help="where the server is (default: %(default)s)"
    )
    parser.add_argument("--world", default="", metavar="W", help="the world's name (default: the newest)")
    parser.add_argument(
        "--role",
        choices=("viewer", "director"),
        default="viewer",
        help="watch, or steer as well (default: %(default)s)",
    )
    parser.add_argument("--jpeg", action="store_true", help="ask for compressed pictures, for a slow connection")
    parser.add_argument("--fullscreen", action="store_true", help="fill the screen (F11 in the window)")
    parser.add_argument("--hud", action="store_true", help="show the numbers (F3 in the window)")


def run(options: argparse.Namespace) -> int:
    """Join and play."""
    parse_connect(options.endpoint)
    if why_not := open_display():
        raise UsageError(
            f"{why_not}, so no window can open: join from a desktop session, or film a world of your own with "
            f"`longtake render --scenario NAME --endpoint {options.endpoint}`"
        )
    from longtake.clients.player.player import play

    play(
        options.endpoint,
        join=options.world,
        role=options.role,
        encoding="jpeg" if options.jpeg else "raw",
        hud=options.hud,
        fullscreen=options.fullscreen,
    )
    return OK
