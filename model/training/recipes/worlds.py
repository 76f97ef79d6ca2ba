"""What recipes ask of a world: which networks, which scores, which text and actions.

`DioramaWorld` is the bundled one: its teacher is the causal model that flow matching has trained. LongLive's is in
`wan_world`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, overload

import numpy as np
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.diorama.actions import AXES, random_actions
from longtake.model.diorama.captions import caption
from longtake.model.diorama.files import bundled_folder, undistilled
from longtake.model.diorama.scene import balanced_scene, random_change
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm, sdpa
from longtake.model.training.compute import working_dtype
from longtake.model.training.data.prompt_files import PromptPair
from longtake.model.training.objectives.fused import FusedWindowAttention
from longtake.model.training.objectives.ode import CausalTeacher, Teacher
from longtake.model.training.objectives.scores import CausalScore, Score
from longtake.model.training.objectives.streaming import Reencode
from longtake.model.training.objectives.window import WindowAttention
from longtake.model.training.samples import Studio, diorama_studio
from longtake.model.training.start import load_start, transformer_file
from longtake.model.weights import fill, read_config

Need = Literal["start", "teacher", "critic", "texts", "prompts", "vae"]
"""what a recipe may ask of a world, as the command line calls it"""
DISTILLATION: Final[tuple[Need, ...]] = ("start", "teacher", "critic", "texts", "prompts")
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
    def check(self) -> None:
        """Say what cannot be had, before any rank starts.

        Raises:
            CheckpointError: weights are missing, or of another model.
            TrainingError: a prompt has not been encoded.
        """

    @abstractmethod
    def check_texts(self, prompts: Sequence[str]) -> None:
        """Raise TrainingError if one of these prompts has not been encoded."""

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
    def score(
        self, network: Transformer, schedule: Schedule, device: torch.device, *, checkpointing: bool = False
    ) -> Score:
        """Return a network as a score; checkpointing computes its layers again in the backward pass."""

    @abstractmethod
    def path_teacher(
        self, network: Transformer, *, steps: int, guidance: float, device: torch.device, dtype: torch.dtype
    ) -> Teacher:
        """Return a teacher that makes trajectories.

        Args:
            network: from `teacher`.
            steps: of its solver.
            guidance: away from the negative prompt; 0 for none.
            device: where it computes.
            dtype: that it computes in.
        """

    def reencode(self, device: torch.device) -> Reencode | None:
        """Return what makes the image latent that a long take's window starts with; None for a world without."""
        return None

    @abstractmethod
    def text(self, prompts: Sequence[str]) -> Tensor:
        """Return the prompts' tokens, [B, text_tokens, text_dim]."""

    @abstractmethod
    def negative(self) -> Tensor:
        """Return what the real score is pushed away from, [1, text_tokens, text_dim]."""

    def actions(self, frames: int, batch: int, rng: np.random.Generator) -> Tensor | None:
        """Return what is held during so many latent frames, [batch, frames, axes]; None for a world without."""
        return None

    @abstractmethod
    def studio(self, device: torch.device) -> Studio:
        """Return what it takes to make pictures, for samples."""


class DioramaWorld(TrainingWorld):
    """The bundled world.

    Args:
        start: weights of the generator: a file or a folder; empty for those that ship.
        teacher, critic: theirs. Without any they are the generator's; if those were distilled, the weights that they
            were distilled from, which know all noise levels.
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
        known = str(undistilled(Path(self._start)))
        self._teacher, self._critic = teacher or known, critic or teacher or known
        self._random, self._seed = random, seed
        self.config = self._driven(self._start)
        self.pairs = pairs or Captions(CAPTIONS, seed)
        for what, path in (("teacher", self._teacher), ("critic", self._critic)):
            check_same_world(what, self._driven(path).transformer, self.config.transformer)
        self._encoder = TextEncoder(TextEncoderConfig())
        fill(self._encoder, self._parts / "text_encoder.safetensors")
        self._encoder.eval().requires_grad_(False)

    def _driven(self, path: str) -> GeneratorConfig:
        """Return how weights want to be driven; older ones do not say that they have axes."""
        usual = preset("diorama")
        if self._random:
            return replace(usual, transformer=self._random)
        sizes = replace(usual.transformer, actions=len(AXES))
        return read_config(transformer_file(Path(path)), replace(usual, transformer=sizes))

    def _network(self, path: str, role: int = 0) -> Transformer:
        with torch.random.fork_rng([]):
            torch.manual_seed(self._seed + role)
            network = Transformer(self._driven(path).transformer)
            if self._random:
                # As built it puts out zeros, which would leave a rehearsal nothing to learn.
                torch.nn.init.normal_(network.head.head.weight, std=0.1)
        if not self._random:
            load_start(network, Path(path))
        return network

    def check(self) -> None:
        """See `TrainingWorld`."""
        for path in sorted({self._start, self._teacher, self._critic}):
            self._network(path)

    def check_texts(self, prompts: Sequence[str]) -> None:
        """See `TrainingWorld`: any prompt can be encoded when it is needed."""

    def generator(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._start)

    def teacher(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._teacher, role=1)

    def critic(self) -> Transformer:
        """See `TrainingWorld`."""
        return self._network(self._critic, role=2)

    def score(
        self, network: Transformer, schedule: Schedule, device: torch.device, *, checkpointing: bool = False
    ) -> Score:
        """See `TrainingWorld`."""
        config, dtype = self.config, working_dtype(device)

        def attention(frames: int, copies: int) -> Attend:
            kind = FusedWindowAttention if device.type == "cuda" else WindowAttention
            return kind(config, frames, copies, dtype, device)

        return CausalScore(network, schedule, attention, checkpointing=checkpointing)

    def path_teacher(
        self, network: Transformer, *, steps: int, guidance: float, device: torch.device, dtype: torch.dtype
    ) -> Teacher:
        """See `TrainingWorld`. Raises ConfigError for guidance, which the teacher was not trained for."""
        if guidance:
            raise ConfigError(f"diorama's teacher makes trajectories without guidance, not with {guidance}")
        attention = bmm if device.type == "cpu" else sdpa
        return CausalTeacher(network, self.config, steps=steps, attention=attention, dtype=dtype)

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

    def studio(self, device: torch.device) -> Studio:
        """See `TrainingWorld`."""
        return diorama_studio(self._parts, device)


def check_same_world(what: str, theirs: TransformerConfig, ours: TransformerConfig) -> None:
    """Raise ConfigError if a network sees other latents, text or actions than the generator."""
    for name in ("latent_channels", "latent_height", "latent_width", "text_tokens", "text_dim", "actions"):
        if getattr(theirs, name) != getattr(ours, name):
            raise ConfigError(
                f"the {what} is of another world: its {name} is {getattr(theirs, name)}, the generator's is "
                f"{getattr(ours, name)}; name a {what} that was trained on the same latents"
            )


class Captions(Sequence[PromptPair]):
    """Prompts drawn from diorama's caption grammar, each with the scene that follows in other words.

    They are made when they are asked for: thousands would hold up every process that starts.

    Args:
        count: how many there are.
        seed: of all of them.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> PromptPair: ...
    @overload
    def __getitem__(self, index: slice) -> list[PromptPair]: ...
    def __getitem__(self, index: int | slice) -> PromptPair | list[PromptPair]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        number = range(self._count)[index]
        rng = np.random.default_rng((self._seed, number))
        scene = balanced_scene(self._seed, number)
        return PromptPair(caption(scene, rng), caption(random_change(scene, rng), rng))
