"""The training loop, the optimiser and the export of weights."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from longtake.model.training.export import export
from longtake.model.training.half import HalfCopy
from longtake.model.training.loop import LoopConfig, Run, schedule_factor
from longtake.model.training.optimizer import Muon, Optimizers, orthogonalise


class Line:
    """A task small enough to follow: fit y = W x."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.module: nn.Module = nn.Linear(4, 3)
        self.truth = torch.randn(3, 4)

    def batches(self, rank: int, ranks: int, seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield torch.randn(32, 4, generator=generator)

    def loss(self, batch: Tensor, progress: float) -> tuple[Tensor, dict[str, float]]:
        assert 0 <= progress < 1
        return (self.module(batch) - batch @ self.truth.T).square().mean(), {"progress": progress}

    def collect_gradients(self) -> None:
        pass

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        assert isinstance(module, nn.Linear)
        return {"distance": float((module.weight - self.truth).norm())}


def run(folder: Path, steps: int) -> Run:
    config = LoopConfig(steps=steps, lr=0.05, ema=0.9, warmup_steps=2, log_every=10, ranks=1)
    folder.mkdir(exist_ok=True)
    return Run(Line(), config, folder, 0)


def test_a_run_learns_saves_and_resumes(tmp_path: Path) -> None:
    first = run(tmp_path, 300)
    first.train()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[0]["loss"] > 10 * rows[-2]["loss"]
    assert rows[-1]["eval_distance"] < 0.5
    again = run(tmp_path, 300)
    assert again.resume()
    assert again.step == 300
    for key, value in load_file(tmp_path / "ema.safetensors").items():
        torch.testing.assert_close(value, first.ema[key])
    again.train()
    assert again.step == 300, "a finished run has nothing left to do"


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    first = run(tmp_path, 100)
    task_loss = first.task.loss

    def stop_at_40(batch: Tensor, progress: float) -> tuple[Tensor, dict[str, float]]:
        if first.step == 40:
            first.stopping = True
        return task_loss(batch, progress)

    first.task.loss = stop_at_40  # type: ignore[method-assign]
    first.train()
    assert first.step == 41
    second = run(tmp_path, 100)
    assert second.resume()
    second.train()
    assert second.step == 100


def test_an_infinite_gradient_is_skipped(tmp_path: Path) -> None:
    one = run(tmp_path, 10)
    before = {k: v.clone() for k, v in one.task.module.state_dict().items()}
    one._update(torch.full((32, 4), float("inf")))
    for key, value in one.task.module.state_dict().items():
        assert torch.equal(value, before[key])


def test_schedule_warms_up_and_decays() -> None:
    config = LoopConfig(steps=100, lr=1.0, warmup_steps=10, decay_fraction=0.2)
    assert schedule_factor(0.0, 0, config) == pytest.approx(0.1)
    assert schedule_factor(0.5, 50, config) == 1.0
    assert schedule_factor(0.9, 90, config) == pytest.approx(0.5)
    assert schedule_factor(1.0, 100, config) == 0.0


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (32, 32)])
def test_orthogonalise_evens_the_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    assert 0.5 < float(values.min()) <= float(values.max()) < 1.4


def test_optimizers_share_the_parameters_out() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 4))
    parts = Optimizers(module, lr=0.1, adam_lr=0.1, weight_decay=0, adam_names=("0.",)).parts
    muon = [p.shape for p in parts[0].param_groups[0]["params"]]
    assert isinstance(parts[0], Muon)
    assert muon == [module[1].weight.shape, module[2].weight.shape]
    assert len(parts[1].param_groups[0]["params"]) == 4


def test_half_copy_brings_gradients_back() -> None:
    master = nn.Linear(4, 4)
    half = HalfCopy(master)
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


def test_export_writes_bf16_parts_and_forgets_the_trainers_disk(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for name in ("autoencoder", "probe"):
        (runs / name).mkdir(parents=True)
    state = {"decoder.a": torch.randn(2, 2), "encoder.b": torch.randn(3), "encoder.count": torch.tensor(7)}
    save_file(state, runs / "autoencoder" / "ema.safetensors")
    (runs / "autoencoder" / "config.json").write_text('{"data": "/home/someone/data/clips", "hours": 1}')
    save_file({"x": torch.ones(1)}, runs / "probe" / "ema.safetensors")
    out.mkdir()
    (out / "transformer.safetensors").write_bytes(b"kept")
    assert export(runs, out) == ["decoder", "encoder", "probe"]
    assert load_file(out / "decoder.safetensors")["a"].dtype is torch.bfloat16
    assert int(load_file(out / "encoder.safetensors")["count"]) == 7
    assert (out / "transformer.safetensors").read_bytes() == b"kept"
    assert json.loads((out / "runs" / "autoencoder-config.json").read_text()) == {"data": "clips", "hours": 1}
