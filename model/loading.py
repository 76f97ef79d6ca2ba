"""Load a world model by name: weights from disk, device and precision chosen, the verbs ready to use.

model = load("diorama")
world = model.open(seed=7, prompt="a red balloon over a meadow at dusk")
block = model.step(world)
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.config import preset
from longtake.model.diorama.autoencoder import SHIPPED, Decoder, make_decoder
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.generation.block import Block
from longtake.model.generation.generator import Generator
from longtake.model.generation.snapshot import Snapshot
from longtake.model.generation.world import World
from longtake.model.longlive.options import OF_EVERY_MODEL, LongLiveOptions
from longtake.model.network.transformer import Transformer
from longtake.model.ops.allocator import keep_freed_memory
from longtake.model.ops.precision import choose_device, choose_precision, precision_name, product_precision

log = logging.getLogger(__name__)

DIORAMA_PARTS = ("transformer", "decoder", "text_encoder", "probe")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a loaded model is; frames are `[height, width, 3] uint8 RGB`."""

    name: str
    height: int
    width: int
    fps: int
    block_frames: int
    """frames in every block but the first"""
    first_block_frames: int
    window_blocks: int
    capabilities: list[str]
    weights: str
    """first 16 hex digits of the weights' hash"""
    device: str
    precision: str


class LoadedModel:
    """A generator with its description, its probe and snapshots as bytes: what the engine drives."""

    def __init__(self, generator: Generator, info: Description, probe: Probe | None) -> None:
        self.generator, self.info, self.probe = generator, info, probe

    def open(self, *, seed: int, prompt: str) -> World:
        """Start a take."""
        return self.generator.open(seed=seed, prompt=prompt)

    def prepare(self, prompt: str) -> None:
        """Encode a prompt ahead of its cue."""
        self.generator.encode(prompt)

    def cue(self, world: World, prompt: str) -> None:
        """Change the prompt from the next block on, and recache."""
        self.generator.cue(world, prompt)

    def step(self, world: World) -> Block:
        """Make the next block."""
        return self.generator.step(world)

    def snapshot(self, world: World, exact: bool = False) -> Snapshot:
        """Save a world."""
        return self.generator.snapshot(world, exact)

    def restore(self, data: bytes) -> World:
        """Return a world from a snapshot's bytes."""
        return self.generator.restore(Snapshot.from_bytes(data, self.generator.config))

    def close(self, world: World) -> None:
        """Forget a world."""
        self.generator.close(world)

    def read(self, frames: Any) -> tuple[dict[str, str], dict[str, float]]:
        """What the probe sees in frames `[n, H, W, 3] uint8`: label and confidence for each kind."""
        if self.probe is None:
            raise ConfigError(f"model {self.info.name} has no probe; open the world without readings")
        reading = self.probe.read(torch.as_tensor(frames))
        return reading.labels, reading.confidence


def load(
    name: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    options: LongLiveOptions | Mapping[str, str] | None = None,
) -> LoadedModel:
    """Load a model by name.

    Args:
        name: "diorama", or one of LongLive's kind ("longlive-1.3b", "self-forcing-1.3b").
        device: auto, cpu or cuda.
        precision: auto, bf16 or fp32.
        threads: of torch on the CPU; 0 leaves them as they are.
        options: how it is loaded, also as texts by name (`longtake.model.longlive.options`); diorama takes
            those of `OF_EVERY_MODEL` only.

    Raises:
        CheckpointError: a file is missing, truncated or of another model; the message names it.
        BackendError: the device or precision cannot be had here.
        ConfigError: no such model.
    """
    if threads:
        torch.set_num_threads(threads)
    if choose_device(device).type == "cpu":
        keep_freed_memory()
    if name != "diorama":
        # Not needed by diorama, whose users may not have what it imports.
        from longtake.model.longlive.loading import VARIANTS, load_longlive

        if name not in VARIANTS:
            raise ConfigError(f"no model is called {name!r}; there are diorama, {', '.join(VARIANTS)}")
        if isinstance(options, Mapping):
            options = LongLiveOptions.parse(options)
        return load_longlive(name, device=device, precision=precision, options=options)
    texts = options or {}
    if not isinstance(texts, Mapping) or not set(texts) <= set(OF_EVERY_MODEL):
        raise ConfigError(f"diorama comes with its weights; of the options it takes {', '.join(OF_EVERY_MODEL)} only")
    chosen = LongLiveOptions.parse(texts)
    return load_diorama(
        bundled_folder(),
        device=device,
        precision=precision,
        attention=chosen.attention,
        linear=chosen.linear,
        cache=chosen.cache,
        graphs=chosen.graphs,
        overlap=chosen.overlap,
    )


def bundled_folder() -> Path:
    """Return the folder of diorama's weights."""
    return Path(str(files("longtake.model.diorama") / "weights"))


def load_diorama(
    folder: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    attention: str = "auto",
    linear: str = "auto",
    cache: str = "plain",
    graphs: bool = False,
    overlap: bool | None = None,
) -> LoadedModel:
    """Load diorama from a folder with one safetensors file a part.

    Arguments and errors as `load`; the others as `longtake.model.generation.generator.Generator`.
    """
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    config = preset("diorama")
    transformer = Transformer(config.transformer)
    decoder, text, probe = make_decoder(SHIPPED), TextEncoder(TextEncoderConfig()), Probe(ProbeConfig())
    for part, module in zip(DIORAMA_PARTS, (transformer, decoder, text, probe), strict=True):
        fill(module, folder / f"{part}.safetensors")
        module.eval().requires_grad_(False)
    decoder_dtype = product_precision(dtype, chosen)
    decoder.to(chosen, decoder_dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = Generator(
        transformer,
        CastingDecoder(decoder, decoder_dtype),
        text,
        config,
        chosen,
        dtype,
        attention=attention,
        linear=linear,
        cache=cache,
        graphs=graphs,
        overlap=overlap,
    )
    sizes = SHIPPED
    info = Description(
        name="diorama",
        height=8 * config.transformer.latent_height * sizes.upscale,
        width=8 * config.transformer.latent_width * sizes.upscale,
        fps=config.fps,
        block_frames=sizes.frames_per_latent * config.block_frames,
        first_block_frames=sizes.frames_per_latent * config.block_frames,
        window_blocks=config.window_frames // config.block_frames,
        capabilities=["reading", "snapshot"],
        weights=digest([folder / f"{part}.safetensors" for part in DIORAMA_PARTS]),
        device=str(chosen),
        precision=precision_name(dtype),
    )
    log.info("diorama on %s in %s, weights %s", info.device, info.precision, info.weights)
    return LoadedModel(generator, info, probe.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class CastingDecoder:
    """A decoder fed in its own precision."""

    def __init__(self, decoder: Decoder | MovingDecoder, dtype: torch.dtype) -> None:
        self.decoder, self.dtype = decoder, dtype

    def open(self, batch: int) -> Any:
        """State of a new take."""
        return self.decoder.open(batch)

    def decode(self, latents: Tensor, state: Any) -> Tensor:
        """[B, 1, C, h, w] -> [B, n, 3, H, W] float in 0..1."""
        return self.decoder.decode(latents.to(self.dtype), state)


def fill(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module, strictly; raises CheckpointError naming file, key and remedy."""
    if not path.exists():
        raise CheckpointError(f"weights are missing: {path}; reinstall longtake, or train them (docs/training.md)")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights cannot be read: {path} ({error}); reinstall longtake") from None
    own = module.state_dict()
    for key, value in own.items():
        if key not in state:
            raise CheckpointError(f"{path} lacks {key}: it belongs to another version; reinstall longtake")
        if state[key].shape != value.shape:
            raise CheckpointError(
                f"{path}: {key} is {list(state[key].shape)}, not {list(value.shape)}; reinstall longtake"
            )
    for key in state:
        if key not in own:
            raise CheckpointError(f"{path} has {key}, which this version does not know; reinstall longtake")
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})


def digest(paths: Sequence[Path]) -> str:
    """Return the first 16 hex digits of the files' blake2b."""
    total = hashlib.blake2b(digest_size=8)
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()
