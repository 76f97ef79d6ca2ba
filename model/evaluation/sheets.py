"""Contact sheets of diorama: twelve prompts, six switches with and without recache, and the README's moving picture.

    python -m longtake.model.evaluation.sheets --out docs

Every row is one take, with time from left to right and its prompt above. This command made the sheets in docs/ from the
weights of the same commit.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from longtake.model.command_line import Parser
from longtake.model.diorama.files import bundled_folder
from longtake.model.diorama.loading import load_diorama
from longtake.model.interface import Conditioning
from longtake.model.loaded import LoadedModel
from longtake.model.whole_file import write_whole

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
STORY = (
    (0.0, "a red hot air balloon drifts over a meadow at dawn, under a clear sky"),
    (5.0, "a red hot air balloon drifts over the mountains by day, under a clear sky"),
    (10.0, "a red hot air balloon drifts over the mountains by day, in falling snow"),
    (14.0, "a red hot air balloon drifts over the city at dusk, under a clear sky"),
    (19.0, "a red hot air balloon drifts over the ocean at night, under a clear sky"),
)
"""(seconds, prompt) of the moving picture"""
STORY_SECONDS = 24.0
STORY_STEP = 2
"""the moving picture keeps one frame of this many"""
PROMPT_SECONDS = (0.25, 1, 2, 4, 6, 8, 10, 15)
SWITCH_SECONDS = (0.5, 2.5, 3.5, 4.0, 4.5, 5.0, 6.0, 9.0)
SWITCH_AT_S = 3.0


def film(model: LoadedModel, prompts: Sequence[str], seeds: Sequence[int], seconds: float) -> NDArray[np.uint8]:
    """Film takes together; return frames [B, T, H, W, 3] uint8."""
    return film_switch(model, prompts, prompts, seeds, seconds, math.inf)


def film_switch(
    model: LoadedModel, first: Sequence[str], then: Sequence[str], seeds: Sequence[int], seconds: float, at_s: float
) -> NDArray[np.uint8]:
    """Film takes that switch prompts at the first block at or after `at_s`; return frames [B, T, H, W, 3] uint8."""
    world = model.generator.open(seed=list(seeds), prompt=list(first))
    parts: list[NDArray[np.uint8]] = []
    switched = False
    while sum(part.shape[1] for part in parts) < seconds * model.info.fps:
        if not switched and world.next_tick >= at_s * model.info.fps:
            model.generator.cue(world, list(then))
            switched = True
        parts.append(model.step(world).frames.numpy())
    model.close(world)
    return np.concatenate(parts, 1)


def film_story(model: LoadedModel, seed: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Film `STORY` as one take; return frames [T, H, W, 3] uint8 and the prompt of each."""
    world = model.generator.open(seed=seed, prompt=STORY[0][1])
    parts: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    now = 0
    while len(captions) < STORY_SECONDS * model.info.fps:
        latest = max(i for i, (at, _) in enumerate(STORY) if at * model.info.fps <= world.next_tick)
        if latest != now:
            model.cue(world, Conditioning(prompt=STORY[latest][1]))
            now = latest
        parts.append(model.step(world).frames[0].numpy())
        captions += [STORY[now][1]] * len(parts[-1])
    model.close(world)
    return np.concatenate(parts), captions


def moving_picture(path: Path, frames: NDArray[np.uint8], captions: Sequence[str], fps: int) -> None:
    """Write frames [T, H, W, 3] as a WebP that loops, each caption below its frame."""
    height, width = frames.shape[1:3]
    font = ImageFont.load_default(12)
    pages = []
    for frame, caption in list(zip(frames, captions, strict=True))[::STORY_STEP]:
        page = Image.new("RGB", (width, height + 22), (24, 26, 32))
        page.paste(Image.fromarray(frame))
        ImageDraw.Draw(page).text((6, height + 4), caption.split("over ")[-1], fill=(225, 225, 215), font=font)
        pages.append(page)
    step_ms = round(1000 * STORY_STEP / fps)
    film = {"save_all": True, "append_images": pages[1:], "duration": step_ms, "loop": 0, "quality": 70, "method": 4}
    write_whole(path, lambda beside: pages[0].save(beside, format="WEBP", **film))


def write_sheet(path: Path, page: Image.Image) -> None:
    """Write a sheet as a JPEG."""
    write_whole(path, lambda beside: page.save(beside, format="JPEG", quality=88))


def sheet(takes: NDArray[np.uint8], captions: Sequence[str], ticks: Sequence[int]) -> Image.Image:
    """Return an image with a row for each take of [B, T, H, W, 3], at the given ticks, each with a caption above."""
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
    """Return the same model without recache, so that a switch keeps the window (recache mode `none`)."""
    twin = copy.copy(model)
    twin.generator = copy.copy(model.generator)
    twin.generator.config = replace(model.generator.config, recache="none", recache_frames=0)
    return twin


def main() -> None:
    """Write the sheets and the moving picture."""
    parser = Parser(prog="python -m longtake.model.evaluation.sheets", description="Contact sheets of diorama.")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--weights", type=Path, help="a folder of diorama's parts instead of the bundled ones")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = load_diorama(args.weights or bundled_folder())
    fps = model.info.fps
    seeds = [args.seed + i for i in range(len(PROMPTS))]
    takes = film(model, PROMPTS, seeds, PROMPT_SECONDS[-1] + 0.25)
    captions = [f"{prompt}   (seconds {', '.join(f'{s:g}' for s in PROMPT_SECONDS)})" for prompt in PROMPTS]
    write_sheet(args.out / "sheet-prompts.jpg", sheet(takes, captions, [round(s * fps) for s in PROMPT_SECONDS]))
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
    write_sheet(args.out / "sheet-switches.jpg", sheet(np.stack(rows), captions, ticks))
    moving_picture(args.out / "longtake.webp", *film_story(model, args.seed), fps)


if __name__ == "__main__":
    main()
