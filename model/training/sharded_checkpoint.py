"""Checkpoints of spread networks: every rank writes its share, and any number of ranks can go on from them.

A checkpoint is a folder, `checkpoints/step-000050`, that is there whole or not at all: torch's distributed format for
parameters, optimisers and averages, `run.json` for the counters, and a file for the state of each member of the batch.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import distributed, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from longtake.model.errors import TrainingError
from longtake.model.training.files import write_whole
from longtake.model.training.optimizer import own_settings
from longtake.model.training.sharding import Averages

FOLDER: Final = "checkpoints"
_NAME: Final = re.compile(r"step-(\d+)")
_TRAINED: Final = StateDictOptions(ignore_frozen_params=True, strict=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner:
    """A network that learns.

    Attributes:
        module: spread.
        optimizer: of its trained parameters.
        averages: of its trained parameters; None without.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    averages: Averages | None = None


def newest(folder: Path) -> Path | None:
    """Return a run's newest checkpoint."""
    found = [path for path in (folder / FOLDER).glob("step-*") if _NAME.fullmatch(path.name)]
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)


def save_checkpoint(
    folder: Path, learners: Mapping[str, Learner], counters: Mapping[str, Any], members: Mapping[int, Mapping[str, Any]]
) -> None:
    """Write a checkpoint, on all ranks, and drop the ones before it.

    Args:
        folder: of the run.
        learners: by name.
        counters: for `run.json`; `step` among them.
        members: what this rank's members of the batch go on from, by their number.

    Raises:
        TrainingError: it cannot be written, on all ranks; the checkpoint before is still there.
    """
    final = folder / FOLDER / f"step-{counters['step']:06d}"
    if final.exists():
        return
    partial = final.with_name(f".{final.name}")
    first = distributed.get_rank() == 0
    reason = ""
    try:
        if first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            write_whole(partial / "run.json", lambda path: path.write_text(json.dumps(dict(counters))))
    except (OSError, TrainingError) as error:
        reason = str(error)
    _all_well(reason, partial)
    try:
        for number, state in members.items():
            write_whole(_member(partial, number), lambda path, state=state: torch.save(dict(state), path))  # type: ignore[misc]
    except TrainingError as error:
        reason = str(error)
    _all_well(reason, partial)
    try:
        save(_state(learners), checkpoint_id=partial)
    except (CheckpointException, OSError, RuntimeError) as error:
        reason = f"cannot write {final}: {_line(error)}; mend that and run the same command again"
    _all_well(reason, partial)
    if first:
        partial.rename(final)
        for old in final.parent.iterdir():
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
    distributed.barrier()


def load_checkpoint(
    path: Path, learners: Mapping[str, Learner], members: range
) -> tuple[dict[str, Any], dict[int, Any]]:
    """Load a checkpoint into learners, on all ranks.

    Args:
        path: from `newest`.
        learners: by name, as they were saved.
        members: this rank's.

    Returns:
        The counters, and the members' states by number.

    Raises:
        TrainingError: it cannot be read, or is of another run.
    """
    try:
        counters = json.loads((path / "run.json").read_text())
        states = {number: torch.load(_member(path, number), weights_only=True) for number in members}
        state = _state(learners)
        load(state, checkpoint_id=path)
        for name, learner in learners.items():
            set_model_state_dict(learner.module, state[name]["module"], options=_TRAINED)
            with own_settings(learner.optimizer):
                set_optimizer_state_dict(
                    learner.module, learner.optimizer, state[name]["optimizer"], options=StateDictOptions(strict=False)
                )
    except (CheckpointException, RuntimeError, KeyError, ValueError, OSError) as error:
        raise TrainingError(
            f"{path} is no checkpoint of this run ({_line(error)}); choose another folder, or give the settings it had"
        ) from error
    return counters, states


def _state(learners: Mapping[str, Learner]) -> dict[str, dict[str, Any]]:
    """Return what a checkpoint holds; loading writes into it, and so into the averages themselves."""
    state: dict[str, dict[str, Any]] = {}
    for name, learner in learners.items():
        state[name] = {
            "module": get_model_state_dict(learner.module, options=_TRAINED),
            "optimizer": get_optimizer_state_dict(learner.module, learner.optimizer),
        }
        if learner.averages is not None:
            state[name]["averages"] = learner.averages.values
    return state


def _member(folder: Path, number: int) -> Path:
    return folder / f"member-{number:05d}.pt"


def _all_well(reason: str, partial: Path) -> None:
    """Raise TrainingError on every rank if one has a reason to; none is left waiting."""
    reasons: list[str | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(reasons, reason)
    said = next((each for each in reasons if each), None)
    if said:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainingError(said)


def _line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
