"""One layer of the transformer: norms, linears, self- and cross-attention, FFN.

The caller hands a layer its self-attention, which gets q, k and v before RoPE. So inference rotates and caches, and
training masks, with the same modules. Parameters have Wan's names.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake.model.config import TransformerConfig
from longtake.model.ops.attention import Attention
from longtake.model.ops.linear import LinearFactory, LinearOp

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Self-attention of a layer: q, k, v [B, F, S, heads, head_dim], normed, before RoPE -> the same shape."""

PromptKV = tuple[Tensor, Tensor]
"""Keys and values of a prompt in one layer: each [B, L, heads, head_dim]."""


class Modulation(NamedTuple):
    """A layer's six modulation vectors at some timesteps, each [B, F, 1, D]; the scales include their 1."""

    shift: Tensor
    scale: Tensor
    gate: Tensor
    ffn_shift: Tensor
    ffn_scale: Tensor
    ffn_gate: Tensor


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
    """A linear whose product can be computed by something else for inference."""

    _op: LinearOp | None = None

    def replace(self, make: LinearFactory, *, gelu: bool = False) -> None:
        """Compute with what `make` makes of the weights from now on. Moving or casting the module undoes that."""
        self._op = make(self.weight, self.bias, gelu=gelu)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._op = None
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    @property
    def replaced(self) -> bool:
        """True if something made by `replace` computes the product."""
        return self._op is not None

    @property
    def product(self) -> LinearOp:
        """Return what computes the product, without the module around it."""
        return partial(F.linear, weight=self.weight, bias=self.bias) if self._op is None else self._op

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out]."""
        return super().forward(x) if self._op is None else self._op(x)


class FFN(nn.Sequential):
    """Two linears with a GELU between them; a replaced first linear applies the GELU itself."""

    def replace_linears(self, make: LinearFactory) -> None:
        """Replace both linears; see `Linear.replace`."""
        for linear, gelu in ((self[0], True), (self[2], False)):
            if isinstance(linear, Linear):
                linear.replace(make, gelu=gelu)

    @property
    def products(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        """Return the operations in order, without the modules around them."""
        inner, activation, outer = self
        assert isinstance(inner, Linear), "the first linear"
        assert isinstance(outer, Linear), "the second linear"
        return (inner.product, outer.product) if inner.replaced else (inner.product, activation, outer.product)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] -> [..., D]."""
        inner, activation, outer = self
        x = inner(x)
        x = x if isinstance(inner, Linear) and inner.replaced else activation(x)
        out: Tensor = outer(x)
        return out


class Projections(nn.Module):
    """The q, k, v and o linears and the q and k norms, which self- and cross-attention have in common."""

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
    """Self-attention without its middle: the caller decides what to attend to."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self._fused: tuple[LinearOp, Tensor] | None = None

    def fuse_qkv(self) -> None:
        """Compute q, k and v in one product from now on.

        The linears' parameters become views of one tensor: they keep their names, and later changes in place still
        count. Moving or casting the module undoes it. Norm weights are copied: fuse after loading.
        """
        linears = (self.q, self.k, self.v)
        weight = torch.cat([m.weight.data for m in linears])
        bias = torch.cat([m.bias.data for m in linears])
        for m, w, b in zip(linears, weight.chunk(3), bias.chunk(3), strict=True):
            m.weight.data, m.bias.data = w, b
        self._fused = partial(F.linear, weight=weight, bias=bias), self._norms()

    def replace_linears(self, make: LinearFactory) -> None:
        """Replace o, and q, k and v by one product; later changes of the weights have no effect."""
        weight, bias = (torch.cat([getattr(m, name) for m in (self.q, self.k, self.v)]) for name in ("weight", "bias"))
        self._fused = make(weight, bias), self._norms()
        self.o.replace(make)

    def _norms(self) -> Tensor:
        return torch.stack((self.norm_q.weight.data, self.norm_k.weight.data))

    @property
    def fused(self) -> tuple[LinearOp, Tensor] | None:
        """Return the one product of q, k and v, and the norm weights of q and k [2, D]; None before `fuse_qkv`."""
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

    def prompt_kv(self, text: Tensor) -> PromptKV:
        """text: [B, L, D] from `Transformer.embed_text` -> keys and values, each [B, L, heads, head_dim]."""
        return self.cross_attn.keys_values(text)

    def modulate(self, e0: Tensor) -> Modulation:
        """Return this layer's modulation for e0: [B, F, 6, D] (`Transformer.embed_time`)."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.modulation + e0).split(1, dim=-2)
        return Modulation(shift, 1 + scale, gate, ffn_shift, 1 + ffn_scale, ffn_gate)

    def forward(self, x: Tensor, condition: Tensor | Modulation, attend: Attend, prompt_kv: PromptKV) -> Tensor:
        """Run the layer.

        Args:
            x: [B, F, S, D].
            condition: e0, the timesteps' six vectors [B, F, 6, D] (B and F may be 1); or what `modulate` made of it.
            attend: self-attention, see `Attend`.
            prompt_kv: this layer's keys and values of the prompt, [B, L, heads, head_dim] each.

        Returns:
            [B, F, S, D].
        """
        m = condition if isinstance(condition, Modulation) else self.modulate(condition)
        return self.after_attention(x, attend(*self.before_attention(x, m)), m, prompt_kv)

    def before_attention(self, x: Tensor, m: Modulation) -> tuple[Tensor, Tensor, Tensor]:
        """Compute q, k and v of self-attention: x [B, F, S, D] -> three of [B, F, S, heads, head_dim]."""
        return self.self_attn.queries_keys_values(torch.addcmul(m.shift, self.norm1(x), m.scale))

    def after_attention(self, x: Tensor, attended: Tensor, m: Modulation, prompt_kv: PromptKV) -> Tensor:
        """Run the layer from what self-attention returned, [B, F, S, heads, head_dim]: x [B, F, S, D] -> the same."""
        x = torch.addcmul(x, self.self_attn.o(attended.flatten(-2)), m.gate)
        x = x + self.cross_attn(self.norm3(x), prompt_kv, self.attention)
        y = self.ffn(torch.addcmul(m.ffn_shift, self.norm2(x), m.ffn_scale))
        return torch.addcmul(x, y, m.ffn_gate)

    def replace_linears(self, make: LinearFactory) -> None:
        """Replace the linears that every block needs, for inference (`longtake.model.ops.linear`)."""
        self.self_attn.replace_linears(make)
        self.cross_attn.q.replace(make)
        self.cross_attn.o.replace(make)
        self.ffn.replace_linears(make)

    def keys_values(self, x: Tensor, m: Modulation) -> tuple[Tensor, Tensor]:
        """Return the keys and values of self-attention: all that a clean pass needs from the last layer.

        x: [B, F, S, D] -> normed keys before RoPE, and values: each [B, F, S, heads, head_dim].
        """
        return self.self_attn.keys_values(torch.addcmul(m.shift, self.norm1(x), m.scale))
