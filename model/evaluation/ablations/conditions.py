"""The conditions of each ablation: what is changed of how the generator runs, and everything else left alone.

    found = conditions(config, precision="fp32")["switch"]["keep"]
    model = load_under(folder, found, device="cpu", precision="fp32", options=DioramaOptions())

A condition that changes nothing is `AS_IS` in every ablation, so that its takes are filmed once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from longtake.model.config import GeneratorConfig, RecacheMode, SamplerName, even_timesteps
from longtake.model.diorama.loading import load_diorama
from longtake.model.interface import Conditioning
from longtake.model.loaded import LoadedModel
from longtake.model.options import BackendOptions

STEPS = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way to run a generator. Fields that are None or empty stay as they are."""

    name: str
    """names its takes; two conditions with one name are the same"""
    says: str
    """what is different, in a few words"""
    late: bool = False
    """the recache comes after the first block of a new prompt"""
    recache: RecacheMode | None = None
    recache_frames: int | None = None
    sink_frames: int | None = None
    timesteps: tuple[float, ...] | None = None
    sampler: SamplerName | None = None
    precision: str = ""
    linear: str = ""

    def drive(self, config: GeneratorConfig) -> GeneratorConfig:
        """Return a configuration under this condition."""
        changes = {
            name: value
            for name in ("recache", "recache_frames", "sink_frames", "timesteps", "sampler")
            if (value := getattr(self, name)) is not None
        }
        return replace(config, **changes)


AS_IS = Condition(name="as-is", says="as the weights are used")
WHOLE = Condition(name="whole", says="the whole window is recached", recache_frames=0)
KEEP = Condition(
    name="keep", says="the window's keys and values stay under the old prompt", recache="none", recache_frames=0
)
LATE = Condition(name="late", says="the recache comes after the first block of the new prompt", late=True)
CLEAR = Condition(name="clear", says="the window is emptied at the switch", recache="clear", recache_frames=0)
NO_SINK = Condition(name="no-sink", says="as many latent frames, none of them the take's first", sink_frames=0)
INT8 = Condition(name="int8", says="int8 weights and activations in the layers", linear="int8")
FP8 = Condition(name="fp8", says="e4m3 weights and activations in the layers", linear="fp8")


def steps(count: int, config: GeneratorConfig) -> Condition:
    """Return a sampler of so many steps, evenly spaced before the shift; `AS_IS` if the configuration has as many."""
    if count == len(config.timesteps):
        return AS_IS
    says = f"{count} sampler step{'s'[: count > 1]}"
    return Condition(name=f"steps-{count}", says=says, timesteps=even_timesteps(count))


def other_sampler(config: GeneratorConfig) -> Condition:
    """Return the sampler that a configuration does not use, with its number of steps."""
    name: SamplerName = "renoise" if config.sampler == "multistep" else "multistep"
    return Condition(name=name, says=f"as many steps of the other sampler, {name}", sampler=name)


def in_precision(name: str, usual: str) -> Condition:
    """Return everything in fp32 or bf16; `AS_IS` if that is usual."""
    return AS_IS if name == usual else Condition(name=name, says=f"everything in {name}", precision=name)


def conditions(config: GeneratorConfig, *, precision: str) -> dict[str, dict[str, Condition]]:
    """Return the conditions by ablation and by what its tables call them.

    Args:
        config: how the weights are used; another number of steps is spaced evenly, this one is as it is.
        precision: of the conditions that do not set it, fp32 or bf16.
    """
    other = other_sampler(config)
    return {
        "switch": {
            "recache": AS_IS,
            **({"whole window": WHOLE} if config.recache_frames else {}),
            "late recache": LATE,
            "keep": KEEP,
            "clear": CLEAR,
        },
        "sink": {"with sink": AS_IS, "without": NO_SINK},
        "long": {"these weights": AS_IS},
        "steps": {
            **{f"{count} step{'s'[: count > 1]}": steps(count, config) for count in STEPS},
            f"{len(config.timesteps)}, {other.sampler}": other,
        },
        "precision": {
            **{name: in_precision(name, precision) for name in ("fp32", "bf16")},
            "int8": INT8,
            "fp8": FP8,
        },
    }


def load_under(
    folder: Path,
    condition: Condition,
    *,
    device: str = "auto",
    precision: str = "auto",
    options: BackendOptions | None = None,
) -> LoadedModel:
    """Load diorama under a condition; arguments and errors as of `load_diorama`."""
    options = options or BackendOptions()
    model = load_diorama(
        folder,
        device=device,
        precision=condition.precision or precision,
        options=replace(options, linear=condition.linear or options.linear),
        drive=condition.drive,
    )
    return _RecachedLate(model.generator, model.info, model.probe) if condition.late else model


class _RecachedLate(LoadedModel):
    """A model all of whose cues are late."""

    def cue(self, world: object, conditioning: Conditioning) -> None:
        self.cue_late(world, conditioning)


Conditions = Mapping[str, Mapping[str, Condition]]
"""by ablation, by what its tables call them"""
