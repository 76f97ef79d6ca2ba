"""What the transformer's training shows of a clip: which frames, under which prompt, and which of them count."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import save_file

from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.training.data.clips import ClipsConfig, plan
from longtake.model.training.data.latents import LatentClip
from longtake.model.training.recipes.transformer import TransformerTask, TransformerTaskConfig

CLIPS = 24


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransformerTask:
    """A task over clips whose latents name their own clip and frame; their pictures are never asked for."""
    plans = [plan(ClipsConfig(clips=CLIPS, seed=4), index) for index in range(CLIPS)]
    labels = SimpleNamespace(scenes=[p.scene for p in plans], switches=[p.switch for p in plans])
    monkeypatch.setattr("longtake.model.training.data.latents.Clips", lambda folder: labels)
    numbered = np.zeros((CLIPS, 20, 16, 12, 20), np.float16)
    numbered += np.arange(CLIPS, dtype=np.float16)[:, None, None, None, None] * 32
    numbered += np.arange(20, dtype=np.float16)[None, :, None, None, None]
    np.save(tmp_path / "latents.npy", numbered)
    np.save(tmp_path / "weights.npy", np.zeros((CLIPS, 20, 12, 20), np.float32))
    save_file(TextEncoder(TextEncoderConfig()).state_dict(), tmp_path / "text.safetensors")
    config = TransformerTaskConfig(
        latents=str(tmp_path), data="", text=str(tmp_path / "text.safetensors"), compile=False
    )
    return TransformerTask(config)


def test_frames_that_count_belong_to_the_prompt_that_is_shown(task: TransformerTask) -> None:
    rng = np.random.default_rng(0)
    seen = {"old": 0, "new": 0, "far": 0}
    task._caption = lambda before, after, rng: "old" if after is None else "new"  # type: ignore[method-assign]
    for _ in range(300):
        latents, counted, _, text = task._clip(rng)
        clip, frames = int(latents[0, 0, 0, 0]) // 32, latents[:, 0, 0, 0].numpy() % 32
        assert len(frames) == len(counted) == task.config.frames
        assert counted.any()
        steps = np.diff(frames)
        assert (steps[1:] == 1).all(), "only the sink may lie far back"
        if steps[0] > 1:
            assert not counted[:3].any(), "what follows the cut at once must not count"
            seen["far"] += 1
        switch = task.clips[clip].switch
        if switch is not None:
            counts = frames[counted.numpy() > 0]
            assert ((counts < switch) if text == "old" else (counts >= switch)).all()
            seen[text] += 1
    assert min(seen.values()) > 20


def test_clips_with_a_new_place_come_more_often(task: TransformerTask) -> None:
    rng = np.random.default_rng(1)
    even = np.mean([_new_place(task.clips[index]) for index in range(CLIPS)])
    often = np.mean([_new_place(task._pick(rng)) for _ in range(400)])
    assert often > even * 1.2


def _new_place(clip: LatentClip) -> bool:
    return clip.after is not None and clip.after.place != clip.before.place
