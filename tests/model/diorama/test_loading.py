"""Loading diorama from a folder, and every way its files can be wrong."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from longtake.model.config import even_timesteps, preset
from longtake.model.diorama.autoencoder import SHIPPED
from longtake.model.diorama.files import PARTS, bundled_folder
from longtake.model.diorama.loading import load, load_diorama
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.options import DioramaOptions
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.diorama.spec import SPEC, axes, capabilities
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import BackendError, CheckpointError, ConfigError, WorldError
from longtake.model.interface import Conditioning, LoadRequest
from longtake.model.loaded import LoadedModel
from longtake.model.network.transformer import Transformer
from longtake.model.weights import SIZES, read_sizes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the shipped layout."""
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("weights")
    parts = (
        Transformer(preset("diorama").transformer),
        MovingDecoder(SHIPPED),
        TextEncoder(TextEncoderConfig()),
        Probe(ProbeConfig()),
    )
    for name, module in zip(PARTS, parts, strict=True):
        state = {k: v.bfloat16() if v.is_floating_point() else v for k, v in module.state_dict().items()}
        save_file(state, out / f"{name}.safetensors")
    return out


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return load_diorama(folder, device="cpu", precision="fp32")


def test_the_description_says_what_step_gives(model: LoadedModel) -> None:
    world = model.open(seed=3, conditioning=Conditioning(prompt="a fox"))
    block = model.step(world)
    assert block.frames.shape == (1, model.info.first_block_frames, model.info.height, model.info.width, 3)
    assert block.frames.dtype == torch.uint8
    labels, confidence = model.read(block.frames[0])
    assert labels.keys() == confidence.keys()
    restored = model.restore(model.snapshot(world).to_bytes())
    assert model.step(restored).index == 1
    model.close(world)


def test_the_digest_follows_the_weights(folder: Path, tmp_path: Path, model: LoadedModel) -> None:
    for name in PARTS:
        (tmp_path / f"{name}.safetensors").write_bytes((folder / f"{name}.safetensors").read_bytes())
    assert load_diorama(tmp_path, precision="fp32").info.weights == model.info.weights
    state = load_file(tmp_path / "probe.safetensors")
    state["look.bias"] += 1
    save_file(state, tmp_path / "probe.safetensors")
    assert load_diorama(tmp_path, precision="fp32").info.weights != model.info.weights


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "weights are missing: .*decoder.safetensors; reinstall"),
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), "weights cannot be read: .*decoder.safetensors"),
        (lambda p: p.write_bytes(b"not weights"), "weights cannot be read"),
        (lambda p: _edit(p, "body.0.bias", None), "lacks body.0.bias"),
        (lambda p: _edit(p, "extra", torch.zeros(1)), "has extra, which this version does not know"),
        (lambda p: _edit(p, "body.0.bias", torch.zeros(3)), r"body.0.bias is \[3\], not \[256\]"),
    ],
)
def test_damaged_weights_are_named(folder: Path, tmp_path: Path, damage: object, message: str) -> None:
    for name in PARTS:
        (tmp_path / f"{name}.safetensors").write_bytes((folder / f"{name}.safetensors").read_bytes())
    damage(tmp_path / "decoder.safetensors")  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=message):
        load_diorama(tmp_path)


def test_a_folder_of_weights_and_how_they_are_driven(folder: Path, model: LoadedModel) -> None:
    request = LoadRequest(name="diorama", device="cpu", precision="fp32", options={"folder": str(folder)})
    assert SPEC.load(request).info.weights == model.info.weights
    driven = load_diorama(folder, device="cpu", precision="fp32", drive=lambda config: replace(config, sink_frames=0))
    assert driven.generator.config == replace(model.generator.config, sink_frames=0)
    assert driven.info == model.info


def test_more_sampler_steps(folder: Path, model: LoadedModel) -> None:
    usual = model.generator.config
    assert usual.timesteps == even_timesteps(4)
    request = LoadRequest(name="diorama", device="cpu", precision="fp32", options={"folder": str(folder), "steps": "8"})
    slower = load(request)
    assert slower.generator.config == replace(usual, timesteps=even_timesteps(8))
    for steps in ("0", "51", "many"):
        with pytest.raises(ConfigError, match="steps must be"):
            DioramaOptions.parse({"steps": steps})


def test_weights_say_how_they_are_sampled_and_distilled_ones_take_no_other_steps(tmp_path: Path, folder: Path) -> None:
    for part in folder.iterdir():
        (tmp_path / part.name).symlink_to(part)
    transformer = tmp_path / "transformer.safetensors"
    state = load_file(transformer)
    transformer.unlink()
    save_file(state, transformer, {"sampler": "euler"})
    request = LoadRequest(name="diorama", device="cpu", precision="fp32", options={"folder": str(tmp_path)})
    assert load(request).generator.config == replace(preset("diorama"), sampler="euler")
    assert load(replace(request, options=request.options | {"steps": "4"})).generator.config.sampler == "euler"
    with pytest.raises(ConfigError, match="distilled to 4 steps; leave --steps 8 out"):
        load(replace(request, options=request.options | {"steps": "8"}))


def _edit(path: Path, key: str, value: torch.Tensor | None) -> None:
    state = load_file(path)
    if value is None:
        del state[key]
    else:
        state[key] = value
    save_file(state, path)


def test_unknown_names_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no option nonsense; there are attention"):
        load(LoadRequest(name="diorama", options={"nonsense": "on"}))
    with pytest.raises(BackendError, match="no precision is called 'fp7'"):
        load_diorama(folder, precision="fp7")
    with pytest.raises(BackendError, match="no device is called"):
        load_diorama(folder, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(BackendError, match="use --device cpu"):
            load_diorama(folder, device="cuda")


def test_a_cue_with_the_same_prompt_costs_no_recache(model: LoadedModel) -> None:
    world = model.open(seed=3, conditioning=Conditioning(prompt="a fox"))
    model.step(world)
    model.settle(world)
    written_under = [frame.prompt for frame in world.past]
    model.cue(world, Conditioning(prompt="a fox"))
    assert [frame.prompt for frame in world.past] == written_under
    model.cue(world, Conditioning(prompt="a fox at night"))
    assert world.past[0].prompt.texts == ("a fox at night",)
    model.close(world)


def test_a_world_of_another_model_is_refused(model: LoadedModel) -> None:
    with pytest.raises(WorldError, match="a dict is not a world of this model"):
        model.step({})


def test_weights_with_actions_are_steered(folder: Path, tmp_path: Path) -> None:
    for name in PARTS[1:]:
        (tmp_path / f"{name}.safetensors").write_bytes((folder / f"{name}.safetensors").read_bytes())
    sizes = replace(preset("diorama").transformer, actions=2)
    torch.manual_seed(0)
    transformer = Transformer(sizes)
    with torch.no_grad():
        for part in (transformer.action_embedding, transformer.head):
            for parameter in part.parameters():
                parameter.normal_(std=0.3)
    metadata = {SIZES: json.dumps(asdict(sizes))}
    save_file(transformer.state_dict(), tmp_path / "transformer.safetensors", metadata)
    model = load_diorama(tmp_path, device="cpu", precision="fp32")
    assert "actions" in model.info.capabilities
    assert [(axis.name, axis.low, axis.high) for axis in model.info.axes] == [("speed", -1, 1), ("lift", -1, 1)]
    pictures = []
    for actions in ((), (0.0, 0.0), (1.0, 0.0)):
        world = model.open(seed=3, conditioning=Conditioning(prompt="a fox"))
        model.cue(world, Conditioning(prompt="a fox", actions=actions))
        pictures.append(model.step(world).frames)
        model.close(world)
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_the_shipped_weights_have_the_axes_that_the_registry_announces() -> None:
    sizes = read_sizes(bundled_folder() / "transformer.safetensors", preset("diorama").transformer)
    assert SPEC.axes == axes(sizes)
    assert SPEC.capabilities == capabilities(sizes)
