"""The table of models: every line leads to a spec, and what is no world model is refused by name."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from longtake.model.errors import ConfigError
from longtake.model.interface import (
    REGISTRY,
    VERBS,
    Conditioning,
    LoadRequest,
    ModelInfo,
    ModelSpec,
    ModelUnknown,
    load_model,
    missing_verbs,
    model_names,
    model_spec,
    model_specs,
)

INFO = ModelInfo(name="x", height=2, width=2, fps=16, block_frames=4, first_block_frames=4, window_blocks=1)


def stub(*without: str) -> SimpleNamespace:
    verbs = {verb: lambda *_: None for verb in VERBS if verb not in without}
    return SimpleNamespace(**({} if "info" in without else {"info": INFO}), **verbs)


def test_every_line_leads_to_a_spec() -> None:
    assert [spec.name for spec in model_specs()] == model_names()
    for spec in model_specs():
        assert spec.summary
        assert spec.licence
        for argument in spec.arguments:
            assert argument.option in spec.options.names(), argument.flag


def test_models_that_share_an_argument_agree_on_it() -> None:
    seen = {}
    for spec in model_specs():
        for argument in spec.arguments:
            assert seen.setdefault(argument.flag, argument) == argument


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelUnknown, match=r"no model is called 'x'; there are: diorama, longlive-1.3b"):
        model_spec("x")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere", "not of the form module:name"),
        ("longtake.model.errors:ConfigError", "is no ModelSpec"),
        ("longtake.model.errors:NOTHING", "is no ModelSpec"),
        ("longtake.model.diorama.spec:SPEC", "is the spec of diorama"),
    ],
)
def test_a_wrong_line_is_named(monkeypatch: pytest.MonkeyPatch, target: str, said: str) -> None:
    monkeypatch.setitem(REGISTRY, "mine", target)
    with pytest.raises(ConfigError, match=said):
        model_spec("mine")


@pytest.mark.parametrize("verb", ["info", *VERBS])
def test_a_model_that_lacks_a_verb_is_refused_by_its_name(verb: str) -> None:
    assert missing_verbs(stub(verb)) == [verb]
    # the type is wrong on purpose: this is what no checker has seen
    spec = ModelSpec(name="mine", summary="", load=lambda request: stub(verb))  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match=f"model mine lacks {verb}: a world model has every verb"):
        load_model(spec, LoadRequest(name="mine"))


FACTORY = """
from types import SimpleNamespace
from longtake.model.interface import VERBS

def load(name, *, device, precision, threads, options=None):
    verbs = {verb: lambda *_: None for verb in VERBS if verb != (options or {}).get("without")}
    return SimpleNamespace(info=(name, device, precision, threads, options), **verbs)
"""


def test_a_factory_loads_any_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a_factory.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = model_spec("mine", "a_factory:load")
    assert load_model(spec, LoadRequest(name="mine", device="cpu")).info == ("mine", "cpu", "auto", 0, None)
    options = {"without": "restore"}
    with pytest.raises(ConfigError, match="model mine lacks restore"):
        load_model(spec, LoadRequest(name="mine", options=options))
    with pytest.raises(ModelUnknown, match="a_factory has no function nothing"):
        load_model(model_spec("mine", "a_factory:nothing"), LoadRequest(name="mine"))
    with pytest.raises(ModelUnknown, match="not of the form module:name"):
        model_spec("mine", "a_factory")


def test_the_interface_and_the_specs_need_no_torch() -> None:
    code = (
        "import sys; from longtake.model.interface import model_specs;"
        "assert all(spec.weights is None or spec.weights() for spec in model_specs());"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_conditioning_is_compared_by_what_it_says() -> None:
    assert Conditioning(prompt="a fox") == Conditioning(prompt="a fox") != Conditioning(prompt="a boat")
