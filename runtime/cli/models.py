"""`longtake models`: list the models, their licences and where the weights are. `pull` downloads public ones.

Imports no torch.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

from longtake.model.interface import Axis, ModelSpec, Weights, model_specs
from longtake.runtime.cli.arguments import add_json_argument, file_path
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError, unknown

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of a model."""

    name: str
    part: str
    """what it is, such as "lora"; `models pull --part` takes it"""
    size_mib: float
    """of the whole file"""
    path: str
    """where it is; empty if it is not here"""
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One model of the list."""

    name: str
    summary: str
    licence: str
    parameters: str
    capabilities: list[str]
    axes: list[Axis]
    """what `input` can hold"""
    ready: bool
    """True if all its files are here"""
    size_mib: float
    """total of the files that are here"""
    whole_mib: float
    """total of all its files, here or not"""
    files: list[Part]
    folder: str
    """folder its files belong in"""
    note: str
    """what is missing, and what to do"""


def listings() -> list[Listing]:
    """List every model of the registry."""
    return [listing(spec) for spec in model_specs()]


def listing(spec: ModelSpec) -> Listing:
    """List one model."""
    weights = spec.weights() if spec.weights is not None else Weights(folder=Path())
    missing = weights.missing
    return Listing(
        name=spec.name,
        summary=spec.summary,
        licence=spec.licence,
        parameters=spec.parameters,
        capabilities=list(spec.capabilities),
        axes=list(spec.axes),
        ready=not missing,
        size_mib=mib(sum(file.here_bytes for file in weights.files)),
        whole_mib=mib(sum(file.size_bytes for file in weights.files)),
        files=[
            Part(
                name=file.name,
                part=file.part,
                size_mib=mib(file.size_bytes),
                path=str(file.path or ""),
                complete=file.complete,
            )
            for file in weights.files
        ],
        folder=str(weights.folder) if weights.files else "",
        note=f"missing {', '.join(missing)}: {weights.remedy}" if missing else "",
    )


def mib(size_bytes: int) -> float:
    """Convert a size for the list."""
    return round(size_bytes / MIB, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    fetch = actions.add_parser("pull", help="download a public model's files; check those that are here")
    fetch.add_argument("model", help="such as longlive-1.3b")
    fetch.add_argument(
        "--folder", type=file_path, help="folder for the files (default: the one `longtake models` shows)"
    )
    fetch.add_argument("--part", action="append", default=[], help="download only this part, such as 'tiny decoder'")


def run(options: argparse.Namespace) -> int:
    """Print the list, or download a model."""
    if options.action == "pull":
        return fetch_model(options)
    rows = listings()
    if options.json:
        print_json({"models": [asdict(row) for row in rows]})
        return OK
    shown = [["model", "here, MiB", "of", "state"]]
    shown += [
        [row.name, f"{row.size_mib:,.1f}", f"{row.whole_mib:,.1f}", "ready" if row.ready else "not here"]
        for row in rows
    ]
    print(table(shown, right=(1, 2)))
    for row in rows:
        print(f"\n{row.name}: {row.summary}")
        print(f"  {row.parameters} parameters; {row.licence}")
        if row.axes:
            print(f"  steered by hand: {', '.join(axis.in_words for axis in row.axes)}")
        if row.folder:
            print(f"  {row.folder}")
        for file in row.files:
            state = file.path if file.complete else f"cut short: {file.path}" if file.path else "not here"
            print(f"  {file.size_mib:>9,.1f} MiB  {file.part}: {file.name}  {state}")
        if row.note:
            print(f"  {row.note}")
    return OK


def fetch_model(options: argparse.Namespace) -> int:
    """Download a model's files after printing the licence. Raises ModelError."""
    specs = {spec.name: spec for spec in model_specs()}
    public = [spec.name for spec in specs.values() if spec.pull is not None]
    if options.model not in specs:
        raise UsageError(unknown("public model", options.model, public))
    spec = specs[options.model]
    if spec.pull is None:
        raise UsageError(f"{spec.name} is part of the package and needs no fetching; see `longtake models`")
    print(f"{spec.name}: {spec.licence}")
    paths = spec.pull(options.folder, print, options.part)
    print(f"{len(paths)} files are there")
    return OK
