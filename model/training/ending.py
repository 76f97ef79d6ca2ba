"""How the processes of a run end."""

import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End this process at once, without the interpreter's teardown; everything has been closed and saved before.

    Gloo's threads outlive their process group while a mesh or a spread module still refers to it. If one of them lets
    go of its last tensor during the teardown, it aborts the process, and a run that is finished counts as lost.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
