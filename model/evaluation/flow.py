"""Measures how far the background moves from block to block, by phase correlation.

The ground fills the lower part of a picture, and it moves as one. Phase correlation (Kuglin and Hines, 1975) finds the
shift at which two pictures of it agree. Each frame is compared with the frame a block later, so it does not matter if
the motion is even within the block. What stands still on the screen is subtracted first. An actor on the ground would
still hide its motion: measure takes whose actor flies.
"""

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Numbers = NDArray[np.float64]

WIDTH: int = 160
"""a picture's width in units; flow is in units a block"""
GROUND = 0.8
"""where the ground begins, as a share of the picture's height from the top: below what stands farther away and passes
more slowly"""
FARTHEST = (6, 30)
"""largest shift down or up, and to either side, in units"""
_WHITENING = 0.8
"""how far amplitudes are evened out: 0 not at all, 1 completely"""
_BAND = 0.15
"""width of the band of frequencies that counts, in cycles a unit"""


def block_flow(frames: Pictures, block_frames: int = 4) -> Numbers:
    """Return how far the ground moved right and down from each block to the next.

    Args:
        frames: [T, H, W, 3] uint8 of one take, from the start of a block on, without a change of place.
        block_frames: frames of a block.

    Returns:
        [T / block_frames - 1, 2] in units, x and y.

    Raises:
        ValueError: there are fewer than two blocks, or the picture is narrower than `WIDTH`.
    """
    blocks = len(frames) // block_frames
    if blocks < 2:
        raise ValueError(f"{len(frames)} frames are fewer than two blocks of {block_frames}")
    ground = _ground(frames[: blocks * block_frames])
    ground -= ground.mean(0)
    height, width = ground.shape[1:]
    window = np.hanning(height + 2)[1:-1, None] ** 0.5 * np.hanning(width)
    spectra = np.fft.rfft2(ground * window)
    band = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2
    weight = np.exp(-0.5 * band / _BAND**2)
    flows = []
    for start in range(0, (blocks - 1) * block_frames, block_frames):
        now, later = spectra[start : start + block_frames], spectra[start + block_frames : start + 2 * block_frames]
        cross = (np.conj(now) * later).sum(0)
        strength = np.abs(cross)
        whitened = cross / (strength**_WHITENING + 1e-9) * weight
        flows.append(_peak(np.fft.fftshift(np.fft.irfft2(whitened, s=(height, width)))))
    return np.array(flows)


def _ground(frames: Pictures) -> Numbers:
    """Return the ground in grey, one pixel a unit: [T, h, WIDTH]."""
    factor = frames.shape[2] // WIDTH
    if factor < 1:
        raise ValueError(f"the picture is {frames.shape[2]} pixels wide; flow needs {WIDTH} or more")
    count, height = len(frames), frames.shape[1] // factor
    cut = frames[:, : height * factor, : WIDTH * factor]
    grey = cut.reshape(count, height, factor, WIDTH, factor * 3).mean((2, 4), dtype=np.float32)
    ground: Numbers = grey[:, round(GROUND * height) :].astype(np.float64)
    return ground


def _peak(surface: Numbers) -> tuple[float, float]:
    """Return the shift of the highest point within reach, refined by a parabola through its neighbours."""
    rows, columns = surface.shape
    y0, x0 = rows // 2, columns // 2
    down, side = min(FARTHEST[0], y0 - 1), min(FARTHEST[1], x0 - 1)
    near = surface[y0 - down : y0 + down + 1, x0 - side : x0 + side + 1]
    y, x = (int(index) for index in np.unravel_index(int(near.argmax()), near.shape))
    y, x = y + y0 - down, x + x0 - side
    return x - x0 + _refined(surface[y, x - 1 : x + 2]), y - y0 + _refined(surface[y - 1 : y + 2, x])


def _refined(three: Numbers) -> float:
    before, here, after = (float(value) for value in three)
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
