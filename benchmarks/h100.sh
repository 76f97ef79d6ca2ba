#!/usr/bin/env bash
# Measures longlive-1.3b on an H100 or H200 in at most five minutes, with random weights at full size: the code before
# the Triton kernels and after them side by side, FP8, both decoders, live worlds, and conformance. Prints a table and
# writes lines for benchmarks/history.jsonl.
#
#   benchmarks/h100.sh                     on the card, from the root of a checkout
#   benchmarks/h100.sh --rehearse          the same on a CPU with tiny weights: its figures mean nothing
#   benchmarks/h100.sh --before COMMIT     compare with another commit; `none` leaves it out
#   benchmarks/h100.sh --only "after, bf16" --only "before, bf16"
#
# PYTHON names the interpreter that has the package (default: .venv/bin/python, else python3).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
command -v "$python" > /dev/null || python=python3
exec "$python" benchmarks/h100_table.py "$@"
