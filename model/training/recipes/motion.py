"""Train a motion head alone, on what a finished transformer answers: minutes instead of hours.

    longtake train motion --out runs/motion --start model/diorama/weights --minutes 15

First the head learns to foretell frames, from the pool of clips alone. Then it learns to weigh what it foretells
against what the transformer answers. The transformer is frozen, so each clip is shown to it once, at several noise
levels, and the head learns from the answers many times over: they are kept in a store, in which new ones replace the
oldest. The weights that come out are the whole transformer's, and `longtake train transformer --start` goes on with all
of it.
"""

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from longtake.model.bounds import at_least, share
from longtake.model.command_line import Parser
from longtake.model.diorama.files import bundled_folder
from longtake.model.errors import ConfigError
from longtake.model.network.motion_head import BEFORE, Before
from longtake.model.network.transformer import Transformer
from longtake.model.ops.precision import choose_device
from longtake.model.training import command
from longtake.model.training.compute import CPU
from longtake.model.training.data.pool import EMPTY
from longtake.model.training.ending import carry_out
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.objectives.flow import FlowConfig
from longtake.model.training.objectives.teacher_forcing import Asked
from longtake.model.training.recipes.transformer import OUTER, PRESETS, TransformerTask, TransformerTaskConfig, sizes_of
from longtake.model.training.settings import changed
from longtake.model.training.task import Figures, Turn

HEAD: Final = "motion_head."
"""what its parameters' names begin with"""
SETTLED: Final = 8
"""latent frames after a prompt switch in which nothing is foretold: the scene is changing"""
CONTEXT_NOISE: Final = 0.2
"""largest noise level of what is foretold from, in half of the frames"""


@dataclass(frozen=True, kw_only=True)
class MotionTaskConfig(TransformerTaskConfig):
    """What is kept, and how often it is used; the rest is as a transformer's run has it."""

    flow: FlowConfig = field(default_factory=lambda: FlowConfig(copies=4, sampler_levels=0.2))
    kept: int = 300
    """clips whose answers a rank keeps"""
    kept_first: int = 20
    """of these, before the first step"""
    steps_each: int = 16
    """steps of the head for each new clip"""
    frames: int = 32
    """a rank and step"""
    foretelling: float = 0.35
    """share of the run, from its start, that learns to foretell only"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "kept", "kept_first", "steps_each", "frames")
        share(self, "foretelling")
        if self.kept_first > self.kept:
            raise ConfigError(f"kept_first {self.kept_first} must be at most kept {self.kept}")
        if not self.start or self.teacher:
            raise ConfigError("the head learns beside a transformer that is there: name it with --start")
        if not self.transformer.motion_width:
            raise ConfigError("motion_width 0 is no motion head; set task.transformer.motion_width")


@dataclass(frozen=True, kw_only=True)
class Foretelling:
    """Frames to foretell: N of them."""

    wanted: Tensor
    """[N, 1, C, h, w]"""
    actions: Tensor | None
    """what they were made under, [N, 1, axes]"""
    before: Before


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """Frames that the transformer has answered: N of them."""

    flow: Tensor
    """its answers, [N, 1, C, h, w]"""
    noisy: Tensor
    """what they are answers to, like it"""
    wanted: Tensor
    """what the answers should be, like it"""
    weights: Tensor
    """of each cell's loss, [N, 1, h, w]"""
    sigma: Tensor
    """noise levels, [N, 1]"""
    actions: Tensor | None
    before: Before


@dataclass(frozen=True, kw_only=True)
class MotionBatch:
    """What a step shows."""

    foretelling: Foretelling
    weighing: Weighing | None
    """None in the steps that only foretell"""


class Answers:
    """A bounded store of what a transformer has answered.

    Args:
        config: sizes, and how many clips are kept.
        device: where they are kept, in fp16.
    """

    def __init__(self, config: MotionTaskConfig, device: torch.device) -> None:
        copies, frames, latent = config.flow.copies, config.sampling.frames, config.transformer.latent_shape
        self._device, self._kept, self.taken = device, config.kept, 0
        empty = partial(torch.zeros, dtype=torch.float16, device=device)
        self._noised = {name: empty(config.kept, copies, frames, *latent) for name in ("flow", "noisy", "wanted")}
        self._sigma = torch.zeros(config.kept, copies, frames, device=device)
        self._clean = empty(config.kept, frames, *latent)
        self._weights = torch.zeros(config.kept, frames, *latent[1:], device=device)
        axes = config.transformer.actions
        self._actions = torch.zeros(config.kept, frames, axes, device=device) if axes else None
        self._counted = np.zeros((config.kept, frames), np.bool_)

    def put(self, asked: Asked, flow: Tensor) -> None:
        """Put what was asked about one clip, and the answers, in the place of the oldest."""
        slot, batch = self.taken % self._kept, asked.batch
        noised = {"flow": flow, "noisy": asked.xt, "wanted": asked.target(flow)}
        for name, value in noised.items():
            self._noised[name][slot].copy_(value[0])
        self._sigma[slot].copy_(asked.sigma[0])
        self._clean[slot].copy_(asked.packed.clean[0])
        self._weights[slot].copy_(batch.weights[0])
        if self._actions is not None and batch.actions is not None:
            self._actions[slot].copy_(batch.actions[0])
        self._counted[slot] = batch.counted[0].cpu().numpy() > 0
        self.taken += 1

    def draw(self, count: int, rng: np.random.Generator) -> Weighing:
        """Draw frames that count."""
        places = np.argwhere(self._counted)
        slots, frames = places[rng.integers(len(places), size=count)].T
        copies = rng.integers(self._sigma.shape[1], size=count)
        clip, copy, frame = (torch.from_numpy(each).to(self._device) for each in (slots, copies, frames))
        actions = None if self._actions is None else self._actions[clip]
        every = Before.of(self._clean[clip].float(), actions)
        one = torch.arange(count, device=self._device)
        before = Before(
            every.latents[one, frame][:, None],
            every.known[one, frame][:, None],
            None if every.actions is None else every.actions[one, frame][:, None],
        )
        return Weighing(
            **{name: x[clip, copy, frame][:, None].float() for name, x in self._noised.items()},
            weights=self._weights[clip, frame][:, None],
            sigma=self._sigma[clip, copy, frame][:, None],
            actions=None if actions is None else actions[one, frame][:, None],
            before=before,
        )


class MotionTask(TransformerTask):
    """See the module."""

    def __init__(self, config: MotionTaskConfig, device: torch.device = CPU) -> None:
        super().__init__(config, device)
        self.settings = config
        module = self.module
        assert isinstance(module, Transformer)
        assert module.motion_head is not None, "its config has a width"
        self.head = module.motion_head
        state = {name: value for name, value in module.state_dict().items() if not name.startswith(HEAD)}
        self.body = Transformer(replace(config.transformer, motion_width=0))
        self.body.load_state_dict(state)
        self.body.to(device, self.dtype).requires_grad_(False)
        self._make_fast(self.body)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name.startswith(HEAD))
        self.answers = Answers(config, device)

    def batch(self, turn: Turn) -> MotionBatch:  # type: ignore[override]
        """Return frames to foretell and, later in the run, frames that were answered, new ones among them."""
        self.supply.refresh()
        foretelling = self._foretelling(turn)
        if turn.progress < self.settings.foretelling:
            return MotionBatch(foretelling=foretelling, weighing=None)
        first = not self.answers.taken
        if first or not turn.step % self.settings.steps_each:
            turn.seed_torch()
            for _ in range(self.settings.kept_first if first else 1):
                self._show(turn.rng)
        return MotionBatch(foretelling=foretelling, weighing=self.answers.draw(self.settings.frames, turn.rng))

    def _foretelling(self, turn: Turn) -> Foretelling:
        """Draw frames from the pool, away from its clips' beginnings and switches."""
        pool, device = self.supply.pool, self.device
        later = np.arange(BEFORE, self.sampler.total)
        switch = pool.switch[:, None]
        fits = (switch != EMPTY) & ((switch < 0) | (later < switch) | (later >= switch + SETTLED))
        places = np.argwhere(fits)
        slots, index = places[turn.rng.integers(len(places), size=self.settings.frames)].T
        clip, frame = torch.from_numpy(slots).to(device), torch.from_numpy(later[index]).to(device)
        latents = torch.stack([pool.latents[clip, frame - back].float() for back in range(BEFORE + 1)], 1)
        turn.seed_torch()
        level = torch.rand(len(clip), 1, 1, 1, 1, device=device) * CONTEXT_NOISE
        level *= (torch.rand_like(level) < 0.5).float()
        seen = latents[:, 1:]
        seen = seen + level * torch.randn_like(seen)
        axes = self.config.transformer.actions
        actions, last = (pool.actions[clip, frame - back][:, None] if axes else None for back in (0, 1))
        known = torch.ones(len(clip), 1, BEFORE, device=device)
        return Foretelling(wanted=latents[:, :1], actions=actions, before=Before(seen[:, None], known, last))

    @torch.no_grad()
    def _show(self, rng: np.random.Generator) -> None:
        """Show a clip to the transformer, and keep its answers."""
        asked = self.objective.ask(self.body, self.sampler.clips(1, rng))
        self.answers.put(asked, asked.packed.flow(self.body, asked.xt, asked.sigma))

    def loss(self, batch: MotionBatch, progress: float) -> tuple[Tensor, Figures]:  # type: ignore[override]
        """Squared errors of what is foretold and of the corrected flow; beside it that of the transformer's own."""
        told = batch.foretelling
        foretold = (self.head.foretell(told.actions, told.before) - told.wanted).square().mean()
        if batch.weighing is None:
            # The other half has no gradient yet.
            return foretold, {"foretold": foretold.detach()}
        asked = batch.weighing
        flow = self.head(asked.flow, asked.noisy, asked.sigma * 1000, asked.actions, asked.before)
        corrected, own = (_error(asked, each) for each in (flow, asked.flow))
        figures = {"foretold": foretold, "corrected": corrected, "transformer": own}
        return foretold + corrected, {name: value.detach() for name, value in figures.items()}

    def collect_gradients(self) -> None:
        """There is no working copy: the head is small and learns in fp32."""


def _error(asked: Weighing, flow: Tensor) -> Tensor:
    """Return the mean squared error of answers, by the weights of their cells."""
    error = (flow - asked.wanted).square().mean(2)
    mean: Tensor = (error * asked.weights).sum() / asked.weights.sum()
    return mean


@dataclass(frozen=True, kw_only=True)
class MotionRecipe:
    """A run: what is trained, and how."""

    task: MotionTaskConfig
    loop: LoopConfig


def recipe(folder: Path, device: str, hours: float, *, start: str, network: str = "diorama") -> MotionRecipe:
    """Return the settings.

    Raises:
        ConfigError: there is no such network.
    """
    task = MotionTaskConfig(folder=folder, start=start, transformer=sizes_of(network))
    loop = LoopConfig(
        steps=1_000_000,
        hours=hours,
        lr=0.01,
        adam_lr=0.002,
        adam_names=OUTER,
        ema=0.995,
        decay_fraction=0.7,
        log_every=100,
        checkpoint_every_s=300.0,
        device=device,
    )
    if choose_device(device).type == "cuda":
        supply = replace(task.supply, workers=4, pool_clips=4000, first_clips=200)
        task = replace(task, supply=supply, kept=4000, kept_first=100, steps_each=4, frames=512)
        loop = replace(loop, ranks=1)
    elif hours < 0.1:
        # A rehearsal: nothing that takes longer than the run itself.
        supply = replace(task.supply, pool_clips=16, first_clips=4)
        task = replace(task, supply=supply, kept=16, kept_first=2, held_out=2, compile=False)
        loop = replace(loop, log_every=5, warmup_steps=10)
    return MotionRecipe(task=task, loop=loop)


def train(settings: MotionRecipe) -> None:
    """Run a recipe; see `launch` for the errors."""
    launch(partial(MotionTask, settings.task), settings.loop, settings.task.folder, asdict(settings.task))


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train motion", description="Train a motion head beside a finished transformer.")
    command.add_run_arguments(parser)
    parser.add_argument("--preset", default="diorama", help=f"network: {', '.join(PRESETS)}")
    parser.add_argument(
        "--start",
        default=str(bundled_folder()),
        help="weights of the transformer: a file or a folder; else those that ship",
    )
    parser.add_argument("--parts", type=Path, help="folder with the other parts; else those that ship")
    options = parser.parse_args()
    hours = command.hours_of(options, 0.5)
    settings = recipe(options.out, options.device, hours, start=options.start, network=options.preset)
    settings = replace(settings, loop=replace(settings.loop, seed=options.seed))
    if options.parts:
        settings = replace(settings, task=replace(settings.task, parts=options.parts))
    train(changed(settings, options.set))


if __name__ == "__main__":
    carry_out(main)
