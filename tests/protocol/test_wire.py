"""Decoding: hostile, broken and merely wrong bytes give a `ProtocolError` with the right code, and nothing else."""

from typing import Any, get_args

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from longtake.protocol import messages as m
from longtake.protocol import wire
from longtake.protocol.errors import ERROR_CODES, ProtocolError, error_message

UNIONS = (m.FromClient, m.FromServer, m.FromClientFrames, m.FromServerFrames)


def failure(data: bytes, union: Any = m.FromClient) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        wire.decode(data, union)
    error = caught.value
    assert error.code in ERROR_CODES
    assert "\n" not in str(error)
    assert 0 < len(str(error)) <= 400
    return error


def pack(**fields: Any) -> bytes:
    return msgpack.packb(fields)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x80\x80",  # two values
        b"\x81\xa4type",  # cut short
        b"\x90",  # no map
        b"\xc0",
        b"\xa5hello",
        b"\x81\xa4type\x03",  # `type` is no text
        b"\x80",
        b"\x81\xa4type\xa2\xff\xff",  # not UTF-8
        b"\x82\xa4type\xa5hello\xa4type\xa7goodbye",  # a key is there twice
        b"\x82\xa4type\xa7goodbye\xa1x\x82\xa1a\x01\xa1a\x01",
        b"\x81\x01\xa5hello",  # key is a number
        b"\x81\xc4\x04type\xa5hello",  # key is bytes
        b"\x81\x81\xa1a\x01\x02",  # key is a map
        b"\x81\x90\x02",  # key is an array
        b"\xdf\xff\xff\xff\xff",  # claims four thousand million entries
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffabc",
        b"\x91" * 100_000 + b"\xc0",  # nested
        b"\x81\xa1a" * 30_000 + b"\xc0",
        b"\x82\xa4type\xa7goodbye\xa1x\xd4\x05\x00",  # extension types
        b"\x82\xa4type\xa7goodbye\xa1x\xd6\xff\x00\x00\x00\x00",
        b"\x82\xa4type\xa7goodbye\xa1x\xc7\x00\xff",
        pack(type="goodbye", x=[[[[[[[[0]]]]]]]]),
        pack(type="goodbye", x=list(range(wire.MAX_ITEMS + 1))),
    ],
)
def test_what_is_no_message_is_malformed(data):
    assert failure(data).code == "malformed"


def test_depth_up_to_the_limit_is_read():
    assert wire.decode(pack(type="goodbye", x=[[[[[[[0]]]]]]]), m.FromClient) == m.Goodbye()


def test_a_large_message_is_refused_before_it_is_read():
    junk = b"\xc1" * (wire.MAX_REQUEST_BYTES + 1)
    assert failure(junk).code == "too_large"
    assert failure(b"\xc1" * wire.MAX_REQUEST_BYTES).code == "malformed"
    assert failure(junk, m.FromServer).code == "malformed"
    assert failure(b"\xc1" * (wire.MAX_MESSAGE_BYTES + 1), m.FromServer).code == "too_large"


def test_the_largest_open_fits_into_joined():
    slots = [m.Slot(name=f"s{n}", default="x" * 300) for n in range(390)]
    opened = m.Open(request=1, script=m.Script(slots=slots))
    assert wire.MAX_REQUEST_BYTES * 0.9 < len(wire.encode_checked(opened)) <= wire.MAX_REQUEST_BYTES
    assert wire.MAX_REQUEST_BYTES < wire.MAX_MESSAGE_BYTES - 64_000


def test_unknown_types_name_the_known_ones_and_the_request():
    error = failure(pack(type="from_2099", request=7))
    assert (error.code, error.request) == ("unknown_type", 7)
    assert "goodbye" in str(error)
    answer = error_message(error)
    assert wire.decode(wire.encode(answer), m.FromServer) == answer


def test_a_message_of_the_other_direction_is_unknown():
    assert failure(wire.encode(m.Done(request=1, world="w"))).code == "unknown_type"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "x" * 100_000}, r"prompt\.text: expected str of length <= 2000 \(it has 100000\)"),
        ({"text": ""}, r"prompt\.text: needs at least one visible character"),
        ({"text": 5}, r"prompt\.text: expected str, got int"),
        ({"text": None}, r"prompt\.text: expected str, got null"),
        ({"at_tick": -1}, r"prompt\.at_tick"),
        ({"at_tick": 1.5}, r"prompt\.at_tick"),
        ({"at_tick": True}, r"prompt\.at_tick"),
        ({"cut_in": 1}, r"prompt\.cut_in: expected bool, got int"),
        ({"world": "../etc"}, r"prompt\.world: .*letters, digits"),
        ({"world": "w\n"}, r"prompt\.world"),
        ({"world": "w" * 65}, r"prompt\.world"),
        ({"request": 2**60}, r"prompt\.request"),
    ],
)
def test_fields_outside_their_limits_are_named(fields, text):
    good = {"type": "prompt", "request": 3, "world": "w1", "text": "a"}
    with pytest.raises(ProtocolError, match=text) as caught:
        wire.decode(pack(**{**good, **fields}), m.FromClient)
    assert caught.value.code == "invalid"
    assert caught.value.request == (None if "request" in fields else 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 600_001.0])
def test_a_displayed_latency_is_a_possible_one(value):
    assert failure(pack(type="displayed", world="w", cue=1, event_to_photon_ms=value)).code == "invalid"


def test_a_sender_checks_itself():
    with pytest.raises(ProtocolError, match=r"prompt\.text") as caught:
        wire.encode_checked(m.Prompt(request=1, world="w", text="x" * 2001))
    assert caught.value.code == "invalid"
    with pytest.raises(ProtocolError, match="surrogate"):
        wire.encode_checked(m.Prompt(request=1, world="w", text="\ud800"))
    with pytest.raises(ProtocolError, match="over the limit"):
        wire.encode(m.Done(request=1, world="w", detail="x" * wire.MAX_MESSAGE_BYTES))
    with pytest.raises(ProtocolError):
        wire.encode_checked(m.Prompt(request=2**70, world="w", text="x"))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), union=st.sampled_from(UNIONS))
@example(data=b"\xc7\x05\xff\x00\x00\x00\x00\x00", union=m.FromClient)
def test_any_bytes(data, union):
    decode_or_protocol_error(data, union)


keys = st.sampled_from(["type", "request", "world", "text", "version", "script", "models", "labels", "name", "x"])
tags = st.sampled_from([kind.__struct_config__.tag for union in UNIONS for kind in get_args(union)])
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9) | st.binary()
values = st.recursive(
    scalars | tags, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=8
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(keys, values, max_size=5), tag=tags, union=st.sampled_from(UNIONS))
def test_any_map(fields, tag, union):
    decode_or_protocol_error(msgpack.packb({**fields, "type": tag}), union)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_good_message(data):
    message = m.Open(
        request=1, script=m.Script(slots=[m.Slot(name="a", values={"b": "c"})], events={"e": m.EventDef(set={})})
    )
    good = bytearray(wire.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    decode_or_protocol_error(bytes(good), m.FromClient)


def decode_or_protocol_error(data: bytes, union: Any) -> None:
    try:
        message = wire.decode(data, union)
    except ProtocolError as error:
        assert error.code in ("malformed", "unknown_type", "invalid")  # noqa: PT017
        wire.encode(error_message(error))
    else:
        assert isinstance(message, union)
        assert wire.decode(wire.encode(message), union) == message or "nan" in repr(message)


def test_text_is_cleaned_as_it_enters() -> None:
    script = m.Script(title="\0", slots=[m.Slot(name="sky", values={"\u200bdark": "a da\u200brk sky"})])
    sent = m.Open(request=1, script=script, prompt="a fox\nruns\u200b")
    got = wire.decode(wire.encode(sent), m.FromClient)
    assert (got.prompt, got.script.title, got.script.slots[0].values) == ("a fox runs", "", {"dark": "a dark sky"})


@pytest.mark.parametrize("text", ["\u200b", "\0", "\n", " ", "\u202e\u202c", "\ufe0f"], ids=ascii)
def test_a_prompt_with_nothing_visible_is_refused_on_both_sides(text: str) -> None:
    prompt = m.Prompt(request=7, world="w", text=text)
    with pytest.raises(ProtocolError, match=r"^prompt\.text: needs at least one visible character$"):
        wire.encode_checked(prompt)
    with pytest.raises(ProtocolError) as caught:
        wire.decode(wire.encode(prompt), m.FromClient)
    assert (caught.value.code, caught.value.request) == ("invalid", 7)


def test_keys_that_look_the_same_are_refused() -> None:
    script = m.Script(slots=[m.Slot(name="sky", values={"dark": "a", "dark\u200b": "b"})])
    with pytest.raises(ProtocolError, match="two keys of a map differ only in characters that cannot be seen"):
        wire.decode(wire.encode(m.Open(request=1, script=script)), m.FromClient)


@pytest.mark.parametrize("name", ["blue sky", "", "a/b", "ü"])
def test_events_and_slots_have_names(name: str) -> None:
    for script in (m.Script(events={name: m.EventDef(set={})}), m.Script(slots=[m.Slot(name=name)])):
        with pytest.raises(ProtocolError, match=r"^open\.script\.(events|slots\[0\]\.name): "):
            wire.encode_checked(m.Open(request=1, script=script))


def test_numbers_of_numpy_are_sent_as_plain_ones() -> None:
    sent = m.Open(request=1, seed=np.int64(7), paused=np.bool_(True))  # type: ignore[arg-type]
    assert wire.decode(wire.encode_checked(sent), m.Open) == m.Open(request=1, seed=7, paused=True)
    advance = m.Control(request=1, world="w", action="advance", ticks=np.uint8(3))  # type: ignore[arg-type]
    assert wire.decode(wire.encode_checked(advance), m.Control).ticks == 3
    shown = m.Displayed(world="w", cue=np.int32(1), event_to_photon_ms=np.float32(2.5))  # type: ignore[arg-type]
    assert wire.decode(wire.encode_checked(shown), m.Displayed).event_to_photon_ms == 2.5


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (np.arange(3), "open: a ndarray cannot be sent; give a plain number or text"),
        (np.float64(2.5), "open.seed: expected int, got float"),
        (object(), "open: a object cannot be sent"),
        (10**30, "open: can't serialize ints"),
        (-1, "open.seed: expected int >= 0"),
        ("\ud800", "open: a text holds a surrogate"),
    ],
)
def test_what_cannot_be_sent_is_named(seed: object, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        wire.encode_checked(m.Open(request=1, seed=seed))  # type: ignore[arg-type]
    assert str(caught.value).startswith(reason)
