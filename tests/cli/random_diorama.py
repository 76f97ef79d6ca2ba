"""The bundled model with random weights: the real architecture and the real way of loading, for tests without weights.

Used as a factory, `random_diorama:load`.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from longtake.model.config import preset
from longtake.model.diorama.autoencoder import SHIPPED, make_decoder
from longtake.model.diorama.loading import load_diorama
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.loaded import LoadedModel
from longtake.model.network.transformer import Transformer


def load(name: str, *, device: str, precision: str, threads: int) -> LoadedModel:
    """Write random weights of the right shapes into a folder and load them from there."""
    torch.set_num_threads(threads or 1)
    torch.manual_seed(0)
    parts = {
        "transformer": Transformer(preset("diorama").transformer),
        "decoder": make_decoder(SHIPPED),
        "text_encoder": TextEncoder(TextEncoderConfig()),
        "probe": Probe(ProbeConfig()),
    }
    with tempfile.TemporaryDirectory() as folder:
        for part, module in parts.items():
            save_file(module.state_dict(), Path(folder) / f"{part}.safetensors")
        return load_diorama(Path(folder), device=device, precision=precision)
