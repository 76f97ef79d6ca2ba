"""The contact sheets of docs/: the command makes all three, and one row of a pair has no recache."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from longtake.model.diorama.files import bundled_folder
from longtake.model.diorama.loading import load_diorama
from longtake.model.evaluation import sheets

if not (bundled_folder() / "encoder.safetensors").is_file():
    pytest.skip("the weights are not in this checkout", allow_module_level=True)


def test_the_command_makes_every_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PROMPTS": sheets.PROMPTS[:2],
        "SWITCHES": sheets.SWITCHES[:1],
        "STORY": ((0.0, "a fox by day"), (0.25, "a fox at night")),
        "STORY_SECONDS": 0.5,
        "PROMPT_SECONDS": (0.0, 0.25),
        "SWITCH_SECONDS": (0.0, 0.5),
        "SWITCH_AT_S": 0.25,
    }.items():
        monkeypatch.setattr(sheets, name, value)
    monkeypatch.setattr(sys, "argv", ["sheets", "--out", str(tmp_path)])
    sheets.main()
    sizes = {}
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
    assert sizes == {
        "sheet-prompts.jpg": (640, 2 * 208),
        "sheet-switches.jpg": (640, 2 * 208),
        "longtake.webp": (320, 214),
    }


def test_a_twin_without_recache_leaves_the_window_and_the_model_alone() -> None:
    model = load_diorama(bundled_folder(), precision="fp32")
    config = model.generator.config
    twin = sheets.without_recache(model)
    assert model.generator.config is config
    for each, recached in ((model, 1), (twin, 0)):
        world = each.generator.open(seed=1, prompt="a fox by day")
        each.generator.step(world)
        each.generator.settle(world)
        groups = world.groups
        each.generator.cue(world, "a fox at night")
        each.generator.catch_up(world)
        assert world.groups == groups + recached
        each.close(world)
