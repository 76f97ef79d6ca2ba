"""What a world model takes a text for. A model that can say so has `ModelSpec.understand`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Understanding:
    """What a model will show for a text, as far as it can be told before the picture is made."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """what the text says, by kind, such as `{"actor": "train", "colour": "purple"}`"""
    shown_as: str = ""
    """the same in words, such as "purple train, city, by day" """
    by_chance: tuple[str, ...] = ()
    """kinds of which the text says nothing: chance draws them"""
    unknown: tuple[str, ...] = ()
    """words of the text that the model does not know, in order"""
