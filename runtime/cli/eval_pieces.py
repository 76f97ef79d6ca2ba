"""Runs the measures of `longtake eval` take by take, and keeps each take's figures in a folder if one is given.

So a run that was stopped goes on, and `--part 1/2` and `--part 2/2` can run at different times or on two machines
before their pieces are put together.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from longtake.runtime.cli.eval_report import write
from longtake.runtime.cli.usage import UsageError

if TYPE_CHECKING:
    from longtake.model.evaluation.figures import Sample
    from longtake.model.evaluation.measures.base import Effort, Measure
    from longtake.model.evaluation.studio import Studio

ABOUT = "about.json"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of several parts of an evaluation, counted from 1."""

    number: int = 1
    of: int = 1

    def takes(self, index: int) -> bool:
        """Whether this part films take `index` of all."""
        return index % self.of == self.number - 1


def part(text: str) -> Part:
    """Parse `1/2`; for argparse."""
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part; write 1/2 and 2/2")
    return Part(number=int(match[1]), of=int(match[2]))


class Pieces:
    """What was measured so far, by measure and take.

    Args:
        folder: where it is kept; None keeps it in memory only.
        about: what the pieces are of; a folder of another evaluation is refused.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, object]) -> None:
        self.folder = folder
        self._samples: dict[tuple[str, int], Sample] = {}
        if folder is not None:
            self._open(folder, msgspec.json.encode(about, order="sorted"))

    def get(self, measure: str, index: int) -> "Sample | None":
        """Return a take's figures; None if it has not been filmed. Raises `UsageError`."""
        if (measure, index) not in self._samples and self.folder is not None:
            path = self._path(self.folder, measure, index)
            if path.is_file():
                from longtake.model.evaluation.figures import Sample

                try:
                    self._samples[measure, index] = msgspec.json.decode(path.read_bytes(), type=Sample)
                except (OSError, msgspec.MsgspecError) as error:
                    raise UsageError(f"{path} is damaged ({error}); remove it, and the take is filmed again") from None
        return self._samples.get((measure, index))

    def put(self, measure: str, index: int, sample: "Sample") -> None:
        """Keep a take's figures. Raises `UsageError`."""
        self._samples[measure, index] = sample
        if self.folder is not None:
            write(self._path(self.folder, measure, index), msgspec.json.encode(sample))

    def of(self, measure: "Measure", effort: "Effort") -> "list[Sample]":
        """Return what there is of a measure."""
        found = (self.get(measure.name, index) for index in range(measure.takes(effort)))
        return [sample for sample in found if sample is not None]

    def _open(self, folder: Path, about: bytes) -> None:
        path = folder / ABOUT
        if not path.is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UsageError(f"{folder} is not empty and holds no evaluation; choose another --output")
            write(path, about)
        elif path.read_bytes() != about:
            raise UsageError(f"{folder} holds takes of other weights or settings ({path}); choose another --output")

    def _path(self, folder: Path, measure: str, index: int) -> Path:
        return folder / f"{measure}-{index:03d}.json"


def film(
    measures: "Sequence[Measure]",
    studio: "Studio",
    effort: "Effort",
    pieces: Pieces,
    which: Part,
    progress: Callable[[int, int], None],
) -> tuple[int, int]:
    """Film the takes of a part that are not there yet; return how many of all there are now, and all."""
    takes = [(measure, index) for measure in measures for index in range(measure.takes(effort))]
    ours = [take for number, take in enumerate(takes) if which.takes(number)]
    for done, (measure, index) in enumerate(ours, start=1):
        if pieces.get(measure.name, index) is None:
            pieces.put(measure.name, index, measure.shoot(studio, index, effort))
        progress(done, len(ours))
    return sum(pieces.get(measure.name, index) is not None for measure, index in takes), len(takes)
