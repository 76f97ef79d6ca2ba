"""Starts the ranks of a run and waits for them."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import distributed
from torch._C._distributed_c10d import TCPStore
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException, spawn

from longtake.model.errors import ModelError, TrainingError
from longtake.model.locks import Locked, locked
from longtake.model.ops.allocator import hold_memory
from longtake.model.ops.precision import choose_device
from longtake.model.training.child import handing_on
from longtake.model.training.compute import agree_on_dtype
from longtake.model.training.ending import FAILED, leave
from longtake.model.training.files import write_whole
from longtake.model.training.loop import LoopConfig, Run
from longtake.model.training.pace import Loop, PaceConfig
from longtake.model.training.task import Batch, Task

log = logging.getLogger(__name__)

REASON = "reason"
"""key of what a rank that has failed says, in the store where the ranks meet; the first rank's counts"""
AGAIN = "run the same command again: it goes on from the last checkpoint"

MakeTask = Callable[[torch.device], Task[Batch]]
"""Builds the task on a device, in the rank's own process."""


class Trainee(Protocol):
    """What is asked of a task of whichever loop."""

    def prepare(self) -> None:
        """Get ready for the first step; called once the checkpoint is loaded."""
        ...

    def close(self) -> None:
        """Give back processes and files."""
        ...


T = TypeVar("T", bound=Trainee)
C = TypeVar("C", bound=PaceConfig)
MakeTrainee = Callable[[torch.device], T]
MakeLoop = Callable[[T, C, Path, int], Loop]


def launch(make: MakeTask[Batch], config: LoopConfig, folder: Path, described: object) -> None:
    """Train one module; as `launch_loop`."""
    launch_loop(make, Run, config, folder, described)


def launch_loop(
    make: MakeTrainee[T],
    loop: MakeLoop[T, C],
    config: C,
    folder: Path,
    described: object,
) -> None:
    """Train until the schedule ends or a signal asks to stop; a folder with a checkpoint is gone on with.

    Under torchrun this process is one of the ranks that it started. Otherwise the ranks are started here.

    Args:
        make: builds the task on a device, once in each rank.
        loop: the class of the loop.
        config: of the loop; without torchrun there is one rank on a GPU, whatever it says.
        folder: of the run.
        described: goes into `config.json` beside the loop's own settings and the command.

    Raises:
        BackendError: the device cannot be had here.
        TrainingError: a rank has ended early, or another run trains in the folder; the message says what to do.
    """
    device = choose_device(config.device)
    if distributed.is_torchelastic_launched():
        _join_torchrun(make, loop, replace(config, device=device.type), folder, described)
        return
    config = replace(config, device=device.type, ranks=1 if device.type == "cuda" else config.ranks)
    with _alone(folder):
        _describe(config, folder, described)
        if config.ranks == 1:
            run_rank(0, make, loop, config, folder)
            return
        # Held here, so that no other run and no other program can get the port before the ranks meet at it.
        meeting = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        context = spawn(_rank_main, (make, loop, config, folder, meeting.port), nprocs=config.ranks, join=False)
        assert isinstance(context, ProcessContext)
        _wait(context, meeting)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a run's folder; raises TrainingError if another run trains there, or there can be no folder."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder / ".lock"))
        except Locked:
            raise TrainingError(f"another run trains in {folder}; stop it, or name another folder with --out") from None
        except OSError as error:
            raise TrainingError(
                f"cannot write into {folder}: {error.strerror}; name another folder with --out"
            ) from None
        yield


def run_rank(rank: int, make: MakeTrainee[T], loop: MakeLoop[T, C], config: C, folder: Path) -> None:
    """Run one rank in this process, resuming from the folder's checkpoint."""
    hold_memory()
    device = torch.device(config.device)
    agree_on_dtype(device)
    task = make(device)
    try:
        run = loop(task, config, folder, rank)
        resumed = run.resume()
        log.info("rank %d %s at step %d on %s", rank, "resumes" if resumed else "starts", run.step, config.device)
        task.prepare()
        run.train()
    except RuntimeError as error:
        if not is_lost_rank(error):
            raise
        said = str(error).strip().splitlines()[0][:200]
        raise TrainingError(f"rank {rank} ends, since another one is lost ({said}); {AGAIN}") from error
    finally:
        task.close()


def is_lost_rank(error: RuntimeError) -> bool:
    """Whether an error of a collective says that another rank is gone."""
    if isinstance(error, distributed.DistError):
        return True
    return "gloo" in str(error) and any(word in str(error) for word in ("peer", "onnection", "imed out"))


def _join_torchrun(
    make: MakeTrainee[T],
    loop: MakeLoop[T, C],
    config: C,
    folder: Path,
    described: object,
) -> None:
    """Be the rank that torchrun has started."""
    gpu = config.device == "cuda"
    if gpu:
        torch.cuda.set_device(distributed.get_node_local_rank())
    # Agreeing goes through gloo even on GPUs: it makes no device wait.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo")
    rank = distributed.get_rank()
    config = replace(config, ranks=distributed.get_world_size())
    try:
        with _alone(folder) if rank == 0 else nullcontext():
            if rank == 0:
                _describe(config, folder, described)
            run_rank(rank, make, loop, config, folder)
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _describe(config: PaceConfig, folder: Path, described: object) -> None:
    text = json.dumps({"command": sys.argv, "loop": asdict(config), "task": described}, indent=1, default=str)
    write_whole(folder / "config.json", lambda path: path.write_text(text))


def _rank_main(
    rank: int,
    make: MakeTrainee[T],
    loop: MakeLoop[T, C],
    config: C,
    folder: Path,
    port: int,
) -> None:
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    meeting = TCPStore("127.0.0.1", port, is_master=False)
    distributed.init_process_group("gloo", store=meeting, rank=rank, world_size=config.ranks)
    try:
        run_rank(rank, make, loop, config, folder)
    except ModelError as error:
        # What all ranks refuse is said once, by the process that started them.
        meeting.compare_set(REASON, "", str(error))
        leave(FAILED)
    distributed.destroy_process_group()
    leave(0)


def _wait(context: ProcessContext, meeting: TCPStore) -> None:
    """Wait for the ranks, handing on signals so that they save; raises TrainingError if one has failed."""
    # It says that it ends the other ranks, which the error below says better.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)

    def hand_on(number: int) -> None:
        for pid in context.pids():
            if pid is not None:
                os.kill(pid, number)

    try:
        with handing_on(hand_on):
            while not context.join():
                pass
    except ProcessRaisedException as error:
        raise TrainingError(f"rank {error.error_index} failed: {str(error).strip().splitlines()[-1]}") from error
    except ProcessExitedException as error:
        if error.exit_code == FAILED and meeting.check([REASON]):
            reason = meeting.get(REASON).decode()
            raise TrainingError(reason if AGAIN in reason else f"{reason}; then {AGAIN}") from error
        raise TrainingError(
            f"rank {error.error_index} was ended from outside (exit status {error.exit_code}); {AGAIN}"
        ) from error
