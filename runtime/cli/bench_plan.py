"""`longtake bench plan`: a model's operations, bytes, memory and shortest times on a device, computed."""

import argparse
import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtake.model.interface import model_names
from longtake.runtime.cli.arguments import add_json_argument, file_path, threads
from longtake.runtime.cli.bench_plan_train import add_train_arguments, run_train_plan
from longtake.runtime.cli.hosting import need_torch
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError, unknown

if TYPE_CHECKING:
    from longtake.model.evaluation.plan import Compared, Plan
    from longtake.model.evaluation.plan_devices import Device
    from longtake.model.evaluation.plan_predict import OptionGain

THIS_CPU = "cpu"


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench plan`."""
    parser.add_argument(
        "--device", default="h100", help="h100, h200, 4090, or cpu to measure this one (default: %(default)s)"
    )
    parser.add_argument("--model", default="longlive-1.3b", help=f"{', '.join(model_names())} (default: %(default)s)")
    parser.add_argument("--fp8", action="store_true", help="compute linear layers in FP8")
    parser.add_argument(
        "--size", type=size, metavar="480x832", help="height and width of the pictures (default: the model's)"
    )
    parser.add_argument(
        "--measured", type=file_path, metavar="FILE.json", help="compare with what `bench generator --json` printed"
    )
    parser.add_argument("--decoder", default="", help="the decoder that was measured (default: the model's usual one)")
    parser.add_argument(
        "--precision", default="auto", help="with --device cpu: auto, bf16 or fp32 (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=threads,
        default=0,
        help="with --device cpu: CPU threads; 0 leaves the choice to torch (default: %(default)s)",
    )
    add_train_arguments(parser)
    add_json_argument(parser)


def size(text: str) -> tuple[int, int]:
    """Parse `480x832`; for argparse."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 480x832 (height x width)")
    return int(match[1]), int(match[2])


def run_plan(options: argparse.Namespace) -> int:
    """Compute the plan, compare it with a measurement if there is one, and print. Raises UsageError and ModelError."""
    if options.model not in model_names():
        raise UsageError(unknown("model", options.model, model_names()))
    measured = read_measurement(options.measured) if options.measured else None
    need_torch("counting a model's operations")
    if options.threads and options.device == THIS_CPU:
        # OpenMP reads it when torch is imported.
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from longtake.model.evaluation.plan import compare, make_plan, plan_source, resized
    from longtake.model.evaluation.plan_predict import options_of, predictable

    device = device_of(options)
    if options.train:
        return run_train_plan(options, device)
    plan = make_plan(options.model, device, fp8=options.fp8, size=options.size)
    gains: list[OptionGain] = []
    config = resized(plan_source(options.model).config, options.size)
    if device.rates is not None and predictable(config, device.rates):
        gains = options_of(config, plan_source(options.model).decoders(config.transformer), device.rates)
    decoder = options.decoder or plan_source(options.model).usual_decoder
    if decoder not in plan.fps:
        raise UsageError(unknown("decoder", decoder, plan.fps))
    compared = [] if measured is None else compare(plan, measured, decoder=decoder)
    if options.json:
        print_json(
            {
                **asdict(plan),
                "options": [gain_fields(gain) for gain in gains],
                "compared": [{**asdict(row), "share": row.share} for row in compared],
            }
        )
    else:
        print("\n\n".join(sections(plan, compared)))
        if gains and device.rates is not None:
            print(f"\n{option_table(gains)}\nrates {device.rates.source}")
    return OK


def gain_fields(gain: "OptionGain") -> dict[str, Any]:
    """Return what an option would bring as a program reads it."""
    predicted = gain.predicted
    rates = {} if predicted is None else {"block_ms": predicted.block_ms, "fps": predicted.fps}
    return {**asdict(gain), **rates}


def option_table(gains: "list[OptionGain]") -> str:
    """Return what each option would bring, a line each."""
    rows = [["predicted from measured rates", "block ms", "frames/s", "saves ms", "MB a world", "MB once"]]
    for gain in gains:
        predicted = gain.predicted
        times = ["-", "-"] if predicted is None else [figure(predicted.block_ms), figure(predicted.fps)]
        saved = "-" if gain.saved_ms is None else f"{gain.saved_ms:+.0f}"
        rows.append([gain.option, *times, saved, f"{gain.world_mb:+,.0f}", f"{gain.once_mb:+,.0f}"])
    return table(rows, right=range(1, 6))


def device_of(options: argparse.Namespace) -> "Device":
    """Return the device asked for. Raises UsageError and ModelError."""
    from longtake.model.evaluation.plan_devices import DEVICES, this_cpu

    if options.device != THIS_CPU:
        if options.device not in DEVICES:
            raise UsageError(unknown("device", options.device, [*DEVICES, THIS_CPU]))
        return DEVICES[options.device]
    import torch

    from longtake.model.ops.precision import choose_precision, precision_name

    if options.threads:
        torch.set_num_threads(options.threads)
    precision = precision_name(choose_precision(options.precision, torch.device("cpu")))
    return this_cpu(precision, torch.get_num_threads())


def read_measurement(path: Path) -> dict[str, Any]:
    """Read what `bench generator --json` printed. Raises UsageError."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}); make it with `longtake bench generator --json`") from None
    if not isinstance(body, dict):
        raise UsageError(f"{path} holds no measurement; make it with `longtake bench generator --json`")
    return body


def sections(plan: "Plan", compared: "list[Compared]") -> list[str]:
    """Return the plan as text for people, in sections."""
    head = (
        f"{plan.model}, {plan.height} x {plan.width}, {plan.precision}, on {plan.device}\n"
        f"{plan.device_source}; computed, not measured"
    )
    rows = [["part", "TFLOP", "GB moved", "products ms", "limit ms"]]
    rows += [
        [part.name, figure(part.tflop), figure(part.gigabytes), figure(part.products_ms), figure(part.limit_ms)]
        for part in plan.parts
    ]
    rates = [["with decoder", "block ms", "frames/s", "products alone ms", "frames/s"]]
    for decoder in plan.fps:
        figures = (plan.block_ms, plan.fps, plan.products_ms, plan.products_fps)
        rates.append([decoder, *(figure(values[decoder]) for values in figures)])
    budget_ms = 1000 * plan.frames_per_block / plan.realtime_fps
    real_time = f"real time is {plan.realtime_fps} frames/s, {budget_ms:.0f} ms a block"
    memory = [["memory", "MB"], *([use, f"{size_mb:,.1f}"] for use, size_mb in plan.memory_mb.items())]
    rate_table = f"{table(rates, right=range(1, 5))}\n{real_time}"
    found = [head, table(rows, right=range(1, 5)), rate_table, table(memory, right=(1,))]
    if compared:
        against = [["part", "limit ms", "measured ms", "of the limit"]]
        against += [
            [row.part, figure(row.limit_ms), figure(row.measured_ms), f"{100 * row.share:.0f} %"] for row in compared
        ]
        found.append(table(against, right=range(1, 4)))
    return found


def figure(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
