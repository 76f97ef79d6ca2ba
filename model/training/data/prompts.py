"""Write the default evaluation prompts: balanced scenes, each put into words by the caption grammar.

python -m longtake.model.training.data.prompts model/evaluation/prompts.tsv
"""

from pathlib import Path

import numpy as np

from longtake.model.command_line import Parser
from longtake.model.diorama.captions import caption
from longtake.model.diorama.labels import SCORED
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.adherence import EvalPrompt, write_prompts
from longtake.model.training.ending import carry_out

SEED = 2026


def default_prompts(count: int) -> list[EvalPrompt]:
    """Prompts that name every scored label, over scenes with every label about equally often."""
    rng = np.random.default_rng(SEED)
    prompts = []
    for index in range(count):
        scene = balanced_scene(SEED, index).changed(speed="normal")
        prompts.append(EvalPrompt(text=caption(scene, rng), labels={kind: getattr(scene, kind) for kind in SCORED}))
    return prompts


def main() -> None:
    """Command line."""
    parser = Parser(
        prog="python -m longtake.model.training.data.prompts", description="Write the default evaluation prompts."
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    write_prompts(args.path, default_prompts(args.count))


if __name__ == "__main__":
    carry_out(main)
