"""Uses the product as people do, in a home of its own: films, worlds, recordings, and commands that are killed or fail.

`test_litter.py` does it once on the fake model. For as long as you like, on the bundled model:

    python -m tests.cli.use --minutes 10
"""

import argparse
import functools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from longtake.clients.session import Session

ROOT = Path(__file__).resolve().parents[2]
FAKES = ROOT / "tests" / "runtime"
FAKE = ("--factory", "fakes:load_steered")
MADE = frozenset(
    {
        *("films/fox.mp4", "films/fox.png", "films/fox.take", "films/of-take.mp4", "films/fox.gif"),
        *("renders/default.mp4", "renders/default.png", "takes/watched.take"),
    }
)
"""what one round makes, in its working folder; nothing else may be left anywhere"""
NEVER_OVERWRITTEN = ("films/fox.take", "renders/default.mp4", "renders/default.png", "takes/watched.take")
QUOTA_BYTES = 4096
NOT_OURS = ("longtake-clips-", "sem.mp-", "torch_")
"""beginnings of names in shared memory that training uses, which may run beside this"""


@dataclass(frozen=True, kw_only=True)
class Home:
    """A folder with everything that a command might write to."""

    folder: Path
    model: tuple[str, ...] = FAKE
    """arguments that choose the model"""
    shared_before: frozenset[str] = field(default_factory=lambda: shared_memory())

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.folder / "work"

    def environment(self) -> dict[str, str]:
        """Return the environment of a command, with each known folder in this home."""
        places = {"HOME": "home", "TMPDIR": "tmp", "XDG_RUNTIME_DIR": "run"}
        places |= {f"XDG_{kind}_HOME": f"home/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
        for place in [*places.values(), "work"]:
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        known = {name: str(self.folder / place) for name, place in places.items()}
        paths = os.pathsep.join([str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])])
        without_display = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        return {**without_display, **known, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *arguments: str, before: Callable[[], None] = lambda: None) -> "subprocess.Popen[str]":
        """Start a command."""

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background
            before()

        return subprocess.Popen(
            [sys.executable, "-m", "longtake", *arguments, *self.model],
            cwd=self.work,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=prepare,
        )

    def run(self, *arguments: str, code: int = 0, before: Callable[[], None] = lambda: None) -> str:
        """Run a command to its end and return what it printed."""
        process = self.start(*arguments, before=before)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (arguments, process.returncode, err)
        assert "Traceback" not in out + err, err
        return out + err

    def files(self) -> set[str]:
        """Return all files, sockets and empty folders, as paths below the folder."""
        found = [path for path in self.folder.rglob("*") if not path.is_dir() or not any(path.iterdir())]
        return {str(path.relative_to(self.folder)) for path in found}

    def litter(self, made: frozenset[str] = MADE, patience_s: float = 20.0) -> set[str]:
        """Return what is there and should not be, and what is missing, once the last processes have ended."""
        right = {f"work/{name}" for name in made}
        places = {"home/cache", "home/config", "home/data", "home/state", "tmp", "run"}
        until = time.monotonic() + patience_s
        while True:
            wrong = (self.files() - right - places) | {f"missing: {name}" for name in right - self.files()}
            wrong |= {f"/dev/shm/{name}" for name in shared_memory() - self.shared_before}
            wrong |= {f"process {number}: {name}" for number, name in self.processes().items()}
            if not wrong or time.monotonic() > until:
                return wrong
            time.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """Return the processes that still work in the home, where the system tells."""
        found: dict[int, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if Path(os.readlink(process / "cwd")).is_relative_to(self.folder):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
            except OSError:  # it has ended, or is not ours
                continue
        return found


def shared_memory() -> frozenset[str]:
    """Return the names of what lies in shared memory, but for training's."""
    folder = Path("/dev/shm")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return frozenset(name for name in names if not name.startswith(NOT_OURS))


def one_round(home: Home) -> None:
    """Film, play, host, watch, record and replay; kill some, and let some fail."""
    film = ("--seconds", "1", "--overwrite")
    for name in NEVER_OVERWRITTEN:
        (home.work / name).unlink(missing_ok=True)
    home.run("run", "default", "--mode", "offline", "--seconds", "1", code=home_code(home))
    home.run("render", "a fox", "-o", "films/fox.mp4", "--record", "films/fox.take", "--contact-sheet", *film)
    home.run("render", "a fox", "-o", "films/fox.gif", "--no-contact-sheet", *film)
    home.run("render", "--take", "films/fox.take", "-o", "films/of-take.mp4", "--no-contact-sheet", "--overwrite")
    home.run("play", "--headless", "--seconds", "1")
    serve_and_watch(home)
    killed(home)
    failed(home)
    home.run("scenarios", "nigth-train", code=2)


def home_code(home: Home) -> int:
    """The fake model reads nothing, so the expectations of a scenario are not met."""
    return 1 if home.model == FAKE else 0


def serve_and_watch(home: Home) -> None:
    """Host a world on ipc, join it twice, record, and end with Ctrl-C."""
    endpoint = f"ipc://{home.folder}/run/serve"
    server = home.start("serve", "--bind", endpoint)
    wait_until(lambda: (home.folder / "run" / "serve").exists(), "the server's socket")
    with Session.connect(endpoint, timeout_s=60) as director, Session.connect(endpoint) as viewer:
        wait_until(lambda: bool(director.worlds()), "the first world")
        world = director.join(role="director")
        world.record_start("watched")
        for _ in range(2):
            watched = viewer.join()
            watched.next_picture(60)
            watched.leave()
        world.prompt("night")
        world.next_picture(60)
        world.record_stop()
        mine = director.open(world.info.model.name, mode="lockstep", delivery="every", prompt="a boat")
        assert len(mine.advance(8, timeout_s=120)) == 8  # the first world runs on meanwhile
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=60)
    assert server.returncode == 0, (out, err)


def killed(home: Home) -> None:
    """Kill commands at work, one of them twice at the same film, and make that film after all."""
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        before = set(home.work.glob("films/.lt-*"))
        process = home.start("render", "a fox", "-o", "films/fox.mp4", "--overwrite", "--seconds", "900")
        wait_until(functools.partial(has_more, home.work, "films/.lt-*", before), "the part of a film")
        process.send_signal(number)
        process.communicate(timeout=60)
    server = home.start("serve", "--bind", f"ipc://{home.folder}/run/killed")
    wait_until(lambda: (home.folder / "run" / "killed.frames").exists(), "the server's sockets")
    time.sleep(0.5)
    server.kill()
    server.communicate(timeout=60)
    server = home.start("serve", "--bind", f"ipc://{home.folder}/run/killed")  # takes the dead one's place
    with Session.connect(f"ipc://{home.folder}/run/killed", timeout_s=60) as session:
        wait_until(lambda: bool(session.models), "the model", lambda: session.refresh())
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    # removes what the killed ones left
    home.run("render", "a fox", "-o", "films/fox.mp4", "--no-contact-sheet", "--seconds", "1", "--overwrite")


def failed(home: Home) -> None:
    """Fail at a full quota, at a folder that is a file, and at what cannot be written."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (QUOTA_BYTES, QUOTA_BYTES))

    for name in ("full.mp4", "full.gif"):
        home.run("render", "a fox", "-o", f"films/{name}", "--seconds", "4", code=2, before=limit)
    home.run("run", "default", "--mode", "offline", "--seconds", "2", "--record", "films/fox.mp4/x.take", code=2)
    home.run("render", "a fox", "-o", "films/fox.mp4/no.mp4", code=2)
    home.run("replay", "films/none.take", code=2)


def has_more(folder: Path, pattern: str, before: set[Path]) -> bool:
    """Whether there are files that were not there before."""
    return bool(set(folder.glob(pattern)) - before)


def wait_until(condition: Callable[[], bool], what: str, between: Callable[[], object] = lambda: None) -> None:
    """Wait for a condition. Raises `AssertionError` that names `what` did not happen."""
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        between()
        time.sleep(0.02)


def main() -> int:
    """Use the bundled model for some minutes and report what is left behind."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="longtake-use-") as folder:
        home = Home(folder=Path(folder), model=())
        rounds = 0
        while time.monotonic() < end:
            one_round(home)
            rounds += 1
            wrong = home.litter()
            print(f"round {rounds}: {len(home.files())} files", *sorted(wrong), sep="\n  ", flush=True)
            if wrong:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
