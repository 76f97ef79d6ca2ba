"""Layers that are computed again in the backward pass, instead of keeping what they computed."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from longtake.model.network.layers import Attend, Layer, Modulation, PromptKV
from longtake.model.network.transformer import Transformer


class CheckpointedLayer:
    """A layer that is computed again in the backward pass. It changes no gradient.

    Args:
        layer: the layer.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def __call__(self, x: Tensor, condition: Tensor | Modulation, attend: Attend, prompt_kv: PromptKV, /) -> Tensor:
        """See `Layer.forward`."""
        if not torch.is_grad_enabled():
            out: Tensor = self._layer(x, condition, attend, prompt_kv)
            return out
        # A block attends to the past as it was when the block began, so the second time sees what the first one saw.
        made: Tensor = checkpoint(
            self._layer, x, condition, attend, prompt_kv, use_reentrant=False, preserve_rng_state=False
        )
        return made


def checkpointed(transformer: Transformer, on: bool) -> Sequence[CheckpointedLayer] | None:
    """Return a transformer's layers as `Transformer.forward` takes them; None, its own, if it is not on."""
    return [CheckpointedLayer(layer) for layer in transformer.layers] if on else None
