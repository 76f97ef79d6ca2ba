"""`longtake eval`: measure what a model shows, how it moves and how it obeys, against the drawn world.

`longtake eval ablations` measures what each part of the method brings, `longtake eval clip` scores films with CLIP, and
`longtake eval vbench` films prompt lists for the public `vbench` tool.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.runtime.cli.arguments import (
    add_hosting_arguments,
    add_json_argument,
    count,
    file_path,
    positive_seconds,
    some_of,
    weights_options,
)
from longtake.runtime.cli.eval_ablations import add_ablation_arguments, run_ablations
from longtake.runtime.cli.eval_clip import add_clip_arguments, run_clip
from longtake.runtime.cli.eval_pieces import Part, Pieces, film, part
from longtake.runtime.cli.eval_report import write_report, write_sheets
from longtake.runtime.cli.hosting import check_hosting, load_here
from longtake.runtime.cli.output import check_writable, print_json, progress, table
from longtake.runtime.cli.usage import OK, UsageError
from longtake.runtime.cli.vbench import add_vbench_arguments, run_vbench

if TYPE_CHECKING:
    from longtake.model.evaluation.adherence import EvalPrompt
    from longtake.model.evaluation.figures import Figure, Sample
    from longtake.model.evaluation.measures.base import Effort, Measure
    from longtake.model.evaluation.studio import Studio
    from longtake.model.interface import WorldModel

QUICK_PROMPTS = 8
MEASURES = ("labels", "looks", "speed", "switch", "actions", "wording", "drift")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--only",
        type=partial(some_of, "measure", MEASURES),
        metavar="NAME,...",
        help=f"some of the measures: {', '.join(MEASURES)} (default: all that the model can be measured by)",
    )
    parser.add_argument(
        "--prompts",
        type=file_path,
        metavar="FILE.tsv",
        help="for labels; columns prompt, place, time, weather, actor, colour; ? is not scored "
        "(default: the file that ships); without --only, nothing else is measured",
    )
    parser.add_argument(
        "--seeds", type=count, default=2, help="for labels: takes of each prompt (default: %(default)s)"
    )
    parser.add_argument("--drift", type=positive_seconds, metavar="TIME", help="length of a take that drifts (4m)")
    parser.add_argument(
        "--quick", action="store_true", help=f"a first impression: few and short takes, {QUICK_PROMPTS} prompts"
    )
    parser.add_argument("--misses", action="store_true", help="list every wrong reading")
    parser.add_argument(
        "--output", "-o", type=file_path, metavar="FOLDER", help="keep each take's figures there; a stopped run goes on"
    )
    parser.add_argument(
        "--part", type=part, metavar="1/2", help="film one part of the takes into --output; run the other parts later"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write one page with tables, plots and strips of scenes"
    )
    parser.add_argument(
        "--sheets",
        type=Path,
        metavar="FOLDER",
        help="write strips, WebP and GIF of scenes side by side: drawn, through the autoencoder, generated",
    )
    add_hosting_arguments(parser)
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    add_vbench_arguments(actions.add_parser("vbench", help="film prompt lists for the public vbench tool to score"))
    add_ablation_arguments(actions.add_parser("ablations", help="measure what each part of the method brings"))
    add_clip_arguments(actions.add_parser("clip", help="score films with CLIP, each segment against its own prompt"))


def run(options: argparse.Namespace) -> int:
    """Film, measure, and print the figures."""
    if options.action == "vbench":
        return run_vbench(options)
    if options.action == "clip":
        return run_clip(options)
    if options.action == "ablations":
        return run_ablations(options)
    if options.part is not None and options.output is None:
        raise UsageError("--part needs --output FOLDER, where the parts are put together")
    if options.report is not None:
        check_writable(options.report)
    if options.sheets is not None:
        check_writable(options.sheets / "day.jpg")
    check_hosting(options.model, options.factory)
    from longtake.model.evaluation.adherence import read_prompts
    from longtake.model.evaluation.strips import show

    path = prompt_file(options.prompts)
    prompts = read_prompts(path)
    effort = effort_of(options)
    model, _ = load_here(options)
    studio = studio_of(model)
    names = options.only or (["labels"] if options.prompts else list(MEASURES))
    measures, skipped = measures_of(model, studio, names, prompts, options)
    if skipped and (options.only or not measures or options.prompts):
        raise UsageError(next(iter(skipped.values())))
    given = weights_options(options, options.model)
    about = {
        "model": model.info.name,
        "weights": model.info.weights,
        "device": model.info.device,
        "precision": model.info.precision,
        "options": given,
        "prompts": len(prompts[:QUICK_PROMPTS] if options.quick else prompts),
        "seeds": 1 if options.quick else options.seeds,
    }
    settings = {"prompt_file": hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest(), "quick": options.quick}
    pieces = Pieces(options.output, {**about, **settings, "effort": asdict(effort)})
    which = options.part or Part()
    with progress("takes", "take", 0, quiet=options.json) as tell:
        done, of = film(measures, studio, effort, pieces, which, tell)
    samples = {measure.name: pieces.of(measure, effort) for measure in measures}
    figures = {m.name: m.figures(samples[m.name]) for m in measures if samples[m.name]}
    misses = [note for some in samples.values() for sample in some for note in sample.notes]
    every = [figure for some in figures.values() for figure in some]
    shown = list(show(studio)) if options.report or options.sheets else []
    about_line = f"{about['model']}, weights {about['weights']}, {about['precision']} on {about['device']}"
    if options.report:
        facts = [about_line, f"{done} of {of} takes", *(f"{name}: {reason}" for name, reason in skipped.items())]
        write_report(options.report, f"Evaluation of {about['model']}", facts, every, samples, shown)
    if options.sheets:
        write_sheets(options.sheets, shown)
    if options.json:
        print_json({**about, "takes": {"done": done, "of": of}, "skipped": skipped,
                    "scores": scores_of(samples.get("labels", [])), "figures": figures_of(figures),
                    "misses": misses})  # fmt: skip
        return OK
    how = "".join(f"  {name}={value}" for name, value in given.items())
    print(f"{about['model']}  weights {about['weights']}  {about['precision']} on {about['device']}{how}")
    print_figures(every)
    for name, reason in skipped.items():
        print(f"{name} was not measured: {reason}")
    if done < of:
        print(f"\n{done} of {of} takes are there; run the other parts with the same --output")
    if options.misses:
        print()
        for miss in misses:
            print(f"{miss['stage']}.{miss['kind']}: {miss['read']!r} in {miss['prompt']!r}")
    return OK


def effort_of(options: argparse.Namespace) -> "Effort":
    """Return how much is filmed. Raises `UsageError`."""
    from longtake.model.evaluation.measures.base import FULL, QUICK

    effort = QUICK if options.quick else FULL
    try:
        return replace(effort, drift_seconds=options.drift) if options.drift else effort
    except ValueError as error:
        raise UsageError(f"--drift: {error}") from None


def studio_of(model: "WorldModel") -> "Studio":
    """Return where takes are filmed, with the model's probe and autoencoder if it has them."""
    from longtake.model.diorama.files import bundled_folder
    from longtake.model.diorama.spec import NAME
    from longtake.model.evaluation.studio import Studio
    from longtake.model.evaluation.through import load_through
    from longtake.model.loaded import LoadedModel

    reads = "reading" in model.info.capabilities
    through = None
    if isinstance(model, LoadedModel) and model.info.name == NAME and model.generator.decoder is not None:
        through = load_through(bundled_folder(), model.generator.decoder, model.generator.device)
    return Studio(model, read=(lambda frames: model.read(frames)[0]) if reads else None, through=through)


def measures_of(
    model: "WorldModel",
    studio: "Studio",
    names: Sequence[str],
    prompts: "Sequence[EvalPrompt]",
    options: argparse.Namespace,
) -> "tuple[list[Measure], dict[str, str]]":
    """Return the measures of these names that can be made, and why the others cannot."""
    from longtake.model.evaluation.measures.drift import Drift
    from longtake.model.evaluation.measures.labels import Labels
    from longtake.model.evaluation.measures.looks import Looks
    from longtake.model.evaluation.measures.pace import Pace
    from longtake.model.evaluation.measures.steering import Steering
    from longtake.model.evaluation.measures.switching import Switching
    from longtake.model.evaluation.measures.wording import Wording
    from longtake.model.loaded import LoadedModel

    known: list[Measure] = [Looks(), Pace(), Switching(), Steering(), Wording(), Drift()]
    skipped = {}
    if isinstance(model, LoadedModel):
        seeds = range(1 if options.quick else options.seeds)
        used = prompts[:QUICK_PROMPTS] if options.quick else prompts
        known.append(Labels(model, lambda frames: model.read(frames)[0], used, list(seeds), late=not options.quick))
    elif "labels" in names:
        skipped["labels"] = f"{model.info.name} films one take at a time, and labels are read of many together"
    by_name = {measure.name: measure for measure in known}
    found = []
    for name in names:
        if name not in by_name:
            continue
        reasons = [studio.abilities[need] for need in by_name[name].needs if studio.abilities[need]]
        if reasons:
            skipped[name] = reasons[0]
        else:
            found.append(by_name[name])
    return found, skipped


def scores_of(samples: "Sequence[Sample]") -> dict[str, object]:
    """Return the label scores for `--json`."""
    from longtake.model.evaluation.measures.labels import label_scores

    return {
        name: {"hits": score.hits, "trials": score.trials, "rate": score.rate, "interval_95": score.interval}
        for name, score in label_scores(samples).items()
    }


def figures_of(figures: "dict[str, list[Figure]]") -> list[dict[str, object]]:
    """Return figures for `--json`."""
    return [
        {"measure": measure, "name": f.name, "part": f.part, "value": f.value, "interval_95": f.interval,
         "samples": f.samples, "drawn": f.drawn, "through": f.through,
         "goal": None if f.goal is None else str(f.goal), "verdict": f.verdict or None}
        for measure, some in figures.items() for f in some
    ]  # fmt: skip


def print_figures(figures: "Sequence[Figure]") -> None:
    """Print all figures, then those of parts, each with its goal and whether it was met."""
    head = ["figure", "generated", "95 % interval", "of", "autoencoder", "drawn", "goal", ""]
    whole = [figure for figure in figures if not figure.part]
    parts = [figure for figure in figures if figure.part]
    for some in (whole, parts):
        if some:
            print()
            print(table([head, *(figure_row(figure) for figure in some)], right=(1, 3, 4, 5)))
    print()


def figure_row(figure: "Figure") -> list[str]:
    """Return a figure as a row of the table."""
    low, high = figure.interval
    interval = f"{low:.2f} to {high:.2f}" if low == low else ""
    name = f"{figure.name}, {figure.part}" if figure.part else figure.name
    goal = "" if figure.goal is None else str(figure.goal)
    shown = ["" if value is None else f"{value:.2f}" for value in (figure.through, figure.drawn)]
    return [name, f"{figure.value:.2f}", interval, str(figure.samples), *shown, goal, figure.verdict]


def prompt_file(given: Path | None) -> Path:
    """Return the file given, or the one that ships. Raises `UsageError`."""
    path = given or Path(str(files("longtake.model.evaluation") / "prompts.tsv"))
    if not path.is_file():
        raise UsageError(f"{path}: no such prompt file" if given else f"{path} is missing; reinstall longtake")
    return path
