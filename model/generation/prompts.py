"""From prompts to the tokens that a transformer reads; the newest encodings are kept."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.errors import ShapeError, WorldError
from longtake.model.generation.world import Prompt, TextEncoder

KEPT_ENCODINGS = 64
"""how many prompts' encodings are kept"""


class Prompts:
    """Encodes prompts.

    Args:
        text_encoder: prompts to tokens, or None if only embeddings are given.
        text_tokens: how many tokens the transformer reads; shorter embeddings are padded with zeros.
    """

    def __init__(self, text_encoder: TextEncoder | None, text_tokens: int) -> None:
        self.text_encoder = text_encoder
        self._text_tokens = text_tokens
        self._encodings: OrderedDict[str, Tensor] = OrderedDict()

    def encode(self, text: str) -> Tensor:
        """Return a prompt's tokens [1, text_tokens, text_dim], if possible from the kept ones.

        Raises:
            WorldError: there is no text encoder.
        """
        if text in self._encodings:
            self._encodings.move_to_end(text)
            return self._encodings[text]
        if self.text_encoder is None:
            raise WorldError("this generator has no text encoder: give an embedding")
        with torch.inference_mode():
            tokens = self.text_encoder.encode([text])
        self._encodings[text] = tokens
        if len(self._encodings) > KEPT_ENCODINGS:
            self._encodings.popitem(last=False)
        return tokens

    def of_batch(self, batch: int, prompt: str | Sequence[str] | None, embedding: Tensor | None) -> Prompt:
        """Return the prompt of a world of `batch` members.

        Args:
            batch: how many members the world has.
            prompt: one text for all, or one for each member.
            embedding: the tokens instead of a text's, [1 or B, <= text_tokens, text_dim].

        Raises:
            ShapeError: there is another number of prompts than of members.
            WorldError: there is neither a prompt nor an embedding, or no text encoder for the prompt.
        """
        texts = (prompt,) * batch if isinstance(prompt, str) else None if prompt is None else tuple(prompt)
        if texts is not None and len(texts) != batch:
            raise ShapeError(f"{len(texts)} prompts for a batch of {batch}")
        if embedding is None:
            if texts is None:
                raise WorldError("a world needs a prompt or an embedding")
            embedding = torch.cat([self.encode(text) for text in texts])
        missing = self._text_tokens - embedding.shape[1]
        if missing > 0:
            embedding = F.pad(embedding, (0, 0, 0, missing))
        return Prompt(texts=texts, embedding=embedding.expand(batch, -1, -1))
