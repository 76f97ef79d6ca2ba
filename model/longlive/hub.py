"""Fetch a model's files: what is needed is compared with the disk first, what was cut short goes on where it stopped,
and nothing counts before its checksum is right.

The hub is spoken to through huggingface_hub. Its own downloads start afresh when they were interrupted, so the bytes
are appended here to a `.part` file beside the target.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longtake.model.errors import BackendError, HubError
from longtake.model.longlive.table import HubFile, KnownModel

log = logging.getLogger(__name__)

SPARE_BYTES = 2**30
"""free space left on the disk"""
_READ_BYTES = 2**22

Report = Callable[[str], None]
"""Told one line for each thing done."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file to fetch, with what the hub says of it.

    Attributes:
        file: which.
        path: where to.
        size_bytes: of the whole.
        digest: of its content; None where the hub knows none.
        algorithm: "sha256", or "git" for small files, which the hub names by git's own checksum.
    """

    file: HubFile
    path: Path
    size_bytes: int
    digest: str | None
    algorithm: str

    @property
    def part(self) -> Path:
        """Where its first bytes are until all are there."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def complete(self) -> bool:
        """Whether a file of that size is there."""
        return self.path.is_file() and self.path.stat().st_size == self.size_bytes

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch."""
        if self.complete:
            return 0
        return self.size_bytes - (min(self.part.stat().st_size, self.size_bytes) if self.part.is_file() else 0)


def pull(
    model: KnownModel,
    root: Path,
    *,
    report: Report = log.info,
    endpoint: str | None = None,
    parts: Sequence[str] = (),
    check_present: bool = True,
    free_bytes: Callable[[Path], int] | None = None,
    progress_class: Any = None,
) -> list[Path]:
    """Fetch a model's files into a folder; those that are there are only checked.

    Args:
        model: from `longtake.model.longlive.table`.
        root: the models folder; each repository gets a folder in it.
        report: told what is done, one line each.
        endpoint: another hub than the public one.
        parts: fetch these parts only ("tiny decoder", ...); nothing means all.
        check_present: look at the checksums of files that are already there.
        free_bytes: free space of a folder; None asks the disk.
        progress_class: of tqdm's kind, for the bars; None takes huggingface_hub's.

    Returns:
        Where the files are.

    Raises:
        HubError: no connection, no such file, not enough space, or a wrong checksum.
        BackendError: huggingface_hub is not installed.
    """
    hub = _hub()
    files = [file for file in model.files if not parts or file.part in parts]
    if not files:
        there = ", ".join(f.part for f in model.files)
        raise HubError(f"{model.name} has no part {', '.join(parts)}; there are {there}")
    wanted = _ask(hub, files, root, endpoint)
    _check_space(wanted, root, free_bytes or _free_bytes)
    for item in wanted:
        if item.complete:
            if check_present:
                report(f"{item.path} is there; looking at its checksum")
                _verify(item, item.path, remedy="delete it and run the same command again")
            continue
        kept = item.size_bytes - item.missing_bytes
        resumed = f", going on after {_size(kept)}" if kept else ""
        report(f"fetching {item.file.name} of {item.file.repository.repo_id} ({_size(item.size_bytes)}{resumed})")
        _fetch(hub, item, endpoint, progress_class)
        try:
            _verify(item, item.part, remedy="it was thrown away; run the same command again")
        except HubError:
            item.part.unlink()
            raise
        item.part.replace(item.path)
    return [item.path for item in wanted]


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise BackendError(
            "fetching models needs huggingface_hub: pip install 'longtake[longlive]', or copy the files by hand"
        ) from None
    return huggingface_hub


def _ask(hub: Any, files: Sequence[HubFile], root: Path, endpoint: str | None) -> list[Wanted]:
    """Return what the hub says of the files; raises HubError where it does not have one, or another than known."""
    api = hub.HfApi(endpoint=endpoint)
    known: dict[str, dict[str, Any]] = {}
    wanted = []
    for file in files:
        repository = file.repository
        if repository.repo_id not in known:
            try:
                info = api.model_info(repository.repo_id, revision=repository.revision, files_metadata=True)
            except Exception as error:
                raise HubError(_unreachable(repository.repo_id, root / repository.folder, error)) from None
            known[repository.repo_id] = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        sibling = known[repository.repo_id].get(file.name)
        if sibling is None or sibling.size is None:
            raise HubError(
                f"{repository.repo_id} has no {file.name} at revision {repository.revision[:8]}; "
                f"fetch it by hand into {root / repository.folder}"
            )
        digest, algorithm = (sibling.lfs.sha256, "sha256") if sibling.lfs else (sibling.blob_id, "git")
        for what, ours, theirs in (("size", file.size_bytes, sibling.size), ("checksum", file.sha256, digest)):
            if ours is not None and algorithm == "sha256" and ours != theirs:
                raise HubError(
                    f"{repository.repo_id} offers {file.name} with {what} {theirs}, not {ours}: it was changed; "
                    "update longtake, or fetch the file by hand if you trust it"
                )
        wanted.append(
            Wanted(file=file, path=file.path(root), size_bytes=sibling.size, digest=digest, algorithm=algorithm)
        )
    return wanted


def _unreachable(repo_id: str, folder: Path, error: Exception) -> str:
    first = str(error).strip().split("\n", 1)[0]
    return f"the hub does not answer for {repo_id} ({first}); check the network, or copy the files into {folder}"


def _check_space(wanted: Sequence[Wanted], root: Path, free_bytes: Callable[[Path], int]) -> None:
    missing = sum(item.missing_bytes for item in wanted)
    free = free_bytes(root)
    if missing and missing + SPARE_BYTES > free:
        raise HubError(
            f"{root} has {_size(free)} free, {_size(missing + SPARE_BYTES)} are needed; "
            "free some, or name another folder"
        )


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _fetch(hub: Any, item: Wanted, endpoint: str | None, progress_class: Any) -> None:
    """Append what is missing to the part file; raises HubError, keeping what came."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    repository = item.file.repository
    url = hub.hf_hub_url(repository.repo_id, item.file.name, revision=repository.revision, endpoint=endpoint)
    item.part.parent.mkdir(parents=True, exist_ok=True)
    have = item.part.stat().st_size if item.part.is_file() else 0
    if have > item.size_bytes:
        item.part.unlink()
        have = 0
    # Compressed on the way, the sizes and the place to go on from would mean something else.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    try:
        with item.part.open("ab") as out:
            http_get(
                url,
                out,
                resume_size=have,
                headers=headers,
                expected_size=item.size_bytes,
                displayed_filename=item.file.name,
                tqdm_class=progress_class,
            )
    except Exception as error:
        first = str(error).strip().split("\n", 1)[0]
        here = _size(item.part.stat().st_size)
        raise HubError(f"{item.file.name} stopped coming ({first}); the same command goes on after {here}") from None


def _verify(item: Wanted, path: Path, *, remedy: str) -> None:
    """Compare a file with the hub's checksum; raises HubError where it is wrong."""
    if item.digest is None:
        return
    if item.algorithm == "sha256":
        total = hashlib.sha256()
    else:
        total = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            total.update(chunk)
    if total.hexdigest() != item.digest:
        raise HubError(f"{path} has the wrong checksum: {remedy}")


def _size(count: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
