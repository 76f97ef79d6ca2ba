"""The executor of our own kernels against the plain layers, and what happens if a kernel cannot be built."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="needs triton")

from longtake.model.choice import Target
from longtake.model.errors import BackendError
from longtake.model.evaluation.conformance import read_case, read_config, read_weights, run_case
from longtake.model.evaluation.fast_paths import fast_paths
from longtake.model.execution import triton as execution
from longtake.model.execution.eager import EagerExecutor
from longtake.model.execution.registry import EXECUTIONS
from longtake.model.execution.triton import TritonLayer
from longtake.model.generation.generator import Generator
from longtake.model.options import BackendOptions

GOLDENS = Path(__file__).parents[2] / "data" / "goldens"


def film(small: Any, generator: Generator, **more: Any) -> list[Tensor]:
    """Past the end of the window, with a prompt change before and after it; then what the cache holds."""
    config = generator.config
    world = generator.open(seed=more.get("seed", 1), embedding=small.embedding(config, 0))
    made = []
    for index in range(config.window_frames // config.block_frames + 2):
        if index in (1, config.window_frames // config.block_frames + 1):
            generator.cue(world, embedding=small.embedding(config, index))
        made.append(generator.step(world).latents)
    generator.settle(world)
    return [*made, world.cache.keys, world.cache.values, world.cache.unrotated_sink_keys]


@pytest.mark.parametrize(("positions", "recache"), [("absolute", "longlive"), ("relative", "causal")])
@pytest.mark.parametrize(("block", "window", "sink"), [(3, 12, 3), (2, 7, 1)])
def test_a_take_is_the_same(small: Any, block: int, window: int, sink: int, positions: str, recache: str) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink,
        positions=positions,
        recache=recache,
        sink_on_recache="refresh",
        timesteps=(1000.0, 500.0),
    )
    wanted, made = (
        film(small, small.generator(config, execution=name, linear="plain"), seed=[1, 2])
        for name in ("eager", "triton")
    )
    errors = [small.error(a, b) for a, b in zip(made, wanted, strict=True) if b.numel()]
    assert max(errors) < 2e-5, errors


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
def test_conformance(dtype: torch.dtype, bound: float) -> None:
    config, weights = read_config(GOLDENS), read_weights(GOLDENS)
    case = read_case(GOLDENS / "stream.safetensors")
    assert case is not None
    options = BackendOptions(execution="triton", linear="plain")
    result = run_case(case, config, weights, dtype=dtype, options=options)
    assert max(result.block_errors) < bound, result.summary()


def test_fp8_linears_and_an_fp8_ring(small: Any) -> None:
    """Quantised inside the kernels, as far from the plain take as the plain executor with the same linears."""
    config = small.config(timesteps=(1000.0, 500.0))
    exact = film(small, small.generator(config, execution="eager", linear="plain"))
    asked = {"linear": "fp8", "cache": "fp8"}
    made, plain = (film(small, small.generator(config, execution=name, **asked)) for name in ("triton", "eager"))
    frames = slice(0, config.window_frames // config.block_frames + 2)

    def largest(film: list[Tensor]) -> float:
        return max(small.error(a, b) for a, b in zip(film[frames], exact[frames], strict=True))

    # The interpreter's casts to e4m3 are three times as coarse as a GPU's.
    assert largest(made) < 3 * largest(plain)


def test_conformance_against_itself_covers_it() -> None:
    paths = list(fast_paths(torch.device("cpu"), 8))
    assert [path.precision for path in paths if path.options.execution == "triton"] == ["fp32", "bf16"]


def test_it_is_the_automatic_choice_on_a_gpu_with_triton() -> None:
    half, full = (Target(device=torch.device("cuda"), dtype=dtype) for dtype in (torch.bfloat16, torch.float32))
    assert EXECUTIONS.resolve("auto", half) == "triton"
    assert EXECUTIONS.resolve("auto", full) == "eager"
    assert "half precision" in str(EXECUTIONS.missing("triton", full))


def test_without_triton_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "needs a CUDA device" in str(
        EXECUTIONS.missing("triton", Target(device=torch.device("cpu"), dtype=torch.float32))
    )
    monkeypatch.setattr("longtake.model.ops.triton.available.find_spec", lambda name: None)
    target = Target(device=torch.device("cuda"), dtype=torch.bfloat16)
    assert EXECUTIONS.resolve("auto", target) == "eager"
    with pytest.raises(BackendError, match="pip install triton"):
        EXECUTIONS.resolve("triton", target)


def test_a_kernel_that_cannot_be_built_is_an_error_if_asked_for(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **more: Any) -> Tensor:
        raise RuntimeError("no C compiler\nand more")

    monkeypatch.setattr(execution, "add_norm", fail)
    with pytest.raises(BackendError, match=r"cannot be built here: no C compiler; use --option execution=eager"):
        small.generator(small.config(), execution="triton", linear="plain")


def test_a_kernel_that_cannot_be_built_is_left_out_if_it_was_chosen(
    small: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **more: Any) -> Tensor:
        raise OSError("no driver")

    monkeypatch.setattr(execution, "add_norm", fail)
    monkeypatch.setattr(EXECUTIONS, "_automatic", lambda target: "triton")
    generator = small.generator(small.config())
    assert isinstance(generator.executor, EagerExecutor)
    assert generator.backend.execution == "eager"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no driver" in caplog.text


def test_separate_linears_are_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="call fuse_qkv first"):
        TritonLayer(small.transformer(small.config()).layers[0])
