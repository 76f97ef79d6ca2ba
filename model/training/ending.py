"""How the processes of training end. Imports no torch: those that only draw need none."""

import atexit
import logging
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from longtake.model.errors import ModelError

log = logging.getLogger(__name__)

FAILED: Final = 2
"""exit status of a part that has said why it ends, and of a rank that has left the reason where the ranks meet"""


def carry_out(main: Callable[[], None]) -> NoReturn:
    """Run a part's main and end the process: an error of the model's or a file's is one line and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        main()
    except ModelError as error:
        log.error("longtake train: %s", error)
        leave(FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        log.error("longtake train: %s: %s", error.filename, error.strerror)
        leave(FAILED)
    leave(0)


def leave(status: int) -> NoReturn:
    """End this process without the interpreter's teardown; call it when everything is saved and closed.

    Gloo's threads outlive their process group while a mesh or a spread module still refers to it. If one of them lets
    go of its last tensor during the teardown, it aborts the process, and a run that is finished counts as lost.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
