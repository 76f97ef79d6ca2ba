"""How a LongLive model is loaded, beyond device and precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from longtake.model.config import Positions, SinkOnRecache
from longtake.model.errors import ConfigError

RandomWeights = Literal["", "full", "tiny"]
DecoderChoice = Literal["auto", "wan", "tiny"]
CacheChoice = Literal["plain", "fp8"]
TextPlace = Literal["auto", "gpu", "cpu", "offload", "random"]

_FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}

_CHOICES = {
    "random_weights": ("", "full", "tiny"),
    "decoder": ("auto", "wan", "tiny"),
    "text_encoder": ("auto", "gpu", "cpu", "offload", "random"),
    "positions": ("absolute", "relative"),
    "sink_on_recache": ("keep", "refresh"),
    "cache": ("plain", "fp8"),
}

OF_EVERY_MODEL = ("attention", "linear", "cache", "graphs", "overlap")
"""options that are not LongLive's alone"""


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
    """auto: on a GPU with 40 GB or more, otherwise off-loaded; on the CPU where the model is. random: texts are
    random tokens, to measure without the encoder's 11 GB"""
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
    """see `longtake.model.ops.attention`"""
    linear: str = "auto"
    """what computes the linears: plain, onednn, upcast, fp8, te-fp8 or int8, see `longtake.model.ops.linear`"""
    cache: CacheChoice = "plain"
    """what keys and values are kept as, see `longtake.model.cache.fp8`"""
    compile: bool = False
    """run the layers through torch's compiler, at the cost of a start that takes minutes"""
    graphs: bool = False
    """replay each world's forwards as CUDA graphs, see `longtake.model.execution.cuda_graphs`"""
    overlap: bool | None = None
    """decode beside the next block's denoising; None: on a GPU, and on a CPU with a core to spare"""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(repr(choice) for choice in allowed)
                raise ConfigError(f"{name} must be one of {choices}, not {getattr(self, name)!r}")
        if self.lora_alpha <= 0:
            raise ConfigError(f"lora_alpha must be positive, not {self.lora_alpha}")

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> "LongLiveOptions":
        """Return the options named by texts, as a command line has them; raises ConfigError naming a wrong one.

        >>> LongLiveOptions.parse({"random_weights": "tiny", "keep_prompts": "off"}).keep_prompts
        False
        """
        return cls(**{name.replace("-", "_"): _value(name.replace("-", "_"), text) for name, text in texts.items()})


def _value(name: str, text: str) -> Any:
    if name in ("folder", "prompts_folder"):
        return Path(text).expanduser()
    if name in ("keep_prompts", "lora", "averaged", "compile", "graphs", "overlap"):
        if text.lower() not in _FLAGS:
            raise ConfigError(f"{name} must be on or off, not {text!r}")
        return _FLAGS[text.lower()]
    if name in ("seed", "lora_alpha"):
        try:
            return int(text) if name == "seed" else float(text)
        except ValueError:
            raise ConfigError(f"{name} must be a number, not {text!r}") from None
    if name in (*_CHOICES, "attention", "linear"):
        return text
    raise ConfigError(f"there is no option {name}; there are {', '.join(LongLiveOptions.__dataclass_fields__)}")
