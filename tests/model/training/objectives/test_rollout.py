"""Rollouts: the latents of inference, and the gradients that each block should have."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError, ShapeError
from longtake.model.generation.noise import SeededNoise
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.rollout import Rollout, RolloutConfig
from longtake.model.training.objectives.scores import Conditioning

LIKE_DIORAMA = {"block_frames": 1, "window_frames": 5, "sink_frames": 1, "positions": "relative"}
LAST = 3
"""The sampler's last step."""


def start(rollout: Rollout, text: Tensor, seed: int = 7) -> Any:
    return rollout.open(Conditioning(text=text), SeededNoise([seed] * len(text)))


def gradients(transformer: Transformer, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter that the loss reaches."""
    transformer.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in transformer.named_parameters() if p.grad is not None}


def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The relative distance of two gradients."""
    assert a.keys() == b.keys()
    apart = sum(float((a[name] - b[name]).double().square().sum()) for name in a)
    return (apart / sum(float(x.double().square().sum()) for x in a.values())) ** 0.5


@pytest.mark.parametrize("recache", ["longlive", "causal", "clear", "none"])
@pytest.mark.parametrize(
    "shape", [{}, LIKE_DIORAMA, LIKE_DIORAMA | {"sampler": "multistep"}], ids=["longlive", "diorama", "multistep"]
)
def test_a_rollout_to_the_last_step_is_inference(small: Any, shape: dict[str, Any], recache: str) -> None:
    config = small.config(**shape, recache=recache, sink_on_recache="refresh" if shape else "keep")
    first, second = small.embedding(config, 1), small.embedding(config, 2)
    generator = small.generator(config)
    world = generator.open(seed=7, embedding=first)
    streamed = [generator.step(world).latents for _ in range(6)]
    generator.cue(world, embedding=second)
    streamed += [generator.step(world).latents for _ in range(3)]
    rollout = Rollout(small.transformer(config), config)
    take = start(rollout, first)
    made = [rollout.extend(take, blocks=2, exit_step=LAST, gradient_blocks=0)]
    made.append(rollout.extend(take, blocks=4, exit_step=LAST))
    rollout.switch(take, Conditioning(text=second))
    made.append(rollout.extend(take, blocks=3, exit_step=LAST))
    assert not made[0].requires_grad
    assert made[1].requires_grad
    for index, block in enumerate(torch.cat(made, dim=1).split(config.block_frames, dim=1)):
        assert small.error(block, streamed[index]) < 1e-5, index


def test_an_early_exit_is_the_samplers_estimate_at_that_step(small: Any) -> None:
    config = small.config()
    text = small.embedding(config, 1)
    generator, seen = small.generator(config), dict[str, Tensor]()
    generator.step(generator.open(seed=7, embedding=text), lambda step, xt, flow, x0: seen.update({step: x0}))
    for exit_step in range(4):
        rollout = Rollout(small.transformer(config), config)
        made = rollout.extend(start(rollout, text), blocks=1, exit_step=exit_step)
        assert small.error(made, seen[f"s{exit_step}"]) < 1e-5


@pytest.mark.parametrize(("sampler", "drawn"), [("renoise", {0, 1, 2, 3}), ("multistep", {0, 1, 2, 3}), ("euler", {3})])
def test_steps_that_were_distilled_to_lead_to_the_next_level_are_no_exits(
    small: Any, sampler: str, drawn: set[int]
) -> None:
    config = small.config(sampler=sampler)
    rollout, numbers = Rollout(small.transformer(config), config), random.Random(1)
    assert {rollout.draw_exit(numbers.randrange) for _ in range(60)} == drawn


def test_gradients_are_those_of_finite_differences(small: Any) -> None:
    """Of a block at the first step, under a past that is constant."""
    config = small.config()
    transformer, text = small.transformer(config), small.embedding(config, 1)
    rollout, source = Rollout(transformer, config), torch.Generator().manual_seed(0)
    weights = torch.randn(3, *config.transformer.latent_shape, generator=source)

    def loss() -> Tensor:
        return (weights * rollout.extend(worlds.pop(), blocks=1, exit_step=0) ** 2).sum()

    worlds = [start(rollout, text) for _ in range(1 + 2 * 4)]
    for world in worlds:
        rollout.extend(world, blocks=4, exit_step=1, gradient_blocks=0)
    found = gradients(transformer, loss())
    assert found.keys() == dict(transformer.named_parameters()).keys()
    for name in (
        "blocks.0.self_attn.k.weight",
        "blocks.1.cross_attn.v.weight",
        "text_embedding.0.weight",
        "head.head.bias",
    ):
        parameter = transformer.get_parameter(name)
        # Along a random direction alone the loss may change by less than float32 resolves in it.
        random = torch.randn(parameter.shape, generator=source)
        direction = found[name] + random * (found[name].norm() / random.norm())
        step = 1e-2 / float(direction.norm())
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
            values.append(float(loss().detach()))
            with torch.no_grad():
                parameter.add_(direction, alpha=-sign * step)
        measured = (values[0] - values[1]) / (2 * step)
        assert float((found[name] * direction).sum()) == pytest.approx(measured, rel=2e-2), name


def test_no_gradient_flows_from_a_block_into_an_earlier_one(small: Any) -> None:
    config = small.config()
    text = small.embedding(config, 1)

    def of_last_block(gradient_blocks: int | None, **options: Any) -> dict[str, Tensor]:
        rollout = Rollout(small.transformer(config), config, RolloutConfig(**options))
        made = rollout.extend(start(rollout, text), blocks=6, exit_step=1, gradient_blocks=gradient_blocks)
        return gradients(rollout.transformer, made[:, -3:].square().sum())

    assert distance(of_last_block(1), of_last_block(None)) < 1e-6
    # The reference's cache is not cut from the graph.
    assert distance(of_last_block(1), of_last_block(None, history="carried")) > 1e-2


def test_only_the_last_blocks_have_gradients(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    world = start(rollout, small.embedding(config, 1))
    made = rollout.extend(world, blocks=3, exit_step=0, gradient_blocks=1).split((6, 3), dim=1)
    transformer = rollout.transformer
    early, late = (torch.autograd.grad(part.sum(), list(transformer.parameters()), retain_graph=True) for part in made)
    assert not any(gradient.any() for gradient in early)
    assert any(gradient.any() for gradient in late)


@pytest.mark.parametrize("exit_step", [0, 2])
def test_checkpointing_changes_no_gradient(small: Any, exit_step: int) -> None:
    config = small.config()
    text, found = small.embedding(config, 1), []
    for checkpointing in (False, True):
        rollout = Rollout(small.transformer(config), config, checkpointing=checkpointing)
        made = rollout.extend(start(rollout, text), blocks=6, exit_step=exit_step)
        found.append(gradients(rollout.transformer, made.square().sum()))
    assert distance(found[0], found[1]) < 1e-6


def test_members_of_a_batch_are_takes_of_their_own(small: Any) -> None:
    config = small.config()
    text = small.embedding(config, 1, batch=2)
    rollout = Rollout(small.transformer(config), config)
    together = rollout.extend(
        rollout.open(Conditioning(text=text), SeededNoise([7, 8])), blocks=5, exit_step=1, gradient_blocks=0
    )
    for index in range(2):
        alone = start(rollout, text[index : index + 1], seed=7 + index)
        made = rollout.extend(alone, blocks=5, exit_step=1, gradient_blocks=0)
        assert small.error(together[index : index + 1], made) < 1e-5


def test_context_noise_is_small_and_named(small: Any) -> None:
    config = small.config()
    text, made = small.embedding(config, 1), []
    for context_noise in (False, True):
        rollout = Rollout(small.transformer(config), config, RolloutConfig(context_noise=context_noise))
        made.append(rollout.extend(start(rollout, text), blocks=3, exit_step=0, gradient_blocks=0))
    # The noise of the reference's clean pass: the schedule's smallest, and not seen before the second block.
    assert rollout.schedule.sigma(torch.zeros(1)) == pytest.approx(0.00498, abs=1e-5)
    first, later = ([x[:, :3] for x in made], [x[:, 3:] for x in made])
    assert small.error(*first) < 1e-6
    assert 1e-5 < small.error(*later) < 0.1


def test_teaching_shows_the_truth_to_later_blocks(small: Any) -> None:
    config = small.config()
    text = small.embedding(config, 1)
    rollout = Rollout(small.transformer(config), config)
    taught, streamed = start(rollout, text), start(rollout, text)
    truth = rollout.extend(streamed, blocks=1, exit_step=1, gradient_blocks=0)
    x0 = rollout.teach(taught, torch.randn_like(truth), 2, truth)
    assert x0.requires_grad
    assert not torch.allclose(x0, truth)
    for world in (taught, streamed):
        world.block = 1
    after = [rollout.extend(world, blocks=1, exit_step=0, gradient_blocks=0) for world in (taught, streamed)]
    assert torch.equal(after[0], after[1])


def with_actions(small: Any) -> GeneratorConfig:
    config = small.config()
    return small.config(transformer=type(config.transformer)(**{**vars(config.transformer), "actions": 2}))


def test_a_block_is_made_under_its_frames_actions(small: Any) -> None:
    config = with_actions(small)
    text, rollout = small.embedding(config, 1), Rollout(small.transformer(config), config)
    still = torch.zeros(1, 9, 2)
    late = still.clone()
    late[:, 6:] = 1.0
    made = [
        rollout.extend(
            rollout.open(Conditioning(text=text, actions=actions), SeededNoise([7])),
            blocks=3,
            exit_step=1,
            gradient_blocks=0,
        )
        for actions in (still, late)
    ]
    assert torch.equal(made[0][:, :6], made[1][:, :6])
    assert small.error(made[0][:, 6:], made[1][:, 6:]) > 1e-3
    with pytest.raises(ShapeError, match="do not reach"):
        rollout.extend(rollout.open(Conditioning(text=text, actions=still), SeededNoise([7])), blocks=4, exit_step=0)


def test_bad_options_are_refused(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    with pytest.raises(ConfigError, match="exit_step must be one of 0 to 3"):
        rollout.extend(start(rollout, small.embedding(config, 1)), blocks=1, exit_step=4)
    with pytest.raises(ConfigError, match="history"):
        RolloutConfig(history="kept")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="recache"):
        RolloutConfig(recache="ours")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the config says"):
        Rollout(small.transformer(config), with_actions(small))
