"""What a command's scenario argument may name: a YAML file, a scenario of the library, or a prompt file.

Files are read and checked before a model is loaded. What a prompt file's lines last depends on the model's frame grid,
so `Plan.scenarios` asks the server for it.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.protocol.errors import LongtakeError
from longtake.runtime.cli.arguments import DEFAULT_MODEL, file_path
from longtake.runtime.cli.usage import UsageError, unknown

if TYPE_CHECKING:
    from longtake.scenarios.interactive import PromptFile
    from longtake.scenarios.schema import Scenario

A_SCENARIO = "a file that ends in .yaml or .yml, or a name that `longtake scenarios` lists"
WHAT = "a YAML file, a name of the library, or a prompt file (.txt: one prompt a line; .jsonl: LongLive's)"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, before a server can say what its models are like."""

    model: str
    scenario: "Scenario | None" = None
    prompts: "PromptFile | None" = None

    @property
    def count(self) -> int:
        """How many takes there will be."""
        return len(self.prompts.lines) if self.prompts is not None else 1

    def scenarios(self, endpoint: str, first_seed: int) -> "list[Scenario]":
        """Return the scenarios; `first_seed` is for those of a prompt file. Raises LongtakeError."""
        if self.prompts is None:
            assert self.scenario is not None
            return [self.scenario]
        from longtake.clients.session import Session
        from longtake.scenarios.interactive import takes_of

        with Session.connect(endpoint, client="longtake-run") as session:
            model = next((model for model in session.models if model.name == self.model), None)
        if model is None:
            raise LongtakeError("unknown_model", f"the server at {endpoint} has no model {self.model!r}")
        return takes_of(self.prompts, model, seed=first_seed)


def plan_of(given: str, *, model: str | None, switch_latents: tuple[int, ...] | None = None) -> Plan:
    """Read what `given` names. Raises LongtakeError."""
    import msgspec

    if is_prompt_file(given):
        return Plan(model=model or DEFAULT_MODEL, prompts=prompt_file(given, switch_latents))
    if switch_latents is not None:
        raise UsageError("--switch-latents is for prompt files; a scenario has a timeline")
    scenario = load_scenario(given)
    if model:
        scenario = msgspec.structs.replace(scenario, model=model)
    return Plan(model=scenario.model, scenario=scenario)


def is_prompt_file(given: str) -> bool:
    """Whether an argument names a prompt file, by its suffix."""
    from longtake.scenarios.interactive import PROMPT_SUFFIXES

    return Path(given).suffix.lower() in PROMPT_SUFFIXES


def prompt_file(given: str, switch_latents: tuple[int, ...] | None) -> "PromptFile":
    """Read a prompt file. Raises LongtakeError."""
    from longtake.scenarios.interactive import SWITCH_LATENTS, read_prompts

    path = path_of(given)
    if not path.is_file():
        raise UsageError(f"{path}: no such prompt file")
    return read_prompts(path, switch_latents=SWITCH_LATENTS if switch_latents is None else switch_latents)


def load_scenario(given: str) -> "Scenario":
    """Load a scenario from a file or from the library; unknown names get a suggestion. Raises LongtakeError."""
    from longtake.scenarios.errors import ScenarioNotFound
    from longtake.scenarios.loading import SUFFIXES, library_names, load

    if Path(given).suffix in SUFFIXES:
        return load(path_of(given))
    if is_prompt_file(given):
        raise UsageError(f"{given}: run, render and play take prompt files; here give {A_SCENARIO}")
    if Path(given).name != given or Path(given).exists():
        raise UsageError(f"{given or 'an empty name'}: give {A_SCENARIO}")
    try:
        return load(given)
    except ScenarioNotFound:
        raise UsageError(unknown("scenario", given, library_names())) from None


def path_of(given: str) -> Path:
    """Return the path that an argument names. Raises `UsageError`."""
    try:
        return file_path(given)
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from None


def add_switches_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--switch-latents`."""
    parser.add_argument(
        "--switch-latents",
        type=latents,
        metavar="40,80,...",
        help="for a prompt file: the latent frames at which a line's next prompt starts (default: LongLive's)",
    )


def latents(text: str) -> tuple[int, ...]:
    """Parse `40,80,120`; for argparse."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of latent frames such as 40,80,120") from None
