"""UMT5-XXL, the text encoder of Wan's models, through transformers.

Prompts are cleaned, cut to 512 tokens and padded with zeros *after* encoding, as in the reference. Padding is never
encoded, which gives the same tokens for less work. The encoder is five times larger than the world model, so it can
stay on the host: it encodes there, or visits the GPU for each prompt. Encoded prompts are kept in a folder.
"""

import contextlib
import hashlib
import html
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from longtake.model.errors import BackendError, CheckpointError
from longtake.model.longlive.files import TensorFile, config_beside, open_tensors
from longtake.model.longlive.names import UMT5
from longtake.model.whole_file import write_whole

log = logging.getLogger(__name__)

Place = Literal["gpu", "cpu", "offload"]
"""where the encoder runs: always on the GPU, always on the CPU, or on the GPU only while it encodes"""

UMT5_XXL: dict[str, Any] = {
    "vocab_size": 256_384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10_240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
}
"""Sizes of the public encoder."""


def clean(text: str) -> str:
    """Return a prompt as the reference passes it to the tokenizer: repaired, without HTML, with single spaces."""
    text = html.unescape(html.unescape(_repair(text)))
    return re.sub(r"\s+", " ", text).strip()


def _repair(text: str) -> str:
    """Repair broken encodings and curly quotes if ftfy is installed. The reference does it only then, too."""
    try:
        import ftfy
    except ImportError:
        return text
    repaired: str = ftfy.fix_text(text)
    return repaired


@dataclass(frozen=True, kw_only=True)
class EmbeddingCache:
    """Encoded prompts in a folder, one file each. The oldest are deleted when there are too many.

    Attributes:
        folder: created when it is first used.
        encoder: fingerprint of the encoder; prompts of another encoder are not found.
        limit_bytes: limit for all files together.
    """

    folder: Path
    encoder: str
    limit_bytes: int = 2 * 2**30

    def path(self, prompt: str) -> Path:
        """Return the file for a cleaned prompt's tokens."""
        name = hashlib.blake2b(f"{self.encoder}\n{prompt}".encode(), digest_size=16).hexdigest()
        return self.folder / f"{name}.safetensors"

    def get(self, prompt: str) -> Tensor | None:
        """Return the tokens [n, text_dim] of a cleaned prompt, or None."""
        path = self.path(prompt)
        if not path.is_file():
            return None
        try:
            tokens = load_file(path)["tokens"]
        except (SafetensorError, OSError, KeyError) as error:
            log.warning("%s is damaged (%s); the prompt is encoded again", path, error)
            return None
        with contextlib.suppress(OSError):  # A read-only folder is good enough.
            os.utime(path)
        return tokens

    def put(self, prompt: str, tokens: Tensor) -> None:
        """Keep the tokens of a cleaned prompt; a folder that cannot be written is a warning, not an error."""
        path = self.path(prompt)
        kept = {"tokens": tokens.cpu().contiguous()}
        try:
            write_whole(path, lambda beside: save_file(kept, beside, metadata={"prompt": prompt}))
            self._drop_oldest()
        except OSError as error:
            log.warning("encoded prompts cannot be kept in %s (%s)", self.folder, error)

    def _drop_oldest(self) -> None:
        kept = sorted(self.folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in kept:
            total += path.stat().st_size
            if total > self.limit_bytes:
                path.unlink(missing_ok=True)


class Tokenizer:
    """Turns text into token numbers, by the public `tokenizer.json`. Raises BackendError or CheckpointError."""

    def __init__(self, path: Path, text_tokens: int) -> None:
        try:
            from tokenizers import Tokenizer as Fast
        except ImportError:
            raise BackendError("the text encoder needs transformers: pip install 'longtake[longlive]'") from None
        try:
            self._fast = Fast.from_file(str(path))
        except Exception as error:  # The library raises nothing narrower.
            raise CheckpointError(f"{path} is no tokenizer ({error}); fetch it again") from None
        self._fast.no_padding()
        self._fast.enable_truncation(max_length=text_tokens)

    def __call__(self, text: str) -> list[int]:
        """Return the token numbers of a cleaned text, its end mark included."""
        numbers: list[int] = self._fast.encode(text).ids
        return numbers


def build_umt5(**sizes: Any) -> nn.Module:
    """Return transformers' encoder on the meta device, without memory; raises BackendError without transformers."""
    try:
        from transformers import UMT5Config, UMT5EncoderModel
    except ImportError:
        raise BackendError("the text encoder needs transformers: pip install 'longtake[longlive]'") from None
    config = UMT5Config(**{**UMT5_XXL, "feed_forward_proj": "gated-gelu", "dropout_rate": 0.0, **sizes})
    with torch.device("meta"):
        model: nn.Module = UMT5EncoderModel(config)
    return model.eval().requires_grad_(False)


def umt5_sizes(path: Path) -> dict[str, Any]:
    """Return the sizes in a Diffusers encoder's `config.json`; empty for Wan's file, which has the default ones."""
    content = config_beside(path)
    return {name: content[name] for name in UMT5_XXL if name in content}


def open_umt5(path: Path) -> TensorFile:
    """Open a text encoder's file in either layout, under transformers' names; raises CheckpointError."""
    file = open_tensors(path)
    return file if "shared.weight" in file or path.suffix != ".pth" else file.renamed(lambda n: UMT5.forward(n) or n)


class Umt5:
    """Turns prompts into tokens.

    Args:
        model: transformers' encoder with its weights, on the host for "cpu" and "offload".
        tokenize: turns cleaned text into token numbers.
        text_tokens: length that tokens are padded to.
        device: device of the world model, which gets the tokens.
        place: where the encoder runs.
        kept: encoded prompts on disk, or None.
        clock: returns seconds, for the log.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenize: Callable[[str], list[int]],
        *,
        text_tokens: int,
        device: torch.device,
        place: Place,
        kept: EmbeddingCache | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if place != "cpu" and device.type != "cuda":
            raise BackendError(f"the text encoder cannot be on the GPU ({place}): the device is {device}; use cpu")
        self.model, self.tokenize, self.kept = model, tokenize, kept
        self.text_tokens, self.device, self.place, self._clock = text_tokens, device, place, clock

    @torch.inference_mode()
    def encode(self, prompts: list[str]) -> Tensor:
        """Return the tokens [B, text_tokens, text_dim], zero padded, on the world model's device."""
        texts = [clean(prompt) for prompt in prompts]
        found = {text: self.kept.get(text) if self.kept else None for text in dict.fromkeys(texts)}
        missing = [text for text, tokens in found.items() if tokens is None]
        if missing:
            began = self._clock()
            with self._visiting() as (model, device):
                for text in missing:
                    found[text] = self._encode_one(model, text, device)
            log.info("encoded %d prompt(s) in %.1f s (%s)", len(missing), self._clock() - began, self.place)
            for text in missing:
                tokens = found[text]
                if self.kept and tokens is not None:
                    self.kept.put(text, tokens)
        return torch.stack([self._padded(found[text]) for text in texts])

    def _encode_one(self, model: nn.Module, text: str, device: torch.device) -> Tensor:
        numbers = torch.tensor([self.tokenize(text)], device=device)
        tokens: Tensor = model(input_ids=numbers, attention_mask=torch.ones_like(numbers)).last_hidden_state[0]
        return tokens

    def _padded(self, tokens: Tensor | None) -> Tensor:
        assert tokens is not None
        padded = torch.zeros(self.text_tokens, tokens.shape[-1], dtype=tokens.dtype, device=self.device)
        padded[: tokens.shape[0]] = tokens.to(self.device)
        return padded

    @contextlib.contextmanager
    def _visiting(self) -> Iterator[tuple[nn.Module, torch.device]]:
        """Yield the encoder on the device it computes on. An off-loaded one leaves the GPU afterwards."""
        if self.place != "offload":
            yield self.model, self.device if self.place == "gpu" else torch.device("cpu")
            return
        host = {name: parameter.data for name, parameter in self.model.named_parameters()}
        try:
            for name, parameter in self.model.named_parameters():
                parameter.data = host[name].to(self.device, non_blocking=True)
            yield self.model, self.device
        finally:
            for name, parameter in self.model.named_parameters():
                parameter.data = host[name]
            torch.cuda.empty_cache()


class RandomText:
    """Replaces a text encoder if there are no weights: each prompt gets random tokens of its own, zero padded.

    Args:
        text_tokens, text_dim: of the model.
        device, dtype: of the tokens.
    """

    def __init__(self, text_tokens: int, text_dim: int, device: torch.device, dtype: torch.dtype) -> None:
        self.text_tokens, self.text_dim, self.device, self.dtype = text_tokens, text_dim, device, dtype

    def encode(self, prompts: list[str]) -> Tensor:
        """Return [B, text_tokens, text_dim], with one token more than the prompt has words."""
        return torch.stack([self._tokens(clean(prompt)) for prompt in prompts]).to(self.device, self.dtype)

    def _tokens(self, text: str) -> Tensor:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
        count = min(self.text_tokens, len(text.split()) + 1)
        tokens = torch.zeros(self.text_tokens, self.text_dim)
        # UMT5's tokens are about this big.
        tokens[:count] = 0.1 * torch.randn(count, self.text_dim, generator=torch.Generator().manual_seed(seed))
        return tokens
