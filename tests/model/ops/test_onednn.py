"""oneDNN's products, and the GELU within them or after them."""

import pytest
import torch
import torch.nn.functional as F

from longtake.model.ops.linear import onednn
from longtake.model.ops.linear.base import gelu_tanh
from longtake.model.ops.linear.onednn import has_onednn, onednn_linear


@pytest.mark.skipif(not has_onednn(torch.device("cpu"), torch.bfloat16), reason="this processor has no bf16 products")
def test_a_onednn_linear_has_the_tanh_gelu() -> None:
    x = torch.full((1, 16), -2.5, dtype=torch.bfloat16)
    made = onednn_linear(torch.eye(16).bfloat16(), torch.zeros(16).bfloat16(), 1, gelu=True)(x)
    assert made.flatten()[0].item() == pytest.approx(-0.015084, abs=5e-5)  # the exact form is -0.015524


def test_gelu_is_the_tanh_form_at_any_size() -> None:
    x = torch.cat((torch.linspace(-12, 12, 2001), torch.tensor([0.0, -1e4, 1e4, -float("inf"), float("inf")])))
    made, exact = gelu_tanh(x.clone()), F.gelu(x.double(), approximate="tanh")
    assert torch.allclose(made[:-2].double(), exact[:-2], rtol=1e-6, atol=6e-7)
    assert (made[-3].item(), made[-1].item()) == (1e4, float("inf"))
    assert abs(made[-4].item()) == 0


@pytest.mark.skipif(
    not has_onednn(torch.device("cpu"), torch.float32), reason="fp32 oneDNN products are used on x86 only"
)
@pytest.mark.parametrize("avx512", [True, False])
def test_gelu_within_the_product_and_after_it_are_the_same(monkeypatch: pytest.MonkeyPatch, avx512: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": avx512})
    assert onednn.gelu_belongs_within(torch.float32) == avx512
    assert onednn.gelu_belongs_within(torch.bfloat16)
    source = torch.Generator().manual_seed(1)
    weight, bias, x = (torch.randn(shape, generator=source) for shape in ((32, 16), (32,), (2, 6, 16)))
    wanted = F.gelu(F.linear(x, weight, bias), approximate="tanh")
    assert torch.allclose(onednn_linear(weight, bias, 6, gelu=True)(x), wanted, atol=1e-5)


def test_packing_is_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_onednn(torch.device("cuda"), torch.bfloat16)
    assert not has_onednn(torch.device("cpu"), torch.float64)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not has_onednn(torch.device("cpu"), torch.float32)
