"""One clip made ready for training: rendered, put into words, its actor found; everything but the latents.

This runs where clips are drawn, in processes of their own if there are several, so that the process that trains only
copies arrays.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from longtake.model.bounds import at_least, share
from longtake.model.diorama.actions import ACTION_FRAMES, AXES, action_steps
from longtake.model.diorama.captions import caption
from longtake.model.diorama.files import bundled_folder
from longtake.model.diorama.labels import HEIGHT, WIDTH
from longtake.model.diorama.scene import Scene
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig
from longtake.model.errors import ConfigError
from longtake.model.training.data.clips import ClipsConfig, make_clip
from longtake.model.training.data.latents import box_cover
from longtake.model.weights import fill

CELL: Final = 8
"""pixels of a latent's cell"""
NO_SWITCH: Final = -1
BEFORE, AFTER = 0, 1
"""rows of a clip's texts: of the scene before the switch, and after it"""


@dataclass(frozen=True, kw_only=True)
class DrawingConfig:
    """What is drawn."""

    seed: int = 1
    frames: int = 80
    """frames a clip; a multiple of 4"""
    captions: int = 6
    """wordings of each scene of a clip"""
    text_encoder: Path = field(default_factory=bundled_folder)
    """folder with `text_encoder.safetensors`"""
    drop_share: float = 0.3
    """share of captions from which labels are left out"""
    drop_label: float = 0.08
    """odds for each label of such a caption to be left out"""

    def __post_init__(self) -> None:
        at_least(self, 0, "seed")
        at_least(self, 1, "captions")
        share(self, "drop_share", "drop_label")
        if self.frames % ACTION_FRAMES:
            raise ConfigError(f"frames must be a multiple of {ACTION_FRAMES}, not {self.frames}")

    @property
    def latent_frames(self) -> int:
        """Latent frames of a clip."""
        return action_steps(self.frames)

    def record(self) -> np.dtype[np.void]:
        """The layout of a drawn clip: fixed sizes, so that it fits a slot of shared memory.

        Fields: `frames` [T, H, W, 3], `cover` [F, h, w] the share of each cell that the actor's box covers times 255,
        `text` [2, captions, L, text_dim] of the scenes before and after the switch, `actions` [F, axes],
        `switch` the latent frame or -1, `new_place` whether the switch changes the place, `index` of the clip.
        """
        sizes = TextEncoderConfig()
        return np.dtype(
            [
                ("frames", np.uint8, (self.frames, HEIGHT, WIDTH, 3)),
                ("cover", np.uint8, (self.latent_frames, HEIGHT // CELL, WIDTH // CELL)),
                ("text", np.float16, (2, self.captions, sizes.text_tokens, sizes.text_dim)),
                ("actions", np.float32, (self.latent_frames, len(AXES))),
                ("switch", np.int64),
                ("new_place", np.bool_),
                ("index", np.int64),
            ],
            align=True,
        )


class Illustrator:
    """Draws clips; clip `index` depends on the config and the index alone."""

    def __init__(self, config: DrawingConfig) -> None:
        self.config = config
        self.clips = ClipsConfig(clips=1, frames=config.frames, seed=config.seed)
        self.text = TextEncoder(TextEncoderConfig())
        fill(self.text, config.text_encoder / "text_encoder.safetensors")
        self.text.eval().requires_grad_(False)

    def draw(self, index: int, into: NDArray[np.void]) -> None:
        """Fill a record (`DrawingConfig.record`, a scalar array) with a clip."""
        config = self.config
        plan, clip = make_clip(self.clips, index)
        after = plan.switch.scene if plan.switch else plan.scene
        boxes = clip.boxes.reshape(config.latent_frames, ACTION_FRAMES, 4)
        cover = np.stack([box_cover(each, HEIGHT // CELL, WIDTH // CELL) for each in boxes])
        into["frames"] = clip.frames
        into["cover"] = np.round(255 * cover)
        into["text"] = self._texts(plan.scene, after, np.random.default_rng([config.seed, 7, index]))
        into["actions"] = clip.actions
        into["switch"] = plan.switch.frame // ACTION_FRAMES if plan.switch else NO_SWITCH
        into["new_place"] = after.place != plan.scene.place
        into["index"] = index

    def _texts(self, before: Scene, after: Scene, rng: np.random.Generator) -> NDArray[np.float16]:
        """[2, captions, L, text_dim]."""
        config = self.config
        captions = [
            caption(scene, rng, drop=config.drop_label if rng.random() < config.drop_share else 0.0)
            for scene in (before, after)
            for _ in range(config.captions)
        ]
        tokens = self.text.encode(captions).to(torch.float16).numpy()
        return tokens.reshape(2, config.captions, *tokens.shape[1:])

    def no_text(self) -> NDArray[np.float16]:
        """What an empty prompt is encoded as: [L, text_dim]."""
        return self.text.encode([""])[0].to(torch.float16).numpy()
