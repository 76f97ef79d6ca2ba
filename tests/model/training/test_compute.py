from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from longtake.model.ops import precision
from longtake.model.training.compute import CPU, agree_on_dtype, agreed, working_dtype


def test_a_wish_alone_is_followed_or_not() -> None:
    assert agreed(True, CPU)
    assert not agreed(False, CPU)


def test_what_one_rank_wishes_all_do(tmp_path: Path) -> None:
    multiprocessing.start_processes(_ask, (str(tmp_path),), nprocs=2, start_method="spawn")  # type: ignore[no-untyped-call]
    assert [(tmp_path / f"rank{rank}").read_text() for rank in range(2)] == ["True False", "True False"]


def _ask(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    said = agreed(rank == 1, CPU), agreed(False, CPU)
    Path(folder, f"rank{rank}").write_text(" ".join(map(str, said)))
    distributed.destroy_process_group()


def test_ranks_that_measure_different_speeds_compute_in_the_same_type(tmp_path: Path) -> None:
    """Otherwise they would send each other parameters of different sizes: gloo aborts at the first collective."""
    multiprocessing.start_processes(_measure, (str(tmp_path),), nprocs=2, start_method="spawn")  # type: ignore[no-untyped-call]
    said = "torch.float32 torch.bfloat16 torch.bfloat16 torch.bfloat16"
    assert {(tmp_path / f"rank{rank}").read_text() for rank in range(2)} == {said}


def _measure(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    said = []
    for prefers in (rank == 1, rank == 0, True):
        precision.cpu_prefers_bf16 = lambda prefers=prefers: prefers  # type: ignore[assignment]
        agree_on_dtype(CPU)
        said.append(working_dtype(CPU))
    precision.cpu_prefers_bf16 = lambda: False  # type: ignore[assignment]
    Path(folder, f"rank{rank}").write_text(" ".join(map(str, [*said, working_dtype(CPU)])))
    distributed.destroy_process_group()


def test_a_run_of_one_rank_goes_by_its_own_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefers, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision, "cpu_prefers_bf16", lambda prefers=prefers: prefers)
        agree_on_dtype(CPU)
        assert working_dtype(CPU) is dtype
