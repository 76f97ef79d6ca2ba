"""The training attention against plain masked attention, forwards and backwards."""

import torch

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.network.rope import Rope, rotate
from longtake.model.training.objectives.window import WindowAttention

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


def test_equals_plain_attention_and_its_gradients() -> None:
    torch.manual_seed(0)
    shape = (2, COPIES * FRAMES, SIZES.frame_tokens, SIZES.heads, SIZES.head_dim)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    weights = torch.randn(shape)
    results = []
    for attend in (plain, WindowAttention(CONFIG, FRAMES, COPIES, torch.float32)):
        out = attend(q, k, v)
        grads = torch.autograd.grad((out * weights).sum(), (q, k, v))
        results.append((out.detach(), *grads))
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
