"""A network's sizes, and clips of its latents, for the tests of teacher forcing."""

import torch

from longtake.model.config import TransformerConfig
from longtake.model.training.objectives.teacher_forcing import FlowBatch

SIZES = TransformerConfig(
    dim=32, ffn_dim=64, heads=2, layers=2, text_tokens=2, text_dim=8, latent_height=4, latent_width=6, actions=2
)


def batch(frames: int = 6, clips: int = 3) -> FlowBatch:
    torch.manual_seed(1)
    return FlowBatch(
        latents=torch.randn(clips, frames, *SIZES.latent_shape),
        counted=(torch.rand(clips, frames) < 0.7).float(),
        weights=1 + 3 * torch.rand(clips, frames, 4, 6),
        text=torch.randn(clips, 2, 8),
        actions=torch.rand(clips, frames, 2) * 2 - 1,
    )
