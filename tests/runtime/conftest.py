"""Makes `fakes` importable in the engine's tests, here and in the generator processes they start."""

import os
import sys
from pathlib import Path

FOLDER = str(Path(__file__).parent)
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [FOLDER, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != FOLDER)]
)
