"""A trial's recache is the reference's, over a window of noise."""

import torch

from longtake.model.evaluation.trial import STEPS, peak_memory_bytes, run_trial, window_of_noise
from longtake.model.longlive.loading import load_longlive
from longtake.model.longlive.options import LongLiveOptions


def test_the_trial_is_what_a_world_does_that_takes_a_new_sink() -> None:
    options = LongLiveOptions(random_weights="tiny", sink_on_recache="refresh")
    model = load_longlive("longlive-1.3b", device="cpu", precision="fp32", options=options)
    told = []
    trial = run_trial(model, seed=5, prompt="x", progress=lambda done, total: told.append((done, total)))
    assert told == [(step, STEPS) for step in (1, 2, 3)]
    assert (trial.first_frame, trial.recached_frames, trial.at_frame) == (57, 12, 15)
    assert trial.frames.shape == (12, 64, 96, 3)
    assert trial.frames.float().std() > 0

    generator = model.generator
    snapshot = window_of_noise(generator, model.info, seed=5, prompt="x")
    made = generator.step(generator.restore(snapshot)).latents
    # The same by a prompt change in a world that remembers those latents.
    world = generator.open(seed=5, prompt="another")
    for _ in range(5):
        generator.step(world)
    generator.settle(world)
    world.past = list(snapshot.past)
    generator.cue(world, "x")
    assert torch.allclose(generator.step(world).latents, made, rtol=1e-4, atol=1e-5)
    assert [w.frame for w in world.sink] == [3, 4, 5]


def test_the_peak_is_in_bytes() -> None:
    block = torch.ones(2**24)
    assert peak_memory_bytes() > block.nbytes
