"""The known models: their files, the repositories and licences of these, and which of them a folder has.

Imports no torch. Revisions, sizes and checksums are those of the public repositories when this was written;
`models pull` compares what it fetches with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longtake.model.errors import ConfigError

Part = Literal["transformer", "lora", "wan decoder", "tiny decoder", "text encoder", "tokenizer"]

DEFAULT_ROOT = Path(".cache", "longtake", "models")
"""folder below the home folder where `models pull` puts files and loading looks for them"""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository of the hub, at the revision described here."""

    repo_id: str
    revision: str
    licence: str

    @property
    def folder(self) -> str:
        """Name of the folder for its files."""
        return self.repo_id.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository. If size or checksum is None, the hub's is trusted."""

    repository: Repository
    name: str
    part: Part
    size_bytes: int | None = None
    sha256: str | None = None

    def path(self, root: Path) -> Path:
        """Return its path below a models folder."""
        return root / self.repository.folder / self.name


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """A model that can be pulled."""

    name: str
    summary: str
    parameters: str
    licence: str
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes or 0 for file in self.files)


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What a folder has of a file: `path` is None if it is missing; `size_bytes` is the size on the disk."""

    file: HubFile
    path: Path | None
    size_bytes: int

    @property
    def complete(self) -> bool:
        """True if the file has its full size. Only `models pull` verifies the checksum."""
        return self.path is not None and self.file.size_bytes in (None, self.size_bytes)


_WAN = Repository(
    repo_id="Wan-AI/Wan2.1-T2V-1.3B", revision="37ec512624d61f7aa208f7ea8140a131f93afc9a", licence="Apache-2.0"
)
_LONGLIVE = Repository(
    repo_id="Efficient-Large-Model/LongLive-1.3B",
    revision="cda9138d93872ef109d9a74c270184eb3a5acc6e",
    licence="CC-BY-NC-SA-4.0",
)
_SELF_FORCING = Repository(
    repo_id="gdhe17/Self-Forcing", revision="2f8b779212da279d212c22a509b66ad6552f350e", licence="see its model card"
)
_AUTOENCODERS = Repository(repo_id="lightx2v/Autoencoders", revision="main", licence="MIT (taew2_1, by madebyollin)")

_SHARED = (
    HubFile(
        repository=_WAN,
        name="Wan2.1_VAE.pth",
        part="wan decoder",
        size_bytes=507_609_880,
        sha256="38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",
    ),
    HubFile(
        repository=_WAN,
        name="models_t5_umt5-xxl-enc-bf16.pth",
        part="text encoder",
        size_bytes=11_361_920_418,
        sha256="7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d",
    ),
    HubFile(
        repository=_WAN,
        name="google/umt5-xxl/tokenizer.json",
        part="tokenizer",
        size_bytes=16_837_417,
        sha256="6e197b4d3dbd71da14b4eb255f4fa91c9c1f2068b20a2de2472967ca3d22602b",
    ),
    HubFile(
        repository=_AUTOENCODERS,
        name="taew2_1.pth",
        part="tiny decoder",
        size_bytes=22_679_486,
    ),
)

MODELS: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name="longlive-1.3b",
            summary="public LongLive checkpoint on Wan2.1-T2V-1.3B, 480 x 832 at 16 fps, for an H100",
            parameters="1.3 B (and 5.7 B of text encoder)",
            licence="CC-BY-NC-SA-4.0 (weights; not for commercial use), Wan's parts Apache-2.0",
            files=(
                HubFile(
                    repository=_LONGLIVE,
                    name="models/longlive_base.pt",
                    part="transformer",
                    size_bytes=5_676_334_208,
                    sha256="10a2aa8fcf89c77d9033f4c117405412a690e289625766619d293f0c5a208ee7",
                ),
                HubFile(
                    repository=_LONGLIVE,
                    name="models/lora.pt",
                    part="lora",
                    size_bytes=2_800_056_690,
                    sha256="c4e43b87d62d4b0614b496773639f1ab170a7ee486dc23407901e9d3a5ebc07a",
                ),
                *_SHARED,
            ),
        ),
        KnownModel(
            name="self-forcing-1.3b",
            summary="public Self-Forcing checkpoint on Wan2.1-T2V-1.3B, takes of about five seconds",
            parameters="1.3 B (and 5.7 B of text encoder)",
            licence="see the model card, Wan's parts Apache-2.0",
            files=(
                HubFile(
                    repository=_SELF_FORCING,
                    name="checkpoints/self_forcing_dmd.pt",
                    part="transformer",
                    size_bytes=5_676_252_553,
                    sha256="a0413986d9734e02c09504e1520f5697ba6df731bb2f0f35577485e9cc8f56a3",
                ),
                *_SHARED,
            ),
        ),
    )
}


def known(name: str) -> KnownModel:
    """Return a known model; raises ConfigError for another name."""
    if name not in MODELS:
        raise ConfigError(f"no model to pull is called {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def default_root() -> Path:
    """Return the folder of the pulled models."""
    return Path.home() / DEFAULT_ROOT


def states(model: KnownModel, root: Path) -> list[FileState]:
    """Return what a folder has of each file of a model, in any layout that `find` knows."""
    found = [(file, find(root, [file.name, Path(file.name).name])) for file in model.files]
    return [
        FileState(file=file, path=path, size_bytes=path.stat().st_size if path is not None else 0)
        for file, path in found
    ]


SUBFOLDERS = (
    "",
    "models",
    "checkpoints",
    "LongLive-1.3B",
    "LongLive-1.3B/models",
    "longlive_models",
    "longlive_models/models",
    "Self-Forcing",
    "Self-Forcing/checkpoints",
    "Wan2.1-T2V-1.3B",
    "wan_models/Wan2.1-T2V-1.3B",
    "Wan2.1-T2V-1.3B-Diffusers",
    "Autoencoders",
)
"""folders where public instructions put the files, below a folder that the user names"""


def find(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first file that exists, in the folder itself or where public instructions put it."""
    for name in names:
        for folder in SUBFOLDERS:
            path = root / folder / name
            if path.is_file():
                return path
    return None
