"""The memories of every decoder that ships, as plain tensors and back."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.diorama.moving_decoder import MovingState
from longtake.model.errors import SnapshotError
from longtake.model.generation.packing import pack, unpack
from longtake.model.longlive.taehv import TinyState
from longtake.model.longlive.wan_vae import WanDecoderState

CPU = torch.device("cpu")
A, B = torch.randn(1, 4, 3, 2), torch.randn(1, 4, 3, 2).to(memory_format=torch.channels_last)

STATES = [
    (MovingState(previous=A, key=B, batch=2), MovingState(previous=None, key=None)),
    (TinyState(memory={3: A, 7: B}, started=True), TinyState()),
    (WanDecoderState(features=[None, "Rep", torch.randn(1, 2, 2, 3, 3)]), WanDecoderState(features=[None] * 3)),
    ({"seen": 3, "memory": A, "both": (A, [B])}, {}),
]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other) and one.stride() == other.stride() and one.dtype == other.dtype
    if isinstance(one, list | tuple):
        return type(one) is type(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return same(vars(one), vars(other)) if hasattr(one, "__dict__") else bool(one == other)


@pytest.mark.parametrize(("state", "fresh"), STATES)
def test_what_is_packed_comes_back(state: Any, fresh: Any) -> None:
    packed = pack(state)
    back = unpack(packed, copy.deepcopy(fresh), CPU)
    assert type(back) is type(state)
    assert same(back, state)


def test_a_packed_memory_is_a_copy() -> None:
    state = MovingState(previous=A.clone(), key=B)
    packed = pack(state)
    assert state.previous is not None
    state.previous.zero_()
    one, other = (unpack(packed, MovingState(previous=None, key=None), CPU) for _ in range(2))
    assert torch.equal(one.previous, A)
    one.previous.zero_()
    assert torch.equal(other.previous, A)


def test_what_cannot_be_written_and_another_decoders_memory_are_refused() -> None:
    @dataclass
    class Odd:
        thing: object

    with pytest.raises(SnapshotError, match="holds a complex"):
        pack(Odd(thing=1j))
    with pytest.raises(SnapshotError, match="another decoder"):
        unpack(pack(TinyState()), MovingState(previous=None, key=None), CPU)
