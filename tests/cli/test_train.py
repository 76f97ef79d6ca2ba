"""`longtake train`: hands over to the module of a part."""

from importlib.util import find_spec

from longtake.runtime.cli.train import PARTS


def test_every_part_has_its_module() -> None:
    for module in PARTS.values():
        assert find_spec(f"longtake.model.training.{module}") is not None, module
