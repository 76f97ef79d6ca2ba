"""Contact sheets of diorama: twelve prompts, and six switches with and without recache.

    python -m longtake.model.evaluation.sheets --out docs

Every row is one take, left to right in time; the caption above it is its prompt. The sheets in docs/ are made by this
command from the weights of the same commit.
"""

import argparse
import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from longtake.model.loading import LoadedModel, load, load_diorama

PROMPTS = (
    "a red hot air balloon drifts over a green meadow by day, under a clear sky",
    "a white bird flies over the ocean at dawn, under a clear sky",
    "a blue steam train rolls through the mountains by day, in falling snow",
    "an orange fox trots through a forest at dusk, in thick fog",
    "a yellow plane flies over the city at night, under a clear sky",
    "a black sailing boat on the ocean at dusk, in heavy rain",
    "a purple balloon over a desert at night, under the stars",
    "a green train crosses a desert at dawn, in clear weather",
    "a white fox walks through the city at night, in the snow",
    "a red boat sails on the sea at noon, in the sunshine",
    "a yellow bird over a forest at daybreak, in the rain",
    "a blue plane above snowless mountains at sunset, in the mist",
)
SWITCHES = (
    (
        "a red balloon over a meadow by day, under a clear sky",
        "a red balloon over the ocean at night, under a clear sky",
    ),
    ("a white bird over the city at dawn, under a clear sky", "a white bird over the city at dawn, in heavy rain"),
    ("a blue train in the mountains by day, in the snow", "a blue train in a desert at dusk, under a clear sky"),
    ("an orange fox in a forest at night, in fog", "an orange fox in a meadow at dawn, under a clear sky"),
    ("a yellow plane over a desert by day, under a clear sky", "a yellow plane over a forest at dusk, in falling snow"),
    ("a black boat on the ocean at dusk, under a clear sky", "a green boat on the ocean at dusk, under a clear sky"),
)
PROMPT_SECONDS = (0.25, 1, 2, 4, 6, 8, 10, 15)
SWITCH_SECONDS = (0.5, 2.5, 3.5, 4.0, 4.5, 5.0, 6.0, 9.0)
SWITCH_AT_S = 3.0


def film(model: LoadedModel, prompts: Sequence[str], seeds: Sequence[int], seconds: float) -> NDArray[np.uint8]:
    """Film takes together: frames [B, T, H, W, 3] uint8."""
    return film_switch(model, prompts, prompts, seeds, seconds, math.inf)


def film_switch(
    model: LoadedModel, first: Sequence[str], then: Sequence[str], seeds: Sequence[int], seconds: float, at_s: float
) -> NDArray[np.uint8]:
    """Film takes that switch prompts at the first block at or after `at_s`: frames [B, T, H, W, 3] uint8."""
    world = model.generator.open(seed=list(seeds), prompt=list(first))
    parts: list[NDArray[np.uint8]] = []
    switched = False
    while sum(part.shape[1] for part in parts) < seconds * model.info.fps:
        if not switched and world.pictures >= at_s * model.info.fps:
            model.generator.cue(world, list(then))
            switched = True
        frames = model.step(world).frames
        assert frames is not None
        parts.append(frames.numpy())
    model.close(world)
    return np.concatenate(parts, 1)


def sheet(takes: NDArray[np.uint8], captions: Sequence[str], ticks: Sequence[int]) -> Image.Image:
    """Rows of pictures [B, T, H, W, 3] at the given ticks, a caption above each row."""
    height, width = takes.shape[2:4]
    bar = 16
    page = Image.new("RGB", (width * len(ticks), (height + bar) * len(takes)), (24, 26, 32))
    draw = ImageDraw.Draw(page)
    for row, (take, caption) in enumerate(zip(takes, captions, strict=True)):
        top = row * (height + bar)
        draw.text((4, top + 2), caption, fill=(225, 225, 215))
        for column, tick in enumerate(ticks):
            page.paste(Image.fromarray(take[min(tick, len(take) - 1)]), (column * width, top + bar))
    return page


def without_recache(model: LoadedModel) -> LoadedModel:
    """The same weights with the window kept as it was at a switch (recache mode `none`)."""
    twin = copy.copy(model)
    twin.generator = copy.copy(model.generator)
    twin.generator.config = replace(model.generator.config, recache="none")
    return twin


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Contact sheets of diorama.")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--weights", type=Path, help="a folder of diorama's parts instead of the bundled ones")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = load_diorama(args.weights) if args.weights else load("diorama")
    args.out.mkdir(parents=True, exist_ok=True)
    fps = model.info.fps
    seeds = [args.seed + i for i in range(len(PROMPTS))]
    takes = film(model, PROMPTS, seeds, PROMPT_SECONDS[-1] + 0.25)
    captions = [f"{prompt}   (seconds {', '.join(f'{s:g}' for s in PROMPT_SECONDS)})" for prompt in PROMPTS]
    sheet(takes, captions, [round(s * fps) for s in PROMPT_SECONDS]).save(args.out / "sheet-prompts.png")
    first, then = [a for a, _ in SWITCHES], [b for _, b in SWITCHES]
    rows, captions = [], []
    both = [
        film_switch(m, first, then, seeds[: len(SWITCHES)], SWITCH_SECONDS[-1] + 0.25, SWITCH_AT_S)
        for m in (model, without_recache(model))
    ]
    for i, (a, b) in enumerate(SWITCHES):
        for label, made in zip(("recache", "no recache"), both, strict=True):
            rows.append(made[i])
            captions.append(f"{label}: {a}  ->  {b}  (at {SWITCH_AT_S:g} s)")
    ticks = [round(s * fps) for s in SWITCH_SECONDS]
    sheet(np.stack(rows), captions, ticks).save(args.out / "sheet-switches.png")


if __name__ == "__main__":
    main()
