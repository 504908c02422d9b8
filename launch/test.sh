#!/usr/bin/env bash
# Runs the tests, on a fresh machine too: makes .venv and installs first (see launch/install.sh).
#
#   bash launch/test.sh [PYTEST ARGS]      for example: bash launch/test.sh tests/downstream -k phases
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$(bash "$root/launch/install.sh" test)
cd "$root"
exec "$python" -m pytest "$@"
