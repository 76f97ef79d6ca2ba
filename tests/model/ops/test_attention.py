"""Every attention against torch's own, and which of them a machine gets."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.errors import BackendError
from longtake.model.ops import precision
from longtake.model.ops.attention import base, bmm, exp2, sdpa
from longtake.model.ops.attention import registry as attention_registry
from longtake.model.ops.attention.exp2 import exp2_attention
from longtake.model.ops.attention.prescaled import prescaled
from longtake.model.ops.attention.registry import ATTENTIONS
from longtake.model.ops.attention.upcast import upcast, upcast_exp2_attention
from longtake.model.ops.linear import onednn
from longtake.model.ops.linear import registry as linear_registry
from longtake.model.ops.linear.registry import LINEARS


def target(device: str = "cpu", dtype: torch.dtype = torch.float32) -> Target:
    return Target(device=torch.device(device), dtype=dtype)


def test_attention_back_ends_agree() -> None:
    q, k, v = torch.randn(2, 3, 10, 8), torch.randn(2, 3, 40, 8), torch.randn(2, 3, 40, 8)
    assert torch.allclose(bmm(q, k, v), sdpa(q, k, v), atol=1e-5)
    # As the cache hands them over: a prefix, and queries with swapped strides.
    q = torch.randn(2, 10, 3, 8).transpose(1, 2)
    assert torch.allclose(bmm(q, k[:, :, :20], v[:, :, :20]), sdpa(q, k[:, :, :20], v[:, :, :20]), atol=1e-5)


def test_a_back_end_that_cannot_be_used_is_an_error_that_says_why() -> None:
    assert ATTENTIONS.make("auto", target()) is bmm
    assert ATTENTIONS.make("sdpa", target()) is sdpa
    for name in ("flash2", "flash3", "flash3-fp8", "cudnn"):
        with pytest.raises(BackendError, match="needs a CUDA device"):
            ATTENTIONS.make(name, target(dtype=torch.bfloat16))
    with pytest.raises(BackendError, match="there are auto, flash3, flash3-fp8, flash2, cudnn, sdpa, bmm, upcast"):
        ATTENTIONS.make("magic", target())
    assert ATTENTIONS.missing("bmm", target()) is None


@pytest.mark.parametrize("attention", [bmm, exp2_attention])
def test_many_scores_are_made_in_parts(monkeypatch: pytest.MonkeyPatch, small: Any, attention: base.Attention) -> None:
    q, k, v = some_queries()
    whole = attention(q, k, v)
    asked = []
    product = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda a, b: asked.append(tuple(a.shape[:2])) or product(a, b))
    monkeypatch.setattr(base, "LARGEST_SCORES", 40 * 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert small.error(attention(q, k, v), whole) < 1e-6
    # Two products each: of four of the six heads and of the other two, sixteen queries at a time.
    assert asked == [(heads, rows) for heads in (4, 2) for rows in (16, 16, 16, 2) for _ in range(2)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scores", [base.LARGEST_SCORES, 40 * 16])
def test_upcast_attention_rounds_nothing_but_its_result(
    monkeypatch: pytest.MonkeyPatch, small: Any, dtype: torch.dtype, scores: int
) -> None:
    monkeypatch.setattr(base, "LARGEST_SCORES", scores)
    q, k, v = (x.to(dtype) for x in some_queries())
    exact = [x.double() for x in (q, k, v)]
    bound = 3e-3 if dtype == torch.bfloat16 else 5e-4
    made = upcast(q, k, v)
    assert made.dtype == dtype
    assert small.error(made, sdpa(*exact)) < bound
    factor, fewer_passes = prescaled(upcast, 8)
    assert fewer_passes is upcast_exp2_attention
    # A quarter instead of the factor: it rounds no queries.
    exact[0] *= 0.25 / factor
    assert small.error(fewer_passes(q * 0.25, k, v), sdpa(*exact)) < bound


def some_queries() -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 3, tokens, 8, generator=source) for tokens in (50, 40, 40))
    return q, k, v


def scaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    factor, function = prescaled(bmm, q.shape[-1])
    return function(q * factor, k, v)


def test_exp2_attention_is_the_softmax() -> None:
    q, k, v = torch.randn(2, 3, 10, 8), torch.randn(2, 3, 40, 8), torch.randn(2, 3, 40, 8)
    assert torch.allclose(scaled(q, k, v), sdpa(q, k, v), atol=1e-5)
    assert torch.allclose(scaled(q, k[:, :, :20], v[:, :, :20]), sdpa(q, k[:, :, :20], v[:, :, :20]), atol=1e-5)
    assert prescaled(sdpa, 8) == (1.0, sdpa)


@pytest.mark.parametrize("score", [-500.0, -60.0, 60.0, 500.0])
def test_scores_at_the_ends_of_the_number_range_take_the_long_way(score: float) -> None:
    q, k, v = torch.full((1, 1, 2, 4), 2.0), torch.full((1, 1, 5, 4), score / 4), torch.randn(1, 1, 5, 4)
    k[..., 0, :] += 0.01
    wanted = sdpa(q.double(), k.double(), v.double()).float()
    assert torch.allclose(scaled(q, k, v), wanted, atol=1e-4), "where it is finite and where it is not"


def test_the_long_way_is_taken_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = torch.randn(1, 1, 4, 8), torch.randn(1, 1, 6, 8), torch.randn(1, 1, 6, 8)
    made = exp2_attention(q, k, v)
    monkeypatch.setattr(exp2, "SAFE_SUMS", (1e30, 1e35))
    long = exp2_attention(q, k, v)
    assert torch.allclose(made, long, atol=1e-6)
    assert not torch.equal(made, long), "nothing else was computed"


@pytest.mark.parametrize("multiplies", [True, False])
def test_products_are_widened_where_the_processor_would_emulate_them(
    monkeypatch: pytest.MonkeyPatch, multiplies: bool
) -> None:
    for module in (attention_registry, linear_registry):
        monkeypatch.setattr(module, "cpu_multiplies", lambda dtype: multiplies or dtype == torch.float32)
    monkeypatch.setattr(linear_registry, "has_onednn", lambda device, dtype: multiplies)
    monkeypatch.setattr(onednn, "has_onednn", lambda device, dtype: multiplies)
    half = target(dtype=torch.bfloat16)
    chosen = ATTENTIONS.resolve("auto", half), LINEARS.resolve("auto", half)
    assert chosen == (("bmm", "onednn") if multiplies else ("upcast", "upcast"))
    assert ATTENTIONS.resolve("auto", target()) == "bmm"
    assert "half precision" in str(ATTENTIONS.missing("upcast", target()))
    assert "half precision" in str(LINEARS.missing("upcast", target("cuda", torch.bfloat16)))


@pytest.mark.parametrize(
    ("native", "bf16_s", "wanted"),
    [(True, 0.5, torch.bfloat16), (True, 1.1, torch.bfloat16), (True, 1.9, torch.float32), (False, 0.5, torch.float32)],
)
def test_auto_takes_the_precision_that_the_processor_multiplies_faster(
    monkeypatch: pytest.MonkeyPatch, native: bool, bf16_s: float, wanted: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    monkeypatch.setattr(precision, "_product_s", lambda dtype: bf16_s if dtype is torch.bfloat16 else 1.0)
    monkeypatch.setattr(precision, "cpu_prefers_bf16", precision.cpu_prefers_bf16.__wrapped__)
    assert precision.choose_precision("auto", torch.device("cpu")) is wanted
    assert precision.choose_precision("bf16", torch.device("cpu")) is torch.bfloat16


def test_a_processor_is_asked_what_it_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision.cpu_multiplies(torch.float32)
    assert precision.cpu_multiplies(torch.float64)
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    assert precision.cpu_multiplies(torch.bfloat16)
    assert not precision.cpu_multiplies(torch.float16)
    monkeypatch.setattr(precision, "cpu_multiplies", lambda dtype: False)
    assert precision.product_precision(torch.bfloat16, torch.device("cpu")) == torch.float32
    assert precision.product_precision(torch.bfloat16, torch.device("cuda")) == torch.bfloat16
