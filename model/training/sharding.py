"""Spreads a transformer over the ranks (FSDP2): each holds a share of every parameter, in fp32, and computes in bf16.

    mesh = make_mesh(torch.device("cuda"), shard_ranks=8)        # 64 GPUs: 8 copies, each spread over 8
    spread(transformer, mesh, compute=torch.bfloat16)

Each layer is gathered just before it runs and dropped after it. With hybrid sharding a layer is gathered within a node
only, and gradients are summed between nodes.
"""

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from longtake.model.errors import ConfigError
from longtake.model.network.transformer import Transformer

OUTSIDE_FORWARD = ("embed_text", "prompt_kv")
"""methods of a transformer that use its parameters outside of its forward; its forward must not call them, since
each drops at its end what it gathered"""


def make_mesh(device: torch.device, shard_ranks: int = 0) -> DeviceMesh:
    """Return the ranks as copies times shares.

    Args:
        device: where they compute.
        shard_ranks: ranks that share one copy; 0 for all. On several nodes: those of a node.

    Raises:
        ConfigError: the ranks cannot be shared out like that.
    """
    if not distributed.is_initialized():
        # A run of one process is spread over itself, so that there is one way to train.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
    ranks = distributed.get_world_size()
    share = shard_ranks or ranks
    if share < 1 or ranks % share:
        raise ConfigError(f"shard_ranks {shard_ranks} does not divide the {ranks} ranks; 0 spreads over all")
    return init_device_mesh(device.type, (ranks // share, share), mesh_dim_names=("copies", "shares"))


def leave_mesh() -> None:
    """Undo what `make_mesh` did for a run of one process; ranks that were started together part elsewhere."""
    if distributed.is_initialized() and distributed.get_world_size() == 1:
        distributed.destroy_process_group()


def spread(transformer: Transformer, mesh: DeviceMesh, *, compute: torch.dtype) -> None:
    """Spread a transformer over a mesh, in place: its parameters become shares on the mesh's device.

    Args:
        transformer: with its weights, the same on all ranks; LoRA is added before.
        mesh: from `make_mesh`.
        compute: the type that parameters are gathered in. Gradients are summed in fp32.
    """
    # Nothing writes into what a layer or the transformer returns.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in transformer.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
        register_fsdp_forward_method(layer, "prompt_kv")
    # The rest too is dropped after each forward: what is kept would miss the next update if no backward came between.
    fully_shard(transformer, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    for name in OUTSIDE_FORWARD:
        register_fsdp_forward_method(transformer, name)


def local(x: Tensor) -> Tensor:
    """Return this rank's share of a tensor; a tensor that is not spread is returned itself."""
    return x.to_local() if isinstance(x, DTensor) else x


def whole(x: Tensor) -> Tensor:
    """Return a tensor put together from all ranks, which all have to ask."""
    return x.full_tensor() if isinstance(x, DTensor) else x


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Clip the norm of all gradients together, without waiting for the device; if it is not finite they become zero.

    Returns:
        The norm before.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = whole(nn.utils.get_total_norm(grads))
    scale = torch.where(norm.isfinite(), (most / (norm + 1e-6)).clamp_max(1.0), torch.zeros_like(norm))
    for grad in map(local, grads):
        grad.mul_(scale).nan_to_num_(0.0, 0.0, 0.0)  # infinity times zero is not a number
    return norm


class Averages:
    """The running average of a module's trained parameters, spread like them.

    Args:
        module: whose.
        decay: share of the average that stays at each update.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, *, started: bool) -> None:
        """Move the average towards the parameters; until it has started, it is a copy of them."""
        averages = [local(value) for value in self.values.values()]
        current = [local(self._parameters[name].detach()) for name in self.values]
        torch._foreach_lerp_(averages, current, 1 - self.decay if started else 1.0)
