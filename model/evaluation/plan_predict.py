"""Predicts how long a block takes on a device that was measured, and what each option would bring.

`longtake.model.evaluation.plan` computes the shortest time that a data sheet allows. Here the same operations and bytes
meet the rates that the device reached inside a pass (`Rates`), by kind of work and by what computes it.

    setup = Setup(attention="flash3", linear="fp8", execution="triton", graphs=True, decoder="tiny")
    predict(preset("longlive-1.3b"), decoders, DEVICES["h200"].rates, setup).block_ms
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.evaluation.plan import FRAMES_PER_LATENT, HALF_BYTES, Cost, costs_of, transformer_parameters
from longtake.model.evaluation.plan_devices import Rates
from longtake.model.evaluation.plan_parts import DecoderCost

Value = TypeVar("Value")

KERNEL_ACTIVATIONS = 20
"""whole activations that the kernels of execution `triton` read or write in a layer: three times residual, norm and
modulation 12, norms and RoPE of q and k with the write into the ring 6, cross-attention's q norm 2"""
QUANTISED_ACTIVATIONS = 3
"""the same for quantising what attention and cross-attention made; the FFN's inner tokens come on top"""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a block is computed, by the names of the registries."""

    attention: str = "flash3"
    linear: str = "plain"
    execution: str = "triton"
    graphs: bool = True
    decoder: str | None = "tiny"
    """None makes latents only"""
    cache: str = "plain"


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """A block's time by kind of work, in milliseconds."""

    setup: Setup
    attention_ms: float
    products_ms: float
    between_ms: float
    """norms, RoPE, residuals, quantisation, and the rest of a pass"""
    host_ms: float
    """waiting for the host to launch kernels"""
    decoder_ms: float
    frames: int
    """frames of the block"""

    @property
    def block_ms(self) -> float:
        """The block's time. The decoder runs beside the transformer, but on the same cores, so it counts in full."""
        return self.attention_ms + self.products_ms + self.between_ms + self.host_ms + self.decoder_ms

    @property
    def fps(self) -> float:
        """Frames a second."""
        return 1000 * self.frames / self.block_ms


@dataclass(frozen=True, kw_only=True)
class OptionGain:
    """What an option would bring."""

    option: str
    """as it is given on the command line"""
    predicted: Predicted | None
    """None where only the memory is known"""
    saved_ms: float | None
    """of a block, against the default"""
    world_mb: float
    """memory that each world takes more, 10^6 bytes"""
    once_mb: float
    """memory that it takes more once"""


def predict(
    config: GeneratorConfig, decoders: Mapping[str, DecoderCost], rates: Rates, setup: Setup | None = None
) -> Predicted:
    """Predict a block with the window full.

    Args:
        config: of the generator.
        decoders: the costs of its decoders for a latent frame, by name.
        rates: of the device.
        setup: how it is computed; by default as on a GPU with everything installed, in 16 bits.

    Raises:
        ConfigError: nothing was measured for this setup or for a transformer of this width.
    """
    setup = setup or Setup()
    costs = costs_of(config)
    passes = len(config.timesteps) + 1
    decoder_ms = 0.0
    if setup.decoder is not None:
        cost = known(decoders, "decoder", setup.decoder.split(",")[0])
        decoder_ms = 1000 * config.block_frames * cost.flop / known(rates.decoders, "decoder", setup.decoder)
    times = _times(config, costs["denoise"] + costs["clean"], _block_layers(config), rates, setup, passes)
    return Predicted(
        setup=setup,
        attention_ms=times[0],
        products_ms=times[1],
        between_ms=times[2],
        host_ms=times[3],
        decoder_ms=decoder_ms,
        frames=FRAMES_PER_LATENT * config.block_frames,
    )


def predict_recache(config: GeneratorConfig, frames: int, rates: Rates, setup: Setup | None = None) -> float:
    """Predict how long a recache of so many latent frames takes, in milliseconds, without the text.

    Arguments and errors as `predict`. `frames` is the ring's or the window's.
    """
    cost = known(costs_of(config), "recache", f"recache {frames}")
    layers = frames * config.transformer.frame_tokens * (config.transformer.layers - 1)
    return sum(_times(config, cost, layers, rates, setup or Setup(), 1))


def options_of(config: GeneratorConfig, decoders: Mapping[str, DecoderCost], rates: Rates) -> list[OptionGain]:
    """Return what each option would bring, the default first. Raises ConfigError as `predict`."""
    sizes = config.transformer
    first_decoder, *other_decoders = decoders
    usual = Setup(decoder=first_decoder)
    maps, _ = transformer_parameters(sizes)
    keys = 2 * sizes.layers * sizes.dim * config.window_frames * sizes.frame_tokens
    # A scale for each head of each token, and one layer at full width, unless attention takes e4m3 itself.
    scales = 2 * HALF_BYTES * (sizes.layers * sizes.heads + sizes.dim) * config.window_frames * sizes.frame_tokens
    fast = replace(usual, linear="fp8", attention="flash3-fp8")
    asked: list[tuple[str, Setup, float, float]] = [
        ("(default, flash3 installed)", usual, 0.0, 0.0),
        ("--option attention=sdpa", replace(usual, attention="sdpa"), 0.0, 0.0),
        ("--option execution=eager", replace(usual, execution="eager"), 0.0, 0.0),
        ("--option execution=eager --option graphs=off", replace(usual, execution="eager", graphs=False), 0.0, 0.0),
        ("--compile", replace(usual, execution="compiled", graphs=False), 0.0, 0.0),
        ("--linear fp8", replace(usual, linear="fp8"), 0.0, maps),
        ("--option attention=flash3-fp8", replace(usual, attention="flash3-fp8"), 0.0, 0.0),
        ("--fast", fast, 0.0, maps),
        ("--fast --option cache=fp8", replace(fast, cache="fp8"), -keys, maps),
    ]
    first = predict(config, decoders, rates, usual)
    for name in other_decoders:
        state = decoders[name].state_bytes - decoders[first_decoder].state_bytes
        weights = decoders[name].weights_bytes - decoders[first_decoder].weights_bytes
        asked.append((f"--decoder {name}", replace(usual, decoder=name), state, weights))
    gains = []
    for option, setup, world_bytes, once_bytes in asked:
        predicted = predict(config, decoders, rates, setup)
        gains.append(
            OptionGain(
                option=option,
                predicted=predicted,
                saved_ms=first.block_ms - predicted.block_ms,
                world_mb=world_bytes / 1e6,
                once_mb=once_bytes / 1e6,
            )
        )
    plain_cache = OptionGain(
        option="--option cache=fp8",
        predicted=None,
        saved_ms=None,
        world_mb=(scales - keys) / 1e6,
        once_mb=0.0,
    )
    return [*gains, plain_cache]


def predictable(config: GeneratorConfig, rates: Rates | None) -> bool:
    """Return whether a device's rates hold for a model."""
    return rates is not None and rates.width == config.transformer.dim


def known(values: Mapping[str, Value], kind: str, name: str) -> Value:
    """Return a value by name. Raises ConfigError for a name without one."""
    if name not in values:
        raise ConfigError(f"nothing was measured for {kind} {name!r}; there are: {', '.join(values)}")
    return values[name]


def _block_layers(config: GeneratorConfig) -> int:
    """Return how many tokens go through a layer in a block, all layers together."""
    layers = config.transformer.layers
    return config.block_tokens * (len(config.timesteps) * layers + layers - 1)


def _times(
    config: GeneratorConfig, cost: Cost, layer_tokens: int, rates: Rates, setup: Setup, passes: int
) -> tuple[float, float, float, float]:
    """Return the milliseconds of attention, products, what lies between them, and the host."""
    sizes = config.transformer
    if sizes.dim != rates.width:
        raise ConfigError(f"rates were measured for a width of {rates.width}, not {sizes.dim}")
    activation = HALF_BYTES * layer_tokens * sizes.dim
    inner = sizes.ffn_dim / sizes.dim
    if setup.linear == "fp8" and setup.execution == "eager":
        raise ConfigError("nothing was measured for 8-bit linears in execution 'eager', which quantises in many steps")
    moved = KERNEL_ACTIVATIONS * activation if setup.execution == "triton" else cost.other_bytes
    between_s = moved / known(rates.between, "execution", setup.execution)
    if setup.linear == "fp8" and setup.execution == "triton":
        # 16 bits are read and 8 written.
        between_s += (QUANTISED_ACTIVATIONS + 1.5 * inner) * activation / rates.quantise
    return (
        1000 * cost.attention_flop / known(rates.attention, "attention", setup.attention),
        1000 * cost.linear_flop / known(rates.products, "linear", setup.linear),
        1000 * between_s + passes * known(rates.rest_ms, "execution", setup.execution),
        0.0 if setup.graphs else passes * rates.host_ms,
    )
