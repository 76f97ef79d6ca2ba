"""The generator as a process: `python -m longtake.runtime.generator.process --endpoint ... --model diorama`.

Started by the server, never by hand. It ends when told to, and by itself within seconds when its server is gone.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

import zmq

from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.generator.loop import run_generator
from longtake.runtime.generator.supervisor import IPC_PREFIX
from longtake.runtime.options import parse_option

SILENCE_S = 30.0
"""without a ping for this long, the server counts as gone"""

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Parse, load, serve."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="generator: %(levelname)s %(message)s")
    # Ctrl-C reaches the whole process group, and the server ends this process in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = GeneratorHostConfig(
        models=tuple(options.model),
        factory=options.factory,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        options=dict(options.option),
    )
    for spec in config.specs:
        if spec.logger:
            # this model takes minutes to load: its progress is always shown
            logging.getLogger(spec.logger).setLevel(min(logging.INFO, logging.getLogger().level))
    in_order = run_generator(
        context=zmq.Context.instance(),
        endpoint=options.endpoint,
        load=config.load,
        pid=os.getpid(),
        threads=config.process_threads,
        check=ParentWatch(options.endpoint),
    )
    # Waits until the last message is sent: a process that failed at once would otherwise lose it.
    zmq.Context.instance().term()
    return 0 if in_order else 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of this process's arguments."""
    parser = argparse.ArgumentParser(prog="longtake.runtime.generator.process", description="Started by the server.")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--factory", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--option", action="append", type=parse_option, default=[], metavar="NAME=VALUE")
    parser.add_argument("--log-level", default="warning")
    return parser


class ParentWatch:
    """Ends the process when its server died: the parent process changed, or the pings stopped."""

    def __init__(self, endpoint: str) -> None:
        self._parent = os.getppid()
        self._endpoint = endpoint

    def __call__(self, silent_s: float) -> None:
        """Check once. The mailbox calls this about once a second."""
        if os.getppid() == self._parent and silent_s <= SILENCE_S:
            return
        log.warning("the server is gone; ending")
        self._tidy_up()
        # A step may run for a long time yet, and nobody needs its result.
        os._exit(1)

    def _tidy_up(self) -> None:
        """Remove the folder of the socket: the server can no longer do it."""
        folder = Path(self._endpoint.removeprefix("ipc://")).parent
        if self._endpoint.startswith("ipc://") and folder.name.startswith(IPC_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is sent and closed. Torch and CUDA would take seconds to free what the system frees at once.
    os._exit(code)
