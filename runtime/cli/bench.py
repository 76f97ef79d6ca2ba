"""`longtake bench`: measure the model alone (`generator`) or server, generator and client together (`live`).

`plan` runs nothing and computes what a model costs on a device. `history` prints what was measured before.
"""

import argparse
import math
import os
from dataclasses import asdict
from typing import Any

from longtake.model.interface import WorldModel
from longtake.runtime.cli.arguments import (
    add_hosting_arguments,
    add_json_argument,
    count,
    number,
    positive_seconds,
    seed,
)
from longtake.runtime.cli.bench_history import add_history_arguments, run_history
from longtake.runtime.cli.bench_plan import add_plan_arguments, run_plan
from longtake.runtime.cli.hosting import generator_config, hosted, load_here, need_torch
from longtake.runtime.cli.output import print_json, progress, table
from longtake.runtime.cli.scenario_argument import load_scenario
from longtake.runtime.cli.usage import OK, UsageError

SETTLING = 3
"""blocks to make between filling the window and measuring"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    generator = kinds.add_parser("generator", help="how fast the model makes blocks by itself")
    generator.add_argument("--blocks", type=count, default=96, help="blocks to measure (default: %(default)s)")
    generator.add_argument(
        "--preset", metavar="NAME", help="measure a configuration, such as medium, with random weights and no decoder"
    )
    generator.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the configuration, such as layers=16; implies random weights",
    )
    live = kinds.add_parser("live", help="a live session over loopback with a cue every 5 s")
    live.add_argument(
        "--seconds", type=positive_seconds, default=30.0, help="length of the session (default: %(default)g)"
    )
    live.add_argument(
        "--scenario", default="default", help="scenario that gives the prompt and the events (default: %(default)s)"
    )
    live.add_argument(
        "--worlds",
        type=count,
        default=1,
        help="worlds that run in turn on one generator; those for which it has no room are left out "
        "(default: %(default)s)",
    )
    live.add_argument(
        "--viewers", type=number, default=0, help="clients that only watch, for each world (default: %(default)s)"
    )
    add_plan_arguments(
        kinds.add_parser("plan", help="compute a model's operations, memory and shortest times on a device")
    )
    add_history_arguments(kinds.add_parser("history", help="print the measurements kept in benchmarks/history.jsonl"))
    for kind in (generator, live):
        kind.add_argument("--seed", type=seed, default=0, help="seed of the world (default: %(default)s)")
        add_json_argument(kind)
    add_hosting_arguments(generator)
    add_hosting_arguments(live, model=None, endpoint=True)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the figures."""
    if options.kind == "plan":
        return run_plan(options)
    if options.kind == "history":
        return run_history(options)
    figures = generator_figures(options) if options.kind == "generator" else live_figures(options)
    if options.json:
        print_json(figures)
    elif "worlds" in figures:
        print_worlds(figures)
    else:
        # What is measured between the blocks gets rows of its own.
        rows = {**figures, **(figures.get("arithmetic") or {})}
        rows.pop("arithmetic", None)
        print(table([["figure", "value"], *([name, shown(value)] for name, value in rows.items())]))
    return OK


def generator_figures(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the model in this process."""
    bare = options.preset or options.set
    model, threads = load_bare(options) if bare else load_here(options)
    from longtake.model.evaluation.bench import BenchConfig, bench

    config = BenchConfig(blocks=options.blocks, seed=options.seed, warmup_blocks=model.info.window_blocks + SETTLING)
    with progress("generator", "block", options.blocks, quiet=options.json) as show:
        result = bench(model, config, progress=show)
    info = model.info
    about = {
        "model": info.name,
        "device": info.device,
        "precision": info.precision,
        "threads": threads,
        "weights": info.weights,
    }
    return {**about, "realtime_factor": result.fps / info.fps, **asdict(result)}


def load_bare(options: argparse.Namespace) -> tuple[WorldModel, int]:
    """Build a model from a configuration alone; return it and its thread count. Raises `UsageError`, ModelError."""
    need_torch("measuring a model")
    texts = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r} is not FIELD=VALUE, such as layers=16")
        texts[name] = value
    if options.threads:
        # OpenMP reads it when torch is imported.
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import torch

    from longtake.model.config import preset
    from longtake.model.evaluation.bench_model import bare_model, changed

    torch.set_num_threads(options.threads or torch.get_num_threads())
    name = options.preset or options.model
    config = changed(preset(name), texts)
    model = bare_model(
        name, config, device=options.device, precision=options.precision, linear=options.linear or "auto"
    )
    return model, torch.get_num_threads()


def live_figures(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a live session at a server of its own, or at the one at `--endpoint`."""
    import msgspec

    from longtake.runtime.cli.bench_live import LiveConfig, bench_live
    from longtake.runtime.cli.bench_worlds import Worlds, bench_worlds

    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = msgspec.structs.replace(scenario, model=options.model)
    if not options.endpoint:
        generator_config(options, model=scenario.model)
    with (
        hosted(options, model=scenario.model) as endpoint,
        progress("live", "s", round(options.seconds), quiet=options.json) as show,
    ):
        config = LiveConfig(seconds=options.seconds, seed=options.seed)
        if options.worlds > 1 or options.viewers:
            count = Worlds(worlds=options.worlds, viewers=options.viewers)
            return asdict(bench_worlds(endpoint, scenario, config, count, progress=show))
        return asdict(bench_live(endpoint, scenario, config, progress=show))


def print_worlds(figures: dict[str, Any]) -> None:
    """Print a table with a column for each world and one for all of them."""
    every = [*figures["worlds"], figures["overall"]]
    names = [f"world {index}" for index in range(1, len(every))] + ["overall"]
    keys = [key for key in figures["worlds"][0] if any(key in each for each in every)]
    keys += [key for key in figures["overall"] if key not in keys]
    print(table([["figure", *names], *([key, *(shown(each.get(key)) for each in every)] for key in keys)]))
    if figures["refused"]:
        print(f"{len(figures['worlds'])} of {figures['asked']} worlds: {figures['refused']}")


def shown(value: Any) -> str:
    """Format a figure for people."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(item)}" for name, item in value.items()) or "-"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
