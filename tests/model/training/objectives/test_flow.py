"""The flow-matching loss."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.flow import FlowConfig, FlowMatching
from longtake.model.training.objectives.fused import FusedWindowAttention
from longtake.model.training.objectives.teacher_forcing import FlowBatch
from longtake.model.training.objectives.window import PackedAttention, WindowAttention
from tests.model.training.objectives.packed_clips import SIZES, batch

GENERATOR = GeneratorConfig(
    transformer=SIZES, block_frames=1, window_frames=4, sink_frames=1, positions="relative", recache="causal", shift=2.5
)
CONFIG = FlowConfig(copies=2)


def objective(kind: type[PackedAttention] = WindowAttention, generator: GeneratorConfig = GENERATOR) -> FlowMatching:
    def make(frames: int, copies: int) -> PackedAttention:
        return kind(generator, frames, copies, torch.float32)

    return FlowMatching(generator, CONFIG, make)


def model(generator: GeneratorConfig = GENERATOR) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(generator.transformer)
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return made


def written_out(network: Transformer, shown: FlowBatch, copies: int) -> Tensor:
    """The loss from its definition: one copy at a time, the draws in the same order."""
    x0, (clips, frames) = shown.latents, shown.latents.shape[:2]
    context = None
    if frames > 1:
        context = torch.rand(clips, frames) * CONFIG.context_noise
        context *= (torch.rand(clips, 1) < 0.5).float()
    shape = (clips, copies, frames)
    even = torch.rand(shape)
    levels = torch.tensor([1000.0, 750.0, 500.0, 250.0]) / 1000
    levels = 2.5 * levels / (1 + 1.5 * levels)
    own = levels[torch.randint(4, shape)]
    sigma = torch.where(torch.rand(shape) < CONFIG.sampler_levels, own, 2.5 * even / (1 + 1.5 * even))
    noise = torch.randn(clips, copies, *x0.shape[1:])
    total, counted = torch.zeros(()), torch.zeros(())
    clean = None
    if context is not None:
        c = context[..., None, None, None]
        clean = (1 - c) * x0 + c * torch.randn_like(x0)
    assert shown.actions is not None
    for copy in range(copies):
        s = sigma[:, copy, :, None, None, None]
        noised = (1 - s) * x0 + s * noise[:, copy]
        t = sigma[:, copy] * 1000
        packed = noised if clean is None else torch.cat((clean, noised), 1)
        t = t if clean is None else torch.cat((torch.zeros_like(t), t), 1)
        number = 1 if clean is None else 2
        attend = WindowAttention(GENERATOR, frames, number, torch.float32)
        x = network.embed_patches(packed)
        e, e0 = network.embed_time(t, shown.actions.repeat(1, number, 1))
        for layer, prompt in zip(network.layers, network.prompt_kv(network.embed_text(shown.text)), strict=True):
            x = layer(x, e0, attend, prompt)
        flow = network.head(x, e)[:, -frames:]
        weights = shown.weights * shown.counted[..., None, None]
        total = total + ((flow - (noise[:, copy] - x0)).square().mean(2) * weights).sum()
        counted = counted + weights.sum()
    return total / counted


@pytest.mark.parametrize("kind", [WindowAttention, FusedWindowAttention])
def test_equals_the_definition_and_its_gradients(kind: type[PackedAttention]) -> None:
    network, flow = model(), objective(kind)
    for shown, copies, loss in ((batch(), 2, flow.clips), (batch(frames=1), 1, flow.first_frames)):
        torch.manual_seed(5)
        expected = written_out(network, shown, copies)
        wanted = torch.autograd.grad(expected, list(network.parameters()))
        torch.manual_seed(5)
        made = loss(network, shown)
        got = torch.autograd.grad(made, list(network.parameters()))
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)
        for mine, theirs in zip(got, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_what_does_not_count_has_no_gradient() -> None:
    network, flow, shown = model(), objective(), batch()
    off = torch.zeros_like(shown.counted)
    off[:, :2] = 1
    later = replace(shown, counted=off)
    changed = replace(later, latents=torch.cat((shown.latents[:, :2], torch.randn_like(shown.latents[:, 2:])), 1))
    losses = []
    for each in (later, changed):
        torch.manual_seed(5)
        losses.append(flow.clips(network, each))
    torch.testing.assert_close(*losses)


def test_actions_reach_the_loss_and_a_model_without_them_needs_none() -> None:
    network, flow, shown = model(), objective(), batch()
    assert shown.actions is not None
    losses = []
    for actions in (shown.actions, -shown.actions):
        torch.manual_seed(5)
        losses.append(float(flow.clips(network, replace(shown, actions=actions)).detach()))
    assert losses[0] != losses[1]
    plain = replace(GENERATOR, transformer=replace(SIZES, actions=0))
    loss = objective(generator=plain).clips(model(plain), replace(shown, actions=None))
    assert loss.isfinite()


def test_half_of_the_levels_are_the_samplers_own() -> None:
    torch.manual_seed(0)
    flow = objective()
    drawn = flow.draw_levels((4000,))
    share = torch.isin(drawn, flow.levels).float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.05)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
    assert flow.draw_levels((2, 3)).shape == (2, 3)


def guided(guidance: float, no_text: Tensor) -> FlowMatching:
    def make(frames: int, copies: int) -> PackedAttention:
        return WindowAttention(GENERATOR, frames, copies, torch.float32)

    return FlowMatching(GENERATOR, replace(CONFIG, guidance=guidance), make, no_text=no_text)


def test_guidance_moves_the_target_away_from_what_no_prompt_gives() -> None:
    network, shown, no_text = model().train(), batch(), torch.randn(2, 8)
    losses = {}
    for guidance in (0.0, 0.4):
        torch.manual_seed(5)
        losses[guidance] = guided(guidance, no_text).clips(network, shown)
    gradients = [torch.autograd.grad(loss, network.head.head.bias)[0] for loss in losses.values()]
    # The target is constant and what is subtracted from the error is guidance times the prompt's effect, so for a
    # prompt that says nothing the guidance does nothing.
    assert not torch.allclose(*gradients)
    silent = replace(shown, text=no_text.expand_as(shown.text))
    plain = []
    for guidance in (0.0, 0.4):
        torch.manual_seed(5)
        plain.append(float(guided(guidance, no_text).clips(network, silent).detach()))
    assert plain[0] == pytest.approx(plain[1], rel=1e-6)


def test_an_evaluation_is_not_guided() -> None:
    network, shown, no_text = model().eval(), batch(), torch.randn(2, 8)
    made = []
    for guidance in (0.0, 0.4):
        torch.manual_seed(5)
        made.append(float(guided(guidance, no_text).clips(network, shown).detach()))
    assert made[0] == made[1]


def test_guidance_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="below 1"):
        FlowConfig(guidance=1.0)
    with pytest.raises(ConfigError, match="no_text"):
        FlowMatching(GENERATOR, FlowConfig(guidance=0.4), lambda frames, copies: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("kind", [WindowAttention, FusedWindowAttention])
def test_what_an_evaluation_made_first_trains_too(kind: type[PackedAttention]) -> None:
    loss, network = objective(kind), model()
    with torch.inference_mode():
        loss.clips(network, batch())
    loss.clips(network, batch()).backward()
    assert all(p.grad is not None for p in network.parameters())
