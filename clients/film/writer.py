"""What the writers of films have in common: a `with` block ends with the whole film or with none."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from longtake.protocol.messages import Applied


class FilmWriter(ABC):
    """One film being written. `close` puts it in place; `discard` leaves nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    @property
    @abstractmethod
    def path(self) -> Path:
        """The film's name, settled when it is closed."""

    @property
    @abstractmethod
    def frames(self) -> int:
        """Frames written so far."""

    @abstractmethod
    def write(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Append a picture, `[H, W, 3] uint8 RGB`."""

    @abstractmethod
    def mark(self, timeline: Iterable[Applied]) -> None:
        """Set the cues of the film."""

    @abstractmethod
    def close(self) -> None:
        """Finish the film and put it in place."""

    @abstractmethod
    def discard(self) -> None:
        """Delete what was written, unless the film is finished."""
