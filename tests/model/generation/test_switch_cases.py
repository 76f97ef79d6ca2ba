"""Prompt switches as case files: a slow implementation of the published table writes them, `run_case_dir` reads them.

The implementation below is written from LongLive's description and uses nothing of the package: weights by their public
names, keys of every frame ever made kept without RoPE, full attention with a mask over all of them, fp64. It is held to
the recorded run of the public reference first, and the generator then to it.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from longtake.model.evaluation.conformance import read_case, read_config, read_weights, run_case, run_case_dir
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import RecordedNoise
from longtake.model.network.transformer import Transformer

HERE = Path(__file__).parents[2] / "data" / "goldens"
FIELDS = json.loads((HERE / "config.json").read_text())
BLOCK, WINDOW, SINK, LAYERS = 3, 12, 3, FIELDS["model"]["num_layers"]
HEADS, WIDTH = FIELDS["model"]["num_heads"], FIELDS["model"]["dim"]
ROWS, COLUMNS = FIELDS["latent"]["height"] // 2, FIELDS["latent"]["width"] // 2
STEPS = (1000, 750, 500, 250)
BLOCKS = 8
"""the window is full after four"""


class Reference:
    """One take, computed the slow way."""

    def __init__(self, *, infinity: bool, global_sink: bool, causal: bool = False, dtype: torch.dtype) -> None:
        weights = load_file(HERE / "model.safetensors")
        self.w = {name.removeprefix("model."): value.to(dtype) for name, value in weights.items()}
        self.infinity, self.global_sink, self.causal, self.dtype = infinity, global_sink, causal, dtype
        self.kv: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        """by layer and frame: keys without RoPE, and values, [tokens, heads, width of a head]"""
        self.latents: list[Tensor] = []
        self.sink = [0, 1, 2]
        self.angles: dict[int, Tensor] = {}

    # The network

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def rms(self, name: str, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (wide * (wide.square().mean(-1, keepdim=True) + 1e-6).rsqrt()).to(x.dtype) * self.w[f"{name}.weight"]

    def layer_norm(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        centred = wide - wide.mean(-1, keepdim=True)
        return (centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()).to(x.dtype)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (HEADS, WIDTH // HEADS))

    def turn(self, x: Tensor, position: int) -> Tensor:
        """RoPE of one frame's tokens [tokens, heads, width of a head], fp64."""
        if position not in self.angles:
            pairs = x.shape[-1] // 2
            axes = [
                [(position, pairs - 2 * (pairs // 3)), (row, pairs // 3), (column, pairs // 3)]
                for row in range(ROWS)
                for column in range(COLUMNS)
            ]
            table = [[at * 10000.0 ** (-i / n) for at, n in token for i in range(n)] for token in axes]
            self.angles[position] = torch.tensor(table, dtype=torch.float64)[:, None]
        cos, sin = self.angles[position].cos(), self.angles[position].sin()
        even, odd = x[..., ::2].double(), x[..., 1::2].double()
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).to(x.dtype)

    def attention(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        """q [n, heads, d], k and v [m, heads, d], seen [n, m] bool -> [n, heads, d]."""
        wide = torch.promote_types(q.dtype, torch.float32)
        scores = torch.einsum("nhd,mhd->hnm", q.to(wide), k.to(wide)) / math.sqrt(q.shape[-1])
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        return torch.einsum("hnm,mhd->nhd", scores.softmax(-1), v.to(wide)).to(q.dtype)

    def text(self, embedding: Tensor) -> Tensor:
        padded = torch.zeros(FIELDS["model"]["text_len"], FIELDS["model"]["text_dim"], dtype=self.dtype)
        padded[: len(embedding)] = embedding.to(self.dtype)
        hidden = F.gelu(self.linear("text_embedding.0", padded), approximate="tanh")
        return self.linear("text_embedding.2", hidden)

    def time(self, t: float) -> tuple[Tensor, Tensor]:
        """e [D] and e0 [6, D]."""
        half = FIELDS["model"]["freq_dim"] // 2
        angles = float(torch.tensor(t)) * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        wave = torch.cat((angles.cos(), angles.sin())).to(self.dtype)
        e = self.linear("time_embedding.2", F.silu(self.linear("time_embedding.0", wave)))
        return e, self.linear("time_projection.1", F.silu(e)).unflatten(-1, (6, -1))

    def forward(
        self, frames: Sequence[int], x: Tensor, t: float, sees: dict[int, list[int]], slots: Sequence[int]
    ) -> Tensor:
        """Flow of frames [F, C, h, w]; their keys replace those kept.

        sees: which frames each of them attends to. slots: those frames in the order of the window.
        """
        where = {frame: slots.index(frame) if self.infinity else frame for frame in {*slots}}
        e, e0 = self.time(t)
        patches = x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        kernel = self.w["patch_embedding.weight"].flatten(1)
        h = F.linear(patches, kernel, self.w["patch_embedding.bias"])
        text = self.text(self.prompt)
        for layer in range(LAYERS):
            name = f"blocks.{layer}"
            shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.w[f"{name}.modulation"][0] + e0).unbind(0)
            y = self.layer_norm(h) * (1 + scale) + shift
            q = self.heads(self.rms(f"{name}.self_attn.norm_q", self.linear(f"{name}.self_attn.q", y)))
            k = self.heads(self.rms(f"{name}.self_attn.norm_k", self.linear(f"{name}.self_attn.k", y)))
            v = self.heads(self.linear(f"{name}.self_attn.v", y))
            for offset, frame in enumerate(frames):
                self.kv[layer, frame] = k[offset], v[offset]
            known = sorted(frame for at, frame in self.kv if at == layer)
            keys = torch.cat([self.turn(self.kv[layer, f][0], where.get(f, 0)) for f in known])
            values = torch.cat([self.kv[layer, f][1] for f in known])
            attended = []
            for offset, frame in enumerate(frames):
                seen = torch.tensor([other in sees[frame] for other in known]).repeat_interleave(ROWS * COLUMNS)
                # A frame that is only discarded has no place in the window.
                query = self.turn(q[offset], where.get(frame, 0))
                attended.append(self.attention(query, keys, values, seen.expand(len(query), -1)).flatten(-2))
            h = h + self.linear(f"{name}.self_attn.o", torch.stack(attended)) * gate
            y = F.layer_norm(h, (WIDTH,), self.w[f"{name}.norm3.weight"], self.w[f"{name}.norm3.bias"], 1e-6)
            q = self.heads(self.rms(f"{name}.cross_attn.norm_q", self.linear(f"{name}.cross_attn.q", y))).flatten(0, 1)
            k = self.heads(self.rms(f"{name}.cross_attn.norm_k", self.linear(f"{name}.cross_attn.k", text)))
            v = self.heads(self.linear(f"{name}.cross_attn.v", text))
            h = h + self.linear(f"{name}.cross_attn.o", self.attention(q, k, v).flatten(-2)).view_as(h)
            y = self.layer_norm(h) * (1 + ffn_scale) + ffn_shift
            y = self.linear(f"{name}.ffn.2", F.gelu(self.linear(f"{name}.ffn.0", y), approximate="tanh"))
            h = h + y * ffn_gate
        shift, scale = (self.w["head.modulation"][0] + e).unbind(0)
        y = self.linear("head.head", self.layer_norm(h) * (1 + scale) + shift)
        y = y.unflatten(1, (ROWS, COLUMNS)).unflatten(-1, (2, 2, -1))
        return y.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    # The take

    def window(self, end: int) -> list[int]:
        """What the block that ends at `end` attends to: everything, until twelve frames are full."""
        return list(range(end)) if end <= WINDOW else [*self.sink, *range(end - 9, end)]

    def block(self, noise: Tensor, renoise: Tensor) -> Tensor:
        """noise [F, C, h, w], renoise [steps - 1, F, C, h, w] -> x0."""
        start = len(self.latents)
        frames = range(start, start + BLOCK)
        window = self.window(start + BLOCK)
        sees = dict.fromkeys(frames, window)
        x = noise.to(self.dtype)
        for step, even in enumerate(STEPS):
            sigma = 5 * (even / 1000) / (1 + 4 * (even / 1000))
            if step:
                wide = torch.promote_types(self.dtype, torch.float32)
                x = ((1 - sigma) * x0.to(wide) + sigma * renoise[step - 1].to(wide)).to(self.dtype)  # noqa: F821
            flow = self.forward(frames, x, 1000 * sigma, sees, window)
            x0 = (x.double() - sigma * flow.double()).to(self.dtype)
        self.forward(frames, x0, 0.0, sees, window)
        self.latents += list(x0)
        return x0

    def switch(self, prompt: Tensor) -> None:
        """The three columns of the table, word for word; `causal` streams the same latents instead."""
        self.prompt = prompt
        c = len(self.latents)
        if not c:
            return
        if c <= WINDOW:
            recomputed, attended, written = range(c), list(range(c)), range(c)
        elif self.global_sink:
            recomputed = range(c - 12, c)
            attended, written = [*self.sink, *range(c - 9, c)], range(c - 9, c)
        else:
            recomputed, attended, written = range(c - 12, c), list(range(c - 12, c)), range(c - 12, c)
            self.sink = list(range(c - 12, c - 9))
        if self.causal:
            for start in written[::BLOCK]:
                seen = [frame for frame in attended if frame in self.sink or frame < start + BLOCK]
                current = range(start, start + BLOCK)
                stacked = torch.stack([self.latents[frame] for frame in current])
                self.forward(current, stacked, 0.0, dict.fromkeys(current, seen), attended)
            return
        kept = dict(self.kv)
        stacked = torch.stack([self.latents[frame] for frame in recomputed])
        self.forward(recomputed, stacked, 0.0, dict.fromkeys(recomputed, attended), attended)
        self.kv.update({key: value for key, value in kept.items() if key[1] not in written})


def random_tensors(blocks: int, prompts: int) -> dict[str, Tensor]:
    """All the noise of a take and its prompts; the last is shorter than the model's text."""
    source = torch.Generator().manual_seed(20)
    latent = (16, 2 * ROWS, 2 * COLUMNS)
    tensors = {
        "noise": torch.randn(1, blocks * BLOCK, *latent, generator=source),
        "renoise": torch.randn(blocks, len(STEPS) - 1, BLOCK, *latent, generator=source),
    }
    for index in range(prompts):
        tokens = FIELDS["model"]["text_len"] - (5 if index and index == prompts - 1 else 0)
        tensors[f"prompt/w{index}"] = torch.randn(1, tokens, FIELDS["model"]["text_dim"], generator=source)
    return tensors


def film(
    tensors: dict[str, Tensor], names: Sequence[str], switches: Sequence[int], blocks: int, **arguments: Any
) -> list[Tensor]:
    """The latents of every block."""
    take = Reference(**arguments)
    take.prompt = tensors[f"prompt/{names[0]}"][0]
    made, waiting = [], list(zip(switches, names[1:], strict=True))
    for index in range(blocks):
        while waiting and waiting[0][0] <= index * BLOCK:
            take.switch(tensors[f"prompt/{waiting.pop(0)[1]}"][0])
        start = index * BLOCK
        made.append(take.block(tensors["noise"][0, start : start + BLOCK], tensors["renoise"][index]))
    return made


def write_case(folder: Path, switches: Sequence[int], dtype: torch.dtype = torch.float64, **meta: Any) -> None:
    """A folder with one case, in the format of the recorded ones."""
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((HERE / name).read_bytes())
    names = [f"w{index}" for index in range(len(switches) + 1)]
    tensors = random_tensors(BLOCKS, len(names))
    arguments = {"infinity": meta.get("infinity", False), "global_sink": meta.get("global_sink", True)}
    stored = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32
    for index, latents in enumerate(film(tensors, names, switches, BLOCKS, dtype=dtype, **arguments)):
        tensors[f"latents/b{index:02d}"] = latents.to(stored)
    meta |= {"prompt_names": names, "switches": list(switches), "n_blocks": BLOCKS}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "case.safetensors",
              {"meta": json.dumps(meta)})  # fmt: skip


def test_the_slow_implementation_is_the_reference() -> None:
    tensors = load_file(HERE / "stream.safetensors")
    blocks = sum(name.startswith("latents/b") for name in tensors)
    assert blocks > 5, "the wrap must be in it"
    arguments = {"infinity": False, "global_sink": True, "dtype": torch.float64}
    for index, made in enumerate(film(tensors, ["p0"], [], blocks, **arguments)):
        recorded = tensors[f"latents/b{index:02d}"].double()
        assert (made - recorded).norm() / recorded.norm() < 1e-6, index


SWITCHES = {
    "before": (4,),
    "full": (12,),
    "first past the window": (15,),
    "later": (19,),
    "two": (6, 18),
    "three, past the window": (13, 17, 21),
    "at the start, and two at once": (0, 16, 17),
}
"""Latent frames; those that are no block's start take effect at the next one."""


@pytest.mark.parametrize("infinity", [False, True], ids=["absolute", "infinite"])
@pytest.mark.parametrize("global_sink", [True, False], ids=["kept", "refreshed"])
@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_cases_with_switches_pass(tmp_path: Path, switches: tuple[int, ...], global_sink: bool, infinity: bool) -> None:
    write_case(tmp_path, switches, infinity=infinity, global_sink=global_sink)
    (result,) = run_case_dir(tmp_path)
    assert len(result.block_errors) == BLOCKS
    assert max(result.block_errors) < 1e-5, result.block_errors


@pytest.mark.parametrize("infinity", [False, True], ids=["absolute", "infinite"])
@pytest.mark.parametrize("global_sink", [True, False], ids=["kept", "refreshed"])
def test_a_causal_recache_is_the_latents_streamed_again(global_sink: bool, infinity: bool) -> None:
    names, switches = ["w0", "w1", "w2"], (6, 15)
    tensors = random_tensors(7, 3)
    arguments = {"infinity": infinity, "global_sink": global_sink, "causal": True, "dtype": torch.float64}
    wanted = film(tensors, names, switches, 7, **arguments)
    config = replace(
        read_config(HERE),
        recache="causal",
        positions="relative" if infinity else "absolute",
        sink_on_recache="keep" if global_sink else "refresh",
    )
    transformer = Transformer(config.transformer)
    transformer.load_state_dict(read_weights(HERE))
    generator = Generator(transformer, None, None, config)
    noise = RecordedNoise(tensors["noise"], tensors["renoise"])
    world = generator.open(seed=0, embedding=tensors["prompt/w0"], noise=noise)
    for index, recorded in enumerate(wanted):
        for switch, name in zip(switches, names[1:], strict=True):
            if switch == index * BLOCK:
                generator.cue(world, embedding=tensors[f"prompt/{name}"])
        made = generator.step(world).latents[0].double()
        assert (made - recorded).norm() / recorded.norm() < 1e-5, index


@pytest.mark.parametrize("wrong", ["sink_kept", "infinity"])
def test_a_case_run_with_the_wrong_semantics_fails_from_there_on(tmp_path: Path, wrong: str) -> None:
    write_case(tmp_path, (15,))
    case = read_case(tmp_path / "case.safetensors")
    assert case is not None
    changed = replace(case, **{wrong: not getattr(case, wrong)})
    result = run_case(changed, read_config(tmp_path), read_weights(tmp_path))
    first = 5 if wrong == "sink_kept" else 4
    assert max(result.block_errors[:first]) < 1e-5
    assert min(result.block_errors[first:]) > 3e-3


@pytest.mark.parametrize("global_sink", [True, False], ids=["kept", "refreshed"])
def test_the_tolerance_of_a_case_recorded_in_bf16_is_that_of_bf16(tmp_path: Path, global_sink: bool) -> None:
    write_case(tmp_path, (6, 19), dtype=torch.bfloat16, global_sink=global_sink)
    for dtype in (torch.float32, torch.bfloat16):
        (result,) = run_case_dir(tmp_path, dtype=dtype)
        assert result.tolerance == 2e-2
        assert 1e-4 < max(result.block_errors) < 2e-2, (dtype, result.block_errors)
