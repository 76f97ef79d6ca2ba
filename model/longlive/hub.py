"""Downloads a model's files. It checks the disk's space first, resumes what was interrupted, and keeps no file whose
checksum is wrong.

It talks to the hub through huggingface_hub. That library's own downloads start over after an interruption, so this
module appends to a `.part` file beside the target, under a lock: two processes never append to the same one.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longtake.model.errors import BackendError, HubError
from longtake.model.locks import Locked, locked
from longtake.model.longlive.arrivals import Arrivals, NotTheFile
from longtake.model.longlive.table import HubFile, KnownModel

log = logging.getLogger(__name__)

SPARE_BYTES = 2**30
"""free space that has to remain on the disk"""
_READ_BYTES = 2**22

Report = Callable[[str], None]
"""called with one line for each step"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file to fetch, and what the hub says about it.

    Attributes:
        file: the file.
        path: its target.
        size_bytes: its whole size.
        digest: hash of its content; None if the hub has none.
        algorithm: "sha256", or "git" for small files, which the hub names by git's own checksum.
    """

    file: HubFile
    path: Path
    size_bytes: int
    digest: str | None
    algorithm: str

    @property
    def part(self) -> Path:
        """The file that holds the first bytes until all have arrived."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def fresh(self) -> Path:
        """What a server sends from the front on, although it was asked for the rest."""
        return self.path.with_name(self.path.name + ".part.new")

    @property
    def lock(self) -> Path:
        """Held by the process that fetches the file."""
        return self.path.with_name(f".{self.path.name}.lock")

    @property
    def complete(self) -> bool:
        """True if a file of that size exists."""
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
    """Fetch a model's files into a folder; existing ones are only checked.

    Args:
        model: from `longtake.model.longlive.table`.
        root: the models folder; each repository gets its own folder in it.
        report: called with one line for each step.
        endpoint: another hub than the public one.
        parts: fetch these parts only ("tiny decoder", ...); nothing means all.
        check_present: verify the checksums of existing files too.
        free_bytes: free space of a folder; None asks the disk.
        progress_class: a tqdm class for the bars; None takes huggingface_hub's.

    Returns:
        The paths of the files.

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
        try:
            with locked(item.lock):
                _complete(hub, item, report, endpoint, progress_class)
        except Locked:
            raise HubError(f"another longtake is fetching {item.path}: wait for it, or stop it") from None
        except OSError as error:
            raise HubError(f"{item.path} cannot be written: {error.strerror or error}") from None
    return [item.path for item in wanted]


def _complete(hub: Any, item: Wanted, report: Report, endpoint: str | None, progress_class: Any) -> None:
    """Fetch what is missing of a file, check the whole, and put it in place. Needs the file's lock."""
    if item.complete:  # the process that had the lock before has fetched it
        return
    kept = item.size_bytes - item.missing_bytes
    resumed = f", going on after {_size(kept)}" if kept else ""
    report(f"fetching {item.file.name} of {item.file.repository.repo_id} ({_size(item.size_bytes)}{resumed})")
    arrived = _fetch(hub, item, endpoint, progress_class)
    try:
        _verify(item, arrived, remedy="it was thrown away; run the same command again")
    except HubError:
        arrived.unlink()
        raise
    arrived.replace(item.path)
    item.part.unlink(missing_ok=True)


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise BackendError(
            "fetching models needs huggingface_hub: pip install 'longtake[longlive]', or copy the files by hand"
        ) from None
    return huggingface_hub


def _ask(hub: Any, files: Sequence[HubFile], root: Path, endpoint: str | None) -> list[Wanted]:
    """Return what the hub says about the files; raises HubError if one is missing there, or has changed."""
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


def _fetch(hub: Any, item: Wanted, endpoint: str | None, progress_class: Any) -> Path:
    """Fetch the missing bytes; return the file that now has all. Raises HubError, and keeps what has arrived."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    repository = item.file.repository
    url = hub.hf_hub_url(repository.repo_id, item.file.name, revision=repository.revision, endpoint=endpoint)
    have = item.part.stat().st_size if item.part.is_file() else 0
    if have > item.size_bytes:
        item.part.unlink()
        have = 0
    # With compression in transit, sizes and offsets would mean something else.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    with Arrivals(item.part, item.fresh, item.size_bytes) as out:
        try:
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
            # An answer that ends as it should and has the wrong size is no part of the file: a captive portal's page.
            wrong = isinstance(error, NotTheFile) or (type(error) is OSError and error.errno is None)
            out.give_up(have if wrong else None)
            first = str(error).strip().split("\n", 1)[0]
            here = _size(item.part.stat().st_size if item.part.is_file() else 0)
            raise HubError(
                f"{item.file.name} stopped coming ({first}); the same command goes on after {here}"
            ) from None
        return out.done()


def _verify(item: Wanted, path: Path, *, remedy: str) -> None:
    """Compare a file with the hub's size and checksum; raises HubError if it differs."""
    if path.stat().st_size != item.size_bytes:
        raise HubError(f"{path} has the wrong size: {remedy}")
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
