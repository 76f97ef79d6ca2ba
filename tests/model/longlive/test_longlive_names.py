"""The name maps, held against the libraries that own the other side."""

from typing import Any

import pytest
import torch

from longtake.model.generation.generator import Generator
from longtake.model.longlive.names import DIFFUSERS_TRANSFORMER, UMT5, VAE_DECODER, VAE_ENCODER, lora_part, unwrapped
from longtake.model.network.transformer import Transformer

pytest.importorskip("diffusers")
pytest.importorskip("transformers")


def diffusers_transformer(sizes: Any) -> Any:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(
        num_attention_heads=sizes.heads,
        attention_head_dim=sizes.head_dim,
        text_dim=sizes.text_dim,
        freq_dim=sizes.time_frequencies,
        ffn_dim=sizes.ffn_dim,
        num_layers=sizes.layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
    )


def test_the_transformer_has_exactly_diffusers_names(checkpoints: Any) -> None:
    theirs = list(diffusers_transformer(checkpoints.sizes).state_dict())
    assert {DIFFUSERS_TRANSFORMER.forward(name) for name in checkpoints.weights} == set(theirs)
    assert {DIFFUSERS_TRANSFORMER.back(name) for name in theirs} == set(checkpoints.weights)
    for name in checkpoints.weights:
        there = DIFFUSERS_TRANSFORMER.forward(name)
        assert there is not None
        assert DIFFUSERS_TRANSFORMER.back(there) == name


def test_the_first_block_is_what_diffusers_computes(checkpoints: Any) -> None:
    """Before there is a past, a block is Wan's own bidirectional model: the map and the network hold together."""
    theirs = diffusers_transformer(checkpoints.sizes).eval()
    theirs.load_state_dict({DIFFUSERS_TRANSFORMER.forward(n): v for n, v in checkpoints.weights.items()})
    ours = Transformer(checkpoints.sizes)
    ours.load_state_dict(checkpoints.weights)
    generator = Generator(ours, None, None, checkpoints.config)
    steps: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    embedding = torch.randn(1, checkpoints.sizes.text_tokens, checkpoints.sizes.text_dim)
    world = generator.open(seed=3, embedding=embedding)
    generator.step(world, lambda name, xt, flow, x0: steps.update({name: (xt.clone(), flow.clone())}))
    for index, timestep in enumerate(generator.timesteps):
        xt, flow = steps[f"s{index}"]
        with torch.no_grad():
            wanted = theirs(
                hidden_states=xt.transpose(1, 2).float(),
                timestep=torch.tensor([timestep]),
                encoder_hidden_states=embedding,
                return_dict=False,
            )[0].transpose(1, 2)
        assert float((flow - wanted).norm() / wanted.norm()) < 1e-5


def test_the_text_encoder_has_exactly_transformers_names() -> None:
    from longtake.model.longlive.umt5 import build_umt5

    model = build_umt5(vocab_size=8, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    theirs = set(model.state_dict()) - {"encoder.embed_tokens.weight"}  # the same tensor as shared.weight
    assert {UMT5.forward(name) for name in (UMT5.back(there) or "" for there in theirs)} == theirs


def test_the_decoder_has_exactly_diffusers_names() -> None:
    """Against the converter that diffusers ships."""
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    with torch.device("meta"):
        vae = AutoencoderKLWan(base_dim=8, z_dim=16)
    theirs = [name for name in vae.state_dict() if name.startswith(("decoder.", "post_quant_conv."))]
    wan = [VAE_DECODER.back(name) for name in theirs]
    assert None not in wan
    assert list(convert_wan_vae_to_diffusers({name: name for name in wan})) == theirs
    assert [VAE_DECODER.forward(name or "") for name in wan] == theirs


def test_the_encoders_names_are_those_of_diffusers_own_conversion() -> None:
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    with torch.device("meta"):
        vae = AutoencoderKLWan(base_dim=8, z_dim=16)
    theirs = [name for name in vae.state_dict() if name.startswith(("encoder.", "quant_conv."))]
    wan = [VAE_ENCODER.back(name) for name in theirs]
    assert None not in wan
    assert list(convert_wan_vae_to_diffusers({name: name for name in wan})) == theirs
    assert [VAE_ENCODER.forward(name or "") for name in wan] == theirs


def test_wrappers_are_taken_off() -> None:
    assert unwrapped("model._fsdp_wrapped_module.blocks.0._fsdp_wrapped_module.norm3.bias") == "blocks.0.norm3.bias"
    assert unwrapped("head.modulation") == "head.modulation"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("base_model.model.blocks.3.self_attn.q.lora_A.weight", ("blocks.3.self_attn.q", "A")),
        ("base_model.model.blocks.3.ffn.2.lora_B.default.weight", ("blocks.3.ffn.2", "B")),
        ("blocks.3.ffn.2.weight", None),
    ],
)
def test_lora_names(name: str, part: tuple[str, str] | None) -> None:
    assert lora_part(name) == part


def test_an_unknown_name_has_no_counterpart() -> None:
    assert DIFFUSERS_TRANSFORMER.forward("img_emb.proj.0.weight") is None
    assert DIFFUSERS_TRANSFORMER.back("blocks.0.attn2.add_k_proj.weight") is None
