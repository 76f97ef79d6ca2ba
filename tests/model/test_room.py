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


def test_what_cuda_graphs_hold_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 6_000_000_000)
    room.check_room(preset("longlive-1.3b"), on_a_gpu(), graphs_bytes=1_500_000_000)
    with pytest.raises(MemoryError, match=r"4\.5 GB on cuda:0 and 4\.0 GB is free, beside 2\.0 GB for CUDA graphs"):
        room.check_room(preset("longlive-1.3b"), on_a_gpu(), graphs_bytes=2_000_000_000)
    with pytest.raises(MemoryError, match=r"0\.0 GB is free"):
        room.check_room(preset("longlive-1.3b"), on_a_gpu(), graphs_bytes=9_000_000_000)


def test_only_the_graphs_own_pools_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def segment(pool: tuple[int, int], total: int, used: int, device: int = 0) -> dict[str, object]:
        return {"device": device, "segment_pool_id": pool, "total_size": total, "allocated_size": used}

    segments = [segment((0, 0), 900, 100), segment((0, 1), 500, 20), segment((0, 2), 60, 60), segment((0, 1), 7, 0, 1)]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    assert room.pool_bytes(torch.device("cuda", 0)) == 480
    assert room.pool_bytes(torch.device("cuda", 1)) == 7
    assert room.pool_bytes(torch.device("cpu")) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graphs_pool_is_counted() -> None:
    device, graph = torch.device("cuda", torch.cuda.current_device()), torch.cuda.CUDAGraph()
    before, x = room.pool_bytes(device), torch.zeros(1 << 22, device=device)
    with torch.cuda.graph(graph):
        y = (x + 1) * 2
    assert room.pool_bytes(device) - before >= x.numel() * 4, "the sum between is in the pool, and free"
    del graph, y


def test_a_cpu_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 0)
    room.check_room(preset("diorama"), Backend.chosen("cpu", torch.float32))
