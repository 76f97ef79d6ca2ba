"""Sheets of takes that a transformer in training makes: what its loss does not tell."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig
from longtake.model.diorama.autoencoder import MOVING, SHIPPED, Decoder, make_decoder
from longtake.model.diorama.loading import CastingDecoder
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.evaluation.sheets import PROMPTS, sheet
from longtake.model.generation.generator import Generator
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions
from longtake.model.training.compute import working_dtype
from longtake.model.training.files import write_whole
from longtake.model.weights import fill

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
        decoder, text = load_decoder(self.parts), TextEncoder(TextEncoderConfig())
        fill(text, self.parts / "text_encoder.safetensors")
        text.eval().requires_grad_(False)
        dtype = working_dtype(self.device)
        decoder.to(self.device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        text.to(self.device)
        casting = CastingDecoder(decoder, dtype)
        backend = Backend.chosen(
            # One short take is not worth recording.
            self.device,
            dtype,
            BackendOptions(graphs=False),
            block_tokens=config.block_tokens,
        )
        generator = Generator(copy.deepcopy(transformer), casting, text, config, backend)
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


def load_decoder(parts: Path) -> Decoder | MovingDecoder:
    """Load a folder's decoder, whichever kind it is; raises CheckpointError if it is none."""
    path = parts / "decoder.safetensors"
    decoders = [make_decoder(config) for config in (MOVING, SHIPPED)]
    names = set(load_file(path)) if path.exists() else set()
    decoder = next((each for each in decoders if names == set(each.state_dict())), decoders[-1])
    fill(decoder, path)
    return decoder.eval().requires_grad_(False)
