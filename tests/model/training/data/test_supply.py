"""How a pool is filled and kept fresh."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from longtake.model.errors import CheckpointError, ConfigError, TrainingError
from longtake.model.training.data.drawing import DrawingConfig
from longtake.model.training.data.supply import Supply, SupplyConfig

CPU = torch.device("cpu")


@contextmanager
def supply(drawing: DrawingConfig, now: list[float], rank: int = 0, ranks: int = 1, **changes: int) -> Iterator[Supply]:
    sizes = {"pool_clips": 4, "first_clips": 2} | changes
    made = Supply(
        SupplyConfig(drawing=drawing, refresh=0.25, **sizes),  # type: ignore[arg-type]
        encoder=drawing.text_encoder,
        latent_shape=(16, 12, 20),
        device=CPU,
        rank=rank,
        ranks=ranks,
        clock=lambda: now[0],
    )
    yield made
    made.close()


def test_drawing_keeps_to_its_share_of_the_time(short: DrawingConfig) -> None:
    now = [0.0]
    with supply(short, now) as made:
        encode = made.encoder.encode

        def slow(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[type-arg]
            now[0] += 1.0
            return encode(clips)

        made.encoder.encode = slow  # type: ignore[method-assign, assignment]
        made.begin()
        assert made.drawn == 2
        assert made.pool.filled.tolist() == [0, 1]
        drawn = []
        for _ in range(5):
            now[0] += 0.5
            made.refresh()
            drawn.append(made.drawn)
        assert drawn == [3, 3, 3, 3, 4], "three tenths of the time until the pool is full"
        for _ in range(60):
            now[0] += 0.5
            made.refresh()
        share = (made.drawn - 2) / (now[0] - 2)
        assert share == pytest.approx(0.25, abs=0.03)
        assert len(made.pool.filled) == 4
        latents = made.pool.latents.float()
        assert 0.3 < float(latents.std()) < 3


def test_ranks_fill_their_own_slots(short: DrawingConfig) -> None:
    with supply(short, [0.0], rank=1, ranks=2) as made:
        made.begin()
        assert made.pool.filled.tolist() == [1]


def test_a_resumed_run_goes_on_with_clips_not_seen_before(short: DrawingConfig) -> None:
    with supply(short, [0.0], first_clips=1) as made:
        made.drawn = 7
        made.begin()
        assert made.pool.filled.tolist() == [3]
    with supply(short, [0.0], first_clips=1) as other:
        other.begin()
        assert not torch.equal(made.pool.actions[3], other.pool.actions[0])


def test_held_out_clips_are_others(short: DrawingConfig) -> None:
    with supply(short, [0.0]) as made:
        made.begin()
        apart = made.apart(1, seed=99)
        assert apart.filled.tolist() == [0]
        assert not torch.equal(apart.latents[0], made.pool.latents[0])


def test_bad_input_is_refused(short: DrawingConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="first_clips must"):
        SupplyConfig(pool_clips=4, first_clips=5)
    for encoder, error in ((tmp_path, "does not exist"), (tmp_path / "none", "does not exist")):
        with pytest.raises(CheckpointError, match=error):
            Supply(SupplyConfig(drawing=short), encoder=encoder, latent_shape=(16, 12, 20), device=CPU)
    small = Supply(
        SupplyConfig(drawing=short, pool_clips=1, first_clips=1),
        encoder=short.text_encoder,
        latent_shape=(16, 4, 6),
        device=CPU,
    )
    with pytest.raises(TrainingError, match=r"the encoder makes latents .*, the transformer takes"):
        small.begin()
