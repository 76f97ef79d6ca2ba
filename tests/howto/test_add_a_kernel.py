"""What docs/howto/add-a-kernel.md says, done: a toy attention, linear and executor, one line each, a take."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.choice import Choice, Target
from longtake.model.config import preset
from longtake.model.errors import BackendError
from longtake.model.execution.base import Executor, ExecutorFactory
from longtake.model.execution.eager import EagerExecutor
from longtake.model.execution.registry import EXECUTIONS
from longtake.model.generation.generator import Generator
from longtake.model.network.layers import Attend, Layer, Modulation, PromptKV
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.ops.attention.registry import ATTENTIONS
from longtake.model.ops.linear import LinearFactory, LinearOp
from longtake.model.ops.linear.base import with_gelu
from longtake.model.ops.linear.registry import LINEARS
from longtake.model.options import BackendOptions


def chunked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query at a time."""
    return torch.cat([sdpa(part, k, v) for part in q.split(1, dim=2)], dim=2)


def missing_chunked(target: Target) -> str | None:
    return None if target.device.type == "cpu" else "attention 'chunked' is for the CPU; leave attention out"


def doubled_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """The product in fp64."""
    wide, wide_bias = weight.double(), bias.double()
    return with_gelu(lambda x: F.linear(x.double(), wide, wide_bias).to(x.dtype), gelu)


class TimedLayer:
    """A layer that counts its runs."""

    runs = 0

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def __call__(self, x: Tensor, condition: Tensor | Modulation, attend: Attend, prompt_kv: PromptKV) -> Tensor:
        TimedLayer.runs += 1
        out: Tensor = self._layer(x, condition, attend, prompt_kv)
        return out


def timed_executor(transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]) -> Executor:
    return EagerExecutor(transformer, timesteps, layers=[TimedLayer(layer) for layer in transformer.layers])


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the page adds to the tables.
    attention = Choice[Attention](make=lambda target: chunked, missing=missing_chunked)
    monkeypatch.setitem(ATTENTIONS.choices, "chunked", attention)
    monkeypatch.setitem(LINEARS.choices, "doubled", Choice[LinearFactory](make=lambda target: doubled_linear))
    monkeypatch.setitem(EXECUTIONS.choices, "timed", Choice[ExecutorFactory](make=lambda target: timed_executor))
    monkeypatch.setattr(TimedLayer, "runs", 0)


def take(**texts: str) -> list[Tensor]:
    """Film past the window, with a prompt change."""
    config = preset("tiny")
    torch.manual_seed(0)
    transformer = Transformer(config.transformer)
    torch.nn.init.xavier_uniform_(transformer.head.head.weight)
    backend = Backend.chosen("cpu", torch.float32, BackendOptions.parse(texts), block_tokens=config.block_tokens)
    generator = Generator(transformer, None, None, config, backend)
    sizes = config.transformer
    prompts = torch.randn(2, 1, sizes.text_tokens, sizes.text_dim, generator=torch.Generator().manual_seed(1))
    world, made = generator.open(seed=1, embedding=prompts[0]), []
    for index in range(6):
        if index == 4:
            generator.cue(world, embedding=prompts[1])
        made.append(generator.step(world).latents)
    generator.settle(world)
    return made


@pytest.mark.parametrize("option", ["attention=chunked", "linear=doubled", "execution=timed"])
def test_a_take_is_made_with_it(option: str) -> None:
    name, value = option.split("=")
    for made, wanted in zip(take(**{name: value}), take(linear="plain"), strict=True):
        assert torch.allclose(made, wanted, atol=1e-5)


def test_the_executor_runs_every_layer_of_every_pass() -> None:
    take(execution="timed")
    layers, flows = preset("tiny").transformer.layers, 6 * len(preset("tiny").timesteps)
    # Clean passes, and the recache in the place of one of them, stop at the last layer's keys and values.
    assert TimedLayer.runs == flows * layers + 6 * (layers - 1)


def test_doctor_knows_them_and_their_reasons() -> None:
    names = {(verdict.knob, verdict.name) for verdict in Backend.chosen("cpu", torch.float32).verdicts}
    assert names >= {("attention", "chunked"), ("linear", "doubled"), ("execution", "timed")}
    with pytest.raises(BackendError, match="is for the CPU; leave attention out"):
        Backend.chosen("cuda", torch.bfloat16, BackendOptions(attention="chunked"))
