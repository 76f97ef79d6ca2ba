"""Reads LongLive's interactive prompt files: one take per line, `{"prompts": ["...", "...", ...]}`.

The switches are not in the file. They are given in *latent* frames; LongLive's default is 40,80,120,160,200. A latent
frame decodes to four frames, but Wan's decoder makes only one of a take's first, so latent frame n starts at tick
4 n - 3. If a model's first block is as long as the others, as diorama's is, it starts at 4 n.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from longtake.protocol.messages import ModelInfo
from longtake.scenarios.loading import ScenarioError
from longtake.scenarios.schema import Moment, Scenario

SWITCH_LATENTS = (40, 80, 120, 160, 200)
"""where LongLive's own configuration switches prompts, in latent frames"""
LATENT_FRAMES = 4
"""frames that a latent frame decodes to"""
LAST_LATENTS = 40
"""latent frames that the last prompt is shown for"""
MAX_TAKES = 1000


def load_interactive(
    path: Path,
    model: ModelInfo,
    *,
    switch_latents: Sequence[int] = SWITCH_LATENTS,
    seed: int = 0,
) -> list[Scenario]:
    """Return one scenario for each line of the file. Raises ScenarioError with the file and the line."""
    _check_switches(switch_latents)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    takes: list[Scenario] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if len(takes) == MAX_TAKES:
            raise ScenarioError(f"{path}:{number}: more than {MAX_TAKES} takes in a file")
        prompts = _prompts(f"{path}:{number}", line)
        takes.append(_scenario(f"{path.stem}-{number}", prompts, model, switch_latents, seed))
    if not takes:
        raise ScenarioError(f"{path}: no line with prompts in it")
    return takes


def first_tick(latent: int, model: ModelInfo) -> int:
    """Return the tick of a latent frame's first frame."""
    missing = -model.first_block_frames % model.block_frames
    return max(0, latent * LATENT_FRAMES - missing)


def _scenario(name: str, prompts: list[str], model: ModelInfo, switches: Sequence[int], seed: int) -> Scenario:
    if len(prompts) > len(switches) + 1:
        raise ScenarioError(
            f"{name}: {len(prompts)} prompts need {len(prompts) - 1} switches, there are {len(switches)}; "
            "give more with --switch-latents"
        )
    used = list(switches[: len(prompts) - 1])
    last = (used[-1] if used else 0) + LAST_LATENTS
    safe = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "-" for c in name)[-64:]
    return Scenario(
        name=safe,
        title=prompts[0][:120],
        model=model.name,
        seed=seed,
        template=prompts[0].replace("{", "(").replace("}", ")"),  # Braces would name slots.
        timeline=[
            # Each prompt of these files is whole, whatever its wording.
            Moment(tick=first_tick(latent, model), prompt=prompt, amend=False)
            for latent, prompt in zip(used, prompts[1:], strict=True)
        ],
        seconds=first_tick(last, model) / model.fps,
    )


def _prompts(where: str, line: str) -> list[str]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{where}: not JSON: {error.msg} at column {error.colno}") from error
    prompts = data.get("prompts") if isinstance(data, dict) else None
    if not isinstance(prompts, list) or not prompts:
        raise ScenarioError(f'{where}: prompts: expected {{"prompts": ["...", ...]}} with at least one prompt')
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > 2000:
            raise ScenarioError(f"{where}: prompts[{index}]: expected a text of 1 to 2000 characters")
    return [prompt.strip() for prompt in prompts]


def _check_switches(switches: Sequence[int]) -> None:
    if any(latent <= 0 for latent in switches) or list(switches) != sorted(set(switches)):
        shown = ",".join(str(latent) for latent in switches)
        raise ScenarioError(f"--switch-latents {shown}: expected rising positive latent frames, such as 40,80,120")
