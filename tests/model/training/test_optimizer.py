"""Muon, and which parameters it gets."""

import pytest
import torch
from torch import nn

from longtake.model.training.optimizer import Muon, Optimizers, orthogonalise


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


def test_matrices_of_one_shape_are_orthogonalised_together() -> None:
    torch.manual_seed(0)
    several = torch.randn(3, 24, 16)
    one_by_one = torch.stack([orthogonalise(each) for each in several])
    torch.testing.assert_close(orthogonalise(several), one_by_one, rtol=0.05, atol=0.02)


def test_muon_moves_every_matrix_by_an_even_step() -> None:
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(shape)) for shape in ((8, 8), (4, 8), (8, 8), (6, 2, 2, 2))]
    before = [p.detach().clone() for p in params]
    muon = Muon(params, lr=0.5)
    for p in params:
        p.grad = torch.randn_like(p)
    muon.step()
    for p, old in zip(params, before, strict=True):
        values = torch.linalg.svdvals((p.detach() - old).flatten(1))
        assert float(values.min()) > 0.2
        assert float(values.max()) < 0.75


def test_a_checkpoints_state_leaves_the_settings_as_they_are() -> None:
    def optimizers(weight_decay: float) -> Optimizers:
        module = nn.Linear(4, 3)
        made = Optimizers(module, lr=0.1, adam_lr=0.01, weight_decay=weight_decay, adam_names=())
        module(torch.ones(1, 4)).sum().backward()
        made.step(1.0)
        return made

    begun, resumed = optimizers(0.2), optimizers(0.3)
    resumed.load_state_dict(begun.state_dict())
    assert resumed.parts[0].param_groups[0]["weight_decay"] == 0.3
    (kept,), (saved,) = (made.parts[1].state.values() for made in (resumed, begun))
    assert torch.equal(kept["exp_avg"], saved["exp_avg"])
