"""The configuration of a world model: the transformer's sizes, and how the generator drives it.

Presets are Python and found by name: `preset("diorama")`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from longtake.model.bounds import at_least, positive
from longtake.model.errors import ConfigError

Positions = Literal["absolute", "relative"]
RecacheMode = Literal["longlive", "causal", "clear", "none"]
SinkOnRecache = Literal["keep", "refresh"]
SamplerName = Literal["renoise", "multistep", "euler"]


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of the causal transformer (Wan2.1's architecture)."""

    dim: int
    """Width of a token."""
    ffn_dim: int
    """Width inside the FFN."""
    heads: int
    layers: int
    text_tokens: int
    """Tokens of a prompt; shorter prompts are padded with zeros, and attention sees the padding."""
    text_dim: int
    """Width of the text encoder's tokens."""
    time_frequencies: int = 256
    """Width of the timestep's sinusoid (half cosines, half sines)."""
    latent_channels: int = 16
    latent_height: int
    latent_width: int
    patch: tuple[int, int, int] = (1, 2, 2)
    """Latent frames, rows and columns that make one token."""
    eps: float = 1e-6
    """Epsilon of every norm."""
    actions: int = 0
    """Axes of the action vector that conditions a latent frame; 0 for a model without actions."""
    motion_width: int = 0
    """Width of the convolutional head that moves the picture (`longtake.model.network.motion_head`); 0 for none."""

    def __post_init__(self) -> None:
        at_least(self, 0, "actions", "motion_width")
        at_least(self, 1, "dim", "ffn_dim", "heads", "layers", "text_tokens", "text_dim")
        at_least(self, 1, "latent_channels", "latent_height", "latent_width")
        positive(self, "eps")
        if self.dim % self.heads or self.head_dim % 2:
            raise ConfigError(f"dim {self.dim} over {self.heads} heads: the head width must be whole and even")
        if self.time_frequencies < 2 or self.time_frequencies % 2:
            raise ConfigError(f"time_frequencies must be even and positive, not {self.time_frequencies}")
        frames, rows, columns = self.patch
        if frames != 1:
            raise ConfigError(f"patch {self.patch}: a token must lie within one latent frame")
        if self.latent_height % rows or self.latent_width % columns:
            raise ConfigError(f"latents {self.latent_height} x {self.latent_width} are not whole patches {self.patch}")

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.dim // self.heads

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens in a latent frame."""
        return self.latent_height // self.patch[1], self.latent_width // self.patch[2]

    @property
    def frame_tokens(self) -> int:
        """Tokens of a latent frame."""
        return self.grid[0] * self.grid[1]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent frame."""
        return self.latent_channels, self.latent_height, self.latent_width


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """How the generator drives a transformer. Frames are latent frames, except in `fps`."""

    transformer: TransformerConfig
    block_frames: int
    """Latent frames denoised together."""
    window_frames: int
    """Latent frames that attention can see, sink and current block included."""
    sink_frames: int
    """First latent frames of the take that stay visible for ever; part of the window."""
    positions: Positions = "absolute"
    """absolute: RoPE by index in the take. relative: the sink stays at a constant distance from the window."""
    recache: RecacheMode = "longlive"
    """What a prompt change does to the window's keys and values (`longtake.model.generation.recache`)."""
    sink_on_recache: SinkOnRecache = "keep"
    """Past the window's length, a recache either keeps the sink or refreshes it."""
    recache_frames: int = 0
    """Latent frames that the window has after a recache that refreshes the sink; 0 for all that it had. Fewer cost less
    time, and the window grows again as the take goes on."""
    sampler: SamplerName = "renoise"
    """renoise or euler for a network distilled to few steps, multistep for any other (see `generation.sampler`)."""
    timesteps: tuple[float, ...] = (1000.0, 750.0, 500.0, 250.0)
    """The sampler's steps before the shift warps them, falling."""
    shift: float = 5.0
    """Shift of the noise schedule: s' = shift s / (1 + (shift - 1) s)."""
    fps: int = 16
    """Pictures a second."""

    def __post_init__(self) -> None:
        at_least(self, 1, "block_frames")
        at_least(self, 0, "sink_frames")
        if self.window_frames < self.sink_frames + self.block_frames:
            raise ConfigError(
                f"window_frames {self.window_frames} must hold the sink ({self.sink_frames}) "
                f"and one block ({self.block_frames})"
            )
        if self.transformer.motion_width and self.block_frames > 1:
            raise ConfigError(
                f"motion_width {self.transformer.motion_width}: the head looks back from one frame to those before it, "
                f"so a block must be one latent frame, not {self.block_frames}"
            )
        at_least(self, 0, "recache_frames")
        if self.recache_frames and (self.recache != "causal" or self.sink_on_recache != "refresh"):
            raise ConfigError(
                'recache_frames shortens the window: set recache to "causal", sink_on_recache to "refresh"'
            )
        if self.recache_frames and not self.sink_frames < self.recache_frames <= self.window_frames:
            raise ConfigError(
                f"recache_frames {self.recache_frames} must be more than the sink ({self.sink_frames}) and at most the "
                f"window ({self.window_frames})"
            )
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not self.timesteps or any(not 0 < t <= 1000 for t in self.timesteps):
            raise ConfigError(f"timesteps must lie in (0, 1000], not {self.timesteps}")
        if list(self.timesteps) != sorted(set(self.timesteps), reverse=True):
            raise ConfigError(f"timesteps must fall, not {self.timesteps}")
        positive(self, "shift", "fps")

    @property
    def noise_draws(self) -> int:
        """Draws of noise that a block takes."""
        return len(self.timesteps) if self.sampler == "renoise" else 1

    @property
    def block_tokens(self) -> int:
        """Tokens of a block."""
        return self.block_frames * self.transformer.frame_tokens

    @property
    def ring_frames(self) -> int:
        """Latent frames of the window that are not the sink."""
        return self.window_frames - self.sink_frames

    @property
    def refreshed_frames(self) -> int:
        """Latent frames that a recache of a full window computes if it refreshes the sink."""
        return self.recache_frames or self.window_frames


_CHOICES: dict[str, tuple[str, ...]] = {
    "positions": get_args(Positions),
    "recache": get_args(RecacheMode),
    "sink_on_recache": get_args(SinkOnRecache),
    "sampler": get_args(SamplerName),
}


_PRESETS: dict[str, GeneratorConfig] = {
    # 192 x 320 pictures; the model in this repository (longtake.model.diorama).
    "diorama": GeneratorConfig(
        transformer=TransformerConfig(
            dim=256,
            ffn_dim=1024,
            heads=4,
            layers=8,
            text_tokens=6,
            text_dim=192,
            latent_height=12,
            latent_width=20,
            actions=2,
            motion_width=96,
        ),
        block_frames=1,
        window_frames=9,
        sink_frames=1,
        positions="relative",
        recache="causal",
        sink_on_recache="refresh",
        recache_frames=4,
        sampler="multistep",
        shift=2.5,
    ),
    # 480 x 832 pictures; the public LongLive 1.0 checkpoint on Wan2.1-T2V-1.3B.
    "longlive-1.3b": GeneratorConfig(
        transformer=TransformerConfig(
            dim=1536,
            ffn_dim=8960,
            heads=12,
            layers=30,
            text_tokens=512,
            text_dim=4096,
            latent_height=60,
            latent_width=104,
        ),
        block_frames=3,
        window_frames=12,
        sink_frames=3,
    ),
    # LongLive's semantics at a size for a few CPU cores. It has no weights, and serves benchmarks.
    "medium": GeneratorConfig(
        transformer=TransformerConfig(
            dim=384,
            ffn_dim=1536,
            heads=6,
            layers=12,
            text_tokens=64,
            text_dim=256,
            latent_height=12,
            latent_width=20,
        ),
        block_frames=3,
        window_frames=12,
        sink_frames=3,
    ),
    # LongLive's semantics at a size that steps in milliseconds, for tests.
    "tiny": GeneratorConfig(
        transformer=TransformerConfig(
            dim=48,
            ffn_dim=96,
            heads=2,
            layers=2,
            text_tokens=6,
            text_dim=16,
            time_frequencies=32,
            latent_height=4,
            latent_width=6,
        ),
        block_frames=3,
        window_frames=12,
        sink_frames=3,
    ),
}


def even_timesteps(steps: int) -> tuple[float, ...]:
    """Return evenly spaced timesteps for `GeneratorConfig`, falling from 1000."""
    return tuple(1000 * (1 - step / steps) for step in range(steps))


def preset_names() -> list[str]:
    """Return the names that `preset` knows."""
    return sorted(_PRESETS)


def preset(name: str) -> GeneratorConfig:
    """Return the named configuration; raises ConfigError for an unknown name."""
    try:
        return _PRESETS[name]
    except KeyError:
        raise ConfigError(f"no model is called {name!r}; there are {', '.join(preset_names())}") from None
