"""The table of `benchmarks/h100.sh`: runs each row's command in a process of its own, within one limit of time.

A row that fails or no longer fits says so in the table, and the rest goes on.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "503ad10"
"""the last commit without the Triton kernels; it knows flash-attn 3 by the module `flash_attn_interface` alone"""
LIMIT_S = 300.0
ROW_S = 90.0
"""the longest that one row may take, so that the others have their turn"""
LEAST_S = 5.0
"""no row starts with less time left"""
BLOCKS, REHEARSAL_BLOCKS = 16, 1
LIVE_S, WORLDS_S, REHEARSAL_S = 60.0, 20.0, 3.0
LOADING_S = 90.0
"""in which a server must have loaded the model"""
ENDPOINT = "tcp://127.0.0.1:5790"
MODEL = ("--model", "longlive-1.3b", "--text-encoder", "random")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    name: str
    arguments: tuple[str, ...]
    """of `longtake`"""
    worlds: int = 0
    """live worlds beside each other, at one server; 0 for a row that needs none"""
    before: bool = False
    """run by the commit before"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a row gave."""

    row: Row
    figures: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    took_s: float = 0.0


Run = Callable[[Sequence[str], Mapping[str, str], float], str]
"""runs a command with more environment within so many seconds and returns its standard output"""


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Return the rows, the most telling first."""
    weights = ("--random-weights", "tiny", "--device", "cpu") if options.rehearse else ("--random-weights", "full")
    blocks = str(REHEARSAL_BLOCKS if options.rehearse else BLOCKS)
    bench = ("bench", "generator", "--json", "--blocks", blocks, *MODEL, *weights, "--decoder", "tiny")
    wan = tuple("wan" if text == "tiny" and before == "--decoder" else text for before, text in pairs(bench))
    live_s, worlds_s = (REHEARSAL_S, REHEARSAL_S) if options.rehearse else (LIVE_S, WORLDS_S)
    live = ("bench", "live", "--json", "--model", "longlive-1.3b", "--endpoint", ENDPOINT, "--seconds")
    # What cannot be had on a CPU is left out of the rehearsal, and the row stays.
    fp8 = () if options.rehearse else ("--linear", "fp8")
    fast = () if options.rehearse else ("--fast", "--option", "cache=fp8")
    graphs = () if options.rehearse else ("--option", "graphs=on")
    device = "cpu" if options.rehearse else "cuda"
    rows = [
        Row(name="conformance --self", arguments=("conformance", "--self", "--device", device, "--json")),
        Row(name="before, bf16", arguments=(*bench, *graphs), before=True),
        Row(name="after, plain layers, bf16", arguments=(*bench, "--option", "execution=eager")),
        Row(name="after, bf16", arguments=bench),
        Row(name="after, FP8 linears", arguments=(*bench, *fp8)),
        Row(name="after, FP8 linears, attention and ring", arguments=(*bench, *fast)),
        Row(name="live, one world", arguments=(*live, str(live_s)), worlds=1),
        Row(name="live, two worlds", arguments=(*live, str(worlds_s)), worlds=2),
        Row(name="live, three worlds", arguments=(*live, str(worlds_s)), worlds=3),
        Row(name="after, bf16, Wan's decoder", arguments=wan),
        Row(name="before, bf16, Wan's decoder", arguments=(*wan, *graphs), before=True),
    ]
    unknown = [name for name in options.only if name not in [row.name for row in rows]]
    if unknown:
        raise SystemExit(f"h100: no row {unknown[0]!r}; there are: {'; '.join(row.name for row in rows)}")
    chosen = [row for row in rows if not options.only or row.name in options.only]
    return [row for row in chosen if not row.before or options.before != "none"]


def pairs(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each text with the one before it."""
    yield from zip(("", *texts), texts, strict=False)


def serve_arguments(*, rehearse: bool) -> tuple[str, ...]:
    """Return the arguments of the server for the live rows."""
    weights = ("--random-weights", "tiny", "--device", "cpu") if rehearse else ("--random-weights", "full")
    return ("serve", "--empty", "--json", "--bind", ENDPOINT, *MODEL, *weights, "--decoder", "tiny")


def command(arguments: Sequence[str]) -> list[str]:
    """Return a command of this package."""
    return [sys.executable, "-m", "longtake", *arguments]


def run_process(argv: Sequence[str], environment: Mapping[str, str], limit_s: float) -> str:
    """Run a command and return what it printed. Raises RuntimeError with one line if it fails or takes too long."""
    try:
        done = subprocess.run(
            argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {limit_s:.0f} s") from None
    # A check that failed returns 1 and has its figures all the same.
    if done.returncode and not done.stdout.startswith("{"):
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise RuntimeError(f"failed ({done.returncode}): {said}")
    return done.stdout


def figures_of(row: Row, outputs: Sequence[str]) -> dict[str, float]:
    """Return the figures of a row from what its processes printed as JSON: of several, the sums and the worst."""
    printed = [json.loads(output) for output in outputs]
    if row.arguments[0] == "conformance":
        return conformance_figures(printed[0])
    if not row.worlds:
        (only,) = printed
        figures = {"fps": only["fps"], "block_p50_ms": only["block_ms"]["p50"], "cue_p50_ms": only["cue_ms"]["p50"]}
        figures |= {f"{region}_ms": spent_ms for region, spent_ms in only["regions_ms"].items()}
        return known({**figures, "first_block_ms": only["first_block_ms"]})
    photons = [each["event_to_photon_ms"]["p50"] for each in printed if each["event_to_photon_ms"]["p50"] is not None]
    return known(
        {
            "worlds": len(printed),
            "fps": min(each["fps"] for each in printed),
            "frames_held": sum(each["frames_held"] for each in printed),
            "event_to_photon_p50_ms": max(photons, default=None),
            "block_ms": max(each["block_ms"] for each in printed),
            "lead_frames": max(each["lead_frames"] for each in printed),
        }
    )


def conformance_figures(printed: Mapping[str, Any]) -> dict[str, float]:
    """Return how many cases passed, and the worst error."""
    cases = printed["cases"]
    return {"passed": sum(bool(case["passed"]) for case in cases), "cases": len(cases)}


def known(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Return the figures that are numbers, rounded."""
    return {name: round(value, 2) for name, value in figures.items() if value is not None and value == value}


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[dict[str, str]]:
    """Check a commit out beside this one, and give the environment that runs it as the package."""
    folder = Path(tempfile.mkdtemp(prefix="longtake-before-"))
    tree = folder / "longtake"
    git = ("git", "-C", str(ROOT), "worktree")
    try:
        run_process([*git, "add", "--quiet", "--detach", str(tree), commit], {}, 60)
        yield {"PYTHONPATH": str(folder)}
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def announce(lines: Iterable[str], ready: threading.Event) -> None:
    """Tell when a server says that it is ready."""
    for line in lines:
        if '"ready"' in line:
            ready.set()


@contextlib.contextmanager
def server(*, rehearse: bool, limit_s: float) -> Iterator[None]:
    """Run a server for the live rows, and wait until it has loaded the model. Raises RuntimeError if it does not."""
    with subprocess.Popen(
        command(serve_arguments(rehearse=rehearse)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        ready = threading.Event()
        reader = threading.Thread(target=announce, args=(process.stdout or (), ready), daemon=True)
        reader.start()
        try:
            if not ready.wait(limit_s):
                raise RuntimeError("the server is not ready; try `longtake serve --empty` with the same options")
            yield
        finally:
            process.terminate()


def run_row(row: Row, environment: Mapping[str, str], limit_s: float, run: Run) -> Result:
    """Run a row, several processes at once if it has several worlds."""
    begun = time.monotonic()
    try:
        seeds = [["--seed", str(seed)] for seed in range(row.worlds)] or [[]]
        with ThreadPoolExecutor(len(seeds)) as threads:
            started = [threads.submit(run, command([*row.arguments, *seed]), environment, limit_s) for seed in seeds]
            outputs = [each.result() for each in started]
        return Result(row=row, figures=figures_of(row, outputs), took_s=time.monotonic() - begun)
    except (RuntimeError, ValueError, KeyError) as error:
        return Result(row=row, problem=str(error), took_s=time.monotonic() - begun)


def measure(rows: Sequence[Row], options: argparse.Namespace, run: Run = run_process) -> Iterator[Result]:
    """Run the rows in turn, as far as the time goes."""
    end = time.monotonic() + options.limit
    with contextlib.ExitStack() as open_now:
        environments: dict[str, Mapping[str, str]] = {}
        serving = False
        for row in rows:
            left_s = end - time.monotonic()
            if left_s < LEAST_S:
                yield Result(row=row, problem=f"left out: the {options.limit:.0f} s are over")
                continue
            try:
                if row.before and not environments:
                    environments["before"] = open_now.enter_context(checkout(options.before))
                if row.worlds and not serving and run is run_process:
                    limit_s = min(LOADING_S, left_s)
                    open_now.enter_context(server(rehearse=options.rehearse, limit_s=limit_s))
                serving = serving or bool(row.worlds)
            except RuntimeError as error:
                yield Result(row=row, problem=str(error))
                continue
            environment = environments.get("before", {}) if row.before else {}
            yield run_row(row, environment, min(ROW_S, end - time.monotonic()), run)


def history_line(result: Result, options: argparse.Namespace, commit: str, machine: str) -> str:
    """Return a result as a line of `benchmarks/history.jsonl`."""
    note = f"row {result.row.name!r} of benchmarks/h100.sh"
    if options.rehearse:
        note += ", a rehearsal: no figure means anything"
    line = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": options.before if result.row.before else commit,
        "machine": machine,
        "command": " ".join(["longtake", *result.row.arguments]),
        "figures": dict(result.figures),
        "note": note,
    }
    return json.dumps(line)


def table_line(result: Result) -> str:
    """Return a result as a line of the table."""
    told = result.problem or ", ".join(f"{name} {value:g}" for name, value in result.figures.items())
    return f"{result.row.name:40} {result.took_s:5.0f} s  {told}"


def machine_name(*, rehearse: bool) -> str:
    """Return what everything runs on, for people."""
    if rehearse:
        return f"CPU, {os.cpu_count()} cores, tiny random weights"
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("h100: there is no CUDA device here; --rehearse runs the same with tiny weights on a CPU")
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, random weights at full size"


def current_commit() -> str:
    """Return this checkout's commit, seven zeros if it is not known."""
    try:
        return run_process(["git", "-C", str(ROOT), "rev-parse", "--short=7", "HEAD"], {}, 10).strip()
    except (RuntimeError, OSError):
        return "0000000"


def main(texts: Sequence[str] | None = None) -> int:
    """Print the table and write the lines; return 1 if a row gave nothing."""
    parser = argparse.ArgumentParser(prog="benchmarks/h100.sh", description="Measure longlive-1.3b on this GPU.")
    parser.add_argument("--rehearse", action="store_true", help="tiny random weights on a CPU")
    parser.add_argument("--before", default=BEFORE, help="commit to compare with, or none (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="measure this row; may be repeated")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for everything (default: %(default)g)")
    parser.add_argument("--output", type=Path, default=Path("h100.jsonl"), help="file (default: %(default)s)")
    options = parser.parse_args(texts)
    rows, machine, commit = rows_of(options), machine_name(rehearse=options.rehearse), current_commit()
    print(machine, flush=True)
    lines, problems = [], 0
    for result in measure(rows, options):
        print(table_line(result), flush=True)
        problems += bool(result.problem)
        if result.figures:
            lines.append(history_line(result, options, commit, machine))
    options.output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} lines in {options.output}, for benchmarks/history.jsonl")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
