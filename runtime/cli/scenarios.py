"""`longtake scenarios`: list the scenarios that ship, or show the file of one as an example to start from."""

import argparse
from importlib import resources

from longtake.runtime.cli.arguments import add_json_argument
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError, unknown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", nargs="?", help="a scenario of the library; says more about it")
    parser.add_argument(
        "--show", action="store_true", help="print the scenario's YAML file; docs/scenarios.md explains the format"
    )
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """List the library, or show one scenario."""
    from longtake.scenarios.loading import library

    scenarios = library()
    if options.name is not None and options.name not in scenarios:
        raise UsageError(unknown("scenario", options.name, scenarios))
    if options.show:
        if options.name is None:
            raise UsageError("--show needs a name, as in `longtake scenarios night-train --show`")
        print(source(options.name), end="")
        return OK
    chosen = {name: one for name, one in scenarios.items() if options.name in (None, name)}
    if options.json:
        print_json(
            [
                {
                    "name": name,
                    "title": one.title,
                    "description": one.description.strip(),
                    "model": one.model,
                    "seconds": one.seconds,
                    "events": list(one.events),
                }
                for name, one in chosen.items()
            ]
        )
        return OK
    if options.name is None:
        rows = [(name, f"{one.seconds:g} s", one.title) for name, one in scenarios.items()]
        print(table([("scenario", "length", "what it is"), *rows], right=(1,)))
        print("\n`longtake play NAME` plays one; `longtake scenarios NAME --show` prints its file.")
        return OK
    one = scenarios[options.name]
    print(f"{one.title}: {' '.join(one.description.split())}")
    for name, event in one.events.items():
        print(f"  {event.key or '-':<6} {event.label or name}")
    return OK


def source(name: str) -> str:
    """Return the text of a scenario's file."""
    folder = resources.files("longtake.scenarios") / "library"
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")
