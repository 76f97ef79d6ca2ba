"""Runs recorded cases of the public reference through the same Generator that serves worlds, and compares.

A case folder holds `config.json`, `model.safetensors` (weights under the public names) and any number of cases, each a
safetensors file with

    noise            [1, F, C, h, w]                the noise each block starts from
    renoise          [blocks, steps - 1, F, C, h, w]  re-noising between the sampler's steps
    prompt/NAME      [1, L, text_dim]               the text encoder's tokens
    latents/bNN      [F, C, h, w]                   what the reference made
    steps/bNN/sK/*   xt, flow, x0 [F, C, h, w]      optional, inside a block

and the metadata key `meta`, JSON: `infinity` (positions relative), `global_sink` (false: a recache refreshes the sink),
`prompt_names` (in the order they are shown; one called p0 if absent) and `switches` (latent frames at which the next
prompt takes over, one fewer than the prompts).

    for result in run_case_dir("cases", dtype=torch.float32):
        print(result.summary())
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import CaseError
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import RecordedNoise
from longtake.model.json_object import parse_object
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Largest relative L2 error of a block, by type."""

EIGHT_BIT_TOLERANCES = {"fp8": 0.2, "te-fp8": 0.2, "int8": 0.1}
"""The same with 8-bit linear layers, whatever the type of the rest."""

CACHE_TOLERANCES = {"fp8": 0.2}
"""The same with 8-bit keys and values."""

ATTENTION_TOLERANCES = {"flash3-fp8": 0.2}
"""The same with attention in 8 bits."""

PUBLIC_PREFIX = "model."
"""Prefix of the public checkpoint's keys; Wan's own have none."""

NOT_A_CASE = "not a stream case"


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """How close a case came to its recording.

    Attributes:
        name: the file's name.
        skipped: why the file was not run, or None.
        block_errors: relative L2 error of each block's latents.
        step_errors: the same for what was recorded inside blocks ("b04/s1/flow").
        tolerance: largest error a block may have.
    """

    name: str
    tolerance: float
    skipped: str | None = None
    block_errors: tuple[float, ...] = ()
    step_errors: dict[str, float]

    @property
    def worst(self) -> float:
        """The largest error of a block; NaN if none ran."""
        return max(self.block_errors, default=float("nan"))

    @property
    def passed(self) -> bool:
        """Whether the case ran and every block stayed below the tolerance."""
        return self.skipped is None and bool(self.block_errors) and all(e < self.tolerance for e in self.block_errors)

    def by_block(self) -> str:
        """The error of every block, for people; empty if none ran."""
        return "  ".join(f"b{index:02d} {error:.1e}" for index, error in enumerate(self.block_errors))

    def summary(self) -> str:
        """One line for people."""
        if self.skipped is not None:
            return f"{self.name}: {self.skipped}"
        verdict = "ok" if self.passed else "FAILED"
        worst_block = self.block_errors.index(self.worst) if self.block_errors else -1
        return (
            f"{self.name}: {verdict}, {len(self.block_errors)} blocks, worst {self.worst:.2e} "
            f"at block {worst_block} (tolerance {self.tolerance:.0e})"
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recorded run.

    Attributes:
        tensors: every tensor of the file.
        infinity, sink_kept, prompt_names, switches: from the file's metadata.
    """

    name: str
    tensors: dict[str, Tensor]
    infinity: bool
    sink_kept: bool
    prompt_names: tuple[str, ...]
    switches: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """The number of recorded blocks."""
        return sum(name.startswith("latents/b") for name in self.tensors)

    def prompts_at(self, frame: int, first_prompt: int) -> Iterator[int]:
        """Yield the prompts to change to before a block at the frame, of those after first_prompt."""
        for index, switch in enumerate(self.switches, start=1):
            if index > first_prompt and switch <= frame:
                yield index


def read_case(path: Path) -> Case | None:
    """Read a case; None if the file is not one.

    Raises:
        CaseError: the file cannot be read, or its metadata contradicts itself.
    """
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            meta: dict[str, Any] = parse_object((file.metadata() or {}).get("meta", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise CaseError(f"{path.name} cannot be read: {error}") from error
    if not {"noise", "renoise"} <= names or not any(name.startswith("latents/b") for name in names):
        return None
    blocks = sorted(name for name in names if name.startswith("latents/b"))
    if blocks != sorted(f"latents/b{index:02d}" for index in range(len(blocks))):
        raise CaseError(f"{path.name}: the latents of {len(blocks)} blocks are not called latents/b00, b01 and so on")
    prompts = tuple(meta.get("prompt_names") or ("p0",))
    switches = tuple(meta.get("switches") or ())
    if len(switches) != len(prompts) - 1 or not {f"prompt/{name}" for name in prompts} <= names:
        raise CaseError(f"{path.name}: {len(switches)} switches do not fit the prompts {', '.join(prompts)}")
    return Case(
        name=path.name,
        tensors=load_file(path),
        infinity=bool(meta.get("infinity", False)),
        sink_kept=bool(meta.get("global_sink", True)),
        prompt_names=prompts,
        switches=switches,
    )


def read_config(folder: Path) -> GeneratorConfig:
    """Read the reference's `config.json` of a case folder."""
    try:
        fields = parse_object((folder / "config.json").read_text(encoding="utf-8"))
        model, latent, pipeline = fields["model"], fields["latent"], fields["pipeline"]
        if not pipeline.get("warp_denoising_step", True) or pipeline.get("context_noise", 0):
            raise CaseError("config.json: only warped steps and a clean pass without context noise are supported")
        transformer = TransformerConfig(
            dim=model["dim"],
            ffn_dim=model["ffn_dim"],
            heads=model["num_heads"],
            layers=model["num_layers"],
            text_tokens=model["text_len"],
            text_dim=model["text_dim"],
            time_frequencies=model["freq_dim"],
            latent_channels=latent["channels"],
            latent_height=latent["height"],
            latent_width=latent["width"],
            patch=tuple(model["patch_size"]),
            eps=model["eps"],
        )
        return GeneratorConfig(
            transformer=transformer,
            block_frames=pipeline["num_frame_per_block"],
            window_frames=pipeline["local_attn_size"],
            sink_frames=pipeline["sink_size"],
            timesteps=tuple(float(step) for step in pipeline["denoising_step_list"]),
            shift=pipeline["timestep_shift"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise CaseError(f"{folder / 'config.json'} cannot be used: {error!r}") from error


def run_case(
    case: Case,
    config: GeneratorConfig,
    weights: dict[str, Tensor],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    options: BackendOptions | None = None,
    tolerance: float | None = None,
) -> CaseResult:
    """Run a case through its own Generator and compare every block; arguments as in `run_case_dir`."""
    config = replace(
        config,
        positions="relative" if case.infinity else "absolute",
        recache="longlive",
        sink_on_recache="keep" if case.sink_kept else "refresh",
    )
    transformer = Transformer(config.transformer)
    try:
        transformer.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CaseError(f"model.safetensors does not fit config.json: {first}") from None
    check_sizes(case, config)
    backend = Backend.chosen(device, dtype, options, block_tokens=config.block_tokens)
    generator = Generator(transformer, None, None, config, backend)
    generator.warm_up()
    tensors = case.tensors
    embeddings = [tensors[f"prompt/{name}"] for name in case.prompt_names]
    noise = RecordedNoise(tensors["noise"], tensors["renoise"])
    world = generator.open(seed=0, embedding=embeddings[0], noise=noise)
    block_errors, step_errors, prompt = [], {}, 0
    for index in range(case.blocks):
        for prompt in case.prompts_at(index * config.block_frames, prompt):  # noqa: B020 - the next ones only
            generator.cue(world, embedding=embeddings[prompt])
        trace = _Trace(tensors, f"steps/b{index:02d}")
        block = generator.step(world, trace)
        block_errors.append(relative_error(block.latents[0], tensors[f"latents/b{index:02d}"]))
        step_errors.update(trace.errors)
    generator.close(world)
    return CaseResult(
        name=case.name,
        block_errors=tuple(block_errors),
        step_errors=step_errors,
        tolerance=tolerance_of(case, backend) if tolerance is None else tolerance,
    )


def check_sizes(case: Case, config: GeneratorConfig) -> None:
    """Raise CaseError if a case belongs to another model than the folder's."""
    sizes = config.transformer
    for name in case.prompt_names:
        shape = tuple(case.tensors[f"prompt/{name}"].shape)
        if len(shape) != 3 or shape[0] != 1 or shape[1] > sizes.text_tokens or shape[2] != sizes.text_dim:
            raise CaseError(
                f"{case.name}: prompt {name} is {shape}, not [1, up to {sizes.text_tokens}, {sizes.text_dim}]"
            )
    wanted = (1, case.blocks * config.block_frames, *sizes.latent_shape)
    shape = tuple(case.tensors["noise"].shape)
    if len(shape) != 5 or shape[1] < wanted[1] or (shape[0], *shape[2:]) != (wanted[0], *wanted[2:]):
        raise CaseError(f"{case.name}: noise is {shape}, {case.blocks} blocks of this model need {wanted}")


def tolerance_of(case: Case, backend: Backend) -> float:
    """Return the largest error of a block: that of the coarser of the recorded and the used precision, or of 8 bits."""
    recorded = TOLERANCES.get(case.tensors["latents/b00"].dtype, 0.0)
    eight_bits = max(
        EIGHT_BIT_TOLERANCES.get(backend.linear, 0.0),
        CACHE_TOLERANCES.get(backend.cache, 0.0),
        ATTENTION_TOLERANCES.get(backend.attention, 0.0),
    )
    return eight_bits or max(recorded, TOLERANCES[backend.dtype])


def run_case_dir(
    path: Path | str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    options: BackendOptions | None = None,
    tolerance: float | None = None,
) -> Iterator[CaseResult]:
    """Run every case of a folder; one result for each safetensors file except the weights.

    Args:
        path: the folder, or one case file in it.
        device, dtype, options: how to compute, see `Backend.chosen`.
        tolerance: largest relative L2 error of a block. By default that of the type, the case's own if that is
            coarser, or that of 8 bits.

    Raises:
        CaseError: the folder has no configuration or weights, or nothing to run.
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    config, weights = read_config(folder), read_weights(folder)
    files = [path] if path.is_file() else sorted(folder.glob("*.safetensors"))
    files = [file for file in files if file.name != "model.safetensors"]
    if not files:
        raise CaseError(f"{folder} has no safetensors files besides the weights")
    for file in files:
        case = read_case(file)
        if case is None:
            yield CaseResult(name=file.name, skipped=NOT_A_CASE, step_errors={}, tolerance=float("nan"))
        else:
            yield run_case(
                case,
                config,
                weights,
                device=device,
                dtype=dtype,
                options=options,
                tolerance=tolerance,
            )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read a case folder's `model.safetensors`, without the public prefix."""
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise CaseError(f"{folder / 'model.safetensors'} cannot be read: {error}") from error
    return {name.removeprefix(PUBLIC_PREFIX): tensor for name, tensor in tensors.items()}


def relative_error(made: Tensor, recorded: Tensor) -> float:
    """Return |made - recorded| / |recorded|, L2, in fp64; infinity if anything is not finite."""
    made, recorded = made.double().cpu(), recorded.double()
    if made.shape != recorded.shape or not made.isfinite().all():
        return float("inf")
    return float((made - recorded).norm() / recorded.norm())


class _Trace:
    """Compares the sampler's steps with those recorded under a prefix."""

    def __init__(self, tensors: dict[str, Tensor], prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix
        self.errors: dict[str, float] = {}

    def __call__(self, step: str, xt: Tensor, flow: Tensor, x0: Tensor) -> None:
        for name, made in (("xt", xt), ("flow", flow), ("x0", x0)):
            recorded = self._tensors.get(f"{self._prefix}/{step}/{name}")
            if recorded is not None:
                key = f"{self._prefix.removeprefix('steps/')}/{step}/{name}"
                self.errors[key] = relative_error(made[0], recorded)
