"""`longtake eval ablations`: what recache, sink, long training, sampler steps and precision bring to diorama.

In the folder that is named: `takes/` keeps the figures of each take, so that a stopped run goes on; `results.json`,
`ablations.md`, `ablations.html` and `plots/` are written again after every condition.
"""

import argparse
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.runtime.cli.arguments import (
    add_hosting_arguments,
    add_json_argument,
    count,
    file_path,
    some_of,
    weights_options,
)
from longtake.runtime.cli.eval_pieces import Part, Pieces, film, part
from longtake.runtime.cli.eval_report import write
from longtake.runtime.cli.hosting import announce_threads, check_hosting
from longtake.runtime.cli.output import check_writable, json_text, print_for_programs, progress
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.model.diorama.options import DioramaOptions
    from longtake.model.evaluation.ablations.conditions import Condition
    from longtake.model.evaluation.ablations.tables import Ablation, Shot
    from longtake.model.evaluation.ablations.takes import Drawn, Filmed, Plan
    from longtake.model.evaluation.studio import Studio
    from longtake.model.loaded import LoadedModel

ABLATIONS = ("switch", "sink", "long", "steps", "precision")
FORMAT = 1
RESULTS, TABLES, PAGE = "results.json", "ablations.md", "ablations.html"


def add_ablation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `eval ablations`."""
    parser.add_argument(
        "--only",
        type=partial(some_of, "ablation", ABLATIONS),
        metavar="NAME,...",
        help=f"some of {', '.join(ABLATIONS)} (default: all)",
    )
    parser.add_argument(
        "--seeds", type=count, metavar="N", help="takes of each condition, and half as many long ones (8; 2 if quick)"
    )
    parser.add_argument("--quick", action="store_true", help="a first impression: two takes of each, long ones of 60 s")
    parser.add_argument(
        "--out",
        "--output",
        "-o",
        dest="output",
        type=file_path,
        required=True,
        metavar="FOLDER",
        help="where takes and tables go; a stopped run goes on, and another --only or more --seeds add to it",
    )
    parser.add_argument(
        "--against", type=file_path, metavar="DIR", help="other weights for the long takes, such as those before tuning"
    )
    parser.add_argument(
        "--part", type=part, metavar="1/2", help="film one part of the takes; run the other parts beside it or later"
    )
    add_hosting_arguments(parser)
    add_json_argument(parser)


def run_ablations(options: argparse.Namespace) -> int:
    """Film, measure, and write the tables."""
    from longtake.model.diorama.options import DioramaOptions
    from longtake.model.diorama.spec import NAME, SPEC

    if options.model != NAME:
        raise UsageError(f"ablations are filmed with {NAME}, whose pictures a probe can read, not {options.model}")
    check_writable(options.output / RESULTS)
    if options.against is not None and not options.against.is_dir():
        raise UsageError(f"--against {options.against}: no such folder")
    check_hosting(options.model)
    given = DioramaOptions.parse(weights_options(options, options.model))
    announce_threads(options, SPEC)
    from longtake.model.evaluation.ablations.conditions import conditions
    from longtake.model.evaluation.ablations.takes import FULL, QUICK, plans

    lab = Lab(options, given)
    found = conditions(lab.usual.generator.config, precision=lab.usual.info.precision)
    extent = QUICK if options.quick else FULL
    extent = extent.of(options.seeds) if options.seeds else extent
    every = plans(found, extent, against=options.against is not None)
    with progress("takes", "take", 0, quiet=options.json) as tell:
        for _ in lab.film([plan for plan in every if plan.name in (options.only or ABLATIONS)], tell):
            # After each condition, so that a run that is stopped leaves tables too.
            tables = [lab.ablation(plan) for plan in every]
            write_results(options.output, lab.about, [table for table in tables if table.rows])
    if options.json:
        print_for_programs((options.output / RESULTS).read_text(encoding="utf-8"))
    else:
        print((options.output / TABLES).read_text(encoding="utf-8"))
        print(f"{options.output / PAGE} has the plots")
    return OK


class Lab:
    """Films under conditions, and keeps what was measured. Raises `UsageError` and ModelError.

    Args:
        options: the command's.
        given: how the model is loaded when nothing is ablated.
    """

    def __init__(self, options: argparse.Namespace, given: "DioramaOptions") -> None:
        from longtake.model.evaluation.ablations.conditions import AS_IS

        self.options, self.given = options, given
        self.missing: dict[str, str] = {}
        """conditions that cannot be had here, and why"""
        self.usual = self.load(AS_IS)
        info, config = self.usual.info, self.usual.generator.config
        self.about: dict[str, object] = {
            "format": FORMAT,
            "model": info.name,
            "weights": info.weights,
            "device": info.device,
            "precision": info.precision,
            "options": weights_options(options, options.model),
            "config": hashlib.blake2b(repr(config).encode(), digest_size=8).hexdigest(),
        }
        self.weights = {False: info.weights}
        self._pieces = {False: Pieces(options.output / "takes", self.about)}
        if options.against is not None:
            self.others = self.load(AS_IS, against=True)
            self.weights[True] = self.others.info.weights
            self._pieces[True] = Pieces(options.output / "against", self.about | {"weights": self.weights[True]})

    def load(self, condition: "Condition", *, against: bool = False) -> "LoadedModel":
        """Load the model, or the other weights, under a condition."""
        from longtake.model.diorama.files import bundled_folder
        from longtake.model.evaluation.ablations.conditions import load_under

        return load_under(
            self.options.against if against else self.given.folder or bundled_folder(),
            condition,
            device=self.options.device,
            precision=self.options.precision,
            options=self.given,
        )

    def film(self, plans: "Sequence[Plan]", tell: Callable[[int, int], None]) -> Iterator[None]:
        """Film what is not there yet; yields after each condition, and after what is drawn for each ablation."""
        jobs: dict[tuple[Filmed | Drawn, bool], None] = {}
        for plan in plans:
            if plan.drawn is not None:
                jobs[plan.drawn, False] = None
            jobs |= {(column.filmed, column.against): None for column in plan.columns}
        total, done = sum(measure.count for measure, _ in jobs), 0
        for measure, against in jobs:
            self._film(measure, against, lambda now, of: tell(done + now, total))  # noqa: B023 - called at once
            done += measure.count
            yield

    def ablation(self, plan: "Plan") -> "Ablation":
        """Return the table of what has been filmed."""
        from longtake.model.evaluation.ablations.tables import ASKS, Ablation, Outcome, figures

        drawn = self._shot(plan.drawn, against=False) if plan.drawn is not None else {}
        outcomes = []
        for column in plan.columns:
            shot = self._shot(column.filmed, against=column.against)
            outcomes.append(
                Outcome(
                    called=column.called,
                    says=column.says,
                    weights=self.weights[column.against],
                    shot=shot,
                    figures=figures(plan.name, shot, drawn),
                )
            )
        if drawn and any(outcome.shot for outcome in outcomes):
            found = figures(plan.name, drawn, drawn)
            outcomes.append(Outcome(called="drawn", says="the renderer", weights="none", shot=drawn, figures=found))
        missing = {column.called: self.missing[column.filmed.condition.name] for column in plan.columns
                   if column.filmed.condition.name in self.missing}  # fmt: skip
        filmed = [outcome for outcome in outcomes if outcome.shot]
        return Ablation(name=plan.name, asks=ASKS[plan.name], outcomes=filmed, missing=missing)

    def _film(self, measure: "Filmed | Drawn", against: bool, tell: Callable[[int, int], None]) -> None:
        from longtake.model.errors import BackendError
        from longtake.model.evaluation.measures.base import FULL

        pieces, which = self._pieces[against], self.options.part or Part()
        if all(pieces.get(measure.name, index) for index in range(measure.count) if which.takes(index)):
            return
        try:
            studio = self._studio(measure, against)
        except BackendError as error:
            self.missing[measure.name.rpartition("-")[2]] = str(error)
            return
        film([measure], studio, FULL, pieces, which, tell)

    def _studio(self, measure: "Filmed | Drawn", against: bool) -> "Studio":
        from longtake.model.evaluation.ablations.conditions import AS_IS
        from longtake.model.evaluation.ablations.takes import Filmed
        from longtake.model.evaluation.studio import Studio

        model = self.others if against else self.usual
        if isinstance(measure, Filmed) and measure.condition != AS_IS:
            model = self.load(measure.condition)
        return Studio(model, read=lambda frames: model.read(frames)[0])

    def _shot(self, measure: "Filmed | Drawn", *, against: bool) -> "Shot":
        found = {index: self._pieces[against].get(measure.name, index) for index in range(measure.count)}
        return {index: sample for index, sample in found.items() if sample is not None}


def write_results(folder: Path, about: Mapping[str, object], tables: "Sequence[Ablation]") -> None:
    """Write the tables as JSON, Markdown and a page, and the plots by themselves. Raises `UsageError`."""
    from longtake.model.evaluation.ablations.report import ablations_page, plots
    from longtake.model.evaluation.ablations.tables import as_json, markdown
    from longtake.model.evaluation.plots import standalone

    write(folder / RESULTS, (json_text({**about, "ablations": [as_json(table) for table in tables]}) + "\n").encode())
    write(folder / TABLES, "\n".join(markdown(table) for table in tables).encode())
    facts = [f"{about['model']}, weights {about['weights']}, {about['precision']} on {about['device']}"]
    write(folder / PAGE, ablations_page("Ablations", facts, tables).encode())
    for table in tables:
        for name, svg in plots(table).items():
            write(folder / "plots" / f"{name}.svg", standalone(svg).encode())
