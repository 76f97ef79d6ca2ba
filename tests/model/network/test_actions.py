"""Conditioning of the transformer on actions."""

from dataclasses import replace

import pytest
import torch

from longtake.model.config import TransformerConfig, preset
from longtake.model.errors import ConfigError, ShapeError
from longtake.model.network.transformer import Transformer

PLAIN = preset("tiny").transformer
STEERED = replace(PLAIN, actions=2)


def pair() -> tuple[Transformer, Transformer]:
    """A model without actions, and one with them that has started from it."""
    torch.manual_seed(0)
    plain, steered = Transformer(PLAIN), Transformer(STEERED)
    missing, unexpected = steered.load_state_dict(plain.state_dict(), strict=False)
    assert all(name.startswith("action_embedding.") for name in missing)
    assert not unexpected
    return plain, steered


def test_at_the_start_actions_change_nothing() -> None:
    plain, steered = pair()
    t, actions = torch.tensor([[0.0, 500.0, 1000.0]]), torch.randn(1, 3, 2)
    for mine, theirs in zip(steered.embed_time(t, actions), plain.embed_time(t), strict=True):
        assert torch.equal(mine, theirs)


def test_actions_are_learned_and_none_means_zeros() -> None:
    _, steered = pair()
    t, actions = torch.tensor([[0.0, 500.0, 1000.0]]), torch.randn(1, 3, 2)
    steered.embed_time(t, actions)[1].square().sum().backward()
    assert steered.action_embedding is not None
    last = steered.action_embedding.get_parameter("2.weight")
    assert last.grad is not None
    assert float(last.grad.abs().max()) > 0
    with torch.no_grad():
        last.add_(last.grad)
    e, _ = steered.embed_time(t, actions)
    still, _ = steered.embed_time(t)
    assert not torch.allclose(e, still)
    assert torch.equal(still, steered.embed_time(t, torch.zeros(1, 3, 2))[0])
    one, other = steered.embed_time(t, torch.cat((actions[:, :1], actions[:, 1:].neg()), 1))[0].unbind(0)[0][:2]
    assert torch.equal(one, e[0, 0]), "a frame's action concerns that frame alone"
    assert not torch.equal(other, e[0, 1])


def test_actions_that_do_not_fit_are_refused() -> None:
    plain, steered = pair()
    t = torch.zeros(1, 3)
    with pytest.raises(ShapeError, match="has no actions"):
        plain.embed_time(t, torch.zeros(1, 3, 2))
    for shape in ((1, 3, 3), (1, 2, 2), (3, 2)):
        with pytest.raises(ShapeError, match="a vector for each latent frame"):
            steered.embed_time(t, torch.zeros(shape))
    with pytest.raises(ConfigError, match="actions"):
        TransformerConfig(**{**vars(PLAIN), "actions": -1})
