"""Command line entry: `longtake` and `python -m longtake`."""


def main() -> int:
    """Run the command line and return its exit code."""
    from longtake.runtime.cli.main import run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
