"""`longtake bench plan --train`: memory and time of LongLive's training on so many GPUs, computed."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.model.evaluation.plan_devices import Device
    from longtake.model.training.plan_training import Cluster, StagePlan

PLANNED = "longlive-1.3b"


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench plan --train`."""
    parser.add_argument("--train", action="store_true", help="plan longlive-1.3b's training, not its playing")
    parser.add_argument("--gpus", type=number, default=8, help="with --train: GPUs (default: %(default)s)")
    parser.add_argument("--node", type=number, default=8, help="with --train: GPUs of a node (default: %(default)s)")


def number(text: str) -> int:
    """Parse a whole number above zero; for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def run_train_plan(options: argparse.Namespace, device: "Device") -> int:
    """Compute the plan and print it. Raises UsageError and ModelError."""
    if options.model != PLANNED:
        raise UsageError(f"--train plans {PLANNED}, not {options.model}")
    if options.fp8 or options.size or options.measured:
        raise UsageError("--train goes without --fp8, --size and --measured: the recipes train in bf16 at Wan's size")
    from longtake.model.training.plan_training import Cluster, plan_training

    cluster = Cluster(device=device, gpus=options.gpus, node=options.node)
    plans = plan_training(cluster)
    if options.json:
        print_json({"device": device.name, "gpus": cluster.gpus, "stages": [asdict(plan) for plan in plans]})
    else:
        print("\n\n".join(sections(cluster, plans)))
    return OK


def sections(cluster: "Cluster", plans: "list[StagePlan]") -> list[str]:
    """Return the plan as text for people, in sections."""
    device = cluster.device
    rates = device.rates.source if device.rates else "none, so steps are at the peak"
    head = (
        f"{PLANNED}, training on {cluster.gpus} x {device.name}, {cluster.shares} to a copy of the weights\n"
        f"peak: {device.source}\nrates: {rates}\ncomputed, nothing of it measured in training"
    )
    rows = [["stage", "steps", "batch", "TFLOP a GPU", "at peak s", "step s", "exchange s", "hours", "GPU hours"]]
    for plan in plans:
        figures = (
            plan.step_tflop,
            plan.peak_step_s,
            plan.step_s,
            plan.exchange_s,
            plan.hours,
            plan.hours * cluster.gpus,
        )
        rows.append([plan.stage, str(plan.steps), str(plan.members), *map(short, figures)])
    uses = list(dict.fromkeys(use for plan in plans for use in plan.memory_gb))
    memory = [["GB of a GPU", *(plan.stage for plan in plans)]]
    memory += [[use, *(short(plan.memory_gb.get(use, 0.0)) for plan in plans)] for use in uses]
    memory.append(["together", *(short(plan.total_gb) for plan in plans)])
    fits = [verdict(plan.total_gb, device.memory_bytes / 1e9) for plan in plans]
    memory.append([f"of {device.memory_bytes / 1e9:.0f}", *fits])
    memory.append(["checkpoint or files", *(short(plan.disk_gb) for plan in plans)])
    return [head, table(rows, right=range(1, 9)), table(memory, right=range(1, len(plans) + 1))]


def verdict(needed_gb: float, has_gb: float) -> str:
    """Say whether a stage fits into a GPU. A tenth is left to the allocator and to what is not counted."""
    if not has_gb:
        return "unknown"
    return "fits" if needed_gb <= 0.9 * has_gb else "too much"


def short(value: float) -> str:
    """Format a number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
