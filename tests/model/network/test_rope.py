import math

import pytest
import torch

from longtake.model.network.rope import Rope, axis_frequencies, axis_split, rotate


@pytest.mark.parametrize(
    ("head_dim", "split"), [(24, (4, 4, 4)), (32, (6, 5, 5)), (64, (12, 10, 10)), (128, (22, 21, 21))]
)
def test_channels_are_split_as_in_wan(head_dim: int, split: tuple[int, int, int]) -> None:
    assert axis_split(head_dim) == split


def test_rotation_by_hand() -> None:
    rope = Rope(12, (2, 3))
    x = torch.zeros(1, 1, 6, 1, 12)
    x[..., 0] = x[..., 4] = x[..., 8] = 1.0
    turned = rotate(x, rope.table([7]))[0, 0, 5, 0]  # the token of row 1, column 2
    for channel, angle in ((0, 7.0), (4, 1.0), (8, 2.0)):
        assert turned[channel].item() == pytest.approx(math.cos(angle), abs=1e-6)
        assert turned[channel + 1].item() == pytest.approx(math.sin(angle), abs=1e-6)
    assert torch.count_nonzero(turned) == 6


def test_products_depend_on_differences_only_even_after_a_year() -> None:
    rope = Rope(32, (2, 2))
    q, k = torch.randn(2, 1, 4, 1, 32).unsqueeze(1)

    def scores(first: int) -> torch.Tensor:
        return (rotate(q, rope.table([first + 5])) * rotate(k, rope.table([first]))).sum(-1)

    assert torch.allclose(scores(0), scores(3), atol=1e-5)
    assert torch.allclose(scores(0), scores(4 * 86_400 * 365), atol=1e-5)


def test_frames_need_not_be_adjacent() -> None:
    rope = Rope(24, (2, 3))
    assert torch.equal(rope.table([0, 1, 11])[2], rope.table([11])[0])
    assert rope.table(torch.tensor([[0.0, 1.0], [4.0, 5.0]])).shape == (2, 2, 6, 12)


def test_there_is_no_table_to_run_out_of() -> None:
    frequencies = axis_frequencies(4)
    row = Rope(24, (1, 1)).table([1_000_000])[0, 0, :4]
    expected = torch.polar(torch.ones(4, dtype=torch.float64), 1_000_000 * frequencies)
    assert torch.allclose(row, expected.to(torch.complex64), atol=1e-6)


def test_gradients_flow_and_the_input_is_left_alone() -> None:
    x = torch.randn(1, 2, 6, 2, 24, dtype=torch.bfloat16, requires_grad=True)
    before = x.detach().clone()
    rotate(x, Rope(24, (2, 3)).table([0, 1])).square().sum().backward()
    assert torch.equal(x.detach(), before)
    # A rotation keeps lengths, so the gradient of the squared length is twice x.
    assert x.grad is not None
    assert torch.allclose(x.grad.float(), 2 * before.float(), rtol=1e-2, atol=1e-2)
