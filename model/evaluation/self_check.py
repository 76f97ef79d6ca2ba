"""Checks conformance without recordings: every fast path of this machine repeats one small take.

Plain fp32 attention on the CPU makes the take, with small random weights or those of a model. It is recorded as a case
with a prompt switch, and run again through each combination that works here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, preset
from longtake.model.evaluation.conformance import Case, CaseResult, run_case
from longtake.model.evaluation.fast_paths import fast_paths
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import RecordedNoise
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions

BLOCKS = 6
"""two more than the window holds"""
SWITCH_BLOCK = 5
SEED = 7


def run_self_check(
    device: torch.device | str,
    *,
    config: GeneratorConfig | None = None,
    weights: dict[str, Tensor] | None = None,
    compile: bool = False,  # noqa: A002 - the name that torch gives it
) -> Iterator[CaseResult]:
    """Yield one result for each kind of positions and each of `fast_paths` on the device.

    Args:
        device: the device to check.
        config, weights: a model's; small random ones if absent.
        compile: also try torch's compiler, which takes minutes.
    """
    device = torch.device(device)
    config = config or preset("tiny")
    weights = weights or random_weights(config)
    for infinity in (False, True):
        case = record_case("relative" if infinity else "absolute", config, weights, infinity=infinity)
        for path in fast_paths(device, config.block_tokens, compile=compile):
            named = replace(case, name=f"{case.name} positions, {path.name} on {device}")
            yield run_case(
                named,
                config,
                weights,
                device=device,
                dtype=path.dtype,
                options=path.options,
            )


def random_weights(config: GeneratorConfig) -> dict[str, Tensor]:
    """Return weights that make every parameter matter, the same on every machine."""
    source = torch.Generator().manual_seed(SEED)
    weights = Transformer(config.transformer).state_dict()
    for name, value in weights.items():
        scale = 0.5 if value.ndim < 2 else value[0].numel() ** -0.5
        random = torch.randn(value.shape, generator=source) * scale
        # The weight of a norm belongs near one.
        weights[name] = 1 + 0.1 * random if ".norm" in name and name.endswith("weight") else random
    return weights


def record_case(name: str, config: GeneratorConfig, weights: dict[str, Tensor], *, infinity: bool) -> Case:
    """Make the take with plain fp32 attention on the CPU and return it as a case with one prompt switch."""
    sizes, source = config.transformer, torch.Generator().manual_seed(SEED + 1)
    frames, renoised = BLOCKS * config.block_frames, config.noise_draws - 1
    tensors = {
        "noise": torch.randn(1, frames, *sizes.latent_shape, generator=source),
        "renoise": torch.randn(BLOCKS, renoised, config.block_frames, *sizes.latent_shape, generator=source),
        "prompt/p0": torch.randn(1, sizes.text_tokens, sizes.text_dim, generator=source),
        "prompt/p1": torch.randn(1, sizes.text_tokens, sizes.text_dim, generator=source),
    }
    case = Case(
        name=name,
        tensors=tensors,
        infinity=infinity,
        sink_kept=True,
        prompt_names=("p0", "p1"),
        switches=(SWITCH_BLOCK * config.block_frames,),
    )
    for index, latents in enumerate(_film(case, config, weights)):
        tensors[f"latents/b{index:02d}"] = latents
    return case


def _film(case: Case, config: GeneratorConfig, weights: dict[str, Tensor]) -> Sequence[Tensor]:
    """Return the take's latents, block by block: [F, C, h, w]."""
    config = replace(config, positions="relative" if case.infinity else "absolute", recache="longlive")
    transformer = Transformer(config.transformer)
    transformer.load_state_dict(weights)
    backend = Backend.chosen("cpu", torch.float32, BackendOptions(attention="bmm", linear="plain"))
    generator = Generator(transformer, None, None, config, backend)
    noise = RecordedNoise(case.tensors["noise"], case.tensors["renoise"])
    world = generator.open(seed=0, embedding=case.tensors["prompt/p0"], noise=noise)
    made = []
    for block in range(BLOCKS):
        if block == SWITCH_BLOCK:
            generator.cue(world, embedding=case.tensors["prompt/p1"])
        made.append(generator.step(world).latents[0].clone())
    generator.close(world)
    return made
