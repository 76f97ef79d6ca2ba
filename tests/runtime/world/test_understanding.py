"""What a model takes a prompt for, on its way to the clients."""

from longtake.protocol.messages import Understood
from longtake.runtime.world.understanding import reader_of


def test_the_bundled_model_says_what_it_takes_a_prompt_for():
    assert reader_of("diorama")("purple train in the city") == Understood(
        labels={"place": "city", "actor": "train", "colour": "purple"},
        shown_as="purple train, city",
        by_chance=["time", "weather"],
        unknown=[],
    )


def test_a_model_that_can_show_anything_and_one_without_a_spec_say_nothing():
    assert reader_of("longlive-1.3b")("a fox") is None
    assert reader_of("toy")("a fox") is None
