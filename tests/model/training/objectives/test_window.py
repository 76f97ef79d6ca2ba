"""The training attention against plain masked attention, forwards and backwards."""

from typing import Any

import pytest
import torch

from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.errors import ConfigError
from longtake.model.network.layers import Attend
from longtake.model.network.rope import Rope, rotate
from longtake.model.training.objectives.fused import FusedWindowAttention
from longtake.model.training.objectives.window import PackedAttention, WindowAttention

SIZES = TransformerConfig(
    dim=32, ffn_dim=64, heads=2, layers=1, text_tokens=2, text_dim=8, latent_height=4, latent_width=6
)
CONFIG = GeneratorConfig(
    transformer=SIZES, block_frames=1, window_frames=4, sink_frames=1, positions="relative", recache="causal"
)
FRAMES, COPIES = 7, 3


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Frame by frame, from the definition: positions are slots of the window."""
    rope = Rope(SIZES.head_dim, SIZES.grid)
    out = torch.empty_like(q)
    for copy in range(COPIES):
        for i in range(FRAMES):
            past = list(range(i)) if i < CONFIG.window_frames else [0, *range(i - CONFIG.window_frames + 2, i)]
            index = [*past, copy * FRAMES + i]
            keys = rotate(k[:, index], rope.table(list(range(len(index)))))
            query = rotate(q[:, copy * FRAMES + i : copy * FRAMES + i + 1], rope.table([len(index) - 1]))
            args = (x.flatten(1, 2).transpose(1, 2) for x in (query, keys, v[:, index]))
            attended = torch.nn.functional.scaled_dot_product_attention(*args)
            out[:, copy * FRAMES + i] = attended.transpose(1, 2)
    return out


def run(attend: Attend, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, weights: torch.Tensor) -> Any:
    """What attention makes, and its gradients."""
    q, k, v = (x.clone().requires_grad_() for x in (q, k, v))
    out = attend(q, k, v)
    return (out.detach(), *torch.autograd.grad((out * weights).sum(), (q, k, v)))


@pytest.mark.parametrize("kind", [WindowAttention, FusedWindowAttention])
def test_equals_plain_attention_and_its_gradients(kind: type[PackedAttention]) -> None:
    torch.manual_seed(0)
    shape = (2, COPIES * FRAMES, SIZES.frame_tokens, SIZES.heads, SIZES.head_dim)
    q, k, v, weights = (torch.randn(shape) for _ in range(4))
    expected = run(plain, q, k, v, weights)
    got = run(kind(CONFIG, FRAMES, COPIES, torch.float32), q, k, v, weights)
    for theirs, mine in zip(expected, got, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("frames", "copies"), [(1, 1), (1, 3), (3, 2), (4, 2), (5, 1), (9, 3)])
def test_in_one_call_or_frame_by_frame_is_the_same(frames: int, copies: int) -> None:
    torch.manual_seed(1)
    shape = (2, copies * frames, SIZES.frame_tokens, SIZES.heads, SIZES.head_dim)
    q, k, v, weights = (torch.randn(shape, dtype=torch.float64) for _ in range(4))
    by_frame = run(WindowAttention(CONFIG, frames, copies, torch.float64), q, k, v, weights)
    at_once = run(FusedWindowAttention(CONFIG, frames, copies, torch.float64), q, k, v, weights)
    for theirs, mine in zip(by_frame, at_once, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_other_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="blocks of one latent frame"):
        FusedWindowAttention(preset("longlive-1.3b"), 3, 2, torch.float32)
