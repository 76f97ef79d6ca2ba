"""The layers run as they are, one operator after the other: what every other executor is compared with."""

from collections.abc import Sequence

from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.execution.base import WithConditions
from longtake.model.network.layers import PromptKV
from longtake.model.network.transformer import Condition, RunLayer, Transformer


class EagerExecutor(WithConditions):
    """See the module and `Executor`.

    Args:
        transformer: with its final weights.
        timesteps: of the sampler, 0 to 1000.
        layers: run these instead of the transformer's layers.
        warm_up_frames: see `Executor`.
    """

    slots_are_data = False

    def __init__(
        self,
        transformer: Transformer,
        timesteps: Sequence[float],
        *,
        layers: Sequence[RunLayer] | None = None,
        warm_up_frames: Sequence[int] = (),
    ) -> None:
        super().__init__(transformer, timesteps)
        self._layers = layers
        self.warm_up_frames = warm_up_frames

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`."""
        flow: Tensor = self._transformer(latents, condition, prompt_kv, block.attend, layers=self._layers)
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`."""
        keys, values = self._transformer.last_keys_values(
            latents, condition, prompt_kv, block.attend, layers=self._layers
        )
        block.store(len(prompt_kv) - 1, keys, values)
