"""How the processes of a run end."""

import atexit
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End this process without the interpreter's teardown; call it when everything is saved and closed.

    Gloo's threads outlive their process group while a mesh or a spread module still refers to it. If one of them lets
    go of its last tensor during the teardown, it aborts the process, and a run that is finished counts as lost.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
