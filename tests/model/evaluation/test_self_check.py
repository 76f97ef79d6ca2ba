"""The self-check passes on this machine, and notices wrong weights."""

from typing import Any

import pytest

from longtake.model.evaluation.self_check import run_self_check


def test_the_self_check_passes_here_and_notices_wrong_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from longtake.model.evaluation import self_check

    # Interpreted kernels are slow; test_triton.py has them.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    results = list(run_self_check("cpu"))
    assert len(results) == 16  # for both kinds of positions: 5 plain, fp8 and int8 maps, fp8 keys and values
    assert all(result.passed for result in results), [result.summary() for result in results]

    monkeypatch.setattr(self_check, "run_case", lambda case, config, weights, **how: spoiled(case, config, weights))

    def spoiled(case: Any, config: Any, weights: Any) -> Any:
        from longtake.model.evaluation.conformance import run_case

        return run_case(case, config, {**weights, "head.head.bias": weights["head.head.bias"] + 0.1})

    assert not next(run_self_check("cpu")).passed
