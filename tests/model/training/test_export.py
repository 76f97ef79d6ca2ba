"""What is written of finished runs."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from longtake.model.training.export import export


def test_export_writes_bf16_parts_and_forgets_the_trainers_disk(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for name in ("autoencoder", "probe"):
        (runs / name).mkdir(parents=True)
    state = {"decoder.a": torch.randn(2, 2), "encoder.b": torch.randn(3), "encoder.count": torch.tensor(7)}
    save_file(state, runs / "autoencoder" / "ema.safetensors")
    (runs / "autoencoder" / "config.json").write_text('{"data": "/home/someone/data/clips", "hours": 1}')
    save_file({"x": torch.ones(1)}, runs / "probe" / "ema.safetensors")
    out.mkdir()
    (out / "transformer.safetensors").write_bytes(b"kept")
    assert export(runs, out) == ["decoder", "encoder", "probe"]
    assert load_file(out / "decoder.safetensors")["a"].dtype is torch.bfloat16
    assert int(load_file(out / "encoder.safetensors")["count"]) == 7
    assert (out / "transformer.safetensors").read_bytes() == b"kept"
    assert json.loads((out / "runs" / "autoencoder-config.json").read_text()) == {"data": "clips", "hours": 1}
