import pytest
import torch

from longtake.model.training.objectives.adversary import Adversary, adversarial_losses, balance, pairs_of


def test_pairs_are_frames_and_their_successors() -> None:
    frames = torch.arange(2.0 * 5).view(2, 5, 1, 1, 1).expand(2, 5, 3, 8, 8)
    pairs = pairs_of(frames, torch.tensor([0, 3]))
    assert pairs.shape == (4, 2, 3, 8, 8)
    assert pairs[:, :, 0, 0, 0].tolist() == [[0, 1], [3, 4], [5, 6], [8, 9]]


def test_each_loss_moves_its_own_side_alone() -> None:
    adversary = Adversary((4, 4, 4))
    made = torch.rand(2, 2, 3, 16, 24, requires_grad=True)
    fooled, told_apart = adversarial_losses(adversary, made, torch.rand(2, 2, 3, 16, 24))
    fooled.backward(retain_graph=True)
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert all(p.grad is None for p in adversary.parameters())
    made.grad = None
    told_apart.backward()
    assert made.grad is None
    assert all(p.grad is not None for p in adversary.parameters())


def test_it_learns_to_tell_blur_from_edges() -> None:
    torch.manual_seed(0)
    adversary = Adversary((8, 8, 8))
    step = torch.optim.Adam(adversary.parameters(), 1e-2)
    drawn = (torch.rand(8, 1, 1, 8, 8) > 0.5).float().repeat_interleave(4, -1).repeat_interleave(4, -2)
    drawn = drawn.expand(8, 2, 3, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(drawn.flatten(0, 1), 5, 1, 2).view_as(drawn)
    for _ in range(120):
        _, told_apart = adversarial_losses(adversary, blurred, drawn)
        step.zero_grad()
        told_apart.backward()
        step.step()
    assert float(told_apart.detach()) < 1, "guessing costs 2"
    assert (adversary(drawn).mean() > adversary(blurred).mean()).item()


def test_the_balance_makes_slopes_alike_up_to_a_limit() -> None:
    at = torch.ones(3, requires_grad=True)
    assert balance((2 * at).sum(), (0.5 * at).sum(), at).item() == pytest.approx(4.0, rel=1e-4)
    assert balance((2 * at).sum(), (1e-3 * at).sum(), at).item() == 10
