"""Scores films with CLIP, segment by segment: LongLive's protocol for prompts that change.

A film is cut at its switches, and the frames of each segment are compared with that segment's own prompt. The score of
a frame is 100 times the cosine of its embedding and the prompt's (Hessel et al., 2021, without the factor 2.5).

clip = load_clip(Path("clip-vit-base-patch32"))
score = clip_score(clip.pictures(frames), clip.text("a red fox in the snow"))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from longtake.model.errors import CheckpointError

Pictures = NDArray[np.uint8]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""the normalisation that CLIP was trained with"""
CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Frames of a film under one prompt, from `first` to `end` - 1."""

    prompt: str
    first: int
    end: int


class Embedder(Protocol):
    """Embeds pictures and texts in one space, with unit length."""

    def pictures(self, frames: Pictures) -> Tensor:
        """[n, H, W, 3] uint8 -> [n, d]."""
        ...

    def text(self, prompt: str) -> Tensor:
        """Return [d]."""
        ...


class Clip:
    """CLIP of the transformers library.

    Args:
        model, tokenizer: as `CLIPModel` and `CLIPTokenizer` load them.
        device: where it computes.
    """

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device
        self.size: int = model.config.vision_config.image_size

    @torch.inference_mode()
    def pictures(self, frames: Pictures) -> Tensor:
        """See `Embedder`."""
        pixels = prepared(frames, self.size).to(self.device)
        seen = self.model.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.model.visual_projection(seen).float(), dim=-1).cpu()

    @torch.inference_mode()
    def text(self, prompt: str) -> Tensor:
        """See `Embedder`; a prompt of more than CLIP's 77 tokens is cut."""
        longest = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer([prompt], truncation=True, max_length=longest, return_tensors="pt")
        said = self.model.text_model(
            input_ids=tokens["input_ids"].to(self.device), attention_mask=tokens["attention_mask"].to(self.device)
        ).pooler_output
        return F.normalize(self.model.text_projection(said).float(), dim=-1)[0].cpu()


def load_clip(folder: Path, device: str = "cpu") -> Clip:
    """Load CLIP weights from a folder in the layout of transformers; OpenCLIP's own are published in it as well.

    Raises:
        CheckpointError: the folder holds no such model, or transformers is not installed.
    """
    if not (folder / CONFIG).is_file():
        other = (folder / OPEN_CLIP_CONFIG).is_file()
        remedy = "; get the model's files for transformers (config.json, model.safetensors)" if other else ""
        raise CheckpointError(f"{folder} holds no CLIP: {CONFIG} is missing{remedy}")
    try:
        from transformers import CLIPModel, CLIPTokenizer
    except ImportError:
        raise CheckpointError("CLIP needs transformers: pip install 'longtake[longlive]'") from None
    try:
        model = CLIPModel.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False).to(device)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{folder} cannot be read as CLIP: {str(error).splitlines()[0]}") from None
    return Clip(model, tokenizer, torch.device(device))


def prepared(frames: Pictures, size: int) -> Tensor:
    """Return frames [n, H, W, 3] uint8 as CLIP sees them: shorter side `size`, cropped, normalised, [n, 3, s, s]."""
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    height, width = clip.shape[-2:]
    scale = size / min(height, width)
    to = max(size, round(height * scale)), max(size, round(width * scale))
    clip = F.interpolate(clip, to, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (to[0] - size) // 2, (to[1] - size) // 2
    clip = clip[..., top : top + size, left : left + size]
    return (clip - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def clip_score(pictures: Tensor, text: Tensor) -> float:
    """Return the mean score of embedded frames [n, d] for an embedded prompt [d]."""
    return 100 * float((pictures @ text).mean())


def segments(prompt: str, cues: Sequence[tuple[int, str]], frames: int) -> list[Segment]:
    """Cut a film of so many frames at its cues (tick and prompt, in order); `prompt` holds until the first."""
    starts = [(0, prompt), *((tick, text) for tick, text in cues if tick < frames)]
    if len(starts) > 1 and starts[1][0] == 0:
        starts = starts[1:]
    ends = [tick for tick, _ in starts[1:]] + [frames]
    spans = [(text, tick, end) for (tick, text), end in zip(starts, ends, strict=True) if tick < end]
    return [Segment(prompt=text, first=tick, end=end) for text, tick, end in spans]


def score_film(frames: Pictures, ticks: Sequence[int], parts: Sequence[Segment], clip: Embedder) -> list[float]:
    """Score a film by segment.

    Args:
        frames: the frames that count, [n, H, W, 3] uint8.
        ticks: the tick of each, in order.
        parts: the segments; each needs at least one of the frames.
        clip: embeds them.
    """
    where = np.array(ticks)
    scores = []
    for part in parts:
        mine = frames[(where >= part.first) & (where < part.end)]
        if not len(mine):
            raise ValueError(f"no frame from tick {part.first} to {part.end} was looked at; look at more of them")
        scores.append(clip_score(clip.pictures(mine), clip.text(part.prompt)))
    return scores
