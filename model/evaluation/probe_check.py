"""Checks every fast path on diorama's trained weights: the latents, and what the probe reads in the pictures.

The same prompts and seeds are filmed past the window and through a prompt change, once in plain fp32 on the CPU and
once by each path that works here. Rounding errors of a trained model grow along a take, because every block is made
from those before it. So a block may differ more here than with random weights, but the pictures must show the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from longtake.model.diorama.files import bundled_folder
from longtake.model.diorama.labels import SCORED
from longtake.model.diorama.loading import load_diorama
from longtake.model.evaluation.conformance import (
    ATTENTION_TOLERANCES,
    CACHE_TOLERANCES,
    EIGHT_BIT_TOLERANCES,
    TOLERANCES,
    CaseResult,
    relative_error,
)
from longtake.model.evaluation.fast_paths import FastPath, fast_paths
from longtake.model.loaded import LoadedModel
from longtake.model.options import BackendOptions

PROMPTS = ("a red fox in a snowy forest at night", "a blue boat at sea by day in the rain")
LATER = ("a red fox in the desert by day", "a blue boat at sea at night")
"""the prompts they change to"""
SEEDS = (1, 2)
BLOCKS, SWITCH_BLOCK = 16, 11
"""two more than the window's nine before the change"""
VOTE_BLOCKS = 2
"""frames that vote on a reading"""
DRIFT = 4.0
"""how many times a precision's tolerance a block of a trained take may differ"""
SURE = 0.75
"""a reading with at least this confidence must not change"""

Reading = tuple[dict[str, str], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class ProbedTake:
    """A take: the latents of each block [B, F, C, h, w], and the readings of each film before and after the change."""

    latents: list[Tensor]
    readings: list[Reading]


@dataclass(frozen=True, kw_only=True)
class ProbedResult(CaseResult):
    """How close a path came to the plain one.

    Attributes:
        readings: number of labels read.
        changed: labels that were read differently, such as "weather snow -> fog (0.52)".
        lost: how many of those the plain path was sure of.
        confidence_change: largest change in a label's confidence.
    """

    readings: int
    changed: tuple[str, ...]
    lost: int
    confidence_change: float

    @property
    def passed(self) -> bool:
        """Whether every block stayed below the tolerance and every sure reading stayed the same."""
        return super().passed and not self.lost

    def summary(self) -> str:
        """One line for people."""
        same = self.readings - len(self.changed)
        line = f"{super().summary()}; probe: {same} of {self.readings} labels the same, "
        return f"{line}confidence within {self.confidence_change:.3f}{''.join(f', {text}' for text in self.changed)}"


def run_probe_check(
    device: torch.device | str,
    *,
    folder: Path | None = None,
    paths: Sequence[FastPath] | None = None,
    blocks: int = BLOCKS,
    switch_block: int = SWITCH_BLOCK,
) -> Iterator[ProbedResult]:
    """Yield one result for each path; raises CheckpointError and BackendError.

    Args:
        device: the device to check.
        folder: folder of the weights; the bundled ones if absent.
        paths: paths to check; all `fast_paths` if absent.
        blocks: length of the takes.
        switch_block: block at which the prompts change.
    """
    folder = folder or bundled_folder()
    plain = load_diorama(
        folder, device="cpu", precision="fp32", options=BackendOptions(attention="bmm", linear="plain")
    )
    config = plain.generator.config
    wanted = film(plain, blocks, switch_block)
    if paths is None:
        paths = list(fast_paths(torch.device(device), config.block_tokens))
    for path in paths:
        model = load_diorama(folder, device=str(device), precision=path.precision, options=path.options)
        yield compare(f"diorama, {path.name} on {device}", film(model, blocks, switch_block), wanted, tolerance(path))


def tolerance(path: FastPath) -> float:
    """Return the largest relative L2 error of a block."""
    eight_bits = max(
        EIGHT_BIT_TOLERANCES.get(path.options.linear, 0.0),
        CACHE_TOLERANCES.get(path.options.cache, 0.0),
        ATTENTION_TOLERANCES.get(path.options.attention, 0.0),
    )
    return eight_bits or DRIFT * TOLERANCES[path.dtype]


def film(model: LoadedModel, blocks: int, switch_block: int) -> ProbedTake:
    """Film the prompts as one batch."""
    world = model.generator.open(seed=SEEDS, prompt=PROMPTS)
    latents, frames, readings = [], [], []
    for index in range(blocks):
        if index == switch_block:
            model.generator.cue(world, LATER)
        block = model.step(world)
        latents.append(block.latents.float().cpu())
        frames.append(block.frames)
        if index in (switch_block - 1, blocks - 1):
            readings += [model.read(take) for take in torch.cat(frames[-VOTE_BLOCKS:], dim=1)]
    model.close(world)
    return ProbedTake(latents=latents, readings=readings)


def compare(name: str, made: ProbedTake, wanted: ProbedTake, tolerance: float) -> ProbedResult:
    """Return how close one take came to another."""
    changed, lost, change = [], 0, 0.0
    for (labels, confidence), (plain, sure) in zip(made.readings, wanted.readings, strict=True):
        for kind in SCORED:
            change = max(change, abs(confidence[kind] - sure[kind]))
            if labels[kind] != plain[kind]:
                changed.append(f"{kind} {plain[kind]} -> {labels[kind]} ({sure[kind]:.2f})")
                lost += sure[kind] >= SURE
    return ProbedResult(
        name=name,
        tolerance=tolerance,
        block_errors=tuple(relative_error(a, b) for a, b in zip(made.latents, wanted.latents, strict=True)),
        step_errors={},
        readings=len(SCORED) * len(wanted.readings),
        changed=tuple(changed),
        lost=lost,
        confidence_change=change,
    )
