"""`longtake conformance`: compare the generator with recorded runs of the reference. Exit code 1 if one fails."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from longtake.model.interface import SelfCheck, model_names, model_spec
from longtake.runtime.cli.arguments import (
    add_json_argument,
    add_weights_arguments,
    checked_options,
    file_path,
    given_options,
)
from longtake.runtime.cli.hosting import need_torch
from longtake.runtime.cli.output import print_json
from longtake.runtime.cli.usage import FAILED, OK, UsageError, unknown

if TYPE_CHECKING:
    from longtake.model.evaluation.conformance import CaseResult
    from longtake.model.training.conformance.case import TrainingResult

BACK_END = ("linear", "cache", "execution", "compile", "graphs", "fast")
"""options that change how the model computes, but not what"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "cases",
        nargs="?",
        type=file_path,
        help="a folder with config.json, model.safetensors and cases, or one case of it",
    )
    parser.add_argument(
        "--self",
        dest="own",
        action="store_true",
        help="compare every attention and precision that works here with plain fp32 on the CPU; needs no recordings",
    )
    parser.add_argument(
        "--model",
        default="",
        help="with --self: check this model's weights, not small random ones; diorama's probe reads the pictures too",
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--precision", default="fp32", help="fp32 or bf16 (default: %(default)s)")
    parser.add_argument(
        "--attention", default="auto", help="a back end that `longtake doctor` lists (default: %(default)s)"
    )
    parser.add_argument(
        "--tolerance", type=float, help="largest relative L2 error of a block (default: depends on the precision)"
    )
    add_weights_arguments(parser)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run the cases and print how close each one came."""
    if (options.cases is None) != options.own:
        raise UsageError("give either a folder of cases, or --self")
    texts = given_options(options)
    # These options belong to no model: cases run with them too.
    back_end = {name: texts.pop(name) for name in BACK_END if name in texts}
    compiled = "compile" in back_end
    if options.own and (len(back_end) > compiled or options.attention != "auto" or options.tolerance is not None):
        raise UsageError(
            "--self runs every back end with its own tolerance; choose back ends and tolerances for cases only"
        )
    if (options.model or texts) and not (options.own and options.model):
        raise UsageError("to check a model's weights give --self --model NAME; cases bring their own")
    if options.model and options.model not in model_names():
        raise UsageError(unknown("model", options.model, model_names()))
    if options.model:
        texts = checked_options(model_spec(options.model), texts | back_end)
        texts = {name: text for name, text in texts.items() if name not in BACK_END}
    if options.cases is not None and not options.cases.exists():
        raise UsageError(f"{options.cases}: no such folder or case")
    need_torch("running the model")
    from longtake.model.evaluation.conformance import run_case_dir
    from longtake.model.evaluation.self_check import run_self_check
    from longtake.model.ops.precision import choose_device, choose_precision
    from longtake.model.options import CompiledOptions
    from longtake.model.training.conformance.run import with_training

    device = choose_device(options.device)
    if options.own and options.model:
        spec = model_spec(options.model)
        if spec.self_check is None:
            raise UsageError(f"model {spec.name} has no self-check; try --self without a model")
        return report(options, spec.self_check(SelfCheck(device=str(device), options=texts, compile=compiled)))
    if options.own:
        return report(options, run_self_check(device, compile=compiled))
    chosen = CompiledOptions.parse(back_end)
    dtype = choose_precision(options.precision, device)
    results = run_case_dir(
        options.cases,
        device=device,
        dtype=dtype,
        options=replace(chosen, attention=options.attention),
        tolerance=options.tolerance,
    )
    return report(options, with_training(results, options.cases, device=device, dtype=dtype))


def report(options: argparse.Namespace, results: "Iterable[CaseResult | TrainingResult]") -> int:
    """Print every case when it is done; return the exit code, a failure if a case failed or none ran."""
    done = []
    for result in results:
        done.append(result)
        if not options.json:
            print(result.summary(), flush=True)
            if errors := result.by_block():
                print(f"  {errors}", flush=True)
    run_ones = [result for result in done if result.skipped is None]
    passed = bool(run_ones) and all(result.passed for result in run_ones)
    if options.json:
        cases = [
            {
                "name": result.name,
                "passed": result.passed,
                "skipped": result.skipped,
                "worst": result.worst,
                "tolerance": result.tolerance,
                "block_errors": list(result.block_errors),
                **probed(result),
            }
            for result in done
        ]
        print_json({"passed": passed, "cases": cases})
    elif not run_ones:
        print("no case ran")
    return OK if passed else FAILED


def probed(result: "CaseResult | TrainingResult") -> dict[str, object]:
    """Return what the probe read, if there is one."""
    names = ("readings", "changed", "lost", "confidence_change")
    return {name: getattr(result, name) for name in names if hasattr(result, name)}
