"""`longtake play`: start a server and open a window on it. Without a display, film the scenario instead."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.protocol.endpoints import DEFAULT_ENDPOINT
from longtake.runtime.cli.arguments import add_hosting_arguments, positive_seconds, prompt, seed
from longtake.runtime.cli.display import HOW_TO_GET_A_WINDOW, open_display
from longtake.runtime.cli.hosting import hosted, load_scenario
from longtake.runtime.cli.usage import OK

if TYPE_CHECKING:
    from longtake.clients.player.demo import DemoCue
    from longtake.scenarios.schema import Scenario

RENDERS = Path("renders")
DEMO_FPS = 16
"""ticks a second of every model that there is; the demo need not be exact"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "scenario", nargs="?", default="default", help="a YAML file, or a name of the library (default: %(default)s)"
    )
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
        "--headless", action="store_true", help=f"film the scenario into {RENDERS}/ instead of opening a window"
    )
    parser.add_argument("--seconds", type=positive_seconds, help="length of that film (default: the scenario's)")
    add_hosting_arguments(parser, model=None, endpoint=True)


def run(options: argparse.Namespace) -> int:
    """Play the scenario, or film it."""
    scenario = load_scenario(options.scenario)
    model = options.model or scenario.model
    why_not = "" if options.headless else open_display()
    if options.headless or why_not:
        return film(options, scenario, model, why_not)
    print(f"{scenario.title or scenario.name}: loading {model} ...", file=sys.stderr)
    with hosted(options, model=model, bind=DEFAULT_ENDPOINT if options.share else "") as endpoint:
        from longtake.clients.player.player import play

        where = "" if endpoint == DEFAULT_ENDPOINT else f" {endpoint}"
        print(f"others on this machine can watch: longtake join{where}", file=sys.stderr)
        play(
            endpoint,
            script=scenario.script(),
            model=model,
            prompt=options.prompt,
            seed=scenario.seed if options.seed is None else options.seed,
            hud=options.hud,
            fullscreen=options.fullscreen,
            demo=[] if options.prompt else demo(scenario),
            demo_ticks=round(scenario.seconds * DEMO_FPS),
        )
    return OK


def demo(scenario: "Scenario") -> "list[DemoCue]":
    """Return the scenario's timeline, which plays in the window until somebody takes over."""
    from longtake.clients.player.demo import DemoCue

    return [DemoCue(cue.tick, cue.kind, cue.text, cue.amend) for cue in scenario.cues(DEMO_FPS)]


def film(options: argparse.Namespace, scenario: "Scenario", model: str, why_not: str) -> int:
    """Film the scenario with its timeline. If no window could open, say why and how to get one."""
    from longtake.runtime.cli.render import Film, shoot

    if why_not:
        print(f"{why_not}: filming the scenario instead of opening a window", file=sys.stderr)
    with hosted(options, model=model) as endpoint:
        filmed = shoot(
            Film(
                model=model,
                seconds=options.seconds or scenario.seconds,
                seed=scenario.seed if options.seed is None else options.seed,
                video=RENDERS / f"{scenario.name}.mp4",
                sheet=RENDERS / f"{scenario.name}.png",
                prompt=options.prompt,
                scenario=scenario,
            ),
            endpoint,
        )
    print(f"{filmed.video}  {filmed.ticks} frames, {filmed.ticks / filmed.fps:g} s")
    print(filmed.sheet)
    if why_not:
        print(HOW_TO_GET_A_WINDOW)
    return OK
