"""A bf16 working copy of an fp32 module, so that a step runs in bf16 throughout and the optimiser in fp32."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class HalfCopy(Generic[M]):
    """`refresh` before a forward, `collect` after its backward."""

    def __init__(self, master: M) -> None:
        self.master = master
        self.module: M = copy.deepcopy(master).bfloat16()

    @torch.no_grad()
    def refresh(self) -> None:
        """Master weights into the working copy."""
        for mine, theirs in zip(self.module.parameters(), self.master.parameters(), strict=True):
            mine.copy_(theirs)

    @torch.no_grad()
    def collect(self) -> None:
        """The working copy's gradients into the master's, and forget them here."""
        for mine, theirs in zip(self.module.parameters(), self.master.parameters(), strict=True):
            theirs.grad = None if mine.grad is None else mine.grad.float()
            mine.grad = None
