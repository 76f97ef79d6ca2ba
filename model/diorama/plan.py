"""What `bench plan` counts of diorama."""

import torch

from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.diorama.autoencoder import SHIPPED
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.diorama.spec import NAME
from longtake.model.evaluation.plan_parts import DecoderCost, TextCost, count_decoder


class DioramaPlan:
    """A `longtake.model.evaluation.plan_parts.PlanSource`."""

    usual_decoder = "own"

    @property
    def config(self) -> GeneratorConfig:
        """The generator's configuration."""
        return preset(NAME)

    def decoders(self, sizes: TransformerConfig) -> dict[str, DecoderCost]:
        """Return the cost of its one decoder."""
        with torch.device("meta"):
            return {"own": count_decoder(MovingDecoder(SHIPPED), sizes)}

    def text(self, sizes: TransformerConfig) -> TextCost | None:
        """Return None: its text encoder is too small to plan."""
        return None
