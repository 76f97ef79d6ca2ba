"""Load a model of LongLive's kind: transformer, text encoder and decoder from public files, or random ones.

model = load_longlive("longlive-1.3b", options=LongLiveOptions(folder=Path("/models")))
model = load_longlive("longlive-1.3b", options=LongLiveOptions(random_weights="tiny"), device="cpu")
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import Decoder, TextEncoder
from longtake.model.interface import LoadRequest, ModelInfo
from longtake.model.loaded import LoadedModel
from longtake.model.longlive.files import open_tensors
from longtake.model.longlive.layouts import (
    TEXT_ENCODER,
    TINY_DECODERS,
    TOKENIZER,
    WAN_VAE,
    Layout,
    find_transformer,
    need,
    open_transformer,
)
from longtake.model.longlive.names import lora_targets
from longtake.model.longlive.options import LongLiveOptions
from longtake.model.longlive.spec import CAPABILITIES
from longtake.model.longlive.table import default_root, find
from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig
from longtake.model.longlive.umt5 import (
    EmbeddingCache,
    Place,
    RandomText,
    Tokenizer,
    Umt5,
    build_umt5,
    open_umt5,
    umt5_sizes,
)
from longtake.model.longlive.wan_vae import WanDecoder, open_vae, vae_sizes
from longtake.model.longlive.weights import Lora, Progress, Write, from_file, materialise, random_values
from longtake.model.network.transformer import Transformer
from longtake.model.ops.allocator import keep_freed_memory
from longtake.model.ops.precision import choose_device, choose_precision, precision_name, product_precision

log = logging.getLogger(__name__)

FRAMES_PER_LATENT = 4
"""frames that a latent frame decodes to; a take's first latent frame decodes to one"""
PIXELS_PER_LATENT = 8
GPU_TEXT_BYTES = 40 * 10**9
"""memory from which on a GPU holds the text encoder beside the world model"""
_SAMPLE_BYTES = 2**16
_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model of this kind: its configuration, and the layouts of its transformer, the preferred first."""

    config: GeneratorConfig
    layouts: tuple[Layout, ...]


VARIANTS = {
    "longlive-1.3b": Variant(config=preset("longlive-1.3b"), layouts=("longlive", "wan", "diffusers")),
    # Attends to all of its five seconds and keeps no sink.
    "self-forcing-1.3b": Variant(
        config=replace(preset("longlive-1.3b"), window_frames=21, sink_frames=0),
        layouts=("self-forcing", "wan", "diffusers"),
    ),
}

TINY = TransformerConfig(
    dim=48,
    ffn_dim=96,
    heads=2,
    layers=2,
    text_tokens=16,
    text_dim=32,
    time_frequencies=32,
    latent_height=8,
    latent_width=12,
)
"""Sizes of the transformer with `random_weights="tiny"`."""


def load(request: LoadRequest) -> LoadedModel:
    """Load a model of the registry. Raises as `load_longlive`."""
    options = LongLiveOptions.parse(request.options)
    if request.threads:
        torch.set_num_threads(request.threads)
    return load_longlive(request.name, device=request.device, precision=request.precision, options=options)


def load_longlive(
    name: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    options: LongLiveOptions | None = None,
    progress: Progress | None = None,
) -> LoadedModel:
    """Load a model of LongLive's kind.

    Args:
        name: a key of `VARIANTS`.
        device: auto, cpu or cuda.
        precision: auto, bf16 or fp32.
        options: everything else.
        progress: called with the bytes of the transformer that are loaded, and with all of them.

    Raises:
        CheckpointError: a file is missing, damaged or of another model; the message names it.
        BackendError: the device, the precision or a package cannot be had here.
        ConfigError: no such model.
    """
    options = options or LongLiveOptions()
    if name not in VARIANTS:
        raise ConfigError(f"no model of LongLive's kind is called {name!r}; there are {', '.join(VARIANTS)}")
    chosen = choose_device(device)
    if chosen.type == "cpu":
        keep_freed_memory()
    loader = Loader(name, options, chosen, choose_precision(precision, chosen))
    return loader.load(progress or _logged())


class Loader:
    """Builds the parts of a model. `files` lists the files that it has read."""

    def __init__(self, name: str, options: LongLiveOptions, device: torch.device, dtype: torch.dtype) -> None:
        self.name, self.options, self.device, self.dtype = name, options, device, dtype
        self.variant = VARIANTS[name]
        self.root = options.folder or default_root()
        self.files: list[Path] = []
        config = replace(self.variant.config, positions=options.positions, sink_on_recache=options.sink_on_recache)
        if options.random_weights == "tiny":
            config = replace(config, transformer=TINY)
        self.config = config
        if options.folder is not None and not options.random_weights and not options.folder.is_dir():
            raise CheckpointError(f"{options.folder} is no folder; name the one that the model's files are in")

    def load(self, progress: Progress) -> LoadedModel:
        """Return the model; see `load_longlive`."""
        # Before anything is read: what cannot be had is refused at once.
        backend = Backend.chosen(self.device, self.dtype, self.options, block_tokens=self.config.block_tokens)
        transformer = self.transformer(self.config.transformer, progress)
        decoder = self.decoder()
        text = self.text_encoder()
        generator = Generator(
            transformer,
            decoder,
            text,
            self.config,
            backend,
        )
        if backend.execution == "compiled":
            log.info("compiling the layers, which takes minutes")
        generator.warm_up(lambda done, total: log.info("compiled %d of %d lengths", done, total))
        info = self.describe()
        log.info("%s on %s in %s, weights %s", info.name, info.device, info.precision, info.weights)
        return LoadedModel(generator, info, None)

    def transformer(self, config: TransformerConfig, progress: Progress | None) -> Transformer:
        """Return the transformer with its weights and its LoRA merged."""
        with torch.device("meta"):
            module = Transformer(config)
        self._fill(module, self._random() or self._transformer_file(module), progress)
        return module

    def _transformer_file(self, module: Transformer) -> Write:
        found = find_transformer(self.root, self.variant.layouts, with_lora=self.options.lora)
        if found.layout in ("wan", "diffusers"):
            log.warning(
                "%s is taken for %s; Wan's own model of that name is not causal and makes no sense here",
                found.base,
                self.name,
            )
        self.files += [found.base, *([found.lora] if found.lora else [])]
        lora = Lora.open(found.lora, alpha=self.options.lora_alpha) if found.lora else None
        if lora:
            shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
            lora.check(shapes, lora_targets(module.config.layers))
        file = open_transformer(found, averaged=self.options.averaged)
        return from_file(file, module, what=self.name, lora=lora)

    def decoder(self) -> Decoder:
        """Return the chosen decoder, in the model's precision if that is fast here."""
        choice = self.options.decoder
        tiny = find(self.root, TINY_DECODERS) if not self.options.random_weights else None
        if choice == "auto":
            choice = "tiny" if tiny or self.options.random_weights else "wan"
        return self._tiny_decoder(tiny) if choice == "tiny" else self._wan_decoder()

    def _tiny_decoder(self, path: Path | None) -> TinyDecoder:
        if path is None and not self.options.random_weights:
            path = need(self.root, TINY_DECODERS, "tiny decoder")
        raw = path is not None and path.name.startswith("light")
        with torch.device("meta"):
            module = TinyDecoder(TinyDecoderConfig(latents="raw" if raw else "normalised"))
        write = self._random()
        if write is None:
            assert path is not None
            self.files.append(path)
            file = open_tensors(path).renamed(lambda name: None if name.startswith("encoder.") else name)
            write = from_file(file, module, what="the tiny decoder")
        self._fill(module, write, dtype=product_precision(self.dtype, self.device))
        return module

    def _wan_decoder(self) -> WanDecoder:
        write = self._random()
        if write is not None:
            module = WanDecoder()
        else:
            path = need(self.root, WAN_VAE, "decoder")
            self.files.append(path)
            module = WanDecoder(**vae_sizes(path))
            write = from_file(open_vae(path), module, what="the decoding half of Wan2.1's VAE")
        self._fill(module, write, dtype=product_precision(self.dtype, self.device))
        if self.device.type == "cuda":
            # A tenth faster there (measured on an H200).
            module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        return module

    def text_encoder(self) -> TextEncoder:
        """Return the text encoder, on the device that the options name."""
        sizes = self.config.transformer
        if self.options.random_weights or self.options.text_encoder == "random":
            return RandomText(sizes.text_tokens, sizes.text_dim, self.device, self.dtype)
        path = need(self.root, TEXT_ENCODER, "text encoder")
        tokenizer = Tokenizer(need(self.root, TOKENIZER, "tokenizer"), sizes.text_tokens)
        place = self._text_place()
        module = build_umt5(**umt5_sizes(path))
        home = self.device if place == "gpu" else torch.device("cpu")
        file = open_umt5(path)
        # bf16 on the CPU too, as in the file: twice the memory would gain nothing.
        materialise(module, from_file(file, module, what="UMT5-XXL's encoder"), dtype=torch.bfloat16, device=home)
        width = module.get_parameter("shared.weight").shape[1]
        if width != sizes.text_dim:
            raise CheckpointError(f"{path} makes tokens of width {width}, {self.name} wants {sizes.text_dim}")
        kept = None
        if self.options.keep_prompts:
            folder = self.options.prompts_folder or default_root() / "prompts"
            kept = EmbeddingCache(folder=folder, encoder=fingerprint([path]))
        return Umt5(module, tokenizer, text_tokens=sizes.text_tokens, device=self.device, place=place, kept=kept)

    def _text_place(self) -> Place:
        asked = self.options.text_encoder
        if asked != "auto":
            assert asked != "random", "decided before"
            return asked
        if self.device.type != "cuda":
            return "cpu"
        return "gpu" if torch.cuda.get_device_properties(self.device).total_memory >= GPU_TEXT_BYTES else "offload"

    def _random(self) -> Write | None:
        return random_values(self.options.seed) if self.options.random_weights else None

    def _fill(
        self, module: nn.Module, write: Write, progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> None:
        materialise(module, write, dtype=dtype or self.dtype, device=self.device, progress=progress)
        module.eval().requires_grad_(False)

    def describe(self) -> ModelInfo:
        """Return what the model is."""
        sizes, block = self.config.transformer, self.config.block_frames
        random = self.options.random_weights
        return ModelInfo(
            name=self.name,
            height=PIXELS_PER_LATENT * sizes.latent_height,
            width=PIXELS_PER_LATENT * sizes.latent_width,
            fps=self.config.fps,
            block_frames=FRAMES_PER_LATENT * block,
            first_block_frames=FRAMES_PER_LATENT * (block - 1) + 1,
            window_blocks=self.config.window_frames // block,
            capabilities=CAPABILITIES,
            weights=f"random-{random}-{self.options.seed}" if random else fingerprint(self.files),
            device=str(self.device),
            precision=precision_name(self.dtype),
        )


def _logged() -> Progress:
    """Return a callback that logs a line at each fifth of the weights."""
    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        while said < 5 * done // total:
            said += 1
            log.info("transformer: %d %% of %.1f GB", 20 * said, total / 1e9)

    return progress


def fingerprint(paths: Sequence[Path]) -> str:
    """Return 16 hex digits that tell weights apart: a hash of the files' sizes and of samples from them.

    Hashing eight gigabytes at every start would take longer than loading them.
    """
    total = hashlib.blake2b(digest_size=8)
    for path in paths:
        size = path.stat().st_size
        total.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(max(0, size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                total.update(file.read(_SAMPLE_BYTES))
    return total.hexdigest()
