"""The probe: a small classifier that reads place, time, weather, actor and colour back from a frame.

Trained on rendered frames whose labels are known, blurred and noised so that it judges generated ones by what they
show rather than by how sharp they are. A reading is the vote over several frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longtake.model.diorama.labels import LABELS, SCORED


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Sizes of the probe."""

    widths: tuple[int, ...] = (32, 64, 96, 128, 128)
    """channels after each halving of the frame"""


@dataclass(frozen=True, kw_only=True)
class ProbeReading:
    """Label and confidence (0..1) for each kind."""

    labels: dict[str, str]
    confidence: dict[str, float]


class Probe(nn.Module):
    """frames [B, 3, 96, 160] float 0..1 -> logits for each kind, {kind: [B, labels of the kind]}."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in config.widths:
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, groups=max(1, width // 16), bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            before = width
        self.body = nn.Sequential(*layers)
        self.look = nn.Linear(before, len(SCORED))  # where each kind looks, as attention over the last grid
        self.heads = nn.ModuleDict({kind: nn.Linear(3 * before, len(LABELS[kind])) for kind in SCORED})

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """See the class."""
        grid = self.body(frames - 0.5).flatten(2).transpose(1, 2)  # [B, cells, C]
        weights = self.look(grid).softmax(1)
        mean, most = grid.mean(1), grid.amax(1)
        logits = {}
        for index, kind in enumerate(SCORED):
            looked = (grid * weights[..., index : index + 1]).sum(1)
            logits[kind] = self.heads[kind](torch.cat([looked, mean, most], -1))
        return logits

    @torch.inference_mode()
    def read(self, frames: Tensor) -> ProbeReading:
        """frames [T, H, W, 3] uint8 -> the median vote: the label with the highest median probability over the frames.

        Frames of another size are brought to the probe's by area or bilinear resampling.
        """
        x = frames.permute(0, 3, 1, 2).float() / 255
        if x.shape[-2:] != (96, 160):
            x = nn.functional.interpolate(x, (96, 160), mode="bilinear", antialias=True)
        labels, confidence = {}, {}
        for kind, logits in self(x).items():
            median = logits.softmax(-1).median(0).values
            best = int(median.argmax())
            labels[kind], confidence[kind] = LABELS[kind][best], float(median[best])
        return ProbeReading(labels=labels, confidence=confidence)
