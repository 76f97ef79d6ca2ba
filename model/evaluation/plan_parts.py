"""Counts what decoders and text encoder cost, on modules without memory (torch's meta device)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from longtake.model.config import TransformerConfig
from longtake.model.errors import BackendError

HALF_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class DecoderCost:
    """A decoder's cost for one latent frame of a running take."""

    flop: float
    bytes: float
    """bytes that its layers read and write"""
    weights_bytes: int
    state_bytes: int
    activation_bytes: int
    """inputs and outputs of its widest layer"""


@dataclass(frozen=True, kw_only=True)
class TextCost:
    """The text encoder's cost for the longest prompt."""

    flop: float
    bytes: float
    weights_bytes: int


def decoder_costs(model: str, sizes: TransformerConfig) -> dict[str, DecoderCost]:
    """Return the costs of a model's decoders by name; without diffusers, Wan's is left out."""
    if model == "diorama":
        from longtake.model.diorama.autoencoder import SHIPPED, make_decoder

        with torch.device("meta"):
            return {"own": count_decoder(make_decoder(SHIPPED), sizes)}
    from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig
    from longtake.model.longlive.wan_vae import WanDecoder

    with torch.device("meta"):
        costs = {"tiny": count_decoder(TinyDecoder(TinyDecoderConfig()), sizes)}
    try:
        wan = WanDecoder()
    except BackendError:
        return costs
    return {**costs, "wan": count_decoder(wan, sizes)}


def count_decoder(decoder: Any, sizes: TransformerConfig) -> DecoderCost:
    """Count the second latent frame of a take, because the first has a different number of pictures."""
    decoder = decoder.to(torch.bfloat16)
    latents = torch.empty(1, 1, *sizes.latent_shape, dtype=torch.bfloat16, device="meta")
    traffic = Traffic(decoder)
    with torch.inference_mode():
        state = decoder.open(1)
        decoder.decode(latents, state)
        traffic.reset()
        with FlopCounterMode(display=False) as counter:
            decoder.decode(latents, state)
    traffic.remove()
    return DecoderCost(
        flop=float(counter.get_total_flops()),
        bytes=float(traffic.total),
        weights_bytes=HALF_BYTES * sum(parameter.numel() for parameter in decoder.parameters()),
        state_bytes=state_bytes(vars(state)),
        activation_bytes=traffic.largest,
    )


class Traffic:
    """Adds up what each layer of a module reads and writes, including weights."""

    def __init__(self, module: nn.Module) -> None:
        self.total = self.largest = 0
        self._handles = [
            part.register_forward_hook(self._count) for part in module.modules() if not list(part.children())
        ]

    def _count(self, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        moved = state_bytes(list(inputs)) + state_bytes(output)
        self.largest = max(self.largest, moved)
        self.total += moved + sum(parameter.nbytes for parameter in part.parameters())

    def reset(self) -> None:
        """Start from zero."""
        self.total = self.largest = 0

    def remove(self) -> None:
        """Remove the hooks from the module."""
        for handle in self._handles:
            handle.remove()


def state_bytes(value: Any) -> int:
    """Return the bytes of all tensors in lists and dictionaries."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(state_bytes(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(state_bytes(item) for item in value)
    return 0


def text_cost(model: str, sizes: TransformerConfig) -> TextCost | None:
    """Return the cost of UMT5-XXL for the longest prompt; diorama's own encoder is too small to plan."""
    if model == "diorama":
        return None
    from longtake.model.longlive.umt5 import UMT5_XXL

    width, inner, layers = UMT5_XXL["d_model"], UMT5_XXL["d_ff"], UMT5_XXL["num_layers"]
    heads = UMT5_XXL["num_heads"] * UMT5_XXL["d_kv"]
    maps = layers * (4 * width * heads + 3 * width * inner)
    vectors = UMT5_XXL["vocab_size"] * width + layers * (
        2 * width + UMT5_XXL["relative_attention_num_buckets"] * UMT5_XXL["num_heads"]
    )
    tokens = sizes.text_tokens
    return TextCost(
        flop=2.0 * maps * tokens + 4.0 * layers * tokens * tokens * heads,
        bytes=float(HALF_BYTES * (maps + layers * tokens * (8 * width + 3 * inner))),
        weights_bytes=HALF_BYTES * (maps + vectors + width),
    )
