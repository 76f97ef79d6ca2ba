"""Use leaves no file where it does not belong: no socket, part, temporary folder, shared memory or process."""

import os
from pathlib import Path

import pytest

from tests.cli.use import MADE, Home, one_round

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of another kind")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_round_of_use_leaves_what_was_asked_for_and_nothing_else(tmp_path: Path) -> None:
    home = Home(folder=tmp_path)
    one_round(home)
    assert home.litter() == set()
    assert {f"work/{name}" for name in MADE} <= home.files()
