import io

import numpy as np
from PIL import Image

from longtake.model.evaluation.strips import BAR, STRIP_SECONDS, Shown, moving_picture, show, side_by_side, strip
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller


def shown() -> Shown:
    takes = {name: np.full((8, 12, 20, 3), level, np.uint8) for name, level in (("drawn", 200), ("generated", 90))}
    takes["generated"][:, :, ::2] = 30 * np.arange(8, dtype=np.uint8)[:, None, None, None]
    return Shown(name="day", prompt="a fox", takes=takes, fps=16)


def test_a_strip_has_a_row_a_source_and_a_column_a_moment() -> None:
    page = strip(shown())
    assert page.size == (20 * len(STRIP_SECONDS), 2 * (12 + BAR))
    assert page.getpixel((1, BAR + 5)) == (200, 200, 200)
    assert page.getpixel((1, 12 + 2 * BAR + 5)) == (90, 90, 90)


def test_moving_pictures_show_all_sources_and_loop() -> None:
    pages = side_by_side(shown())
    assert len(pages) == 8
    assert pages[0].size == (40, 12 + BAR)
    for kind in ("webp", "gif"):
        with Image.open(io.BytesIO(moving_picture(pages, 16, kind))) as picture:
            assert getattr(picture, "n_frames", 1) == 8
            assert picture.size == (40, 12 + BAR)


def test_what_cannot_be_drawn_is_only_generated() -> None:
    class Wide(Scroller):
        @property
        def info(self):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            return replace(super().info, width=161)

    (only,) = show(Studio(Wide()), ["fog"], seconds=0.5)
    assert list(only.takes) == ["generated"]
    assert "fog" in only.prompt
