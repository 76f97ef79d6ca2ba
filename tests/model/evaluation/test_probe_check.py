"""What eight bits cost diorama, in latents and in what the probe reads: on the shipped weights, where they are."""

import inspect
from dataclasses import replace

import pytest
import torch

from longtake.model.diorama.files import bundled_folder, part_paths
from longtake.model.diorama.labels import SCORED
from longtake.model.diorama.spec import SPEC
from longtake.model.evaluation.fast_paths import FastPath, fast_paths
from longtake.model.evaluation.probe_check import ProbedTake, compare, run_probe_check
from longtake.model.interface.spec import SelfCheck
from longtake.model.options import BackendOptions
from longtake.model.pieces import pieces

HERE = all(path.is_file() for part in part_paths(bundled_folder()) for path in pieces(part))


@pytest.mark.skipif(not HERE, reason="diorama's weights are not here")
@pytest.mark.slow
def test_eight_bits_leave_what_the_pictures_show() -> None:
    paths = [
        FastPath(precision="fp32", options=BackendOptions(attention="sdpa")),
        FastPath(precision="fp32", options=BackendOptions(linear="fp8")),
        FastPath(precision="fp32", options=BackendOptions(linear="int8")),
        FastPath(precision="fp32", options=BackendOptions(cache="fp8")),
    ]
    results = list(run_probe_check("cpu", paths=paths, blocks=5, switch_block=3))
    exact, *eight_bits = results
    assert all(result.passed for result in results), [result.summary() for result in results]
    assert exact.worst < 1e-5
    assert exact.confidence_change < 1e-3
    for result in eight_bits:
        assert min(result.block_errors) > 1e-3
        assert result.readings == 2 * 2 * len(SCORED)
        assert "labels the same" in result.summary()
    assert len({result.worst for result in eight_bits}) == 3, "each path is taken"


def test_the_self_check_of_diorama_reaches_it() -> None:
    """`conformance --self` without a model; a generator runs nothing before its first result is asked for."""
    assert SPEC.self_check is not None
    asked = SelfCheck(device="cpu", options={}, compile=False)
    assert inspect.isgenerator(SPEC.self_check(asked))


def reading(label: str, confidence: float) -> tuple[dict[str, str], dict[str, float]]:
    return dict.fromkeys(SCORED, label), dict.fromkeys(SCORED, confidence)


def test_a_sure_reading_that_changes_fails() -> None:
    latents = [torch.ones(1, 1, 2, 2, 2)]
    plain = ProbedTake(latents=latents, readings=[reading("snow", 0.9), reading("fog", 0.5)])
    same = compare("x", plain, plain, 1e-5)
    assert same.passed
    assert (same.changed, same.confidence_change) == ((), 0.0)
    unsure = replace(plain, readings=[reading("snow", 0.8), reading("rain", 0.5)])
    result = compare("x", unsure, plain, 1e-5)
    assert result.passed
    assert result.confidence_change == pytest.approx(0.1)
    assert "weather fog -> rain (0.50)" in result.summary()
    lost = compare("x", replace(plain, readings=[reading("rain", 0.9), reading("fog", 0.5)]), plain, 1e-5)
    assert not lost.passed
    assert lost.lost == len(SCORED)
    assert "FAILED" in lost.summary()
    far = compare("x", replace(plain, latents=[1.1 * latents[0]]), plain, 1e-5)
    assert not far.passed


def test_every_path_that_works_here_is_taken() -> None:
    paths = list(fast_paths(torch.device("cpu"), 60))
    assert len({path.name for path in paths}) == len(paths)
    assert {path.options.linear for path in paths} >= {"auto", "fp8", "int8"}
    assert {path.options.cache for path in paths} == {"plain", "fp8"}
    assert {path.options.attention for path in paths} >= {"auto", "bmm", "sdpa"}
