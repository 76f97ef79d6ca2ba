"""Train diorama's autoencoder on rendered clips: crops first, full frames at the end.

python -m longtake.model.training.recipes.autoencoder --data clips --held-out clips_held_out --out runs/autoencoder

With clips of scale 2 and `--decoder-only --upscale 2` the decoder learns to make pictures of twice the size from the
same latents.
"""

import argparse
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from longtake.model.diorama.autoencoder import Autoencoder, AutoencoderConfig, psnr_db
from longtake.model.diorama.labels import HEIGHT, WIDTH
from longtake.model.training.compute import CPU, half_precision, to_device
from longtake.model.training.data.clips import Clips
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.task import Figures, Task, Turn

LAST = "decoder.body.14."
"""the decoder's last convolution"""


@dataclass(frozen=True, kw_only=True)
class AutoencoderTaskConfig:
    """Data and loss of an autoencoder run."""

    data: str
    held_out: str
    crop: tuple[int, int] = (64, 96)
    """height and width of the crops, pixels of the encoder; multiples of 8"""
    full_after: float = 0.75
    """progress at which whole frames replace crops"""
    clips: int = 4
    """crops a rank and step; whole frames use fewer, of the same area"""
    latents: int = 3
    """consecutive latent frames a crop"""
    upscale: int = 1
    """scale of the clips, and of the decoder's output; the encoder sees their averages over so many pixels square"""
    on_actor: float = 0.6
    """share of the crops placed over the actor: nearly half of the error is there, in a tenth of the picture"""
    actor_weight: float = 2.0
    gradient_weight: float = 0.5
    square_weight: float = 12.0
    """of the squared error, which is what decibels measure"""
    latent_noise: float = 0.15
    """largest standard deviation of the noise added to a latent, so that small errors of the generator stay small"""
    decoder_only: bool = False
    start: str = ""
    """weights to start from: a file of this training's, or a folder with what shipped"""


AutoencoderBatch = tuple[Tensor, Tensor, float]
"""Frames [B, T, 3, h, w] uint8, weights [B, T, 1, h, w] float32, and the standard deviation of the latents' noise."""


class AutoencoderTask(Task[AutoencoderBatch]):
    """L1 + gradient + squared error, the actor's box weighted."""

    def __init__(self, config: AutoencoderTaskConfig, device: torch.device = CPU) -> None:
        self.config, self.device = config, device
        self.module: nn.Module = Autoencoder(AutoencoderConfig(upscale=config.upscale))
        if config.start:
            self.module.load_state_dict(enlarged(weights_of(Path(config.start)), config.upscale))
        self.module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.decoder_only:
            self.module.encoder.requires_grad_(False)
        self.clips, self.held_out = Clips(Path(config.data)), Clips(Path(config.held_out))
        for clips in (self.clips, self.held_out):
            if clips.scale != config.upscale:
                raise ValueError(f"the clips are of scale {clips.scale}, the decoder's pictures of {config.upscale}")

    def batch(self, turn: Turn) -> AutoencoderBatch:
        """Return crops, or whole frames towards the end."""
        config, rng = self.config, turn.rng
        size = (HEIGHT, WIDTH) if turn.progress >= config.full_after else config.crop
        count = max(1, config.clips * config.crop[0] * config.crop[1] // (size[0] * size[1]))
        picked = [self._crop(rng, size) for _ in range(count)]
        frames = torch.from_numpy(np.stack([f for f, _ in picked])).permute(0, 1, 4, 2, 3)
        weights = torch.from_numpy(np.stack([w for _, w in picked])).unsqueeze(2)
        noise = float(rng.uniform(0, config.latent_noise))
        return to_device(frames, self.device), to_device(weights, self.device), noise

    def _crop(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        length, scale = 4 * self.config.latents, self.config.upscale
        clip = int(rng.integers(len(self.clips)))
        total = self.clips.frames[clip].shape[0]
        start = 4 * int(rng.integers((total - length) // 4 + 1))
        boxes = self.clips.boxes[clip][start : start + length]
        corner = self._corner(rng, boxes[length // 2] / scale, (HEIGHT - size[0], WIDTH - size[1]))
        top, left, height, width = (scale * each for each in (*corner, *size))
        frames = np.asarray(self.clips.frames[clip][start : start + length, top : top + height, left : left + width])
        weights = np.ones((length, height, width), np.float32)
        for t, (x0, y0, x1, y1) in enumerate(np.round(boxes).astype(int)):
            y, x = slice(max(0, y0 - top), max(0, y1 - top)), slice(max(0, x0 - left), max(0, x1 - left))
            weights[t, y, x] = self.config.actor_weight
        return frames, weights

    def _corner(self, rng: np.random.Generator, box: NDArray[np.float32], room: tuple[int, int]) -> tuple[int, int]:
        """Top and left of a crop, multiples of 8 within `room`; `on_actor` of them with the box's middle inside."""
        corner = [8 * int(rng.integers(r // 8 + 1)) for r in room]
        middle = ((box[1] + box[3]) / 2, (box[0] + box[2]) / 2)
        if rng.random() < self.config.on_actor:
            for axis, (centre, free, size) in enumerate(zip(middle, room, self.config.crop, strict=True)):
                wanted = float(centre) - size * rng.uniform(0.25, 0.75)
                corner[axis] = int(np.clip(8 * round(wanted / 8), 0, 8 * (free // 8)))
        return corner[0], corner[1]

    def loss(self, batch: AutoencoderBatch, progress: float) -> tuple[Tensor, Figures]:
        """See the class."""
        frames, weights, noise = batch
        target = frames.float() / 255
        assert isinstance(self.module, Autoencoder)
        with half_precision(self.device):
            with torch.set_grad_enabled(not self.config.decoder_only):
                self.module.encoder.train(not self.config.decoder_only)
                latents = self.module.encode(averaged(target, self.config.upscale))
            made = self.module.decode_clip(latents + noise * torch.randn_like(latents)).float()
        error = made - target
        loss = (weights * error.abs()).mean() + self.config.square_weight * (weights * error.square()).mean()
        for dim in (-1, -2):
            loss = (
                loss
                + self.config.gradient_weight
                * (weights.narrow(dim, 1, weights.shape[dim] - 1) * error.diff(dim=dim).abs()).mean()
            )
        return loss, {"psnr": psnr_db(made.detach(), target).mean()}

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """PSNR over 16 held-out clips, 16 frames of each; also of the averages that the encoder saw."""
        assert isinstance(module, Autoencoder)
        values, small, actors = [], [], []
        scale = self.config.upscale
        for clip in range(0, min(len(self.held_out), 48), 3):
            start = 4 * (clip % 16)
            frames = torch.from_numpy(np.array(self.held_out.frames[clip][start : start + 16])).permute(0, 3, 1, 2)
            target = frames.unsqueeze(0).to(self.device).float() / 255
            with half_precision(self.device):
                made = module.decode_clip(module.encode(averaged(target, scale))).float()
            values.append(float(psnr_db(made, target)))
            small.append(float(psnr_db(averaged(made, scale), averaged(target, scale))))
            x0, y0, x1, y1 = np.clip(np.round(self.held_out.boxes[clip][start]).astype(int), 0, WIDTH * scale)
            if x1 > x0 and y1 > y0:
                actors.append(float(psnr_db(made[:, :1, :, y0:y1, x0:x1], target[:, :1, :, y0:y1, x0:x1])))
        return {
            "psnr_db": float(np.mean(values)),
            "psnr_db_worst": min(values),
            "averages_psnr_db": float(np.mean(small)),
            "actor_psnr_db": float(np.mean(actors)),
        }


def averaged(frames: Tensor, scale: int) -> Tensor:
    """Frames [B, T, 3, H, W] -> their averages over squares of `scale` pixels, [B, T, 3, H / scale, W / scale]."""
    if scale == 1:
        return frames
    small = functional.avg_pool2d(frames.flatten(0, 1), scale)
    apart: Tensor = small.unflatten(0, frames.shape[:2])
    return apart


def weights_of(path: Path) -> dict[str, Tensor]:
    """Return an autoencoder's weights from its file, or from a folder with one file for each half."""
    if path.is_file():
        return load_file(path)
    halves = ("encoder", "decoder")
    return {f"{half}.{name}": x for half in halves for name, x in load_file(path / f"{half}.safetensors").items()}


def enlarged(state: dict[str, Tensor], upscale: int) -> dict[str, Tensor]:
    """Return an autoencoder's weights for a decoder of another `upscale`: at first its pixels are repeated.

    The last convolution makes each pixel of a square as a channel of its own (`nn.PixelShuffle`); weights of the
    right size stay as they are.
    """
    state = dict(state)
    wanted = AutoencoderConfig().frames_per_latent * 3 * (2 * upscale) ** 2
    if len(state[f"{LAST}bias"]) > wanted:
        raise ValueError("these weights are of a decoder of larger pictures; give --upscale 2")
    for name in (f"{LAST}weight", f"{LAST}bias"):
        times = math.isqrt(wanted // len(state[name]))
        side = 2 * upscale // times
        square = state[name].unflatten(0, (-1, side, side))
        state[name] = square.repeat_interleave(times, 1).repeat_interleave(times, 2).flatten(0, 2).contiguous()
    return state


@torch.inference_mode()
def calibrate(model: Autoencoder, clips: Clips, count: int = 160) -> None:
    """Measure the latents' statistics anew under the final weights: those gathered in training trail behind them."""
    norm = model.encoder.norm
    norm.reset_running_stats()
    norm.momentum = None  # a plain average
    norm.train()
    rng = np.random.default_rng(3)
    with half_precision(CPU):
        for clip in rng.integers(len(clips), size=count):
            start = 4 * int(rng.integers((clips.frames[int(clip)].shape[0] - 16) // 4 + 1))
            frames = torch.from_numpy(np.array(clips.frames[int(clip)][start : start + 16])).permute(0, 3, 1, 2)
            model.encode(frames.unsqueeze(0).float() / 255)
    norm.eval()


def main() -> None:
    """Command line of one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--decay", type=float, default=0.3, help="share of the run over which the step size falls")
    parser.add_argument("--start", default="")
    parser.add_argument("--decoder-only", action="store_true")
    parser.add_argument("--upscale", type=int, default=1)
    parser.add_argument("--gradient-weight", type=float, default=AutoencoderTaskConfig.gradient_weight)
    parser.add_argument("--full-after", type=float, default=0.75)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    args = parser.parse_args()
    task = AutoencoderTaskConfig(
        data=args.data,
        held_out=args.held_out,
        start=args.start,
        decoder_only=args.decoder_only,
        full_after=args.full_after,
        upscale=args.upscale,
        gradient_weight=args.gradient_weight,
    )
    outer = ("encoder.body.1.", "encoder.body.12.", LAST)  # first and last convolutions
    loop = LoopConfig(
        steps=100_000,
        hours=args.hours,
        lr=args.lr,
        adam_lr=args.lr / 5,
        adam_names=outer,
        decay_fraction=args.decay,
        seed=args.seed,
        device=args.device,
    )
    launch(partial(AutoencoderTask, task), loop, args.out, asdict(task))
    if not args.decoder_only:
        model = Autoencoder(AutoencoderConfig())
        model.load_state_dict(load_file(args.out / "ema.safetensors"))
        calibrate(model.eval(), Clips(Path(args.data)))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, args.out / "ema.safetensors")


if __name__ == "__main__":
    main()
