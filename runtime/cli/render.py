"""`longtake render`: film a prompt or a scenario to an MP4 as fast as the model can, with a contact sheet.

With `--random-weights` and no length it tries one recache and one block instead (`longtake.runtime.cli.trial`).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from longtake.clients.film.whole_file import free_name
from longtake.runtime.cli.arguments import (
    DEFAULT_MODEL,
    add_hosting_arguments,
    add_json_argument,
    add_record_argument,
    file_path,
    positive_seconds,
    prompt,
    seconds,
    seed,
)
from longtake.runtime.cli.film_take import film_take
from longtake.runtime.cli.hosting import hosted, take_name
from longtake.runtime.cli.output import check_replaceable, check_writable, print_json, progress, say_replaced
from longtake.runtime.cli.scenario_argument import WHAT, Plan, add_switches_argument, is_prompt_file, plan_of
from longtake.runtime.cli.trial import is_trial, run_trial
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.clients.film.headless import Filmed
    from longtake.clients.session import World
    from longtake.protocol.messages import Applied
    from longtake.scenarios.schema import Scenario, TimedCue

PROMPT_SECONDS = 10.0
"""default length of a film of a prompt"""
SUFFIXES = (".mp4", ".gif", ".webp")
"""of films"""
DEFAULT_OUTPUT = Path("renders/take.mp4")


@dataclass(frozen=True, kw_only=True)
class Film:
    """What to film, and where to write it."""

    model: str
    seconds: float
    seed: int
    video: Path
    sheet: Path | None = None
    prompt: str | None = None
    scenario: "Scenario | None" = None
    cues: Sequence[tuple[float, str]] = field(default=())
    """(seconds, a prompt or the name of one of the scenario's events)"""
    take: str | None = None
    replace: bool = True
    """whether files of these names are replaced; otherwise the film takes the first free number"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "prompt",
        nargs="?",
        type=prompt,
        help="what to show, in plain English; or a prompt file: a film a line",
    )
    parser.add_argument(
        "--take", type=file_path, metavar="X.take", help="film a take file: the same frames again, with its cues"
    )
    parser.add_argument("--scenario", help=f"film a scenario with its timeline: {WHAT}")
    add_switches_argument(parser)
    parser.add_argument(
        "--seconds",
        type=positive_seconds,
        help=f"length, such as 20 or 1m30s (default: the scenario's, or {PROMPT_SECONDS:g})",
    )
    parser.add_argument("--seed", type=seed, help="the same seed gives the same film (default: the scenario's, or 0)")
    parser.add_argument(
        "--output",
        "-o",
        type=file_path,
        help="the film: .mp4 (with the cues as chapters and subtitles), .gif or .webp; a film of ours is replaced if "
        f"it exists, another file is not (default: {DEFAULT_OUTPUT}, or the first number that is free, as in "
        f"{DEFAULT_OUTPUT.stem}-1{DEFAULT_OUTPUT.suffix})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace whatever has the names of film and sheet")
    parser.add_argument(
        "--cue",
        nargs=2,
        action="append",
        default=[],
        metavar=("TIME", "PROMPT"),
        help="change the prompt at a time, as in --cue 5s 'a fox at night'; with a scenario an event's name works too",
    )
    parser.add_argument(
        "--contact-sheet",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write a PNG with pictures of the whole take next to the video",
    )
    add_record_argument(parser)
    add_hosting_arguments(parser, model=None, endpoint=True)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Film it, and print where the film is."""
    options.numbered = options.output is None and not options.overwrite
    options.output = options.output or DEFAULT_OUTPUT
    if options.numbered:
        options.output = free_name(options.output, ".png")
    if options.take is not None:
        check_output(options)
        return film_take(options)
    if is_trial(options):
        check_output(options)
        options.model = options.model or DEFAULT_MODEL
        return run_trial(options)
    if (options.prompt is None) == (options.scenario is None):
        raise UsageError('give either a prompt, as in longtake render "a fox in the snow", or --scenario')
    named = options.scenario or (options.prompt if is_prompt_file(options.prompt) else None)
    if named is not None:
        plan = plan_of(named, model=options.model, switch_latents=options.switch_latents)
        if plan.prompts is not None:
            return render_all(plan, options)
    elif options.switch_latents is not None:
        raise UsageError("--switch-latents is for prompt files")
    else:
        plan = None
    check_output(options)
    film = film_of(options, plan.scenario if plan else None)
    with hosted(options, model=film.model, takes=options.record and options.record.parent) as endpoint:
        filmed = shoot(film, endpoint, quiet=options.json)
    if options.json:
        print_json(told(film, filmed))
    else:
        say(film, filmed)
    return OK


def render_all(plan: Plan, options: argparse.Namespace) -> int:
    """Film every line of a prompt file. Raises LongtakeError."""
    assert plan.prompts is not None
    if options.record is not None:
        raise UsageError("--record writes one take, but a prompt file may hold many; film its prompts one by one")
    numbers = [line.number for line in plan.prompts.lines]
    outputs = [options.output]
    if len(numbers) > 1:
        stem = DEFAULT_OUTPUT.stem if options.numbered else options.output.stem
        outputs = [options.output.with_stem(f"{stem}-{number}") for number in numbers]
    if options.numbered:
        outputs = [free_name(output, ".png") for output in outputs]
    for output in outputs:
        check_output(options, output)
    made = []
    with hosted(options, model=plan.model) as endpoint:
        for output, scenario in zip(outputs, plan.scenarios(endpoint, options.seed or 0), strict=True):
            film = film_of(options, scenario)
            film = replace(film, video=output, sheet=output.with_suffix(".png") if film.sheet else None)
            filmed = shoot(film, endpoint, quiet=options.json)
            made.append(told(film, filmed))
            if not options.json:
                say(film, filmed)
    if options.json:
        print_json(made)
    return OK


def told(film: Film, filmed: "Filmed") -> dict[str, Any]:
    """Return what `--json` says of a film."""
    return {
        "video": str(filmed.video),
        "sheet": str(filmed.sheet) if filmed.sheet else None,
        "frames": filmed.ticks,
        "fps": filmed.fps,
        "seed": film.seed,
        "digest": filmed.digest,
        "timeline": [msgspec.to_builtins(mark) for mark in filmed.timeline],
    }


def say(film: Film, filmed: "Filmed") -> None:
    """Print where a film is."""
    print(f"{filmed.video}  {filmed.ticks} frames, {filmed.ticks / filmed.fps:g} s, seed {film.seed}", flush=True)
    if filmed.sheet is not None:
        print(filmed.sheet, flush=True)
    for mark in filmed.timeline:
        print(f"{mark.tick / filmed.fps:7.1f} s  {used(mark)}", flush=True)


def used(mark: "Applied") -> str:
    """Return the prompt that was used, and what the model took it for."""
    understood = mark.understood
    if understood is None:
        return mark.prompt
    unknown = f"; not known: {', '.join(understood.unknown)}" if understood.unknown else ""
    chance = f"; by chance: {', '.join(understood.by_chance)}" if understood.by_chance else ""
    return f"{mark.prompt}  (shown as: {understood.shown_as or 'anything'}{unknown}{chance})"


def film_of(options: argparse.Namespace, scenario: "Scenario | None") -> Film:
    """Return the film that the arguments ask for. Raises LongtakeError."""
    model = options.model or (scenario.model if scenario else DEFAULT_MODEL)
    first_seed = scenario.seed if scenario else 0
    return Film(
        model=model,
        seconds=options.seconds or (scenario.seconds if scenario else PROMPT_SECONDS),
        seed=first_seed if options.seed is None else options.seed,
        video=options.output,
        sheet=options.output.with_suffix(".png") if options.contact_sheet else None,
        prompt=None if scenario else options.prompt,
        scenario=scenario,
        cues=[cue_of(time, text) for time, text in options.cue],
        take=take_name(options.record, here=not options.endpoint),
        replace=not options.numbered,
    )


def check_output(options: argparse.Namespace, path: Path | None = None) -> None:
    """Raise `UsageError` if a film cannot have this name (else that of `--output`), or cannot be written there.

    What it will replace is said.
    """
    path = path or options.output
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is no film: --output has to end in {', '.join(SUFFIXES)}")
    files = [path, path.with_suffix(".png")] if options.contact_sheet else [path]
    for written in files:
        check_writable(written)
        if not options.overwrite:
            check_replaceable(written)
    say_replaced(files)


def cue_of(time: str, text: str) -> tuple[float, str]:
    """Parse one `--cue`. Raises `UsageError`."""
    try:
        return seconds(time), prompt(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--cue {time}: {error}") from None


def shoot(film: Film, endpoint: str, *, quiet: bool = False) -> "Filmed":
    """Film behind a progress bar. Raises LongtakeError, and then leaves no half-written file."""
    from longtake.clients.film.headless import render

    with progress(film.video.name, "frame", 0, quiet=quiet) as show:
        return render(
            endpoint,
            seconds=film.seconds,
            video=film.video,
            sheet=film.sheet,
            model=film.model,
            script=film.scenario.script() if film.scenario else None,
            prompt=film.prompt,
            seed=film.seed,
            take=film.take,
            prepare=sender(film),
            progress=show,
            replace=film.replace,
        )


def sender(film: Film) -> "Callable[[World], None]":
    """Return a function that sends the film's cues and inputs to its world while it waits at tick 0."""

    def send(world: "World") -> None:
        from longtake.scenarios.runner import check_inputs, hold, schedule

        if film.scenario is not None:
            check_inputs(film.scenario, world.info.model)
            inputs = film.scenario.inputs(world.info.model.fps)
            hold(world, [each for each in inputs if each.tick < film.seconds * world.info.model.fps])
        schedule(world, cues_of(film, world.info.model.fps))

    return send


def cues_of(film: Film, fps: int) -> "list[TimedCue]":
    """Return the cues of the timeline and of `--cue`, in order. Raises `UsageError` for one after the end."""
    from longtake.scenarios.schema import TimedCue

    ticks = max(1, round(film.seconds * fps))
    events = film.scenario.events if film.scenario else {}
    cues = [cue for cue in film.scenario.cues(fps) if cue.tick < ticks] if film.scenario else []
    for at, text in film.cues:
        if round(at * fps) >= ticks:
            raise UsageError(f"--cue {at:g}s comes after the end at {film.seconds:g} s; give more --seconds")
        cues.append(TimedCue(round(at * fps), "event" if text in events else "prompt", text))
    return sorted(cues, key=lambda cue: cue.tick)
