"""Weights that a run starts from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from longtake.model.config import preset
from longtake.model.errors import CheckpointError
from longtake.model.network.transformer import Transformer
from longtake.model.training.start import load_start

PLAIN = preset("tiny").transformer


def test_weights_without_actions_will_do(tmp_path: Path) -> None:
    old = Transformer(PLAIN).bfloat16()
    save_file(old.state_dict(), tmp_path / "transformer.safetensors")
    for path in (tmp_path, tmp_path / "transformer.safetensors"):
        new = Transformer(replace(PLAIN, actions=2))
        load_start(new, path)
        assert new.dtype == torch.float32
        for name, value in old.state_dict().items():
            assert torch.equal(new.state_dict()[name], value.float()), name
        t = torch.rand(1, 2) * 1000
        torch.testing.assert_close(
            new.embed_time(t, torch.ones(1, 2, 2))[0], old.float().embed_time(t)[0], rtol=0, atol=0
        )


def test_other_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    state = Transformer(PLAIN).state_dict()
    cases = (
        ({k: v for k, v in state.items() if k != "head.modulation"}, PLAIN, "lacks head.modulation"),
        (state, replace(PLAIN, dim=96, ffn_dim=96), "has another size of"),
        (Transformer(replace(PLAIN, actions=2)).state_dict(), PLAIN, "has action_embedding"),
    )
    for saved, config, said in cases:
        save_file(saved, path)
        with pytest.raises(CheckpointError, match=said) as caught:
            load_start(Transformer(config), path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"nothing")
    for missing, said in ((path, "cannot be read"), (tmp_path / "none", "missing")):
        with pytest.raises(CheckpointError, match=said):
            load_start(Transformer(PLAIN), missing)
