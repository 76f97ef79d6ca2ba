"""The motion head: what it looks back at, and that every way of running a network runs it alike."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig, preset
from longtake.model.errors import ConfigError
from longtake.model.generation.noise import SeededNoise
from longtake.model.generation.schedule import Schedule
from longtake.model.generation.snapshot import Snapshot
from longtake.model.network.motion_head import Before, MotionHead
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import CausalScore, Conditioning
from longtake.model.training.objectives.teacher_forcing import FlowBatch, Packed
from longtake.model.training.objectives.window import WindowAttention

ACTIONS = [(0.0, 0.0), (1.0, -0.5), (-1.0, 0.25), (0.0, 0.0), (0.5, 0.5), (-0.5, 1.0)]


def moving(small: Any, **changes: Any) -> GeneratorConfig:
    """A small config like diorama's, with a motion head."""
    shape = {"block_frames": 1, "window_frames": 4, "sink_frames": 1, "positions": "relative", "recache": "causal"}
    config: GeneratorConfig = small.config(**shape | {"timesteps": (1000.0, 500.0), "sampler": "euler"} | changes)
    return replace(config, transformer=replace(config.transformer, actions=2, motion_width=8))


def test_before_is_the_last_two_frames_and_what_the_last_was_made_under() -> None:
    frames = torch.arange(1.0, 5.0).view(1, 4, 1, 1, 1)
    before = Before.of(frames, torch.tensor([[[0.1], [0.2], [0.3], [0.4]]]))
    assert before.latents.flatten(1).tolist() == [[0, 0, 1, 0, 2, 1, 3, 2]]
    assert before.known.tolist() == [[[0, 0], [1, 0], [1, 1], [1, 1]]]
    assert before.actions is not None
    assert before.actions.flatten().tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    twice = before.repeat(2)
    assert torch.equal(twice.latents, torch.cat((before.latents, before.latents), 1))
    alone = Before.of(frames[:, :1])
    assert alone.actions is None
    assert not alone.known.any()


def test_as_built_it_changes_nothing_and_all_of_it_learns() -> None:
    head = MotionHead(3, 8, 2)
    head.initialise()
    flow, noisy, frames = (torch.randn(2, 4, 3, 4, 6) for _ in range(3))
    actions = torch.randn(2, 4, 2)
    t, before = torch.rand(2, 4) * 1000, Before.of(frames, actions)
    assert torch.equal(head(flow, noisy, t, actions, before), flow)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    head(flow, noisy, t, actions, before).square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    rest = head(flow, noisy, t, None, before._replace(actions=None))
    still = torch.zeros_like(actions)
    assert torch.equal(rest, head(flow, noisy, t, still, before._replace(actions=still)))
    assert not torch.allclose(rest, head(flow, noisy, t, actions, before))


def test_a_take_is_what_teacher_forcing_learns(small: Any) -> None:
    """Each frame's flow in a running take is that of the packed clips, given the same past."""
    config = moving(small)
    generator = small.generator(config)
    text = small.embedding(config, 0)
    world = generator.open(seed=3, embedding=text)
    seen: list[tuple[Tensor, Tensor]] = []
    for actions in ACTIONS:
        generator.steer(world, actions)
        generator.step(world, lambda name, xt, flow, x0: seen.append((xt, flow)))
    latents = torch.cat([w.latents[:, None] for w in world.past], 1)
    assert latents.shape[1] == 4, "the window"
    made = generator.open(seed=3, embedding=text)
    frames = []
    for actions in ACTIONS[:4]:
        generator.steer(made, actions)
        frames.append(generator.step(made).latents)
    clip, told = torch.cat(frames, 1), torch.tensor([ACTIONS[:4]])
    batch = FlowBatch(latents=clip, counted=torch.ones(1, 4), weights=torch.ones(1, 4, 4, 6), text=text, actions=told)
    packed = Packed(batch, 2, torch.zeros(1, 4), WindowAttention(config, 4, 3, torch.float32))
    levels = torch.tensor(Schedule(config.shift).warp(config.timesteps)) / 1000
    sigma = levels.view(1, 2, 1).expand(1, 2, 4)
    xt = torch.stack([torch.cat([seen[2 * f + s][0] for f in range(4)], 1) for s in range(2)], 1)
    flow = packed.flow(generator.transformer, xt, sigma)
    wanted = torch.stack([torch.cat([seen[2 * f + s][1] for f in range(4)], 1) for s in range(2)], 1)
    assert small.error(flow, wanted) < 1e-5
    generator.transformer.motion_head = None
    without = replace(config, transformer=replace(config.transformer, motion_width=0))
    generator.transformer.config = without.transformer
    assert small.error(packed.flow(generator.transformer, xt, sigma), wanted) > 1e-2, "the head matters here"


@pytest.mark.parametrize("recaches", [False, True])
def test_a_rollout_is_the_take(small: Any, recaches: bool) -> None:
    config = moving(small, sink_on_recache="refresh", recache_frames=2)
    generator = small.generator(config)
    text, other = small.embedding(config, 0), small.embedding(config, 1)
    world = generator.open(seed=3, embedding=text)
    streamed = []
    for index, actions in enumerate(ACTIONS):
        generator.steer(world, actions)
        if recaches and index == 4:
            generator.cue(world, embedding=other)
        streamed.append(generator.step(world).latents)
    rollout, told = Rollout(small.transformer(config), config), torch.tensor([ACTIONS])
    take = rollout.open(Conditioning(text=text, actions=told), SeededNoise([3]))
    made = [rollout.extend(take, blocks=4, exit_step=1, gradient_blocks=0)]
    if recaches:
        rollout.switch(take, Conditioning(text=other, actions=told))
    made.append(rollout.extend(take, blocks=2, exit_step=1))
    assert small.error(torch.cat(made, 1), torch.cat(streamed, 1)) < 1e-5
    made[-1].square().sum().backward()
    grad = rollout.transformer.get_parameter("motion_head.weighing.outputs.weight").grad
    assert grad is not None
    assert grad.abs().max() > 0


def test_a_causal_score_looks_back_at_its_context(small: Any) -> None:
    config = moving(small)
    network, text = small.transformer(config), small.embedding(config, 0)
    score = CausalScore(network, Schedule(config.shift), lambda f, c: WindowAttention(config, f, c, torch.float32))
    shape = (1, 3, *config.transformer.latent_shape)
    xt, context, other = torch.randn(shape), torch.randn(shape), torch.randn(shape)
    told, t = Conditioning(text=text, actions=torch.zeros(1, 3, 2)), torch.tensor([500.0])
    with torch.no_grad():
        flow = score.flow(xt, t, told, context)
        batch = FlowBatch(
            latents=context, counted=torch.ones(1, 3), weights=xt[:, :, 0], text=text, actions=told.actions
        )
        packed = Packed(batch, 1, torch.zeros(1, 3), WindowAttention(config, 3, 2, torch.float32))
        wanted = packed.flow(network, xt[:, None], torch.full((1, 1, 3), 0.5))[:, 0]
        assert small.error(flow, wanted) < 1e-5
        other[:, 1:] = context[:, 1:]
        changed = score.flow(xt, t, told, other)
    assert torch.equal(changed[:, 0], flow[:, 0])
    assert not torch.allclose(changed[:, 1], flow[:, 1])


@pytest.mark.parametrize("exact", [True, False])
def test_a_snapshot_goes_on_with_the_same_past(small: Any, exact: bool) -> None:
    config = moving(small)
    generator = small.generator(config)
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    for actions in ACTIONS[:3]:
        generator.steer(world, actions)
        generator.step(world)
    saved = generator.snapshot(world, exact=exact).to_bytes()
    wanted = [generator.step(world).latents for _ in range(2)]
    fork = generator.restore(Snapshot.from_bytes(saved, config))
    made = [generator.step(fork).latents for _ in range(2)]
    errors = [small.error(one, other) for one, other in zip(made, wanted, strict=True)]
    assert max(errors) == 0 if exact else max(errors) < 1e-5


def test_an_emptied_cache_is_not_looked_behind(small: Any) -> None:
    """After a recache that clears the window the take goes on from the prompt alone."""
    config = moving(small, recache="clear", sink_on_recache="refresh")
    generator = small.generator(config)
    worlds = [generator.open(seed=seed, embedding=small.embedding(config, 0)) for seed in (1, 2)]
    for world in worlds:
        generator.step(world)
        generator.cue(world, embedding=small.embedding(config, 1))
        world.noise = SeededNoise([9])
    one, other = (generator.step(world).latents for world in worlds)
    assert small.error(one, other) < 1e-6


def test_sizes_that_cannot_be_are_refused(small: Any) -> None:
    with pytest.raises(ConfigError, match="a block must be one latent frame, not 3"):
        replace(preset("tiny"), transformer=replace(preset("tiny").transformer, motion_width=8))
    with pytest.raises(ConfigError, match="motion_width"):
        replace(preset("tiny").transformer, motion_width=-1)
    assert Transformer(preset("tiny").transformer).motion_head is None
