"""The self-check of a model of LongLive's kind: its own weights, at a size that needs no GPU."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.evaluation.conformance import CaseResult
from longtake.model.evaluation.self_check import run_self_check
from longtake.model.interface import SelfCheck
from longtake.model.longlive.loading import Loader
from longtake.model.longlive.options import LongLiveOptions

SMALL_LATENTS = 16, 24
"""rows and columns of the latents"""


def self_check(name: str, asked: SelfCheck) -> Iterator[CaseResult]:
    """Yield one result for each fast path. Raises CheckpointError and ConfigError."""
    config, weights = small_model(name, asked.options)
    return run_self_check(asked.device, config=config, weights=weights, compile=asked.compile)


def small_model(name: str, options: Mapping[str, str]) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Return a model in fp32 on the CPU, with pictures so small that a take needs no GPU.

    The weights do not depend on the picture's size, so what holds for small pictures holds for their arithmetic.
    Raises CheckpointError and ConfigError.
    """
    loader = Loader(name, LongLiveOptions.parse(options), torch.device("cpu"), torch.float32)
    rows, columns = SMALL_LATENTS
    sizes = replace(loader.config.transformer, latent_height=rows, latent_width=columns)
    return replace(loader.config, transformer=sizes), loader.transformer(sizes, None).state_dict()
