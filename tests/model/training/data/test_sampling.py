"""What training shows of a clip: which frames, under which prompt, and which of them count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from longtake.model.training.data.clips import ClipsConfig, plan
from longtake.model.training.data.drawing import AFTER, BEFORE, NO_SWITCH
from longtake.model.training.data.pool import LatentPool, PoolConfig
from longtake.model.training.data.sampling import Sampler, SamplingConfig

CLIPS, TOTAL, START = 24, 20, 1024
CONFIG = SamplingConfig(drop_text=0.0)
NO_TEXT = np.full((6, 4), -9, np.float16)


@pytest.fixture
def pool() -> LatentPool:
    """Latents name their own clip and frame, texts their clip and scene, actions their frame."""
    made = LatentPool(PoolConfig(clips=CLIPS, latents=(TOTAL, 1, 1, 1), text=(2, 6, 4), actions=2), torch.device("cpu"))
    config = ClipsConfig(clips=CLIPS, seed=4)
    frames = torch.arange(TOTAL, dtype=torch.float32)
    for slot in range(CLIPS):
        todo = plan(config, slot)
        after = todo.switch.scene if todo.switch else todo.scene
        text = np.zeros((2, 2, 6, 4), np.float16)
        text[BEFORE], text[AFTER] = 2 * slot, 2 * slot + 1
        clip = {
            "cover": np.full((TOTAL, 1, 1), 51, np.uint8),
            "text": text,
            "actions": np.repeat(np.arange(TOTAL, dtype=np.float32)[:, None], 2, 1) / TOTAL,
            "switch": np.int64(todo.switch.frame // 4 if todo.switch else NO_SWITCH),
            "new_place": np.bool_(after.place != todo.scene.place),
        }
        latents = (slot * 32 + frames).view(TOTAL, 1, 1, 1)
        made.put(slot, latents, latents + START, clip)
    return made


def test_frames_that_count_belong_to_the_prompt_that_is_shown(pool: LatentPool) -> None:
    rng = np.random.default_rng(0)
    sampler = Sampler(pool, CONFIG, NO_TEXT)
    seen = {"old": 0, "new": 0, "far": 0}
    for _ in range(300):
        row = sampler.clip(rng, pool.filled)
        assert len(row.frames) == len(row.counted) == CONFIG.frames
        assert row.counted.any()
        steps = np.diff(row.frames)
        assert (steps[1:] == 1).all(), "only the sink may lie far back"
        assert 0 <= row.frames[0] <= row.frames[-1] < TOTAL
        if steps[0] > 1:
            assert not row.counted[:3].any(), "what follows the cut at once must not count"
            seen["far"] += 1
        switch = pool.switch[row.clip]
        if switch != NO_SWITCH:
            counts = row.frames[row.counted > 0]
            assert ((counts < switch) if row.text == BEFORE else (counts >= switch)).all()
            seen["old" if row.text == BEFORE else "new"] += 1
    assert min(seen.values()) > 20


def test_clips_with_a_new_place_come_more_often(pool: LatentPool) -> None:
    rng = np.random.default_rng(1)
    sampler = Sampler(pool, CONFIG, NO_TEXT)
    often = np.mean([pool.new_place[sampler._pick(rng, pool.filled)] for _ in range(400)])
    assert often > pool.new_place.mean() * 1.2


def test_a_batch_gathers_latents_texts_actions_and_weights(pool: LatentPool) -> None:
    sampler = Sampler(pool, CONFIG, NO_TEXT)
    batch = sampler.clips(8, np.random.default_rng(2))
    assert batch.latents.shape == (8, CONFIG.frames, 1, 1, 1)
    assert batch.latents.dtype == torch.float32
    numbers = batch.latents.flatten(1)
    assert ((numbers >= START) == (torch.arange(CONFIG.frames) == 0)).all(), "the first frame is encoded as a take's"
    clip, frame = numbers % START // 32, numbers % 32
    assert (clip == clip[:, :1]).all()
    assert torch.equal(batch.text[:, 0, 0] // 2, clip[:, 0])
    assert batch.actions is not None
    torch.testing.assert_close(batch.actions[..., 0], frame / TOTAL)
    torch.testing.assert_close(batch.weights, torch.full_like(batch.weights, 1 + 3 * 0.2))


def test_first_frames_show_the_scene_before_the_switch(pool: LatentPool) -> None:
    sampler = Sampler(pool, CONFIG, NO_TEXT)
    batch = sampler.first_frames(200, np.random.default_rng(3))
    numbers = batch.latents.flatten().int() - START
    clip, frame = numbers // 32, numbers % 32
    assert torch.equal(batch.text[:, 0, 0].int(), 2 * clip)
    for slot, at in zip(clip.tolist(), frame.tolist(), strict=True):
        assert pool.switch[slot] == NO_SWITCH or at < pool.switch[slot]
    assert len(set(zip(clip.tolist(), frame.tolist(), strict=True))) > 100


def test_prompts_are_left_out_and_actions_only_given_where_they_are_taken(pool: LatentPool) -> None:
    silent = Sampler(pool, replace(CONFIG, drop_text=1.0), NO_TEXT, actions=False)
    batch = silent.first_frames(4, np.random.default_rng(0))
    assert (batch.text == -9).all()
    assert batch.actions is None


def test_the_same_turn_draws_the_same_batch(pool: LatentPool) -> None:
    sampler = Sampler(pool, CONFIG, NO_TEXT)
    one, other = (sampler.clips(4, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.text, other.text)
