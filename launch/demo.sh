#!/usr/bin/env bash
# Runs the whole loop on the synthetic cohort, on a fresh machine too: makes .venv and installs first.
#
#   bash launch/demo.sh [--quick]          output in runs/demo/, the table on stdout
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$(bash "$root/launch/install.sh")
cd "$root"
exec "$python" launch/demo.py "$@"
