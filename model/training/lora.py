"""LoRA: low-rank changes of the layers' linear maps, trained while the weights themselves stay.

    added = add_lora(transformer, LoraConfig(rank=256, alpha=256))     # the weights are frozen, `added` is trained
    save_lora(path, generator=transformer, critic=fake.network, step=700)
    load_lora(path, transformer, part="generator")
    merge_lora(transformer)                                            # plain maps again, the changes in their weights

Merge before inference: a generator computes with the weights alone. The file has the public layout,
`{"generator_lora": ..., "critic_lora": ..., "step": ...}` with peft's names, so that `longtake.model.longlive` loads it
as it loads LongLive's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.longlive.files import open_tensors
from longtake.model.longlive.names import lora_part, lora_targets
from longtake.model.network.layers import Linear
from longtake.model.network.transformer import Transformer
from longtake.model.ops.linear import LinearFactory
from longtake.model.whole_file import write_whole

Part = Literal["generator", "critic"]
PUBLIC_PREFIX = "base_model.model."


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """How large the changes are."""

    rank: int = 256
    alpha: float = 256.0
    """The change is alpha / rank * B A."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise ConfigError(f"rank {self.rank} must be at least 1 and alpha {self.alpha} positive")


class LoraLinear(Linear):
    """A linear map with a low-rank change; weight and bias keep their names, the change adds `lora_A` and `lora_B`.

    Args:
        base: the map, whose parameters are taken over and frozen.
        config: rank and alpha.
        generator: of A's first values, on the CPU; B starts at zero.
    """

    def __init__(self, base: Linear, config: LoraConfig, generator: torch.Generator) -> None:
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.requires_grad_(False)
        # fp32 whatever the weights' type: the optimiser's steps are too small for bf16.
        self.lora_A = nn.Linear(base.in_features, config.rank, bias=False, dtype=torch.float32)
        self.lora_B = nn.Linear(config.rank, base.out_features, bias=False, dtype=torch.float32)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=5**0.5, generator=generator)
        nn.init.zeros_(self.lora_B.weight)
        self.lora_A.to(base.weight.device)
        self.lora_B.to(base.weight.device)
        self.scale = config.alpha / config.rank

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out] in the weights' type."""
        change = self.lora_B(self.lora_A(x.to(self.lora_A.weight.dtype)))
        out = F.linear(x, self.weight, self.bias)
        changed: Tensor = out + (change * self.scale).to(out.dtype)
        return changed

    def sides(self) -> tuple[tuple[str, Tensor], ...]:
        """Return A [rank, in] and B [out, rank] with their names."""
        return ("A", self.lora_A.weight), ("B", self.lora_B.weight)

    def replace(self, make: LinearFactory, *, gelu: bool = False) -> None:
        """Refuse: inference would leave the change out."""
        raise ConfigError("the transformer has a LoRA; merge it before inference (merge_lora)")

    @torch.no_grad()
    def merged(self) -> Linear:
        """Return a plain map that computes the same."""
        plain = Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        change = self.scale * self.lora_B.weight @ self.lora_A.weight
        plain.weight = nn.Parameter((self.weight.float() + change).to(self.weight.dtype))
        plain.bias = self.bias
        return plain


def add_lora(transformer: Transformer, config: LoraConfig, *, seed: int = 0) -> list[Tensor]:
    """Freeze a transformer, give its layers' ten linear maps a change of zero, and return what is to be trained.

    Args:
        transformer: neither fused nor with replaced maps, as it is built.
        config: rank and alpha.
        seed: of A's first values.

    Raises:
        ConfigError: it has changes already.
    """
    if any(True for _ in lora_maps(transformer)):
        raise ConfigError("the transformer has a LoRA already; merge it first")
    transformer.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name in lora_targets(transformer.config.layers):
        base = transformer.get_submodule(name)
        assert isinstance(base, Linear), name
        _replace(transformer, name, LoraLinear(base, config, generator))
    return [weight for _, module in lora_maps(transformer) for _, weight in module.sides()]


def merge_lora(transformer: Transformer) -> None:
    """Add the changes to the weights and take the maps that made them away; parameters stay frozen or not."""
    for name, module in list(lora_maps(transformer)):
        _replace(transformer, name, module.merged())


def lora_maps(transformer: Transformer) -> Iterator[tuple[str, LoraLinear]]:
    """Yield the maps that have a change, with their names."""
    for name, module in transformer.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def lora_state(transformer: Transformer) -> dict[str, Tensor]:
    """Return the changes under their public names, on the CPU."""
    return {
        f"{PUBLIC_PREFIX}{name}.lora_{side}.weight": weight.detach().cpu().clone()
        for name, module in lora_maps(transformer)
        for side, weight in module.sides()
    }


def save_lora(path: Path, *, generator: Transformer, critic: Transformer | None = None, step: int = 0) -> None:
    """Write the changes of both networks in the public layout; the file is there whole or not at all."""
    content: dict[str, object] = {"generator_lora": lora_state(generator)}
    if critic is not None:
        content["critic_lora"] = lora_state(critic)
    try:
        write_whole(path, lambda beside: torch.save({**content, "step": step}, beside))
    except (OSError, RuntimeError) as error:  # torch says RuntimeError for a full disk
        raise CheckpointError(f"{path} cannot be written: {error}") from error


def load_lora(path: Path, transformer: Transformer, part: Part = "generator") -> None:
    """Load changes into a transformer that has a LoRA.

    Raises:
        CheckpointError: the file holds none, or one of another rank or model.
    """
    file = open_tensors(path, (f"{part}_lora",))
    names = {found: name for name in file.names if (found := lora_part(name)) is not None}
    own = {(name, side): weight for name, module in lora_maps(transformer) for side, weight in module.sides()}
    if names.keys() != own.keys():
        module, side = sorted(names.keys() ^ own.keys())[0]
        raise CheckpointError(f"{path} and the model differ in lora_{side} of {module}: it is another model's LoRA")
    for (module, side), weight in own.items():
        tensor = file.read(names[module, side])
        if weight.shape != tensor.shape:
            raise CheckpointError(
                f"{path}: lora_{side} of {module} is {list(tensor.shape)}, not {list(weight.shape)}; "
                "is it of another rank or model?"
            )
        with torch.no_grad():
            weight.copy_(tensor)


def _replace(transformer: Transformer, name: str, module: Linear) -> None:
    parent, _, leaf = name.rpartition(".")
    owner = transformer.get_submodule(parent)
    setattr(owner, leaf, module)
