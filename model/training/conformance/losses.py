"""Timesteps, the generator's and the critic's loss on given latents, compared with the reference."""

from collections.abc import Iterator

import torch
from torch import Tensor

from longtake.model.generation.schedule import TABLE_STEPS, Schedule
from longtake.model.training.conformance.case import TrainingCase, TrainingResult
from longtake.model.training.objectives.critic import critic_flow, critic_loss
from longtake.model.training.objectives.dmd import DistributionMatching, DmdConfig
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.objectives.scores import BidirectionalScore


def timestep_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """The draw of timesteps, and the tables that turn them into noise levels."""
    shift, score_shift = case.meta["training"]["timestep_shift"], case.meta["training"]["score_shift"]
    t = NoiseLevels(shift=shift).timesteps(torch.arange(TABLE_STEPS, device=case.device))
    schedule = Schedule(shift, case.device)
    yield case.result(
        "timestep",
        values=[
            ("timestep/t", t),
            ("timestep/sigma_noise", schedule.sigma(t)),
            ("timestep/sigma_score", Schedule(score_shift, case.device).sigma(t)),
            ("timestep/sigma_context", schedule.sigma(torch.zeros(1, device=case.device))),
        ],
    )


def dmd_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """The generator's loss on given latents."""
    if "dmd/noise" not in case.tensors:
        return
    loss, noise = matching(case), case.tensor("dmd/noise")[None]
    for name, fields in case.meta["dmd_cases"].items():
        x = case.tensor("dmd/x")[None].requires_grad_()
        t = torch.tensor([fields["t"]], device=case.device)
        direction = loss.direction(x, noise, t, case.prompt("p0"))
        value = loss.loss(x, noise, t, case.prompt("p0"), mask_of(x, fields["mask"]))
        (gradient,) = torch.autograd.grad(value, x)
        values, prefix = [(f"dmd/{name}/loss", value)], f"dmd/{name}"
        gradients = [(f"{prefix}/dloss_dx", gradient[0])]
        if f"{prefix}/grad" in case.tensors:
            values.append((f"{prefix}/fake_x0", direction.fake[0]))
            gradients.append((f"{prefix}/grad", direction.gradient[0]))
        yield case.result(prefix, values, gradients)


def critic_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """The fake score's loss on given latents, and its gradients."""
    fake, schedule = score(case, "fake"), Schedule(case.config.shift, case.device)
    x, noise = case.tensor("dmd/x")[None], case.tensor("critic/noise")[None]
    for name, fields in case.meta["critic_cases"].items():
        prefix = f"critic/{name}"
        t = torch.tensor([fields["t"]], device=case.device)
        fake.network.zero_grad()
        value = critic_loss(fake, schedule, x, noise, t, case.prompt("p0"), mask_of(x, fields["mask"]))
        value.backward()
        values = [(f"{prefix}/loss", value)]
        if f"{prefix}/flow" in case.tensors:
            values.append((f"{prefix}/flow", critic_flow(fake, schedule, x, noise, t, case.prompt("p0"))[0]))
        gradients = [(f"{prefix}/gradnorm", case.norms(fake.network, "fake"))]
        yield case.result(prefix, values, [*gradients, *case.recorded_gradients(fake.network, f"{prefix}/grad")])


def score(case: TrainingCase, name: str) -> BidirectionalScore:
    """Return a score with the reference's mistake: a shift of its own."""
    return BidirectionalScore(case.score(name), Schedule(case.meta["training"]["score_shift"], case.device))


def matching(case: TrainingCase, fake: BidirectionalScore | None = None) -> DistributionMatching:
    """Return the generator's loss as the reference computes it, with a fake score of its own by default."""
    config = DmdConfig(guidance=case.meta["training"]["guidance"])
    schedule = Schedule(case.config.shift, case.device)
    return DistributionMatching(config, schedule, score(case, "real"), fake or score(case, "fake"), case.prompt("neg"))


def mask_of(x: Tensor, text: str | None) -> Tensor | None:
    """Return the mask [B, F] that a case describes as "frames 3..20", or None."""
    if text is None:
        return None
    first, last = (int(number) for number in text.removeprefix("frames ").split(".."))
    mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
    mask[:, first : last + 1] = True
    return mask
