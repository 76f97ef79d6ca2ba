"""Train diorama's parts one after the other, each with its share of the time, and export the weights.

    longtake train all --out runs/all --device cuda --minutes 10
    longtake train all --out runs/all --device cpu --hours 6

Every stage is a command of its own, with a folder of its own in which it resumes; `stages.json` says which commands
were given and which are done. What is not trained is taken from `--start`, or from the weights that ship, and all of it
lies in `weights/` at the end, ready for `longtake eval --weights`.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import torch

from longtake.model.command_line import Parser
from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder
from longtake.model.diorama.files import TEACHER, bundled_folder, undistilled
from longtake.model.errors import CheckpointError, ConfigError, TrainingError
from longtake.model.ops.precision import choose_device
from longtake.model.pieces import pieces
from longtake.model.training import command
from longtake.model.training.child import run_module
from longtake.model.training.ending import carry_out
from longtake.model.training.export import export
from longtake.model.training.files import write_whole
from longtake.model.training.loop import WEIGHTS
from longtake.model.training.pace import FINISHED
from longtake.model.training.recipes.distillation import CRITIC_WEIGHTS
from longtake.model.weights import read

log = logging.getLogger(__name__)

SHARES: Final = {
    "text_encoder": 0.1,
    "probe": 0.1,
    "autoencoder": 0.3,
    "transformer": 0.7,
    "motion": 0.2,
    "progressive": 0.4,
    "self_forcing": 0.5,
    "streaming": 0.3,
}
"""parts in the order that they are trained in, and their weights in sharing out the time"""
USUAL: Final = ("autoencoder", "transformer")
WITH_PICTURES: Final = ("probe", "autoencoder")
"""parts that train on folders of rendered clips"""
COPIED: Final = ("encoder", "decoder", "text_encoder", "probe")
RESUMED: Final = ("autoencoder", "probe", "transformer", "motion", "progressive", "self_forcing", "streaming")
"""parts whose run says whether it has ended"""
GPU_TAKES: Final = 16
"""takes of a member of the batch on a GPU: a guess, on a CPU there are fewer"""
DISTILLED: Final = (
    "opening=0",
    "opening_again=0",
    "singles=8",
    "drop_text=0",
    "text_guidance=2",
    "action_guidance=1.75",
    "stalls=0.3",
    "resampled=0.4",
    "lr=0.006",
    "adam_lr=0.0006",
)
"""settings of progressive distillation: the ones that the committed weights were distilled with"""
REHEARSED: Final = {
    "self_forcing": ("prompts_each=1", "blocks=4", "samples_every_s=0"),
    "streaming": ("prompts_each=1", "window_frames=4", "chunk_frames=3", "longest_frames=10", "samples_every_s=0"),
}
"""settings of stages for which there are only seconds; the first stage has a sheet of samples"""
MARGIN: Final = 0.05
"""of the time, for starting processes and for the export"""
REHEARSAL_HOURS: Final = 0.1
"""below this on a CPU, everything beside the training is made small"""


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """What is trained, where and for how long."""

    out: Path
    device: str
    hours: float
    """of all stages together, rendering included"""
    parts: tuple[str, ...] = USUAL
    start: Path | None = None
    """folder of weights to start from; None starts from nothing"""
    preset: str = "diorama"
    seed: int = 0
    settings: tuple[str, ...] = ()
    """`--set` of the transformer"""

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in SHARES:
                raise ConfigError(f"there is no part {part!r} to train; there are {', '.join(SHARES)}")
        if self.start is not None and not self.start.is_dir():
            raise ConfigError(f"--start {self.start} is no folder of weights")

    @property
    def cuda(self) -> bool:
        """Whether a GPU trains."""
        return choose_device(self.device).type == "cuda"

    @property
    def rehearsal(self) -> bool:
        """Whether there is time for the training only."""
        return not self.cuda and self.hours < REHEARSAL_HOURS


@dataclass(kw_only=True)
class Progress:
    """What `stages.json` remembers."""

    spent_s: float = 0.0
    done: list[str] = field(default_factory=list)
    commands: dict[str, list[str]] = field(default_factory=dict)
    """arguments of each stage that was begun: it is gone on with under the same ones"""


class Stages:
    """Runs the stages.

    Args:
        config: what and how long.
        run: runs a command of `longtake.model.training` to its end; returns its exit status.
        clock: seconds.
    """

    def __init__(
        self,
        config: StagesConfig,
        run: Callable[[Sequence[str]], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self._run, self._clock = config, run or run_module, clock
        self._path = config.out / "stages.json"
        self.progress = Progress(**json.loads(self._path.read_text())) if self._path.exists() else Progress()
        self._began = clock() - self.progress.spent_s

    @property
    def weights(self) -> Path:
        """Where the weights are put together."""
        return self.config.out / "weights"

    def train(self) -> bool:
        """Run what is not done yet; returns False if a signal has stopped it.

        Raises:
            TrainingError: a stage has failed.
            CheckpointError: parts that are not trained are missing.
        """
        self._copy_parts()
        for name, make in self._plan():
            if name in self.progress.done:
                continue
            arguments = self.progress.commands.get(name) or self.progress.commands.setdefault(name, make())
            self._save()
            log.info("%s: %s", name, " ".join(arguments))
            status = self._run(arguments)
            self._save()
            if status:
                raise TrainingError(
                    f"{name} has ended with status {status}, for the reason above; run the command again"
                )
            if name in RESUMED and not (self.config.out / name / FINISHED).exists():
                log.info("%s was stopped; run the same command again to go on", name)
                return False
            self.progress.done.append(name)
            exported = export(self.config.out, self.weights)
            _copy(self.config.out / TEACHER, self.weights / TEACHER, "transformer")
            self._save()
            log.info("%s is done; %s lies in %s", name, ", ".join(exported) or "nothing yet", self.weights)
        return True

    def _plan(self) -> Iterator[tuple[str, Callable[[], list[str]]]]:
        """The stages in order, each with what makes its arguments once its turn has come."""
        parts = [part for part in SHARES if part in self.config.parts]
        if any(part in WITH_PICTURES for part in parts):
            for folder, seed, count in (
                ("clips", 1, self._clips()),
                ("held_out", 2, 2 if self.config.rehearsal else 48),
            ):
                yield folder, partial(self._clips_arguments, folder, seed, count)
        makers: dict[str, Callable[[], list[str]]] = {
            "text_encoder": self._text_encoder,
            "probe": self._probe,
            "autoencoder": self._autoencoder,
            "transformer": self._transformer,
            "motion": self._motion,
            "progressive": self._progressive,
            "self_forcing": partial(self._distillation, "self_forcing"),
            "streaming": partial(self._distillation, "streaming"),
        }
        for part in parts:
            yield part, makers[part]

    def _clips(self) -> int:
        if self.config.rehearsal:
            return 6
        return min(480, max(48, int(self.config.hours * 60 * 48)))

    def _clips_arguments(self, folder: str, seed: int, count: int) -> list[str]:
        frames = 36 if self.config.rehearsal else 80
        out = str(self.config.out / folder)
        options = {"clips": count, "frames": frames, "seed": seed, "scale": 2, "workers": os.cpu_count() or 1}
        return ["data.clips", "--out", out, *_flags(options)]

    def _text_encoder(self) -> list[str]:
        return ["recipes.text_encoder", "--out", str(self.config.out / "text"), *_flags({"seed": self.config.seed})]

    def _probe(self) -> list[str]:
        options = {
            "data": self.config.out / "clips",
            "held_out": self.config.out / "held_out",
            "device": self.config.device,
        }
        return ["recipes.probe", "--out", str(self.config.out / "probe"), *_flags(options)]

    def _autoencoder(self) -> list[str]:
        out = self.config.out
        options: dict[str, object] = {
            "data": out / "clips",
            "held_out": out / "held_out",
            "device": self.config.device,
            "hours": self._hours("autoencoder"),
            "seed": self.config.seed,
        }
        if self.config.cuda:
            options["clips"] = 32
        start = self.config.start or bundled_folder()
        if fits(start):
            options["start"] = start
        else:
            log.info("the autoencoder starts from nothing: %s holds none of its kind", start)
        return ["recipes.autoencoder", "--out", str(out / "autoencoder"), *_flags(options)]

    def _transformer(self) -> list[str]:
        options: dict[str, object] = {"preset": self.config.preset}
        start = self.config.start
        if start is not None and pieces(start / "transformer.safetensors")[0].exists():
            options["start"] = start
        else:
            log.info("the transformer starts from nothing: %s", f"there is none in {start}" if start else "no --start")
        return self._training("transformer", "transformer", options, self.config.settings)

    def _motion(self) -> list[str]:
        """Return the arguments of the motion head's stage: it learns beside the transformer as it is before distilling.

        Raises:
            CheckpointError: there is none.
        """
        for folder in (self.weights, self.config.start, bundled_folder()):
            if folder is not None and pieces(undistilled(folder) / "transformer.safetensors")[0].exists():
                options: dict[str, object] = {"preset": self.config.preset, "start": undistilled(folder)}
                return self._training("motion", "motion", options, ())
        raise CheckpointError("there is no transformer to learn beside; train it first, or name weights with --start")

    def _progressive(self) -> list[str]:
        options: dict[str, object] = {"preset": self.config.preset, "teacher": self._teacher()}
        return self._training("transformer", "progressive", options, (*DISTILLED, *self.config.settings))

    def _distillation(self, part: str) -> list[str]:
        """Return the arguments of a stage that starts from the one before; its teacher is what flow matching made."""
        teacher, before = self._teacher(), self.config.out / "self_forcing"
        goes_on = part == "streaming" and (before / WEIGHTS).exists()
        distilled = self.config.out / "progressive" / WEIGHTS
        options: dict[str, object] = {
            "start": before / WEIGHTS if goes_on else distilled if distilled.exists() else teacher,
            "teacher": teacher,
            "critic": before / CRITIC_WEIGHTS if goes_on else teacher,
        }
        settings = REHEARSED[part] if self.config.rehearsal else ()
        if self.config.cuda:
            settings = (f"prompts_each={GPU_TAKES}",)
        return self._training(part, part, options, settings)

    def _training(self, recipe: str, part: str, options: dict[str, object], settings: Sequence[str]) -> list[str]:
        """Return the arguments of a stage that trains the transformer with a recipe."""
        common: dict[str, object] = {
            "device": self.config.device,
            "hours": self._hours(part),
            "seed": self.config.seed,
            "parts": self.weights,
        }
        given = [argument for each in settings for argument in ("--set", each)]
        return [f"recipes.{recipe}", "--out", str(self.config.out / part), *_flags(common | options), *given]

    def _teacher(self) -> Path:
        """Return a folder with the transformer as it is before it is distilled.

        Raises:
            CheckpointError: there is none to distil.
        """
        kept = self.config.out / TEACHER
        if pieces(kept / "transformer.safetensors")[0].exists():
            return kept
        for folder in (self.weights, self.config.start, bundled_folder()):
            if folder is not None and _copy(undistilled(folder), kept, "transformer"):
                return kept
        raise CheckpointError("there is no transformer to distil; train it first, or name weights with --start")

    def _hours(self, part: str) -> float:
        """The part's share of the time that is left to it and those after it."""
        left_s = 3600 * self.config.hours * (1 - MARGIN) - (self._clock() - self._began)
        later = list(SHARES)[list(SHARES).index(part) :]
        share = SHARES[part] / sum(SHARES[each] for each in later if each in self.config.parts)
        # However long the stages before took, this one gets something out of it.
        return round(max(left_s * share, 360 * self.config.hours) / 3600, 5)

    def _copy_parts(self) -> None:
        """Put the parts that are there already into the folder of the weights."""
        for name in COPIED:
            if pieces(self.weights / f"{name}.safetensors")[0].exists():
                continue
            for folder in (self.config.start, bundled_folder()):
                if folder is not None and _copy(folder, self.weights, name):
                    break
            else:
                log.info("there is no %s to go on with; it has to be trained", name)

    def _save(self) -> None:
        self.progress.spent_s = self._clock() - self._began
        write_whole(self._path, lambda path: path.write_text(json.dumps(asdict(self.progress), indent=1)))


def fits(folder: Path) -> bool:
    """Whether a folder's encoder and decoder are of the kind that is trained."""
    wanted = {name: value.shape for name, value in Autoencoder(SHIPPED).state_dict().items()}
    found: dict[str, torch.Size] = {}
    for half in ("encoder", "decoder"):
        try:
            state = read(folder / f"{half}.safetensors")
        except CheckpointError:
            return False
        found |= {f"{half}.{name}": value.shape for name, value in state.items()}
    return found == wanted


def _copy(source: Path, target: Path, name: str) -> bool:
    """Copy a part's files from one folder to another; returns False if there are none."""
    found = pieces(source / f"{name}.safetensors")
    if not found[0].exists():
        return False
    for piece in found:
        write_whole(target / piece.name, partial(shutil.copyfile, piece))
    return True


def _flags(options: Mapping[str, object]) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def main() -> None:
    """Command line."""
    parser = Parser(prog="longtake train all", description="Train diorama's parts one after the other.")
    command.add_run_arguments(parser)
    parser.add_argument("--start", type=Path, help="folder of weights to start from")
    parser.add_argument("--preset", default="diorama", help="network of the transformer")
    parser.add_argument("--parts", default=",".join(USUAL), help=f"what to train, of {','.join(SHARES)}")
    options = parser.parse_args()
    config = StagesConfig(
        out=options.out,
        device=options.device,
        hours=command.hours_of(options, 6.0),
        parts=tuple(part.strip() for part in options.parts.split(",")),
        start=options.start,
        preset=options.preset,
        seed=options.seed,
        settings=tuple(options.set),
    )
    if Stages(config).train():
        log.info("all is done: longtake eval --weights %s", config.out / "weights")


if __name__ == "__main__":
    carry_out(main)
