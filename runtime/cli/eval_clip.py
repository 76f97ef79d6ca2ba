"""`longtake eval clip`: score films with CLIP, each segment against its own prompt, and say what minutes did to them.

The films are a folder that `longtake eval vbench` made, with its account `FOLDER.json` beside it: it says which prompt
holds from which tick on.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from longtake.runtime.cli.arguments import add_json_argument, count
from longtake.runtime.cli.hosting import need_torch
from longtake.runtime.cli.output import print_json, progress, table
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from longtake.model.evaluation.clip_score import Embedder
    from longtake.model.evaluation.film_drift import Window

RATE = 4
"""frames a second that are scored"""


class Cue(msgspec.Struct):
    """A prompt and the tick from which it holds."""

    tick: int
    prompt: str


class Account(msgspec.Struct):
    """A film, as its list's account describes it."""

    prompt: str
    frames: int
    fps: int
    cues: list[Cue] = []


class Accounts(msgspec.Struct):
    """A list's account."""

    films: dict[str, Account]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What was found of a film."""

    film: str
    scores: list[float]
    """one a segment"""
    drift: "list[Window]"
    """empty if the film is too short"""


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `eval clip`."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="films of `longtake eval vbench`, such as out/story"
    )
    parser.add_argument(
        "--clip", type=Path, required=True, metavar="WEIGHTS", help="folder of a CLIP model as transformers saves it"
    )
    parser.add_argument(
        "--rate", type=count, default=RATE, help="frames a second that are scored (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    add_json_argument(parser)


def run_clip(options: argparse.Namespace) -> int:
    """Score every film of a folder. Raises LongtakeError."""
    accounts = read_accounts(options.folder)
    need_torch("scoring with CLIP")
    from longtake.model.evaluation.clip_score import load_clip

    clip = load_clip(options.clip, options.device)
    rows = []
    with progress("films", "film", len(accounts), quiet=options.json) as show:
        for done, (name, account) in enumerate(accounts.items(), start=1):
            rows.append(score(options.folder / name, account, clip, options.rate))
            show(done, len(accounts))
    by_segment = averages([row.scores for row in rows])
    if options.json:
        print_json(
            {
                "clip": str(options.clip),
                "rate": options.rate,
                "films": [asdict(row) for row in rows],
                "segments": by_segment,
            }
        )
        return OK
    print(f"CLIP score of {len(rows)} films, 100 x cosine\n")
    lines = [["segment", "score", "95 % interval", "films"]]
    for number, (value, (low, high), films) in enumerate(by_segment, start=1):
        lines.append([str(number), f"{value:.2f}", f"{low:.2f} to {high:.2f}" if low == low else "", str(films)])
    print(table(lines, right=(1, 3)))
    drifts = [asdict(row.drift[-1]) for row in rows if row.drift]
    if drifts:
        print("\nat the end against second 5, mean of the films that are long enough:")
        for what in ("colour", "sharpness", "motion"):
            print(f"  {what:10} {sum(drift[what] for drift in drifts) / len(drifts):.2f}")
    return OK


def read_accounts(folder: Path) -> dict[str, Account]:
    """Return the films of a folder by name. Raises `UsageError`."""
    path = folder.with_name(f"{folder.name}.json")
    if not folder.is_dir() or not path.is_file():
        raise UsageError(f"{folder} is no folder of `longtake eval vbench` with {path.name} beside it")
    try:
        films = msgspec.json.decode(path.read_bytes(), type=Accounts).films
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    there = {name: account for name, account in films.items() if (folder / name).is_file()}
    if not there:
        raise UsageError(f"{folder} holds none of the films of {path.name}")
    return there


def score(path: Path, account: Account, clip: "Embedder", rate: int) -> Scored:
    """Return a film's score of each segment, and its drift. Raises `UsageError`."""
    import numpy as np

    from longtake.model.evaluation.clip_score import score_film, segments
    from longtake.model.evaluation.film_drift import film_drift, windows

    step = max(1, account.fps // rate)
    spans = windows(account.frames / account.fps, account.fps)
    kept: list[tuple[int, NDArray[np.uint8]]] = []
    seen: list[list[NDArray[np.uint8]]] = [[] for _ in spans]
    parts = segments(account.prompt, [(cue.tick, cue.prompt) for cue in account.cues], account.frames)
    starts = {part.first for part in parts}
    for tick, frame in enumerate(frames_of(path)):
        if tick % step == 0 or tick in starts:
            kept.append((tick, frame))
        for (first, end), window in zip(spans, seen, strict=True):
            if first <= tick < end:
                window.append(frame)
    try:
        scores = score_film(np.stack([frame for _, frame in kept]), [tick for tick, _ in kept], parts, clip)
        windowed = [
            (end / account.fps, np.stack(window)) for (_, end), window in zip(spans, seen, strict=True) if window
        ]
        drift = film_drift(windowed) if windowed else []
    except ValueError as error:
        raise UsageError(f"{path}: shorter than its account says ({error})") from None
    return Scored(film=path.name, scores=scores, drift=drift)


def frames_of(path: Path) -> "Iterator[NDArray[np.uint8]]":
    """Yield a film's frames, [H, W, 3] uint8. Raises `UsageError`."""
    import numpy as np

    try:
        import av
    except ImportError:
        raise UsageError("reading films needs PyAV: pip install 'longtake[host]'") from None
    try:
        with av.open(str(path)) as film:
            for frame in film.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (OSError, av.error.FFmpegError) as error:
        raise UsageError(f"{path} cannot be read as a film: {error}") from None


def averages(scores: "Sequence[Sequence[float]]") -> list[tuple[float, tuple[float, float], int]]:
    """Return mean, interval and number of films of each segment."""
    from longtake.model.evaluation.figures import bootstrap, mean

    columns = [[row[i] for row in scores if i < len(row)] for i in range(max(len(row) for row in scores))]
    return [(mean(column), bootstrap(column, mean), len(column)) for column in columns]
