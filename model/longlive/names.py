"""The names of Wan's parameters in each public layout, and the maps between them. No other module knows them.

The transformer's own names are Wan's. A checkpoint may wrap them (`model.` in LongLive's and Self-Forcing's files,
`_fsdp_wrapped_module.` if they were saved sharded) or use Diffusers' names. The text encoder and the full decoder
are built by transformers and diffusers, so there the maps go from Wan's names to theirs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
_LORA = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.\w+)?\.weight$")


@dataclass(frozen=True, kw_only=True)
class Renaming:
    """A two-way map of parameter names by module. What follows a module's name (`.weight`, `.bias`) stays.

    Attributes:
        fixed: modules (or parameters) that exist once.
        repeated: modules of each layer, without the layer's prefix.
        here, there: what precedes a layer's number on either side.
    """

    fixed: Mapping[str, str]
    repeated: Mapping[str, str]
    here: str
    there: str

    def forward(self, name: str) -> str | None:
        """Return the other side's name, or None for a name this side does not have."""
        return _rename(name, self.here, self.there, self.fixed, self.repeated)

    def back(self, name: str) -> str | None:
        """Return this side's name for one of the other side's, or None."""
        fixed, repeated = self._inverse
        return _rename(name, self.there, self.here, fixed, repeated)

    @cached_property
    def _inverse(self) -> tuple[dict[str, str], dict[str, str]]:
        return {v: k for k, v in self.fixed.items()}, {v: k for k, v in self.repeated.items()}


def _rename(name: str, here: str, there: str, fixed: Mapping[str, str], repeated: Mapping[str, str]) -> str | None:
    prefix, table, rest = "", fixed, name
    layer = re.match(rf"{re.escape(here)}\.(\d+)\.", name) if here else None
    if layer:
        prefix, table, rest = f"{there}.{layer[1]}.", repeated, name[layer.end() :]
    if rest in table:
        return prefix + table[rest]
    module, _, parameter = rest.rpartition(".")
    return f"{prefix}{table[module]}.{parameter}" if module in table else None


def _attention(here: str, there: str) -> dict[str, str]:
    maps = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0", "norm_q": "norm_q", "norm_k": "norm_k"}
    return {f"{here}.{a}": f"{there}.{b}" for a, b in maps.items()}


DIFFUSERS_TRANSFORMER = Renaming(
    fixed={
        "patch_embedding": "patch_embedding",
        "text_embedding.0": "condition_embedder.text_embedder.linear_1",
        "text_embedding.2": "condition_embedder.text_embedder.linear_2",
        "time_embedding.0": "condition_embedder.time_embedder.linear_1",
        "time_embedding.2": "condition_embedder.time_embedder.linear_2",
        "time_projection.1": "condition_embedder.time_proj",
        "head.head": "proj_out",
        "head.modulation": "scale_shift_table",
    },
    repeated={
        **_attention("self_attn", "attn1"),
        **_attention("cross_attn", "attn2"),
        # Wan numbers its norms in another order than it uses them; Diffusers renumbered them.
        "norm3": "norm2",
        "ffn.0": "ffn.net.0.proj",
        "ffn.2": "ffn.net.2",
        "modulation": "scale_shift_table",
    },
    here="blocks",
    there="blocks",
)
"""Wan's transformer -> diffusers' `WanTransformer3DModel`."""

UMT5 = Renaming(
    fixed={"token_embedding": "shared", "norm": "encoder.final_layer_norm"},
    repeated={
        "norm1": "layer.0.layer_norm",
        **{f"attn.{m}": f"layer.0.SelfAttention.{m}" for m in "qkvo"},
        "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
        "norm2": "layer.1.layer_norm",
        "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
        "ffn.fc1": "layer.1.DenseReluDense.wi_1",
        "ffn.fc2": "layer.1.DenseReluDense.wo",
    },
    here="blocks",
    there="encoder.block",
)
"""Wan's text encoder -> transformers' `UMT5EncoderModel`."""


def _residual(here: str, there: str) -> dict[str, str]:
    maps = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2"}
    return {f"{here}.{a}": f"{there}.{b}" for a, b in {**maps, "shortcut": "conv_shortcut"}.items()}


def _ends_and_middle(half: str) -> dict[str, str]:
    """Return what the encoding and the decoding half have alike."""
    table = {
        f"{half}.conv1": f"{half}.conv_in",
        f"{half}.head.0": f"{half}.norm_out",
        f"{half}.head.2": f"{half}.conv_out",
        **_residual(f"{half}.middle.0", f"{half}.mid_block.resnets.0"),
        **_residual(f"{half}.middle.2", f"{half}.mid_block.resnets.1"),
    }
    for part in ("norm", "to_qkv", "proj"):
        table[f"{half}.middle.1.{part}"] = f"{half}.mid_block.attentions.0.{part}"
    return table


def _decoder() -> dict[str, str]:
    table = {"conv2": "post_quant_conv", **_ends_and_middle("decoder")}
    for stage in range(4):  # three residual blocks, and an upsampler except in the last stage
        for block in range(3):
            here, there = f"decoder.upsamples.{4 * stage + block}", f"decoder.up_blocks.{stage}"
            table |= _residual(here, f"{there}.resnets.{block}")
        for part in ("resample.1", "time_conv"):
            table[f"decoder.upsamples.{4 * stage + 3}.{part}"] = f"decoder.up_blocks.{stage}.upsamplers.0.{part}"
    return table


VAE_DECODER = Renaming(fixed=_decoder(), repeated={}, here="", there="")
"""The decoding half of Wan's VAE -> diffusers' `AutoencoderKLWan`."""

VAE_ENCODER_PREFIXES = ("encoder.", "conv1.", "quant_conv.")
"""prefixes in a VAE's file of what its decoding half does not need, in either layout"""


def _encoder() -> dict[str, str]:
    table = {"conv1": "quant_conv", **_ends_and_middle("encoder")}
    for block in range(11):  # two residual blocks, and a downsampler except in the last of four stages
        here, there = f"encoder.downsamples.{block}", f"encoder.down_blocks.{block}"
        table |= _residual(here, there)
        for part in ("resample.1", "time_conv"):
            table[f"{here}.{part}"] = f"{there}.{part}"
    return table


VAE_ENCODER = Renaming(fixed=_encoder(), repeated={}, here="", there="")
"""The encoding half of Wan's VAE -> diffusers' `AutoencoderKLWan`."""


def unwrapped(name: str) -> str:
    """Return a parameter's name without the prefixes that saving added."""
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name.removeprefix("model.")


def lora_part(name: str) -> tuple[str, str] | None:
    """Return the module that a LoRA's tensor belongs to and its side, "A" or "B"; None for another tensor.

    >>> lora_part("base_model.model.blocks.0.ffn.2.lora_A.weight")
    ('blocks.0.ffn.2', 'A')
    """
    found = _LORA.match(unwrapped(name))
    return (unwrapped(found["module"]), found["side"]) if found else None


def lora_targets(layers: int) -> list[str]:
    """Return the modules LongLive's LoRA changes: the ten linear maps of every layer."""
    attention = [f"{kind}_attn.{m}" for kind in ("self", "cross") for m in "qkvo"]
    return [f"blocks.{layer}.{module}" for layer in range(layers) for module in (*attention, "ffn.0", "ffn.2")]
