"""Train diorama's autoencoder on clips rendered at scale 2: crops first, whole frames at the end.

python -m longtake.model.training.recipes.autoencoder --data clips2 --held-out held2 --out runs/autoencoder

The encoder sees averages over squares of two pixels; the decoder makes pictures of twice that size.
"""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from longtake.model.bounds import at_least, share
from longtake.model.command_line import Parser
from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder, psnr_db
from longtake.model.diorama.labels import HEIGHT, WIDTH
from longtake.model.errors import TrainingError
from longtake.model.evaluation.motion import Motion, compare, measure
from longtake.model.training.compute import CPU, half_precision, to_device
from longtake.model.training.data.clips import Clips
from longtake.model.training.ending import carry_out
from longtake.model.training.files import write_whole
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.objectives.adversary import Adversary, adversarial_losses, balance, pairs_of
from longtake.model.training.objectives.pictures import PictureLossConfig, picture_loss
from longtake.model.training.task import Figures, Task, Turn
from longtake.model.weights import put, read

SCALE = SHIPPED.upscale
"""of the clips, and of the decoder's output"""
OUTER = (
    "encoder.body.1.",
    f"encoder.body.{7 + sum(SHIPPED.encoder_layers)}.",
    "decoder.key.",
    "decoder.motion.",
    "decoder.change.",
    "adversary.",
)
"""first and last convolutions, and the adversary, which AdamW steps"""
EVALUATED_CLIPS = 16
EVALUATED_FRAMES = 20


@dataclass(frozen=True, kw_only=True)
class AutoencoderTaskConfig:
    """Data and loss of an autoencoder run."""

    data: tuple[str, ...]
    """folders of clips"""
    held_out: str
    crop: tuple[int, int] = (64, 96)
    """height and width of the crops, pixels of the encoder; multiples of 8"""
    full_after: float = 0.75
    """progress at which whole frames replace crops"""
    clips: int = 4
    """crops a rank and step; whole frames use fewer, of the same area"""
    latents: int = 4
    """consecutive latent frames a crop; the first has none before it, as at the start of a take"""
    known_before: float = 0.8
    """share of the crops whose encoder is shown the frame before them; the others begin as takes do"""
    on_actor: float = 0.5
    """share of the crops placed over the actor: nearly half of the error is there, in a tenth of the picture"""
    actor_weight: float = 2.0
    loss: PictureLossConfig = field(default_factory=PictureLossConfig)
    lean_weight: float = 0.1
    """of what blends lean to one key picture (`MovingDecoder.decode_with_lean`)"""
    latent_noise: float = 0.15
    """largest standard deviation of the noise added to a latent, so that small errors of the generator stay small"""
    adversary_weight: float = 0.0
    """how large the adversary's slope is beside the picture's; 0 trains without one (`objectives/adversary.py`)"""
    adversary_pairs: int = 4
    """of frames that it sees of each crop"""
    adversary_alone: int = 100
    """steps in which it learns before it counts"""
    decoder_only: bool = False
    start: str = ""
    """weights to start from: a file of this training's, or a folder with what shipped"""

    def __post_init__(self) -> None:
        at_least(self, 1, "clips", "latents", "adversary_pairs")
        at_least(self, 0, "actor_weight", "lean_weight", "latent_noise", "adversary_weight", "adversary_alone")
        share(self, "full_after", "known_before", "on_actor")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Crops of consecutive frames."""

    before: Tensor
    """[B, 1, 3, h, w] uint8: the frame before them"""
    known: Tensor
    """[B] bool: the encoder is shown it"""
    frames: Tensor
    """[B, T, 3, h, w] uint8"""
    weights: Tensor
    """[B, T, 1, h, w] float"""
    noise: float
    """standard deviation of the noise on the latents"""
    pairs: Tensor
    """[n] frames whose pairs with the next the adversary sees"""
    adversary_counts: bool


@dataclass(frozen=True, kw_only=True)
class _Crop:
    before: NDArray[np.uint8]
    known: bool
    frames: NDArray[np.uint8]
    weights: NDArray[np.float32]


class AutoencoderTask(Task[Batch]):
    """Encoder and decoder together, or the decoder alone; `longtake.model.training.objectives.pictures` is the loss."""

    def __init__(self, config: AutoencoderTaskConfig, device: torch.device = CPU) -> None:
        self.config, self.device = config, device
        self.module: nn.Module = Autoencoder(SHIPPED)
        if config.start:
            put(self.module, weights_of(Path(config.start)), Path(config.start))
        if config.adversary_weight:
            self.module.add_module("adversary", Adversary())
        self.module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.decoder_only:
            self.module.encoder.requires_grad_(False)
        folders = [Clips(Path(folder)) for folder in config.data]
        self.clips = [(folder, index) for folder in folders for index in range(len(folder))]
        self.held_out = Clips(Path(config.held_out))
        for clips in (*folders, self.held_out):
            if clips.scale != SCALE:
                raise TrainingError(f"the clips are of scale {clips.scale}, the decoder's pictures of {SCALE}")

    def batch(self, turn: Turn) -> Batch:
        """Return crops, or whole frames towards the end."""
        config, rng = self.config, turn.rng
        size = (HEIGHT, WIDTH) if turn.progress >= config.full_after else config.crop
        count = max(1, config.clips * config.crop[0] * config.crop[1] // (size[0] * size[1]))
        picked = [self._crop(rng, size) for _ in range(count)]
        return Batch(
            before=self._tensor(np.stack([c.before for c in picked]).transpose(0, 1, 4, 2, 3)),
            known=self._tensor(np.array([c.known for c in picked])),
            frames=self._tensor(np.stack([c.frames for c in picked]).transpose(0, 1, 4, 2, 3)),
            weights=self._tensor(np.stack([c.weights for c in picked])[:, :, None]),
            noise=float(rng.uniform(0, config.latent_noise)),
            pairs=self._tensor(rng.integers(4 * config.latents - 1, size=config.adversary_pairs)),
            adversary_counts=turn.step >= config.adversary_alone,
        )

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return to_device(torch.from_numpy(array), self.device)

    def _crop(self, rng: np.random.Generator, size: tuple[int, int]) -> _Crop:
        length = 4 * self.config.latents
        clips, clip = self.clips[int(rng.integers(len(self.clips)))]
        start = int(rng.integers(clips.frames.shape[1] - length + 1))
        boxes = clips.boxes[clip][start : start + length]
        corner = self._corner(rng, boxes[length // 2] / SCALE, (HEIGHT - size[0], WIDTH - size[1]))
        top, left, height, width = (SCALE * each for each in (*corner, *size))
        first = max(0, start - 1)
        taken = np.asarray(clips.frames[clip][first : start + length, top : top + height, left : left + width])
        weights = np.ones((length, height, width), np.float32)
        for t, (x0, y0, x1, y1) in enumerate(np.round(boxes).astype(int)):
            y, x = slice(max(0, y0 - top), max(0, y1 - top)), slice(max(0, x0 - left), max(0, x1 - left))
            weights[t, y, x] = self.config.actor_weight
        return _Crop(
            before=taken[:1],
            known=start > 0 and bool(rng.random() < self.config.known_before),
            frames=taken[-length:],
            weights=weights,
        )

    def _corner(self, rng: np.random.Generator, box: NDArray[np.float32], room: tuple[int, int]) -> tuple[int, int]:
        """Top and left of a crop, multiples of 8 within `room`; `on_actor` of them with the box's middle inside."""
        corner = [8 * int(rng.integers(r // 8 + 1)) for r in room]
        middle = ((box[1] + box[3]) / 2, (box[0] + box[2]) / 2)
        if rng.random() < self.config.on_actor:
            for axis, (centre, free, size) in enumerate(zip(middle, room, self.config.crop, strict=True)):
                wanted = float(centre) - size * rng.uniform(0.25, 0.75)
                corner[axis] = int(np.clip(8 * round(wanted / 8), 0, 8 * (free // 8)))
        return corner[0], corner[1]

    def loss(self, batch: Batch, progress: float) -> tuple[Tensor, Figures]:
        """See the class."""
        target = batch.frames.float() / 255
        before = torch.where(batch.known.view(-1, 1, 1, 1, 1), batch.before.float() / 255, 0.5)
        assert isinstance(self.module, Autoencoder)
        with half_precision(self.device):
            with torch.set_grad_enabled(not self.config.decoder_only):
                self.module.encoder.train(not self.config.decoder_only)
                latents = self.module.encode(averaged(target), averaged(before))
            made, lean = self.module.decode_with_lean(latents + batch.noise * torch.randn_like(latents))
        loss, figures = picture_loss(made.float(), target, batch.weights, self.config.loss)
        figures = {"psnr": psnr_db(made.detach().float(), target).mean(), "lean": lean.detach(), **figures}
        loss = loss + self.config.lean_weight * lean
        if self.config.adversary_weight:
            fooled, told_apart = self._adversarial(made.float(), target, batch.pairs)
            figures |= {"fooled": fooled.detach(), "told_apart": told_apart.detach()}
            if batch.adversary_counts:
                last = self.module.get_parameter("decoder.key.weight")
                factor = self.config.adversary_weight * balance(loss, fooled, last)
                loss = loss + factor * fooled
                figures["adversary"] = factor
            loss = loss + told_apart
        return loss, figures

    def _adversarial(self, made: Tensor, target: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        adversary = self.module.adversary
        assert isinstance(adversary, Adversary)
        with half_precision(self.device):
            return adversarial_losses(adversary, pairs_of(made, pairs), pairs_of(target, pairs))

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """PSNR, detail and motion over held-out clips, without the first block of each; see `figures`."""
        assert isinstance(module, Autoencoder)
        rows = []
        for clip in range(min(len(self.held_out), EVALUATED_CLIPS)):
            frames = torch.from_numpy(np.array(self.held_out.frames[clip][:EVALUATED_FRAMES])).permute(0, 3, 1, 2)
            target = frames.unsqueeze(0).to(self.device).float() / 255
            with half_precision(self.device):
                made = module.decode_clip(module.encode(averaged(target))).float().clamp(0, 1)
            box = self.held_out.boxes[clip][4]
            rows.append(_row(self.held_out.scene_at(clip, 4).weather, made[:, 4:], target[:, 4:], box))
        return figures(rows)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one held-out clip came to."""

    weather: str
    psnr_db: float
    averages_psnr_db: float
    """of the averages that the encoder saw"""
    actor_psnr_db: float | None
    """of the actor's box in the first frame; None if it is out of sight"""
    made: Motion
    drawn: Motion


def _row(weather: str, made: Tensor, target: Tensor, box: NDArray[np.float32]) -> Row:
    x0, y0, x1, y1 = np.clip(np.round(box).astype(int), 0, WIDTH * SCALE)
    actor = made[:, :1, :, y0:y1, x0:x1], target[:, :1, :, y0:y1, x0:x1]
    return Row(
        weather=weather,
        psnr_db=float(psnr_db(made, target)),
        averages_psnr_db=float(psnr_db(averaged(made), averaged(target))),
        actor_psnr_db=float(psnr_db(*actor)) if actor[1].numel() else None,
        made=measure(made[0]),
        drawn=measure(target[0]),
    )


def figures(rows: list[Row]) -> dict[str, float]:
    """Averages over clips; detail, motion and evenness also by weather."""
    actors = [row.actor_psnr_db for row in rows if row.actor_psnr_db is not None]
    result = {
        "psnr_db": float(np.mean([row.psnr_db for row in rows])),
        "psnr_db_worst": min(row.psnr_db for row in rows),
        "averages_psnr_db": float(np.mean([row.averages_psnr_db for row in rows])),
        "actor_psnr_db": float(np.mean(actors)) if actors else float("nan"),
    }
    for weather in ("", *sorted({row.weather for row in rows})):
        chosen = [row for row in rows if weather in ("", row.weather)]
        compared = compare([row.made for row in chosen], [row.drawn for row in chosen])
        suffix = f"_{weather}" if weather else ""
        result[f"detail{suffix}"] = compared.detail
        result[f"motion{suffix}"] = compared.motion
        result[f"evenness{suffix}"] = compared.evenness
    return result


def averaged(frames: Tensor) -> Tensor:
    """Frames [B, T, 3, H, W] -> what the encoder sees of them, their averages [B, T, 3, H / 2, W / 2]."""
    small: Tensor = functional.avg_pool2d(frames.flatten(0, 1), SCALE)
    return small.view(*frames.shape[:2], *small.shape[1:])


def weights_of(path: Path) -> dict[str, Tensor]:
    """Return an autoencoder's weights from its file, or from a folder with one file for each half."""
    if path.is_file():
        return {name: x for name, x in read(path).items() if not name.startswith("adversary.")}
    halves = ("encoder", "decoder")
    return {f"{half}.{name}": x for half in halves for name, x in read(path / f"{half}.safetensors").items()}


@torch.inference_mode()
def calibrate(model: Autoencoder, clips: Clips, count: int = 160) -> None:
    """Measure the latents' statistics anew under the final weights: those gathered in training trail behind them."""
    norm = model.encoder.norm
    norm.reset_running_stats()
    norm.momentum = None  # a plain average
    norm.train()
    rng = np.random.default_rng(3)
    with half_precision(CPU):
        for clip in rng.integers(len(clips), size=min(count, 2 * len(clips))):
            start = 4 * int(rng.integers((clips.frames[int(clip)].shape[0] - 16) // 4 + 1))
            frames = torch.from_numpy(np.array(clips.frames[int(clip)][start : start + 16])).permute(0, 3, 1, 2)
            model.encode(averaged(frames.unsqueeze(0).float() / 255))
    norm.eval()


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train autoencoder", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", nargs="+", required=True, help="folders of clips")
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=0.006)
    parser.add_argument("--decay", type=float, default=0.6, help="share of the run over which the step size falls")
    parser.add_argument("--start", default="")
    parser.add_argument("--decoder-only", action="store_true")
    parser.add_argument("--clips", type=int, default=AutoencoderTaskConfig.clips)
    parser.add_argument("--full-after", type=float, default=AutoencoderTaskConfig.full_after)
    parser.add_argument("--motion-weight", type=float, default=PictureLossConfig.motion)
    parser.add_argument("--energy-weight", type=float, default=PictureLossConfig.energy)
    parser.add_argument("--adversary-weight", type=float, default=AutoencoderTaskConfig.adversary_weight)
    parser.add_argument("--lean-weight", type=float, default=AutoencoderTaskConfig.lean_weight)
    parser.add_argument("--ranks", type=int, default=LoopConfig.ranks)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    args = parser.parse_args()
    task = AutoencoderTaskConfig(
        data=tuple(args.data),
        held_out=args.held_out,
        start=args.start,
        decoder_only=args.decoder_only,
        clips=args.clips,
        full_after=args.full_after,
        lean_weight=args.lean_weight,
        adversary_weight=args.adversary_weight,
        loss=PictureLossConfig(motion=args.motion_weight, energy=args.energy_weight),
    )
    loop = LoopConfig(
        steps=100_000,
        hours=args.hours,
        lr=args.lr,
        adam_lr=args.lr / 5,
        adam_names=OUTER,
        decay_fraction=args.decay,
        checkpoint_every_s=300.0,
        ranks=args.ranks,
        seed=args.seed,
        device=args.device,
    )
    launch(partial(AutoencoderTask, task), loop, args.out, asdict(task))
    if not args.decoder_only:
        model = Autoencoder(SHIPPED)
        model.load_state_dict(weights_of(args.out / "ema.safetensors"))
        calibrate(model.eval(), Clips(Path(args.data[0])))
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        write_whole(args.out / "ema.safetensors", lambda path: save_file(weights, path))


if __name__ == "__main__":
    carry_out(main)
