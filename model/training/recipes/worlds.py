"""The two worlds that recipes train in: which networks, which scores, which text and actions.

`DioramaWorld` is the bundled one: its teacher is the causal model that flow matching has trained. `WanWorld` is
LongLive's: a causal 1.3B generator, a bidirectional 14B teacher and a bidirectional 1.3B critic.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.diorama.actions import AXES, random_actions
from longtake.model.diorama.captions import caption
from longtake.model.diorama.files import bundled_folder
from longtake.model.diorama.scene import balanced_scene, random_change
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import CheckpointError, ConfigError, TrainingError
from longtake.model.generation.schedule import Schedule
from longtake.model.longlive.layouts import Layout, find_transformer, open_transformer
from longtake.model.longlive.loading import TINY, VARIANTS
from longtake.model.longlive.umt5 import EmbeddingCache, RandomText, clean
from longtake.model.longlive.weights import from_file, materialise, random_values
from longtake.model.network.layers import Attend
from longtake.model.network.transformer import Transformer
from longtake.model.training.compute import working_dtype
from longtake.model.training.data.prompt_files import PromptPair
from longtake.model.training.objectives.fused import FusedWindowAttention
from longtake.model.training.objectives.scores import BidirectionalScore, CausalScore, Score
from longtake.model.training.objectives.window import WindowAttention
from longtake.model.training.start import load_start
from longtake.model.weights import fill, read_sizes

WAN_14B: Final = replace(VARIANTS["longlive-1.3b"].config.transformer, dim=5120, ffn_dim=13824, heads=40, layers=40)
"""Sizes of Wan2.1-T2V-14B."""
WAN_NEGATIVE: Final = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"  # noqa: RUF001
    "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"  # noqa: RUF001
)
"""Wan's own negative prompt."""
TEXT_KIND: Final = "training"
"""marks a folder of encoded prompts"""
CAPTIONS: Final = 4096
"""prompts that are drawn from the caption grammar if there is no prompt file"""


class TrainingWorld(ABC):
    """What a recipe asks of a world.

    Attributes:
        config: of the generator.
        pairs: the prompts to train on, each with what its take switches to.
    """

    config: GeneratorConfig
    pairs: Sequence[PromptPair]

    @abstractmethod
    def generator(self) -> Transformer:
        """Return the network that learns, with the weights to start from, on the CPU in fp32."""

    @abstractmethod
    def teacher(self) -> Transformer:
        """Return the frozen real score's network, on the CPU."""

    @abstractmethod
    def critic(self) -> Transformer:
        """Return the fake score's network, with the weights to start from, on the CPU in fp32."""

    @abstractmethod
    def score(self, network: Transformer, schedule: Schedule, device: torch.device) -> Score:
        """Return a network as a score."""

    @abstractmethod
    def text(self, prompts: Sequence[str]) -> Tensor:
        """Return the prompts' tokens, [B, text_tokens, text_dim]."""

    @abstractmethod
    def negative(self) -> Tensor:
        """Return what the real score is pushed away from, [1, text_tokens, text_dim]."""

    def actions(self, frames: int, batch: int, rng: np.random.Generator) -> Tensor | None:
        """Return what is held during so many latent frames, [batch, frames, axes]; None for a world without."""
        return None

    @property
    def parts(self) -> Path | None:
        """Folder with what it takes to make pictures, for samples."""
        return None


class DioramaWorld(TrainingWorld):
    """The bundled world.

    Args:
        start: weights of the generator and, if no other is named, of teacher and critic: a file or a folder; empty for
            those that ship.
        teacher, critic: theirs.
        pairs: prompts; drawn from the caption grammar if there are none.
        parts: folder with text encoder and decoder.
        random: sizes of networks with random weights instead, for a rehearsal.
        seed: of these, and of the captions.
    """

    def __init__(
        self,
        *,
        start: str = "",
        teacher: str = "",
        critic: str = "",
        pairs: Sequence[PromptPair] = (),
        parts: Path | None = None,
        random: TransformerConfig | None = None,
        seed: int = 0,
    ) -> None:
        self._parts = parts or bundled_folder()
        self._start = start or str(self._parts)
        self._teacher, self._critic = teacher or self._start, critic or teacher or self._start
        self._random, self._seed = random, seed
        base = preset("diorama")
        self.config = replace(base, transformer=self._sizes(self._start))
        self.pairs = pairs or captions(CAPTIONS, seed)
        for what, path in (("teacher", self._teacher), ("critic", self._critic)):
            check_same_world(what, self._sizes(path), self.config.transformer)
        self._encoder = TextEncoder(TextEncoderConfig())
        fill(self._encoder, self._parts / "text_encoder.safetensors")
        self._encoder.eval().requires_grad_(False)

    def _sizes(self, path: str) -> TransformerConfig:
        if self._random:
            return self._random
        usual = replace(preset("diorama").transformer, actions=len(AXES))
        file = Path(path) / "transformer.safetensors" if Path(path).is_dir() else Path(path)
        return read_sizes(file, usual)

    def _network(self, path: str) -> Transformer:
        with torch.random.fork_rng([]):
            torch.manual_seed(self._seed)
            network = Transformer(self._sizes(path))
        if not self._random:
            load_start(network, Path(path))
        return network

    def generator(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._start)

    def teacher(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._teacher)

    def critic(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._critic)

    def score(self, network: Transformer, schedule: Schedule, device: torch.device) -> Score:
        """See `TrainingWorld`."""
        config, dtype = self.config, working_dtype(device)

        def attention(frames: int, copies: int) -> Attend:
            kind = FusedWindowAttention if device.type == "cuda" else WindowAttention
            return kind(config, frames, copies, dtype, device)

        return CausalScore(network, schedule, attention)

    def text(self, prompts: Sequence[str]) -> Tensor:
        """See `TrainingWorld`."""
        return self._encoder.encode(list(prompts)).clone()

    def negative(self) -> Tensor:
        """See `TrainingWorld`: the empty prompt, which the transformer was shown if text was dropped."""
        return self.text([""])

    def actions(self, frames: int, batch: int, rng: np.random.Generator) -> Tensor | None:
        """See `TrainingWorld`: held and let go as players do."""
        if not self.config.transformer.actions:
            return None
        return torch.stack([torch.from_numpy(random_actions(rng, frames)) for _ in range(batch)])

    @property
    def parts(self) -> Path | None:
        """See `TrainingWorld`."""
        return self._parts


class WanWorld(TrainingWorld):
    """LongLive's world on Wan2.1.

    Args:
        start: folder of the generator: LongLive's, Self-Forcing's, or Wan's layout; or a safetensors file of a run.
        teacher: folder of Wan2.1-T2V-14B.
        critic: folder of Wan2.1-T2V-1.3B, or a file of a run.
        pairs: prompts.
        texts: folder of encoded prompts.
        random: tiny networks with random weights instead, for a rehearsal.
        seed: of these.
    """

    def __init__(
        self,
        *,
        start: str = "",
        teacher: str = "",
        critic: str = "",
        pairs: Sequence[PromptPair] = (),
        texts: Path | None = None,
        random: bool = False,
        seed: int = 0,
    ) -> None:
        self.config = VARIANTS["longlive-1.3b"].config
        if random:
            self.config = replace(self.config, transformer=TINY)
        self._random, self._seed = random, seed
        self.pairs = pairs or (
            [PromptPair(f"a fox, take {n}", f"the fox runs, take {n}") for n in range(8)] if random else ()
        )
        given = {"start": start, "teacher": teacher, "critic": critic, "texts": texts, "prompts": self.pairs}
        missing = [name for name, value in given.items() if not value]
        if missing and not random:
            raise ConfigError(f"longlive-1.3b needs --{' --'.join(missing)}; docs/training.md says what they hold")
        self._paths = {"generator": start, "teacher": teacher, "critic": critic}
        self._texts = None if texts is None else EmbeddingCache(folder=texts, encoder=TEXT_KIND, limit_bytes=2**63)

    def generator(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network("generator", self.config.transformer, ("longlive", "self-forcing", "wan", "diffusers"))

    def teacher(self) -> Transformer:
        """See `TrainingWorld`; in bf16, as it is never changed."""
        sizes = self.config.transformer if self._random else WAN_14B
        return self._network("teacher", sizes, ("wan", "diffusers"), torch.bfloat16)

    def critic(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network("critic", self.config.transformer, ("wan", "diffusers"))

    def _network(
        self, what: str, sizes: TransformerConfig, layouts: tuple[Layout, ...], dtype: torch.dtype = torch.float32
    ) -> Transformer:
        with torch.device("meta"):
            module = Transformer(sizes)
        if self._random:
            write = random_values(self._seed + len(what))
        else:
            path = Path(self._paths[what])
            if path.suffix == ".safetensors":
                with torch.device("cpu"):
                    made = Transformer(sizes)
                load_start(made, path)
                return made
            found = find_transformer(path, layouts, with_lora=False)
            write = from_file(open_transformer(found), module, what=f"a {what} of {sizes.layers} layers")
        materialise(module, write, dtype=dtype, device=torch.device("cpu"))
        return module.requires_grad_(True)

    def score(self, network: Transformer, schedule: Schedule, device: torch.device) -> Score:
        """See `TrainingWorld`."""
        return BidirectionalScore(network, schedule)

    def text(self, prompts: Sequence[str]) -> Tensor:
        """See `TrainingWorld`. Raises TrainingError for a prompt that has not been encoded."""
        sizes = self.config.transformer
        if self._random:
            return RandomText(sizes.text_tokens, sizes.text_dim, torch.device("cpu"), torch.float32).encode(
                list(prompts)
            )
        assert self._texts is not None, "checked when the world was made"
        padded = torch.zeros(len(prompts), sizes.text_tokens, sizes.text_dim, dtype=torch.bfloat16)
        for row, prompt in zip(padded, prompts, strict=True):
            tokens = self._texts.get(clean(prompt))
            if tokens is None:
                raise TrainingError(
                    f"{self._texts.folder} lacks the text of {prompt[:60]!r}; encode it with UMT5-XXL first"
                )
            if tokens.shape[1] != sizes.text_dim or len(tokens) > sizes.text_tokens:
                raise CheckpointError(f"{self._texts.folder} holds text {list(tokens.shape)} of another model")
            row[: len(tokens)] = tokens
        return padded

    def negative(self) -> Tensor:
        """See `TrainingWorld`."""
        return self.text([WAN_NEGATIVE])


def check_same_world(what: str, theirs: TransformerConfig, ours: TransformerConfig) -> None:
    """Raise ConfigError if a network sees other latents, text or actions than the generator."""
    for name in ("latent_channels", "latent_height", "latent_width", "text_tokens", "text_dim", "actions"):
        if getattr(theirs, name) != getattr(ours, name):
            raise ConfigError(
                f"the {what} is of another world: its {name} is {getattr(theirs, name)}, the generator's is "
                f"{getattr(ours, name)}; name a {what} that was trained on the same latents"
            )


def captions(count: int, seed: int) -> list[PromptPair]:
    """Return prompts drawn from diorama's caption grammar, each with the scene that follows in other words."""
    rng = np.random.default_rng(seed)
    pairs = []
    for index in range(count):
        scene = balanced_scene(seed, index)
        pairs.append(PromptPair(caption(scene, rng), caption(random_change(scene, rng), rng)))
    return pairs
