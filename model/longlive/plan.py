"""What `bench plan` counts of a model of LongLive's kind."""

import torch

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import BackendError
from longtake.model.evaluation.plan_parts import HALF_BYTES, DecoderCost, TextCost, count_decoder
from longtake.model.longlive.loading import VARIANTS
from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig
from longtake.model.longlive.umt5 import UMT5_XXL
from longtake.model.longlive.wan_vae import WanDecoder


class LongLivePlan:
    """Implements `longtake.model.evaluation.plan_parts.PlanSource`."""

    usual_decoder = "tiny"

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def config(self) -> GeneratorConfig:
        """The generator's configuration."""
        return VARIANTS[self._name].config

    def decoders(self, sizes: TransformerConfig) -> dict[str, DecoderCost]:
        """Return the costs of its decoders by name; without diffusers, Wan's is left out."""
        with torch.device("meta"):
            costs = {"tiny": count_decoder(TinyDecoder(TinyDecoderConfig()), sizes)}
            try:
                wan = WanDecoder()
            except BackendError:
                return costs
        return {**costs, "wan": count_decoder(wan, sizes)}

    def text(self, sizes: TransformerConfig) -> TextCost | None:
        """Return the cost of UMT5-XXL for the longest prompt."""
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
