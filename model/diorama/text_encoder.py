"""Diorama's text encoder: free text in, six tokens out, in under eight megabytes.

A word is the sum of hashed character n-grams, so that misspellings land near the word meant; the n-gram vectors are
distilled from a sentence encoder, so that unseen synonyms land near known ones. Two small transformer layers
put words in context ("a red balloon, green fields" has one actor colour, and what is said last wins), and
learned queries, one for each kind of label, gather what the picture depends on.
"""

import re
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtake.model.diorama.reading import essence

_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """Sizes of the text encoder."""

    buckets: int = 24_576
    """rows of the hashed n-gram table"""
    word_dim: int = 96
    width: int = 192
    heads: int = 4
    layers: int = 2
    words: int = 48
    """longest text, words; what comes after is cut at the front, since what is said last wins"""
    caption_words: int = 24
    """longest text that is read word by word at play time; of a longer one only what it names (`reading.essence`)"""
    ngrams: int = 24
    """most n-grams of one word"""
    text_tokens: int = 6
    text_dim: int = 192


def split_words(text: str) -> list[str]:
    """Lower-case words, letters only, at least two letters long or "a"."""
    return _WORD.findall(text.lower().replace("'", ""))


def word_buckets(word: str, config: TextEncoderConfig) -> list[int]:
    """Hashed rows of a word: the word itself twice (two hashes), then its 3-, 4- and 5-grams with borders marked."""
    marked = f"<{word}>"
    grams = [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    keys = [f"1{marked}", f"2{marked}", *grams][: config.ngrams]
    return [1 + zlib.crc32(key.encode()) % (config.buckets - 1) for key in keys]


def bucket_tensor(words: list[str], config: TextEncoderConfig) -> Tensor:
    """[len(words), ngrams] int64, padded with row 0."""
    rows = torch.zeros(len(words), config.ngrams, dtype=torch.int64)
    for row, word in zip(rows, words, strict=True):
        buckets = word_buckets(word, config)
        row[: len(buckets)] = torch.tensor(buckets)
    return rows


class WordVectors(nn.Module):
    """[..., ngrams] int64 -> [..., word_dim], the mean of the hashed rows."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(config.buckets, config.word_dim, padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.5)
        with torch.no_grad():
            self.table.weight[0].zero_()

    def forward(self, rows: Tensor) -> Tensor:
        """See the class."""
        used = (rows > 0).sum(-1, keepdim=True).clamp_min(1)
        mean: Tensor = self.table(rows).sum(-2) / used
        return mean


class ContextLayer(nn.Module):
    """Pre-norm attention over words, with a mask for padding."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, L, D], mask [B, L] bool (True = a word) -> [B, L, D]."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        x = x + self.ffn(self.norm2(x))
        return x


class TextEncoder(nn.Module):
    """See the module. `encode` is the play-time entry, `forward` the batched one for training."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.words = WordVectors(config)
        self.lift = nn.Linear(config.word_dim, width)
        self.positions = nn.Parameter(torch.randn(config.words, width) * 0.02)
        self.layers = nn.ModuleList(ContextLayer(width, config.heads) for _ in range(config.layers))
        self.queries = nn.Parameter(torch.randn(config.text_tokens, width) * 0.5)
        self.key_value = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, config.text_dim))
        self.out_norm = nn.LayerNorm(config.text_dim, elementwise_affine=False)

    def rows(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts -> (rows [B, words, ngrams] int64, mask [B, words] bool)."""
        size = self.config.words
        rows = torch.zeros(len(texts), size, self.config.ngrams, dtype=torch.int64)
        mask = torch.zeros(len(texts), size, dtype=torch.bool)
        for b, text in enumerate(texts):
            words = split_words(text)[-size:]
            if words:
                rows[b, : len(words)] = bucket_tensor(words, self.config)
                mask[b, : len(words)] = True
            else:
                mask[b, 0] = True  # an empty text is one blank word
        return rows, mask

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Word vectors [B, L, word_dim] and mask [B, L] -> tokens [B, text_tokens, text_dim], each of unit variance."""
        x = self.lift(vectors) + self.positions[: vectors.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        heads = self.config.heads
        k, v = self.key_value(self.norm(x)).unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        q = self.queries.unflatten(-1, (heads, -1)).transpose(0, 1).expand(x.shape[0], -1, -1, -1)
        gathered = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        tokens: Tensor = self.out_norm(self.out(gathered.transpose(1, 2).flatten(2) + self.queries))
        return tokens

    @torch.inference_mode()
    def encode(self, prompts: list[str]) -> Tensor:
        """Prompts -> [B, text_tokens, text_dim] float32; any text will do, an empty one means nothing special."""
        rows, mask = self.rows([essence(prompt, self.config.caption_words) for prompt in prompts])
        rows, mask = rows.to(self.positions.device), mask.to(self.positions.device)
        length = int(mask.sum(-1).max())
        tokens: Tensor = self(self.words(rows[:, :length]), mask[:, :length])
        return tokens.float()
