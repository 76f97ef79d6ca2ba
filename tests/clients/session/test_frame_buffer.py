"""Credit accounting: the server never gets more than the buffer can hold, and never too little to go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtake.clients.session.frame_buffer import LATEST_CREDIT, FrameBuffer
from longtake.protocol.messages import Frame


def frame(number: int, generation: int = 0) -> Frame:
    return Frame(
        world="w",
        generation=generation,
        number=number,
        tick=number,
        block=0,
        cue=0,
        height=1,
        width=1,
        encoding="raw",
    )


def test_every_keeps_all_and_stops_granting_when_full():
    buffer = FrameBuffer("every", 8)
    assert buffer.initial_credit() == 8
    assert [buffer.put(frame(n), b"") for n in range(8)] == [0] * 8
    assert (len(buffer), buffer.outstanding) == (8, 0)
    taken = [buffer.take() for _ in range(8)]
    assert [item[0].number for item, _ in taken if item] == list(range(8))
    assert [credit for _, credit in taken] == [0, 2] * 4
    assert buffer.take() == (None, 0)
    assert buffer.outstanding == 8


def test_latest_keeps_the_newest_and_always_grants():
    buffer = FrameBuffer("latest")
    assert buffer.initial_credit() == LATEST_CREDIT
    assert [buffer.put(frame(n), b"") for n in range(5)] == [1] * 5
    item, credit = buffer.take()
    assert item is not None
    assert (item[0].number, credit) == (4, 0)
    assert buffer.take() == (None, 0)


def test_a_reset_frees_the_credit_of_what_it_discards():
    buffer = FrameBuffer("every", 4)
    buffer.initial_credit()
    for number in range(3):
        buffer.put(frame(number), b"")
    buffer.put(frame(3, generation=1), b"")
    assert buffer.drop_before(1) == 3
    item, _ = buffer.take()
    assert item is not None
    assert item[0].generation == 1


def test_a_gap_in_the_numbers_is_counted():
    buffer = FrameBuffer("every", 8)
    buffer.initial_credit()
    for number in (5, 6, 9):
        buffer.put(frame(number), b"")
    assert buffer.missed == 2


def test_capacity_must_be_possible():
    with pytest.raises(ValueError, match="1 to 1024"):
        FrameBuffer("every", 0)


@given(capacity=st.integers(1, 40), steps=st.lists(st.sampled_from("ptrd"), max_size=200))
def test_every_never_grants_more_than_fits_nor_starves(capacity: int, steps: list[str]):
    buffer = FrameBuffer("every", capacity)
    credit = buffer.initial_credit()
    number = generation = 0
    for step in steps:
        if step == "p" and credit:
            credit += buffer.put(frame(number, generation), b"") - 1
            number += 1
        elif step == "t":
            credit += buffer.take()[1]
        elif step == "d":
            generation += 1
            credit += buffer.drop_before(generation)
        elif step == "r":  # the connection was lost and made again
            credit = buffer.initial_credit()
        assert credit == buffer.outstanding
        assert credit + len(buffer) <= capacity
        assert credit or len(buffer), "an empty buffer without credit would wait for ever"
