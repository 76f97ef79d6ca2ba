"""What keeps the host from waiting for the device inside a block."""

from typing import Any

import pytest
import torch

from longtake.model.generation.noise import RecordedNoise
from longtake.model.network.rope import Rope


def test_noise_drawn_ahead_is_the_same_noise(small: Any) -> None:
    config = small.config()
    generator = small.generator(config)
    made = []
    for ahead in (False, True):
        generator._draws_ahead = ahead
        world = generator.open(seed=3, embedding=small.embedding(config, 0))
        latents = [generator.step(world).latents for _ in range(3)]
        assert (world.next_noise is not None) == ahead
        # A copy of the world at this block draws for itself.
        again = generator.restore(generator.snapshot(world, exact=True))
        made.append([*latents, generator.step(again).latents, generator.step(world).latents])
    assert all(torch.equal(one, other) for one, other in zip(*made, strict=True))
    assert torch.equal(made[0][3], made[0][4])


def test_recorded_noise_is_not_drawn_ahead_of_its_end(small: Any) -> None:
    config = small.config()
    shape = config.transformer.latent_shape
    noise = RecordedNoise(torch.randn(1, 3, *shape), torch.randn(1, 3, 3, *shape))
    generator = small.generator(config)
    generator._draws_ahead = True
    generator.step(generator.open(seed=0, embedding=small.embedding(config, 0), noise=noise))


def test_positions_counted_on_the_device_are_those_of_a_list() -> None:
    rope = Rope(24, (4, 6))
    assert torch.equal(rope.table(range(1020, 1023)), rope.table([1020, 1021, 1022]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_does_not_make_the_host_wait(small: Any) -> None:
    config = small.config(positions="relative")
    generator = small.generator(config, device="cuda", dtype=torch.bfloat16)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    for _ in range(6):
        generator.step(world)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            generator.step(world)
    finally:
        torch.cuda.set_sync_debug_mode("default")
