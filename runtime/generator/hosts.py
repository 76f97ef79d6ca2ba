"""Where a generator runs: a process of its own (the normal case), or a thread of this one (`--in-process`)."""

import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Protocol

import zmq

from longtake.model.interface import LoadRequest, ModelSpec, load_model, model_spec
from longtake.protocol import sockets
from longtake.runtime.generator.loop import run_generator
from longtake.runtime.generator.worker import Models

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GeneratorHostConfig:
    """Which models a generator serves, and on what."""

    models: tuple[str, ...] = ("diorama",)
    factory: str = ""
    """`module:function` that loads the models instead of the registry"""
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    """CPU threads; 0 takes the number of the model's spec"""
    options: dict[str, str] = field(default_factory=dict)
    """the model's options, as texts by name"""
    step_within_s: float = 120.0
    """if a step takes longer, the generator hangs and is replaced"""
    loads_within_s: float = 0.0
    """0 takes the limit of the model's spec"""
    silent_s: float = 15.0
    """a generator that answers no ping for this long is replaced"""
    log_level: str = "warning"
    environment: dict[str, str] = field(default_factory=dict)
    """added to the process's environment"""

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("a generator needs at least one model")
        for name in self.models:
            model_spec(name, self.factory)

    @property
    def specs(self) -> list[ModelSpec]:
        """The specs of its models."""
        return [model_spec(name, self.factory) for name in self.models]

    @property
    def process_threads(self) -> int:
        """CPU threads of the generator's process; 0 leaves the number to torch."""
        return self.threads or max(spec.threads for spec in self.specs)

    @property
    def option_arguments(self) -> list[str]:
        """The options as command-line arguments."""
        # One word each, because a value may begin with a dash.
        return [f"--option={name}={value}" for name, value in self.options.items()]

    @property
    def load_limit_s(self) -> float:
        """Seconds after which a generator that is still not ready counts as hanging."""
        return self.loads_within_s or max(spec.loads_within_s for spec in self.specs)

    def load(self) -> Models:
        """Load the models; in the generator only. Raises what their loaders raise."""
        return {
            spec.name: load_model(
                spec,
                LoadRequest(
                    name=spec.name,
                    device=self.device,
                    precision=self.precision,
                    threads=self.threads or spec.threads,
                    options=self.options,
                ),
            )
            for spec in self.specs
        }


class GeneratorHost(Protocol):
    """Starts and ends generators, one at a time."""

    transport: str
    """scheme of the endpoints it can use: "ipc", "tcp" or "inproc" """

    def start(self, endpoint: str) -> None:
        """Start a generator that connects to `endpoint`; not while one is alive."""
        ...

    def alive(self) -> bool:
        """Whether the generator runs."""
        ...

    def end(self, patience_s: float) -> None:
        """Wait for it to end by itself, then kill it."""
        ...


class ProcessHost:
    """Generators as processes."""

    def __init__(self, config: GeneratorHostConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.transport = "ipc" if zmq.has("ipc") else "tcp"

    @property
    def pid(self) -> int:
        """Process id of the generator that was started last; 0 before the first."""
        return self._process.pid if self._process is not None else 0

    def start(self, endpoint: str) -> None:
        """Start a process."""
        config = self._config
        command = [sys.executable, "-m", "longtake.runtime.generator.process", "--endpoint", endpoint]
        for name in config.models:
            command += ["--model", name]
        command += ["--factory", config.factory, "--device", config.device, "--precision", config.precision]
        command += ["--threads", str(config.threads), "--log-level", config.log_level]
        command += config.option_arguments
        environment = {**os.environ, **config.environment}
        if config.process_threads:
            # OpenMP reads it when torch is imported; set later, idle threads keep spinning.
            environment["OMP_NUM_THREADS"] = str(config.process_threads)
        # In a session of its own, so that Ctrl-C reaches only the server, which then ends the generator in order.
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def end(self, patience_s: float) -> None:
        """Wait, then kill."""
        if self._process is None:
            return
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            if patience_s:
                log.warning("the generator did not end within %g s and is killed", patience_s)
            self._process.kill()
            self._process.wait()


class ThreadHost:
    """Generators as threads of this process, over `inproc`. For tests and `--in-process`."""

    transport = "inproc"

    def __init__(self, config: GeneratorHostConfig, context: sockets.Context) -> None:
        self._config = config
        self._context = context
        self._thread: threading.Thread | None = None

    def start(self, endpoint: str) -> None:
        """Start a thread."""
        self._thread = threading.Thread(target=self._run, args=(endpoint,), name="generator", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def end(self, patience_s: float) -> None:
        """Wait. A thread cannot be killed: if it does not end, it is left behind."""
        if self._thread is not None:
            self._thread.join(patience_s)
            if self._thread.is_alive():
                log.error("the generator's thread did not end within %g s and is left behind", patience_s)

    def _run(self, endpoint: str) -> None:
        run_generator(
            context=self._context,
            endpoint=endpoint,
            load=self._config.load,
            pid=os.getpid(),
            threads=self._config.process_threads,
            check=lambda silent_s: None,
        )
