"""The half-precision copy that training computes with."""

import torch
from torch import nn

from longtake.model.training.working_copy import WorkingCopy


def test_brings_gradients_back() -> None:
    master = nn.Linear(4, 4)
    half = WorkingCopy(master, torch.bfloat16)
    with torch.no_grad():
        master.weight.fill_(0.5)
    half.refresh()
    half.module(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()
    half.collect()
    assert half.module.weight.dtype is torch.bfloat16
    assert half.module.weight.grad is None
    assert master.weight.grad is not None
    assert master.weight.grad.dtype is torch.float32
    torch.testing.assert_close(master.weight.grad, torch.ones(4, 4))


def test_in_full_precision_the_master_works_itself() -> None:
    master = nn.Linear(4, 4)
    copy = WorkingCopy(master, torch.float32)
    assert copy.module is master
    copy.refresh()
    copy.module(torch.ones(1, 4)).sum().backward()
    copy.collect()
    assert master.weight.grad is not None
