"""A world that does not fit in a GPU's memory is refused with the figures."""

from dataclasses import replace

import pytest
import torch

from longtake.model import room
from longtake.model.backend import Backend
from longtake.model.config import preset


def on_a_gpu(cache: str = "ring") -> Backend:
    backend = Backend.chosen("cpu", torch.bfloat16)
    return replace(backend, target=replace(backend.target, device=torch.device("cuda", 0)), cache=cache)


def test_the_ring_is_as_large_as_the_docs_say() -> None:
    config = preset("longlive-1.3b")
    assert room.ring_bytes(config, on_a_gpu()) / 1e9 == pytest.approx(3.45, abs=0.005)
    assert room.ring_bytes(config, on_a_gpu("fp8")) / 1e9 == pytest.approx(1.73, abs=0.005)


def test_a_world_that_does_not_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 4_000_000_000)
    with pytest.raises(MemoryError, match=r"needs about 4\.5 GB on cuda:0 and 4\.0 GB is free: close another world"):
        room.check_room(preset("longlive-1.3b"), on_a_gpu())
    room.check_room(preset("longlive-1.3b"), on_a_gpu("fp8"))


def test_a_cpu_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 0)
    room.check_room(preset("diorama"), Backend.chosen("cpu", torch.float32))
