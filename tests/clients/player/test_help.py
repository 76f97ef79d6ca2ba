"""What F1 shows."""

from msgspec.structs import replace

from longtake.clients.player.help import FOR_DIRECTORS, KEYS, keys_of, known_of
from longtake.clients.player.state import PlayerState
from tests.clients.player.test_view import JOINED, MODEL


def state(role: str, knows: dict[str, list[str]] | None = None) -> PlayerState:
    return PlayerState(info=replace(JOINED, role=role, model=replace(MODEL, knows=knows or {})))


def test_a_director_sees_every_key_and_a_viewer_those_that_work():
    assert keys_of(state("director")) == list(KEYS)
    viewer = dict(keys_of(state("viewer")))
    assert FOR_DIRECTORS.isdisjoint(viewer)
    assert "F12" in viewer
    assert "record" not in viewer["F9"]


def test_every_key_for_directors_is_a_key():
    assert {key for key, _ in KEYS} >= FOR_DIRECTORS


def test_it_lists_what_the_world_knows():
    assert known_of(state("viewer", {"place": ["city", "ocean"]})) == [("place", "city, ocean")]
    assert known_of(state("viewer")) == known_of(PlayerState()) == []
