"""Encode rendered clips into latents, once, for the transformer's training.

python -m longtake.model.training.data.latents --data clips --autoencoder runs/autoencoder/ema.safetensors --out latents

`--autoencoder` takes a run's weights, or a folder with an `encoder.safetensors` such as the one that ships.
"""

import argparse
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from longtake.model.diorama.autoencoder import MOVING, SHIPPED, Encoder
from longtake.model.diorama.scene import Scene
from longtake.model.training.data.clips import Clips


@dataclass(frozen=True, kw_only=True)
class LatentClip:
    """One clip in latents."""

    latents: NDArray[np.float16]
    """[F, C, h, w]"""
    weights: NDArray[np.float32]
    """[F, h, w]: the share of each cell that the actor's box covers, 0..1"""
    before: Scene
    switch: int | None
    """latent frame of the switch"""
    after: Scene | None


def box_cover(boxes: NDArray[np.floating], height: int, width: int, cell: int = 8) -> NDArray[np.float32]:
    """Actor boxes [4, 4] (x0, y0, x1, y1, pixels) of a latent's frames -> the cells' mean cover [h, w]."""
    cover = np.zeros((len(boxes), height, width), np.float32)
    for t, (x0, y0, x1, y1) in enumerate(boxes / cell):
        rows = np.clip(np.minimum(np.arange(height) + 1, y1) - np.maximum(np.arange(height), y0), 0, 1)
        columns = np.clip(np.minimum(np.arange(width) + 1, x1) - np.maximum(np.arange(width), x0), 0, 1)
        cover[t] = rows[:, None] * columns[None]
    mean: NDArray[np.float32] = cover.mean(0)
    return mean


class LatentClips:
    """Reader of a folder that `main` wrote."""

    def __init__(self, folder: Path, clips: Path) -> None:
        self.latents = np.load(folder / "latents.npy", mmap_mode="r")
        self.weights = np.load(folder / "weights.npy", mmap_mode="r")
        self.clips = Clips(clips)

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: int) -> LatentClip:
        switch = self.clips.switches[index]
        return LatentClip(
            latents=self.latents[index],
            weights=self.weights[index],
            before=self.clips.scenes[index],
            switch=None if switch is None else switch.frame // 4,
            after=None if switch is None else switch.scene,
        )


def load_encoder(path: Path) -> Encoder:
    """Load an encoder from a run's weights (the whole autoencoder's), or from a folder or file of the encoder alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no encoder.
    """
    file = path / "encoder.safetensors" if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist; give a run's ema.safetensors or a folder with the encoder")
    state = load_file(file)
    own = {
        name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")
    } or state
    for config in (MOVING, SHIPPED):
        encoder = Encoder(config)
        wanted = encoder.state_dict()
        if {name: value.shape for name, value in own.items()} == {name: value.shape for name, value in wanted.items()}:
            break
    else:
        raise ValueError(f"{file} holds no encoder; give a run's ema.safetensors or a folder with encoder.safetensors")
    # What ships is in bf16, but statistics are better kept in full.
    encoder.load_state_dict({name: value.to(wanted[name].dtype) for name, value in own.items()})
    return encoder.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _encode(job: tuple[str, str, int, int]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    data, weights, first, last = job
    torch.set_num_threads(1)
    encoder = load_encoder(Path(weights))
    clips = Clips(Path(data))
    latents, covers = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for clip in range(first, last):
            frames = torch.from_numpy(np.array(clips.frames[clip])).permute(0, 3, 1, 2).unsqueeze(0)
            made = encoder.encode(frames.float() / 255)[0]
            latents.append(made.to(torch.float16).numpy())
            boxes = np.asarray(clips.boxes[clip]).reshape(len(made), -1, 4)
            covers.append(np.stack([box_cover(b, *made.shape[-2:]) for b in boxes]))
    return np.stack(latents), np.stack(covers)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--autoencoder", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=int, help="only so many, from the first")
    args = parser.parse_args()
    count = min(len(Clips(Path(args.data))), args.clips or 1_000_000)
    jobs = [(args.data, args.autoencoder, i, min(i + 20, count)) for i in range(0, count, 20)]
    with get_context("spawn").Pool(args.workers) as pool:
        parts = pool.map(_encode, jobs, chunksize=1)
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "latents.npy", np.concatenate([a for a, _ in parts]))
    np.save(args.out / "weights.npy", np.concatenate([b for _, b in parts]))


if __name__ == "__main__":
    main()
