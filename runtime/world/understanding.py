"""What a world's model takes a prompt for, as messages carry it."""

from collections.abc import Callable

import msgspec

from longtake.model.interface import model_names, model_spec
from longtake.protocol.messages import Understood


def reader_of(model: str) -> Callable[[str], Understood | None]:
    """Return the function that reads prompts for a model; it answers None for a model that cannot say."""
    # A model that a factory loads may have any name, and no spec.
    understand = model_spec(model).understand if model in model_names() else None
    if understand is None:
        return lambda prompt: None
    read = understand

    def reader(prompt: str) -> Understood:
        return msgspec.convert(read(prompt), Understood, from_attributes=True)

    reader("")  # What it looks words up in is built once, before frames are due.
    return reader
