"""Progressive distillation (Salimans and Ho, 2022, arXiv:2202.00512): one step of the student does the teacher's two.

At each level of the sampler the student learns the straight way to the next one, where the teacher gets with the
midpoint method in two evaluations. A teacher that was distilled itself takes the two steps that it has learned. The
teacher may be guided, by the prompt (as Meng et al., 2022, arXiv:2210.03142, distil it) and by the actions; the student
then has both in one forward. Its sampler is `euler`.

The teacher always sees the true past. The student may be shown one that is too slow (`stalls`) or one that it made
itself (`resampled`), so that it learns to lead its own takes back to what is drawn. Guo et al. (2025, arXiv:2512.15702)
resample the past without a teacher.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from longtake.model.bounds import at_least, part, share
from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.teacher_forcing import (
    Asked,
    FlowBatch,
    MakeAttention,
    Packed,
    TeacherForcing,
    TeacherForcingConfig,
    in_order,
)
from longtake.model.weights import Sampling


@dataclass(frozen=True, kw_only=True)
class ProgressiveConfig(TeacherForcingConfig):
    """How the teacher is asked, and what the student is shown."""

    copies: int = 4
    """noised copies of each clip; with as many as the sampler has levels, each frame is seen at all of them"""
    text_guidance: float = 1.0
    """scale of what the prompt changes; 1 takes the teacher as it is"""
    action_guidance: float = 1.0
    """scale of what the actions change, against no action"""
    stalls: float = 0.0
    """odds, in half of the clips, that a frame of the student's past is the one before it once more: a past that is too
    slow, as that of its own takes tends to be, while the teacher sees the true one"""
    resampled: float = 0.0
    """odds that a clip's past is shown to the student as it makes it itself: noised to one of its levels below the
    first, and denoised from there"""
    resampling_rounds: int = 2
    """how often at most this is done, each time to what came out of the time before, as errors add up in a take"""

    def __post_init__(self) -> None:
        super().__post_init__()
        part(self, "stalls")
        share(self, "resampled")
        at_least(self, 1, "resampling_rounds", "text_guidance", "action_guidance")


class ProgressiveDistillation(TeacherForcing):
    """The loss of a batch; draws from torch's own random stream.

    Args:
        teacher: frozen; of the generator's sizes.
        generator: of the student; its timesteps are those that the student takes.
        config: how the teacher is asked.
        make_attention: called once for each number of frames and copies.
        device: of the batches.
        no_text: what an empty prompt is encoded as, [L, text_dim]; guidance by the prompt needs it.
        distilled: how the teacher was distilled to be sampled, if it was.

    Raises:
        ConfigError: guidance without no_text, or a distilled teacher that does not take two steps for each of these.
    """

    def __init__(
        self,
        teacher: Transformer,
        generator: GeneratorConfig,
        config: ProgressiveConfig,
        make_attention: MakeAttention,
        device: torch.device | str = "cpu",
        no_text: Tensor | None = None,
        distilled: Sampling | None = None,
    ) -> None:
        if config.text_guidance > 1 and no_text is None:
            raise ConfigError("guidance compares a prompt with an empty one: give no_text")
        super().__init__(generator, config, make_attention, device, no_text)
        self.config, self._teacher = config, teacher
        steps = (*generator.timesteps, 0.0)
        halfway = [(start + end) / 2 for start, end in pairwise(steps)]
        if distilled is not None:
            _check_two_for_one(distilled.drive(generator), generator, halfway)
        self._straight = distilled is not None
        self._halfway = torch.tensor(Schedule(generator.shift).warp(halfway), device=device) / 1000
        self._after = torch.cat((self.levels[1:], self.levels.new_zeros(1)))

    def _ask(self, model: Transformer, batch: FlowBatch, copies: int, context: Tensor | None) -> Asked:
        clips, frames = batch.latents.shape[:2]
        device, count = self.levels.device, len(self.levels)
        first = torch.randint(count, (clips, 1, frames), device=device)
        step = (first + torch.arange(copies, device=device)[:, None]) % count
        _, xt = self._noised(batch, self.levels[step])
        packed = self._packed(batch, copies, context)
        with torch.no_grad():
            sigma, halfway = self.levels[step], self._halfway[step]
            # Guidance on the way to the midpoint would cost as much again, and only moves where the target is asked.
            first_half = packed.flow(self._teacher, xt, sigma)
            between = xt - _cells(sigma - halfway) * first_half
            target = self._guided(packed, batch, between, halfway)
            if self._straight:
                share = _cells((sigma - halfway) / (sigma - self._after[step]))
                target = share * first_half + (1 - share) * target
        if context is not None and (self.config.stalls or self.config.resampled):
            past = self._draw_resampled(model, batch)
            if self.config.stalls:
                shown, after = self._draw_stalls(clips, frames)
                xt, sigma, target = (in_order(x, after) for x in (xt, sigma, target))
                past, batch = past.in_order(shown), batch.in_order(after)
            packed = self._packed(batch, copies, context, past)
        return Asked(packed=packed, batch=batch, xt=xt, sigma=sigma, target=lambda flow: target)

    @torch.no_grad()
    def _draw_resampled(self, model: Transformer, batch: FlowBatch) -> FlowBatch:
        """Return the batch, with what the student makes of it in place of the clips that are drawn."""
        true, count = batch.latents, len(self.levels)
        drawn = torch.rand(len(true)) < self.config.resampled
        if not drawn.any():
            return batch
        # Drawn without the device, which would have to be waited for.
        first = int(torch.randint(min(1, count - 1), count, ()))
        steps = torch.cat((self.levels[first:], self.levels.new_zeros(1))).tolist()
        past = batch
        for _ in range(int(torch.randint(self.config.resampling_rounds, ())) + 1):
            sigma = true.new_full((len(true), 1, true.shape[1]), steps[0])
            _, xt = self._noised(past, sigma)
            packed = self._packed(batch, 1, torch.zeros_like(sigma[:, 0]), past)
            for level, after in pairwise(steps):
                xt = xt + (after - level) * packed.flow(model, xt, torch.full_like(sigma, level))
            past = replace(batch, latents=xt[:, 0])
        return replace(batch, latents=torch.where(_cells(drawn[:, None]).to(true.device), past.latents, true))

    def _draw_stalls(self, clips: int, frames: int) -> tuple[Tensor, Tensor]:
        """Draw which frames of a clip stand in the past's places, and which frames come after them: each [B, F]."""
        device = self.levels.device
        stalls = torch.rand(clips, frames, device=device) < self.config.stalls
        stalls &= torch.rand(clips, 1, device=device) < 0.5
        stalls[:, 0] = False
        past = (~stalls).cumsum(1) - 1
        after = torch.cat((torch.zeros_like(past[:, :1]), past[:, :-1] + 1), 1)
        return past, after

    def _guided(self, packed: Packed, batch: FlowBatch, xt: Tensor, sigma: Tensor) -> Tensor:
        """Return the teacher's flow with guidance."""
        config = self.config
        flow = guided = packed.flow(self._teacher, xt, sigma)
        if config.text_guidance > 1:
            unprompted = packed.flow(self._teacher, xt, sigma, text=self._blank(batch.text))
            guided = guided + (config.text_guidance - 1) * (flow - unprompted)
        # What a hand does shows against the past: a first frame has none.
        if config.action_guidance > 1 and batch.actions is not None and packed.past is not None:
            at_rest = packed.flow(self._teacher, xt, sigma, at_rest=True)
            guided = guided + (config.action_guidance - 1) * (flow - at_rest)
        return guided


def _check_two_for_one(teacher: GeneratorConfig, student: GeneratorConfig, halfway: list[float]) -> None:
    wanted = tuple(sorted((*student.timesteps, *halfway), reverse=True))
    if teacher.sampler != "euler" or teacher.timesteps != wanted:
        raise ConfigError(
            f"the teacher is distilled to {len(teacher.timesteps)} steps of {teacher.sampler}; a student of "
            f"{len(student.timesteps)} needs one of {len(wanted)} steps of euler, or one that was not distilled"
        )


def _cells(x: Tensor) -> Tensor:
    return x[..., None, None, None]
