"""Finds a model's files in a folder, and opens its transformer under Wan's own names."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longtake.model.errors import CheckpointError
from longtake.model.longlive.files import TensorFile, open_tensors
from longtake.model.longlive.names import DIFFUSERS_TRANSFORMER, unwrapped
from longtake.model.longlive.table import find

log = logging.getLogger(__name__)

Layout = Literal["longlive", "self-forcing", "wan", "diffusers"]

_SAFETENSORS = "diffusion_pytorch_model.safetensors"
TRANSFORMERS: dict[Layout, tuple[str, ...]] = {
    "longlive": ("longlive_base.pt",),
    "self-forcing": ("self_forcing_dmd.pt",),
    "wan": (_SAFETENSORS, f"{_SAFETENSORS}.index.json"),
    "diffusers": (f"transformer/{_SAFETENSORS}", f"transformer/{_SAFETENSORS}.index.json"),
}
"""The file of each public layout."""

LORA = "lora.pt"
WAN_VAE = ("Wan2.1_VAE.pth", f"vae/{_SAFETENSORS}")
TINY_DECODERS = ("taew2_1.pth", "taew2_1.safetensors", "lighttaew2_1.pth", "lighttaew2_1.safetensors")
TEXT_ENCODER = (
    "models_t5_umt5-xxl-enc-bf16.pth",
    "text_encoder/model.safetensors",
    "text_encoder/model.safetensors.index.json",
)
TOKENIZER = ("google/umt5-xxl/tokenizer.json", "tokenizer/tokenizer.json", "umt5-xxl/tokenizer.json")


@dataclass(frozen=True, kw_only=True)
class TransformerFiles:
    """A transformer's files: the checkpoint, its layout, and its LoRA."""

    base: Path
    layout: Layout
    lora: Path | None = None


def find_transformer(root: Path, layouts: tuple[Layout, ...], *, with_lora: bool) -> TransformerFiles:
    """Return the transformer's files in a folder, in the first layout that is found.

    Args:
        root: the folder of `models pull`, or one laid out as public instructions say.
        layouts: what to look for, the preferred first.
        with_lora: True if LongLive's base needs its LoRA beside it.

    Raises:
        CheckpointError: there is no transformer, or no LoRA.
    """
    for layout in layouts:
        base = find(root, TRANSFORMERS[layout])
        if base is None:
            continue
        if layout != "longlive" or not with_lora:
            return TransformerFiles(base=base, layout=layout)
        lora = base.parent / LORA
        if not lora.is_file():
            raise CheckpointError(
                f"{lora} is missing: LongLive is the base and this LoRA; fetch it with `longtake models pull "
                "longlive-1.3b`, or ask for the base alone (lora off)"
            )
        return TransformerFiles(base=base, layout=layout, lora=lora)
    wanted = ", ".join(name for layout in layouts for name in TRANSFORMERS[layout] if not name.endswith("json"))
    raise CheckpointError(
        f"{root} has no transformer ({wanted}); fetch it with `longtake models pull`, or name the folder it is in"
    )


def need(root: Path, names: tuple[str, ...], what: str) -> Path:
    """Return the first file that exists; raises CheckpointError with all names if none does."""
    path = find(root, names)
    if path is None:
        raise CheckpointError(
            f"{root} has no {what} ({' or '.join(names)}); fetch it with `longtake models pull`, "
            "or name the folder it is in"
        )
    return path


def open_transformer(files: TransformerFiles, *, averaged: bool | None = None) -> TensorFile:
    """Open a transformer's checkpoint under Wan's own names.

    Args:
        files: from `find_transformer`.
        averaged: the averaged copy (`generator_ema`) or the last (`generator`). None takes the last if it exists, as
            LongLive does, and otherwise the averaged one, which is all that Self-Forcing's file has.

    Raises:
        CheckpointError: the file is damaged or of another kind.
    """
    if files.layout == "diffusers":
        return open_tensors(files.base).renamed(_back_or_same)
    if files.layout == "wan":
        return open_tensors(files.base)
    sections = {None: ("generator", "generator_ema"), True: ("generator_ema",), False: ("generator",)}[averaged]
    return open_tensors(files.base, sections).renamed(unwrapped)


def _back_or_same(name: str) -> str:
    # An unknown name stays, so that the error shows it as the file has it.
    return DIFFUSERS_TRANSFORMER.back(name) or name


def export_name(layout: Layout) -> Callable[[str], str]:
    """Return a parameter's name in a layout: the inverse of the adapters."""
    if layout == "diffusers":
        return lambda name: DIFFUSERS_TRANSFORMER.forward(name) or name
    return (lambda name: name) if layout == "wan" else (lambda name: f"model.{name}")
