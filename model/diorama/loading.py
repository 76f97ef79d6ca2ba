"""Loads diorama: weights from a folder, device and precision chosen, the verbs ready to use.

model = load_diorama(bundled_folder())
world = model.open(seed=7, conditioning=Conditioning(prompt="a red balloon over a meadow at dusk"))
block = model.step(world)
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, even_timesteps, preset
from longtake.model.diorama.autoencoder import SHIPPED
from longtake.model.diorama.cpu_decoder import quicken
from longtake.model.diorama.files import bundled_folder, digest, part_paths
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.options import DioramaOptions
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.diorama.reading import KNOWS
from longtake.model.diorama.spec import NAME, axes, capabilities
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import ConfigError
from longtake.model.generation.generator import Generator
from longtake.model.interface import LoadRequest, ModelInfo
from longtake.model.loaded import LoadedModel
from longtake.model.network.transformer import Transformer
from longtake.model.ops.allocator import keep_freed_memory
from longtake.model.ops.precision import choose_device, choose_precision, precision_name, product_precision
from longtake.model.options import BackendOptions
from longtake.model.weights import fill, read_config

log = logging.getLogger(__name__)


def load(request: LoadRequest) -> LoadedModel:
    """Load the weights that ship, or those in the option `folder`. Raises as `load_diorama`."""
    options = DioramaOptions.parse(request.options)
    if request.threads:
        torch.set_num_threads(request.threads)

    def drive(config: GeneratorConfig) -> GeneratorConfig:
        if options.steps in (None, len(config.timesteps)):
            return config
        if config.sampler == "euler":
            raise ConfigError(
                f"these weights are distilled to {len(config.timesteps)} steps; leave --steps {options.steps} out, "
                "or name others with --weights"
            )
        return replace(config, timesteps=even_timesteps(options.steps))

    folder = options.folder or bundled_folder()
    return load_diorama(folder, device=request.device, precision=request.precision, options=options, drive=drive)


def load_diorama(
    folder: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    options: BackendOptions | None = None,
    drive: Callable[[GeneratorConfig], GeneratorConfig] = lambda config: config,
) -> LoadedModel:
    """Load diorama from a folder with one safetensors file for each part.

    Args:
        folder: the weights.
        device: auto, cpu or cuda.
        precision: auto, bf16 or fp32.
        options: how to compute.
        drive: changes how the generator drives the transformer, for ablations.

    Raises:
        CheckpointError: a file is missing, truncated or of another model; the message names it.
        BackendError: the device, the precision or a back end cannot be had here.
    """
    options = options or BackendOptions()
    chosen = choose_device(device)
    if chosen.type == "cpu":
        keep_freed_memory()
    dtype = choose_precision(precision, chosen)
    config = drive(read_config(folder / "transformer.safetensors", preset(NAME)))
    # Before any weights are read: what cannot be had is refused at once.
    backend = Backend.chosen(chosen, dtype, options, block_tokens=config.block_tokens)
    transformer = Transformer(config.transformer)
    decoder, text, probe = MovingDecoder(SHIPPED), TextEncoder(TextEncoderConfig()), Probe(ProbeConfig())
    for path, module in zip(part_paths(folder), (transformer, decoder, text, probe), strict=True):
        fill(module, path)
        module.eval().requires_grad_(False)
    decoder_dtype = product_precision(dtype, chosen)
    decoder.to(chosen, decoder_dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if chosen.type == "cpu" and decoder_dtype == torch.float32:
        quicken(decoder, config.transformer.latent_shape[1:])
    generator = Generator(
        transformer,
        CastingDecoder(decoder, decoder_dtype),
        text,
        config,
        backend,
    )
    generator.warm_up()
    frames = SHIPPED.frames_per_latent * config.block_frames
    info = ModelInfo(
        name=NAME,
        height=8 * config.transformer.latent_height * SHIPPED.upscale,
        width=8 * config.transformer.latent_width * SHIPPED.upscale,
        fps=config.fps,
        block_frames=frames,
        first_block_frames=frames,
        window_blocks=config.window_frames // config.block_frames,
        capabilities=capabilities(config.transformer),
        axes=axes(config.transformer),
        weights=digest(part_paths(folder)),
        device=str(chosen),
        precision=precision_name(dtype),
        knows=KNOWS,
    )
    log.info("diorama on %s in %s, weights %s", info.device, info.precision, info.weights)
    return LoadedModel(generator, info, probe.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class CastingDecoder:
    """A decoder whose latents are cast to its own precision first."""

    def __init__(self, decoder: MovingDecoder, dtype: torch.dtype) -> None:
        self.decoder, self.dtype = decoder, dtype

    def open(self, batch: int) -> Any:
        """Return the state of a decoder that has seen nothing."""
        return self.decoder.open(batch)

    def decode(self, latents: Tensor, state: Any) -> Tensor:
        """[B, 1, C, h, w] -> [B, n, 3, H, W] float in 0..1."""
        return self.decoder.decode(latents.to(self.dtype), state)
