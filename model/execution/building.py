"""Gives a transformer its kernels as a backend has chosen them, and builds what runs its passes."""

import logging
from collections.abc import Sequence

from longtake.model.backend import Backend
from longtake.model.errors import BackendError
from longtake.model.execution.base import Executor
from longtake.model.execution.registry import EXECUTIONS
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import Attention
from longtake.model.ops.linear.registry import LINEARS

log = logging.getLogger(__name__)

SAFE_EXECUTION = "eager"
"""what runs a pass if the automatic choice cannot be built"""


def build_executor(
    transformer: Transformer,
    backend: Backend,
    attention: Attention,
    timesteps: Sequence[float],
    warm_up_frames: Sequence[int],
) -> tuple[Executor, Backend]:
    """Return what runs the transformer, and the backend with the execution that it really has.

    The transformer's linears are fused or replaced in place.

    Args:
        transformer: with its final weights.
        backend: what to compute with.
        attention: what computes cross-attention.
        timesteps: of the sampler's steps.
        warm_up_frames: lengths in latent frames that a live world meets.

    Raises:
        BackendError: the execution that was asked for cannot be built. The automatic choice gives way to eager.
    """
    transformer.use_attention(attention)
    make_linear = LINEARS.make(backend.linear, backend.target)
    if make_linear is None:
        transformer.fuse_qkv()
    else:
        transformer.replace_linears(make_linear)
    make = EXECUTIONS.make(backend.execution, backend.target)
    try:
        return make(transformer, timesteps, warm_up_frames), backend
    except BackendError as error:
        if backend.execution == SAFE_EXECUTION or backend.options.wanted_execution != "auto":
            raise
        log.warning("execution %s instead of %s: %s", SAFE_EXECUTION, backend.execution, error)
    backend = backend.executing(SAFE_EXECUTION)
    return EXECUTIONS.make(SAFE_EXECUTION, backend.target)(transformer, timesteps, warm_up_frames), backend
