"""Train the probe on rendered clips.

python -m longtake.model.training.recipes.probe --data clips --held-out clips_held_out --out runs/probe
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from longtake.model.command_line import Parser
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.training.compute import CPU, half_precision, to_device
from longtake.model.training.data.clips import Clips
from longtake.model.training.ending import carry_out
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.task import Figures, Task, Turn

SETTLE_FRAMES = 44
"""frames after a switch in which two scenes are seen at once: not shown to the probe"""


@dataclass(frozen=True, kw_only=True)
class ProbeTaskConfig:
    """Data of a probe run."""

    data: str
    held_out: str
    batch: int = 48


def settled(clips: Clips, clip: int, frame: int) -> dict[str, str] | None:
    """The labels of a frame, or None while a switch is under way."""
    scene, switch = clips.scenes[clip], clips.switches[clip]
    if switch is None or frame < switch.frame:
        return scene.labels()
    return switch.scene.labels() if frame >= switch.frame + SETTLE_FRAMES else None


def targets(labels: list[dict[str, str]]) -> dict[str, Tensor]:
    """{kind: [B] int64}."""
    return {kind: torch.tensor([LABELS[kind].index(row[kind]) for row in labels]) for kind in SCORED}


def soften(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur, noise, a little light and colour, and shifts of a few pixels: what a generator's frames look like."""
    if rng.random() < 0.6:
        small = float(rng.uniform(0.35, 1.0))
        size = frames.shape[-2:]
        frames = F.interpolate(frames, scale_factor=small, mode="bilinear", antialias=True)
        frames = F.interpolate(frames, size, mode="bilinear")
    if rng.random() < 0.5:
        frames = frames + float(rng.uniform(0, 0.05)) * torch.randn_like(frames)
    frames = frames * float(rng.uniform(0.93, 1.07)) + float(rng.uniform(-0.03, 0.03))
    shift = (int(rng.integers(-6, 7)), int(rng.integers(-10, 11)))
    padded = F.pad(frames, (10, 10, 6, 6), mode="replicate")
    return padded[..., 6 + shift[0] : 6 + shift[0] + 96, 10 + shift[1] : 10 + shift[1] + 160].clamp(0, 1)


ProbeBatch = tuple[Tensor, dict[str, Tensor]]
"""Softened frames [B, 3, 96, 160] float in 0..1, and for each kind its classes [B] int64."""


class ProbeTask(Task[ProbeBatch]):
    """Cross-entropy, one head a kind."""

    def __init__(self, config: ProbeTaskConfig, device: torch.device = CPU) -> None:
        self.config, self.device = config, device
        self.module: nn.Module = Probe(ProbeConfig()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.clips, self.held_out = Clips(Path(config.data)), Clips(Path(config.held_out))

    def batch(self, turn: Turn) -> ProbeBatch:
        """Return frames that show one scene, with their labels."""
        frames: list[NDArray[np.uint8]] = []
        labels: list[dict[str, str]] = []
        while len(frames) < self.config.batch:
            clip = int(turn.rng.integers(len(self.clips)))
            frame = int(turn.rng.integers(self.clips.frames[clip].shape[0]))
            row = settled(self.clips, clip, frame)
            if row is not None:
                frames.append(np.asarray(self.clips.frames[clip][frame]))
                labels.append(row)
        picture = to_device(torch.from_numpy(np.stack(frames)), self.device).permute(0, 3, 1, 2).float() / 255
        halves = [soften(part, turn.rng) for part in picture.chunk(4)]
        return torch.cat(halves), {kind: to_device(each, self.device) for kind, each in targets(labels).items()}

    def loss(self, batch: ProbeBatch, progress: float) -> tuple[Tensor, Figures]:
        """Sum over the kinds."""
        frames, wanted = batch
        with half_precision(self.device):
            logits = self.module(frames.to(memory_format=torch.channels_last))
        losses = [F.cross_entropy(logits[kind].float(), wanted[kind]) for kind in SCORED]
        right = [(logits[kind].argmax(-1) == wanted[kind]).float().mean() for kind in SCORED]
        return torch.stack(losses).sum(), dict(zip(SCORED, right, strict=True))

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Share of held-out clips read rightly, kind by kind, each by the vote over 8 frames."""
        assert isinstance(module, Probe)
        return accuracy(module, self.held_out)


def accuracy(probe: Probe, clips: Clips) -> dict[str, float]:
    """Share of rightly read windows of 8 frames, at a clip's start and end."""
    right: dict[str, list[bool]] = {kind: [] for kind in SCORED}
    device = next(probe.parameters()).device
    for clip in range(len(clips)):
        frames = clips.frames[clip]
        for start in (0, frames.shape[0] - 8):
            first, last = settled(clips, clip, start), settled(clips, clip, start + 7)
            if first is None or first != last:
                continue
            reading = probe.read(torch.from_numpy(np.array(frames[start : start + 8])).to(device))
            for kind in SCORED:
                right[kind].append(reading.labels[kind] == first[kind])
    return {kind: float(np.mean(values)) for kind, values in right.items()}


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train probe")
    parser.add_argument("--data", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    args = parser.parse_args()
    task = ProbeTaskConfig(data=args.data, held_out=args.held_out)
    adam = ("body.0.", "look", "heads")
    loop = LoopConfig(
        steps=args.steps,
        lr=0.01,
        adam_lr=0.002,
        adam_names=adam,
        ema=0.99,
        ranks=args.ranks,
        device=args.device,
    )
    launch(partial(ProbeTask, task), loop, args.out, asdict(task))


if __name__ == "__main__":
    carry_out(main)
