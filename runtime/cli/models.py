"""`longtake models`: what can be served, under which licence, and where the weights are. Imports no torch."""

import argparse
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from longtake.runtime import registry
from longtake.runtime.cli.arguments import add_json_argument
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where a model's weights belong and what is there. `files` are names inside `folder`."""

    licence: str
    parameters: str
    files: tuple[str, ...]
    folder: Path | None = None
    """None: not read from a folder of its own"""
    missing_note: str = ""
    """what to do where they are not there"""

    @property
    def present(self) -> list[Path]:
        """The files that exist."""
        return [path for name in self.files if self.folder is not None and (path := self.folder / name).is_file()]

    @property
    def missing(self) -> list[str]:
        """Names of the files that do not exist."""
        found = {path.name for path in self.present}
        return [name for name in self.files if name not in found]

    @property
    def size_bytes(self) -> int:
        """Of the files that exist, together."""
        return sum(path.stat().st_size for path in self.present)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One row of the list."""

    name: str
    summary: str
    licence: str
    parameters: str
    ready: bool
    size_mib: float
    folder: str
    note: str


def weights_of(name: str) -> Weights:
    """Where the weights of a model of the registry are."""
    if name == "diorama":
        return Weights(
            licence="Apache-2.0",
            parameters="11 M",
            files=("transformer.safetensors", "decoder.safetensors", "text_encoder.safetensors", "probe.safetensors"),
            folder=Path(str(files("longtake.model.diorama") / "weights")),
            missing_note="reinstall longtake, or train them (docs/training.md)",
        )
    return Weights(
        licence="its own; see the checkpoint's model card",
        parameters="1.3 B",
        files=(),
        missing_note="this version cannot load it yet; use diorama",
    )


def listings() -> list[Listing]:
    """Every model of the registry."""
    rows = []
    for name, entry in registry.MODELS.items():
        weights = weights_of(name)
        ready = bool(weights.files) and not weights.missing
        rows.append(
            Listing(
                name=name,
                summary=entry.summary,
                licence=weights.licence,
                parameters=weights.parameters,
                ready=ready,
                size_mib=round(weights.size_bytes / MIB, 1),
                folder=str(weights.folder or ""),
                note="" if ready else note_of(weights),
            )
        )
    return rows


def note_of(weights: Weights) -> str:
    """What is missing, and what to do about it."""
    what = f"missing {', '.join(weights.missing)}: " if weights.missing else ""
    return what + weights.missing_note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    rows = listings()
    if options.json:
        print_json({"models": [asdict(row) for row in rows]})
        return OK
    shown = [["model", "parameters", "weights", "licence", "where"]]
    for row in rows:
        size = f"{row.size_mib:.1f} MiB" if row.ready else "-"
        shown.append([row.name, row.parameters, size, row.licence, row.folder if row.ready else row.note])
    print(table(shown, right=(1, 2)))
    print()
    for row in rows:
        print(f"{row.name}: {row.summary}")
    return OK
