"""A half-precision working copy of an fp32 module: a step computes in bf16 throughout, the optimiser in fp32."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class WorkingCopy(Generic[M]):
    """Call `refresh` before a forward and `collect` after its backward.

    Args:
        master: the fp32 module that is trained.
        dtype: of the copy. With fp32 there is no copy: `module` is the master itself.
    """

    def __init__(self, master: M, dtype: torch.dtype) -> None:
        self.master = master
        self.module: M = master if dtype is torch.float32 else copy.deepcopy(master).to(dtype)
        self._copied = self.module is not master

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the master's weights."""
        if self._copied:
            torch._foreach_copy_(list(self.module.parameters()), list(self.master.parameters()))

    @torch.no_grad()
    def collect(self) -> None:
        """Move the working copy's gradients to the master."""
        if not self._copied:
            return
        for mine, theirs in zip(self.module.parameters(), self.master.parameters(), strict=True):
            theirs.grad = None if mine.grad is None else mine.grad.float()
            mine.grad = None
