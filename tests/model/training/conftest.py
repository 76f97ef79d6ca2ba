from pathlib import Path

import pytest

from longtake.model.diorama.files import bundled_folder
from longtake.model.training.data.drawing import DrawingConfig


@pytest.fixture(scope="session")
def parts() -> Path:
    """Diorama's weights; a checkout without them cannot train the transformer."""
    folder = bundled_folder()
    if not (folder / "encoder.safetensors").is_file():
        pytest.skip("the weights are not in this checkout")
    return folder


@pytest.fixture(scope="session")
def short(parts: Path) -> DrawingConfig:
    """Clips as short as a switch allows."""
    return DrawingConfig(frames=36, captions=2, text_encoder=parts, seed=5)
