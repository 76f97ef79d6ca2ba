"""`longtake run`: run a scenario at a server and check what it expects; exit code 1 if an expectation fails."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.protocol.errors import LongtakeError
from longtake.runtime.cli.arguments import (
    DEFAULT_MODEL,
    add_hosting_arguments,
    add_json_argument,
    add_record_argument,
    positive_seconds,
    seed,
)
from longtake.runtime.cli.hosting import hosted, load_scenario, take_name
from longtake.runtime.cli.output import progress
from longtake.runtime.cli.usage import FAILED, OK, UsageError

if TYPE_CHECKING:
    from longtake.scenarios.report import Report
    from longtake.scenarios.schema import Scenario

INTERACTIVE = (".jsonl", ".txt")
"""suffixes of LongLive's interactive prompt files"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, before a server can say what its models are like."""

    model: str
    scenario: "Scenario | None" = None
    prompts: Path | None = None
    switch_latents: tuple[int, ...] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "scenario", help="a YAML file, a name of the library, or a LongLive interactive prompt file (.jsonl, .txt)"
    )
    parser.add_argument(
        "--mode",
        choices=("live", "offline", "lockstep"),
        default="live",
        help="live measures rates and latencies; the others go as fast as they can (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=positive_seconds, help="stop after this time (default: the scenario's length)"
    )
    parser.add_argument("--seed", type=seed, help="seed of the world (default: the scenario's)")
    parser.add_argument(
        "--switch-latents",
        type=latents,
        metavar="40,80,...",
        help="for an interactive prompt file: the latent frames at which the next prompt starts",
    )
    add_record_argument(parser)
    add_hosting_arguments(parser, model=None, endpoint=True)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run it and print the report."""
    plan = plan_of(options)
    record = take_name(options.record, here=not options.endpoint)
    with hosted(options, model=plan.model, takes=options.record and options.record.parent) as endpoint:
        reports = [
            film(options, scenario, endpoint, record) for scenario in scenarios_of(plan, endpoint, options.seed or 0)
        ]
    if options.json:
        bodies = [report.json() for report in reports]
        print(bodies[0] if plan.scenario is not None else json.dumps([json.loads(body) for body in bodies]))
    else:
        print("\n\n".join("\n".join(report.lines()) for report in reports))
    return OK if all(report.passed for report in reports) else FAILED


def film(options: argparse.Namespace, scenario: "Scenario", endpoint: str, record: str | None) -> "Report":
    """Run one scenario behind a progress bar."""
    from longtake.scenarios.runner import run_scenario

    with progress(scenario.name, "frame", 0, quiet=options.json) as show:
        return run_scenario(
            scenario,
            endpoint,
            seconds=options.seconds,
            record=record,
            mode=options.mode,
            seed=options.seed,
            progress=show,
        )


def plan_of(options: argparse.Namespace) -> Plan:
    """Read everything that can be read before anything starts. Raises LongtakeError."""
    import msgspec

    path = Path(options.scenario)
    if path.suffix in INTERACTIVE:
        if not path.is_file():
            raise UsageError(f"{path}: no such prompt file")
        if options.record is not None:
            raise UsageError("--record writes one take, but a prompt file may hold many; run a scenario file instead")
        return Plan(model=options.model or DEFAULT_MODEL, prompts=path, switch_latents=options.switch_latents)
    if options.switch_latents is not None:
        raise UsageError("--switch-latents is for interactive prompt files; a scenario has a timeline")
    scenario = load_scenario(options.scenario)
    if options.model:
        scenario = msgspec.structs.replace(scenario, model=options.model)
    return Plan(model=scenario.model, scenario=scenario)


def scenarios_of(plan: Plan, endpoint: str, first_seed: int) -> "list[Scenario]":
    """Return the plan's scenarios. A prompt file's depend on the model's frame grid, which the server knows."""
    if plan.scenario is not None:
        return [plan.scenario]
    from longtake.clients.session import Session
    from longtake.scenarios.interactive import SWITCH_LATENTS, load_interactive

    assert plan.prompts is not None
    with Session.connect(endpoint, client="longtake-run") as session:
        model = next((model for model in session.models if model.name == plan.model), None)
    if model is None:
        raise LongtakeError("unknown_model", f"the server at {endpoint} has no model {plan.model!r}")
    switches = SWITCH_LATENTS if plan.switch_latents is None else plan.switch_latents
    return load_interactive(plan.prompts, model, switch_latents=switches, seed=first_seed)


def latents(text: str) -> tuple[int, ...]:
    """Parse `40,80,120`; for argparse."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of latent frames such as 40,80,120") from None
