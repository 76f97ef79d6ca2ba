"""Makes `fakes` importable in the engine's tests and in the generators they start; servers to test against."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

FOLDER = str(Path(__file__).parent)
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [FOLDER, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != FOLDER)]
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start servers in threads; `process=True` gives them a generator process, `fake` sets `FakeConfig`."""
    import json

    from longtake.runtime.generator.hosts import GeneratorHostConfig
    from longtake.runtime.server.local import server_thread
    from longtake.runtime.server.loop import ServerConfig

    with ExitStack() as stack:

        def begin(
            *, process: bool = False, fake: dict[str, Any] | None = None, wait_ready: bool = True, **config: Any
        ) -> Any:
            os.environ["LONGTAKE_FAKE"] = json.dumps(fake or {})
            chosen = {"models": ("fake",), "factory": "fakes:load"} | config.pop("generator", {})
            generator = GeneratorHostConfig(**chosen)
            config.setdefault("endpoint", "tcp://127.0.0.1:0")
            config.setdefault("takes", tmp_path / "takes")
            config.setdefault("heartbeat_s", 1.0)
            full = ServerConfig(generator=generator, in_process=not process, **config)
            return stack.enter_context(server_thread(full, wait_ready=wait_ready))

        yield begin
    os.environ.pop("LONGTAKE_FAKE", None)
