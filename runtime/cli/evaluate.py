"""`longtake eval`: count how often the picture shows what the prompt says. The model's probe reads the pictures.

`longtake eval vbench` films prompt lists for the public `vbench` tool instead.
"""

import argparse
from importlib.resources import files
from pathlib import Path

from longtake.runtime.cli.arguments import add_hosting_arguments, add_json_argument, count, weights_options
from longtake.runtime.cli.hosting import check_hosting, load_here
from longtake.runtime.cli.output import print_json, progress, table
from longtake.runtime.cli.usage import OK, UsageError
from longtake.runtime.cli.vbench import add_vbench_arguments, run_vbench

QUICK_PROMPTS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE.tsv",
        help="columns prompt, place, time, weather, actor, colour; ? is not scored (default: the file that ships)",
    )
    parser.add_argument("--seeds", type=count, default=2, help="takes of each prompt (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help=f"a first impression: {QUICK_PROMPTS} prompts, one seed, five seconds"
    )
    parser.add_argument("--misses", action="store_true", help="list every wrong reading")
    add_hosting_arguments(parser)
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    add_vbench_arguments(actions.add_parser("vbench", help="film prompt lists for the public vbench tool to score"))


def run(options: argparse.Namespace) -> int:
    """Film the prompts, read the pictures, and print the scores."""
    if options.action == "vbench":
        return run_vbench(options)
    check_hosting(options.model, options.factory)
    from longtake.model.evaluation.adherence import evaluate, read_prompts
    from longtake.model.loaded import LoadedModel

    prompts = read_prompts(prompt_file(options.prompts))
    prompts = prompts[:QUICK_PROMPTS] if options.quick else prompts
    seeds = range(1 if options.quick else options.seeds)
    model, _ = load_here(options)
    if "reading" not in model.info.capabilities:
        raise UsageError(f"{options.model} has no probe to read its pictures with; evaluate diorama")
    if not isinstance(model, LoadedModel):
        raise UsageError(f"{options.model} films one take at a time, and the evaluation films many together")
    with progress("takes", "take", len(prompts) * len(seeds), quiet=options.json) as show:
        tally = evaluate(model, prompts, list(seeds), late=not options.quick, progress=show)
    scores = tally.scores()
    if options.json:
        body = {
            name: {"hits": score.hits, "trials": score.trials, "rate": score.rate, "interval_95": score.interval}
            for name, score in scores.items()
        }
        about = {
            "model": model.info.name,
            "weights": model.info.weights,
            "device": model.info.device,
            "precision": model.info.precision,
            "options": weights_options(options, options.model),
            "prompts": len(prompts),
            "seeds": len(seeds),
        }
        print_json({**about, "scores": body, "misses": tally.misses})
        return OK
    info = model.info
    how = "".join(f"  {name}={value}" for name, value in weights_options(options, options.model).items())
    print(f"{info.name}  weights {info.weights}  {info.precision} on {info.device}{how}")
    print(f"{len(prompts)} prompts x {len(seeds)} seeds\n")
    rows = [["score", "right", "of", "rate", "95 % interval"]]
    for name, score in scores.items():
        low, high = score.interval
        rows.append([name, str(score.hits), str(score.trials), f"{score.rate:.2f}", f"{low:.2f} to {high:.2f}"])
    print(table(rows, right=(1, 2, 3)))
    if options.misses:
        print()
        for miss in tally.misses:
            print(f"{miss['stage']}.{miss['kind']}: {miss['read']!r} in {miss['prompt']!r}")
    return OK


def prompt_file(given: Path | None) -> Path:
    """Return the file given, or the one that ships. Raises `UsageError`."""
    path = given or Path(str(files("longtake.model.evaluation") / "prompts.tsv"))
    if not path.is_file():
        raise UsageError(f"{path}: no such prompt file" if given else f"{path} is missing; reinstall longtake")
    return path
