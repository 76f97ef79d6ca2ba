"""`longtake render --random-weights`: try a model at full size on any machine, with one recache and one block.

The result is how many minutes and how much memory they take; the picture is noise. With `--seconds`, random weights are
filmed like any others.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.runtime.cli.hosting import load_here
from longtake.runtime.cli.output import print_json, progress
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.model.evaluation.trial import Trial

PROMPT = "a random prompt"
"""random weights do not care which"""
ORDINARY = ("seconds", "scenario", "cue", "record", "endpoint")
"""arguments that ask for a film instead of a trial"""
MS_PER_MINUTE = 60_000


def is_trial(options: argparse.Namespace) -> bool:
    """Return whether the arguments ask for random weights and nothing else."""
    return bool(options.random_weights) and not any(getattr(options, name) for name in ORDINARY)


def run_trial(options: argparse.Namespace) -> int:
    """Load, recache, make a block, write it, and print what that took. Raises LongtakeError."""
    begun = time.monotonic()
    model, threads = load_here(options)
    from longtake.model.evaluation import trial
    from longtake.model.loaded import LoadedModel

    if not isinstance(model, LoadedModel):
        raise UsageError(f"model {model.info.name} has no random weights to try")

    loaded = time.monotonic()
    with progress("random window", "step", trial.STEPS, quiet=options.json) as show:
        made = trial.run_trial(model, seed=options.seed or 0, prompt=options.prompt or PROMPT, progress=show)
    sheet = options.output.with_suffix(".png") if options.contact_sheet else None
    write(made, model.info.fps, options.output, sheet)
    minutes = {"loading": (loaded - begun) / 60, "in all": (time.monotonic() - begun) / 60}
    minutes |= {region: spent / MS_PER_MINUTE for region, spent in made.timings_ms.items()}
    memory = {"host": trial.peak_memory_bytes(), **gpu_peak(model.info.device)}
    if options.json:
        print_json(
            {
                "video": str(options.output),
                "sheet": str(sheet) if sheet else None,
                "model": model.info.name,
                "weights": model.info.weights,
                "device": model.info.device,
                "precision": model.info.precision,
                "threads": threads,
                "frames": len(made.frames),
                "recached_latent_frames": made.recached_frames,
                "at_latent_frame": made.at_frame,
                "minutes": minutes,
                "peak_memory_bytes": memory,
            }
        )
        return OK
    count, height, width, _ = made.frames.shape
    print(f"{options.output}  {count} frames of {height} x {width}")
    if sheet is not None:
        print(sheet)
    print(
        f"{model.info.name}, weights {model.info.weights}, {model.info.precision} on {model.info.device}: a recache of "
        f"{made.recached_frames} latent frames at latent frame {made.at_frame}, and one block"
    )
    parts = ", ".join(f"{name} {minutes[name]:.2f}" for name in ("loading", "recache", "denoise", "clean", "decode"))
    peaks = ", ".join(f"{peak / 1e9:.2f} GB {place}" for place, peak in memory.items())
    print(f"{minutes['in all']:.2f} minutes ({parts}), peak memory {peaks}")
    return OK


def write(made: "Trial", fps: int, video: Path, sheet: Path | None) -> None:
    """Write the block as an MP4 and as a contact sheet. Raises LongtakeError."""
    from longtake.clients.film.contact_sheet import Sample, contact_sheet, save
    from longtake.clients.film.video import VideoWriter

    title = "random weights behind a window of noise"
    frames = made.frames.numpy()
    with VideoWriter(video, fps=fps, title=title) as writer:
        for frame in frames:
            writer.write(frame)
    if sheet is not None:
        samples = [Sample(tick=made.first_frame + index, pixels=frame) for index, frame in enumerate(frames)]
        save(contact_sheet(samples, [], fps=fps, title=title), sheet)


def gpu_peak(device: str) -> dict[str, int]:
    """Return the most memory that torch held on the GPU, if the model is on one."""
    import torch

    return {"GPU": torch.cuda.max_memory_allocated(device)} if device.startswith("cuda") else {}
