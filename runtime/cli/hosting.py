"""Where a command's worlds are hosted: a server of its own, one that runs, or the model in this process."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtake.runtime import registry
from longtake.runtime.cli.arguments import weights_options
from longtake.runtime.cli.models import BUNDLED, listings
from longtake.runtime.cli.output import check_writable
from longtake.runtime.cli.usage import UsageError, unknown

if TYPE_CHECKING:
    from longtake.runtime.generator.hosts import GeneratorHostConfig
    from longtake.scenarios.schema import Scenario


def generator_config(options: argparse.Namespace, *, model: str | None = None) -> "GeneratorHostConfig":
    """What a generator is started with, from parsed arguments; `model` overrides the one given there.

    Raises `UsageError` where worlds cannot be hosted: an unknown model, no torch, or no weights.
    """
    name = model or options.model
    texts = weights_options(options, name)
    check_hosting(name, options.factory)
    from longtake.runtime.generator.hosts import GeneratorHostConfig

    return GeneratorHostConfig(
        models=(name,),
        options=texts,
        factory=options.factory,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        log_level={0: "warning", 1: "info"}.get(options.verbose, "debug"),
    )


def check_hosting(model: str, factory: str = "") -> None:
    """Raise `UsageError` where a model cannot be loaded here: it is unknown, or torch or its weights are missing."""
    if not factory and model not in registry.MODELS:
        raise UsageError(unknown("model", model, registry.MODELS))
    need_torch("hosting worlds")
    if model == BUNDLED and not factory:
        # found out here, because the generator could only say it from another process
        row = next(row for row in listings() if row.name == model)
        if not row.ready:
            raise UsageError(f"model {model} cannot be loaded: {row.note}")


def need_torch(purpose: str, extras: str = "host") -> None:
    """Raise `UsageError` with what to install where torch is missing."""
    if find_spec("torch") is None:
        elsewhere = ", or use a server elsewhere (`longtake join`)" if purpose == "hosting worlds" else ""
        raise UsageError(f"{purpose} needs torch: pip install 'longtake[{extras}]'{elsewhere}")


def load_model(options: argparse.Namespace) -> tuple[Any, int]:
    """Load the model into this process; returns it with its number of threads. Raises `UsageError` and ModelError."""
    texts = weights_options(options, options.model)
    check_hosting(options.model, options.factory)
    entry = registry.entry(options.model, options.factory)
    thread_count = options.threads or entry.threads
    if thread_count:
        # read by OpenMP when torch is imported; set later, it leaves idle threads spinning
        os.environ["OMP_NUM_THREADS"] = str(thread_count)
    try:
        model = registry.load(
            entry, device=options.device, precision=options.precision, threads=thread_count, options=texts
        )
    except ModuleNotFoundError as error:
        raise UsageError(f"model {options.model} cannot be loaded: {error}") from error
    return model, thread_count


@contextmanager
def hosted(options: argparse.Namespace, *, model: str, takes: Path | None = None) -> Iterator[str]:
    """Yield the endpoint of the server given with `--endpoint`, or of one of our own for as long as the block lasts.

    `takes` is the folder of the take files of our own server. Raises LongtakeError.
    """
    if options.endpoint:
        if weights_options(options, model):
            raise UsageError("the server at --endpoint has loaded its model; give weights and options to that")
        if takes is not None and takes != Path("."):
            raise UsageError("a server keeps its takes in a folder of its own: give --record a name without a folder")
        yield options.endpoint
        return
    config = generator_config(options, model=model)
    from longtake.runtime.server.local import local_server

    with local_server(
        model,
        factory=config.factory,
        device=config.device,
        precision=config.precision,
        threads=config.threads,
        options=config.options,
        log_level=config.log_level,
        takes=takes or Path("takes"),
    ) as local:
        yield local.endpoint


def take_name(path: Path | None, *, here: bool) -> str | None:
    """The name a server is told to record under, for a `--record` path; None without one. Raises `UsageError`.

    `here` is for a server of our own, whose takes go where the path says.
    """
    if path is None:
        return None
    if path.suffix != ".take":
        raise UsageError(f"{path} is no name for a take file: let it end in .take")
    if here:
        if path.exists():
            raise UsageError(f"{path} exists already; takes are never overwritten")
        check_writable(path)
    return path.name


def load_scenario(path_or_name: str) -> "Scenario":
    """A scenario from a file or from the library; unknown names get a suggestion. Raises LongtakeError."""
    from longtake.scenarios.loading import ScenarioNotFound, library_names, load

    try:
        return load(path_or_name)
    except ScenarioNotFound:
        if path_or_name.endswith((".yaml", ".yml")):
            raise
        raise UsageError(unknown("scenario", path_or_name, library_names())) from None
