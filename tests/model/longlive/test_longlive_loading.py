"""A model of LongLive's kind, loaded from every layout and from random weights, and driven through the verbs."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from longtake.model.config import preset
from longtake.model.errors import BackendError, CheckpointError, ConfigError
from longtake.model.interface import Conditioning, LoadRequest, load_model, model_spec
from longtake.model.loaded import LoadedModel
from longtake.model.longlive.layouts import Layout
from longtake.model.longlive.loading import TINY, VARIANTS, Loader, fingerprint, load_longlive
from longtake.model.longlive.options import LongLiveOptions
from longtake.model.longlive.taehv import TinyDecoder
from longtake.model.longlive.wan_vae import WanDecoder
from longtake.model.network.transformer import Transformer


def tiny(name: str) -> LoadedModel:
    return load_longlive(name, device="cpu", precision="fp32", options=LongLiveOptions(random_weights="tiny"))


def drive(model: LoadedModel) -> list[torch.Tensor]:
    """Two blocks, a cue, a block."""
    world = model.open(seed=1, conditioning=Conditioning(prompt="a red balloon"))
    blocks = [model.step(world), model.step(world)]
    model.cue(world, Conditioning(prompt="the sea at night"))
    blocks.append(model.step(world))
    frames = [block.frames for block in blocks]
    assert [part.shape[1] for part in frames] == [9, 12, 12]
    assert [block.first_frame for block in blocks] == [0, 9, 21]
    data = model.snapshot(world).to_bytes()
    model.close(world)
    again = model.restore(data)
    after = model.step(again)
    assert after.first_frame == 33
    model.close(again)
    return [*frames, after.frames]


def test_tiny_random_weights() -> None:
    model = load_longlive(
        "longlive-1.3b", device="cpu", precision="fp32", options=LongLiveOptions(random_weights="tiny")
    )
    info = model.info
    assert (info.height, info.width, info.block_frames, info.first_block_frames) == (64, 96, 12, 9)
    assert (info.fps, info.window_blocks, info.weights) == (16, 4, "random-tiny-0")
    frames = drive(model)
    assert frames[0].shape[2:] == (64, 96, 3)
    assert frames[0].dtype is torch.uint8
    assert all(part.float().std() > 1 for part in frames)
    with pytest.raises(ConfigError, match="has no probe"):
        model.read(frames[0][0])


def test_the_same_seed_gives_the_same_pictures() -> None:
    def first(seed: int) -> torch.Tensor:
        options = LongLiveOptions(random_weights="tiny", seed=seed)
        model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options)
        frames = model.step(model.open(seed=1, conditioning=Conditioning(prompt="x"))).frames
        return frames

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


def test_wan_s_own_decoder_with_random_weights(small_models: None) -> None:
    pytest.importorskip("diffusers")
    options = LongLiveOptions(random_weights="tiny", decoder="wan")
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options)
    assert isinstance(model.generator.decoder, WanDecoder)
    frames = model.step(model.open(seed=1, conditioning=Conditioning(prompt="x"))).frames
    assert frames.shape[1:4] == (9, 8 * TINY.latent_height, 8 * TINY.latent_width)


def test_full_size_is_the_public_model() -> None:
    """What `random_weights="full"` and the files are loaded into, without the memory."""
    loader = Loader("longlive-1.3b", LongLiveOptions(random_weights="full"), torch.device("meta"), torch.bfloat16)
    assert loader.config == preset("longlive-1.3b")
    with torch.device("meta"):
        transformer = Transformer(loader.config.transformer)
    assert sum(p.numel() for p in transformer.parameters()) == 1_418_996_800
    assert (loader.describe().height, loader.describe().width) == (480, 832)


@pytest.fixture
def folder(checkpoints: Any, tmp_path: Path, small_models: None) -> Path:
    """Everything but the transformer, small."""
    pytest.importorskip("transformers")
    checkpoints.tiny_decoder(tmp_path / "Autoencoders")
    checkpoints.text_encoder(tmp_path / "Wan2.1-T2V-1.3B")
    return tmp_path


def options(folder: Path, **changes: Any) -> LongLiveOptions:
    return LongLiveOptions(folder=folder, prompts_folder=folder / "prompts", lora_alpha=4.0, **changes)


@pytest.mark.parametrize("layout", ["longlive", "wan", "diffusers"])
def test_every_layout_makes_the_same_take(
    checkpoints: Any, folder: Path, layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints.transformer(folder, layout)
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options(folder, lora=False))
    assert isinstance(model.generator.decoder, TinyDecoder)
    assert torch.equal(
        model.generator.transformer.get_parameter("blocks.0.ffn.0.weight"), checkpoints.weights["blocks.0.ffn.0.weight"]
    )
    assert all(part.float().std() > 1 for part in drive(model))
    assert len(model.info.weights) == 16
    assert ("is not causal" in caplog.text) == (layout != "longlive")


def test_longlive_is_base_and_lora(checkpoints: Any, folder: Path) -> None:
    base = checkpoints.transformer(folder, "longlive")
    with pytest.raises(CheckpointError, match=r"lora\.pt is missing"):
        load_longlive("longlive-1.3b", device="cpu", precision="bf16", options=options(folder))
    tensors = checkpoints.lora()
    checkpoints.save(base.with_name("lora.pt"), {"generator_lora": tensors})
    model = load_longlive("longlive-1.3b", device="cpu", precision="bf16", options=options(folder))
    name = "blocks.1.cross_attn.v"
    a, b = (tensors[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    wanted = (checkpoints.weights[f"{name}.weight"] + b @ a).bfloat16()
    torch.testing.assert_close(
        model.generator.transformer.get_parameter(f"{name}.weight"), wanted, rtol=1e-2, atol=1e-2
    )
    drive(model)


def test_self_forcing(checkpoints: Any, folder: Path) -> None:
    checkpoints.transformer(folder, "self-forcing")
    assert VARIANTS["self-forcing-1.3b"].layouts[0] == "self-forcing"
    drive(load_longlive("self-forcing-1.3b", device="cpu", precision="fp32", options=options(folder)))
    with pytest.raises(CheckpointError, match="has no transformer"):
        load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options(folder))


def test_a_window_without_a_sink_steps() -> None:
    model = load_longlive(
        "self-forcing-1.3b", device="cpu", precision="fp32", options=LongLiveOptions(random_weights="tiny")
    )
    assert (model.generator.config.window_frames, model.generator.config.sink_frames) == (21, 0)
    drive(model)


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("Wan2.1-T2V-1.3B/models_t5_umt5-xxl-enc-bf16.pth", "no text encoder"),
        ("Wan2.1-T2V-1.3B/google/umt5-xxl/tokenizer.json", "no tokenizer"),
        ("Autoencoders/taew2_1.pth", "no decoder"),
    ],
)
def test_what_is_missing_is_named(checkpoints: Any, folder: Path, lost: str, named: str) -> None:
    checkpoints.transformer(folder, "wan")
    (folder / lost).unlink()
    with pytest.raises(CheckpointError, match=named) as caught:
        load_longlive("longlive-1.3b", device="cpu", options=options(folder))
    message = str(caught.value)
    assert Path(lost).name in message or "Wan2.1_VAE.pth" in message
    assert "models pull" in message
    assert "\n" not in message


def test_wan_s_decoder_where_the_tiny_one_is_not(checkpoints: Any, folder: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    checkpoints.transformer(folder, "wan")
    checkpoints.wan_vae(folder / "wan_models" / "Wan2.1-T2V-1.3B", diffusers.AutoencoderKLWan(base_dim=8, z_dim=16))
    (folder / "Autoencoders" / "taew2_1.pth").unlink()
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options(folder))
    assert isinstance(model.generator.decoder, WanDecoder)


def test_prompts_are_kept(checkpoints: Any, folder: Path) -> None:
    checkpoints.transformer(folder, "wan")
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options(folder))
    model.prepare(Conditioning(prompt="a red balloon"))
    assert len(list((folder / "prompts").glob("*.safetensors"))) == 1


def test_options_reach_the_generator(checkpoints: Any, folder: Path) -> None:
    checkpoints.transformer(folder, "wan")
    changed = options(folder, positions="relative", sink_on_recache="refresh", keep_prompts=False)
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=changed)
    assert (model.generator.config.positions, model.generator.config.sink_on_recache) == ("relative", "refresh")
    assert not (folder / "prompts").exists()


def test_mistakes_in_the_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="decoder must be one of"):
        LongLiveOptions(decoder="vae")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="lora_alpha"):
        LongLiveOptions(lora_alpha=0)
    with pytest.raises(CheckpointError, match="is no folder"):
        load_longlive("longlive-1.3b", device="cpu", options=LongLiveOptions(folder=tmp_path / "none"))
    with pytest.raises(ConfigError, match="no model of LongLive's kind is called 'x'"):
        load_longlive("x")


def test_options_as_texts() -> None:
    texts = {"random-weights": "tiny", "seed": "3", "lora": "off", "folder": "x", "lora_alpha": "8", "averaged": "on"}
    assert LongLiveOptions.parse(texts) == LongLiveOptions(
        random_weights="tiny", seed=3, lora=False, folder=Path("x"), lora_alpha=8.0, averaged=True
    )
    model = load_model(
        model_spec("longlive-1.3b"),
        LoadRequest(
            name="longlive-1.3b",
            device="cpu",
            precision="fp32",
            options={"random_weights": "tiny", "seed": "3"},
        ),
    )
    assert model.info.weights == "random-tiny-3"
    for name, text, message in (
        ("decoder", "vae", "must be one of"),
        ("lora", "maybe", "on or off"),
        ("seed", "x", "must be a number"),
        ("weights", "x", "there is no option weights"),
    ):
        with pytest.raises(ConfigError, match=message):
            LongLiveOptions.parse({name: text})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_encoder_is_not_put_on_a_gpu_that_is_not_there(checkpoints: Any, folder: Path) -> None:
    checkpoints.transformer(folder, "wan")
    with pytest.raises(BackendError, match="use cpu"):
        load_longlive("longlive-1.3b", device="cpu", options=options(folder, text_encoder="offload"))


def test_fingerprints_tell_files_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(bytes(10_000_000))
    other.write_bytes(bytes(5_000_000) + b"x" + bytes(4_999_999))
    assert fingerprint([one]) == fingerprint([one])
    assert len(fingerprint([one])) == 16
    assert fingerprint([one]) != fingerprint([one, one])
    other.write_bytes(bytes(9_999_999) + b"x")
    assert fingerprint([one]) != fingerprint([other])
    other.write_bytes(bytes(10_000_001))
    assert fingerprint([one]) != fingerprint([other])


def test_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="longtake")
    load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=LongLiveOptions(random_weights="tiny"))
    assert [line.split(" of ")[0] for line in caplog.messages if line.startswith("transformer")] == [
        f"transformer: {share} %" for share in (20, 40, 60, 80, 100)
    ]


def test_progress_is_told(checkpoints: Any, folder: Path) -> None:
    checkpoints.transformer(folder, "wan")
    told: list[tuple[int, int]] = []
    load_longlive(
        "longlive-1.3b",
        device="cpu",
        precision="fp32",
        options=options(folder),
        progress=lambda done, total: told.append((done, total)),
    )
    total = 4 * sum(value.numel() for value in checkpoints.weights.values())
    assert told[-1] == (total, total)
    assert 0 < told[0][0] < total
    assert [done for done, _ in told] == sorted(done for done, _ in told)
