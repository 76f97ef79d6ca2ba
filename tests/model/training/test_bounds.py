"""Every number of a recipe has its limits, and what is beyond them is refused by name."""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from longtake.model.errors import ConfigError
from longtake.model.training.loop import LoopConfig
from longtake.model.training.objectives.flow import FlowConfig
from longtake.model.training.recipes.autoencoder import AutoencoderTaskConfig
from longtake.model.training.recipes.distillation import DistillationConfig
from longtake.model.training.recipes.motion import MotionTaskConfig
from longtake.model.training.recipes.ode_init import OdeConfig
from longtake.model.training.recipes.trajectories import TrajectoriesConfig
from longtake.model.training.recipes.transformer import TransformerTaskConfig
from longtake.model.training.sharded_run import ShardedConfig

CONFIGS = (
    LoopConfig(steps=1, lr=0.1),
    ShardedConfig(steps=1),
    FlowConfig(),
    AutoencoderTaskConfig(data=("a",), held_out="b"),
    TransformerTaskConfig(folder=Path("x")),
    MotionTaskConfig(folder=Path("x"), start="y"),
    DistillationConfig(folder=Path("x")),
    OdeConfig(folder=Path("x"), trajectories=Path("y")),
    TrajectoriesConfig(folder=Path("x")),
)


def numbers(config: object) -> Iterator[tuple[Any, str]]:
    """All numeric fields, those of the configurations within too, each with its configuration."""
    for each in fields(config):  # type: ignore[arg-type]
        value = getattr(config, each.name)
        if is_dataclass(value):
            yield from numbers(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield config, each.name


ALL = {f"{type(config).__name__}.{name}": (config, name) for one in CONFIGS for config, name in numbers(one)}


@pytest.mark.parametrize("which", ALL)
@pytest.mark.parametrize("value", [-1, math.nan])
def test_no_number_is_negative_or_none_at_all(which: str, value: float) -> None:
    config, name = ALL[which]
    with pytest.raises(ConfigError) as caught:
        replace(config, **{name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ranks", 0, "ranks must be at least 1, not 0"),
        ("log_every", 0, "log_every must be at least 1, not 0"),
        ("decay_fraction", 0, "decay_fraction must be positive, not 0"),
        ("decay_fraction", 1.5, "decay_fraction is a share, 0 to 1, not 1.5"),
        ("ema", 1, "ema is a share, 0 to below 1, not 1"),
        ("lr", 0, "lr must be positive, not 0"),
    ],
)
def test_what_is_wrong_with_a_number_is_said(name: str, value: float, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(CONFIGS[0], **{name: value})
    assert str(caught.value) == said
