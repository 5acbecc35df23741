#!/usr/bin/env bash
# Figures of the GPU path, as a table with targets, in under ten minutes on one GPU. Needs this repository, and a
# Python in which it is installed (PYTHON, or that of .venv, or python3).
#
#     tests/gpu/check.sh                          # on a GPU
#     tests/gpu/check.sh --device cpu --smoke     # on any machine: shows that the script runs, in about a minute
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || command -v python3)}
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH} OMP_WAIT_POLICY=PASSIVE
exec "$PYTHON" tests/gpu/check.py "$@"
