from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.config import TransformerConfig
from longtake.model.errors import BackendError
from longtake.model.ops.linear import int8, transformer_engine
from longtake.model.ops.linear.fp8 import Fp8Linear, quantise_fp8
from longtake.model.ops.linear.int8 import int8_linear
from longtake.model.ops.linear.registry import LINEARS
from longtake.model.ops.linear.transformer_engine import transformer_engine_linear
from longtake.model.ops.linear.upcast import upcast_linear

HALF = torch.bfloat16


def target(device: str = "cpu", dtype: torch.dtype = HALF, tokens: int = 8) -> Target:
    return Target(device=torch.device(device), dtype=dtype, block_tokens=tokens)


SIZES = TransformerConfig(
    dim=64, ffn_dim=160, heads=2, layers=3, text_tokens=6, text_dim=20, latent_height=4, latent_width=6
)
"""multiples of sixteen in the layers, not in the text"""


def random_linear(rows: int, width: int, out: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(2, rows, width, generator=source) * torch.logspace(-3, 2, rows)[:, None]
    weight = torch.randn(out, width, generator=source) * torch.logspace(-2, 1, out)[:, None]
    return x.to(dtype), weight.to(dtype), torch.randn(out, generator=source).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_fp8_is_the_product_of_the_dequantised(small: Any, dtype: torch.dtype) -> None:
    x, weight, bias = random_linear(7, 48, 32, dtype)
    (rows, row_scale), (columns, column_scale) = quantise_fp8(x.flatten(0, 1)), quantise_fp8(weight)
    wanted = (rows.double() * row_scale) @ (columns.double() * column_scale).t() + bias.double()
    made = Fp8Linear(weight, bias)(x)
    assert (made.dtype, tuple(made.shape)) == (dtype, (2, 7, 32))
    assert small.error(made.flatten(0, 1), wanted) < (1e-6 if dtype == torch.float32 else 3e-3)


def test_fp8_holds_every_value_to_a_sixteenth_of_itself(small: Any) -> None:
    x = torch.randn(5, 256, generator=torch.Generator().manual_seed(2)) * torch.logspace(-10, 10, 5)[:, None]
    x[2] = 0
    quantised, scale = quantise_fp8(x)
    back = quantised.float() * scale
    assert quantised.float().abs().amax(1).tolist() == [448, 448, 0, 448, 448]
    # Three bits after the leading one; below 2^-6 of the units of the scale, an even step of 2^-9.
    assert bool(((back - x).abs() <= torch.maximum(x.abs() / 16, scale * 2**-10)).all())


@pytest.mark.parametrize(("make", "bound"), [(Fp8Linear, 0.045), (int8_linear, 0.02)])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_eight_bits_are_near_in_every_row_and_column(small: Any, make: Any, bound: float, dtype: torch.dtype) -> None:
    x, weight, bias = random_linear(9, 256, 64, dtype)
    bias = bias * 0  # it would hide the small rows
    made, wanted = make(weight, bias)(x), F.linear(x.double(), weight.double())
    # In units of each row and column: what one scale for a whole tensor would lose is in the small ones.
    unit = torch.logspace(-3, 2, 9)[:, None] * torch.logspace(-2, 1, 64)
    made, wanted = made / unit, wanted / unit
    errors = [small.error(made[:, row], wanted[:, row]) for row in range(9)]
    errors += [small.error(made[..., column], wanted[..., column]) for column in range(64)]
    assert max(errors) < 2.5 * bound, max(errors)
    assert 1e-4 < small.error(made, wanted) < bound


def test_int8_sums_are_the_same_without_instructions_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = random_linear(7, 256, 64, torch.float32)
    made = []
    for has in (True, False):
        monkeypatch.setattr(int8, "multiplies_int8", lambda has=has: has)
        made.append(int8_linear(weight, bias)(x))
    assert torch.equal(*made)


@pytest.mark.parametrize("gelu", [False, True])
def test_a_wide_map_rounds_nothing_but_its_result(gelu: bool) -> None:
    x, weight, bias = random_linear(7, 48, 32, HALF)
    exact = F.linear(x.double(), weight.double(), bias.double())
    exact = F.gelu(exact, approximate="tanh") if gelu else exact
    made = upcast_linear(weight, bias, gelu=gelu)(x)
    assert made.dtype == HALF
    # bf16 keeps eight bits: half a step is one part in 2^9; the fp32 sums cancel a little.
    assert torch.allclose(made.double(), exact, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("make", [Fp8Linear, int8_linear])
def test_gelu_comes_after_the_bias(make: Any) -> None:
    made = make(torch.eye(16), torch.full((16,), -1.0), gelu=True)(torch.full((1, 16), -1.5))
    assert made[0, 0].item() == pytest.approx(-0.015084, abs=5e-5)  # the exact form is -0.015524


def test_the_map_keeps_the_weights_it_was_made_of() -> None:
    weight, bias, x = torch.eye(16), torch.ones(16), torch.ones(1, 16)
    for make in (Fp8Linear, int8_linear):
        product = make(weight, bias)
        before = product(x)
        with torch.no_grad():
            weight.mul_(2)
            bias.mul_(2)
        assert torch.equal(product(x), before)


def take(small: Any, linear: str, dtype: torch.dtype, sizes: TransformerConfig = SIZES) -> list[Tensor]:
    config = small.config(transformer=sizes, positions="relative")
    generator = small.generator(config, dtype=dtype, linear=linear)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    made = [generator.step(world).latents for _ in range(5)]
    generator.cue(world, embedding=small.embedding(config, 1))
    return [*made, generator.step(world).latents]


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize(("linear", "bound"), [("fp8", 0.15), ("int8", 0.08)])
def test_a_take_in_eight_bits_stays_near_the_full_one(
    small: Any, linear: str, bound: float, dtype: torch.dtype
) -> None:
    pairs = zip(take(small, linear, dtype), take(small, "plain", torch.float32), strict=True)
    errors = [small.error(made, wanted) for made, wanted in pairs]
    assert max(errors) < bound, errors
    assert min(errors) > 1e-4, "nothing was quantised"


def test_only_the_layers_linears_are_replaced(small: Any) -> None:
    generator = small.generator(small.config(transformer=SIZES), linear="fp8")
    replaced = {name for name, module in generator.transformer.named_modules() if getattr(module, "replaced", False)}
    maps = ("self_attn.o", "cross_attn.q", "cross_attn.o", "ffn.0", "ffn.2")
    # q, k and v of self-attention are one product, and have no map of their own.
    assert replaced == {f"blocks.{layer}.{name}" for layer in range(3) for name in maps}


def test_linears_of_other_sizes_stay_as_they_are(small: Any) -> None:
    from dataclasses import replace

    odd = replace(SIZES, dim=72, ffn_dim=144, heads=2)
    pairs = zip(take(small, "fp8", torch.float32, odd), take(small, "plain", torch.float32, odd), strict=True)
    assert max(small.error(made, wanted) for made, wanted in pairs) < 1e-5


def test_onednn_and_plain_by_name() -> None:
    with pytest.raises(BackendError, match="bf16 on a CPU"):
        LINEARS.make("onednn", target(dtype=torch.float64))
    assert LINEARS.make("plain", target()) is None
    assert (LINEARS.make("auto", target()) is None) == (LINEARS.resolve("auto", target()) == "plain")


def test_what_cannot_be_had_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="auto, te-fp8, fp8, int8, onednn, upcast, plain"):
        LINEARS.make("fp4", target())
    with pytest.raises(BackendError, match="CUDA device, not cpu; use --linear fp8"):
        LINEARS.make("te-fp8", target())
    gpu, capability = target("cuda"), (8, 6)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(transformer_engine, "find_spec", lambda name: None)
    assert "8.9" in str(LINEARS.missing("fp8", gpu))
    capability = (9, 0)
    assert LINEARS.missing("fp8", gpu) is None
    assert "--precision bf16" in str(LINEARS.missing("fp8", target("cuda", torch.float32)))
    assert "is for the CPU" in str(LINEARS.missing("int8", gpu))
    assert "pip install" in str(LINEARS.missing("te-fp8", gpu))
    monkeypatch.setattr(transformer_engine, "find_spec", lambda name: object())
    assert LINEARS.missing("te-fp8", gpu) is None
    with pytest.raises(BackendError, match="multiple of 8 tokens"):
        LINEARS.make("te-fp8", target("cuda", tokens=180))
    assert LINEARS.make("te-fp8", target("cuda", tokens=4680)) is not None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["fp8", "te-fp8"])
def test_fp8_on_a_gpu_is_near_the_full_product(small: Any, name: str) -> None:
    if problem := LINEARS.missing(name, target("cuda")):
        pytest.skip(problem)
    x, weight, bias = (t.cuda() for t in random_linear(64, 256, 512, HALF))
    made = (Fp8Linear if name == "fp8" else transformer_engine_linear)(weight, bias)(x)
    assert small.error(made, F.linear(x.double(), weight.double(), bias.double())) < 0.06


def test_an_unknown_linear_is_found_out_by_the_generator(small: Any) -> None:
    config = small.config()
    with pytest.raises(BackendError, match="no linear is called 'fp7'"):
        small.generator(config, linear="fp7")
