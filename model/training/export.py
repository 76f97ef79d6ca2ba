"""Turn the averaged weights of finished runs into the files that ship, in bf16, with their provenance.

    python -m longtake.model.training.export --runs runs --out model/diorama/weights

Takes what is there of runs/{autoencoder,decoder,text,transformer,motion,progressive,self_forcing,streaming,probe}; a
part whose run is missing keeps its old file. The transformer is that of the latest of its five stages. `decoder` is a
run of the autoencoder's training with `--decoder-only`, and replaces the autoencoder's own. The encoder ships too: not
for playing, but so that training can go on from these weights.
"""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from longtake.model.command_line import Parser
from longtake.model.config import TransformerConfig
from longtake.model.errors import TrainingError
from longtake.model.network.motion_head import BEFORE, LEVELS
from longtake.model.training.ending import carry_out
from longtake.model.training.files import write_whole
from longtake.model.training.weights import half, write_weights
from longtake.model.weights import read, read_sampling, read_sizes

TRANSFORMER_RUNS: Final = ("streaming", "self_forcing", "progressive", "motion", "transformer")
"""runs that train the transformer, the last stage first"""


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def keep_record(run: Path, out: Path, name: str) -> None:
    """Copy a run's config and log beside the weights; where the run's data lay on the trainer's disk is left out."""
    for source in ("config.json", "log.jsonl", "report.json"):
        if (run / source).exists():
            text = re.sub(r'"(?:/[^"/]+)+/([^"/]+)"', r'"\1"', (run / source).read_text())
            write_whole(out / "runs" / f"{name}-{source}", partial(Path.write_text, data=text))


def sizes_of(run: Path) -> TransformerConfig | None:
    """Return the sizes of a transformer's run, from its weights or its record; None if neither says them."""
    said = read_sizes(run / "ema.safetensors", None)
    path = run / "config.json"
    if said is not None or not path.exists():
        return said
    given = json.loads(path.read_text())["task"].get("transformer")
    return None if given is None else TransformerConfig(**given | {"patch": tuple(given["patch"])})


def without_actions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a transformer's weights without its axes: what actions at rest add goes into the time embedding's bias.

    For a model that has not learned to obey them. At rest it makes the same pictures as before.
    """
    rest = functional.silu(state["action_embedding.0.bias"])
    added = functional.linear(rest, state["action_embedding.2.weight"], state["action_embedding.2.bias"])
    kept = {name: value for name, value in state.items() if not name.startswith("action_embedding.")}
    for name, others in (("foretelling", BEFORE), ("weighing", LEVELS + BEFORE)):
        told = f"motion_head.{name}.condition.0.weight"
        if told in kept:
            # Axes at rest are zeros there, and come last.
            kept[told] = kept[told][:, :others].contiguous()
    return kept | {"time_embedding.2.bias": kept["time_embedding.2.bias"] + added}


def export(runs: Path, out: Path, *, actions: bool = True) -> list[str]:
    """Write every part there is, the transformer `without_actions` if so wished; returns their names."""
    done = []
    whole = runs / "autoencoder" / "ema.safetensors"
    if whole.exists():
        state = read(whole)
        write_weights(half(part(state, "decoder.")), out / "decoder.safetensors")
        write_weights(half(part(state, "encoder.")), out / "encoder.safetensors")
        done += ["decoder", "encoder"]
    decoder = runs / "decoder" / "ema.safetensors"
    if decoder.exists():
        write_weights(half(part(read(decoder), "decoder.")), out / "decoder.safetensors")
        done.append("larger decoder")
    stages = [runs / name / "ema.safetensors" for name in TRANSFORMER_RUNS]
    for name, source in (
        ("text_encoder", runs / "text" / "text_encoder.safetensors"),
        ("transformer", next((path for path in stages if path.exists()), stages[-1])),
        ("probe", runs / "probe" / "ema.safetensors"),
    ):
        if source.exists():
            state, sizes = read(source), sizes_of(source.parent) if name == "transformer" else None
            if sizes is not None and sizes.actions and not actions:
                state, sizes = without_actions(state), replace(sizes, actions=0)
            sampling = read_sampling(source) if name == "transformer" else None
            write_weights(half(state), out / f"{name}.safetensors", sizes=sizes, sampling=sampling)
            done.append(name)
    for name in ("autoencoder", "decoder", "text", *reversed(TRANSFORMER_RUNS), "probe"):
        keep_record(runs / name, out, name)
    return done


def main() -> None:
    """Command line."""
    parser = Parser(prog="longtake train export", description="Export trained parts.")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("model/diorama/weights"))
    parser.add_argument("--without-actions", action="store_true", help="leave out axes that were not learned")
    args = parser.parse_args()
    with torch.inference_mode():
        exported = export(args.runs, args.out, actions=not args.without_actions)
    if not exported:
        raise TrainingError(f"{args.runs} holds no run with weights to export; name the folder of the runs with --runs")
    print(json.dumps({"exported": exported}))


if __name__ == "__main__":
    carry_out(main)
