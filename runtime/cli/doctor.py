"""`longtake doctor`: say what this machine has, what Longtake chooses here, and what to install. Changes nothing."""

import argparse
import os
import platform
import socket
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Literal

from longtake.clients.player.pygame_packages import PYGAME_PACKAGES, pygame_conflict
from longtake.model.interface import model_spec, model_specs
from longtake.model.ops.cores import usable_cores
from longtake.protocol.endpoints import DEFAULT_PORT
from longtake.protocol.version import __version__
from longtake.runtime.cli.arguments import DEFAULT_MODEL, add_json_argument
from longtake.runtime.cli.display import has_display
from longtake.runtime.cli.models import listing
from longtake.runtime.cli.output import print_json
from longtake.runtime.cli.usage import FAILED, OK

State = Literal["ok", "note", "problem"]
SIGNS: dict[State, str] = {"ok": "+", "note": "-", "problem": "!"}

PACKAGES: dict[str, tuple[str, str]] = {
    "msgpack": ("client", "longtake"),
    "msgspec": ("client", "longtake"),
    "numpy": ("client", "longtake"),
    "pillow": ("client", "longtake"),
    "pyzmq": ("client", "longtake"),
    "pyyaml": ("client", "longtake"),
    "tqdm": ("client", "longtake"),
    "torch": ("hosting worlds", "'longtake[host]'"),
    "safetensors": ("hosting worlds", "'longtake[host]'"),
    "einops": ("hosting worlds", "'longtake[host]'"),
    "av": ("writing videos", "'longtake[host]'"),
    "huggingface_hub": ("`longtake models pull`", "'longtake[longlive]'"),
    "gymnasium": ("the Gymnasium environment", "'longtake[agents]'"),
}
"""distribution: (what needs it, what pip has to install)"""
HOST = "pip install 'longtake[host]'"
NOTABLE = ("amx", "avx", "bf16", "fma", "neon", "sve")
"""prefixes of the instruction sets that matter here"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    area: str
    name: str
    state: State
    value: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Look at everything and print it; exit code 1 if something is wrong."""
    found = [*machine(), *packages(), *compute(), *weights(), *display(), *ports()]
    healthy = not any(finding.state == "problem" for finding in found)
    if options.json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in found]})
    else:
        print_report(found)
    return OK if healthy else FAILED


def print_report(found: list[Finding]) -> None:
    """Print the findings by area: + is fine, - is worth knowing, ! is wrong."""
    width = max(len(finding.name) for finding in found)
    area = ""
    for finding in found:
        if finding.area != area:
            print(f"{'' if not area else chr(10)}{finding.area}")
            area = finding.area
        advice = f"  -> {finding.advice}" if finding.advice else ""
        print(f"  {SIGNS[finding.state]} {finding.name:<{width}}  {finding.value}{advice}")
    print(f"\n{verdict(found)}")


def verdict(found: list[Finding]) -> str:
    """Return the report's last line: what this machine can do, and what it lacks for more."""
    problems = sum(finding.state == "problem" for finding in found)
    if problems:
        return f"{problems} to fix, marked with !"
    hosting = [finding for finding in found if finding.state == "note" and finding.name in ("torch", "av")]
    if hosting:
        lacks = " and ".join(sorted({finding.name for finding in hosting}))
        return f"this machine can watch and steer; for worlds and films of its own it lacks {lacks}: {HOST}"
    return "all is well"


def machine() -> list[Finding]:
    """Look at Python, the system and the processor."""
    python = platform.python_version()
    new_enough = sys.version_info >= (3, 11)
    advice = "" if new_enough else "install Python 3.11 or newer"
    return [
        Finding(area="machine", name="longtake", state="ok", value=__version__),
        Finding(area="machine", name="python", state="ok" if new_enough else "problem", value=python, advice=advice),
        Finding(area="machine", name="system", state="ok", value=f"{platform.system()} {platform.release()}"),
        Finding(area="machine", name="processor", state="ok", value=f"{platform.machine()}, {usable_cores()} cores"),
    ]


def packages() -> list[Finding]:
    """Look for packages that are missing, or that break each other."""
    found = []
    for name, (purpose, wanted) in (PACKAGES | model_packages()).items():
        installed = version_of(name)
        if installed:
            found.append(Finding(area="packages", name=name, state="ok", value=installed))
            continue
        # A client machine needs no torch, so only what every machine needs is a problem.
        state: State = "problem" if purpose == "client" else "note"
        advice = f"pip install {wanted}"
        found.append(
            Finding(area="packages", name=name, state=state, value=f"not installed, for {purpose}", advice=advice)
        )
    return [*found, *pygame_packages()]


def model_packages() -> dict[str, tuple[str, str]]:
    """Distributions that only some models need, as in `PACKAGES`; the first model that needs one is named."""
    found: dict[str, tuple[str, str]] = {}
    for spec in model_specs():
        for name, wanted in spec.packages.items():
            found.setdefault(name, (spec.name, wanted))
    return found


def pygame_packages() -> list[Finding]:
    """Look for the player's library, which comes in two packages that break each other."""
    conflict = pygame_conflict()
    if conflict:
        return [Finding(area="packages", name="pygame", state="problem", value="installed twice", advice=conflict)]
    for name in PYGAME_PACKAGES:
        if installed := version_of(name):
            return [Finding(area="packages", name=name, state="ok", value=installed)]
    advice = "pip install pygame-ce"
    return [Finding(area="packages", name="pygame-ce", state="problem", value="not installed", advice=advice)]


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution, or "" if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def compute() -> list[Finding]:
    """Device, precision, threads and attention: what `auto` chooses here, and what else could be had."""
    if find_spec("torch") is None:
        return [
            Finding(
                area="compute",
                name="torch",
                state="note",
                value="not installed: this machine can watch and steer, not host",
                advice="pip install 'longtake[host]'",
            )
        ]
    import torch

    from longtake.model.backend import Backend
    from longtake.model.ops import precision

    device = precision.choose_device("auto")
    dtype = precision.choose_precision("auto", device)
    threads = model_spec(DEFAULT_MODEL).threads
    found = [
        *(Finding(area="compute", name=name, state="ok", value=value) for name, value in processor(torch)),
        Finding(area="compute", name="device", state="ok", value=str(device)),
        Finding(area="compute", name="precision", state="ok", value=precision.precision_name(dtype)),
        Finding(
            area="compute",
            name="threads",
            state="ok",
            value=f"{threads} for {DEFAULT_MODEL}, of {usable_cores()} cores",
        ),
    ]
    backend = Backend.chosen(device, dtype, threads=threads)
    return [
        *found,
        *(option(f"{one.knob} {one.name}".strip(), one.chosen, one.missing) for one in backend.verdicts),
    ]


def option(name: str, chosen: bool, problem: str | None) -> Finding:
    """A way to compute: chosen by itself, to be asked for, or out of reach for a reason."""
    value = "chosen" if chosen else "not chosen" if problem is None else "cannot be used here"
    return Finding(area="compute", name=name, state="note" if problem else "ok", value=value, advice=problem or "")


def processor(torch: Any) -> list[tuple[str, str]]:
    """Return what the processor and the GPU can do."""
    from longtake.model.ops.precision import cpu_has_bf16, cpu_prefers_bf16

    capabilities = sorted(
        name for name, has in torch.cpu.get_capabilities().items() if has is True and name.startswith(NOTABLE)
    )
    if not cpu_has_bf16():
        bf16 = "emulated, so fp32 is used on the CPU"
    else:
        bf16 = "native" if cpu_prefers_bf16() else "native, but slower than fp32, so fp32 is used on the CPU"
    rows = [("instructions", ", ".join(capabilities) or "the base only"), ("bf16", bf16)]
    if not torch.cuda.is_available():
        return [*rows, ("gpu", "none that torch can use")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        size = properties.total_memory / 2**30
        rows.append(
            (f"gpu {index}", f"{properties.name}, {size:.0f} GiB, compute {properties.major}.{properties.minor}")
        )
    return rows


def weights() -> list[Finding]:
    """Look for the models' weights; the bundled ones come with the hash that takes carry."""
    found = []
    for spec in model_specs():
        row = listing(spec)
        if row.ready:
            named = f", hash {spec.digest()}" if spec.digest is not None else ""
            found.append(Finding(area="weights", name=row.name, state="ok", value=f"{row.size_mib:,.1f} MiB{named}"))
        else:
            state: State = "problem" if spec.bundled else "note"
            found.append(Finding(area="weights", name=row.name, state=state, value="not here", advice=row.note))
    return found


def display() -> list[Finding]:
    """Find out whether a window can open."""
    if has_display():
        return [Finding(area="player", name="display", state="ok", value="there is one")]
    advice = "`longtake play` films the scenario instead; for a window log in with a desktop or use ssh -X"
    return [Finding(area="player", name="display", state="note", value="none", advice=advice)]


def ports() -> list[Finding]:
    """Find out whether the ports of `longtake serve` are free."""
    found = []
    for port, purpose in ((DEFAULT_PORT, "control"), (DEFAULT_PORT + 1, "frames")):
        free = port_is_free(port)
        advice = (
            ""
            if free
            else "a server may be running (`longtake join`); else use another: longtake serve --bind tcp://127.0.0.1:PORT"
        )
        found.append(
            Finding(
                area="server",
                name=f"port {port} ({purpose})",
                state="ok" if free else "note",
                value="free" if free else "in use",
                advice=advice,
            )
        )
    return found


def port_is_free(port: int) -> bool:
    """Return whether a TCP port of the loopback address can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            # As ZeroMQ does: a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
