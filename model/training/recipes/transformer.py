"""Train diorama's transformer: flow matching with teacher forcing, on clips that are drawn while it trains.

    longtake train transformer --out runs/transformer --hours 4
    longtake train transformer --out runs/transformer --device cuda --minutes 8

Fresh clips are encoded on the device and replace the oldest in a bounded pool; each is used by many steps, since even
sixteen cores draw fewer than one GPU trains on. A run opens with single first frames: most of a picture's entropy is in
the first frame of a take, and one costs a fiftieth of a clip. What is shown of a clip is `data/sampling.py`'s, the loss
is `objectives/flow.py`'s. With `--teacher` the network learns to make that one's steps two at a time instead
(`objectives/progressive.py`).
"""

import os
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from longtake.model.bounds import at_least, share
from longtake.model.command_line import Parser
from longtake.model.config import GeneratorConfig, TransformerConfig, even_timesteps, preset
from longtake.model.diorama.files import bundled_folder, undistilled
from longtake.model.errors import ConfigError
from longtake.model.network.layers import Attend
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm, sdpa
from longtake.model.ops.precision import choose_device
from longtake.model.training import command
from longtake.model.training.compute import CPU, rank_and_ranks, working_dtype
from longtake.model.training.data.sampling import Sampler, SamplingConfig
from longtake.model.training.data.supply import Supply, SupplyConfig
from longtake.model.training.ending import carry_out
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.objectives.flow import FlowConfig, FlowMatching
from longtake.model.training.objectives.fused import FusedWindowAttention
from longtake.model.training.objectives.progressive import ProgressiveConfig, ProgressiveDistillation
from longtake.model.training.objectives.teacher_forcing import FlowBatch, TeacherForcing
from longtake.model.training.objectives.window import WindowAttention
from longtake.model.training.samples import SheetMaker, diorama_studio
from longtake.model.training.settings import changed
from longtake.model.training.start import load_start, transformer_file
from longtake.model.training.task import Figures, Task, Turn
from longtake.model.training.weights import metadata_of
from longtake.model.training.working_copy import WorkingCopy
from longtake.model.weights import Sampling, read_sampling

DIORAMA: Final = preset("diorama").transformer
PRESETS: Final = {
    "diorama": DIORAMA,
    # For rehearsals: seconds of two cores make valid weights of it.
    "tiny": replace(DIORAMA, dim=64, ffn_dim=128, heads=2, layers=2, motion_width=16),
}
OUTER: Final = ("inputs", "straight", "outputs", "condition")
"""parameters of a motion head's halves that are no hidden matrices"""
ADAM_NAMES: Final = (
    "patch_embedding",
    "head.head",
    "time_embedding",
    "time_projection",
    "action_embedding",
    "text_embedding",
    "modulation",
    *(f"motion_head.{half}.{name}" for half in ("foretelling", "weighing") for name in OUTER),
)
"""parameters that are no hidden matrices"""
HELD_OUT_SEED: Final = 1_000_003
WORTH_COMPILING_HOURS: Final = 0.05
"""a shorter run on a GPU would spend most of its time in the compiler"""


@dataclass(frozen=True, kw_only=True)
class TransformerTaskConfig:
    """Network, data and loss of a transformer run."""

    folder: Path
    """of the run: sheets of samples go there, and on a CPU the pool of clips"""
    parts: Path = field(default_factory=bundled_folder)
    """folder with the encoder, the decoder and the text encoder"""
    start: str = ""
    """weights to start from: a file, or a folder with `transformer.safetensors`; if those were distilled, what they
    were distilled from"""
    transformer: TransformerConfig = DIORAMA
    supply: SupplyConfig = field(default_factory=SupplyConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    teacher: str = ""
    """weights to distil, as in `start`; if there are some, the loss is that of progressive distillation. A file of
    weights that were distilled is distilled again, to half of their steps"""
    steps: int = 4
    """that a student takes"""
    progressive: ProgressiveConfig = field(default_factory=ProgressiveConfig)
    opening: float = 0.3
    """share of the run, from its start, that shows single first frames only"""
    opening_again: float = 0.15
    """share of the later steps that do so too"""
    opening_frames: int = 96
    """first frames a rank and step in these"""
    clips: int = 1
    """a rank and step"""
    singles: int = 24
    """first frames a rank and step beside the clips"""
    single_weight: float = 0.6
    """of the loss on these"""
    held_out: int = 8
    """clips that are never trained on"""
    attention: str = "auto"
    """window, fused, or auto: fused on a GPU"""
    compile: bool = True
    """fuse the little operations of a layer; about a minute at the start, about 1.4 times faster after it"""
    samples_every_s: float = 600.0
    """how often a sheet of samples is made, at a checkpoint; 0 for never"""

    def __post_init__(self) -> None:
        if self.attention not in ("auto", "window", "fused"):
            raise ConfigError(f"attention is auto, window or fused, not {self.attention!r}")
        share(self, "opening", "opening_again")
        at_least(self, 1, "opening_frames", "clips", "singles", "steps")
        at_least(self, 0, "single_weight", "held_out", "samples_every_s")
        if self.steps != TransformerTaskConfig.steps and not self.teacher:
            raise ConfigError(f"task.steps={self.steps} is of a student: name its teacher as well, or leave steps out")
        shown, drawn = self.sampling.frames, self.supply.drawing.latent_frames
        if shown >= drawn:
            raise ConfigError(f"{shown} latent frames cannot be chosen from a clip of {drawn}; set drawing.frames")


@dataclass(frozen=True, kw_only=True)
class TransformerBatch:
    """What a step shows."""

    clips: FlowBatch | None
    """None in the steps that show first frames only"""
    first_frames: FlowBatch


class TransformerTask(Task[TransformerBatch]):
    """See the module."""

    def __init__(self, config: TransformerTaskConfig, device: torch.device = CPU) -> None:
        self.config, self.device = config, device
        self.generator: GeneratorConfig = replace(preset("diorama"), transformer=config.transformer)
        self.sampling = Sampling(sampler="euler", timesteps=even_timesteps(config.steps)) if config.teacher else None
        if self.sampling is not None:
            self.generator = self.sampling.drive(self.generator)
        self.dtype = working_dtype(device)
        transformer = Transformer(config.transformer)
        if config.start:
            load_start(transformer, undistilled(Path(config.start)))
        self.module: nn.Module = transformer.to(device)
        self.copy = WorkingCopy(transformer, self.dtype)
        self._make_fast(self.copy.module)
        self.rank, ranks = rank_and_ranks()
        sizes, actions = config.transformer.latent_shape, config.transformer.actions
        self.supply = Supply(
            replace(config.supply, drawing=replace(config.supply.drawing, text_encoder=config.parts)),
            encoder=config.parts,
            latent_shape=sizes,
            device=device,
            rank=self.rank,
            ranks=ranks,
            folder=config.folder / "pool" if device.type == "cpu" else None,
        )
        no_text = self.supply.no_text()
        self.objective = self._objective(torch.from_numpy(no_text))
        self.sampler = Sampler(self.supply.pool, config.sampling, no_text, actions=actions > 0)
        self._held_out: Sampler | None = None
        self._samples = SheetMaker(
            studio=partial(diorama_studio, config.parts, device), device=device, every_s=config.samples_every_s
        )

    def _objective(self, no_text: Tensor) -> TeacherForcing:
        config = self.config
        if not config.teacher:
            return FlowMatching(self.generator, config.flow, self._attention, self.device, no_text)
        teacher, path = Transformer(config.transformer), undistilled(Path(config.teacher))
        load_start(teacher, path, role="teacher")
        teacher.to(self.device, self.dtype).eval().requires_grad_(False)
        self._make_fast(teacher)
        return ProgressiveDistillation(
            teacher,
            self.generator,
            config.progressive,
            self._attention,
            self.device,
            no_text,
            distilled=read_sampling(transformer_file(path)),
        )

    def _make_fast(self, transformer: Transformer) -> None:
        transformer.use_attention(bmm if self.device.type == "cpu" else sdpa)
        if self.config.compile:
            for layer in transformer.layers:
                layer.compile(dynamic=False)

    def _attention(self, frames: int, copies: int) -> Attend:
        kind = self.config.attention
        if kind == "fused" or (kind == "auto" and self.device.type == "cuda"):
            return FusedWindowAttention(self.generator, frames, copies, self.dtype, self.device)
        window = WindowAttention(self.generator, frames, copies, self.dtype, self.device)
        # Its loop over frames stays as it is; only what lies around it is compiled.
        disabled: Attend = torch.compiler.disable(window) if self.config.compile else window
        return disabled

    def prepare(self) -> None:
        """Wait for the first clips."""
        self.supply.begin()

    def batch(self, turn: Turn) -> TransformerBatch:
        """Return clips and first frames, or more first frames only; fresh clips come in first."""
        self.supply.refresh()
        config = self.config
        share = 1.0 if turn.progress < config.opening else config.opening_again
        if turn.shared_rng.random() < share:
            return TransformerBatch(clips=None, first_frames=self.sampler.first_frames(config.opening_frames, turn.rng))
        return TransformerBatch(
            clips=self.sampler.clips(config.clips, turn.rng),
            first_frames=self.sampler.first_frames(config.singles, turn.rng),
        )

    def loss(self, batch: TransformerBatch, progress: float) -> tuple[Tensor, Figures]:
        """Weighted squared error of the flow."""
        self.copy.refresh()
        model = self.copy.module
        singles = self.objective.first_frames(model, batch.first_frames)
        if batch.clips is None:
            return singles, {"opening": singles.detach()}
        clips = self.objective.clips(model, batch.clips)
        return clips + self.config.single_weight * singles, {"clips": clips.detach(), "singles": singles.detach()}

    def collect_gradients(self) -> None:
        """Move the working copy's gradients to the master."""
        self.copy.collect()

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Losses on held-out clips, and now and then a sheet of samples."""
        network = Transformer(self.config.transformer)
        network.load_state_dict(module.state_dict())
        network.to(self.device, self.dtype).eval()
        if self._samples.due():
            self._samples.write(network, self.generator, self.config.folder / "samples")
        if not self.config.held_out:
            return {}
        if self._held_out is None:
            self._held_out = self._draw_held_out()
        turn = Turn.at(0, seed=HELD_OUT_SEED)
        clips = self._held_out.clips(self.config.held_out, turn.rng)
        singles = self._held_out.first_frames(8 * self.config.held_out, turn.rng)
        turn.seed_torch()
        return {
            "clips": float(self.objective.clips(network, clips)),
            "singles": float(self.objective.first_frames(network, singles)),
        }

    def _draw_held_out(self) -> Sampler:
        pool = self.supply.apart(self.config.held_out, HELD_OUT_SEED)
        actions = self.config.transformer.actions > 0
        return Sampler(pool, self.config.sampling, self.supply.no_text(), actions=actions)

    def said(self) -> dict[str, str]:
        """Sizes, and the sampler if it was distilled for one."""
        return metadata_of(self.config.transformer, self.sampling)

    def state(self) -> dict[str, int]:
        """The position in the stream of clips."""
        return {"drawn": self.supply.drawn}

    def restore(self, state: dict[str, int]) -> None:
        """Go on with clips that were not seen before."""
        self.supply.drawn = state["drawn"]

    def close(self) -> None:
        """End the processes that draw."""
        self.supply.close()


@dataclass(frozen=True, kw_only=True)
class TransformerRecipe:
    """A run: what is trained, and how."""

    task: TransformerTaskConfig
    loop: LoopConfig


def sizes_of(network: str) -> TransformerConfig:
    """Return a network's sizes by its name; raises ConfigError if there is none."""
    if network not in PRESETS:
        raise ConfigError(f"no network is called {network!r}; there are {', '.join(PRESETS)}")
    return PRESETS[network]


def recipe(folder: Path, device: str, hours: float, *, network: str = "diorama", start: str = "") -> TransformerRecipe:
    """Return the settings for a device: small steps on a CPU, steps that fill it on a GPU.

    Raises:
        ConfigError: there is no such network.
    """
    task = TransformerTaskConfig(folder=folder, start=start, transformer=sizes_of(network))
    loop = LoopConfig(
        steps=1_000_000,
        hours=hours,
        lr=0.011,
        adam_lr=0.001,
        adam_names=ADAM_NAMES,
        ema=0.998,
        decay_fraction=0.4,
        device=device,
    )
    if choose_device(device).type == "cuda":
        workers = max(1, (os.cpu_count() or 2) - 2)
        supply = SupplyConfig(workers=workers, pool_clips=20_000, first_clips=400)
        task = replace(task, supply=supply, opening_frames=2048, clips=48, singles=384, held_out=32, samples_every_s=60)
        task = replace(task, compile=hours >= WORTH_COMPILING_HOURS)
        loop = replace(loop, ranks=1, checkpoint_every_s=60.0, log_every=50)
    elif hours < 0.1:
        # A rehearsal: nothing that takes longer than the run itself.
        supply = SupplyConfig(pool_clips=64, first_clips=8)
        task = replace(task, supply=supply, held_out=2, compile=False)
        loop = replace(loop, log_every=5, warmup_steps=10)
    return TransformerRecipe(task=task, loop=loop)


def train(settings: TransformerRecipe) -> None:
    """Run a recipe; see `launch` for the errors."""
    launch(partial(TransformerTask, settings.task), settings.loop, settings.task.folder, asdict(settings.task))


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train transformer", description="Train diorama's transformer.")
    command.add_run_arguments(parser)
    parser.add_argument("--preset", default="diorama", help=f"network: {', '.join(PRESETS)}")
    parser.add_argument("--start", default="", help="weights to start from: a file or a folder")
    parser.add_argument(
        "--teacher", default="", help="weights to distil: a file or a folder; also what is started from"
    )
    parser.add_argument("--parts", type=Path, help="folder with the other parts; else those that ship")
    options = parser.parse_args()
    hours = command.hours_of(options, 4.0)
    settings = recipe(options.out, options.device, hours, network=options.preset, start=options.start)
    settings = replace(settings, loop=replace(settings.loop, seed=options.seed))
    if options.teacher:
        task = replace(settings.task, teacher=options.teacher, start=options.start or options.teacher)
        settings = replace(settings, task=task)
    if options.parts:
        settings = replace(settings, task=replace(settings.task, parts=options.parts))
    train(changed(settings, options.set))


if __name__ == "__main__":
    carry_out(main)
