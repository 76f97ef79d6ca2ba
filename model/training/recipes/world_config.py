"""Where a recipe's networks and prompts come from, and the arguments that say so."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from longtake.model.bounds import at_least
from longtake.model.errors import ConfigError
from longtake.model.training.data.prompt_files import read_pairs
from longtake.model.training.recipes.transformer import PRESETS
from longtake.model.training.recipes.wan_world import WanWorld
from longtake.model.training.recipes.worlds import DISTILLATION, DioramaWorld, Need, TrainingWorld

MODELS: Final = ("diorama", "longlive-1.3b")
_HELP: Final[dict[str, str]] = {
    "start": "the generator's weights: a file or a folder",
    "teacher": "the teacher's weights",
    "critic": "the fake score's weights at the start",
    "prompts": "file with one prompt a line",
    "second_prompts": "file paired with it: what takes switch to",
    "texts": "folder of encoded prompts, for longlive-1.3b",
    "vae": "folder with Wan's VAE, for longlive-1.3b (default: the teacher's)",
}


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Where networks and prompts come from."""

    model: str = "diorama"
    """diorama or longlive-1.3b"""
    start: str = ""
    """The generator's weights; for diorama those that ship by default."""
    teacher: str = ""
    """The real score's weights."""
    critic: str = ""
    """The fake score's weights at the start; an earlier stage leaves them in `critic.safetensors`."""
    prompts: str = ""
    """File with one prompt a line; diorama draws captions without it."""
    second_prompts: str = ""
    """File paired with it line by line: what takes switch to."""
    texts: str = ""
    """Folder of encoded prompts, for longlive-1.3b."""
    vae: str = ""
    """Folder with Wan's VAE, for longlive-1.3b; the teacher's by default."""
    parts: str = ""
    """Folder with diorama's text encoder and decoder; those that ship by default."""
    rehearsal: bool = False
    """Tiny networks with random weights instead."""
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, 0, "seed")
        if self.model not in MODELS:
            raise ConfigError(f"no recipe trains a model called {self.model!r}; there are {', '.join(MODELS)}")
        if self.second_prompts and not self.prompts:
            raise ConfigError("--second-prompts needs --prompts, whose lines it is paired with")

    def world(self, needed: Sequence[Need] = DISTILLATION) -> TrainingWorld:
        """Return the world; raises as its parts do.

        Args:
            needed: what is going to be asked of it.
        """
        pairs = []
        if self.prompts:
            pairs = read_pairs(Path(self.prompts), Path(self.second_prompts) if self.second_prompts else None)
        if self.model == "diorama":
            return DioramaWorld(
                start=self.start,
                teacher=self.teacher,
                critic=self.critic,
                pairs=pairs,
                parts=Path(self.parts) if self.parts else None,
                random=PRESETS["tiny"] if self.rehearsal else None,
                seed=self.seed,
            )
        return WanWorld(
            start=self.start,
            teacher=self.teacher,
            critic=self.critic,
            pairs=pairs,
            texts=Path(self.texts) if self.texts else None,
            vae=self.vae,
            needed=needed,
            random=self.rehearsal,
            seed=self.seed,
        )


def add_world_arguments(parser: argparse.ArgumentParser, leave_out: Sequence[str] = ()) -> None:
    """Add the arguments of `WorldConfig`.

    Args:
        parser: of a recipe.
        leave_out: names of fields that the recipe has no use for.
    """
    parser.add_argument("--model", default="diorama", help=f"{' or '.join(MODELS)} (default: %(default)s)")
    for name, said in _HELP.items():
        if name not in leave_out:
            parser.add_argument(f"--{name.replace('_', '-')}", default="", help=said)
    parser.add_argument("--parts", default="", help="folder with diorama's text encoder and decoder")
    parser.add_argument("--rehearsal", action="store_true", help="tiny networks with random weights: seconds")


def world_of(options: argparse.Namespace) -> WorldConfig:
    """Return what the arguments say."""
    given = {name: getattr(options, name) for name in _HELP if hasattr(options, name)}
    return WorldConfig(
        model=options.model, parts=options.parts, rehearsal=options.rehearsal, seed=options.seed, **given
    )
