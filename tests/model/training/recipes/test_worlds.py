"""The worlds of the recipes, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from longtake.model.config import preset
from longtake.model.errors import CheckpointError, ConfigError, TrainingError
from longtake.model.training.data.prompt_files import PromptPair
from longtake.model.training.recipes.distillation import WorldConfig
from longtake.model.training.recipes.transformer import PRESETS
from longtake.model.training.recipes.worlds import WAN_14B, DioramaWorld, WanWorld, check_same_world

WAN = preset("longlive-1.3b").transformer


def test_the_teacher_has_the_generators_latents_and_text() -> None:
    check_same_world("teacher", WAN_14B, WAN)
    with pytest.raises(ConfigError, match="teacher is of another world: its latent_height is 12"):
        check_same_world("teacher", preset("diorama").transformer, WAN)


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
    world = WanWorld(start="a", teacher="b", critic="c", texts=tmp_path, pairs=[PromptPair("a fox")])
    with pytest.raises(TrainingError, match=r"lacks the text of 'a fox'; encode it"):
        world.text(["a fox"])


def test_random_networks_are_the_same_on_every_rank() -> None:
    first, again = (WanWorld(random=True).generator().state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="no recipe trains a model called 'wan'"):
        WorldConfig(model="wan")
    with pytest.raises(ConfigError, match="needs --prompts"):
        replace(WorldConfig(), second_prompts="b.txt")
