"""Measures with the probe if the picture shows what the prompt says, if the actor lasts, and if a switch takes effect.

Every prompt is filmed with every seed. At 5 s the probe reads all labels. The take continues to 15 s, where the actor
and its colour must still be there. A second take continues from the state at 5 s under a prompt with another place,
time and weather and the same actor, and is read 5 s later. A reading is the median vote over 8 frames.
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.errors import ConfigError
from longtake.model.generation.world import World
from longtake.model.loaded import LoadedModel
from longtake.model.whole_file import write_whole

VOTE_FRAMES = 8
EARLY_S, LATE_S = 5.0, 15.0
UNSCORED = "?"


@dataclass(frozen=True, kw_only=True)
class EvalPrompt:
    """A prompt and what it should show; `labels` leaves out the kinds that are not scored."""

    text: str
    labels: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How many of the trials were hits, with Wilson's 95 % interval."""

    hits: int
    trials: int

    @property
    def rate(self) -> float:
        """Share of hits, 0..1; NaN without trials."""
        return self.hits / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson score interval at 95 % (Wilson, 1927)."""
        if not self.trials:
            return math.nan, math.nan
        z, n, p = 1.96, self.trials, self.rate
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, centre - half), min(1.0, centre + half)


def read_prompts(path: Path) -> list[EvalPrompt]:
    """Read a TSV with the columns prompt, place, time, weather, actor, colour; raises ConfigError naming the line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    rows = csv.DictReader(text.removesuffix("\n").split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in ("prompt", *SCORED) if name not in (rows.fieldnames or [])]
    if missing:
        raise ConfigError(
            f"{path}: the first line lacks the column {missing[0]}; it must name prompt, {', '.join(SCORED)}"
        )
    prompts = []
    for row in rows:
        labels = {kind: row[kind] or UNSCORED for kind in SCORED}
        for kind, label in labels.items():
            if label != UNSCORED and label not in LABELS[kind]:
                raise ConfigError(
                    f"{path}, line {rows.line_num}: {kind} {label!r} is not one of {', '.join(LABELS[kind])}, ?"
                )
        if not row["prompt"]:
            raise ConfigError(f"{path}, line {rows.line_num}: the prompt is empty")
        prompts.append(EvalPrompt(text=row["prompt"], labels={k: v for k, v in labels.items() if v != UNSCORED}))
    if not prompts:
        raise ConfigError(f"{path} has no prompts")
    return prompts


def write_prompts(path: Path, prompts: Iterable[EvalPrompt]) -> None:
    """Write prompts as a TSV that `read_prompts` reads."""
    lines = ["\t".join(("prompt", *SCORED))]
    lines += ["\t".join((p.text, *(p.labels.get(kind, UNSCORED) for kind in SCORED))) for p in prompts]
    write_whole(path, lambda beside: beside.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def switched(prompt: EvalPrompt, index: int) -> EvalPrompt | None:
    """Return a prompt for the same actor in another place, time and weather; None if the prompt leaves a kind open."""
    if any(kind not in prompt.labels for kind in SCORED):
        return None
    rng = np.random.default_rng((index, 99))
    labels = dict(prompt.labels)
    for kind in ("place", "time", "weather"):
        labels[kind] = str(rng.choice([label for label in LABELS[kind] if label != labels[kind]]))
    weather = {"clear": "under a clear sky", "rain": "in the rain", "snow": "in falling snow", "fog": "in thick fog"}
    time = {"dawn": "at dawn", "day": "by day", "dusk": "at dusk", "night": "at night"}
    place = {"mountains": "in the mountains", "ocean": "at sea", "city": "in the city"}.get(
        labels["place"], f"in a {labels['place']}"
    )
    text = f"a {labels['colour']} {labels['actor']} {place}, {time[labels['time']]}, {weather[labels['weather']]}"
    return EvalPrompt(text=text, labels=labels)


class Films:
    """A batch of takes filmed together."""

    def __init__(self, model: LoadedModel, prompts: Sequence[EvalPrompt], seeds: Sequence[int]) -> None:
        self.model = model
        self.prompts = list(prompts)
        self.world: World = model.generator.open(seed=list(seeds), prompt=[p.text for p in prompts])

    def film(self, seconds: float) -> list[torch.Tensor]:
        """Continue filming; return every take's last `VOTE_FRAMES` frames, [n, H, W, 3] uint8."""
        info = self.model.info
        blocks = math.ceil(seconds * info.fps / info.block_frames)
        kept: list[torch.Tensor] = []
        for _ in range(blocks):
            frames = self.model.step(self.world).frames
            kept = [*kept, frames][-math.ceil(VOTE_FRAMES / info.block_frames) :]
        return list(torch.cat(kept, 1)[:, -VOTE_FRAMES:])

    def fork(self) -> "Films":
        """Return a copy of the takes that can continue in another way."""
        other = object.__new__(Films)
        other.model, other.prompts = self.model, self.prompts
        other.world = self.model.generator.restore(self.model.snapshot(self.world, exact=True))
        return other


class Tally:
    """Scores by name."""

    def __init__(self) -> None:
        self.hits: dict[str, int] = {}
        self.trials: dict[str, int] = {}
        self.misses: list[dict[str, str]] = []

    def add(self, stage: str, prompt: EvalPrompt, reading: Mapping[str, str], kinds: Iterable[str]) -> None:
        """Compare a reading with what the prompt should show."""
        for kind in kinds:
            if kind not in prompt.labels:
                continue
            name = f"{stage}.{kind}"
            right = reading[kind] == prompt.labels[kind]
            self.trials[name] = self.trials.get(name, 0) + 1
            self.hits[name] = self.hits.get(name, 0) + right
            if not right:
                self.misses.append({"stage": stage, "kind": kind, "read": reading[kind], "prompt": prompt.text})

    def scores(self) -> dict[str, Score]:
        """Return the scores by stage and kind."""
        return {name: Score(hits=self.hits[name], trials=trials) for name, trials in self.trials.items()}


Job: TypeAlias = tuple[int, EvalPrompt, int]
"""number of the prompt, the prompt, and the seed"""
Read: TypeAlias = Callable[[torch.Tensor], Mapping[str, str]]
"""frames [n, H, W, 3] uint8 -> a label for each kind"""


def jobs_of(prompts: Sequence[EvalPrompt], seeds: Sequence[int]) -> list[Job]:
    """Return every prompt with every seed."""
    return [(i, p, s) for i, p in enumerate(prompts) for s in seeds]


def evaluate(
    model: LoadedModel,
    prompts: Sequence[EvalPrompt],
    seeds: Sequence[int],
    *,
    read: Read | None = None,
    batch: int = 8,
    late: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Film all prompts with all seeds and score them.

    Args:
        model: what films.
        prompts: what to film.
        seeds: each prompt is filmed once with each seed.
        read: reads labels from frames; None for the model's own probe.
        batch: how many takes are filmed together.
        late: continue to 15 s and switch as well, instead of ending at 5 s.
        progress: called with the takes done and the takes in all.
    """
    jobs = jobs_of(prompts, seeds)
    tally = Tally()
    for first in range(0, len(jobs), batch):
        score_jobs(tally, model, jobs[first : first + batch], read=read, late=late)
        progress(min(first + batch, len(jobs)), len(jobs))
    return tally


def score_jobs(
    tally: Tally, model: LoadedModel, jobs: Sequence[Job], *, read: Read | None = None, late: bool = True
) -> None:
    """Film takes together and add their scores to `tally`. Arguments as in `evaluate`."""
    look = read or (lambda frames: model.read(frames)[0])
    films = Films(model, [p for _, p, _ in jobs], [s * 1000 + i for i, _, s in jobs])
    _read(tally, "5s", look, films.prompts, films.film(EARLY_S), SCORED)
    if late:
        _switch(tally, look, films, [i for i, _, _ in jobs])
        frames = films.film(LATE_S - EARLY_S)
        _read(tally, "15s", look, films.prompts, frames, ("actor", "colour"))
    model.close(films.world)


def _switch(tally: Tally, look: Read, films: Films, indices: Sequence[int]) -> None:
    changed = [switched(p, i) for p, i in zip(films.prompts, indices, strict=True)]
    fork = films.fork()
    fork.prompts = [new or old for new, old in zip(changed, films.prompts, strict=True)]
    films.model.generator.cue(fork.world, [p.text for p in fork.prompts])
    for prompt, new, frames in zip(fork.prompts, changed, fork.film(EARLY_S), strict=True):
        if new is not None:
            tally.add("switch", prompt, look(frames), SCORED)
    films.model.close(fork.world)


def _read(
    tally: Tally,
    stage: str,
    look: Read,
    prompts: Sequence[EvalPrompt],
    frames: Sequence[torch.Tensor],
    kinds: Sequence[str],
) -> None:
    for prompt, picture in zip(prompts, frames, strict=True):
        tally.add(stage, prompt, look(picture), kinds)
