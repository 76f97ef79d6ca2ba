"""`longtake models`: list the models, their licences and where the weights are. `pull` downloads public ones.

Imports no torch.
"""

import argparse
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from longtake.runtime import registry
from longtake.runtime.cli.arguments import add_json_argument
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError, unknown

MIB = 2**20
BUNDLED = "diorama"
"""the model whose weights are part of the package"""
BUNDLED_FILES = (
    "transformer.safetensors",
    "decoder.safetensors",
    "text_encoder.safetensors",
    "probe.safetensors",
)
BUNDLED_MISSING = "reinstall longtake, or train them (docs/training.md)"


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
    ready: bool
    """whether all its files are here"""
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
    return [bundled(entry) if name == BUNDLED else pulled(entry) for name, entry in registry.MODELS.items()]


def bundled_folder() -> Path:
    """Return the folder of the package's own weights."""
    return Path(str(files("longtake.model.diorama") / "weights"))


def bundled_paths() -> list[Path]:
    """Return the package's weights that are here, in the order in which they are hashed."""
    return [path for name in BUNDLED_FILES if (path := bundled_folder() / name).is_file()]


def bundled(entry: registry.ModelEntry) -> Listing:
    """List the model that is part of the package."""
    present = bundled_paths()
    missing = [name for name in BUNDLED_FILES if name not in {path.name for path in present}]
    files = [
        Part(name=path.name, part=path.stem, size_mib=mib(path.stat().st_size), path=str(path), complete=True)
        for path in present
    ]
    return Listing(
        name=entry.name,
        summary=entry.summary,
        licence="Apache-2.0",
        parameters="9 M (16 M with decoder, text encoder and probe)",
        ready=not missing,
        size_mib=mib(sum(path.stat().st_size for path in present)),
        whole_mib=mib(sum(path.stat().st_size for path in present)),
        files=files,
        folder=str(bundled_folder()),
        note=f"missing {', '.join(missing)}: {BUNDLED_MISSING}" if missing else "",
    )


def pulled(entry: registry.ModelEntry) -> Listing:
    """List a model whose public files the user downloads."""
    # Knows the public files, and imports no torch.
    from longtake.model.longlive.table import default_root, known, states

    model, root = known(entry.name), default_root()
    found = states(model, root)
    missing = [Path(state.file.name).name for state in found if not state.complete]
    files = [
        Part(
            name=state.file.name,
            part=state.file.part,
            size_mib=mib(state.file.size_bytes or state.size_bytes),
            path=str(state.path or ""),
            complete=state.complete,
        )
        for state in found
    ]
    return Listing(
        name=entry.name,
        summary=entry.summary,
        licence=model.licence,
        parameters=model.parameters,
        ready=not missing,
        size_mib=mib(sum(state.size_bytes for state in found)),
        whole_mib=mib(model.size_bytes),
        files=files,
        folder=str(root),
        note=f"missing {', '.join(missing)}: longtake models pull {entry.name}" if missing else "",
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
    fetch.add_argument("--folder", type=Path, help="folder for the files (default: the one `longtake models` shows)")
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
        print(f"  {row.folder}")
        for file in row.files:
            state = file.path if file.complete else f"cut short: {file.path}" if file.path else "not here"
            print(f"  {file.size_mib:>9,.1f} MiB  {file.part}: {file.name}  {state}")
        if row.note:
            print(f"  {row.note}")
    return OK


def fetch_model(options: argparse.Namespace) -> int:
    """Download a model's files after printing the licence. Raises ModelError."""
    from longtake.model.longlive.hub import pull
    from longtake.model.longlive.table import MODELS, default_root

    if options.model == BUNDLED:
        raise UsageError(f"{BUNDLED} is part of the package and needs no fetching; see `longtake models`")
    if options.model not in MODELS:
        raise UsageError(unknown("public model", options.model, MODELS))
    model = MODELS[options.model]
    print(f"{model.name}: {model.licence}")
    paths = pull(model, options.folder or default_root(), report=print, parts=options.part)
    print(f"{len(paths)} files are there")
    return OK
