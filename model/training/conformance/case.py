"""A recorded training case of the public reference, and how near ours comes to it.

A file is a training case if its metadata key `meta`, JSON, has `dmd_cases`. It brings the scores' weights and sizes;
the generator's are those of the folder (`longtake.model.evaluation.conformance`). A recording may be cut down: parts
without their tensors are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import CaseError
from longtake.model.evaluation.conformance import (
    PUBLIC_PREFIX,
    read_config,
    read_weights,
    relative_error,
)
from longtake.model.json_object import parse_object
from longtake.model.network.transformer import Transformer
from longtake.model.training.objectives.scores import Conditioning

VALUE_TOLERANCE = 1e-5
"""Relative L2 error that latents, predictions and losses may have."""
GRADIENT_TOLERANCE = 1e-4
"""The same of gradients and of their norms."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How near one part of a training case came to its recording.

    Attributes:
        name: of the file and the part.
        values, gradients: relative L2 errors by what was compared.
        skipped: why the part was not run, or None.
    """

    name: str
    values: dict[str, float]
    gradients: dict[str, float]
    skipped: str | None = None

    @property
    def block_errors(self) -> tuple[float, ...]:
        """All errors, as a stream case has one for each block."""
        return (*self.values.values(), *self.gradients.values())

    @property
    def worst(self) -> float:
        """The largest error; nan if there is none."""
        return max(self.block_errors, default=float("nan"))

    @property
    def tolerance(self) -> float:
        """What the largest error may be."""
        return GRADIENT_TOLERANCE if self.gradients else VALUE_TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether something was compared and all of it is near enough."""
        near = all(error < VALUE_TOLERANCE for error in self.values.values())
        return bool(self.block_errors) and near and all(e < GRADIENT_TOLERANCE for e in self.gradients.values())

    def by_block(self) -> str:
        """What was compared and how far it is off; empty if the part passed or was not run."""
        if self.passed:
            return ""
        return "  ".join(f"{name} {error:.1e}" for name, error in {**self.values, **self.gradients}.items())

    def summary(self) -> str:
        """One line for a person."""
        if self.skipped is not None:
            return f"{self.name}: {self.skipped}"
        parts = [f"{self.name}: {'ok' if self.passed else 'FAILED'}"]
        for errors, what, limit in (
            (self.values, "values", VALUE_TOLERANCE),
            (self.gradients, "gradients", GRADIENT_TOLERANCE),
        ):
            if errors:
                parts.append(f"{len(errors)} {what}, worst {max(errors.values()):.1e} (tolerance {limit:.0e})")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCase:
    """A recorded training case.

    Attributes:
        name: of the file.
        tensors, meta: all of it.
        config: of the generator at the case's sizes.
        weights: the generator's.
        device: where everything is run.
    """

    name: str
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    config: GeneratorConfig
    weights: dict[str, Tensor]
    device: torch.device

    def tensor(self, name: str) -> Tensor:
        """Return a recorded tensor on the device; raises CaseError if the file has none of the name."""
        if name not in self.tensors:
            raise CaseError(f"{self.name} lacks {name}: it is cut short")
        return self.tensors[name].to(self.device)

    def prompt(self, name: str) -> Conditioning:
        """Return a recorded prompt, for a batch of one."""
        return Conditioning(text=self.tensor(f"prompt/{name}")[None])

    def generator(self) -> Transformer:
        """Return the generator's network."""
        return self._filled(self.config.transformer, self.weights)

    def score(self, name: str) -> Transformer:
        """Return the network of a score, "real" or "fake"."""
        prefix = f"{name}/{PUBLIC_PREFIX}"
        weights = {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}
        sizes = {**self.meta["models"]["common"], **self.meta["models"][name]}
        config = replace(
            self.config.transformer,
            dim=sizes["dim"],
            ffn_dim=sizes["ffn_dim"],
            heads=sizes["num_heads"],
            layers=sizes["num_layers"],
        )
        return self._filled(config, weights)

    def _filled(self, config: TransformerConfig, weights: dict[str, Tensor]) -> Transformer:
        network = Transformer(config)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise CaseError(f"{self.name}: {str(error).splitlines()[1].strip()}") from None
        return network.to(self.device)

    def result(
        self,
        name: str,
        values: Iterable[tuple[str, Tensor]] = (),
        gradients: Iterable[tuple[str, Tensor]] = (),
    ) -> TrainingResult:
        """Compare what was made with what is recorded under the same names."""
        return TrainingResult(
            name=f"{self.name} {name}",
            values={key: relative_error(made.detach(), self.tensors[key]) for key, made in values},
            gradients={key: relative_error(made.detach(), self.tensors[key]) for key, made in gradients},
        )

    def recorded_gradients(self, network: nn.Module, prefix: str) -> list[tuple[str, Tensor]]:
        """Return the gradients of the parameters that are recorded under a prefix, with the names they have there."""
        prefix = f"{prefix}/{PUBLIC_PREFIX}"
        return [
            (key, grad)
            for name, parameter in network.named_parameters()
            if (key := prefix + name) in self.tensors and (grad := parameter.grad) is not None
        ]

    def norms(self, network: nn.Module, of: str) -> Tensor:
        """Return the norm of each parameter's gradient, in the order that the case has for a network."""
        parameters = dict(network.named_parameters())
        grads = [parameters[name.removeprefix(PUBLIC_PREFIX)].grad for name in self.meta[f"{of}_params"]]
        return torch.stack([grad.norm() if grad is not None else torch.zeros((), device=self.device) for grad in grads])


def read_training_case(path: Path, device: torch.device | str = "cpu") -> TrainingCase | None:
    """Read a training case and the folder's generator; None if the file is another kind of case.

    Raises:
        CaseError: it cannot be read, or the folder has no generator.
    """
    try:
        with safe_open(path, "pt") as file:
            meta: dict[str, Any] = parse_object((file.metadata() or {}).get("meta", "{}"))
        if "dmd_cases" not in meta:
            return None
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CaseError(f"{path.name} cannot be read: {error}") from error
    config = read_config(path.parent)
    _, height, width = meta["latent"]
    steps = meta["training"]
    config = replace(
        config,
        transformer=replace(config.transformer, latent_height=height, latent_width=width),
        block_frames=steps["block"],
        window_frames=steps["window"],
        sink_frames=steps["sink"],
        shift=steps["timestep_shift"],
    )
    return TrainingCase(
        name=path.name,
        tensors=tensors,
        meta=meta,
        config=config,
        weights=read_weights(path.parent),
        device=torch.device(device),
    )
