"""Run a folder's training cases beside its stream cases.

for result in run_training_case(Path("cases/training.safetensors")):
    print(result.summary())
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from longtake.model.evaluation.conformance import NOT_A_CASE, CaseResult
from longtake.model.training.conformance.case import TrainingCase, TrainingResult, read_training_case
from longtake.model.training.conformance.losses import critic_part, dmd_part, timestep_part
from longtake.model.training.conformance.rollouts import init_part, rollout_part, stream_part

PARTS: tuple[Callable[[TrainingCase], Iterator[TrainingResult]], ...] = (
    timestep_part,
    dmd_part,
    critic_part,
    rollout_part,
    init_part,
    stream_part,
)
"""Every part of a case, in the order they are run."""


def run_training_case(
    path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Iterator[TrainingResult]:
    """Run every part of a training case; nothing if the file is another kind of case."""
    case = read_training_case(path, device)
    if case is None:
        return
    if dtype != torch.float32:
        yield TrainingResult(
            name=case.name, values={}, gradients={}, skipped="training cases are run in fp32 (--precision fp32)"
        )
        return
    for part in PARTS:
        yield from part(case)


def with_training(
    results: Iterable[CaseResult],
    path: Path | str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[CaseResult | TrainingResult]:
    """Yield a folder's results with the training cases run that streaming knows nothing of.

    Args:
        results: of `run_case_dir` for the same path.
        path: the folder, or one case file in it.
        device, dtype: to run in.
    """
    folder = Path(path)
    folder = folder.parent if folder.is_file() else folder
    for result in results:
        done = False
        if result.skipped == NOT_A_CASE:
            for part in run_training_case(folder / result.name, device=device, dtype=dtype):
                done = True
                yield part
        if not done:
            yield result
