"""Inference on a GPU with our own kernels: one pass over the activations between two products.

`Layer.forward` says what is computed. Here

- a residual, its gate, the norm that follows and its modulation are one kernel (so the FFN's residual is added by the
  next layer's first norm);
- q and k are normed and rotated, and k and v written into the ring, by one kernel;
- the first product of the FFN applies GELU itself;
- with FP8 linears, whatever feeds a product quantises its rows at once.

Cross-attention takes torch's SDPA: for so few keys it is faster than flash-attn 3. Self-attention takes the chosen one.
The slots and the rotations of a block are data, so nothing is compiled again as a take goes on.
"""

import subprocess
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from triton.errors import TritonError

from longtake.model.cache.base import CacheBlock
from longtake.model.cache.ring import RingBlock
from longtake.model.errors import BackendError
from longtake.model.execution.base import WithConditions
from longtake.model.network.layers import Layer, Linear, Modulation, PromptKV
from longtake.model.network.transformer import Condition, Transformer
from longtake.model.ops.attention import sdpa
from longtake.model.ops.linear import LinearOp
from longtake.model.ops.linear.fp8 import Fp8Linear
from longtake.model.ops.triton.norm import add_norm, add_norm_e4m3, rms_norm
from longtake.model.ops.triton.qkv import Norms, write_qkv
from longtake.model.ops.triton.quantise import quantise_rows

Residual = tuple[Tensor, Tensor | None]
"""What is to be added to the residual stream [B, F, S, D], and its gate (None is one)."""

BUILD_ERRORS = (TritonError, RuntimeError, OSError, subprocess.CalledProcessError)
"""what Triton raises when it cannot build or load a kernel: its own errors, or those of a compiler or a driver"""


class TritonExecutor(WithConditions):
    """See the module and `Executor`.

    Args:
        transformer: with its final weights, and q, k and v in one product (`Transformer.fuse_qkv` or
            `replace_linears`).
        timesteps: of the sampler, 0 to 1000.
    """

    warm_up_frames: Sequence[int] = ()
    slots_are_data = True

    def __init__(self, transformer: Transformer, timesteps: Sequence[float]) -> None:
        super().__init__(transformer, timesteps)
        self._layers = [TritonLayer(layer) for layer in transformer.layers]

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`."""
        x, residual = self._run(self._layers, ring_block(block), latents, condition, prompt_kv)
        if residual is not None:
            y, gate = residual
            x = x.add_(y) if gate is None else x.addcmul_(y, gate)
        flow: Tensor = self._transformer.head(x, condition.e)
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`."""
        ring, last = ring_block(block), len(self._layers) - 1
        x, residual = self._run(self._layers[:-1], ring, latents, condition, prompt_kv)
        self._layers[last].write(x, residual, condition.modulations[last], ring, last)

    def _run(
        self,
        layers: Sequence["TritonLayer"],
        block: RingBlock,
        latents: Tensor,
        condition: Condition,
        prompt_kv: Sequence[PromptKV],
    ) -> tuple[Tensor, Residual | None]:
        """Run the first layers: [B, F, C, h, w] -> the residual stream [B, F, S, D], and what is to be added to it."""
        x = self._transformer.embed_patches(latents).contiguous()
        residual: Residual | None = None
        for index, layer in enumerate(layers):
            residual = layer.run(x, residual, condition.modulations[index], block, index, prompt_kv[index])
        return x, residual


class TritonLayer:
    """A layer with final weights, whose q, k and v are one product.

    Args:
        layer: its linears and its attention are used as they are.
    """

    def __init__(self, layer: Layer) -> None:
        fused = layer.self_attn.fused
        if fused is None:
            raise ValueError("the layer's q, k and v are separate linears: call fuse_qkv first")
        attention, cross = layer.self_attn, layer.cross_attn
        self._attention, self._eps = layer.attention, layer.norm1.eps
        self._qkv, norms = fused
        self._norms = Norms(norms[0], norms[1], attention.norm_q.eps)
        self._o, self._cross_q, self._cross_o = (linear.product for linear in (attention.o, cross.q, cross.o))
        self._cross_norm, self._cross_heads = cross.norm_q, cross.heads
        self._norm3 = layer.norm3.weight, layer.norm3.bias
        inner, outer = layer.ffn[0], layer.ffn[2]
        assert isinstance(inner, Linear), "the FFN's first linear"
        assert isinstance(outer, Linear), "the FFN's second linear"
        self._inner: LinearOp = inner.product if inner.replaced else GeluLinear(inner.weight, inner.bias)
        self._outer = outer.product

    def run(
        self,
        x: Tensor,
        residual: Residual | None,
        m: Modulation,
        block: RingBlock,
        index: int,
        prompt_kv: PromptKV,
    ) -> Residual:
        """Run the layer.

        Args:
            x: the residual stream, [B, F, S, D]; overwritten.
            residual: what the layer before left to be added.
            m: of the timesteps.
            block: the frames' place in the ring.
            index: of the layer.
            prompt_kv: the prompt's keys and values.

        Returns:
            What is to be added to x after this.
        """
        queries = self.write(x, residual, m, block, index)
        attended = block.attend_written(index, queries, self._attention)
        y = _multiply(self._o, attended.reshape(x.shape))
        y = _norm_and_multiply(self._cross_q, x, (y, m.gate), *self._norm3, self._eps)
        y = _multiply(self._cross_o, self._cross(y, prompt_kv))
        if isinstance(self._inner, Fp8Linear) and isinstance(self._outer, Fp8Linear):
            rows, scale = add_norm_e4m3(x, y, None, m.ffn_scale, m.ffn_shift, eps=self._eps)
            inner = self._inner.product(rows, scale, x.dtype)
            y = self._outer.product(*quantise_rows(inner, gelu=True), x.dtype).view(x.shape)
        else:
            y = self._outer(self._inner(add_norm(x, y, None, m.ffn_scale, m.ffn_shift, eps=self._eps)))
        return y, m.ffn_gate

    def write(self, x: Tensor, residual: Residual | None, m: Modulation, block: RingBlock, index: int) -> Tensor:
        """Write the layer's keys and values into the ring: arguments as `run`.

        Returns queries after RoPE, [B, T, heads, head_dim].
        """
        qkv = _norm_and_multiply(self._qkv, x, residual, m.scale, m.shift, self._eps)
        return write_qkv(qkv.flatten(1, 2), self._norms, block.ring_slots(index))

    def _cross(self, q: Tensor, prompt_kv: PromptKV) -> Tensor:
        """Attend to the prompt: queries before their norm, [B, F, S, D] -> the same."""
        shape = q.shape
        q = rms_norm(q, self._cross_norm.weight, eps=self._cross_norm.eps)
        q = q.flatten(1, 2).unflatten(-1, (self._cross_heads, -1)).transpose(1, 2)
        k, v = prompt_kv
        return sdpa(q, k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2).reshape(shape)


class GeluLinear:
    """x -> GELU's tanh form of x weight^T + bias, in one product on a GPU (cuBLAS applies it).

    Args:
        weight: [out, in].
        bias: [out].
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out]."""
        if x.device.type != "cuda":
            # On a CPU torch's operator applies the other form of GELU.
            return F.gelu(F.linear(x, self._weight, self._bias), approximate="tanh")
        rows = x.flatten(0, -2)
        return torch._addmm_activation(self._bias, rows, self._weight.t(), use_gelu=True).view(*x.shape[:-1], -1)


def triton_executor(
    transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]
) -> TritonExecutor:
    """Return the executor, after a trial of the kernels; raises BackendError if one cannot be built here."""
    try:
        try_kernels(transformer)
    except BUILD_ERRORS as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackendError(f"a Triton kernel cannot be built here: {first}; use --option execution=eager") from error
    return TritonExecutor(transformer, timesteps)


def try_kernels(transformer: Transformer) -> None:
    """Build the norm kernels for a transformer's width, on one token; they need what all the others need."""
    sizes, weight = transformer.config, transformer.patch_embedding.weight
    x = torch.zeros((1, 1, 1, sizes.dim), dtype=transformer.dtype, device=weight.device)
    vector = torch.ones(sizes.dim, dtype=transformer.dtype, device=weight.device)
    with torch.inference_mode():
        rms_norm(add_norm(x, x.clone(), None, vector, vector, eps=sizes.eps), vector, eps=sizes.eps)


def ring_block(block: CacheBlock) -> RingBlock:
    """Return a block of a ring; raises BackendError for another cache's."""
    if not isinstance(block, RingBlock):
        raise BackendError("execution 'triton' writes into a ring in place; use --option execution=eager")
    return block


def _norm_and_multiply(
    product: LinearOp, x: Tensor, residual: Residual | None, scale: Tensor, shift: Tensor, eps: float
) -> Tensor:
    """Add a residual to x in place, norm and modulate it, and multiply: [B, F, S, D] -> [B, F, S, out]."""
    y, gate = (None, None) if residual is None else residual
    if isinstance(product, Fp8Linear):
        return product.product(*add_norm_e4m3(x, y, gate, scale, shift, eps=eps), x.dtype).view(*x.shape[:-1], -1)
    return product(add_norm(x, y, gate, scale, shift, eps=eps))


def _multiply(product: LinearOp, x: Tensor) -> Tensor:
    """x [..., in] -> [..., out]; rows for an FP8 product are quantised by a kernel."""
    if isinstance(product, Fp8Linear):
        return product.product(*quantise_rows(x), x.dtype).view(*x.shape[:-1], -1)
    return product(x)
