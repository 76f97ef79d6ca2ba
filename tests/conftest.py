"""What holds for every test: one thread for torch, here and in the processes that tests start.

The tests' tensors are small. With more threads OpenMP's workers spin against each other as soon as anything else
runs on the machine, and a test of five seconds takes two minutes.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is imported
