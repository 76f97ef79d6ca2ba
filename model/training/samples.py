"""Sheets of takes that a transformer in training makes: what its loss does not tell."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch

from longtake.model.config import GeneratorConfig
from longtake.model.diorama.autoencoder import SHIPPED, Decoder
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.evaluation.sheets import PROMPTS, sheet
from longtake.model.generation.generator import Generator
from longtake.model.loading import CastingDecoder, fill
from longtake.model.network.transformer import Transformer
from longtake.model.training.compute import working_dtype
from longtake.model.training.files import write_whole

SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
SHOWN: Final = PROMPTS[:6]


class SheetMaker:
    """Films the same prompts from the same seeds each time.

    Args:
        parts: folder with `decoder.safetensors` and `text_encoder.safetensors`.
        device: where the takes are made.
        every_s: how often a sheet is due; 0 for never.
        clock: seconds.
    """

    def __init__(
        self, *, parts: Path, device: torch.device, every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.parts, self.device, self._every_s, self._clock = parts, device, every_s, clock
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
        decoder, text = Decoder(SHIPPED), TextEncoder(TextEncoderConfig())
        for name, module in (("decoder", decoder), ("text_encoder", text)):
            fill(module, self.parts / f"{name}.safetensors")
            module.eval().requires_grad_(False)
        dtype = working_dtype(self.device)
        decoder.to(self.device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        text.to(self.device)
        casting = CastingDecoder(decoder, dtype)
        generator = Generator(copy.deepcopy(transformer), casting, text, config, self.device, dtype)
        world = generator.open(seed=range(len(SHOWN)), prompt=SHOWN)
        parts = []
        for _ in range(int(SECONDS[-1] * config.fps) // SHIPPED.frames_per_latent + 1):
            frames = generator.step(world).frames
            assert frames is not None, "the generator has a decoder"
            parts.append(frames.cpu().numpy())
        generator.close(world)
        page = sheet(np.concatenate(parts, 1), SHOWN, [round(s * config.fps) for s in SECONDS])
        write_whole(path, lambda beside: page.save(beside, format="JPEG", quality=88))
        self._last = self._clock()
        return path
