"""The plan of training: its counts are held against networks that are really built."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.config import TransformerConfig, preset
from longtake.model.errors import ConfigError
from longtake.model.evaluation.plan import forward_cost, transformer_parameters
from longtake.model.evaluation.plan_devices import DEVICES
from longtake.model.evaluation.plan_parts import DecoderCost
from longtake.model.longlive.plan import LongLivePlan
from longtake.model.network.transformer import Transformer
from longtake.model.training.lora import LoraConfig, add_lora
from longtake.model.training.objectives.scores import FullAttention
from longtake.model.training.plan_training import Cluster, plan_training, rollout, score
from longtake.model.training.plan_training_memory import Held, memory_of, saved_bytes

VAE = DecoderCost(flop=1e13, bytes=1e10, weights_bytes=10**8, state_bytes=10**9, activation_bytes=10**9)
CONFIG = preset("longlive-1.3b")


@pytest.fixture(autouse=True)
def vae(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders are counted by diffusers, which need not be there."""
    monkeypatch.setattr(LongLivePlan, "decoders", lambda self, sizes: {"wan": VAE})


def stages(gpus: int) -> dict[str, Any]:
    return {plan.stage: plan for plan in plan_training(Cluster(device=DEVICES["h100"], gpus=gpus))}


@pytest.mark.parametrize(("dim", "ffn_dim", "side"), [(128, 512, 16), (256, 512, 32), (128, 1024, 16)])
def test_a_layer_saves_what_the_plan_says(dim: int, ffn_dim: int, side: int) -> None:
    sizes = TransformerConfig(
        dim=dim, ffn_dim=ffn_dim, heads=2, layers=1, text_tokens=4, text_dim=16, latent_height=side, latent_width=16
    )
    network, frames = Transformer(sizes).to(torch.bfloat16), 4
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    saved: dict[int, int] = {}
    kept = []

    def pack(x: Tensor) -> Tensor:
        kept.append(x)  # or its memory would be given to the next
        if x.untyped_storage().data_ptr() not in weights:
            saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    x = torch.randn(1, frames, sizes.frame_tokens, dim, dtype=torch.bfloat16, requires_grad=True)
    _, e0 = network.embed_time(torch.zeros(1, frames))
    prompt_kv = network.prompt_kv(network.embed_text(torch.randn(1, 4, 16, dtype=torch.bfloat16)))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        network.layers[0](x, e0, FullAttention(network, frames), prompt_kv[0])
    assert sum(saved.values()) == pytest.approx(saved_bytes(sizes, frames * sizes.frame_tokens), rel=0.03)


def test_a_lora_has_as_many_parameters_as_the_plan_says(small: Any) -> None:
    config = small.config()
    network = small.transformer(config)
    added = sum(weight.numel() for weight in add_lora(network, LoraConfig(rank=4, alpha=4.0)))
    assert Held(config=config, teacher=config.transformer, vae=VAE).lora_values(4) == added


def test_a_rollout_is_its_passes() -> None:
    one = forward_cost(CONFIG.transformer, 3, 12)
    without = rollout(CONFIG, [7], before=1.5, gradient=False)
    assert without.cost.flop == pytest.approx(3.5 * one.flop)
    trained = rollout(CONFIG, [7], before=1.5, gradient=True)
    extra = trained.cost.flop - without.cost.flop
    assert extra == pytest.approx(3 * one.linear_flop + 3.5 * one.attention_flop)
    early = rollout(CONFIG, [0], before=1.5, gradient=False)
    assert early.cost.attention_flop < without.cost.attention_flop
    frozen = score(CONFIG.transformer, 21, gradient=True, rank=256)
    assert frozen.cost.linear_flop < score(CONFIG.transformer, 21, gradient=True).cost.linear_flop


def test_more_gpus_share_the_batch_and_the_weights() -> None:
    one, eight, many = stages(1), stages(8), stages(64)
    for stage in ("ode-init", "self-forcing", "streaming"):
        assert eight[stage].step_s == pytest.approx(one[stage].step_s / 8)
        assert many[stage].step_s == pytest.approx(one[stage].step_s / 64)
        assert eight[stage].memory_gb["masters"] == pytest.approx(one[stage].memory_gb["masters"] / 8)
        assert many[stage].memory_gb["masters"] == pytest.approx(eight[stage].memory_gb["masters"])
        assert one[stage].exchange_s == 0
        assert one[stage].peak_step_s < one[stage].step_s
    assert many["streaming"].memory_gb["long takes"] == pytest.approx(eight["streaming"].memory_gb["long takes"] / 8)
    assert many["trajectories"].hours < eight["trajectories"].hours / 7
    assert one["self-forcing"].total_gb > 80, "the three models do not fit into one H100"
    assert eight["self-forcing"].total_gb < 80


def test_memory_counts_every_parameter() -> None:
    held = Held(config=CONFIG, teacher=CONFIG.transformer, vae=VAE)
    memory = memory_of(held, "self-forcing", shares=1, members=1, rank=0)
    values = sum(transformer_parameters(CONFIG.transformer))
    assert memory["masters"] == 2 * 4 * values
    assert memory["gradients"] == 2 * 4 * values
    assert memory["optimiser"] == 2 * 8 * values
    assert memory["average"] == 4 * values
    assert memory["teacher"] == 2 * values


def test_gpus_that_cannot_share_are_refused() -> None:
    with pytest.raises(ConfigError, match="12 GPUs are not whole nodes of 8"):
        Cluster(device=DEVICES["h100"], gpus=12)
    with pytest.raises(ConfigError, match="24 GPUs cannot share the 64 members"):
        stages(24)
