"""Weights of spread networks put together again, for use."""

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from longtake.model.network.transformer import Transformer
from longtake.model.training.files import write_whole
from longtake.model.training.sharded_checkpoint import Learner
from longtake.model.training.sharding import whole
from longtake.model.training.weights import metadata_of
from longtake.model.weights import Sampling


def gathered(each: Learner, *, keep: bool) -> dict[str, Tensor]:
    """Return a network's whole parameters on the CPU, averaged ones if there are; all ranks have to ask.

    Args:
        each: the network.
        keep: whether this rank wants them; one that does not gets nothing.
    """
    averages = {} if each.averages is None else each.averages.values
    state = {}
    for name, parameter in each.module.named_parameters():
        value = whole(averages.get(name, parameter.detach()))
        if keep:
            state[name] = value.cpu()
    return state


def write_network(network: Transformer, path: Path, sampling: Sampling | None = None) -> None:
    """Write a network's weights as safetensors, whole or not at all, with its sizes and how it is sampled.

    Raises:
        TrainingError: they cannot be written.
    """
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    metadata = metadata_of(network.config, sampling)
    write_whole(path, lambda beside: save_file(state, beside, metadata))
