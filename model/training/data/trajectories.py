"""A folder of a teacher's trajectories: a file each, and `trajectories.json`, which says what they are of.

folder = TrajectoryFolder(path)
folder.claim(plan)                     # refuses a folder of other trajectories
folder.write(7, Trajectory(...))       # there whole or not at all
TrajectoryFolder(path).read(7)
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from longtake.model.errors import TrainingError
from longtake.model.json_object import parse_object
from longtake.model.training.files import write_whole

PLAN: Final = "trajectories.json"
AGAIN: Final = "make them with `longtake train trajectories`"


@dataclass(frozen=True, kw_only=True)
class TrajectoryPlan:
    """What a folder's trajectories are of. Two folders with the same plan hold the same."""

    model: str
    teacher: str
    """where its weights came from"""
    timesteps: tuple[float, ...]
    """of the student's sampler, warped: latents are kept at these, and at the end"""
    latents: tuple[int, int, int, int]
    """latent frames, channels, height and width"""
    actions: int
    """axes of the actions; 0 for a model without"""
    steps: int
    """of the solver"""
    guidance: float
    prompts: str
    """fingerprint of the prompts"""
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """One of them.

    Attributes:
        latents: at each of the student's steps, and the clean end: [steps + 1, F, C, h, w], bf16 in the file.
        prompt: what it was made under.
        actions: [F, axes]; None for a model without.
    """

    latents: Tensor
    prompt: str
    actions: Tensor | None = None


class TrajectoryFolder:
    """See the module.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, plan: TrajectoryPlan) -> None:
        """Say what the folder is for, or check that it is for that.

        Raises:
            TrainingError: it holds trajectories of another plan, or cannot be written.
        """
        if not (self.path / PLAN).exists():
            text = json.dumps(asdict(plan), indent=1)
            write_whole(self.path / PLAN, lambda path: path.write_text(text))
            return
        ours, theirs = asdict(plan), asdict(self.plan())
        other = next((name for name in ours if ours[name] != theirs[name]), None)
        if other is not None:
            raise TrainingError(
                f"{self.path} holds trajectories of other {other} ({theirs[other]}, not {ours[other]}); choose another "
                "folder, or give the settings that it was begun with"
            )

    def plan(self) -> TrajectoryPlan:
        """Return what the folder's trajectories are of; raises TrainingError if it does not say."""
        path = self.path / PLAN
        try:
            said: dict[str, Any] = parse_object(path.read_text(encoding="utf-8"))
            values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
            return TrajectoryPlan(**values)
        except FileNotFoundError:
            raise TrainingError(f"{self.path} holds no trajectories; {AGAIN}") from None
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{path} cannot be used ({error}); {AGAIN}") from None

    def numbers(self) -> list[int]:
        """Return the numbers of the trajectories that are there, rising."""
        return sorted(int(path.stem) for path in self.path.glob("*.safetensors") if path.stem.isdigit())

    def write(self, number: int, trajectory: Trajectory) -> None:
        """Write one, whole or not at all; raises TrainingError if the disk is full or refuses."""
        tensors = {"latents": trajectory.latents.to("cpu", torch.bfloat16).contiguous()}
        if trajectory.actions is not None:
            tensors["actions"] = trajectory.actions.float().cpu().contiguous()
        write_whole(self._file(number), lambda path: save_file(tensors, path, {"prompt": trajectory.prompt}))

    def read(self, number: int) -> Trajectory:
        """Return one, in float32; raises TrainingError if it is damaged."""
        path = self._file(number)
        try:
            with safe_open(path, "pt") as file:
                names = set(file.keys())
                return Trajectory(
                    latents=file.get_tensor("latents").float(),
                    prompt=file.metadata()["prompt"],
                    actions=file.get_tensor("actions") if "actions" in names else None,
                )
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise TrainingError(f"{path} is damaged ({error}); delete it, and {AGAIN}") from None

    def _file(self, number: int) -> Path:
        return self.path / f"{number:07d}.safetensors"
