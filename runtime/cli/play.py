"""`longtake play`: start a server and open a window on it. Without a display, film the scenario instead."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.clients.film.whole_file import free_name
from longtake.protocol.endpoints import DEFAULT_ENDPOINT
from longtake.runtime.cli.arguments import add_hosting_arguments, count, positive_seconds, prompt, seed
from longtake.runtime.cli.display import HOW_TO_GET_A_WINDOW, open_display
from longtake.runtime.cli.hosting import hosted
from longtake.runtime.cli.output import check_writable
from longtake.runtime.cli.scenario_argument import WHAT, Plan, add_switches_argument, plan_of
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.clients.player.demo import DemoCue
    from longtake.scenarios.schema import Scenario

RENDERS = Path("renders")
DEMO_FPS = 16
"""ticks a second of every model that there is; the demo need not be exact"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scenario", nargs="?", default="default", help=f"{WHAT} (default: %(default)s)")
    parser.add_argument(
        "--line", type=count, default=1, help="the take of a prompt file to play (default: %(default)s)"
    )
    add_switches_argument(parser)
    parser.add_argument("--prompt", type=prompt, help="start with this prompt (default: the scenario's)")
    parser.add_argument("--seed", type=seed, help="seed of the world (default: the scenario's)")
    parser.add_argument("--fullscreen", action="store_true", help="fill the screen (F11 in the window)")
    parser.add_argument("--hud", action="store_true", help="show the numbers (F3 in the window)")
    parser.add_argument(
        "--share",
        action="store_true",
        help=f"listen at {DEFAULT_ENDPOINT}, where `longtake join` finds the world (otherwise at any free port)",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help=f"film the scenario into {RENDERS}/, under a new name, instead of opening a window",
    )
    parser.add_argument("--seconds", type=positive_seconds, help="length of that film (default: the scenario's)")
    add_hosting_arguments(parser, model=None, endpoint=True)


def run(options: argparse.Namespace) -> int:
    """Play the scenario, or film it."""
    plan = plan_of(options.scenario, model=options.model, switch_latents=options.switch_latents)
    if options.line > plan.count:
        raise UsageError(f"--line {options.line}: {options.scenario} has {plan.count}")
    why_not = "" if options.headless else open_display()
    if options.headless or why_not:
        return film(options, plan, why_not)
    print(f"{title_of(plan)}: loading {plan.model} ...", file=sys.stderr)
    with hosted(options, model=plan.model, bind=DEFAULT_ENDPOINT if options.share else "") as endpoint:
        from longtake.clients.player.player import play

        where = "" if endpoint == DEFAULT_ENDPOINT else f" {endpoint}"
        print(f"others on this machine can watch: longtake join{where}", file=sys.stderr)
        scenario = plan.scenarios(endpoint, 0)[options.line - 1]
        play(
            endpoint,
            script=scenario.script(),
            model=plan.model,
            prompt=options.prompt,
            seed=scenario.seed if options.seed is None else options.seed,
            hud=options.hud,
            fullscreen=options.fullscreen,
            demo=[] if options.prompt else demo(scenario),
            demo_ticks=round(scenario.seconds * DEMO_FPS),
            suggestions=suggestions(plan, options.line),
        )
    return OK


def demo(scenario: "Scenario") -> "list[DemoCue]":
    """Return the scenario's timeline, which plays in the window until somebody takes over."""
    from longtake.clients.player.demo import DemoCue

    return [DemoCue(cue.tick, cue.kind, cue.text, cue.amend) for cue in scenario.cues(DEMO_FPS)]


def title_of(plan: Plan) -> str:
    """Return what to call the scenario."""
    if plan.scenario is not None:
        return plan.scenario.title or plan.scenario.name
    assert plan.prompts is not None
    return plan.prompts.path.name


def suggestions(plan: Plan, line: int) -> list[str]:
    """Return the prompts that the prompt line offers on Up, the next one first: the file's after the one played."""
    if plan.prompts is None:
        return []
    takes = [take.prompts for take in plan.prompts.lines[line - 1 :]]
    return list(takes[0][1:]) if len(takes[0]) > 1 else [prompts[0] for prompts in takes[1:]]


def film(options: argparse.Namespace, plan: Plan, why_not: str) -> int:
    """Film the scenario with its timeline. If no window could open, say why and how to get one."""
    from longtake.runtime.cli.render import Film, shoot

    name = plan.scenario.name if plan.scenario is not None else Path(options.scenario).stem
    video = free_name(RENDERS / f"{name}.mp4", ".png")
    check_writable(video)
    if why_not:
        print(f"{why_not}: filming the scenario instead of opening a window", file=sys.stderr)
    with hosted(options, model=plan.model) as endpoint:
        scenario = plan.scenarios(endpoint, 0)[options.line - 1]
        filmed = shoot(
            Film(
                model=plan.model,
                seconds=options.seconds or scenario.seconds,
                seed=scenario.seed if options.seed is None else options.seed,
                video=video,
                sheet=video.with_suffix(".png"),
                prompt=options.prompt,
                scenario=scenario,
                replace=False,
            ),
            endpoint,
        )
    print(f"{filmed.video}  {filmed.ticks} frames, {filmed.ticks / filmed.fps:g} s")
    print(filmed.sheet)
    if why_not:
        print(HOW_TO_GET_A_WINDOW)
    return OK
