"""Encode prompt files once, so that training needs no text encoder: a file for each prompt, and the negative one.

    longtake train texts --encoder Wan2.1-T2V-1.3B --prompts prompts.txt --prompts switches.txt --out texts

What is in the folder already is not encoded again, so the command goes on where it was stopped.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from longtake.model.command_line import Parser
from longtake.model.errors import TrainingError
from longtake.model.generation.world import TextEncoder
from longtake.model.json_object import parse_object
from longtake.model.longlive.layouts import TEXT_ENCODER, need
from longtake.model.longlive.loading import TINY, VARIANTS, Loader, fingerprint
from longtake.model.longlive.options import LongLiveOptions
from longtake.model.longlive.umt5 import EmbeddingCache, RandomText, clean
from longtake.model.ops.precision import choose_device, choose_precision
from longtake.model.training.data.prompt_files import read_prompts
from longtake.model.training.ending import carry_out
from longtake.model.training.files import write_whole

log = logging.getLogger(__name__)

MODEL: Final = "longlive-1.3b"
PLAN: Final = "texts.json"
KIND: Final = "training"
"""marks the files of such a folder"""
BATCH: Final = 16
"""prompts that are encoded before they are written"""
WAN_NEGATIVE: Final = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"  # noqa: RUF001
    "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"  # noqa: RUF001
)
"""Wan's own negative prompt."""


class TextFolder:
    """A folder of encoded prompts.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = EmbeddingCache(folder=path, encoder=KIND, limit_bytes=2**63)

    def claim(self, encoder: str, width: int) -> None:
        """Say whose prompts the folder holds, or check that it is for them.

        Args:
            encoder: fingerprint of the text encoder.
            width: of its tokens.

        Raises:
            TrainingError: it holds prompts of another encoder, or cannot be written.
        """
        plan = {"encoder": encoder, "width": width}
        if not (self.path / PLAN).exists():
            write_whole(self.path / PLAN, lambda path: path.write_text(json.dumps(plan)))
        elif self.plan() != plan:
            raise TrainingError(f"{self.path} holds prompts of another text encoder; choose another folder")

    def plan(self) -> dict[str, Any]:
        """Return whose prompts the folder holds; raises TrainingError if it does not say."""
        try:
            return parse_object((self.path / PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise TrainingError(
                f"{self.path} is no folder of encoded prompts; make it with `longtake train texts`"
            ) from None

    def lacking(self, prompts: Sequence[str]) -> list[str]:
        """Return the prompts that are not there, each once."""
        return [prompt for prompt in dict.fromkeys(prompts) if not self._files.path(clean(prompt)).is_file()]

    def check(self, prompts: Sequence[str], width: int) -> None:
        """Raise TrainingError if a prompt is not there, or if tokens are not of this width."""
        found = self.plan().get("width")
        if found != width:
            raise TrainingError(
                f"{self.path} holds text of width {found}, the model wants {width}: it is of another text encoder"
            )
        lacking = self.lacking(prompts)
        if lacking:
            raise TrainingError(
                f"{self.path} lacks the text of {len(lacking)} of {len(prompts)} prompts, the first "
                f"{lacking[0][:60]!r}; encode them with `longtake train texts`"
            )

    def write(self, prompt: str, tokens: Tensor) -> None:
        """Write a prompt's tokens [n, text_dim], whole or not at all; raises TrainingError if that cannot be done."""
        tensors = {"tokens": tokens.to("cpu", torch.bfloat16).contiguous()}
        write_whole(self._files.path(clean(prompt)), lambda path: save_file(tensors, path, {"prompt": prompt}))

    def read(self, prompt: str) -> Tensor:
        """Return a prompt's tokens [n, text_dim]; raises TrainingError if they are not there or damaged."""
        tokens = self._files.get(clean(prompt))
        if tokens is None:
            self.check([prompt], self.plan()["width"])
            raise TrainingError(f"{self._files.path(clean(prompt))} is damaged; delete it and encode it again")
        return tokens


def encode(encoder: TextEncoder, folder: TextFolder, prompts: Sequence[str]) -> Iterator[int]:
    """Encode prompts into a folder; yields how many were just written."""
    for first in range(0, len(prompts), BATCH):
        batch = list(prompts[first : first + BATCH])
        for prompt, padded in zip(batch, encoder.encode(batch), strict=True):
            # What the text encoder pads with is exactly zero, and no token is.
            count = int(padded.any(dim=1).sum())
            folder.write(prompt, padded[:count])
        yield len(batch)


def open_encoder(root: Path | None, device: str) -> tuple[TextEncoder, str, int]:
    """Return a text encoder, its fingerprint and the width of its tokens; small and random without a folder.

    Raises:
        CheckpointError: the folder has none, or one of another model.
        BackendError: the device or a package cannot be had here.
    """
    if root is None:
        return RandomText(TINY.text_tokens, TINY.text_dim, torch.device("cpu"), torch.float32), "random", TINY.text_dim
    chosen = choose_device(device)
    options = LongLiveOptions(folder=root, keep_prompts=False)
    encoder = Loader(MODEL, options, chosen, choose_precision("auto", chosen)).text_encoder()
    mark = fingerprint([need(root, TEXT_ENCODER, "text encoder")])
    return encoder, mark, VARIANTS[MODEL].config.transformer.text_dim


def main() -> None:
    """Command line."""
    parser = Parser(prog="longtake train texts", description="Encode prompt files for longlive-1.3b.")
    parser.add_argument("--out", type=Path, required=True, help="folder that the encoded prompts go to")
    parser.add_argument(
        "--prompts", type=Path, action="append", required=True, help="file with one prompt a line; repeat it"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--encoder", type=Path, help="folder with UMT5-XXL and its tokenizer, such as Wan2.1-T2V-1.3B")
    source.add_argument("--rehearsal", action="store_true", help="small random tokens instead")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args()
    prompts = [WAN_NEGATIVE, *(prompt for path in options.prompts for prompt in read_prompts(path))]
    folder = TextFolder(options.out)
    encoder, mark, width = open_encoder(options.encoder, options.device)
    folder.claim(mark, width)
    lacking = folder.lacking(prompts)
    with tqdm(total=len(lacking), unit=" prompts") as bar:
        for written in encode(encoder, folder, lacking):
            bar.update(written)
    log.info("%s holds all %d prompts; %d of them are new", options.out, len(set(prompts)), len(lacking))


if __name__ == "__main__":
    carry_out(main)
