"""How a LongLive model is loaded, beyond device and precision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longtake.model.config import Positions, SinkOnRecache
from longtake.model.errors import ConfigError
from longtake.model.options import CompiledOptions

RandomWeights = Literal["", "full", "tiny"]
DecoderChoice = Literal["auto", "wan", "tiny"]
TextPlace = Literal["auto", "gpu", "cpu", "offload", "random"]


@dataclass(frozen=True, kw_only=True)
class LongLiveOptions(CompiledOptions):
    """Options of LongLive and its kind."""

    folder: Path | None = None
    """folder of the weights, in any public layout; None takes the one of `models pull`"""
    random_weights: RandomWeights = ""
    """load no files: random weights at full size, or tiny with 64 x 96 frames; texts become random tokens"""
    seed: int = 0
    """seed of random weights"""
    decoder: DecoderChoice = "auto"
    """auto: tiny if its file exists (it is many times faster), otherwise Wan's own"""
    text_encoder: TextPlace = "auto"
    """auto: on the GPU if it has 40 GB or more, otherwise off-loaded; on the CPU if the model runs there. random: texts
    become random tokens, to measure without the encoder's 11 GB"""
    keep_prompts: bool = True
    """keep encoded prompts on disk"""
    prompts_folder: Path | None = None
    """folder of the kept prompts; None takes `prompts` in the default models folder"""
    lora: bool = True
    """False: LongLive's base without its LoRA, which is not LongLive"""
    lora_alpha: float = 256.0
    """alpha of the public LoRA, which its file does not say"""
    averaged: bool | None = None
    """the averaged copy of the weights, or the last; None takes the last if it exists"""
    positions: Positions = "absolute"
    """relative: the reference's infinite variant"""
    sink_on_recache: SinkOnRecache = "keep"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lora_alpha <= 0:
            raise ConfigError(f"lora_alpha must be positive, not {self.lora_alpha}")
