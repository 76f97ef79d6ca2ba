"""What runs a pass, by name. To add one, see docs/howto/add-a-kernel.md.

| name | what it is | where |
|---|---|---|
| eager | the layers as they are | everywhere |
| cpu | the layers' arithmetic regrouped (`longtake.model.execution.cpu`) | CPU |
| compiled | the layers through torch's compiler (`longtake.model.execution.compiled`) | with a compiler |
| triton | our own kernels between the products (`longtake.model.execution.triton`) | GPU, half precision, with Triton |

CUDA graphs are not in the table: they record whatever executor is chosen.
"""

from collections.abc import Sequence

from longtake.model.choice import Choice, Registry, Target
from longtake.model.execution.base import Executor, ExecutorFactory
from longtake.model.execution.compiled import compiled_executor, missing_compiler
from longtake.model.execution.cpu import CpuExecutor
from longtake.model.execution.eager import EagerExecutor
from longtake.model.network.transformer import Transformer
from longtake.model.ops.triton.available import missing_triton


def _eager(transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]) -> Executor:
    return EagerExecutor(transformer, timesteps)


def _cpu(transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]) -> Executor:
    return CpuExecutor(transformer, timesteps)


def _triton(transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]) -> Executor:
    # Triton is there on some machines only.
    from longtake.model.execution.triton import triton_executor

    return triton_executor(transformer, timesteps, warm_up_frames)


def _automatic(target: Target) -> str:
    if target.device.type == "cpu":
        return "cpu"
    return "eager" if missing_triton(target) else "triton"


def _missing_cpu(target: Target) -> str | None:
    return None if target.device.type == "cpu" else f"execution 'cpu' is for the CPU, not {target.device.type}"


EXECUTIONS: Registry[ExecutorFactory] = Registry(
    "execution",
    {
        "eager": Choice(make=lambda target: _eager),
        "cpu": Choice(make=lambda target: _cpu, missing=_missing_cpu),
        "compiled": Choice(make=lambda target: compiled_executor, missing=missing_compiler),
        "triton": Choice(make=lambda target: _triton, missing=missing_triton),
    },
    _automatic,
)
