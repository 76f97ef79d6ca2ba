"""The motion head's recipe: the transformer is asked once, and stays as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from longtake.model.config import TransformerConfig
from longtake.model.errors import ConfigError
from longtake.model.network.motion_head import Before
from longtake.model.network.transformer import Transformer
from longtake.model.training.data.drawing import DrawingConfig
from longtake.model.training.data.sampling import SamplingConfig
from longtake.model.training.data.supply import SupplyConfig
from longtake.model.training.objectives.flow import FlowConfig
from longtake.model.training.recipes.motion import CONTEXT_NOISE, HEAD, SETTLED, MotionTask, MotionTaskConfig, recipe
from longtake.model.training.recipes.transformer import PRESETS
from longtake.model.training.task import Turn

SIZES = replace(PRESETS["tiny"], dim=32, ffn_dim=32, layers=1, motion_width=8)


def weights(folder: Path, sizes: TransformerConfig = SIZES) -> str:
    torch.manual_seed(0)
    network = Transformer(sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_file(network.state_dict(), folder / "transformer.safetensors")
    return str(folder)


@contextmanager
def task(folder: Path, short: DrawingConfig, start: str) -> Iterator[MotionTask]:
    config = MotionTaskConfig(
        folder=folder,
        parts=short.text_encoder,
        start=start,
        transformer=SIZES,
        supply=SupplyConfig(drawing=short, pool_clips=2, first_clips=2, refresh=0.0),
        sampling=SamplingConfig(frames=6),
        flow=FlowConfig(copies=2, guidance=0.3),
        kept=3,
        kept_first=2,
        steps_each=2,
        frames=5,
        foretelling=0.5,
        held_out=0,
        compile=False,
    )
    made = MotionTask(config)
    made.prepare()
    yield made
    made.close()


def test_only_the_head_learns_and_it_learns(tmp_path: Path, short: DrawingConfig) -> None:
    start = weights(tmp_path, replace(SIZES, motion_width=0))
    with task(tmp_path, short, start) as made:
        learning = {name for name, p in made.module.named_parameters() if p.requires_grad}
        assert learning == {name for name, _ in made.module.named_parameters() if name.startswith(HEAD)}
        before = {name: value.clone() for name, value in made.module.state_dict().items()}
        optimiser = torch.optim.Adam([p for p in made.module.parameters() if p.requires_grad], lr=0.01)
        figures = []
        for step in range(60):
            loss, each = made.loss(made.batch(Turn.at(step, seed=1, progress=step / 60)), step / 60)
            loss.backward()
            made.collect_gradients()
            optimiser.step()
            optimiser.zero_grad()
            figures.append({name: float(value) for name, value in each.items()})
        assert all(set(each) == {"foretold"} for each in figures[:30])
        assert all(set(each) == {"foretold", "corrected", "transformer"} for each in figures[30:])
        foretold = [each["foretold"] for each in figures]
        assert np.mean(foretold[20:30]) < 0.8 * foretold[0]
        shares = [each["corrected"] / each["transformer"] for each in figures[30:]]
        assert shares[0] == pytest.approx(1.0), "as built it changes nothing"
        assert np.mean(shares[-10:]) < 0.95
        assert made.answers.taken == 2 + 14, "one more clip in every second step"
        after = made.module.state_dict()
        assert all(torch.equal(before[name], after[name]) != name.startswith(HEAD) for name in before)


def test_frames_to_foretell_follow_the_ones_before_them(tmp_path: Path, short: DrawingConfig) -> None:
    with task(tmp_path, short, weights(tmp_path)) as made:
        pool = made.supply.pool
        pool.switch[:] = (3, -1)
        seen = set()
        for step in range(40):
            drawn = made.batch(Turn.at(step, seed=1)).foretelling
            assert drawn.before.known.all()
            for n in range(5):
                clip, frame = (pool.latents == drawn.wanted[n, 0].half()).flatten(2).all(2).nonzero()[0].tolist()
                assert clip == 1 or frame == 2 or frame >= 3 + SETTLED
                assert drawn.actions is not None
                assert drawn.before.actions is not None
                assert drawn.actions[n, 0].equal(pool.actions[clip, frame])
                assert drawn.before.actions[n, 0].equal(pool.actions[clip, frame - 1])
                told = torch.stack((pool.latents[clip, frame - 1], pool.latents[clip, frame - 2])).float()
                apart = (drawn.before.latents[n, 0] - told).std() / CONTEXT_NOISE
                assert apart < 1.1
                seen |= {(clip, frame, bool(apart > 0))}
        assert {clip for clip, _, _ in seen} == {0, 1}
        assert {noisy for _, _, noisy in seen} == {False, True}


def test_what_is_kept_is_what_the_transformer_answers(tmp_path: Path, short: DrawingConfig) -> None:
    """A head that stands in the weights to start from is no part of the answers, and the past is the clip's."""
    with task(tmp_path, short, weights(tmp_path)) as made:
        turn = Turn.at(0, seed=1, progress=0.6)
        drawn = made.batch(turn).weighing
        assert drawn is not None
        assert drawn.flow.shape == (5, 1, 16, 12, 20)
        assert drawn.before.latents.shape == (5, 1, 2, 16, 12, 20)
        store = made.answers
        for n in range(5):
            slot, copy, frame = (store._noised["noisy"] == drawn.noisy[n, 0].half()).flatten(3).all(3).nonzero()[0]
            assert store._counted[slot, frame]
            assert drawn.sigma[n, 0] == store._sigma[slot, copy, frame]
            assert drawn.weights[n, 0].equal(store._weights[slot, frame])
            assert store._actions is not None
            assert drawn.actions is not None
            assert drawn.actions[n, 0].equal(store._actions[slot, frame])
            whole = Before.of(store._clean[slot][None].float(), store._actions[slot][None])
            assert whole.actions is not None
            assert drawn.before.actions is not None
            assert drawn.before.latents[n, 0].equal(whole.latents[0, frame])
            assert drawn.before.known[n, 0].equal(whole.known[0, frame])
            assert drawn.before.actions[n, 0].equal(whole.actions[0, frame])
        clips = made.sampler.clips(1, np.random.default_rng(3))
        torch.manual_seed(4)
        asked = made.objective.ask(made.body, clips)
        flow = asked.packed.flow(made.body, asked.xt, asked.sigma)
        module = made.module
        assert isinstance(module, Transformer)
        with torch.no_grad():
            moved = asked.packed.flow(module, asked.xt, asked.sigma)
            before = Before.of(asked.packed.clean, clips.actions).repeat(2)
            assert clips.actions is not None
            told = clips.actions.repeat(1, 2, 1)
            t = asked.sigma.flatten(1) * 1000
            again = made.head(flow.flatten(1, 2), asked.xt.flatten(1, 2), t, told, before)
        torch.testing.assert_close(moved.flatten(1, 2), again, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(moved, flow, atol=1e-2)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for changes, said in (
        ({"start": ""}, "name it with --start"),
        ({"teacher": "some"}, "name it with --start"),
        ({"transformer": replace(SIZES, motion_width=0)}, "no motion head"),
        ({"kept": 2, "kept_first": 3}, "at most kept 2"),
        ({"frames": 0}, "frames"),
    ):
        with pytest.raises(ConfigError, match=said):
            MotionTaskConfig(**{"folder": tmp_path, "start": "some", "transformer": SIZES} | changes)
    with pytest.raises(ConfigError, match="no network is called 'huge'"):
        recipe(tmp_path, "cpu", 1.0, start="some", network="huge")
