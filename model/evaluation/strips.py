"""Pictures of chosen scenes side by side: drawn, through the autoencoder, and generated."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from longtake.model.diorama.captions import canonical
from longtake.model.diorama.scene import Scene
from longtake.model.evaluation.figures import DRAWN, GENERATED, THROUGH
from longtake.model.evaluation.studio import Pictures, Studio

SECONDS = 4.0
STRIP_SECONDS = (0.25, 1.0, 2.0, 3.0, 4.0)
"""when the pictures of a strip were taken"""
BAR = 18
"""height of a caption in pixels"""
_DARK, _LIGHT = (24, 26, 32), (225, 225, 215)

SCENES: dict[str, Scene] = {
    "day": Scene(place="meadow", time="day", weather="clear", actor="balloon", colour="red"),
    "night": Scene(place="city", time="night", weather="clear", actor="train", colour="yellow"),
    "rain": Scene(place="ocean", time="dusk", weather="rain", actor="boat", colour="white"),
    "snow": Scene(place="forest", time="dawn", weather="snow", actor="fox", colour="orange"),
    "fog": Scene(place="mountains", time="day", weather="fog", actor="plane", colour="blue"),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One scene from each source that there is."""

    name: str
    prompt: str
    takes: dict[str, Pictures]
    """[T, H, W, 3] uint8 by source, all of one length and size"""
    fps: int


def show(studio: Studio, names: Sequence[str] = tuple(SCENES), seconds: float = SECONDS) -> Iterator[Shown]:
    """Film the chosen scenes; what the renderer cannot draw in the model's size is only generated."""
    for index, name in enumerate(names):
        scene, blocks = SCENES[name], studio.blocks_in(seconds)
        takes: dict[str, Pictures] = {}
        if not studio.abilities["drawing"]:
            takes[DRAWN] = studio.draw(scene, index, blocks)
            if studio.through is not None:
                takes[THROUGH] = studio.through(takes[DRAWN])
        takes[GENERATED] = studio.film(canonical(scene), index, blocks)
        yield Shown(name=name, prompt=canonical(scene), takes=takes, fps=studio.fps)


def strip(shown: Shown) -> Image.Image:
    """Return a page with a row for each source and a column for each of `STRIP_SECONDS`."""
    rows = []
    for take in shown.takes.values():
        ticks = [min(round(second * shown.fps), len(take) - 1) for second in STRIP_SECONDS]
        rows.append(np.concatenate([take[tick] for tick in ticks], 1))
    height, width = rows[0].shape[:2]
    page = Image.new("RGB", (width, (height + BAR) * len(rows)), _DARK)
    for index, (source, row) in enumerate(zip(shown.takes, rows, strict=True)):
        _caption(page, (0, index * (height + BAR)), f"{source}: {shown.prompt}")
        page.paste(Image.fromarray(row), (0, index * (height + BAR) + BAR))
    return page


def side_by_side(shown: Shown) -> list[Image.Image]:
    """Return the frames of a moving picture: all sources next to each other."""
    sources = list(shown.takes)
    height, width = shown.takes[sources[0]].shape[1:3]
    pages = []
    for frames in zip(*shown.takes.values(), strict=True):
        page = Image.new("RGB", (width * len(sources), height + BAR), _DARK)
        for index, (source, frame) in enumerate(zip(sources, frames, strict=True)):
            _caption(page, (index * width, 0), source)
            page.paste(Image.fromarray(frame), (index * width, BAR))
        pages.append(page)
    return pages


def moving_picture(pages: Sequence[Image.Image], fps: int, kind: str) -> bytes:
    """Return frames as a picture that loops; kind is `webp` or `gif`."""
    data = io.BytesIO()
    options = {"quality": 80, "method": 4} if kind == "webp" else {}
    pages[0].save(
        data, format=kind, save_all=True, append_images=list(pages[1:]), duration=round(1000 / fps), loop=0, **options
    )
    return data.getvalue()


def jpeg(page: Image.Image) -> bytes:
    """Return an image as JPEG."""
    data = io.BytesIO()
    page.save(data, format="jpeg", quality=88)
    return data.getvalue()


def _caption(page: Image.Image, at: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(page).text((at[0] + 4, at[1] + 3), text, fill=_LIGHT, font=ImageFont.load_default(11))
