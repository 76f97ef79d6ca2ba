"""A conditioning travels as plain fields of messages and records."""

import msgspec

from longtake.protocol.conditioning import Conditioning, carried, fields, new_fields, newly_carried
from longtake.protocol.generator_messages import GenOpen, GenStep
from longtake.protocol.wire import encode

FOX = Conditioning(prompt="a fox", actions=(1.0, -0.25))


def test_what_was_put_in_is_carried() -> None:
    message = GenOpen(world="w1", generation=0, model="m", seed=1, **fields(FOX))
    assert carried(message) == FOX
    assert message == GenOpen(world="w1", generation=0, model="m", seed=1, prompt="a fox", actions=(1.0, -0.25))


def test_a_step_carries_a_new_conditioning_only() -> None:
    same = GenStep(world="w1", generation=0, block=3, **new_fields(None))
    assert newly_carried(same) is None
    new = GenStep(world="w1", generation=0, block=3, **new_fields(FOX))
    assert newly_carried(new) == FOX
    assert msgspec.msgpack.decode(encode(new)) == {
        "type": "gen_step",
        "world": "w1",
        "generation": 0,
        "block": 3,
        "prompt": "a fox",
        "actions": [1.0, -0.25],
        "via": None,
        "late": False,
    }


def test_a_step_carries_detour_and_lateness_and_an_opening_has_neither() -> None:
    back = msgspec.structs.replace(FOX, via="a boat", late=True)
    assert newly_carried(GenStep(world="w1", generation=0, block=3, **new_fields(back))) == back
    assert fields(back).keys().isdisjoint({"via", "late"})
