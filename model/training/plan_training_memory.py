"""Counts the memory of a GPU that trains, and the size of checkpoints.

- A trained parameter takes 16 bytes: its fp32 master, its gradient, and Adam's two moments; 4 more with an average.
  What LoRA freezes takes 4, the teacher's 2. All are divided by the GPUs that share a copy.
- FSDP gathers two layers at a time in bf16, the one that runs and the next, and their gradients until they are summed.
- With checkpointing the graph keeps each layer's input, and of a rollout the keys and values that its blocks see. One
  layer at a time has all that its backward pass needs.
- A long take keeps its window's keys and values, for each member of the batch that a GPU works for.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.evaluation.plan import HALF_BYTES, transformer_parameters
from longtake.model.evaluation.plan_parts import DecoderCost

SAVED_WIDTHS: Final = 26
"""activations `[tokens, dim]` that a layer saves for its backward pass, beside two inside the FFN; a test counts"""
WINDOW_FRAMES: Final = 21
"""latent frames that the scores see, in every stage"""
MASTER, GRADIENT, ADAM, AVERAGE = 4, 4, 8, 4


@dataclass(frozen=True, kw_only=True)
class Held:
    """The networks whose memory counts; generator and critic have the same sizes."""

    config: GeneratorConfig
    teacher: TransformerConfig
    vae: DecoderCost

    @property
    def generator_values(self) -> int:
        """Parameters of generator or critic."""
        return values_of(self.config.transformer)

    def lora_values(self, rank: int) -> int:
        """Parameters of a network's LoRA."""
        sizes = self.config.transformer
        return rank * sizes.layers * (8 * 2 * sizes.dim + 2 * (sizes.dim + sizes.ffn_dim))

    def trained_values(self, stage: str, rank: int) -> int:
        """Parameters that learn in a stage, of all networks."""
        each = self.lora_values(rank) if rank else self.generator_values
        return {"trajectories": 0, "ode-init": 1}.get(stage, 2) * each

    def take_bytes(self) -> int:
        """Keys and values of a take's window."""
        sizes = self.config.transformer
        return 2 * HALF_BYTES * sizes.layers * sizes.dim * self.config.window_frames * sizes.frame_tokens


@lru_cache(maxsize=8)
def values_of(sizes: TransformerConfig) -> int:
    """Return a transformer's parameters; counting them builds one, without memory."""
    return sum(transformer_parameters(sizes))


def memory_of(held: Held, stage: str, *, shares: int, members: int, rank: int) -> dict[str, float]:
    """Return bytes of a GPU by use.

    Args:
        held: the networks.
        stage: trajectories, ode-init, self-forcing or streaming.
        shares: GPUs that share a copy.
        members: of the batch that this GPU works for, one after the other.
        rank: of the LoRA; 0 trains everything.
    """
    sizes, whole, trained = held.config.transformer, held.generator_values, held.trained_values(stage, rank)
    networks = {"trajectories": 0, "ode-init": 1}.get(stage, 2)
    judges = stage in ("trajectories", "self-forcing", "streaming")
    teacher = values_of(held.teacher) if judges else 0
    largest = held.teacher if judges else sizes
    return {
        "masters": MASTER * (networks * whole + (trained if rank else 0)) / shares,
        "gradients": GRADIENT * trained / shares,
        "optimiser": ADAM * trained / shares,
        "average": AVERAGE * (trained / networks if networks else 0) / shares,
        "teacher": HALF_BYTES * teacher / shares,
        "gathered layers": 2 * HALF_BYTES * _layer(largest) + HALF_BYTES * _rest(largest),
        "gradients of layers": (2 * (HALF_BYTES + GRADIENT) * _layer(sizes)) if trained and not rank else 0,
        "activations": _activations(held, stage),
        "long takes": held.take_bytes() * members if stage == "streaming" else 0,
        "VAE": _vae(held) if stage == "streaming" else 0,
    }


def disk_of(held: Held, stage: str, *, members: int, rank: int, steps: int) -> float:
    """Return the bytes of a checkpoint; of trajectories, those of all that so many steps make."""
    sizes = held.config.transformer
    frame = HALF_BYTES * sizes.latent_channels * sizes.latent_height * sizes.latent_width
    if stage == "trajectories":
        return frame * WINDOW_FRAMES * (len(held.config.timesteps) + 1) * members * steps
    trained = held.trained_values(stage, rank)
    averaged = held.lora_values(rank) if rank else held.generator_values
    takes = held.take_bytes() * members if stage == "streaming" else 0
    return (MASTER + ADAM) * trained + AVERAGE * averaged + takes


def saved_bytes(sizes: TransformerConfig, tokens: float) -> float:
    """Return what one layer saves for its backward pass."""
    return HALF_BYTES * tokens * (SAVED_WIDTHS * sizes.dim + 2 * sizes.ffn_dim)


def _activations(held: Held, stage: str) -> float:
    """Return the most that is alive at a time: the generator's turn, or the critic's."""
    sizes, config = held.config.transformer, held.config
    window = WINDOW_FRAMES * sizes.frame_tokens
    inputs = HALF_BYTES * sizes.layers * window * sizes.dim
    running = HALF_BYTES * WINDOW_FRAMES * held.teacher.frame_tokens * (3 * held.teacher.dim + 2 * held.teacher.ffn_dim)
    if stage == "trajectories":
        return running
    # Inputs of the layers, keys and values.
    graph = 3 * inputs
    backward = graph + saved_bytes(sizes, config.block_tokens)
    if stage == "ode-init":
        return backward
    # The teacher runs while the rollout's graph is kept; the critic's backward pass has its window in one.
    return max(backward, graph + running, inputs + saved_bytes(sizes, window))


def _vae(held: Held) -> float:
    return held.vae.weights_bytes + held.vae.state_bytes + held.vae.activation_bytes


def _layer(sizes: TransformerConfig) -> float:
    """Return the parameters of one layer: ten linear maps."""
    return 8 * sizes.dim**2 + 2 * sizes.dim * sizes.ffn_dim


def _rest(sizes: TransformerConfig) -> float:
    """Return the parameters outside of the layers."""
    return values_of(sizes) - sizes.layers * _layer(sizes)
