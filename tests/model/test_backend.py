"""What becomes of `auto`, and what is refused before weights are read."""

import shutil

import pytest
import torch

from longtake.model.backend import Backend
from longtake.model.errors import BackendError, ConfigError
from longtake.model.ops.linear import onednn
from longtake.model.ops.linear import registry as linears
from longtake.model.options import FAST, BackendOptions, CompiledOptions


def chosen(options: BackendOptions | None = None, device: str = "cpu", threads: int = 1) -> Backend:
    return Backend.chosen(device, torch.float32, options, block_tokens=8, threads=threads)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)


def test_every_auto_is_resolved() -> None:
    backend = chosen()
    assert (backend.attention, backend.cache, backend.execution, backend.graphs) == ("bmm", "plain", "cpu", False)
    assert backend.linear in ("onednn", "plain")
    assert backend.options == BackendOptions()


def test_plain_linears_are_run_as_they_are() -> None:
    assert chosen(BackendOptions(linear="plain")).execution == "eager"
    assert chosen(BackendOptions(linear="plain", execution="cpu")).execution == "cpu"


def test_fast_is_eight_bits_on_a_hopper_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (FAST["linear"], FAST["attention"]) == ("fp8", "flash3-fp8")
    options = BackendOptions(fast=True)
    assert (options.wanted_linear, options.wanted_attention) == ("fp8", "flash3-fp8")
    with pytest.raises(BackendError, match="'flash3-fp8' needs a CUDA device, not cpu"):
        chosen(options)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    with pytest.raises(BackendError, match="'flash3-fp8' needs a Hopper GPU"):
        Backend.chosen("cuda", torch.bfloat16, options)
    with pytest.raises(ConfigError, match="fast and linear=int8 contradict each other"):
        BackendOptions(fast=True, linear="int8")


def test_a_gpu_runs_eagerly_beside_its_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    backend = chosen(device="cuda")
    assert (backend.attention, backend.linear, backend.execution, backend.overlap) == ("sdpa", "plain", "eager", True)
    assert chosen(device="cuda").graphs
    assert chosen(BackendOptions(graphs=True), device="cuda").graphs
    assert not chosen(BackendOptions(graphs=False), device="cuda").graphs
    with pytest.raises(BackendError, match="execution 'cpu' is for the CPU, not cuda"):
        chosen(BackendOptions(execution="cpu"), device="cuda")


def test_every_choice_has_one_verdict_and_every_knob_one_choice() -> None:
    verdicts = chosen().verdicts
    assert len({(verdict.knob, verdict.name) for verdict in verdicts}) == len(verdicts)
    for knob in ("attention", "linear", "cache", "execution"):
        mine = [verdict for verdict in verdicts if verdict.knob == knob]
        assert [verdict.name for verdict in mine if verdict.chosen] == [getattr(chosen(), knob)]
        assert all(verdict.missing is None for verdict in mine if verdict.chosen)
    reasons = {verdict.name: verdict.missing for verdict in verdicts}
    assert "needs a CUDA device" in str(reasons["flash3"])
    assert {verdict.knob for verdict in verdicts} >= {"graphs", "overlap"}


@pytest.mark.usefixtures("compiler")
def test_compiling_takes_plain_linears(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in (CompiledOptions(compile=True), BackendOptions(execution="compiled")):
        backend = chosen(options)
        assert (backend.execution, backend.linear, backend.graphs) == ("compiled", "plain", False)
    assert chosen(CompiledOptions(compile=True, linear="fp8")).linear == "fp8"
    for module in (onednn, linears):
        monkeypatch.setattr(module, "has_onednn", lambda device, dtype: True)
    with pytest.raises(BackendError, match="leave --compile out"):
        chosen(CompiledOptions(compile=True, linear="onednn"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert not chosen(CompiledOptions(compile=True), device="cuda").graphs
    with pytest.raises(BackendError, match="leave graphs out, or --compile"):
        chosen(CompiledOptions(compile=True, graphs=True), device="cuda")
    with pytest.raises(ConfigError, match="contradict each other"):
        CompiledOptions(compile=True, execution="eager")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BackendOptions(attention="magic"), "no attention is called 'magic'; there are auto, flash3"),
        (BackendOptions(linear="fp7"), "no linear is called 'fp7'"),
        (BackendOptions(cache="int4"), "no cache is called 'int4'; there are auto, plain, fp8"),
        (BackendOptions(execution="magic"), "no execution is called 'magic'; there are auto, eager, cpu, compiled"),
        (BackendOptions(graphs=True), "CUDA graphs need a CUDA device, not cpu; leave graphs out"),
    ],
)
def test_what_cannot_be_had_is_refused(options: BackendOptions, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        chosen(options)
