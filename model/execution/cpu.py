"""Inference on a CPU, with each layer's arithmetic regrouped so that activations are read and written less often.

`Layer.forward` says what is computed. Here

- the modulation of a timestep is a norm's weight and bias: one operator instead of two;
- q and k are normed and rotated together in fp32, and rounded once, when they are stored;
- the factor of the scores is part of q's norm weight, and in cross-attention q's whole norm weight is part of the
  prompt's keys;
- what is not needed again is overwritten.

At diorama's sizes an operator takes longer to start than to compute, so fewer operators count as much.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.execution.base import Conditions, FrameActions, as_attention_reads
from longtake.model.network.layers import Layer, Modulation, PromptKV
from longtake.model.network.transformer import Condition, Transformer
from longtake.model.ops.attention.prescaled import prescaled


class CpuExecutor:
    """See the module and `Executor`.

    Args:
        transformer: on a CPU, with its final weights, and q, k and v in one product (`Transformer.fuse_qkv` or
            `replace_linears`).
        timesteps: of the sampler, 0 to 1000.

    Attributes:
        layers: the regrouped layers.
    """

    warm_up_frames: Sequence[int] = ()
    slots_are_data = False

    def __init__(self, transformer: Transformer, timesteps: Sequence[float]) -> None:
        self._transformer = transformer
        self.layers = [CpuLayer(layer) for layer in transformer.layers]
        self._conditions = Conditions(transformer, timesteps, flat_condition)

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """See `Executor`."""
        pairs = zip(self.layers, self._transformer.prompt_kv(text), strict=True)
        return [as_attention_reads(layer.prompt_kv(pair)) for layer, pair in pairs]

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """See `Executor`."""
        return self._conditions.at(step, actions)

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`."""
        x = self._run(self.layers, block, latents, condition, prompt_kv)
        flow: Tensor = self._transformer.head(x, condition.e)
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`."""
        x = self._run(self.layers[:-1], block, latents, condition, prompt_kv)
        last = len(self.layers) - 1
        block.store(last, *self._transformer.layers[last].keys_values(x, condition.modulations[last]))

    def _run(
        self,
        layers: Sequence["CpuLayer"],
        block: CacheBlock,
        latents: Tensor,
        condition: Condition,
        prompt_kv: Sequence[PromptKV],
    ) -> Tensor:
        """Run the first layers: [B, F, C, h, w] -> [B, F, S, D]."""
        x = self._transformer.embed_patches(latents)
        tokens = x.flatten(1, 2)
        for index, layer in enumerate(layers):
            tokens = layer.run(tokens, condition.modulations[index], block, index, prompt_kv[index])
        return tokens.view(x.shape)


def flat_condition(condition: Condition) -> Condition:
    """Return a condition with each layer's modulation as `flat` has it."""
    return Condition(condition.e, [flat(m) for m in condition.modulations])


def flat(modulation: Modulation) -> Modulation:
    """Return a modulation that all frames share, [1, 1, 1, D], as vectors [D]; one for each frame stays as it is."""
    return Modulation(*(vector.flatten() if vector.shape[1] == 1 else vector for vector in modulation))


class CpuLayer:
    """A layer with final weights, whose q, k and v are one product (`SelfAttention.fuse_qkv` or `replace_linears`).

    Args:
        layer: on a CPU; its linears and its attention are used as they are.

    Attributes:
        attention, cross_attention: what computes them, for queries that have `prescaled`'s factor.
    """

    def __init__(self, layer: Layer) -> None:
        fused = layer.self_attn.fused
        if fused is None:
            raise ValueError("the layer's q, k and v are separate linears: call fuse_qkv first")
        attention, cross, ffn = layer.self_attn, layer.cross_attn, layer.ffn
        self._qkv, norms = fused
        self._o, self._cross_q, self._cross_o = (linear.product for linear in (attention.o, cross.q, cross.o))
        self._ffn = ffn.products
        self._width = norms.shape[-1]
        self._heads = attention.heads, self._width // attention.heads
        factor, self.attention = prescaled(layer.attention, self._heads[1])
        self.cross_attention = self.attention
        # The factor of the scores goes with the queries.
        self._norms = norms.float() * torch.tensor([[factor], [1.0]])
        self._cross_norm = (cross.norm_q.weight.float() * factor).unflatten(0, self._heads)
        self._norm3 = layer.norm3.weight, layer.norm3.bias
        self._eps = layer.norm1.eps
        self._eps_tensor = torch.tensor([self._eps])

    def prompt_kv(self, keys_values: PromptKV) -> PromptKV:
        """Return a prompt's keys and values, [B, L, heads, head_dim] each, as `run` wants them."""
        k, v = keys_values
        return (k * self._cross_norm).to(k.dtype), v

    def run(self, x: Tensor, m: Modulation, block: CacheBlock, index: int, prompt_kv: PromptKV) -> Tensor:
        """Run the layer.

        Args:
            x: all the frames' tokens, [B, T, D]; overwritten.
            m: from `flat`.
            block: the frames' place in the cache.
            index: of the layer.
            prompt_kv: the prompt's, from `CpuLayer.prompt_kv`.

        Returns:
            [B, T, D].
        """
        normed = self._modulated(x, m.scale, m.shift)
        attended = block.attend_pair(index, *self._pair_and_values(normed), self.attention)
        add_gated(x, self._o(attended.reshape(x.shape)), m.gate)
        x.add_(self._cross(self._norm(x, *self._norm3), prompt_kv))
        inner = self._modulated(x, m.ffn_scale, m.ffn_shift)
        for product in self._ffn:
            inner = product(inner)
        return add_gated(x, inner, m.ffn_gate)

    def _modulated(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Norm and modulate: x [B, T, D]; scale and shift [D], or [1, F, 1, D] for frames that differ."""
        if scale.ndim == 1:
            return self._norm(x, scale, shift)
        normed = torch.layer_norm(x, (self._width,), None, None, self._eps)
        return torch.addcmul(shift, normed.unflatten(1, (scale.shape[1], -1)), scale).flatten(1, 2)

    def _norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.layer_norm(x, (self._width,), weight, bias, self._eps)

    def _pair_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, D] -> normed q and k, [B, T, 2, heads, head_dim] float32, and v [B, T, heads, head_dim]."""
        batch, tokens, width = x.shape
        qk, v = self._qkv(x).split((2 * width, width), dim=-1)
        pair = qk.view(batch, tokens, 2, width).float()
        pair.mul_(self._over_root(pair)).mul_(self._norms)
        return pair.view(batch, tokens, 2, *self._heads), v.view(batch, tokens, *self._heads)

    def _cross(self, x: Tensor, prompt_kv: PromptKV) -> Tensor:
        """Attend to the prompt from the normed input: [B, T, D] -> the same."""
        batch, tokens, _ = x.shape
        q = self._cross_q(x).float()
        q.mul_(self._over_root(q))
        q = q.view(batch, tokens, *self._heads).transpose(1, 2).to(x.dtype)
        k, v = prompt_kv
        attended = self.cross_attention(q, k.transpose(1, 2), v.transpose(1, 2))
        return self._cross_o(attended.transpose(1, 2).reshape(x.shape))

    def _over_root(self, x: Tensor) -> Tensor:
        """Return one over the root of the mean square: x [..., D] float32 -> [..., 1]."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return torch.addcmul(self._eps_tensor, length, length, value=1 / self._width).rsqrt_()


def add_gated(x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    """Add y times the gate to x in place: x and y [B, T, D]; gate [D], or [1, F, 1, D] for frames that differ."""
    if gate.ndim == 1:
        return x.addcmul_(y, gate)
    frames = gate.shape[1], -1
    x.unflatten(1, frames).addcmul_(y.unflatten(1, frames), gate)
    return x
