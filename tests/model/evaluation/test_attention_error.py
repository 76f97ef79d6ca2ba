"""The error of attention in e4m3, and where its samples come from."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import BackendError
from longtake.model.evaluation.attention_error import Sample, attention_errors, random_samples, samples_of
from longtake.model.generation.generator import Generator


class Texts:
    """Any text is its length's random tokens."""

    def __init__(self, small: Any, config: Any) -> None:
        self._small, self._config = small, config

    def encode(self, texts: list[str]) -> Tensor:
        return torch.cat([self._small.embedding(self._config, len(text)) for text in texts])


def generator(small: Any, **backend: Any) -> Generator:
    config = small.config(timesteps=(1000.0, 500.0))
    made = small.backend(config, **backend)
    return Generator(small.transformer(config), None, Texts(small, config), config, made)


def test_a_sample_is_what_a_layer_sees_with_a_full_window(small: Any) -> None:
    made = generator(small, execution="eager", linear="plain")
    config, sizes = made.config, made.config.transformer
    samples = samples_of(made, ["a fox", "a boat at sea"])
    assert len(samples) == 2 * sizes.layers
    for sample in samples:
        assert sample.q.shape == (1, sizes.heads, config.block_tokens, sizes.head_dim)
        assert sample.k.shape[2] == config.window_frames * sizes.frame_tokens
    assert not torch.equal(samples[0].v, samples[sizes.layers].v)


def test_another_executor_is_refused(small: Any) -> None:
    with pytest.raises(BackendError, match="execution=eager"):
        samples_of(generator(small, execution="cpu", linear="auto"), ["a fox"])


def test_the_error_is_known_on_random_data() -> None:
    errors = attention_errors(random_samples(1, tokens=256))
    assert 0.03 < errors["smoothed"] < 0.07
    assert errors["smoothed"] == pytest.approx(errors["not smoothed"], rel=0.1)


def test_what_keys_have_in_common_counts_unless_it_is_subtracted() -> None:
    shifted = [Sample(q, k + 6, v) for q, k, v in random_samples(1, tokens=256)]
    errors = attention_errors(shifted)
    assert errors["not smoothed"] > 2 * errors["smoothed"]
