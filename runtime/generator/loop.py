"""The generator's loop: loads the models, then carries out the server's commands one after another.

Three threads. The *mailbox* owns the socket: it queues commands, sends answers, and answers pings while a step
runs. The *worker* (the caller's thread) owns the models and their worlds. The *encoder* encodes the prompts of
coming cues while the worker makes a block.
"""

import logging
from collections.abc import Callable

from longtake.protocol import sockets
from longtake.protocol.generator_messages import GenError, GenStop
from longtake.runtime.generator.mailbox import Mailbox
from longtake.runtime.generator.worker import Models, Worker, one_line

log = logging.getLogger(__name__)


def run_generator(
    *,
    context: sockets.Context,
    endpoint: str,
    load: Callable[[], Models],
    pid: int,
    threads: int,
    check: Callable[[float], None],
) -> bool:
    """Load the models and serve until told to stop; return whether the end was in order.

    A failure to load is reported to the server as a fatal `gen_error` without a world.
    """
    mailbox = Mailbox(context, endpoint, check)
    try:
        try:
            worker = Worker(load(), mailbox.send)
            mailbox.on_hint = worker.hint
            worker.ready(pid=pid, threads=threads)
        except Exception as error:  # the server shows it to whoever started it
            log.info("the models could not be loaded", exc_info=True)
            mailbox.send(GenError(world="", generation=0, code="generator", message=one_line(error), fatal=True))
            return False
        while True:
            command, part = mailbox.commands.get()
            if not worker.carry_out(command, part):
                worker.close()
                return isinstance(command, GenStop)
    finally:
        mailbox.close()
