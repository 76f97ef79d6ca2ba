"""LongLive's world on Wan2.1: a causal 1.3B generator, a bidirectional 14B teacher and a bidirectional 1.3B critic.

Weights stay in their files until they are spread: where a file has the wanted type, a parameter is a view of the mapped
file, and each rank copies its share of it, a layer at a time. A file in another type is cast, whole, on every rank.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from longtake.model.config import TransformerConfig
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.longlive.files import TensorFile, open_tensors
from longtake.model.longlive.layouts import WAN_VAE, Layout, find_transformer, need, open_transformer
from longtake.model.longlive.loading import TINY, VARIANTS
from longtake.model.longlive.umt5 import RandomText
from longtake.model.longlive.wan_vae import WanDecoder, WanEncoder, open_encoder, open_vae, vae_sizes
from longtake.model.longlive.weights import from_file, materialise, random_values
from longtake.model.network.transformer import Transformer
from longtake.model.training.compute import working_dtype
from longtake.model.training.data.prompt_files import PromptPair
from longtake.model.training.data.texts import WAN_NEGATIVE, TextFolder
from longtake.model.training.objectives.ode import BidirectionalTeacher, Teacher
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning, Score
from longtake.model.training.objectives.streaming import Reencode
from longtake.model.training.recipes.worlds import DISTILLATION, Need, TrainingWorld
from longtake.model.training.samples import Studio

WAN_14B: Final = replace(VARIANTS["longlive-1.3b"].config.transformer, dim=5120, ffn_dim=13824, heads=40, layers=40)
"""Sizes of Wan2.1-T2V-14B."""
SHOWN: Final = 4
"""prompts that samples are made of, the first ones"""
H = TypeVar("H", WanDecoder, WanEncoder)
RANDOM_VAE: Final = {"base_dim": 8}
"""sizes of a VAE for a rehearsal"""


class WanWorld(TrainingWorld):
    """LongLive's world on Wan2.1.

    Args:
        start: folder of the generator: LongLive's, Self-Forcing's, or Wan's layout; or a safetensors file of a run.
        teacher: folder of Wan2.1-T2V-14B.
        critic: folder of Wan2.1-T2V-1.3B, or a file of a run.
        pairs: prompts.
        texts: folder of encoded prompts (`longtake train texts`).
        vae: folder with Wan's VAE; the teacher's, which has it, by default.
        needed: what the recipe is going to ask for.
        random: tiny networks with random weights instead, for a rehearsal.
        seed: of these.

    Raises:
        ConfigError: something needed is not given.
    """

    def __init__(
        self,
        *,
        start: str = "",
        teacher: str = "",
        critic: str = "",
        pairs: Sequence[PromptPair] = (),
        texts: Path | None = None,
        vae: str = "",
        needed: Sequence[Need] = DISTILLATION,
        random: bool = False,
        seed: int = 0,
    ) -> None:
        self.config = VARIANTS["longlive-1.3b"].config
        if random:
            self.config = replace(self.config, transformer=TINY)
        self._random, self._seed, self._needed = random, seed, needed
        self.pairs = pairs or (
            [PromptPair(f"a fox, take {n}", f"the fox runs, take {n}") for n in range(8)] if random else ()
        )
        given = {"start": start, "teacher": teacher, "critic": critic, "texts": texts, "prompts": self.pairs}
        missing = [name for name, value in given.items() if name in needed and not value]
        if missing and not random:
            raise ConfigError(f"longlive-1.3b needs --{' --'.join(missing)}; docs/training.md says what they hold")
        self._paths = {"generator": start, "teacher": teacher, "critic": critic, "vae": vae or teacher}
        self._texts = None if texts is None else TextFolder(texts)

    def check(self) -> None:
        """See `TrainingWorld`."""
        if self._random:
            return
        wanted = {"start": "generator", "teacher": "teacher", "critic": "critic"}
        for name, what in wanted.items():
            if name in self._needed:
                with torch.device("meta"):
                    module = Transformer(self._sizes(what))
                from_file(self._file(what), module, what=self._described(what))
        if "vae" in self._needed:
            self._vae_path()
        if "texts" in self._needed:
            prompts = [text for pair in self.pairs for text in pair if text is not None]
            self.check_texts([WAN_NEGATIVE, *prompts])

    def check_texts(self, prompts: Sequence[str]) -> None:
        """See `TrainingWorld`."""
        if self._random:
            return
        assert self._texts is not None, "checked when the world was made"
        self._texts.check(prompts, self.config.transformer.text_dim)

    def generator(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network("generator", torch.float32)

    def teacher(self) -> Transformer:
        """See `TrainingWorld`; in bf16, as it is never changed."""
        return self._network("teacher", torch.bfloat16)

    def critic(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network("critic", torch.float32)

    def _sizes(self, what: str) -> TransformerConfig:
        return WAN_14B if what == "teacher" and not self._random else self.config.transformer

    def _described(self, what: str) -> str:
        sizes = self._sizes(what)
        return f"a {what} of {sizes.layers} layers of width {sizes.dim}"

    def _file(self, what: str) -> TensorFile:
        path = Path(self._paths[what])
        if path.suffix == ".safetensors":
            return open_tensors(path)
        layouts: tuple[Layout, ...] = ("wan", "diffusers")
        if what == "generator":
            layouts = ("longlive", "self-forcing", *layouts)
        return open_transformer(find_transformer(path, layouts, with_lora=False))

    def _network(self, what: str, dtype: torch.dtype) -> Transformer:
        with torch.device("meta"):
            module = Transformer(self._sizes(what))
        if self._random:
            materialise(module, random_values(self._seed + len(what)), dtype=dtype, device=torch.device("cpu"))
        else:
            file = self._file(what)
            from_file(file, module, what=self._described(what))
            map_weights(module, file, dtype)
        return module.requires_grad_(True)

    def score(
        self, network: Transformer, schedule: Schedule, device: torch.device, *, checkpointing: bool = False
    ) -> Score:
        """See `TrainingWorld`."""
        return BidirectionalScore(network, schedule, checkpointing=checkpointing)

    def path_teacher(
        self, network: Transformer, *, steps: int, guidance: float, device: torch.device, dtype: torch.dtype
    ) -> Teacher:
        """See `TrainingWorld`."""
        schedule = Schedule(self.config.shift, device)
        negative = Conditioning(text=self.negative().to(device))
        score = BidirectionalScore(network, schedule)
        return BidirectionalTeacher(score, negative, self.config.timesteps, steps=steps, guidance=guidance)

    def reencode(self, device: torch.device) -> Reencode | None:
        """See `TrainingWorld`."""
        return partial(image_latent, self._decoder(device), self._half(WanEncoder, open_encoder, device))

    def studio(self, device: torch.device) -> Studio:
        """See `TrainingWorld`."""
        # A rehearsal shows that there are pictures; of random weights one is like another.
        shown = [pair.first for pair in self.pairs[: 1 if self._random else SHOWN]]
        return Studio(decoder=self._decoder(device), text=CachedText(self, device), prompts=shown, together=1)

    def _decoder(self, device: torch.device) -> WanDecoder:
        return self._half(WanDecoder, open_vae, device)

    def _half(self, make: Callable[..., H], opened: Callable[[Path], TensorFile], device: torch.device) -> H:
        """Return half of the VAE with its weights."""
        half = make(**(RANDOM_VAE if self._random else vae_sizes(self._vae_path())))
        write = random_values(self._seed)
        if not self._random:
            write = from_file(opened(self._vae_path()), half, what="Wan2.1's VAE")
        materialise(half, write, dtype=working_dtype(device), device=device)
        return half.eval()

    def _vae_path(self) -> Path:
        return need(Path(self._paths["vae"]), WAN_VAE, "VAE for --vae")

    def text(self, prompts: Sequence[str]) -> Tensor:
        """See `TrainingWorld`. Raises TrainingError for a prompt that has not been encoded."""
        sizes = self.config.transformer
        if self._random:
            made = RandomText(sizes.text_tokens, sizes.text_dim, torch.device("cpu"), torch.float32)
            return made.encode(list(prompts))
        assert self._texts is not None, "checked when the world was made"
        padded = torch.zeros(len(prompts), sizes.text_tokens, sizes.text_dim, dtype=torch.bfloat16)
        for row, prompt in zip(padded, prompts, strict=True):
            tokens = self._texts.read(prompt)
            if tokens.shape[1] != sizes.text_dim or len(tokens) > sizes.text_tokens:
                raise CheckpointError(f"{self._texts.path} holds text {list(tokens.shape)} of another model")
            row[: len(tokens)] = tokens
        return padded

    def negative(self) -> Tensor:
        """See `TrainingWorld`."""
        return self.text([WAN_NEGATIVE])


class CachedText:
    """The encoded prompts of a world, as a generator asks for them.

    Args:
        world: whose.
        device: where they go.
    """

    def __init__(self, world: WanWorld, device: torch.device) -> None:
        self._world, self._device = world, device

    def encode(self, prompts: list[str]) -> Tensor:
        """Return [B, text_tokens, text_dim]; raises TrainingError for a prompt that has not been encoded."""
        return self._world.text(prompts).to(self._device, working_dtype(self._device))


def map_weights(module: nn.Module, file: TensorFile, dtype: torch.dtype) -> None:
    """Give a module on the meta device a file's tensors: as views of it where they are of this type, cast elsewhere.

    Args:
        module: whose names and shapes are the file's (`from_file` says so).
        file: mapped; it must not change while the module lives.
        dtype: of the parameters.
    """
    for name in list(module.state_dict()):
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, nn.Parameter(file.read(name).to(dtype), requires_grad=False))


def image_latent(decoder: WanDecoder, encoder: WanEncoder, latents: Tensor) -> Tensor:
    """Return the image latent of the last picture that latents decode to, as if a video started with them.

    Args:
        decoder, encoder: of the VAE, on the latents' device.
        latents: [B, F, C, h, w], normalised.

    Returns:
        [B, 1, C, h, w] in the latents' type.
    """
    state = decoder.open(len(latents))
    last = latents.new_zeros(0)
    for frame in latents.split(1, dim=1):  # A frame at a time: all pictures at once would take gigabytes.
        last = decoder.decode(frame, state)[:, -1]
    return encoder.encode(last.clone()).to(latents.dtype)
