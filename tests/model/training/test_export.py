"""What is written of finished runs."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from longtake.model.config import TransformerConfig
from longtake.model.network.motion_head import Before
from longtake.model.network.transformer import Transformer
from longtake.model.training.export import export, without_actions
from longtake.model.weights import Sampling, read_sampling


def test_export_writes_bf16_parts_and_forgets_the_trainers_disk(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for name in ("autoencoder", "probe"):
        (runs / name).mkdir(parents=True)
    state = {"decoder.a": torch.randn(2, 2), "encoder.b": torch.randn(3), "encoder.count": torch.tensor(7)}
    save_file(state, runs / "autoencoder" / "ema.safetensors")
    (runs / "autoencoder" / "config.json").write_text('{"data": "/home/someone/data/clips", "hours": 1}')
    save_file({"x": torch.ones(1)}, runs / "probe" / "ema.safetensors")
    out.mkdir()
    (out / "transformer.safetensors").write_bytes(b"kept")
    assert export(runs, out) == ["decoder", "encoder", "probe"]
    assert load_file(out / "decoder.safetensors")["a"].dtype is torch.bfloat16
    assert int(load_file(out / "encoder.safetensors")["count"]) == 7
    assert (out / "transformer.safetensors").read_bytes() == b"kept"
    assert json.loads((out / "runs" / "autoencoder-config.json").read_text()) == {"data": "clips", "hours": 1}


def test_the_latest_stage_is_exported_with_the_sampler_that_it_was_distilled_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for stage, said, sampling in (
        ("transformer", None, None),
        (
            "progressive",
            {"sampler": "euler", "timesteps": "[1000, 500]"},
            Sampling(sampler="euler", timesteps=(1000, 500)),
        ),
        ("streaming", {"sampler": "renoise"}, Sampling(sampler="renoise")),
    ):
        run = tmp_path / "runs" / stage
        run.mkdir(parents=True)
        save_file({stage: torch.ones(1)}, run / "ema.safetensors", said)
        assert export(tmp_path / "runs", out) == ["transformer"]
        assert set(load_file(out / "transformer.safetensors")) == {stage}
        assert read_sampling(out / "transformer.safetensors") == sampling


def test_a_model_without_its_axes_does_what_it_did_at_rest() -> None:
    torch.manual_seed(0)
    sizes = TransformerConfig(
        dim=32,
        ffn_dim=64,
        heads=2,
        layers=1,
        text_tokens=2,
        text_dim=8,
        latent_height=4,
        latent_width=6,
        actions=2,
        motion_width=8,
    )
    steered, plain = Transformer(sizes), Transformer(replace(sizes, actions=0))
    for parameter in steered.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    plain.load_state_dict(without_actions(steered.state_dict()))
    t = torch.tensor([[0.0, 300.0, 1000.0]])
    for made, wanted in zip(plain.embed_time(t), steered.embed_time(t), strict=True):
        torch.testing.assert_close(made, wanted)
    assert not torch.allclose(steered.embed_time(t)[0], steered.embed_time(t, torch.ones(1, 3, 2))[0])
    flow, noisy, frames = (torch.randn(1, 3, *sizes.latent_shape) for _ in range(3))
    moved = [
        network.move(flow, noisy, 300.0, actions, Before.of(frames, actions))
        for network, actions in ((plain, None), (steered, torch.zeros(1, 3, 2)), (steered, torch.ones(1, 3, 2)))
    ]
    torch.testing.assert_close(moved[0], moved[1])
    assert not torch.allclose(moved[0], moved[2])
