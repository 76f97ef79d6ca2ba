"""Reads prompt files: plain text with one prompt a line, and LongLive's interactive files, `{"prompts": [...]}` a line.

Each line is a take. The switches between a line's prompts are not in the file. They are given in *latent* frames;
LongLive's default is 40,80,120,160,200. A latent frame decodes to four frames, but Wan's decoder makes only one of a
take's first, so latent frame n starts at tick 4 n - 3. If a model's first block is as long as the others, as diorama's
is, it starts at 4 n. So a file is read in two steps: `read_prompts` before a model is loaded, `takes_of` after.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longtake.protocol.fields import MAX_PROMPT
from longtake.protocol.messages import ModelInfo
from longtake.protocol.text import clean
from longtake.scenarios.errors import ScenarioError
from longtake.scenarios.loading import is_blank
from longtake.scenarios.schema import Moment, Scenario

PROMPT_SUFFIXES = (".jsonl", ".txt")
SWITCH_LATENTS = (40, 80, 120, 160, 200)
"""where LongLive's own configuration switches prompts, in latent frames"""
LATENT_FRAMES = 4
"""frames that a latent frame decodes to"""
LAST_LATENTS = 40
"""latent frames that the last prompt is shown for"""
MAX_TAKES = 1000


@dataclass(frozen=True, kw_only=True)
class Line:
    """The prompts of one take."""

    number: int
    """of the line in the file, from 1"""
    prompts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PromptFile:
    """A prompt file that was read and checked."""

    path: Path
    lines: tuple[Line, ...]
    switch_latents: tuple[int, ...]


def read_prompts(path: Path, *, switch_latents: Sequence[int] = SWITCH_LATENTS) -> PromptFile:
    """Return the prompts of a file. Raises ScenarioError with the file and the line.

    A `.jsonl` holds JSON lines. Any other file does if its first line with text starts with a brace.
    """
    _check_switches(switch_latents)
    texts = text_lines(path)
    if not texts:
        raise ScenarioError(f"{path}: no line with prompts in it")
    if len(texts) > MAX_TAKES:
        raise ScenarioError(f"{path}:{texts[MAX_TAKES][0]}: more than {MAX_TAKES} takes in a file")
    as_json = path.suffix.lower() == ".jsonl" or texts[0][1].startswith("{")
    lines: list[Line] = []
    for number, text in texts:
        where = f"{path}:{number}"
        prompts = _prompts(where, text) if as_json else (checked_prompt(where, text),)
        if len(prompts) > len(switch_latents) + 1:
            raise ScenarioError(
                f"{where}: {len(prompts)} prompts need {len(prompts) - 1} switches, there are {len(switch_latents)}; "
                "give more with --switch-latents"
            )
        lines.append(Line(number=number, prompts=prompts))
    return PromptFile(path=path, lines=tuple(lines), switch_latents=tuple(switch_latents))


def takes_of(file: PromptFile, model: ModelInfo, *, seed: int = 0) -> list[Scenario]:
    """Return one scenario for each line of the file, timed for a model."""
    return [_scenario(f"{file.path.stem}-{line.number}", line, model, file.switch_latents, seed) for line in file.lines]


def first_tick(latent: int, model: ModelInfo) -> int:
    """Return the tick of a latent frame's first frame."""
    missing = -model.first_block_frames % model.block_frames
    return max(0, latent * LATENT_FRAMES - missing)


def text_lines(path: Path) -> list[tuple[int, str]]:
    r"""Return (number, text) of the lines that are not blank. Raises ScenarioError.

    Lines end at "\n" alone, because other line ends may be part of a prompt. A byte-order mark is skipped,
    before any line, since files are put together.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    lines = (line.strip().removeprefix("\ufeff").strip() for line in text.split("\n"))
    return [(number, line) for number, line in enumerate(lines, start=1) if line]


def checked_prompt(where: str, prompt: object) -> str:
    """Return a prompt as it will be sent. Raises ScenarioError."""
    text = clean(prompt).strip() if isinstance(prompt, str) else ""
    if is_blank(text) or len(text) > MAX_PROMPT:
        raise ScenarioError(f"{where}: expected a text of 1 to {MAX_PROMPT} visible characters")
    return text


def _scenario(name: str, line: Line, model: ModelInfo, switches: Sequence[int], seed: int) -> Scenario:
    first, *others = line.prompts
    used = list(switches[: len(others)])
    last = (used[-1] if used else 0) + LAST_LATENTS
    safe = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "-" for c in name)[-64:]
    return Scenario(
        name=safe,
        title=first[:120],
        model=model.name,
        seed=seed,
        template=first.replace("{", "(").replace("}", ")"),  # Braces would name slots.
        timeline=[
            # Each prompt of these files is whole, whatever its wording.
            Moment(tick=first_tick(latent, model), prompt=prompt, amend=False)
            for latent, prompt in zip(used, others, strict=True)
        ],
        seconds=first_tick(last, model) / model.fps,
    )


def _prompts(where: str, line: str) -> tuple[str, ...]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{where}: not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{where}: not JSON: nested too deep, or a number too long") from error
    prompts = data.get("prompts") if isinstance(data, dict) else None
    if not isinstance(prompts, list) or not prompts:
        raise ScenarioError(f'{where}: prompts: expected {{"prompts": ["...", ...]}} with at least one prompt')
    return tuple(checked_prompt(f"{where}: prompts[{index}]", prompt) for index, prompt in enumerate(prompts))


def _check_switches(switches: Sequence[int]) -> None:
    if any(latent <= 0 for latent in switches) or list(switches) != sorted(set(switches)):
        shown = ",".join(str(latent) for latent in switches)
        raise ScenarioError(f"--switch-latents {shown}: expected rising positive latent frames, such as 40,80,120")
