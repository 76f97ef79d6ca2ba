"""Every kernel against its plain reference: in Triton's interpreter, and on a GPU if there is one."""

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="needs triton")

from longtake.model.cache.base import CacheBlock
from longtake.model.cache.registry import CACHES
from longtake.model.cache.ring import RingBlock, RingCache
from longtake.model.choice import Target
from longtake.model.errors import ShapeError
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import sdpa
from longtake.model.ops.triton import norm, qkv, quantise
from longtake.model.ops.triton.kernels import qkv_kernel

ON_GPU = torch.cuda.is_available()
E4M3_ERROR = 0.04 if ON_GPU else 0.09
"""of a rounding to e4m3, relative L2; the interpreter's casts are coarser than a GPU's"""
ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 1e-2}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not ON_GPU:
        pytest.skip("needs a CUDA device")
    if request.param == "cpu" and ON_GPU:
        pytest.skip("kernels are compiled here, not interpreted")
    return request.param


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def error(made: Tensor, wanted: Tensor) -> float:
    made, wanted = made.double(), wanted.double()
    return float((made - wanted).norm() / wanted.norm())


def unpacked(rows: norm.Rows) -> Tensor:
    return rows[0].float() * rows[1]


@pytest.mark.parametrize("width", [36, 96, 200])
@pytest.mark.parametrize("vectors", ["per frame", "per member", "one", "flat"])
def test_residual_gate_norm_and_modulation(device: str, dtype: torch.dtype, width: int, vectors: str) -> None:
    shape = {"per frame": (2, 3, 6), "per member": (2, 1, 6), "one": (1, 1, 6), "flat": (1, 1, 6)}[vectors]
    # Slices of one tensor, as a layer's modulation is.
    gate, scale, shift, *_ = torch.randn(*shape, width, dtype=dtype, device=device).split(1, dim=-2)
    if vectors == "flat":
        scale, shift = scale.flatten(), shift.flatten()
    x, y = torch.randn(2, 2, 3, 5, width, dtype=dtype, device=device) * 2
    for residual, factor in ((None, None), (y, None), (y, gate)):
        wanted_x, made_x = x.clone(), x.clone()
        wanted = norm.plain_add_norm(wanted_x, residual, factor, scale, shift, eps=1e-6)
        made = norm.add_norm(made_x, residual, factor, scale, shift, eps=1e-6)
        assert error(made_x, wanted_x) < ROUNDING[dtype]
        assert error(made, wanted) < ROUNDING[dtype]
        rows = norm.add_norm_e4m3(x.clone(), residual, factor, scale, shift, eps=1e-6)
        assert error(unpacked(rows).view(x.shape), wanted) < E4M3_ERROR
    assert torch.equal(norm.add_norm(made_x.clone(), None, None, scale, shift, eps=1e-6), made)


@pytest.mark.parametrize("width", [24, 200])
def test_rms_norm(device: str, dtype: torch.dtype, width: int) -> None:
    x = torch.randn(2, 1, 300, width, dtype=dtype, device=device) * 3
    weight = torch.randn(width, dtype=dtype, device=device)
    assert error(norm.rms_norm(x, weight, eps=1e-6), norm.plain_rms_norm(x, weight, eps=1e-6)) < ROUNDING[dtype]


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("width", [40, 192])
def test_quantisation_by_row(device: str, dtype: torch.dtype, width: int, gelu: bool) -> None:
    x = torch.randn(3, 7, width, dtype=dtype, device=device) * torch.logspace(-3, 3, 7, device=device)[:, None]
    x = x.to(dtype)
    x[0, 0] = 0
    (made, scale), (wanted, wanted_scale) = (
        f(x, gelu=gelu) for f in (quantise.quantise_rows, quantise.plain_quantise_rows)
    )
    assert torch.allclose(scale, wanted_scale, rtol=1e-5)
    assert error(made.float() * scale, wanted.float() * wanted_scale) < E4M3_ERROR
    assert not made[0].float().any(), "a row of zeros stays one"


def filled(small: Any, device: str, dtype: torch.dtype, cache: str, **config: Any) -> tuple[RingCache, RingBlock]:
    """A cache past its window with random contents, and the block that comes next."""
    made = small.config(**config)
    ring = CACHES.make(cache, Target(device=torch.device(device), dtype=dtype))(
        made,
        batch=2,
        rope=Rope(made.transformer.head_dim, made.transformer.grid, device),
        attention=sdpa,
        device=device,
        dtype=dtype,
    )
    assert isinstance(ring, RingCache)
    return ring, begin(ring, made.block_frames)


def begin(ring: RingCache, frames: int) -> RingBlock:
    block: CacheBlock = ring.begin((frames,))
    assert isinstance(block, RingBlock)
    return block


@pytest.mark.parametrize("cache", ["plain", "fp8"])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_norm_rope_and_write(small: Any, device: str, dtype: torch.dtype, positions: str, cache: str) -> None:
    """With a window of seven frames and blocks of two: they lie across the ring's end at times."""
    sizes = small.config().transformer
    more = {"block_frames": 2, "window_frames": 7, "sink_frames": 2, "positions": positions}
    (made, _), (wanted, _) = (filled(small, device, dtype, cache, **more) for _ in range(2))
    norms = qkv.Norms(*(torch.randn(2, sizes.dim, dtype=dtype, device=device) * 0.2 + 1), eps=1e-6)
    for _ in range(5):
        product = torch.randn(2, 2 * sizes.frame_tokens, 3 * sizes.dim, dtype=dtype, device=device)
        blocks = begin(made, 2), begin(wanted, 2)
        for layer in range(made.layers):
            q = qkv.write_qkv(product, norms, blocks[0].ring_slots(layer))
            plain = qkv.plain_write_qkv(product, norms, blocks[1].ring_slots(layer))
            assert error(q, plain) < ROUNDING[dtype]
            seen = blocks[0].attend_written(layer, q, sdpa)
            assert seen.shape == q.shape
        for cached, block in zip((made, wanted), blocks, strict=True):
            cached.commit(block)
    tokens = made.valid_frames * sizes.frame_tokens
    for layer in range(made.layers):
        for kept, plain in zip(made.full(layer, tokens), wanted.full(layer, tokens), strict=True):
            assert error(kept, plain) < (ROUNDING[dtype] if cache == "plain" else E4M3_ERROR)
    if positions == "relative":
        assert error(made.unrotated_sink_keys, wanted.unrotated_sink_keys) < ROUNDING[dtype]
    if cache == "fp8":
        for one, other in zip(made.layer(1), wanted.layer(1), strict=True):
            assert one is not None
            assert other is not None
        # Equal but for a largest value that was rounded to the other side of a power of two.
        assert (made.key_scales != wanted.key_scales).float().mean() < 0.02


def test_strides_that_a_kernel_cannot_read_are_refused(device: str) -> None:
    x = torch.randn(1, 1, 4, 16, device=device).transpose(2, 3)
    with pytest.raises(ShapeError, match="contiguous rows"):
        norm.rms_norm(x, torch.ones(4, device=device), eps=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not ON_GPU, reason="needs a CUDA device")
def test_nothing_is_compiled_again_as_a_take_goes_on(small: Any) -> None:
    sizes = small.config().transformer
    ring, _ = filled(small, "cuda", torch.bfloat16, "plain", block_frames=2, window_frames=7, sink_frames=2)
    norms = qkv.Norms(*torch.ones(2, sizes.dim, dtype=torch.bfloat16, device="cuda"), eps=1e-6)
    product = torch.randn(2, 2 * sizes.frame_tokens, 3 * sizes.dim, dtype=torch.bfloat16, device="cuda")
    compiled = []
    for _ in range(8):
        block = begin(ring, 2)
        qkv.write_qkv(product, norms, block.ring_slots(0))
        ring.commit(block)
        compiled.append(sum(len(cache[0]) for cache in qkv_kernel.device_caches.values()))
    assert compiled[-1] == compiled[0]
