"""Pulling a model from a local stand-in for the hub, and the table of known models."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from longtake.model.errors import BackendError, ConfigError, HubError
from longtake.model.longlive.hub import SPARE_BYTES, pull
from longtake.model.longlive.table import MODELS, HubFile, KnownModel, Repository, known, states

pytest.importorskip("huggingface_hub")
REPOSITORY = Repository(repo_id="someone/Small-Model", revision="abc123", licence="MIT")
PREFIX = f"/{REPOSITORY.repo_id}/resolve/{REPOSITORY.revision}/"


@dataclass
class StandIn:
    """A hub of one repository on the loopback address.

    Attributes:
        files: name to content; `large` ones have a sha256, the others git's checksum.
        stop_after: close the connection after so many bytes of the next download.
        corrupt: send other bytes than promised.
        page: answer every download with this and status 200, as a captive portal does.
        page_length: the length that the page's answer claims; None is the true one.
        page_after: the first so many downloads are answered as they should be.
        status: of every download, whatever was asked.
        endless: after the body more and more bytes follow, in chunks.
        slow_s: wait in the middle of a download.
        requests: what was asked: method, path, Range.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    stop_after: int | None = None
    corrupt: bool = False
    page: bytes | None = None
    page_length: int | None = None
    page_after: int = 0
    status: int | None = None
    endless: bool = False
    slow_s: float = 0.0
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    endpoint: str = ""

    def downloads(self) -> list[str | None]:
        """The range of each download that was asked for."""
        return [wanted for _, path, wanted in self.requests if path.startswith(PREFIX)]

    def info(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_checksum(content)}
            if name in self.large:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}
            siblings.append(entry)
        return {"id": REPOSITORY.repo_id, "sha": REPOSITORY.revision, "siblings": siblings, "tags": []}


def git_checksum(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub() -> Iterator[StandIn]:
    stand_in = StandIn(
        files={"models/base.pt": bytes(range(256)) * 400, "tokenizer.json": b'{"small": true}'},
        large={"models/base.pt"},
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            stand_in.requests.append((self.command, self.path, wanted))
            if self.path.startswith("/api/models/"):
                return self.answer(200, json.dumps(stand_in.info()).encode())
            content = stand_in.files.get(self.path.removeprefix(PREFIX))
            if content is None:
                return self.answer(404, b"no")
            if stand_in.page is not None and len(stand_in.downloads()) > stand_in.page_after:
                return self.answer(200, stand_in.page, length=stand_in.page_length)
            start = int(wanted.removeprefix("bytes=").rstrip("-").split("-")[0]) if wanted else 0
            body = b"x" * len(content) if stand_in.corrupt else content
            if stand_in.status is not None:
                start = 0
            self.answer(stand_in.status or (206 if start else 200), body[start:], start, len(content))
            return None

        def answer(self, code: int, body: bytes, start: int = 0, total: int = 0, length: int | None = None) -> None:
            self.send_response(code)
            if not (stand_in.endless and total):
                self.send_header("Content-Length", str(len(body) if length is None else length))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            if stand_in.stop_after is not None and total:
                self.wfile.write(body[: stand_in.stop_after])
                self.close_connection = True
                return
            self.wfile.write(body[: len(body) // 2])
            time.sleep(stand_in.slow_s if total else 0)
            self.wfile.write(body[len(body) // 2 :])
            while stand_in.endless and total:
                try:
                    self.wfile.write(b"y" * 65_536)
                except OSError:  # the client has had enough
                    break
            self.close_connection = length is not None or (stand_in.endless and total > 0)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stand_in.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()


BASE = HubFile(repository=REPOSITORY, name="models/base.pt", part="transformer", size_bytes=102_400)
TOKENIZER = HubFile(repository=REPOSITORY, name="tokenizer.json", part="tokenizer")
MODEL = KnownModel(name="small", summary="", parameters="", licence="MIT", files=(BASE, TOKENIZER))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub goes on by itself a few times; here it gives up at once."""
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what is lost when a download is cut
    fetch = file_download.http_get
    monkeypatch.setattr(file_download, "http_get", lambda *a, **k: fetch(*a, **k, _nb_retries=0))


def test_pull(hub: StandIn, tmp_path: Path) -> None:
    said: list[str] = []
    paths = pull(MODEL, tmp_path, endpoint=hub.endpoint, report=said.append)
    assert paths == [tmp_path / "Small-Model" / "models" / "base.pt", tmp_path / "Small-Model" / "tokenizer.json"]
    assert [path.read_bytes() for path in paths] == list(hub.files.values())
    assert "102.4 kB" in said[0]
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_there_is_only_checked(hub: StandIn, tmp_path: Path) -> None:
    pull(MODEL, tmp_path, endpoint=hub.endpoint)
    hub.requests.clear()
    pull(MODEL, tmp_path, endpoint=hub.endpoint)
    assert not [path for _, path, _ in hub.requests if "resolve" in path]
    (tmp_path / "Small-Model" / "models" / "base.pt").write_bytes(b"y" * 102_400)
    with pytest.raises(HubError, match="wrong checksum: delete it"):
        pull(MODEL, tmp_path, endpoint=hub.endpoint)
    pull(MODEL, tmp_path, endpoint=hub.endpoint, check_present=False)


def test_a_cut_download_goes_on(hub: StandIn, tmp_path: Path) -> None:
    hub.stop_after = 30_000
    with pytest.raises(HubError, match=r"models/base\.pt stopped coming .* goes on after 30\.0 kB"):
        pull(MODEL, tmp_path, endpoint=hub.endpoint)
    part = tmp_path / "Small-Model" / "models" / "base.pt.part"
    assert part.stat().st_size == 30_000
    hub.stop_after = None
    hub.requests.clear()
    said: list[str] = []
    pull(MODEL, tmp_path, endpoint=hub.endpoint, report=said.append)
    assert (tmp_path / "Small-Model" / "models" / "base.pt").read_bytes() == hub.files["models/base.pt"]
    assert [wanted for _, path, wanted in hub.requests if path.endswith("base.pt")] == ["bytes=30000-"]
    assert "going on after 30.0 kB" in said[0]


PORTAL = b"<html>please log in first</html>\n"


@pytest.mark.parametrize(
    "page",
    [
        PORTAL,
        b"",
        PORTAL * 2000,
        b"x" * 102_399,
        PORTAL.ljust(102_400),  # as long as the file
        PORTAL * 20_000,
        b"\xef\xbb\xbf\r\n <!DOCTYPE html>",
        b"x" * 102_401,
    ],
)
@pytest.mark.parametrize("kept", [0, 10, 30_000])
def test_a_captive_portals_page_is_no_part_of_the_file(hub: StandIn, tmp_path: Path, page: bytes, kept: int) -> None:
    part = tmp_path / "Small-Model" / "models" / "base.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(hub.files["models/base.pt"][:kept])
    hub.page = page
    with pytest.raises(HubError, match="stopped coming"):
        pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert part.read_bytes() == hub.files["models/base.pt"][:kept], "what was there is kept, and nothing else"
    hub.page = None
    (path,) = pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == hub.files["models/base.pt"]
    assert [each.name for each in path.parent.iterdir()] == ["base.pt"]


def begun(tmp_path: Path, content: bytes) -> Path:
    """The part of an earlier try."""
    part = tmp_path / "Small-Model" / "models" / "base.pt.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


@pytest.mark.parametrize("kept", [0, 10])
def test_a_page_that_is_cut_is_no_part_of_the_file(hub: StandIn, tmp_path: Path, kept: int) -> None:
    part = begun(tmp_path, hub.files["models/base.pt"][:kept])
    hub.page, hub.page_length = PORTAL * 10, 102_400
    with pytest.raises(HubError, match="stopped coming"):
        pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert part.read_bytes() == hub.files["models/base.pt"][:kept]
    hub.page = None
    (path,) = pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == hub.files["models/base.pt"]


def test_other_bytes_as_long_as_the_file_do_not_cost_what_is_there(hub: StandIn, tmp_path: Path) -> None:
    part = begun(tmp_path, hub.files["models/base.pt"][:30_000])
    hub.page = b"x" * 102_400
    with pytest.raises(HubError, match="wrong checksum"):
        pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert part.read_bytes() == hub.files["models/base.pt"][:30_000]
    assert [each.name for each in part.parent.iterdir()] == [part.name]


def test_a_page_after_a_cut_does_not_cost_what_came_before_it(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # huggingface_hub is to go on by itself
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.stop_after, hub.page, hub.page_after = 30_000, PORTAL, 1
    with pytest.raises(HubError, match="a web page came instead"):
        pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert hub.downloads() == [None, "bytes=30000-"]
    part = tmp_path / "Small-Model" / "models" / "base.pt.part"
    assert part.read_bytes() == hub.files["models/base.pt"][:30_000]


def test_no_more_is_written_than_the_file_has(hub: StandIn, tmp_path: Path) -> None:
    hub.endless = True
    for kept in (0, 30_000):
        part = begun(tmp_path, hub.files["models/base.pt"][:kept])
        with pytest.raises(HubError, match="more came than the file has"):
            pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
        assert part.read_bytes() == hub.files["models/base.pt"][:kept]


def test_a_server_that_sends_the_whole_for_the_rest_costs_nothing(hub: StandIn, tmp_path: Path) -> None:
    part = begun(tmp_path, hub.files["models/base.pt"][:30_000])
    hub.status = 206
    with pytest.raises(HubError, match="more came than the file has"):
        pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert part.read_bytes() == hub.files["models/base.pt"][:30_000]


@pytest.mark.parametrize("kept", [0, 30_000, 102_400])
def test_what_a_killed_pull_left_does_no_harm(hub: StandIn, tmp_path: Path, kept: int) -> None:
    part = begun(tmp_path, hub.files["models/base.pt"][:kept])
    part.with_name("base.pt.part.new").write_bytes(b"half of an answer from the front")
    part.with_name(".base.pt.lock").write_bytes(b"")
    (path,) = pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == hub.files["models/base.pt"]
    assert [each.name for each in path.parent.iterdir()] == ["base.pt"]


def test_a_server_that_only_sends_whole_files_is_fine(hub: StandIn, tmp_path: Path) -> None:
    part = tmp_path / "Small-Model" / "models" / "base.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"the front of an older try")
    hub.page = hub.files["models/base.pt"]
    (path,) = pull(replace(MODEL, files=(BASE,)), tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == hub.files["models/base.pt"]
    assert [each.name for each in path.parent.iterdir()] == ["base.pt"]


def test_two_pulls_of_one_file_do_not_mix(hub: StandIn, tmp_path: Path) -> None:
    hub.slow_s = 1.0
    model = replace(MODEL, files=(BASE,))
    begun = Event()
    first = Thread(
        target=pull, args=(model, tmp_path), kwargs={"endpoint": hub.endpoint, "report": lambda _: begun.set()}
    )
    first.start()
    assert begun.wait(10)
    with pytest.raises(HubError, match=r"another longtake is fetching .*base\.pt: wait for it"):
        pull(model, tmp_path, endpoint=hub.endpoint)
    first.join()
    (path,) = pull(model, tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == hub.files["models/base.pt"]
    assert len([each for _, each, _ in hub.requests if each.endswith("base.pt")]) == 1
    assert [each.name for each in path.parent.iterdir()] == ["base.pt"]


def test_wrong_bytes_do_not_count(hub: StandIn, tmp_path: Path) -> None:
    hub.corrupt = True
    for file in (BASE, TOKENIZER):
        with pytest.raises(HubError, match="wrong checksum"):
            pull(replace(MODEL, files=(file,)), tmp_path, endpoint=hub.endpoint)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_space_is_looked_at_first(hub: StandIn, tmp_path: Path) -> None:
    need = sum(map(len, hub.files.values())) + SPARE_BYTES
    with pytest.raises(HubError, match=r"free, .* are needed"):
        pull(MODEL, tmp_path, endpoint=hub.endpoint, free_bytes=lambda folder: need - 1)
    assert not [path for _, path, _ in hub.requests if "resolve" in path]
    pull(MODEL, tmp_path, endpoint=hub.endpoint, free_bytes=lambda folder: need)
    pull(MODEL, tmp_path, endpoint=hub.endpoint, free_bytes=lambda folder: 0)


def test_a_changed_file_is_not_taken(hub: StandIn, tmp_path: Path) -> None:
    for change in ({"sha256": "0" * 64}, {"size_bytes": 5}):
        model = replace(MODEL, files=(replace(BASE, **change),))
        with pytest.raises(HubError, match="it was changed"):
            pull(model, tmp_path, endpoint=hub.endpoint)


def test_a_part_only(hub: StandIn, tmp_path: Path) -> None:
    assert len(pull(MODEL, tmp_path, endpoint=hub.endpoint, parts=["tokenizer"])) == 1
    with pytest.raises(HubError, match="there are transformer, tokenizer"):
        pull(MODEL, tmp_path, endpoint=hub.endpoint, parts=["lora"])


def test_a_file_the_hub_has_not(hub: StandIn, tmp_path: Path) -> None:
    model = replace(MODEL, files=(replace(BASE, name="other.pt"),))
    with pytest.raises(HubError, match=r"has no other\.pt at revision abc123"):
        pull(model, tmp_path, endpoint=hub.endpoint)


def test_no_connection(hub: StandIn, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="does not answer for someone/Small-Model") as caught:
        pull(MODEL, tmp_path, endpoint="http://127.0.0.1:9")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_without_huggingface_hub_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BackendError, match=r"longtake\[longlive\]"):
        pull(MODEL, tmp_path)


# The table


def test_known_models() -> None:
    for model in MODELS.values():
        assert model.size_bytes > 15e9
        parts = {file.part for file in model.files}
        assert {"transformer", "wan decoder", "tiny decoder", "text encoder", "tokenizer"} <= parts
        assert model.licence
        for file in model.files:
            assert file.sha256 is None or len(file.sha256) == 64
    with pytest.raises(ConfigError, match=r"longlive-1\.3b"):
        known("longlive")


def test_states(tmp_path: Path) -> None:
    model = known("longlive-1.3b")
    assert not any(state.complete for state in states(model, tmp_path))
    lora = next(file for file in model.files if file.part == "lora")
    path = lora.path(tmp_path)
    assert path == tmp_path / "LongLive-1.3B" / "models" / "lora.pt"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(1000)
    state = next(s for s in states(model, tmp_path) if s.file is lora)
    assert (state.path, state.size_bytes, state.complete) == (path, 1000, False)
    with path.open("wb") as file:
        file.truncate(lora.size_bytes)  # a hole: takes no space
    assert next(s for s in states(model, tmp_path) if s.file is lora).complete


def test_the_table_needs_no_torch() -> None:
    code = "import sys, longtake.model.longlive.table, longtake.model.longlive.hub; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
