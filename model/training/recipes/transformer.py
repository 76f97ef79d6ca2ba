"""Train diorama's transformer: flow matching with teacher forcing, in the exact conditions of play time.

    python -m longtake.model.training.recipes.transformer --latents latents --data clips \\
        --text runs/text/text_encoder.safetensors --out runs/transformer --hours 4

A clip is packed as one clean copy and `copies` noised ones (`window.py`). Half of the noise levels are the sampler's
own four, the others are drawn from the shifted schedule. A clip with a prompt switch is shown in one of two ways: up to
the switch under the old prompt, or as a whole under the new one with the loss only on what follows the switch; the
second is what a `causal` recache leaves in the cache.
"""

import argparse
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.config import GeneratorConfig, preset
from longtake.model.diorama.captions import caption
from longtake.model.diorama.scene import Scene
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.generation.schedule import Schedule
from longtake.model.network.layers import Attend
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm
from longtake.model.training.compute import CPU
from longtake.model.training.data.latents import LatentClip, LatentClips
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.objectives.window import WindowAttention
from longtake.model.training.task import Figures, Task, Turn
from longtake.model.training.working_copy import WorkingCopy


@dataclass(frozen=True, kw_only=True)
class TransformerTaskConfig:
    """Data and loss of a transformer run."""

    latents: str
    data: str
    text: str
    place_again: float = 0.5
    """odds that a clip whose place stays is drawn again: a new place is the hardest switch and the rarest"""
    far_sink: float = 0.35
    """share of clips whose first latent frame is taken from well before the others, as the sink of a long take is"""
    frames: int = 12
    """latent frames of a clip as trained; more than the window, so that keys from evicted context are seen"""
    clips: int = 1
    """a rank and step"""
    copies: int = 3
    """noised copies of each clip; the clean copy is paid once for all of them"""
    singles: int = 8
    """first frames of takes, a rank and step: they have no context and are the hardest"""
    single_weight: float = 0.3
    actor_weight: float = 4.0
    """loss weight of a cell that the actor covers; 1 elsewhere"""
    context_noise: float = 0.25
    """largest noise level of the clean copy, in half of the clips, so that small errors are not amplified"""
    sampler_levels: float = 0.5
    """share of frames at the sampler's own noise levels"""
    drop_text: float = 0.06
    drop_label: float = 0.08
    start: str = ""
    compile: bool = True
    """fuse the little operations of a layer; half a minute at the start, about 1.4 times faster after it"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Packed clips; F latent frames, n noised copies."""

    latents: Tensor
    """[B, F, C, h, w] float32"""
    counted: Tensor
    """[B, F] float32, whether a frame's loss counts"""
    weights: Tensor
    """[B, F, h, w] float32"""
    text: Tensor
    """[B, L, text_dim]"""


class TransformerTask(Task[tuple[Batch, Batch]]):
    """See the module."""

    def __init__(self, config: TransformerTaskConfig, device: torch.device = CPU) -> None:
        self.config = config
        self.generator: GeneratorConfig = preset("diorama")
        transformer = Transformer(self.generator.transformer)
        if config.start:
            transformer.load_state_dict(load_file(config.start))
        self.module: nn.Module = transformer
        self.half = WorkingCopy(transformer, torch.bfloat16)
        self.clips = LatentClips(Path(config.latents), Path(config.data))
        self.text = TextEncoder(TextEncoderConfig())
        self.text.load_state_dict(load_file(config.text))
        self.text.eval()
        schedule = Schedule(self.generator.shift)
        self.levels = torch.tensor(schedule.warp(self.generator.timesteps)) / 1000
        self.half.module.use_attention(bmm)
        self.attend: Attend = WindowAttention(self.generator, config.frames, 1 + config.copies, torch.bfloat16)
        self.attend_single: Attend = WindowAttention(self.generator, 1, 1, torch.bfloat16)
        if config.compile:
            # The window's loop over frames stays as it is; only what lies around it is fused.
            self.attend, self.attend_single = (torch.compiler.disable(a) for a in (self.attend, self.attend_single))
            for layer in self.half.module.layers:
                layer.compile(dynamic=False)

    def batch(self, turn: Turn) -> tuple[Batch, Batch]:
        """Return clips, and single first frames."""
        clips = [self._clip(turn.rng) for _ in range(self.config.clips)]
        singles = [self._single(turn.rng) for _ in range(self.config.singles)]
        return self._pack(clips), self._pack(singles)

    def _clip(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, str]:
        clip = self._pick(rng)
        if rng.random() < self.config.far_sink:
            return self._far(clip, rng)
        frames, total = self.config.frames, len(clip.latents)
        counted = np.ones(frames, np.float32)
        if clip.switch is None or clip.after is None:
            start = int(rng.integers(total - frames + 1))
            text = self._caption(clip.before, None, rng)
        elif rng.random() < 0.3:
            start = 0  # before the switch, under the old prompt
            counted = (np.arange(frames) < clip.switch).astype(np.float32)
            text = self._caption(clip.before, None, rng)
        else:
            # After it, under the new prompt throughout: the context is older frames, recached.
            # Three frames at least follow the switch, or the step would be for nothing.
            first = max(0, min(clip.switch + 3 - frames, total - frames))
            start = int(rng.integers(first, min(clip.switch, total - frames) + 1))
            counted = (np.arange(frames) + start >= clip.switch).astype(np.float32)
            text = self._caption(clip.before, clip.after, rng)
        return self._tensors(clip, np.arange(start, start + frames), counted, text)

    def _pick(self, rng: np.random.Generator) -> LatentClip:
        clip = self.clips[int(rng.integers(len(self.clips)))]
        if (clip.after is None or clip.after.place == clip.before.place) and rng.random() < self.config.place_again:
            clip = self.clips[int(rng.integers(len(self.clips)))]
        return clip

    def _far(self, clip: LatentClip, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, str]:
        """A sink from the clip's start, then frames from later on; what follows the cut at once does not count."""
        rest, total = self.config.frames - 1, len(clip.latents)
        start = int(rng.integers(1, total - rest + 1))
        chosen = np.concatenate(([int(rng.integers(min(start, 3)))], np.arange(start, start + rest)))
        counted = (np.arange(self.config.frames) > 2).astype(np.float32)
        if clip.switch is not None:
            counted *= chosen >= clip.switch
        if not counted.any():
            return self._far(self._pick(rng), rng)
        return self._tensors(clip, chosen, counted, self._caption(clip.before, clip.after, rng))

    def _single(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, str]:
        clip = self.clips[int(rng.integers(len(self.clips)))]
        last = len(clip.latents) if clip.switch is None else max(1, clip.switch)
        start = int(rng.integers(last))
        text = self._caption(clip.before, None, rng)
        return self._tensors(clip, np.array([start]), np.ones(1, np.float32), text)

    def _tensors(
        self, clip: LatentClip, part: NDArray[np.int64], counted: NDArray[np.float32], text: str
    ) -> tuple[Tensor, Tensor, Tensor, str]:
        latents = torch.from_numpy(clip.latents[part].astype(np.float32))
        weights = 1 + (self.config.actor_weight - 1) * torch.from_numpy(clip.weights[part].astype(np.float32))
        return latents, torch.from_numpy(counted), weights, text

    def _caption(self, before: Scene, after: Scene | None, rng: np.random.Generator) -> str:
        if rng.random() < self.config.drop_text:
            return ""
        drop = self.config.drop_label if rng.random() < 0.3 else 0.0
        return caption(before if after is None else after, rng, drop=drop)

    def _pack(self, rows: list[tuple[Tensor, Tensor, Tensor, str]]) -> Batch:
        latents, counted, weights = (torch.stack([row[i] for row in rows]) for i in range(3))  # type: ignore[misc]
        text = self.text.encode([row[3] for row in rows])
        return Batch(latents=latents, counted=counted, weights=weights, text=text.clone())

    def loss(self, batch: tuple[Batch, Batch], progress: float) -> tuple[Tensor, Figures]:
        """Weighted squared error of the flow."""
        self.half.refresh()
        clips, singles = batch
        context = torch.rand(clips.latents.shape[:2]) * self.config.context_noise
        context *= (torch.rand(len(context), 1) < 0.5).float()
        of_clips = self._error(clips, self.config.copies, context)
        of_singles = self._error(singles, 1, None)
        loss = of_clips + self.config.single_weight * of_singles
        return loss, {"clips": of_clips.detach(), "singles": of_singles.detach()}

    def _sigmas(self, shape: tuple[int, ...]) -> Tensor:
        even = torch.rand(shape)
        shift = self.generator.shift
        drawn = shift * even / (1 + (shift - 1) * even)
        own = self.levels[torch.randint(len(self.levels), shape)]
        return torch.where(torch.rand(shape) < self.config.sampler_levels, own, drawn)

    def _error(self, batch: Batch, copies: int, context: Tensor | None) -> Tensor:
        x0 = batch.latents
        clips, frames = x0.shape[:2]
        sigma = self._sigmas((clips, copies, frames))
        noise = torch.randn(clips, copies, *x0.shape[1:])
        level = sigma[..., None, None, None]
        noised = ((1 - level) * x0[:, None] + level * noise).flatten(1, 2)
        packed, t = noised, sigma.flatten(1) * 1000
        if context is not None:
            c = context[..., None, None, None]
            packed = torch.cat(((1 - c) * x0 + c * torch.randn_like(x0), noised), 1)
            t = torch.cat((torch.zeros(clips, frames), t), 1)  # shown as clean, whatever its noise
        attend = self.attend if context is not None else self.attend_single
        flow = self._flow(packed, t, batch.text, attend)[:, -copies * frames :]
        error = (flow.float().unflatten(1, (copies, frames)) - (noise - x0[:, None])).square().mean(3)
        weights = (batch.weights * batch.counted[..., None, None])[:, None].expand_as(error)
        mean: Tensor = (error * weights).sum() / weights.sum().clamp_min(1)
        return mean

    def _flow(self, packed: Tensor, t: Tensor, text: Tensor, attend: Attend) -> Tensor:
        model = self.half.module
        x = model.embed_patches(packed)
        e, e0 = model.embed_time(t)
        prompt_kv = model.prompt_kv(model.embed_text(text))
        for layer, layer_kv in zip(model.layers, prompt_kv, strict=True):
            x = layer(x, e0, attend, layer_kv)
        flow: Tensor = model.head(x, e)
        return flow

    def collect_gradients(self) -> None:
        """The working copy's gradients into the master's."""
        self.half.collect()


def main() -> None:
    """Command line of one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latents", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--lr", type=float, default=0.011)
    parser.add_argument("--decay", type=float, default=0.3)
    parser.add_argument("--start", default="", help="weights to start from")
    parser.add_argument("--frames", type=int, default=TransformerTaskConfig.frames)
    parser.add_argument("--clips", type=int, default=TransformerTaskConfig.clips)
    parser.add_argument("--copies", type=int, default=TransformerTaskConfig.copies)
    parser.add_argument("--singles", type=int, default=TransformerTaskConfig.singles)
    parser.add_argument("--single-weight", type=float, default=TransformerTaskConfig.single_weight)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    task = TransformerTaskConfig(
        latents=args.latents,
        data=args.data,
        text=args.text,
        start=args.start,
        frames=args.frames,
        clips=args.clips,
        copies=args.copies,
        singles=args.singles,
        single_weight=args.single_weight,
    )
    adam = ("patch_embedding", "head.head", "time_embedding", "time_projection", "text_embedding", "modulation")
    loop = LoopConfig(
        steps=1_000_000,
        hours=args.hours,
        lr=args.lr,
        adam_lr=0.001,
        adam_names=adam,
        ema=0.998,
        decay_fraction=args.decay,
        seed=args.seed,
    )
    launch(partial(TransformerTask, task), loop, args.out, asdict(task))


if __name__ == "__main__":
    main()
