"""Sheets of takes that a transformer in training makes: what its loss does not tell."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig
from longtake.model.diorama.autoencoder import SHIPPED
from longtake.model.diorama.loading import CastingDecoder
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.evaluation.sheets import PROMPTS, sheet
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import Decoder as WorldDecoder
from longtake.model.generation.world import TextEncoder as WorldText
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions
from longtake.model.training.compute import working_dtype
from longtake.model.training.files import write_whole
from longtake.model.weights import fill

SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
SHOWN: Final = PROMPTS[:6]


@dataclass(frozen=True, kw_only=True, eq=False)
class Studio:
    """What it takes to make pictures with a transformer.

    Attributes:
        decoder, text: of its world, on the device.
        prompts: what is filmed.
        together: takes made at the same time.
    """

    decoder: WorldDecoder
    text: WorldText
    prompts: Sequence[str]
    together: int


def diorama_studio(parts: Path, device: torch.device) -> Studio:
    """Return the studio of a folder with `decoder.safetensors` and `text_encoder.safetensors`."""
    decoder, text = load_decoder(parts), TextEncoder(TextEncoderConfig())
    fill(text, parts / "text_encoder.safetensors")
    text.eval().requires_grad_(False)
    dtype = working_dtype(device)
    decoder.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    text.to(device)
    return Studio(decoder=CastingDecoder(decoder, dtype), text=text, prompts=SHOWN, together=len(SHOWN))


class SheetMaker:
    """Films the same prompts from the same seeds each time.

    Args:
        studio: makes what it films with, which is dropped after each sheet.
        device: where the takes are made.
        every_s: how often a sheet is due; 0 for never.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        studio: Callable[[], Studio],
        device: torch.device,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device, self._studio, self._every_s, self._clock = device, studio, every_s, clock
        self._last = -math.inf

    def due(self) -> bool:
        """Whether it is time for a sheet."""
        return self._every_s > 0 and self._clock() - self._last >= self._every_s

    def write(self, transformer: Transformer, config: GeneratorConfig, folder: Path) -> Path:
        """Write a sheet of takes by these weights as the folder's next JPEG.

        Raises:
            TrainingError: the disk is full.
        """
        path = folder / f"{len(list(folder.glob('*.jpg'))):03d}.jpg"
        studio = self._studio()
        backend = Backend.chosen(
            # One short take is not worth recording.
            self.device,
            working_dtype(self.device),
            BackendOptions(graphs=False),
            block_tokens=config.block_tokens,
        )
        generator = Generator(copy.deepcopy(transformer), studio.decoder, studio.text, config, backend)
        frames = round(SECONDS[-1] * config.fps) + 1
        starts = range(0, len(studio.prompts), studio.together)
        takes = [film(generator, studio.prompts[n : n + studio.together], first_seed=n, frames=frames) for n in starts]
        page = sheet(np.concatenate(takes), list(studio.prompts), [round(s * config.fps) for s in SECONDS])
        write_whole(path, lambda beside: page.save(beside, format="JPEG", quality=88))
        self._last = self._clock()
        return path


def film(generator: Generator, prompts: Sequence[str], *, first_seed: int, frames: int) -> NDArray[np.uint8]:
    """Film a take of each prompt: [B, at least so many frames, H, W, 3] uint8."""
    world = generator.open(seed=range(first_seed, first_seed + len(prompts)), prompt=list(prompts))
    parts: list[NDArray[np.uint8]] = []
    while sum(part.shape[1] for part in parts) < frames:
        made = generator.step(world).frames
        assert made is not None, "the generator has a decoder"
        parts.append(made.cpu().numpy())
    generator.close(world)
    return np.concatenate(parts, 1)


def load_decoder(parts: Path) -> MovingDecoder:
    """Load a folder's decoder; raises CheckpointError if it is none."""
    decoder = MovingDecoder(SHIPPED)
    fill(decoder, parts / "decoder.safetensors")
    return decoder.eval().requires_grad_(False)
