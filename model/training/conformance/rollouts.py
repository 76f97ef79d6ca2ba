"""Rollouts, the first stage's step and the chunks of long takes, compared with the reference, its mistakes included."""

from collections.abc import Iterator

import torch
from torch import Tensor

from longtake.model.training.conformance.case import TrainingCase, TrainingResult
from longtake.model.training.conformance.losses import matching, score
from longtake.model.training.objectives.critic import critic_loss
from longtake.model.training.objectives.reference import BUFFER_FRAMES
from longtake.model.training.objectives.rollout import History, Rollout, RolloutConfig
from longtake.model.training.objectives.self_forcing import Chunk, Prompts
from longtake.model.training.objectives.streaming import StreamingConfig, Take

HISTORIES: tuple[History, ...] = ("carried", "detached")
JUDGED_AT = 350
"""The draw of 0 to 999 at which every recorded window is judged."""


class RecordedDraws:
    """The recorded noise of a rollout: the sampler's steps and then the clean pass.

    Args:
        case: the recording.
        prefix: "rollout" or "stream".
    """

    def __init__(self, case: TrainingCase, prefix: str) -> None:
        self._start, self._renoise, self._context = (
            case.tensor(f"{prefix}/{name}") for name in ("noise", "renoise", "context_noise")
        )

    def draw(self, block: int, steps: int, frames: tuple[int, ...]) -> Tensor:
        """See `NoiseSource.draw`; the last step is the clean pass."""
        part = slice(block * frames[0], (block + 1) * frames[0])
        drawn = (self._start[None, part], self._renoise[: steps - 2, part], self._context[None, part])
        return torch.cat(drawn)[:, None]


def reference_rollout(case: TrainingCase, history: History) -> Rollout:
    """Return a rollout of the case's generator with the reference's mistakes."""
    options = RolloutConfig(history=history, context_noise=True, recache="reference")
    return Rollout(case.generator(), case.config, options)


def rollout_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """Rollouts that leave the sampler at each of its steps."""
    weights = case.tensor("rollout/weights")
    for exit_step in range(len(case.config.timesteps)):
        prefix, values, gradients = f"rollout/exit{exit_step}", list[tuple[str, Tensor]](), list[tuple[str, Tensor]]()
        if f"{prefix}/latents" not in case.tensors:
            continue
        for history in HISTORIES:
            rollout = reference_rollout(case, history)
            latents = made(case, rollout, exit_step)
            (weights * latents**2).sum().backward()
            values = [(f"{prefix}/latents", latents)]
            gradients.append((f"{prefix}/gradnorm_{history}", case.norms(rollout.transformer, "generator")))
            gradients += case.recorded_gradients(rollout.transformer, f"{prefix}/grad_{history}")
        yield case.result(prefix, values, gradients)


def init_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """The whole loss of the first stage: a rollout that exits at step 1, and distribution matching."""
    if "init_step/loss" not in case.tensors:
        return
    loss, noise = matching(case), case.tensor("init_step/dmd_noise")[None]
    values, gradients = list[tuple[str, Tensor]](), list[tuple[str, Tensor]]()
    for history in HISTORIES:
        rollout = reference_rollout(case, history)
        value = loss.loss(made(case, rollout, 1)[None], noise, judged_at(case), case.prompt("p0"))
        value.backward()
        values = [("init_step/loss", value)]
        gradients.append((f"init_step/gradnorm_{history}", case.norms(rollout.transformer, "generator")))
    yield case.result("init_step", values, gradients)


def stream_part(case: TrainingCase) -> Iterator[TrainingResult]:
    """Long takes, without a switch and with one: chunks, windows, the cache after the recache, and both losses."""
    for name, recorded in case.meta["stream"]["cases"].items():
        values, gradients = dict[str, Tensor](), dict[str, Tensor]()
        for history in HISTORIES:
            take = long_take(case, history, recorded.get("recache", {}).get("at"))
            for index in range(sum(key.startswith("chunk") for key in recorded)):
                if f"stream/{name}/recache/layer2.k" in case.tensors and take.end_frame == take.switch_frame:
                    values |= recached(case, take, f"stream/{name}")
                chunk = take.next_chunk(exit_step=case.meta["stream"]["exits"][index], gradient=True)
                made_here = {f"stream/{name}/chunk{index}": chunk.latents[0]}
                made_here[f"stream/{name}/chunk{index}_window"] = chunk.window[0]
                values |= {key: tensor for key, tensor in made_here.items() if key in case.tensors}
                if f"stream/{name}/gen_gradnorm_{history}" in case.tensors and chunk.first_frame == take.switch_frame:
                    gradients |= judged(case, take, chunk, name, history)
        yield case.result(f"stream/{name}", values.items(), gradients.items())


def made(case: TrainingCase, rollout: Rollout, exit_step: int) -> Tensor:
    """Return the latents of the recorded rollout, [F, C, h, w]."""
    world = rollout.open(case.prompt("p0"), RecordedDraws(case, "rollout"))
    frames = len(case.tensor("rollout/noise"))
    return rollout.extend(world, blocks=frames // case.config.block_frames, exit_step=exit_step)[0]


def long_take(case: TrainingCase, history: History, switch_frame: int | None) -> Take:
    """Return the recorded take, with the toy autoencoder of the recording."""
    return Take(
        reference_rollout(case, history),
        StreamingConfig(),
        Prompts(case.prompt("p0"), case.prompt("p1")),
        RecordedDraws(case, "stream"),
        switch_frame=switch_frame,
        reencode=lambda latents: 0.75 * latents[:, -1:] + 0.1,
    )


def recached(case: TrainingCase, take: Take, prefix: str) -> dict[str, Tensor]:
    """Recache a take under the second prompt, and return the recorded buffer with what blocks will see put in."""
    take.rollout.switch(take.world, case.prompt("p1"))
    cache, end = take.world.cache, take.end_frame
    seen = [*range(cache.sink_frames), *range(end - case.config.ring_frames, end)]
    buffers = {}
    for index, name in enumerate("kv"):
        key = f"{prefix}/recache/layer2.{name}"
        whole = case.tensor(key).clone().unflatten(0, (BUFFER_FRAMES, -1))
        for frame in seen:
            # The reference's buffer: the sink, then the last frames in order.
            slot = frame if frame < cache.sink_frames else frame - max(0, end - BUFFER_FRAMES)
            whole[slot] = cache.slots[2][cache.window.slot(frame)][index][0].transpose(0, 1)
        buffers[key] = whole.flatten(0, 1)
    return buffers


def judged(case: TrainingCase, take: Take, chunk: Chunk, name: str, history: History) -> dict[str, Tensor]:
    """Return the gradient norms of both losses on a chunk."""
    fake = score(case, "fake")
    loss, noise, t = matching(case, fake), case.tensor("stream/loss_noise")[None], judged_at(case)
    loss.loss(chunk.window, noise, t, chunk.conditioning, chunk.mask).backward()
    critic_loss(fake, loss.schedule, chunk.window, noise, t, chunk.conditioning, chunk.mask).backward()
    return {
        f"stream/{name}/gen_gradnorm_{history}": case.norms(take.rollout.transformer, "generator"),
        f"stream/{name}/critic_gradnorm": case.norms(fake.network, "fake"),
    }


def judged_at(case: TrainingCase) -> Tensor:
    """Return the timestep at which the recorded windows are judged, [1]."""
    return case.tensor("timestep/t")[JUDGED_AT][None]
