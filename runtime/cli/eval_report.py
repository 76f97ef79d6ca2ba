"""What `longtake eval` writes: the page of `--report`, and the pictures of `--sheets`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.clients.film.whole_file import WholeFile
from longtake.runtime.cli.usage import UsageError

if TYPE_CHECKING:
    from longtake.model.evaluation.figures import Figure, Sample
    from longtake.model.evaluation.strips import Shown


def write_report(
    path: Path,
    title: str,
    facts: Sequence[str],
    figures: "Sequence[Figure]",
    samples: "Mapping[str, Sequence[Sample]]",
    shown: "Sequence[Shown]",
) -> None:
    """Write one page with everything in it. Raises `UsageError`."""
    from longtake.model.evaluation.page import page

    write(path, page(title, facts, figures, samples, shown).encode())


def write_sheets(folder: Path, shown: "Sequence[Shown]") -> list[Path]:
    """Write a strip, a WebP and a GIF of each scene; return their paths. Raises `UsageError`."""
    from longtake.model.evaluation.strips import jpeg, moving_picture, side_by_side, strip

    paths = []
    for scene in shown:
        pages = side_by_side(scene)
        for name, data in (
            (f"{scene.name}.jpg", jpeg(strip(scene))),
            (f"{scene.name}.webp", moving_picture(pages, scene.fps, "webp")),
            (f"{scene.name}.gif", moving_picture(pages, scene.fps, "gif")),
        ):
            write(folder / name, data)
            paths.append(folder / name)
    return paths


def write(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all. Raises `UsageError`."""
    try:
        with WholeFile(path) as file:
            file.part.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
