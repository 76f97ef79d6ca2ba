"""The worlds of the recipes, and what they refuse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from longtake.model.config import preset
from longtake.model.errors import CheckpointError, ConfigError, TrainingError
from longtake.model.longlive.files import open_tensors
from longtake.model.network.transformer import Transformer
from longtake.model.training.data.prompt_files import PromptPair
from longtake.model.training.data.texts import TextFolder
from longtake.model.training.recipes.transformer import PRESETS
from longtake.model.training.recipes.wan_world import WAN_14B, WanWorld, map_weights
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.recipes.worlds import Captions, DioramaWorld, check_same_world
from longtake.model.training.whole_weights import write_network
from longtake.model.weights import Sampling

WAN = preset("longlive-1.3b").transformer


def test_the_teacher_has_the_generators_latents_and_text() -> None:
    check_same_world("teacher", WAN_14B, WAN)
    with pytest.raises(ConfigError, match="teacher is of another world: its latent_height is 12"):
        check_same_world("teacher", preset("diorama").transformer, WAN)


def test_captions_are_the_same_however_they_are_asked_for() -> None:
    drawn = Captions(50, seed=3)
    every = list(drawn)
    assert len(every) == len(drawn) == 50
    assert drawn[7:9] == every[7:9] == [drawn[7], drawn[8]]
    assert drawn[-1] == every[49]
    assert len(set(every)) == 50
    assert Captions(50, seed=4)[7] != every[7]
    with pytest.raises(IndexError):
        drawn[50]


def test_a_distilled_generator_is_taught_by_what_it_was_distilled_from(tmp_path: Path, parts: Path) -> None:
    """Its own noise levels are too few for a score."""
    sizes = PRESETS["tiny"]
    two = Sampling(sampler="euler", timesteps=(1000.0, 500.0))
    for folder, sampling in ((tmp_path, two), (tmp_path / "teacher", None)):
        folder.mkdir(exist_ok=True)
        write_network(Transformer(sizes), folder / "transformer.safetensors", sampling)
    world = DioramaWorld(start=str(tmp_path), parts=parts)
    assert Sampling.of(world.config) == two
    state = load_file(tmp_path / "teacher" / "transformer.safetensors")
    for network in (world.teacher(), world.critic()):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    own = load_file(tmp_path / "transformer.safetensors")
    assert all(torch.equal(value, own[name]) for name, value in world.generator().state_dict().items())


def test_diorama_draws_captions_and_actions(parts: Path) -> None:
    world = DioramaWorld(random=PRESETS["tiny"], parts=parts)
    pair = world.pairs[0]
    assert pair.second
    assert pair.second != pair.first
    assert world.text([pair.first]).shape == (1, 6, 192)
    actions = world.actions(8, 2, np.random.default_rng(0))
    assert actions is not None
    assert actions.shape == (2, 8, 2)


def test_weights_of_another_network_are_refused(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="are missing"):
        DioramaWorld(start=str(tmp_path), parts=parts).generator()


def test_longlive_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs --teacher --critic --texts --prompts"):
        WorldConfig(model="longlive-1.3b", start="somewhere").world()
    with pytest.raises(ConfigError, match="needs --start --texts;"):
        WorldConfig(model="longlive-1.3b").world(("start", "texts"))
    TextFolder(tmp_path).claim("umt5", WAN.text_dim)
    world = WanWorld(teacher="b", texts=tmp_path, pairs=[PromptPair("a fox")], needed=("texts",))
    with pytest.raises(TrainingError, match="lacks the text of 2 of 2 prompts, the first "):
        world.check()
    with pytest.raises(TrainingError, match="lacks the text of 1 of 1 prompts, the first 'a fox'; encode them"):
        world.text(["a fox"])
    with pytest.raises(CheckpointError, match=r"has no transformer \("):
        WanWorld(teacher=str(tmp_path), needed=("teacher",)).check()
    with pytest.raises(CheckpointError, match="has no VAE for --vae"):
        WanWorld(teacher=str(tmp_path), needed=("vae",)).check()


def test_a_teacher_of_another_model_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    """The 1.3B in the place of the 14B: only its header counts, so that the test's file is one tensor."""
    with torch.device("meta"):
        names = list(Transformer(WAN_14B).state_dict())
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "diffusion_pytorch_model.safetensors")
    with pytest.raises(
        CheckpointError, match="it is another model than a teacher of 40 layers of width 5120"
    ) as caught:
        WanWorld(teacher=str(tmp_path), needed=("teacher",)).check()
    assert "\n" not in str(caught.value)


def test_weights_of_the_wanted_type_stay_in_their_file(small: Any, tmp_path: Path) -> None:
    kept = small.transformer(small.config()).to(torch.bfloat16).state_dict()
    save_file(kept, tmp_path / "weights.safetensors")
    file = open_tensors(tmp_path / "weights.safetensors")
    for dtype in (torch.bfloat16, torch.float32):
        with torch.device("meta"):
            module = Transformer(small.config().transformer)
        map_weights(module, file, dtype)
        assert {value.dtype for value in module.parameters()} == {dtype}
        for name, value in module.state_dict().items():
            assert torch.equal(value, kept[name].to(dtype)), name


def test_a_windows_first_frame_is_encoded_again() -> None:
    world = WanWorld(random=True)
    reencode = world.reencode(torch.device("cpu"))
    assert reencode is not None
    latents = torch.randn(2, 5, *world.config.transformer.latent_shape, generator=torch.Generator().manual_seed(0))
    image = reencode(latents)
    assert image.shape == (2, 1, *world.config.transformer.latent_shape)
    assert image.isfinite().all()
    assert not image.is_inference()
    other = latents.clone()
    other[:, -1] += 1
    assert (reencode(other) - image).norm() > 1e-3
    assert (reencode(latents[1:]) - image[1:]).abs().max() < 1e-3, "each take alone"


def test_random_networks_are_the_same_on_every_rank() -> None:
    first, again = (WanWorld(random=True).generator().state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="no recipe trains a model called 'wan'"):
        WorldConfig(model="wan")
    with pytest.raises(ConfigError, match="needs --prompts"):
        replace(WorldConfig(), second_prompts="b.txt")
