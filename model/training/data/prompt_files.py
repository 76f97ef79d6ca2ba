"""Prompt files: one prompt a line, and for takes with a switch a second file, paired with the first by line."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtake.model.errors import TrainingError


class PromptPair(NamedTuple):
    """What a take is made under: at first, and after its switch if it has one."""

    first: str
    second: str | None = None


def read_prompts(path: Path) -> list[str]:
    """Return a file's prompts; raises TrainingError if it cannot be read or a line is empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TrainingError(f"{path} cannot be read: {reason}; a prompt file has one prompt a line") from error
    prompts = [line.strip() for line in lines]
    while prompts and not prompts[-1]:
        prompts.pop()
    if not prompts:
        raise TrainingError(f"{path} has no prompts; write one a line")
    if "" in prompts:
        raise TrainingError(f"{path}: line {prompts.index('') + 1} is empty; write one prompt a line")
    return prompts


def read_pairs(first: Path, second: Path | None = None) -> list[PromptPair]:
    """Return the prompts of two files, line by line; raises TrainingError if they do not pair."""
    prompts = read_prompts(first)
    if second is None:
        return [PromptPair(prompt) for prompt in prompts]
    after = read_prompts(second)
    if len(prompts) != len(after):
        raise TrainingError(
            f"{first} has {len(prompts)} prompts and {second} has {len(after)}: line n of the second is what a take "
            "switches to that began with line n of the first"
        )
    return [PromptPair(a, b) for a, b in zip(prompts, after, strict=True)]


def shuffled(position: int, count: int, seed: int) -> int:
    """Return which of `count` prompts comes at a position: all of them once, then all in another order, and so on."""
    epoch, place = divmod(position, count)
    return int(_order(count, seed, epoch)[place])


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)
