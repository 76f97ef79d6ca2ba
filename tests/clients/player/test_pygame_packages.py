"""Two packages that share a folder."""

import pytest

from longtake.clients.player import pygame_packages


def test_two_pygames_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pygame_packages.pygame_conflict() == ""
    monkeypatch.setattr(pygame_packages, "version", lambda name: "2.6")
    said = pygame_packages.pygame_conflict()
    assert "pygame-ce 2.6 and pygame 2.6" in said
    assert "pip uninstall" in said
    assert "\n" not in said
