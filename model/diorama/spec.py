"""What the runtime and the command line know of diorama before it is loaded. Imports no torch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from longtake.model.config import TransformerConfig, preset
from longtake.model.diorama.files import PARTS, bundled_folder, digest, part_paths
from longtake.model.diorama.options import DioramaOptions
from longtake.model.diorama.reading import KNOWS, understand
from longtake.model.interface.spec import Argument, LoadRequest, ModelSpec, SelfCheck, Weights, WeightsFile
from longtake.model.interface.world_model import Axis, WorldModel
from longtake.model.options import BACKEND_ARGUMENTS, WEIGHTS_ARGUMENT
from longtake.model.pieces import pieces

if TYPE_CHECKING:
    from longtake.model.evaluation.conformance import CaseResult
    from longtake.model.evaluation.plan_parts import PlanSource

NAME = "diorama"
STEPS_ARGUMENT = Argument(
    flag="--steps",
    group="quality",
    option="steps",
    metavar="N",
    help="sampler steps a block, for weights of diorama that are not distilled (default: 4)",
)
AXES = (Axis(name="speed"), Axis(name="lift"))
"""what a hand can steer by, as `longtake.model.diorama.actions` describes it; in that order"""


def axes(sizes: TransformerConfig) -> tuple[Axis, ...]:
    """Return the axes of a network of these sizes: none unless it was built with actions."""
    return AXES[: sizes.actions]


def capabilities(sizes: TransformerConfig) -> tuple[str, ...]:
    """Return the capabilities of a network of these sizes."""
    return ("reading", "snapshot", "late_recache", *(("actions",) if sizes.actions else ()))


def weights() -> Weights:
    """Return the files of the weights that ship."""
    files = tuple(
        WeightsFile(
            name=path.name,
            part=part,
            size_bytes=path.stat().st_size if path.is_file() else 0,
            path=path if path.is_file() else None,
            here_bytes=path.stat().st_size if path.is_file() else 0,
        )
        for part, whole in zip(PARTS, part_paths(bundled_folder()), strict=True)
        for path in pieces(whole)
    )
    return Weights(folder=bundled_folder(), files=files, remedy="reinstall longtake, or train them (docs/training.md)")


def _load(request: LoadRequest) -> WorldModel:
    from longtake.model.diorama.loading import load

    return load(request)


def _plan() -> "PlanSource":
    from longtake.model.diorama.plan import DioramaPlan

    return DioramaPlan()


def _self_check(asked: SelfCheck) -> "Iterator[CaseResult]":
    from longtake.model.evaluation.probe_check import run_probe_check

    return run_probe_check(asked.device, folder=DioramaOptions.parse(asked.options).folder)


SPEC = ModelSpec(
    name=NAME,
    summary="bundled storybook world, 192 x 320 at 16 fps, runs on a laptop",
    load=_load,
    options=DioramaOptions,
    arguments=(WEIGHTS_ARGUMENT, STEPS_ARGUMENT, *BACKEND_ARGUMENTS),
    # its operations are so small that a second thread only costs time
    threads=1,
    capabilities=capabilities(preset(NAME).transformer),
    axes=axes(preset(NAME).transformer),
    licence="Apache-2.0",
    parameters="10 M (17 M with decoder, text encoder and probe)",
    bundled=True,
    weights=weights,
    digest=lambda: digest(part_paths(bundled_folder())),
    understand=understand,
    knows=KNOWS,
    plan=_plan,
    self_check=_self_check,
)
