"""What the runtime and the command line know of LongLive and its kind before they are loaded. Imports no torch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.model.interface.spec import Argument, LoadRequest, ModelSpec, SelfCheck, Weights, WeightsFile
from longtake.model.interface.world_model import WorldModel
from longtake.model.longlive import table
from longtake.model.longlive.options import LongLiveOptions
from longtake.model.options import BACKEND_ARGUMENTS, WEIGHTS_ARGUMENT

if TYPE_CHECKING:
    from longtake.model.evaluation.conformance import CaseResult
    from longtake.model.evaluation.plan_parts import PlanSource

CAPABILITIES = ("snapshot",)
GROUP = "LongLive and its kind (docs/longlive.md)"
ARGUMENTS = (
    WEIGHTS_ARGUMENT,
    Argument(
        flag="--random-weights",
        group=GROUP,
        option="random_weights",
        choices=("full", "tiny"),
        const="full",
        help="load no files: random weights, full size or tiny. Tries a machine out; the picture is noise",
    ),
    Argument(
        flag="--decoder",
        group=GROUP,
        option="decoder",
        choices=("auto", "wan", "tiny"),
        help="auto picks tiny if its file is there",
    ),
    Argument(
        flag="--text-encoder",
        group=GROUP,
        option="text_encoder",
        choices=("auto", "gpu", "cpu", "offload", "random"),
        help="where UMT5-XXL runs; offload moves it to the GPU only to encode; random does not load it",
    ),
    Argument(
        flag="--compile",
        group=GROUP,
        option="compile",
        switch=True,
        help="use torch's compiler; starting takes minutes longer",
    ),
)


def _weights(name: str) -> Weights:
    model, root = table.known(name), table.default_root()
    files = tuple(
        WeightsFile(
            name=state.file.name,
            part=state.file.part,
            size_bytes=state.file.size_bytes or state.size_bytes,
            path=state.path,
            here_bytes=state.size_bytes,
        )
        for state in table.states(model, root)
    )
    return Weights(folder=root, files=files, remedy=f"longtake models pull {name}")


def _load(request: LoadRequest) -> WorldModel:
    from longtake.model.longlive.loading import load

    return load(request)


def _pull(name: str, folder: Path | None, report: Callable[[str], None], parts: Sequence[str]) -> list[Path]:
    from longtake.model.longlive import hub

    return hub.pull(table.known(name), folder or table.default_root(), report=report, parts=parts)


def _plan(name: str) -> "PlanSource":
    from longtake.model.longlive.plan import LongLivePlan

    return LongLivePlan(name)


def _self_check(name: str, asked: SelfCheck) -> "Iterator[CaseResult]":
    from longtake.model.longlive.self_check import self_check

    return self_check(name, asked)


def _spec(name: str) -> ModelSpec:
    public = table.known(name)
    return ModelSpec(
        name=name,
        summary=public.summary,
        load=_load,
        options=LongLiveOptions,
        arguments=(*ARGUMENTS, *BACKEND_ARGUMENTS),
        loads_within_s=900.0,
        capabilities=CAPABILITIES,
        logger="longtake.model.longlive",
        licence=public.licence,
        parameters=public.parameters,
        packages={"transformers": "'longtake[longlive]'", "diffusers": "'longtake[longlive]'"},
        weights=partial(_weights, name),
        pull=partial(_pull, name),
        plan=partial(_plan, name),
        self_check=partial(_self_check, name),
    )


LONGLIVE = _spec("longlive-1.3b")
SELF_FORCING = _spec("self-forcing-1.3b")
