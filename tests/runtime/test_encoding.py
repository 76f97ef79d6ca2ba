"""Pictures: cut out of a block without copying, and a JPEG made once."""

import io

import numpy as np
import pytest
from PIL import Image

from longtake.runtime import encoding
from longtake.runtime.encoding import Picture, pictures_of_block


def test_a_block_is_cut_without_copying() -> None:
    block = np.arange(3 * 2 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 3)
    pictures = pictures_of_block(block.data, frames=3, height=2, width=4, first_tick=9, block=1, cue=5)
    assert [(p.tick, p.block, p.cue) for p in pictures] == [(9, 1, 5), (10, 1, 5), (11, 1, 5)]
    for index, picture in enumerate(pictures):
        assert np.array_equal(np.frombuffer(picture.pixels, np.uint8).reshape(2, 4, 3), block[index])
    block[1] = 0
    assert not any(pictures[1].pixels)


def test_sizes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="bytes"):
        pictures_of_block(memoryview(b"abc"), frames=1, height=2, width=2, first_tick=0, block=0, cue=0)
    with pytest.raises(ValueError, match="bytes"):
        Picture(pixels=memoryview(b"abc"), height=2, width=2, tick=0, block=0, cue=0)


def test_a_jpeg_looks_like_the_picture_and_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.zeros((32, 48, 3), np.uint8)
    rows[:, :, 0] = np.linspace(0, 255, 48, dtype=np.uint8)
    rows[:, :, 2] = 128
    made = []
    monkeypatch.setattr(encoding, "encode_jpeg", lambda *a: made.append(a) or JPEG(*a))
    picture = Picture(pixels=memoryview(rows.tobytes()), height=32, width=48, tick=0, block=0, cue=0)
    data = picture.encoded("jpeg")
    assert picture.encoded("jpeg") is data
    assert len(made) == 1
    back = np.asarray(Image.open(io.BytesIO(data)))
    assert back.shape == rows.shape
    assert np.abs(back.astype(int) - rows).mean() < 4
    assert picture.encoded("raw").nbytes == rows.nbytes


JPEG = encoding.encode_jpeg
