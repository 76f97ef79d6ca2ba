"""Finds a place for a command's worlds: a server of its own, a running one, or the model in this process."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.model.interface import LoadRequest, ModelSpec, WorldModel, load_model, model_names, model_spec
from longtake.protocol.errors import Refused
from longtake.protocol.text import is_utf8
from longtake.runtime.cli.arguments import weights_options
from longtake.runtime.cli.models import listing
from longtake.runtime.cli.output import check_writable
from longtake.runtime.cli.usage import UsageError, unknown

if TYPE_CHECKING:
    from longtake.runtime.generator.hosts import GeneratorHostConfig


def generator_config(options: argparse.Namespace, *, model: str | None = None) -> "GeneratorHostConfig":
    """Return what a generator starts with, from parsed arguments; `model` overrides theirs.

    Raises `UsageError` if worlds cannot be hosted: the model is unknown, or torch or the weights are missing.
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
    """Raise `UsageError` if a model cannot load here: it is unknown, or torch or its weights are missing."""
    if not factory and model not in model_names():
        raise UsageError(unknown("model", model, model_names()))
    need_torch("hosting worlds")
    spec = model_spec(model, factory)
    if spec.bundled:
        # Checked here, because the generator could only report it from another process.
        row = listing(spec)
        if not row.ready:
            raise UsageError(f"model {model} cannot be loaded: {row.note}")


def need_torch(purpose: str, extras: str = "host") -> None:
    """Raise `UsageError` that says what to install if torch is missing."""
    if find_spec("torch") is None:
        elsewhere = ", or use a server elsewhere (`longtake join`)" if purpose == "hosting worlds" else ""
        raise UsageError(f"{purpose} needs torch: pip install 'longtake[{extras}]'{elsewhere}")


def load_here(options: argparse.Namespace) -> tuple[WorldModel, int]:
    """Load the model into this process; return it and its thread count. Raises `UsageError` and ModelError."""
    texts = weights_options(options, options.model)
    check_hosting(options.model, options.factory)
    spec = model_spec(options.model, options.factory)
    thread_count = announce_threads(options, spec)
    try:
        model = load_model(
            spec,
            LoadRequest(
                name=spec.name,
                device=options.device,
                precision=options.precision,
                threads=thread_count,
                options=texts,
            ),
        )
    except ModuleNotFoundError as error:
        raise UsageError(f"model {options.model} cannot be loaded: {error}") from error
    return model, thread_count


def announce_threads(options: argparse.Namespace, spec: ModelSpec) -> int:
    """Say how many threads torch will have, before it is imported; return their number, 0 for torch's own choice."""
    thread_count = int(options.threads or spec.threads)
    if thread_count:
        # OpenMP reads it when torch is imported; set later, it would leave idle threads spinning.
        os.environ["OMP_NUM_THREADS"] = str(thread_count)
    return thread_count


@contextmanager
def hosted(options: argparse.Namespace, *, model: str, takes: Path | None = None, bind: str = "") -> Iterator[str]:
    """Yield the endpoint of the server at `--endpoint`, or of one that lives as long as the block.

    `takes` is the folder where that one writes take files, and `bind` where it listens (by default at any free
    port). Raises LongtakeError.
    """
    if options.endpoint:
        if weights_options(options, model):
            raise UsageError(
                "the server at --endpoint has loaded its model already; give it the weights and options when it starts"
            )
        if takes is not None and takes != Path("."):
            raise UsageError("a server keeps its takes in its own folder: give --record a name without a folder")
        yield options.endpoint
        return
    config = generator_config(options, model=model)
    from longtake.runtime.server.local import local_server

    with local_server(
        model,
        endpoint=bind,
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
    """Return the name under which a server records, for a `--record` path; None without one. Raises `UsageError`.

    `here` says that the server is ours, so that its takes go where the path says.
    """
    if path is None:
        return None
    if path.suffix != ".take":
        raise UsageError(f"{path} is not the name of a take file; it has to end in .take")
    if not is_utf8(path.name):
        raise UsageError(f"{path} is not the name of a take file: it is no UTF-8 text")
    from longtake.runtime.takes.recorder import checked_name

    try:
        checked_name(path.name)  # as the server will, but before anything is loaded
    except Refused as error:
        raise UsageError(f"--record: {error}") from None
    if here:
        if os.path.lexists(path):
            raise UsageError(f"{path} exists already; takes are never overwritten")
        check_writable(path)
    return path.name
