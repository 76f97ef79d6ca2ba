"""Progressive distillation: what the student is asked to learn."""

from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.network.motion_head import Before
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.progressive import ProgressiveConfig, ProgressiveDistillation
from longtake.model.training.objectives.teacher_forcing import FlowBatch
from longtake.model.training.objectives.window import PackedAttention, WindowAttention
from longtake.model.weights import Sampling
from tests.model.training.objectives import packed_clips
from tests.model.training.objectives.packed_clips import SIZES

GENERATOR = GeneratorConfig(
    transformer=SIZES,
    block_frames=1,
    window_frames=4,
    sink_frames=1,
    positions="relative",
    timesteps=(1000.0, 600.0, 300.0),
    shift=1.0,
)
STEPS = {1.0: (0.8, 0.6), 0.6: (0.45, 0.3), 0.3: (0.15, 0.0)}
"""level: the midpoint and the end of its step"""
NO_TEXT = torch.full((2, 8), 0.3)


def attention(frames: int, copies: int) -> PackedAttention:
    return WindowAttention(GENERATOR, frames, copies, torch.float32)


def network(seed: int) -> Transformer:
    torch.manual_seed(seed)
    made = Transformer(SIZES).eval()
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return made


def batch(frames: int = 6, clips: int = 2) -> FlowBatch:
    """Clips of which all counts alike."""
    drawn = packed_clips.batch(frames, clips)
    return replace(drawn, counted=torch.ones_like(drawn.counted), weights=torch.ones_like(drawn.weights))


class Spy:
    """A network that remembers what it was asked."""

    def __init__(self, inner: Transformer) -> None:
        self.inner, self.config = inner, inner.config
        self.asked: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def __call__(
        self,
        packed: Tensor,
        t: Tensor,
        text: Tensor,
        attend: Any,
        *,
        actions: Tensor,
        before: Before | None,
        copies: int,
    ) -> Tensor:
        flow: Tensor = self.inner(packed, t, text, attend, actions=actions, before=before, copies=copies)
        self.asked.append((packed, t, text, actions))
        return flow


def spy(seed: int) -> tuple[Transformer, Spy]:
    made = Spy(network(seed))
    return cast("Transformer", made), made


FOUR = Sampling(sampler="euler", timesteps=(1000.0, 800.0, 600.0, 300.0))
TWO = replace(GENERATOR, timesteps=(1000.0, 600.0))
HALVED = {1.0: (0.8, 0.6), 0.6: (0.3, 0.0)}


def objective(teacher: Transformer, **config: float) -> ProgressiveDistillation:
    settings = ProgressiveConfig(copies=3, context_noise=0.0, **config)  # type: ignore[arg-type]
    return ProgressiveDistillation(teacher, GENERATOR, settings, attention, no_text=NO_TEXT)


def test_the_target_is_the_teachers_flow_halfway_down_the_step() -> None:
    (taught, teacher), (learning, student), shown = spy(0), spy(2), batch()
    loss = objective(taught).clips(learning, shown)
    (start, t, *_), (middle, halfway, *_) = teacher.asked
    frames = shown.latents.shape[1]
    assert torch.equal(start, student.asked[0][0])
    assert torch.equal(t, student.asked[0][1])
    assert torch.equal(start[:, :frames], shown.latents), "the clean copy"
    first = teacher.inner(start, t, shown.text, lambda layer: attention(frames, 4), actions=teacher.asked[0][3])
    for clip in range(len(start)):
        for place in range(frames, 4 * frames):
            sigma = round(float(t[clip, place]) / 1000, 4)
            between, _ = STEPS[sigma]
            assert float(halfway[clip, place]) == pytest.approx(1000 * between)
            expected = start[clip, place] - (sigma - between) * first[clip, place]
            torch.testing.assert_close(middle[clip, place], expected)
    target = teacher.inner(middle, halfway, shown.text, lambda layer: attention(frames, 4), actions=teacher.asked[1][3])
    made = student.inner(start, t, shown.text, lambda layer: attention(frames, 4), actions=student.asked[0][3])
    wanted = (made - target)[:, frames:].square().mean()
    torch.testing.assert_close(loss, wanted)


def test_every_frame_is_seen_at_every_level() -> None:
    (taught, teacher), shown = spy(0), batch()
    objective(taught).clips(network(2), shown)
    levels = teacher.asked[0][1][:, 6:].unflatten(1, (3, 6)) / 1000
    assert torch.allclose(levels.sort(1).values, torch.tensor([0.3, 0.6, 1.0])[:, None].expand_as(levels))


def test_only_the_student_gets_gradients() -> None:
    teacher, student = network(0), network(2)
    objective(teacher, text_guidance=2.0, action_guidance=2.0).clips(student, batch()).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())


def test_guidance_goes_on_beyond_what_prompt_and_actions_change() -> None:
    shown, frames = batch(), 6
    (taught, teacher), (learning, student) = spy(0), spy(2)
    loss = objective(taught, text_guidance=3.0, action_guidance=2.0).clips(learning, shown)
    kinds = [(torch.equal(text, shown.text), bool(actions[:, frames:].any())) for _, _, text, actions in teacher.asked]
    assert kinds == [(True, True), (True, True), (False, True), (True, False)], "guided at the midpoint only"
    assert all(actions[:, :frames].any() for *_, actions in teacher.asked), "the past keeps its actions"
    packed, t, *_ = teacher.asked[1]
    own, unprompted, at_rest = (
        teacher.inner(packed, t, words, lambda layer: attention(frames, 4), actions=held)[:, frames:]
        for _, _, words, held in teacher.asked[1:]
    )
    guided = own + 2 * (own - unprompted) + (own - at_rest)
    start, levels, text, actions = student.asked[0]
    made = student.inner(start, levels, text, lambda layer: attention(frames, 4), actions=actions)[:, frames:]
    torch.testing.assert_close(loss, (made - guided).square().mean(), rtol=1e-4, atol=1e-5)


def test_a_past_that_stalls_leads_to_the_frame_after_its_last() -> None:
    """The student sees frames twice; it is asked for what the teacher makes of the true past."""
    (taught, teacher), (learning, student), shown = spy(0), spy(2), batch(frames=8, clips=6)
    torch.manual_seed(0)
    loss = objective(taught, stalls=0.5).clips(learning, shown)
    frames = 8
    packed, t, _, actions = student.asked[0]
    past, latents = packed[:, :frames], shown.latents
    place = [
        [int((latents[clip] - past[clip, f]).flatten(1).abs().sum(1).argmin()) for f in range(frames)]
        for clip in range(6)
    ]
    assert all(order[0] == 0 and all(b - a in (0, 1) for a, b in pairwise(order)) for order in place)
    assert any(order == list(range(frames)) for order in place), "half of the clips are as they were"
    assert any(order != list(range(frames)) for order in place)
    noised, target = teacher.asked[0][0][:, frames:].unflatten(1, (3, frames)), None
    middle, halfway, _, held = teacher.asked[1]
    target = teacher.inner(middle, halfway, shown.text, lambda layer: attention(frames, 4), actions=held)
    target = target[:, frames:].unflatten(1, (3, frames))
    made = student.inner(packed, t, shown.text, lambda layer: attention(frames, 4), actions=actions)
    made = made[:, frames:].unflatten(1, (3, frames))
    assert shown.actions is not None
    errors = []
    for clip, order in enumerate(place):
        after = [0, *(frame + 1 for frame in order[:-1])]
        assert torch.equal(packed[clip, frames:].unflatten(0, (3, frames)), noised[clip][:, after])
        assert torch.equal(actions[clip, :frames], shown.actions[clip, order])
        assert torch.equal(actions[clip, frames:], shown.actions[clip, after].repeat(3, 1))
        errors.append((made[clip] - target[clip][:, after]).square().mean())
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def test_a_resampled_past_is_the_students_own() -> None:
    """A student whose flow is zero makes of a frame what it was noised to; its teacher sees the true past."""
    (taught, teacher), student, shown, frames = spy(0), network(2), batch(frames=8, clips=6), 8
    torch.nn.init.zeros_(student.head.head.weight)
    learner = Spy(student)
    torch.manual_seed(0)
    objective(taught, resampled=0.5, resampling_rounds=1).clips(cast("Transformer", learner), shown)
    assert all(torch.equal(packed[:, :frames], shown.latents) for packed, *_ in teacher.asked)
    *resampling, (packed, *_) = learner.asked
    assert all(torch.equal(asked[:, :frames], shown.latents) for asked, *_ in resampling)
    levels = [float(t[0, -1]) / 1000 for _, t, *_ in resampling]
    assert levels in ([pytest.approx(0.6), pytest.approx(0.3)], [pytest.approx(0.3)]), "its own, without the first"
    past, level = packed[:, :frames], levels[0]
    true = [torch.equal(past[clip], shown.latents[clip]) for clip in range(6)]
    assert 0 < sum(true) < 6
    for clip in range(6):
        if not true[clip]:
            noise = (past[clip] - (1 - level) * shown.latents[clip]) / level
            assert float(noise.mean()) == pytest.approx(0, abs=0.05)
            assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_rounds_of_resampling_add_up() -> None:
    shown, level = batch(frames=8, clips=6), 0.3
    (taught, _), student = spy(0), network(2)
    torch.nn.init.zeros_(student.head.head.weight)
    kept = set()
    for seed in range(12):
        learner = Spy(student)
        torch.manual_seed(seed)
        objective(taught, resampled=1.0, resampling_rounds=2).clips(cast("Transformer", learner), shown)
        past = learner.asked[-1][0][:, :8]
        if all(float(t[0, -1]) == pytest.approx(300) for _, t, *_ in learner.asked[:-1]):
            of_the_true = float((past * shown.latents).sum() / shown.latents.square().sum())
            kept.add((len(learner.asked) - 1, round(of_the_true, 1)))
    assert kept == {(1, round(1 - level, 1)), (2, round((1 - level) ** 2, 1))}


def test_a_resampled_past_may_stall_too() -> None:
    student = network(2)
    loss = objective(network(0), resampled=1.0, stalls=0.5).clips(student, batch(frames=8, clips=4))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None for p in student.parameters())


def test_a_distilled_teacher_takes_its_own_two_steps() -> None:
    """The student's straight way ends where the teacher's two steps end."""
    (taught, teacher), (learning, student), shown, frames = spy(0), spy(2), batch(), 6
    config = ProgressiveConfig(copies=2, context_noise=0.0)
    made = ProgressiveDistillation(taught, TWO, config, attention, no_text=NO_TEXT, distilled=FOUR)
    loss = made.clips(learning, shown)
    (start, t, _, actions), (middle, halfway, *_) = teacher.asked
    first, second, own = (
        network(packed, at, shown.text, lambda layer: attention(frames, 3), actions=actions)[:, frames:]
        for network, packed, at in (
            (teacher.inner, start, t),
            (teacher.inner, middle, halfway),
            (student.inner, start, t),
        )
    )
    errors = []
    for clip in range(len(start)):
        for place in range(2 * frames):
            level = round(float(t[clip, frames + place]) / 1000, 4)
            between, end = HALVED[level]
            assert float(halfway[clip, frames + place]) == pytest.approx(1000 * between)
            xt = start[clip, frames + place]
            after = xt - (level - between) * first[clip, place]
            torch.testing.assert_close(middle[clip, frames + place], after)
            after = after - (between - end) * second[clip, place]
            errors.append((own[clip, place] - (xt - after) / (level - end)).square().mean())
    torch.testing.assert_close(loss, torch.stack(errors).mean(), rtol=1e-4, atol=1e-5)


def test_a_distilled_teacher_that_takes_other_steps_is_refused() -> None:
    for said in (
        Sampling(sampler="euler", timesteps=(1000.0, 600.0)),
        Sampling(sampler="renoise", timesteps=FOUR.timesteps),
        Sampling(sampler="euler"),
    ):
        with pytest.raises(ConfigError, match="a student of 2 needs one of 4 steps of euler"):
            ProgressiveDistillation(network(0), TWO, ProgressiveConfig(), attention, distilled=said)


def test_a_student_that_has_learned_it_has_no_loss() -> None:
    """With a teacher whose flow is the same everywhere, two steps are one."""
    teacher = network(0)
    torch.nn.init.zeros_(teacher.head.head.weight)
    assert float(objective(teacher).first_frames(teacher, batch(frames=1)).detach()) == pytest.approx(0, abs=1e-10)


def test_a_model_without_actions_is_guided_by_its_prompt_only() -> None:
    plain = replace(GENERATOR, transformer=replace(SIZES, actions=0))
    torch.manual_seed(0)
    teacher = Transformer(plain.transformer)
    config = ProgressiveConfig(copies=3, text_guidance=2.0, action_guidance=2.0)
    made = ProgressiveDistillation(teacher, plain, config, attention, no_text=NO_TEXT)
    assert made.clips(Transformer(plain.transformer), replace(batch(), actions=None)).isfinite()


def test_guidance_that_cannot_be() -> None:
    for name in ("text_guidance", "action_guidance"):
        with pytest.raises(ConfigError, match=f"{name} must be at least 1"):
            ProgressiveConfig(**{name: 0.5})
    with pytest.raises(ConfigError, match="stalls is a share, 0 to below 1"):
        ProgressiveConfig(stalls=1.0)
    with pytest.raises(ConfigError, match="resampled is a share"):
        ProgressiveConfig(resampled=1.5)
    with pytest.raises(ConfigError, match="resampling_rounds"):
        ProgressiveConfig(resampling_rounds=0)
    with pytest.raises(ConfigError, match="no_text"):
        ProgressiveDistillation(network(0), GENERATOR, ProgressiveConfig(text_guidance=2.0), attention)
