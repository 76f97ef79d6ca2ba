"""Command line entry: `longtake` and `python -m longtake`."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from longtake.runtime.cli.main import run

        return run()
    except KeyboardInterrupt:  # before the command has begun: reading the program takes a moment
        print("longtake: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
