#!/usr/bin/env bash
# Runs the tests, on a fresh machine too: makes .venv and installs first (see launch/install.sh).
#
#   bash launch/test.sh [PYTEST ARGS]      for example: bash launch/test.sh tests/downstream -k phases
#
# Without arguments it runs the whole suite in two processes.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$(bash "$root/launch/install.sh" test)
cd "$root"
[ $# -gt 0 ] || set -- -n 2 --dist loadfile
exec "$python" -m pytest "$@"
