"""Train diorama's text encoder: word vectors distilled from a sentence encoder, then context learned from captions.

    python -m longtake.model.training.recipes.text_encoder --out runs/text

First the hashed n-gram table learns to give the vector that MiniLM gives each word of its vocabulary (reduced by PCA),
also for misspelt words. `--words FILE` adds those words of a list that MiniLM puts near the words for labels. Then,
with the table frozen, the rest learns to tell from a caption what it says of each kind of label, "unsaid" included;
what is said last wins. Runs in one process in a few minutes.

`--like FILE` keeps what a trained transformer has learned to see: whatever the wording, the tokens are drawn towards
those that the encoder of that file gives the plain words for the same labels.
"""

import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from longtake.model.command_line import Parser
from longtake.model.diorama.captions import caption_and_kinds, held_out, misspell
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.scene import random_scene
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.training.data.sayings import KINDS, example, plainly
from longtake.model.training.data.word_vectors import train_words, vocabulary
from longtake.model.training.ending import carry_out
from longtake.model.training.files import write_whole
from longtake.model.weights import fill

log = logging.getLogger(__name__)


PULL, LIKE_PULL = 0.3, 3.0
"""weights of the tokens' distance to their prototypes, without and with `like`, beside the cross-entropy"""


class Heads(nn.Module):
    """What each token says: one linear map a kind, the last class meaning unsaid. Only for training."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(dim, len(LABELS[kind]) + 1) for kind in KINDS)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """tokens [B, kinds, D] -> logits for each kind."""
        return [head(tokens[:, i]) for i, head in enumerate(self.maps)]


def classes(said: list[dict[str, str]]) -> list[Tensor]:
    """Class indices for each kind, [B]."""
    return [
        torch.tensor([LABELS[kind].index(row[kind]) if kind in row else len(LABELS[kind]) for row in said])
        for kind in KINDS
    ]


def train_context(
    encoder: TextEncoder,
    heads: Heads,
    steps: int,
    batch: int,
    seed: int,
    rate: float,
    like: TextEncoder | None = None,
) -> None:
    """Cross-entropy, and tokens drawn towards one prototype a label, so that wording leaves little trace.

    With `like`, towards what that encoder makes of the plain words for the same labels.
    """
    rng = np.random.default_rng(seed)
    encoder.words.requires_grad_(False)
    centres = nn.ParameterList(nn.Parameter(torch.randn(len(LABELS[k]) + 1, encoder.config.text_dim)) for k in KINDS)
    trained = [p for p in [*encoder.parameters(), *heads.parameters(), *centres] if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    for step in range(steps):
        texts, said = zip(*(example(rng) for _ in range(batch)), strict=True)
        texts = tuple("" if rng.random() < 0.02 else t for t in texts)
        said = tuple({"speed": "normal"} if not t else s for t, s in zip(texts, said, strict=True))
        rows, mask = encoder.rows(list(texts))
        length = int(mask.sum(-1).max())
        vectors = encoder.words(rows[:, :length])
        vectors = vectors + 0.35 * torch.rand(batch, 1, 1) * torch.randn_like(vectors)
        tokens = encoder(vectors, mask[:, :length])
        wanted = classes(list(said))
        errors = [F.cross_entropy(logits, t) for logits, t in zip(heads(tokens), wanted, strict=True)]
        if like is None:
            ends = torch.stack([centre[t] for centre, t in zip(centres, wanted, strict=True)], dim=1)
        else:
            ends = like.encode([plainly(s) for s in said]).clone()
        pulls = 1 - F.cosine_similarity(tokens, ends, dim=-1).mean(0)
        loss = torch.stack(errors).sum() + (PULL if like is None else LIKE_PULL) * pulls.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 50) * (1 - step / steps)
        if step % 50 == 0:
            log.info("context step %d loss %.4f", step, float(loss.detach()))


@torch.inference_mode()
def accuracy(encoder: TextEncoder, heads: Heads, texts: list[str], said: list[dict[str, str]]) -> dict[str, float]:
    """Share of texts read rightly, kind by kind."""
    logits = heads(encoder.encode(texts))
    return {
        kind: float((scores.argmax(-1) == wanted).float().mean())
        for kind, scores, wanted in zip(KINDS, logits, classes(said), strict=True)
    }


def report(encoder: TextEncoder, heads: Heads) -> dict[str, dict[str, float]]:
    """Accuracy on fresh captions, on misspelt ones, and on held-out wording a kind at a time."""
    rng = np.random.default_rng(77)
    pairs = [example(rng) for _ in range(1000)]
    figures = {"captions": accuracy(encoder, heads, [t for t, _ in pairs], [s for _, s in pairs])}
    scenes = [random_scene(rng) for _ in range(300)]
    slips = [misspell(misspell(caption_and_kinds(s, rng)[0], rng), rng) for s in scenes]
    figures["misspelt"] = accuracy(encoder, heads, slips, [s.labels() for s in scenes])
    figures["held_out"] = {}
    for kind in SCORED:
        texts = [held_out(s, rng, kinds=(kind,)) for s in scenes]
        figures["held_out"][kind] = accuracy(encoder, heads, texts, [s.labels() for s in scenes])[kind]
    return figures


def main() -> None:
    """Command line."""
    parser = Parser(prog="longtake train text_encoder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--word-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--lr", type=float, default=0.002, help="0.001 to go on from an earlier run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=Path, help="a list of further words, one a line")
    parser.add_argument("--like", type=Path, help="the text_encoder.safetensors that a transformer was trained with")
    parser.add_argument(
        "--start", type=Path, help="folder of an earlier run whose word vectors and weights to go on from"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    encoder = TextEncoder(TextEncoderConfig())
    heads = Heads(encoder.config.text_dim)
    like = None
    if args.like:
        like = TextEncoder(encoder.config).eval()
        fill(like, args.like)
    if args.start:
        fill(encoder, args.start / "text_encoder.safetensors")
        fill(heads, args.start / "heads.safetensors")
    else:
        every, vectors = vocabulary(args.words.read_text("utf-8").split() if args.words else ())
        log.info("%d words in the vocabulary", len(every))
        train_words(encoder, every, vectors, args.word_steps, args.seed)
    train_context(encoder, heads, args.steps, args.batch, args.seed, args.lr, like)
    encoder.eval()
    for name, part in (("text_encoder", encoder), ("heads", heads)):
        weights = {key: tensor.contiguous() for key, tensor in part.state_dict().items()}
        write_whole(args.out / f"{name}.safetensors", partial(save_file, weights))
    figures = report(encoder, heads)
    write_whole(args.out / "report.json", lambda path: path.write_text(json.dumps(figures, indent=1)))
    log.info("%s", json.dumps(figures))


if __name__ == "__main__":
    carry_out(main)
