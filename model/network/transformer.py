"""The causal transformer (Wan2.1's architecture, its public parameter names).

It knows neither the cache nor the window nor the sampler. The caller decides what a layer attends to:

    flow = transformer(noisy, t, text, attend_at)

is one forward for training, inference and sharding hooks alike. Inference computes beforehand what stays the same from
one forward to the next, and hands it over instead:

    prompt = transformer.prompt_kv(transformer.embed_text(text))     # once for each prompt
    condition = transformer.condition(t)                             # once for each timestep
    flow = transformer(noisy, condition, prompt, block.attend)
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from longtake.model.config import TransformerConfig
from longtake.model.errors import ShapeError
from longtake.model.network.layers import Attend, Layer, Modulation, PromptKV
from longtake.model.network.motion_head import Before, MotionHead
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.ops.linear import LinearFactory

AttendAt = Callable[[int], Attend]
"""Self-attention by the layer's index."""


class Condition(NamedTuple):
    """What a forward is modulated by.

    Attributes:
        e: for the head, [B, F, D].
        modulations: for each layer.
    """

    e: Tensor
    modulations: Sequence[Modulation]


class RunLayer(Protocol):
    """Runs one layer; a `Layer` does, and so may something that computes the same faster."""

    def __call__(self, x: Tensor, condition: Tensor | Modulation, attend: Attend, prompt_kv: PromptKV, /) -> Tensor:
        """See `Layer.forward`."""
        ...


class Head(nn.Module):
    """The output linear: each token becomes a patch of flow."""

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
        self.motion_head = (
            MotionHead(config.latent_channels, config.motion_width, config.actions) if config.motion_width else None
        )
        self._initialise()

    def _initialise(self) -> None:
        """Start as Wan does: Xavier linears, small embeddings, and an output of zero."""
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
        if self.motion_head is not None:
            self.motion_head.initialise()

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
        """Replace the layers' linears (`longtake.model.ops.linear`).

        For inference with final weights: later changes of the parameters have no effect.
        """
        for layer in self.layers:
            layer.replace_linears(make)

    def forward(
        self,
        latents: Tensor,
        condition: Tensor | Condition,
        prompt: Tensor | Sequence[PromptKV],
        attend: AttendAt,
        *,
        actions: Tensor | None = None,
        before: Before | None = None,
        copies: int = 1,
        layers: Sequence[RunLayer] | None = None,
    ) -> Tensor:
        """Return the flow of noisy latents.

        Args:
            latents: [B, F, C, h, w] float.
            condition: timesteps [B, F], 0 to 1000; or what `condition` made of them.
            prompt: the text encoder's tokens [B, L, text_dim]; or what `prompt_kv` made of them.
            attend: self-attention of each layer.
            actions: beside timesteps, what the frames are made under (`embed_time`).
            before: beside timesteps, what stands before the last frames, as many as it has: the motion head corrects
                the flow of these, if the network has one. Where it is given later, see `move`.
            copies: how many times these frames come at the end, one copy after the other, made under the same actions.
            layers: run these instead of the layers.

        Returns:
            [B, F, C, h, w] in the transformer's type.
        """
        per_layer: Sequence[Tensor | Modulation]
        if isinstance(condition, Condition):
            e, per_layer = condition
        else:
            e, e0 = self.embed_time(condition, actions)
            # Each layer modulates by itself: its offsets may be sharded until it runs.
            per_layer = [e0] * len(self.layers)
        if isinstance(prompt, Tensor):
            # By the class: spread over ranks, the transformer's own methods of these names are forwards by themselves.
            prompt = Transformer.prompt_kv(self, Transformer.embed_text(self, prompt))
        x = self._run(self.layers if layers is None else layers, latents, per_layer, prompt, attend)
        flow: Tensor = self.head(x, e)
        if self.motion_head is not None and before is not None and isinstance(condition, Tensor):
            frames = before.known.shape[1]
            kept = flow.shape[1] - copies * frames
            told = None if actions is None else actions[:, kept:]
            foretold = self.motion_head.foretell(None if told is None else told[:, :frames], before)
            if copies > 1:
                before, foretold = before.repeat(copies), foretold.repeat(1, copies, 1, 1, 1)
            moved = self.motion_head(flow[:, kept:], latents[:, kept:], condition[:, kept:], told, before, foretold)
            flow = torch.cat((flow[:, :kept], moved), 1) if kept else moved
        return flow

    def foretell(self, actions: Tensor | None, before: Before) -> Tensor | None:
        """Return the frames that the motion head foretells (`MotionHead.foretell`); None without one."""
        return None if self.motion_head is None else self.motion_head.foretell(actions, before)

    def move(
        self,
        flow: Tensor,
        noisy: Tensor,
        t: float,
        actions: Tensor | None,
        before: Before,
        foretold: Tensor | None = None,
    ) -> Tensor:
        """Return a flow as the motion head corrects it: unchanged without one.

        Args:
            flow: what `forward` made without `before`, [B, F, C, h, w].
            noisy: what it was made of.
            t: their timestep, 0 to 1000.
            actions: what the frames are made under, [B, F, axes].
            before: what stands before them.
            foretold: from `foretell`, which serves all steps of a block.
        """
        if self.motion_head is None:
            return flow
        timesteps = torch.full(flow.shape[:2], t, device=flow.device)
        moved: Tensor = self.motion_head(flow, noisy, timesteps, actions, before, foretold)
        return moved

    def last_keys_values(
        self,
        latents: Tensor,
        condition: Condition,
        prompt_kv: Sequence[PromptKV],
        attend: AttendAt,
        *,
        layers: Sequence[RunLayer] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run all layers but the last, and return its keys and values; arguments as `forward`.

        A clean pass needs no more: `attend` has stored the keys and values of the layers before.

        Returns:
            Normed keys before RoPE, and values: each [B, F, S, heads, head_dim].
        """
        modulations = condition.modulations
        x = self._run((self.layers if layers is None else layers)[:-1], latents, modulations, prompt_kv, attend)
        return self.layers[-1].keys_values(x, modulations[-1])

    def _run(
        self,
        layers: Sequence[RunLayer],
        latents: Tensor,
        conditions: Sequence[Tensor | Modulation],
        prompt_kv: Sequence[PromptKV],
        attend: AttendAt,
    ) -> Tensor:
        """Run the first layers: [B, F, C, h, w] -> [B, F, S, D]."""
        x = self.embed_patches(latents)
        for index, layer in enumerate(layers):
            x = layer(x, conditions[index], attend(index), prompt_kv[index])
        return x

    def condition(self, t: Tensor, actions: Tensor | None = None) -> Condition:
        """Return what `forward` makes of timesteps [B, F] (and of actions, see `embed_time`), layer by layer."""
        e, e0 = self.embed_time(t, actions)
        return Condition(e, [layer.modulate(e0) for layer in self.layers])

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
        return [layer.prompt_kv(text) for layer in self.layers]
