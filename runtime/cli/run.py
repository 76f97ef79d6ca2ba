"""`longtake run`: run a scenario at a server and check what it expects; exit code 1 if an expectation fails."""

import argparse
import json
from typing import TYPE_CHECKING

from longtake.runtime.cli.arguments import (
    add_hosting_arguments,
    add_json_argument,
    add_record_argument,
    positive_seconds,
    seed,
)
from longtake.runtime.cli.hosting import hosted, take_name
from longtake.runtime.cli.output import print_json, progress
from longtake.runtime.cli.scenario_argument import WHAT, add_switches_argument, plan_of
from longtake.runtime.cli.usage import FAILED, OK, UsageError

if TYPE_CHECKING:
    from longtake.scenarios.report import Report
    from longtake.scenarios.schema import Scenario


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scenario", help=WHAT)
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
    add_switches_argument(parser)
    add_record_argument(parser)
    add_hosting_arguments(parser, model=None, endpoint=True)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run it and print the report."""
    plan = plan_of(options.scenario, model=options.model, switch_latents=options.switch_latents)
    if options.record is not None and plan.prompts is not None:
        raise UsageError("--record writes one take, but a prompt file may hold many; run a scenario file instead")
    record = take_name(options.record, here=not options.endpoint)
    with hosted(options, model=plan.model, takes=options.record and options.record.parent) as endpoint:
        reports = [
            film(options, scenario, endpoint, record) for scenario in plan.scenarios(endpoint, options.seed or 0)
        ]
    if options.json:
        bodies = [json.loads(report.json()) for report in reports]
        print_json(bodies[0] if plan.scenario is not None else bodies)
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
