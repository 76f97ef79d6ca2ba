from pathlib import Path

import torch
from torch import distributed, multiprocessing

from longtake.model.training.compute import CPU, agreed


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
