"""Pictures: cut out of a block without copying, raw or as a JPEG."""

import io

import numpy as np
import pytest
from PIL import Image

from longtake.runtime.server.jpeg_thread import encode_jpeg
from longtake.runtime.world.outgoing_frame import OutgoingFrame, frames_of_block


def test_a_block_is_cut_without_copying() -> None:
    block = np.arange(3 * 2 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 3)
    pictures = frames_of_block(block.data, frames=3, height=2, width=4, first_tick=9, block=1, cue=5)
    assert [(p.tick, p.block, p.cue) for p in pictures] == [(9, 1, 5), (10, 1, 5), (11, 1, 5)]
    for index, picture in enumerate(pictures):
        assert np.array_equal(np.frombuffer(picture.pixels, np.uint8).reshape(2, 4, 3), block[index])
    block[1] = 0
    assert not any(pictures[1].pixels)


def test_sizes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="bytes"):
        frames_of_block(memoryview(b"abc"), frames=1, height=2, width=2, first_tick=0, block=0, cue=0)
    with pytest.raises(ValueError, match="bytes"):
        OutgoingFrame(pixels=memoryview(b"abc"), height=2, width=2, tick=0, block=0, cue=0)


def test_a_jpeg_looks_like_the_picture() -> None:
    rows = np.zeros((32, 48, 3), np.uint8)
    rows[:, :, 0] = np.linspace(0, 255, 48, dtype=np.uint8)
    rows[:, :, 2] = 128
    picture = OutgoingFrame(pixels=memoryview(rows.tobytes()), height=32, width=48, tick=0, block=0, cue=0)
    back = np.asarray(Image.open(io.BytesIO(encode_jpeg(picture.pixels, 32, 48))))
    assert back.shape == rows.shape
    assert np.abs(back.astype(int) - rows).mean() < 4


def test_raw_is_there_at_once_and_a_jpeg_when_it_was_made() -> None:
    picture = OutgoingFrame(pixels=memoryview(bytes(12)), height=2, width=2, tick=0, block=0, cue=0)
    assert picture.encoded("raw") is picture.pixels
    assert picture.encoded("jpeg") is None
    assert not picture.is_encoding("jpeg")
    picture.jpeg_asked = True
    assert picture.is_encoding("jpeg")
    picture.jpeg = b"file"
    assert picture.encoded("jpeg") == b"file"
    assert not picture.is_encoding("jpeg")
