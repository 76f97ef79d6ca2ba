"""The pool of encoded clips."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtake.model.training.data.pool import LatentPool, PoolConfig

CPU = torch.device("cpu")
CONFIG = PoolConfig(clips=3, latents=(4, 2, 3, 5), text=(2, 6, 8), actions=2)


def clip(number: int) -> dict[str, Any]:
    return {
        "cover": np.full((4, 3, 5), abs(number), np.uint8),
        "text": np.full((2, 2, 6, 8), number, np.float16),
        "actions": np.full((4, 2), number / 10, np.float32),
        "switch": np.int64(number),
        "new_place": np.bool_(True),
    }


@pytest.mark.parametrize("mapped", [False, True])
def test_slots_are_filled_and_replaced(tmp_path: Path, mapped: bool) -> None:
    pool = LatentPool(CONFIG, CPU, tmp_path / "pool" if mapped else None)
    assert len(pool.filled) == 0
    pool.put(1, torch.full((4, 2, 3, 5), 7.0), torch.full((4, 2, 3, 5), 1.0), clip(2))
    pool.put(2, torch.full((4, 2, 3, 5), 8.0), torch.full((4, 2, 3, 5), 2.0), clip(-1))
    assert pool.filled.tolist() == [1, 2]
    pool.put(1, torch.full((4, 2, 3, 5), 9.0), torch.full((4, 2, 3, 5), 3.0), clip(3))
    assert pool.filled.tolist() == [1, 2]
    assert float(pool.latents[1].mean()) == 9
    assert float(pool.starts[1].mean()) == 3
    assert float(pool.actions[1, 0, 0]) == pytest.approx(0.3)
    assert int(pool.switch[1]) == 3
    assert pool.text.dtype == torch.float16


def test_a_folder_is_shared_and_outlives_the_run(tmp_path: Path) -> None:
    one, other = (LatentPool(CONFIG, CPU, tmp_path) for _ in range(2))
    one.put(0, torch.ones(4, 2, 3, 5), torch.zeros(4, 2, 3, 5), clip(1))
    assert other.filled.tolist() == [0]
    assert float(other.latents[0].mean()) == 1
    again = LatentPool(CONFIG, CPU, tmp_path)
    assert float(again.latents[0].mean()) == 1


def test_a_pool_of_other_sizes_is_begun_again(tmp_path: Path) -> None:
    LatentPool(CONFIG, CPU, tmp_path).put(0, torch.ones(4, 2, 3, 5), torch.zeros(4, 2, 3, 5), clip(1))
    other = PoolConfig(clips=2, latents=(4, 2, 3, 5), text=(2, 6, 8), actions=2)
    pool = LatentPool(other, CPU, tmp_path)
    assert len(pool.filled) == 0
    assert pool.latents.shape == (2, 4, 2, 3, 5)
