"""Counts what decoders and text encoder cost, on modules without memory (torch's meta device)."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from longtake.model.config import GeneratorConfig, TransformerConfig

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


class PlanSource(Protocol):
    """What a model tells the plan."""

    @property
    def config(self) -> GeneratorConfig:
        """The generator's configuration."""
        ...

    @property
    def usual_decoder(self) -> str:
        """Name of the decoder that it normally runs with."""
        ...

    def decoders(self, sizes: TransformerConfig) -> dict[str, DecoderCost]:
        """Return the costs of its decoders by name."""
        ...

    def text(self, sizes: TransformerConfig) -> TextCost | None:
        """Return the cost of its text encoder; None if it is too small to count."""
        ...


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
