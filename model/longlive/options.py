"""How a LongLive model is loaded, beyond device and precision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longtake.model.config import Positions, SinkOnRecache
from longtake.model.errors import ConfigError

RandomWeights = Literal["", "full", "tiny"]
DecoderChoice = Literal["auto", "wan", "tiny"]
TextPlace = Literal["auto", "gpu", "cpu", "offload"]

_CHOICES = {
    "random_weights": ("", "full", "tiny"),
    "decoder": ("auto", "wan", "tiny"),
    "text_encoder": ("auto", "gpu", "cpu", "offload"),
    "positions": ("absolute", "relative"),
    "sink_on_recache": ("keep", "refresh"),
}


@dataclass(frozen=True, kw_only=True)
class LongLiveOptions:
    """See the module."""

    folder: Path | None = None
    """of the weights, in any public layout; None takes the one of `models pull`"""
    random_weights: RandomWeights = ""
    """instead of files: the model at its full size, or tiny with 64 x 96 pictures; texts are random tokens then"""
    seed: int = 0
    """of random weights"""
    decoder: DecoderChoice = "auto"
    """auto: tiny where its file is there (it is many times faster), otherwise Wan's own"""
    text_encoder: TextPlace = "auto"
    """auto: on a GPU with 40 GB or more, otherwise off-loaded; on the CPU where the model is"""
    keep_prompts: bool = True
    """encoded prompts on disk"""
    prompts_folder: Path | None = None
    """where to; None takes `prompts` in the default models folder"""
    lora: bool = True
    """False: LongLive's base without its LoRA, which is not LongLive"""
    lora_alpha: float = 256.0
    """the public LoRA's; its file does not say"""
    averaged: bool | None = None
    """the averaged copy of the generator, or the last; None: the last where it is there"""
    positions: Positions = "absolute"
    """relative: the reference's infinite variant"""
    sink_on_recache: SinkOnRecache = "keep"
    attention: str = "auto"
    """see `longtake.model.attention`"""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(repr(choice) for choice in allowed)
                raise ConfigError(f"{name} must be one of {choices}, not {getattr(self, name)!r}")
        if self.lora_alpha <= 0:
            raise ConfigError(f"lora_alpha must be positive, not {self.lora_alpha}")
