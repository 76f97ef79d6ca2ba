"""What docs/howto/add-a-cache.md says, done: a toy cache, one line in the registry, a take."""

import pytest
import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.cache.registry import CACHES
from longtake.model.cache.ring import RingCache
from longtake.model.choice import Choice
from longtake.model.config import preset
from longtake.model.errors import BackendError
from longtake.model.evaluation.self_check import run_self_check
from longtake.model.generation.generator import Generator
from longtake.model.generation.snapshot import Snapshot
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions


class CoarseCache(RingCache):
    """Values in steps of 1/64."""

    def put(self, layer: int, slots: slice, keys: Tensor, values: Tensor) -> None:
        super().put(layer, slots, keys, (values * 64).round() / 64)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the page adds to the table.
    monkeypatch.setitem(CACHES.choices, "coarse", Choice(make=lambda target: CoarseCache))


def take(cache: str) -> list[Tensor]:
    """Film past the window, with a prompt change, a snapshot and a restore on the way."""
    config = preset("tiny")
    torch.manual_seed(0)
    transformer = Transformer(config.transformer)
    torch.nn.init.xavier_uniform_(transformer.head.head.weight)
    backend = Backend.chosen("cpu", torch.float32, BackendOptions.parse({"cache": cache}))
    generator = Generator(transformer, None, None, config, backend)
    sizes = config.transformer
    prompts = torch.randn(2, 1, sizes.text_tokens, sizes.text_dim, generator=torch.Generator().manual_seed(1))
    world, made = generator.open(seed=1, embedding=prompts[0]), []
    for index in range(7):
        if index == 4:
            generator.cue(world, embedding=prompts[1])
        if index == 5:
            saved = generator.snapshot(world, exact=True).to_bytes()
            world = generator.restore(Snapshot.from_bytes(saved, config))
        made.append(generator.step(world).latents)
    return made


@pytest.mark.usefixtures("coarse")
def test_a_take_is_made_with_it() -> None:
    for made, wanted in zip(take("coarse"), take("plain"), strict=True):
        assert torch.allclose(made, wanted, atol=0.1)
        assert not torch.equal(made, wanted)


@pytest.mark.usefixtures("coarse")
def test_doctor_and_the_self_check_know_it() -> None:
    assert any(verdict.name == "coarse" for verdict in Backend.chosen("cpu", torch.float32).verdicts)
    names = [result.name for result in run_self_check("cpu")]
    assert sum("coarse keys and values" in name for name in names) == 2


def test_without_the_line_it_is_unknown() -> None:
    with pytest.raises(BackendError, match="no cache is called 'coarse'; there are auto, plain, fp8"):
        take("coarse")
