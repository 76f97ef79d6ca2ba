"""How a model computes on this machine: every `auto` resolved, with the reason why each other choice is out.

    backend = Backend.chosen(device, dtype, BackendOptions(linear="fp8"), block_tokens=4680)
    for verdict in backend.verdicts:
        print(verdict.knob, verdict.name, verdict.chosen, verdict.missing)

Bad combinations are refused here, before any weights are read.
"""

from dataclasses import dataclass, replace

import torch

from longtake.model.cache.registry import CACHES
from longtake.model.choice import Registry, Target
from longtake.model.errors import BackendError
from longtake.model.execution.cuda_graphs import missing_graphs
from longtake.model.execution.registry import EXECUTIONS
from longtake.model.ops.attention.registry import ATTENTIONS
from longtake.model.ops.cores import usable_cores
from longtake.model.ops.linear.registry import LINEARS
from longtake.model.options import BackendOptions


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one choice.

    Attributes:
        knob: what there is to choose, "attention" for one.
        name: the choice; empty for a knob that is on or off.
        chosen: whether it is used.
        missing: why it cannot be had here, or None if it can be asked for.
    """

    knob: str
    name: str
    chosen: bool
    missing: str | None


@dataclass(frozen=True, kw_only=True)
class Backend:
    """See the module. Made by `chosen`; the names are those of the registries."""

    target: Target
    attention: str
    linear: str
    cache: str
    execution: str
    graphs: bool
    overlap: bool
    options: BackendOptions
    verdicts: tuple[Verdict, ...]

    @classmethod
    def chosen(
        cls,
        device: torch.device | str,
        dtype: torch.dtype,
        options: BackendOptions | None = None,
        *,
        block_tokens: int = 0,
        threads: int | None = None,
    ) -> "Backend":
        """Return the combination that is used for what was options.

        Args:
            device: where everything runs.
            dtype: of weights, activations and cache.
            options: what was asked for; by default everything is `auto`.
            block_tokens: tokens of a block; 0 if that is not known.
            threads: of the transformer on a CPU; None asks torch.

        Raises:
            BackendError: a name is unknown, or cannot be had here, or not together with another; the message says
                what to do.
        """
        options = options or BackendOptions()
        target = Target(device=torch.device(device), dtype=dtype, block_tokens=block_tokens)
        names = {
            "attention": ATTENTIONS.resolve(options.wanted_attention, target),
            "linear": LINEARS.resolve(_linear(options), target),
            "cache": CACHES.resolve(options.cache, target),
            "execution": EXECUTIONS.resolve(_execution(options, target), target),
        }
        graphs = choose_graphs(target, options.graphs, names["execution"])
        overlap = choose_overlap(target.device, options.overlap, threads)
        verdicts = [
            *(verdict for registry in (ATTENTIONS, LINEARS, CACHES) for verdict in _verdicts(registry, names, target)),
            *_verdicts(EXECUTIONS, names, target),
            Verdict(knob="graphs", name="", chosen=graphs, missing=missing_graphs(target)),
            Verdict(knob="overlap", name="", chosen=overlap, missing=None),
        ]
        return cls(target=target, graphs=graphs, overlap=overlap, options=options, verdicts=tuple(verdicts), **names)

    def executing(self, name: str) -> "Backend":
        """Return the same with another execution, after the chosen one could not be built."""
        verdicts = [
            replace(verdict, chosen=verdict.name == name) if verdict.knob == EXECUTIONS.kind else verdict
            for verdict in self.verdicts
        ]
        return replace(self, execution=name, verdicts=tuple(verdicts))

    @property
    def device(self) -> torch.device:
        """Where everything runs."""
        return self.target.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of weights, activations and cache."""
        return self.target.dtype


def choose_overlap(device: torch.device, overlap: bool | None, threads: int | None = None) -> bool:
    """Return whether to decode beside the transformer: as asked for, by default on a GPU and on an idle core.

    Args:
        device: of the model.
        overlap: what was asked for.
        threads: of the transformer on a CPU; None asks torch.
    """
    if overlap is not None:
        return overlap
    return device.type == "cuda" or (threads or torch.get_num_threads()) < usable_cores()


def choose_graphs(target: Target, graphs: bool | None, execution: str) -> bool:
    """Return whether to replay CUDA graphs: as asked for, by default on a GPU unless the layers are compiled.

    Raises:
        BackendError: they are asked for, and there are none on the target or for compiled layers.
    """
    compiled = execution == "compiled"
    if graphs is None:
        return missing_graphs(target) is None and not compiled
    if graphs and (problem := missing_graphs(target)):
        raise BackendError(f"{problem}; leave graphs out")
    if graphs and compiled:
        raise BackendError("compiled layers are not recorded as CUDA graphs; leave graphs out, or --compile")
    return graphs


def _linear(options: BackendOptions) -> str:
    if options.wanted_execution != "compiled":
        return options.wanted_linear
    if options.linear == "onednn":
        raise BackendError("onednn linears cannot be compiled; use --linear plain, or leave --compile out")
    return "plain" if options.wanted_linear == "auto" else options.wanted_linear


def _execution(options: BackendOptions, target: Target) -> str:
    # Plain linears are what everything else is compared with, so nothing is regrouped around them either.
    if options.wanted_execution == "auto" and target.device.type == "cpu" and options.linear == "plain":
        return "eager"
    return options.wanted_execution


def _verdicts(registry: Registry[object], names: dict[str, str], target: Target) -> list[Verdict]:
    return [
        Verdict(
            knob=registry.kind,
            name=name,
            chosen=name == names[registry.kind],
            missing=registry.missing(name, target),
        )
        for name in registry.names()
    ]
