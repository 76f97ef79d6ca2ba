"""Opens checkpoint files without reading them: a tensor is a view of the mapped file until it is copied.

Errors are one line with the file, the key if there is one, and what to do.
"""

import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from longtake.model.errors import CheckpointError
from longtake.model.json_object import parse_object

log = logging.getLogger(__name__)

AGAIN = "it is damaged or cut short: delete it and fetch it again (`longtake models pull`)"

_INDEX_SUFFIX = ".safetensors.index.json"


class TensorFile:
    """Named tensors of a checkpoint, mapped from its file (or files).

    Attributes:
        path: the file, or the index of several.
        names: in the file's order.
    """

    def __init__(self, path: Path, readers: Mapping[str, Callable[[], Tensor]]) -> None:
        self.path = path
        self._readers = dict(readers)

    @property
    def names(self) -> list[str]:
        """Names of the tensors."""
        return list(self._readers)

    def __contains__(self, name: str) -> bool:
        return name in self._readers

    def read(self, name: str) -> Tensor:
        """Return a tensor, still in the file; raises CheckpointError if the file ends before it."""
        try:
            return self._readers[name]()
        except (SafetensorError, OSError, RuntimeError) as error:
            raise CheckpointError(f"{self.path}: {name} cannot be read ({_line(error)}); {AGAIN}") from None

    def renamed(self, rename: Callable[[str], str | None]) -> "TensorFile":
        """Return the same tensors under other names; a name of None leaves its tensor out."""
        renamed = {new: reader for name, reader in self._readers.items() if (new := rename(name)) is not None}
        return TensorFile(self.path, renamed)


def open_tensors(path: Path, sections: Sequence[str] = ()) -> TensorFile:
    """Open a checkpoint.

    Args:
        path: a `.safetensors` file, the `.index.json` of several, or a `.pt` / `.pth` file.
        sections: entries of a `.pt` file that nests its tensors; the first that exists is used.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; fetch it with `longtake models pull`, or name the folder it is in")
    if path.name.endswith(_INDEX_SUFFIX):
        return _open_index(path)
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    return TensorFile(path, {name: _given(tensor) for name, tensor in _open_pickle(path, sections).items()})


def _given(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _open_safetensors(path: Path) -> TensorFile:
    try:
        opened: Any = safe_open(path, framework="pt")
        names: list[str] = list(opened.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be opened ({_line(error)}); {AGAIN}") from None

    def reader(name: str) -> Callable[[], Tensor]:
        return lambda: opened.get_tensor(name)

    return TensorFile(path, {name: reader(name) for name in names})


def _open_index(path: Path) -> TensorFile:
    try:
        places = parse_object(path.read_text(encoding="utf-8"))["weight_map"]
        if not isinstance(places, dict) or not all(isinstance(part, str) for part in places.values()):
            raise ValueError("its weight_map is no table of file names")
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is no index of safetensors files ({_line(error)}); {AGAIN}") from None
    parts = {name: open_tensors(path.parent / name) for name in sorted(set(places.values()))}
    for name, part in places.items():
        if name not in parts[part]:
            raise CheckpointError(f"{parts[part].path} lacks {name}, which {path.name} says it has; {AGAIN}")
    return TensorFile(path, {name: parts[part]._readers[name] for name, part in places.items()})


def _open_pickle(path: Path, sections: Sequence[str]) -> dict[str, Tensor]:
    try:
        mapped = _is_zip(path)
        if not mapped:
            log.warning("%s is in torch's old format, which cannot be mapped: it is read whole", path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} holds more than tensors, or no tensors at all: it is not one of the public checkpoints; {AGAIN}"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be opened ({_line(error)}); {AGAIN}") from None
    found = _section(content, sections)
    if not found:
        wanted = " or ".join(sections)
        raise CheckpointError(
            f"{path} has no tensors{f' under {wanted}' if wanted else ''}: it is another kind of checkpoint; "
            "name the folder with the public files"
        )
    return found


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _section(content: Any, sections: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors of the first section that exists, or of the content itself."""
    if not isinstance(content, Mapping):
        return {}
    for section in sections:
        if isinstance(content.get(section), Mapping):
            content = content[section]
            break
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _line(error: BaseException) -> str:
    """Return an error's first line."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def config_beside(path: Path) -> dict[str, Any]:
    """Return the `config.json` beside a Diffusers file; empty for Wan's own `.pth`, which has none.

    Raises CheckpointError if it is not JSON.
    """
    config = path.parent / "config.json"
    if path.suffix == ".pth" or not config.is_file():
        return {}
    try:
        return parse_object(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{config} cannot be used ({error}); fetch it again") from None
