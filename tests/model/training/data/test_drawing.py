"""One clip made ready for training."""

from dataclasses import replace

import numpy as np
import torch

from longtake.model.diorama.captions import caption
from longtake.model.training.data.clips import ClipsConfig, make_clip
from longtake.model.training.data.drawing import DrawingConfig, Illustrator


def test_a_record_holds_what_the_renderer_drew(short: DrawingConfig) -> None:
    clip = np.zeros((), short.record())
    illustrator = Illustrator(short)
    for index in range(3):
        illustrator.draw(index, clip)
        plan, drawn = make_clip(ClipsConfig(clips=1, frames=36, seed=5), index)
        assert int(clip["index"]) == index
        assert np.array_equal(clip["frames"], drawn.frames)
        assert np.array_equal(clip["actions"], drawn.actions)
        switch = -1 if plan.switch is None else plan.switch.frame // 4
        assert int(clip["switch"]) == switch
        assert bool(clip["new_place"]) == (plan.switch is not None and plan.switch.scene.place != plan.scene.place)
        boxes = drawn.boxes.reshape(9, 4, 4)
        widths = np.clip(boxes[..., 2], 0, 160) - np.clip(boxes[..., 0], 0, 160)
        heights = np.clip(boxes[..., 3], 0, 96) - np.clip(boxes[..., 1], 0, 96)
        areas = (widths.clip(0) * heights.clip(0)).mean(1)
        assert np.allclose(clip["cover"].sum((1, 2)) / 255 * 64, areas, rtol=0.05, atol=20)


def test_wordings_are_the_grammars_for_both_scenes(short: DrawingConfig) -> None:
    config = replace(short, drop_share=0.0)
    illustrator = Illustrator(config)
    clip = np.zeros((), config.record())
    illustrator.draw(1, clip)
    plan, _ = make_clip(ClipsConfig(clips=1, frames=36, seed=5), 1)
    rng = np.random.default_rng([5, 7, 1])
    after = plan.switch.scene if plan.switch else plan.scene
    wordings = []
    for scene in (plan.scene, plan.scene, after, after):
        rng.random()
        wordings.append(caption(scene, rng, drop=0.0))
    wanted = illustrator.text.encode(wordings).reshape(2, 2, 6, 192)
    torch.testing.assert_close(torch.from_numpy(clip["text"]).float(), wanted, rtol=2e-3, atol=2e-3)
    assert illustrator.no_text().shape == (6, 192)
