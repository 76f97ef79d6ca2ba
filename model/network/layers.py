"""One layer of the transformer: norms, linear maps, self- and cross-attention, FFN.

A layer is handed a callable for its self-attention, which gets q, k and v before RoPE; so inference rotates and caches,
and training masks, with the same modules. Names of parameters are Wan's.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake.model.config import TransformerConfig
from longtake.model.ops.attention import Attention
from longtake.model.ops.onednn import LinearFactory, LinearOp

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Self-attention of a layer: q, k, v [B, F, S, heads, head_dim], normed, before RoPE -> the same shape."""

PromptKV = tuple[Tensor, Tensor]
"""Keys and values of a prompt in one layer: each [B, L, heads, head_dim]."""


class Modulation(NamedTuple):
    """A layer's six modulation vectors at some timesteps, each [B, F, 1, D]; the scales have their 1 added."""

    shift: Tensor
    scale: Tensor
    gate: Tensor
    ffn_shift: Tensor
    ffn_scale: Tensor
    ffn_gate: Tensor


class LayerParts(NamedTuple):
    """A layer's two halves around self-attention, compiled; called with the layer first.

    frames: how many latent frames they were compiled for; others take the plain way.
    """

    frames: frozenset[int]
    before: Callable[..., tuple[Tensor, Tensor, Tensor]]
    after: Callable[..., Tensor]


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension; statistics in fp32, cast back, then times the weight."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Norm x: [..., D]."""
        return F.rms_norm(x, (x.shape[-1],), None, self.eps) * self.weight


class Linear(nn.Linear):
    """A linear map whose product can be computed by something else for inference."""

    _op: LinearOp | None = None

    def replace(self, make: LinearFactory, *, gelu: bool = False) -> None:
        """Compute with what is made of the weights from now on; moving or casting the module undoes it."""
        self._op = make(self.weight, self.bias, gelu=gelu)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._op = None
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    @property
    def replaced(self) -> bool:
        """Whether something else than the weights themselves computes the product."""
        return self._op is not None

    @property
    def product(self) -> LinearOp:
        """What computes the product, without the module around it."""
        return partial(F.linear, weight=self.weight, bias=self.bias) if self._op is None else self._op

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out]."""
        return super().forward(x) if self._op is None else self._op(x)


class FFN(nn.Sequential):
    """Two maps with a GELU between, which a replaced first map has in it."""

    def replace_linears(self, make: LinearFactory) -> None:
        """Replace both maps; see `Linear.replace`."""
        for linear, gelu in ((self[0], True), (self[2], False)):
            if isinstance(linear, Linear):
                linear.replace(make, gelu=gelu)

    @property
    def products(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        """What is applied one after the other, without the modules around it."""
        inner, activation, outer = self
        assert isinstance(inner, Linear), "the first map"
        assert isinstance(outer, Linear), "the second map"
        return (inner.product, outer.product) if inner.replaced else (inner.product, activation, outer.product)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] -> [..., D]."""
        inner, activation, outer = self
        x = inner(x)
        x = x if isinstance(inner, Linear) and inner.replaced else activation(x)
        out: Tensor = outer(x)
        return out


class Projections(nn.Module):
    """The q, k, v, o maps and the q and k norms that self- and cross-attention have alike."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = Linear(config.dim, config.dim)
        self.k = Linear(config.dim, config.dim)
        self.v = Linear(config.dim, config.dim)
        self.o = Linear(config.dim, config.dim)
        # Over the full width, before the heads are split.
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def split_heads(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., heads, head_dim]."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return normed keys, and values: x [..., D] -> two of [..., heads, head_dim]."""
        return self.split_heads(self.norm_k(self.k(x))), self.split_heads(self.v(x))


class SelfAttention(Projections):
    """Self-attention without its middle: what to attend to is the caller's."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self._fused: tuple[LinearOp, Tensor] | None = None

    def fuse_qkv(self) -> None:
        """Compute q, k and v in one product from now on.

        The maps' parameters become views of one tensor, so their names and later changes in place stay good. Moving
        or casting the module undoes it. Norm weights are copied: fuse after loading.
        """
        maps = (self.q, self.k, self.v)
        weight = torch.cat([m.weight.data for m in maps])
        bias = torch.cat([m.bias.data for m in maps])
        for m, w, b in zip(maps, weight.chunk(3), bias.chunk(3), strict=True):
            m.weight.data, m.bias.data = w, b
        self._fused = partial(F.linear, weight=weight, bias=bias), self._norms()

    def replace_linears(self, make: LinearFactory) -> None:
        """Compute q, k and v in one product, and o, with what is made of the weights; later changes are not seen."""
        weight, bias = (torch.cat([getattr(m, name) for m in (self.q, self.k, self.v)]) for name in ("weight", "bias"))
        self._fused = make(weight, bias), self._norms()
        self.o.replace(make)

    def _norms(self) -> Tensor:
        return torch.stack((self.norm_q.weight.data, self.norm_k.weight.data))

    @property
    def fused(self) -> tuple[LinearOp, Tensor] | None:
        """The one map of q, k and v, and the norm weights of q and k [2, D]; None where they are apart."""
        return self._fused

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._fused = None
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return normed queries and keys, and values: x [B, F, S, D] -> three of [B, F, S, heads, head_dim]."""
        if self._fused is None:
            return self.split_heads(self.norm_q(self.q(x))), *self.keys_values(x)
        qkv, norm = self._fused
        width = x.shape[-1]
        qk, v = qkv(x).split((2 * width, width), dim=-1)
        qk = F.rms_norm(qk.unflatten(-1, (2, width)), (width,), None, self.norm_q.eps) * norm
        q, k = self.split_heads(qk).unbind(-3)
        return q, k, self.split_heads(v)


class CrossAttention(Projections):
    """Attention to a prompt's tokens, whose keys and values are computed once."""

    def forward(self, x: Tensor, prompt_kv: PromptKV, attention: Attention) -> Tensor:
        """x: [B, F, S, D], prompt_kv: [B, L, heads, head_dim] each -> [B, F, S, D]."""
        q = self.split_heads(self.norm_q(self.q(x))).flatten(1, 2)
        k, v = prompt_kv
        attended = attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        out: Tensor = self.o(attended.transpose(1, 2).flatten(-2).view(x.shape))
        return out


class Layer(nn.Module):
    """One transformer layer: self-attention, cross-attention, FFN; the first and last modulated by the timestep."""

    def __init__(self, config: TransformerConfig, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.norm1 = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.self_attn = SelfAttention(config)
        self.norm3 = nn.LayerNorm(config.dim, config.eps)
        self.cross_attn = CrossAttention(config)
        self.norm2 = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.ffn = FFN(
            Linear(config.dim, config.ffn_dim), nn.GELU(approximate="tanh"), Linear(config.ffn_dim, config.dim)
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, config.dim) / config.dim**0.5)
        self._compiled: LayerParts | None = None

    def modulate(self, e0: Tensor) -> Modulation:
        """Return this layer's modulation for e0: [B, F, 6, D] (`Transformer.embed_time`)."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.modulation + e0).split(1, dim=-2)
        return Modulation(shift, 1 + scale, gate, ffn_shift, 1 + ffn_scale, ffn_gate)

    def forward(self, x: Tensor, e0: Tensor, attend: Attend, prompt_kv: PromptKV) -> Tensor:
        """Run the layer.

        Args:
            x: [B, F, S, D].
            e0: the timesteps' six vectors, [B, F, 6, D] (B and F may be 1).
            attend: self-attention, see `Attend`.
            prompt_kv: this layer's keys and values of the prompt, [B, L, heads, head_dim] each.

        Returns:
            [B, F, S, D].
        """
        return self.run(x, self.modulate(e0), attend, prompt_kv)

    def run(self, x: Tensor, m: Modulation, attend: Attend, prompt_kv: PromptKV) -> Tensor:
        """Run the layer with a modulation computed before; otherwise as `forward`."""
        parts = self._compiled
        if parts is None or x.shape[1] not in parts.frames:
            return self.after_attention(x, attend(*self.before_attention(x, m)), m, prompt_kv)
        return parts.after(self, x, attend(*parts.before(self, x, m)), m, prompt_kv)

    def use_compiled(self, parts: LayerParts | None) -> None:
        """Run these instead of `before_attention` and `after_attention` where they fit."""
        self._compiled = parts

    def before_attention(self, x: Tensor, m: Modulation) -> tuple[Tensor, Tensor, Tensor]:
        """The layer up to self-attention: x [B, F, S, D] -> its q, k and v."""
        return self.self_attn.queries_keys_values(torch.addcmul(m.shift, self.norm1(x), m.scale))

    def after_attention(self, x: Tensor, attended: Tensor, m: Modulation, prompt_kv: PromptKV) -> Tensor:
        """The rest of the layer: x [B, F, S, D] and what attention made, [B, F, S, heads, head_dim] -> [B, F, S, D]."""
        x = torch.addcmul(x, self.self_attn.o(attended.flatten(-2)), m.gate)
        x = x + self.cross_attn(self.norm3(x), prompt_kv, self.attention)
        y = self.ffn(torch.addcmul(m.ffn_shift, self.norm2(x), m.ffn_scale))
        return torch.addcmul(x, y, m.ffn_gate)

    def replace_linears(self, make: LinearFactory) -> None:
        """Compute the maps that every block needs with what is made of their weights, for inference."""
        self.self_attn.replace_linears(make)
        self.cross_attn.q.replace(make)
        self.cross_attn.o.replace(make)
        self.ffn.replace_linears(make)

    def keys_values(self, x: Tensor, m: Modulation) -> tuple[Tensor, Tensor]:
        """Return only the self-attention's keys and values: all that a clean pass wants of the last layer.

        x: [B, F, S, D] -> normed keys before RoPE, and values: each [B, F, S, heads, head_dim].
        """
        return self.self_attn.keys_values(torch.addcmul(m.shift, self.norm1(x), m.scale))
