import shutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.choice import Choice, Target
from longtake.model.errors import BackendError
from longtake.model.execution import compiled
from longtake.model.execution.base import ExecutorFactory
from longtake.model.execution.compiled import compiled_executor, missing_compiler
from longtake.model.execution.registry import EXECUTIONS
from longtake.model.generation.generator import Generator


def target(device: str) -> Target:
    return Target(device=torch.device(device), dtype=torch.float32)


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """What was compiled for another test counts against the limit of this one."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Counting:
    """A back end that runs what it is given as it is, and counts it."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, module: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return module.forward


def film(small: Any, generator: Generator) -> list[Tensor]:
    """Past the end of the window, with a prompt change before and after it."""
    world = generator.open(seed=1, embedding=small.embedding(generator.config, 0))
    made = []
    for index in range(7):
        if index in (2, 6):
            generator.cue(world, embedding=small.embedding(generator.config, index))
        made.append(generator.step(world).latents)
    return made


@pytest.mark.parametrize("linear", ["plain", "fp8"])
def test_what_is_compiled_is_compiled_ahead_and_once_for_all_layers(
    small: Any, linear: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small.config(positions="relative")
    wanted = film(small, small.generator(config, linear=linear, execution="eager"))
    counting = Counting()
    compiled_here = Choice[ExecutorFactory](make=lambda target: partial(compiled_executor, compiler=counting))
    monkeypatch.setitem(EXECUTIONS.choices, "compiled", compiled_here)
    generator = small.generator(config, linear=linear, execution="compiled")
    told = []
    generator.warm_up(lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert counting.graphs == 4  # two halves of a layer, for a block and for the recache of a full window
    made = film(small, generator)
    assert counting.graphs == 4
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True)) < 1e-6


def test_without_compiling_there_is_nothing_to_warm_up(small: Any) -> None:
    generator = small.generator(small.config())
    told: list[int] = []
    generator.warm_up(lambda done, total: told.append(done))
    assert not told


def test_a_missing_compiler_says_what_to_install(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BackendError, match="install g"):
        small.generator(small.config(), execution="compiled")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    assert "triton" in str(missing_compiler(target("cuda")))


def test_onednn_linears_are_not_compiled(small: Any) -> None:
    with pytest.raises(BackendError, match="use --linear plain"):
        small.generator(small.config(), execution="compiled", linear="onednn")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(missing_compiler(target("cpu")) is not None, reason="there is no C++ compiler")
@pytest.mark.filterwarnings("default")
def test_compiled_code_makes_the_same_take(small: Any) -> None:
    config = small.config(positions="relative")
    wanted = film(small, small.generator(config))
    generator = small.generator(config, execution="compiled")
    generator.warm_up()
    made = film(small, generator)
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True)) < 1e-5
