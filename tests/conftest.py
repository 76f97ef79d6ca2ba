"""What holds for every test: one thread for torch, here and in the processes that tests start.

The tests' tensors are small. With more threads OpenMP's workers spin against each other as soon as anything else
runs on the machine, and a test of five seconds takes two minutes.
"""

import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is imported

if shutil.which("nvidia-smi") is None:
    # Without a GPU Triton's kernels are interpreted. Triton reads this when it is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")
