from dataclasses import replace
from pathlib import Path

import pytest

from longtake.model.config import preset
from longtake.model.diorama.files import bundled_folder, part_paths
from longtake.model.errors import BackendError, CheckpointError
from longtake.model.evaluation.ablations.conditions import (
    AS_IS,
    CLEAR,
    KEEP,
    LATE,
    NO_SINK,
    WHOLE,
    Condition,
    conditions,
    load_under,
)
from longtake.model.interface import Conditioning
from longtake.model.pieces import pieces

CONFIG = preset("diorama")


def test_every_condition_changes_what_it_names_and_nothing_else() -> None:
    assert AS_IS.drive(CONFIG) == CONFIG
    assert WHOLE.drive(CONFIG) == replace(CONFIG, recache_frames=0) != CONFIG
    assert KEEP.drive(CONFIG) == replace(CONFIG, recache="none", recache_frames=0)
    assert LATE.drive(CONFIG) == CONFIG
    assert CLEAR.drive(CONFIG) == replace(CONFIG, recache="clear", recache_frames=0)
    assert NO_SINK.drive(CONFIG) == replace(CONFIG, sink_frames=0)
    by_count = dict(conditions(CONFIG, precision="fp32")["steps"])
    other = by_count.popitem()
    assert other[0] == "4, renoise"
    assert other[1].drive(CONFIG) == replace(CONFIG, sampler="renoise")
    driven = {called: condition.drive(CONFIG).timesteps for called, condition in by_count.items()}
    assert driven == {
        "1 step": (1000.0,),
        "2 steps": (1000.0, 500.0),
        "4 steps": CONFIG.timesteps,
        "8 steps": (1000.0, 875.0, 750.0, 625.0, 500.0, 375.0, 250.0, 125.0),
    }


def test_what_changes_nothing_is_filmed_once() -> None:
    found = conditions(CONFIG, precision="bf16")
    same = [
        found["switch"]["recache"],
        found["sink"]["with sink"],
        found["steps"]["4 steps"],
        found["precision"]["bf16"],
    ]
    assert same == [AS_IS] * 4
    assert found["precision"]["fp32"].precision == "fp32"
    uneven = replace(CONFIG, timesteps=(1000.0, 400.0))
    assert conditions(uneven, precision="fp32")["steps"]["2 steps"] == AS_IS
    assert "whole window" in found["switch"]
    whole = replace(CONFIG, recache_frames=0)
    assert "whole window" not in conditions(whole, precision="bf16")["switch"], "it is what happens anyway"
    names = [condition.name for some in found.values() for condition in some.values()]
    assert len(set(names)) == len({condition for some in found.values() for condition in some.values()})


@pytest.mark.skipif(not all(pieces(path) for path in part_paths(bundled_folder())), reason="the weights are not here")
def test_a_loaded_model_runs_under_its_condition() -> None:
    def load(condition: Condition) -> tuple[object, str]:
        generator = load_under(bundled_folder(), condition, device="cpu", precision="fp32").generator
        return generator.config, generator.backend.linear

    usual, _ = load(AS_IS)
    for condition in (CLEAR, NO_SINK, conditions(CONFIG, precision="fp32")["steps"]["2 steps"]):
        assert load(condition)[0] == condition.drive(usual)  # type: ignore[arg-type]
    for name in ("int8", "fp8"):
        assert load(conditions(CONFIG, precision="fp32")["precision"][name]) == (usual, name)
    with pytest.raises(BackendError, match="'te-fp8' needs a CUDA device"):
        load(Condition(name="x", says="", linear="te-fp8"))


@pytest.mark.skipif(not all(pieces(path) for path in part_paths(bundled_folder())), reason="the weights are not here")
def test_cues_are_late_under_that_condition_alone() -> None:
    blocks = {}
    for condition in (AS_IS, LATE):
        model = load_under(bundled_folder(), condition, device="cpu", precision="fp32")
        world = model.open(seed=1, conditioning=Conditioning(prompt="a red fox in the snow"))
        model.step(world)
        model.cue(world, Conditioning(prompt="a red fox by the sea"))
        blocks[condition.name] = world.late_block
    assert blocks == {"as-is": None, "late": 1}


def test_weights_of_another_model_are_named(tmp_path: Path) -> None:
    (tmp_path / "transformer.safetensors").write_bytes(b"another model")
    with pytest.raises(CheckpointError, match=r"transformer\.safetensors"):
        load_under(tmp_path, AS_IS, device="cpu", precision="fp32")
