"""Computes what a model costs on a device: operations, bytes and the shortest time of each part, and memory.

Only the configuration counts, so no such device is needed. A part's shortest time assumes that the device runs matrix
products at their peak, then moves the bytes that plain, unfused PyTorch moves at full bandwidth, with no overlap
within a part. No program reaches that; `compare` says how close a measurement came.

    plan = make_plan("longlive-1.3b", DEVICES["h100"], fp8=False)
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import ConfigError
from longtake.model.evaluation.plan_devices import Device
from longtake.model.evaluation.plan_parts import DecoderCost, PlanSource, TextCost
from longtake.model.interface import model_spec

HALF_BYTES = 2
FRAMES_PER_LATENT = 4
PIXELS_PER_LATENT = 8
PROMPT_MAPS = ("cross_attn.k.weight", "cross_attn.v.weight")
"""computed once a prompt, so never in FP8"""
ELEMENTWISE = 39
"""whole activations `[tokens, width]` a layer reads or writes outside its products, in plain PyTorch: norms and
modulation 12, norms and RoPE of q and k 14, keys and values into the cache 4, residuals 9"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations and bytes of one run of a part."""

    linear_flop: float = 0.0
    """operations of linear layers that FP8 speeds up"""
    attention_flop: float = 0.0
    """operations of attention and everything else that stays in the model's precision"""
    product_bytes: float = 0.0
    """bytes that the products read and write"""
    other_bytes: float = 0.0
    """bytes that everything else reads and writes"""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            linear_flop=self.linear_flop + other.linear_flop,
            attention_flop=self.attention_flop + other.attention_flop,
            product_bytes=self.product_bytes + other.product_bytes,
            other_bytes=self.other_bytes + other.other_bytes,
        )

    def times(self, count: float) -> "Cost":
        """Return the cost of several runs."""
        return Cost(
            linear_flop=self.linear_flop * count,
            attention_flop=self.attention_flop * count,
            product_bytes=self.product_bytes * count,
            other_bytes=self.other_bytes * count,
        )

    @property
    def flop(self) -> float:
        """Floating-point operations; a multiplication and an addition are two."""
        return self.linear_flop + self.attention_flop

    def products_ms(self, device: Device, *, fp8: bool) -> float:
        """Return the shortest time of the products alone."""
        linear_rate = device.fp8_flops if fp8 else device.flops
        compute_s = self.linear_flop / linear_rate + self.attention_flop / device.flops
        return 1000 * max(compute_s, self.product_bytes / device.bytes_per_second)

    def limit_ms(self, device: Device, *, fp8: bool) -> float:
        """Return the shortest time of the whole part."""
        return self.products_ms(device, fp8=fp8) + 1000 * self.other_bytes / device.bytes_per_second


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the work."""

    name: str
    tflop: float
    gigabytes: float
    products_ms: float
    """products at their peak, and nothing else"""
    limit_ms: float
    """the same, plus the bytes of plain PyTorch"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a model costs on a device."""

    model: str
    device: str
    device_source: str
    """source of the device's figures"""
    precision: str
    height: int
    width: int
    frames_per_block: int
    parts: list[Part]
    block_ms: dict[str, float]
    """shortest time of a block by decoder: denoise, clean and decode at their limits, one after another"""
    products_ms: dict[str, float]
    """the same if fusing and overlapping hid everything except the products"""
    fps: dict[str, float]
    """frames a second at `block_ms`"""
    products_fps: dict[str, float]
    """frames a second at `products_ms`"""
    realtime_fps: int
    memory_mb: dict[str, float]
    """memory needed at the same time, by use, in 10^6 bytes"""
    device_memory_mb: float

    def part(self, name: str) -> Part | None:
        """Return a part by name."""
        return next((part for part in self.parts if part.name == name), None)


def make_plan(name: str, device: Device, *, fp8: bool = False, size: tuple[int, int] | None = None) -> Plan:
    """Plan a model.

    Args:
        name: the model's name.
        device: what it runs on.
        fp8: linear layers in FP8; attention and caches stay in 16 bits.
        size: height and width of the pictures; the model's own if None.

    Raises:
        ConfigError: there is no such model or size, or the device has no FP8.
    """
    source = plan_source(name)
    config = resized(source.config, size)
    if fp8 and not device.fp8_flops:
        raise ConfigError(f"{device.name} has no FP8 products")
    sizes = config.transformer
    decoders, text = source.decoders(sizes), source.text(sizes)
    costs = costs_of(config)
    if text is not None:
        costs["text"] = Cost(attention_flop=text.flop, product_bytes=text.bytes)
    for decoder, cost in decoders.items():
        counted = Cost(attention_flop=cost.flop, product_bytes=cost.bytes)
        costs[f"decode {decoder}"] = counted.times(config.block_frames)
    parts = [
        Part(
            name=part,
            tflop=cost.flop / 1e12,
            gigabytes=(cost.product_bytes + cost.other_bytes) / 1e9,
            products_ms=cost.products_ms(device, fp8=fp8),
            limit_ms=cost.limit_ms(device, fp8=fp8),
        )
        for part, cost in costs.items()
    ]
    by_name = {part.name: part for part in parts}
    # Overlapping the decode hides launches and copies, not arithmetic: both need the same tensor cores.
    blocks = {decoder: [by_name[part] for part in ("denoise", "clean", f"decode {decoder}")] for decoder in decoders}
    block_ms = {decoder: sum(part.limit_ms for part in block) for decoder, block in blocks.items()}
    products_ms = {decoder: sum(part.products_ms for part in block) for decoder, block in blocks.items()}
    frames = FRAMES_PER_LATENT * config.block_frames
    return Plan(
        model=name,
        device=device.name,
        device_source=device.source,
        precision=f"{device.precision}, linear maps in fp8" if fp8 else device.precision,
        height=PIXELS_PER_LATENT * sizes.latent_height,
        width=PIXELS_PER_LATENT * sizes.latent_width,
        frames_per_block=frames,
        parts=parts,
        block_ms=block_ms,
        products_ms=products_ms,
        fps={decoder: 1000 * frames / ms for decoder, ms in block_ms.items()},
        products_fps={decoder: 1000 * frames / ms for decoder, ms in products_ms.items()},
        realtime_fps=config.fps,
        memory_mb={use: size / 1e6 for use, size in memory_of(config, decoders, text, fp8=fp8).items()},
        device_memory_mb=device.memory_bytes / 1e6,
    )


def plan_source(name: str) -> PlanSource:
    """Return what a model tells the plan. Raises ConfigError for a model that tells nothing."""
    spec = model_spec(name)
    if spec.plan is None:
        raise ConfigError(f"model {name} does not say what its parts cost, so it cannot be planned")
    return spec.plan()


def resized(config: GeneratorConfig, size: tuple[int, int] | None) -> GeneratorConfig:
    """Return the configuration for pictures of another height and width. Raises ConfigError."""
    if size is None:
        return config
    step = PIXELS_PER_LATENT * config.transformer.patch[1]
    if any(side < step or side % step for side in size):
        raise ConfigError(f"{size[0]}x{size[1]}: height and width must be multiples of {step}")
    height, width = (side // PIXELS_PER_LATENT for side in size)
    return replace(config, transformer=replace(config.transformer, latent_height=height, latent_width=width))


def costs_of(config: GeneratorConfig) -> dict[str, Cost]:
    """Return the cost of each part of the transformer's work, with the window full."""
    sizes = config.transformer
    block, window = config.block_frames, config.window_frames
    flow = forward_cost(sizes, block, window)
    costs = {
        "denoise": flow.times(len(config.timesteps)),
        "clean": forward_cost(sizes, block, window, keys_only=True),
    }
    kept_frames = {config.ring_frames: config.sink_frames, config.refreshed_frames: 0}
    for frames, kept in sorted(kept_frames.items()):
        # A causal group sees itself and what comes before it: half of the recomputed frames on average.
        seen = kept + (frames + block) / 2 if config.recache == "causal" else float(window)
        costs[f"recache {frames}"] = forward_cost(sizes, frames, seen, keys_only=True)
    costs["prompt"] = prompt_cost(sizes)
    return costs


def forward_cost(sizes: TransformerConfig, frames: int, seen_frames: float, *, keys_only: bool = False) -> Cost:
    """Return the cost of one pass of the transformer.

    Args:
        sizes: the transformer's sizes.
        frames: latent frames to compute.
        seen_frames: latent frames whose keys each of them attends to.
        keys_only: the pass stops at the last layer's keys and values (clean pass, recache).
    """
    tokens, keys = frames * sizes.frame_tokens, seen_frames * sizes.frame_tokens
    layer, last = layer_cost(sizes, tokens, keys), last_layer_cost(sizes, tokens)
    _, rows, columns = sizes.patch
    patch = product_cost(tokens, rows * columns * sizes.latent_channels, sizes.dim)
    ends = replace(patch, linear_flop=0.0, attention_flop=patch.linear_flop)
    if keys_only:
        return layer.times(sizes.layers - 1) + last + ends
    return layer.times(sizes.layers) + ends.times(2)


def layer_cost(sizes: TransformerConfig, tokens: float, keys: float) -> Cost:
    """Return the cost of one layer for a number of tokens that attend to a number of keys."""
    dim = sizes.dim
    # Self-attention's q, k, v, o and cross-attention's q and o; the prompt's keys exist already.
    maps = product_cost(tokens, dim, dim).times(6)
    ffn = product_cost(tokens, dim, sizes.ffn_dim) + product_cost(tokens, sizes.ffn_dim, dim)
    attention = attention_cost(tokens, keys, dim) + attention_cost(tokens, sizes.text_tokens, dim)
    gelu = 2 * tokens * sizes.ffn_dim
    return maps + ffn + attention + Cost(other_bytes=HALF_BYTES * (ELEMENTWISE * tokens * dim + gelu))


def last_layer_cost(sizes: TransformerConfig, tokens: float) -> Cost:
    """Return the cost of a layer's keys and values alone."""
    norms = HALF_BYTES * 10 * tokens * sizes.dim
    return product_cost(tokens, sizes.dim, sizes.dim).times(2) + Cost(other_bytes=norms)


def prompt_cost(sizes: TransformerConfig) -> Cost:
    """Return the cost of a prompt's text MLP and of its keys and values in every layer."""
    tokens, dim = sizes.text_tokens, sizes.dim
    mlp = product_cost(tokens, sizes.text_dim, dim) + product_cost(tokens, dim, dim)
    whole = mlp + product_cost(tokens, dim, dim).times(2 * sizes.layers)
    # Computed once a prompt, so never in FP8.
    return replace(whole, linear_flop=0.0, attention_flop=whole.linear_flop)


def product_cost(rows: float, inner: int, outer: int) -> Cost:
    """Return the cost of a linear layer: rows x inner times inner x outer."""
    return Cost(
        linear_flop=2 * rows * inner * outer,
        product_bytes=HALF_BYTES * (rows * (inner + outer) + inner * outer),
    )


def attention_cost(tokens: float, keys: float, dim: int) -> Cost:
    """Return the cost of fused attention: scores, weighted sum, reading q, k, v and writing the result."""
    return Cost(attention_flop=4 * tokens * keys * dim, product_bytes=HALF_BYTES * dim * (2 * tokens + 2 * keys))


def transformer_parameters(sizes: TransformerConfig) -> tuple[int, int]:
    """Return the number of parameters that FP8 concerns, and of all others."""
    from longtake.model.network.transformer import Transformer

    with torch.device("meta"):
        module = Transformer(sizes)
    maps = sum(
        parameter.numel()
        for name, parameter in module.named_parameters()
        if name.startswith("blocks.") and parameter.ndim == 2 and not name.endswith(PROMPT_MAPS)
    )
    return maps, sum(parameter.numel() for parameter in module.parameters()) - maps


def memory_of(
    config: GeneratorConfig, decoders: dict[str, DecoderCost], text: TextCost | None, *, fp8: bool
) -> dict[str, int]:
    """Return bytes by use; `world` is for each further world, the rest exists once."""
    sizes = config.transformer
    maps, others = transformer_parameters(sizes)
    keys = 2 * HALF_BYTES * sizes.layers * sizes.dim
    widest = config.window_frames * sizes.frame_tokens
    # The 16-bit weights stay next to their 8-bit copies.
    memory = {"weights transformer": HALF_BYTES * (maps + others) + (maps if fp8 else 0)}
    if text is not None:
        memory["weights text encoder"] = text.weights_bytes
    for name, decoder in decoders.items():
        memory[f"weights decoder {name}"] = decoder.weights_bytes
    memory["world cache"] = keys * config.window_frames * sizes.frame_tokens
    memory["world prompt"] = keys * sizes.text_tokens
    for name, decoder in decoders.items():
        memory[f"world decoder state {name}"] = decoder.state_bytes
    # The widest moment of a layer is the FFN: the residual, its input, and the inner tokens before and after GELU.
    memory["activations denoise"] = _activations(sizes, config.block_frames * sizes.frame_tokens)
    memory["activations recache"] = _activations(sizes, widest)
    for name, decoder in decoders.items():
        memory[f"activations decoder {name}"] = decoder.activation_bytes
    return memory


def _activations(sizes: TransformerConfig, tokens: int) -> int:
    return HALF_BYTES * tokens * (3 * sizes.dim + 2 * sizes.ffn_dim)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A part's plan next to its measurement."""

    part: str
    limit_ms: float
    measured_ms: float

    @property
    def share(self) -> float:
        """Share of the limit that was reached, 0 to 1."""
        return self.limit_ms / self.measured_ms if self.measured_ms > 0 else float("nan")


def compare(plan: Plan, measured: dict[str, Any], *, decoder: str) -> list[Compared]:
    """Compare a plan with what `longtake bench generator --json` measured. Raises ConfigError for another model.

    Args:
        plan: the plan of the same model and device.
        measured: the benchmark's JSON.
        decoder: the decoder that was measured.
    """
    if measured.get("model") != plan.model or not isinstance(measured.get("regions_ms"), dict):
        raise ConfigError(
            f"the measurement is not one of `longtake bench generator --json --model {plan.model}`; "
            f"it is of {measured.get('model', 'something else')}"
        )
    regions = {**measured["regions_ms"], "recache": measured.get("recache_ms")}
    recache = next(part.name for part in plan.parts if part.name.startswith("recache"))
    rows = {"denoise": "denoise", "clean": "clean", "decode": f"decode {decoder}", "recache": recache}
    return [
        Compared(part=name, limit_ms=part.limit_ms, measured_ms=float(regions[region]))
        for region, name in rows.items()
        if regions.get(region) is not None and (part := plan.part(name)) is not None
    ]
