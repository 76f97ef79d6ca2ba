"""The causal transformer (Wan2.1's architecture, its public parameter names).

Nothing here knows the cache, the window or the sampler; what a layer attends to is the caller's:

    x = transformer.embed_patches(latents)            # [B, F, S, D]
    e, e0 = transformer.embed_time(t)                 # t: [B, F]
    prompt_kv = transformer.prompt_kv(transformer.embed_text(text))
    for layer, layer_kv in zip(transformer.blocks, prompt_kv):
        x = layer(x, e0, attend, layer_kv)
    flow = transformer.head(x, e)                     # [B, F, C, h, w]
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from longtake.model.config import TransformerConfig
from longtake.model.errors import ShapeError
from longtake.model.network.layers import Layer, PromptKV
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.ops.onednn import LinearFactory


class Head(nn.Module):
    """The output map: tokens back to a patch of flow each."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        _, rows, columns = config.patch
        self.grid_height = config.grid[0]
        self.patch_height, self.patch_width = rows, columns
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, rows * columns * config.latent_channels)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x: [B, F, S, D], e: [B, F, D] (the time embedding before its projection to six) -> [B, F, C, h, w]."""
        shift, scale = (self.modulation + e.unsqueeze(-2)).split(1, dim=-2)
        patches = self.head(torch.addcmul(shift, self.norm(x), 1 + scale))
        flow: Tensor = rearrange(
            patches,
            "b f (gh gw) (ph pw c) -> b f c (gh ph) (gw pw)",
            gh=self.grid_height,
            ph=self.patch_height,
            pw=self.patch_width,
        )
        return flow


def sinusoid(t: Tensor, width: int) -> Tensor:
    """Return the sinusoidal embedding of timesteps: t [...] -> [..., width] float64, cosines first, then sines."""
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64, device=t.device) / half)
    angles = t.to(torch.float64).unsqueeze(-1) * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class Transformer(nn.Module):
    """The network of both world models; only its config differs.

    Args:
        config: the sizes.
        attention: what computes cross-attention (`longtake.model.ops.attention`).
    """

    def __init__(self, config: TransformerConfig, attention: Attention = sdpa) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Conv3d(
            config.latent_channels, config.dim, kernel_size=config.patch, stride=config.patch
        )
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, config.dim), nn.GELU(approximate="tanh"), nn.Linear(config.dim, config.dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(config.time_frequencies, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(config.dim, config.dim * 6))
        self.action_embedding = (
            nn.Sequential(nn.Linear(config.actions, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim))
            if config.actions
            else None
        )
        self.blocks = nn.ModuleList(Layer(config, attention) for _ in range(config.layers))
        self.head = Head(config)
        self._initialise()

    def _initialise(self) -> None:
        """Start as Wan does: Xavier maps, small embeddings, and an output of zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        for embedding in (self.text_embedding, self.time_embedding):
            for index in (0, 2):
                nn.init.normal_(embedding.get_parameter(f"{index}.weight"), std=0.02)
        nn.init.zeros_(self.head.head.weight)
        if self.action_embedding is not None:
            # At first actions change nothing, so training can start from weights that know none.
            nn.init.zeros_(self.action_embedding.get_parameter("2.weight"))

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers in order (`blocks` is their name in checkpoints; a block is something else here)."""
        return self.blocks  # type: ignore[return-value]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters, and so of the activations."""
        return self.patch_embedding.weight.dtype

    def use_attention(self, attention: Attention) -> None:
        """Choose what computes cross-attention from now on."""
        for layer in self.layers:
            layer.attention = attention

    def fuse_qkv(self) -> None:
        """Compute each self-attention's q, k and v in one product (for inference; see `SelfAttention.fuse_qkv`)."""
        for layer in self.layers:
            layer.self_attn.fuse_qkv()

    def replace_linears(self, make: LinearFactory) -> None:
        """Compute the layers' maps with what is made of their weights (`longtake.model.ops.linear`).

        For inference with final weights: they are copied, and changes of the parameters are not seen.
        """
        for layer in self.layers:
            layer.replace_linears(make)

    def embed_patches(self, latents: Tensor) -> Tensor:
        """latents: [B, F, C, h, w] float -> tokens [B, F, S, D]; raises ShapeError for another resolution."""
        if latents.ndim != 5 or tuple(latents.shape[2:]) != self.config.latent_shape:
            raise ShapeError(f"latents {tuple(latents.shape)} are not [B, F, {self.config.latent_shape}]")
        _, rows, columns = self.config.patch
        patches = rearrange(
            latents.to(self.dtype), "b f c (gh ph) (gw pw) -> b f (gh gw) (c ph pw)", ph=rows, pw=columns
        )
        return F.linear(patches, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)

    def embed_time(self, t: Tensor, actions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embed timesteps, and the actions that the frames are made under.

        Args:
            t: [B, F] float, 0 to 1000.
            actions: [B, F, axes] float, -1 to 1; None is zeros. Only for a model with actions.

        Returns:
            e [B, F, D] for the head, and e0 [B, F, 6, D] for the layers.
        """
        e = self.time_embedding(sinusoid(t, self.config.time_frequencies).to(self.dtype))
        if self.action_embedding is not None:
            actions = t.new_zeros(*t.shape, self.config.actions) if actions is None else actions
            if actions.shape != (*t.shape, self.config.actions):
                wanted = (*t.shape, self.config.actions)
                raise ShapeError(f"actions {tuple(actions.shape)} are not {wanted}: a vector for each latent frame")
            e = e + self.action_embedding(actions.to(self.dtype))
        elif actions is not None:
            raise ShapeError("this model has no actions")
        return e, self.time_projection(e).unflatten(-1, (6, self.config.dim))

    def embed_text(self, text: Tensor) -> Tensor:
        """text: the encoder's tokens [B, L, text_dim], zero padded to `text_tokens` -> [B, L, D]."""
        if text.ndim != 3 or text.shape[1:] != (self.config.text_tokens, self.config.text_dim):
            wanted = (self.config.text_tokens, self.config.text_dim)
            raise ShapeError(f"text {tuple(text.shape)} is not [B, {wanted[0]}, {wanted[1]}]; pad it with zeros")
        embedded: Tensor = self.text_embedding(text.to(self.dtype))
        return embedded

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """text: [B, L, D] from `embed_text` -> keys and values per layer, each [B, L, heads, head_dim]."""
        return [layer.cross_attn.keys_values(text) for layer in self.layers]
