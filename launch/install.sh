#!/usr/bin/env bash
# Makes the project's virtual environment, or finds it complete, and prints the path of its Python.
#
#   bash launch/install.sh [test]     "test" adds what the tests need
#
#   PYTHON=...   the Python to build on; otherwise the newest on this machine that runs, is >= 3.11 and can make
#                a virtual environment
#   VENV=...     the environment's folder (default: .venv in the checkout)
#
# A complete environment is reused until requirements.txt, pyproject.toml or the Python change. The stamp that says
# so is written last: an install that was interrupted is done again from scratch.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
stamp=$venv/semiqc_jax.stamp
extra=${1:-}

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Prints a sortable version if $1 runs and is a released CPython >= 3.11 that has what a virtual environment needs.
version_of() {
  "$1" -c '
import sys, sysconfig
import ensurepip, venv
released = sys.implementation.name == "cpython" and sys.version_info.releaselevel == "final"
if not released or sys.version_info < (3, 11) or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
print("%03d.%03d.%03d" % sys.version_info[:3])' 2>/dev/null </dev/null
}

# Prints "VERSION PATH" for each Python that will do, the newest first; of equals, the first on PATH.
pythons() {
  local name path version
  {
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do type -aP "$name" || true; done
    for path in "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/*/bin/python; do printf '%s\n' "$path"; done
  } | while IFS= read -r path; do
    if [ -x "$path" ] && version=$(version_of "$path"); then printf '%s %s\n' "$version" "$path"; fi
  done | sort -s -r -k1,1
}

# A hash of everything the environment is made from, as the Python $1 would make it.
fingerprint() {
  "$1" -c '
import hashlib, pathlib, sys
parts = [sys.version.encode()] + [pathlib.Path(name).read_bytes() for name in sys.argv[1:]]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())' \
    "$root/requirements.txt" "$root/pyproject.toml" 2>/dev/null </dev/null
}

complete() { # complete HASH: does the stamp hold it, with the extra that is asked for?
  [ -n "$1" ] && [ -f "$stamp" ] && { [ "$(cat "$stamp")" = "$1 $extra" ] || [ "$(cat "$stamp")" = "$1 test" ]; }
}

make_venv() {
  local line python=
  if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -m venv --clear "$venv" >&2 || fail "could not make a virtual environment (PYTHON=$PYTHON): try another"
    python=$PYTHON
  else
    while IFS= read -r line; do
      if "${line#* }" -m venv --clear "$venv" >/dev/null 2>&1; then python=${line#* } && break; fi
    done < <(pythons)
    [ -n "$python" ] || fail "no usable Python (PATH, pyenv): install Python >= 3.11 with venv, or set PYTHON=..."
  fi
  say "virtual environment: $venv ($("$python" --version 2>&1), $python)"
}

case $extra in '' | test) ;; *) fail "unknown extra ($extra): the only one is 'test'" ;; esac
if [ -n "${PYTHON:-}" ]; then
  command -v -- "$PYTHON" >/dev/null || fail "no such program (PYTHON=$PYTHON): give the path of a Python >= 3.11"
  version_of "$PYTHON" >/dev/null ||
    fail "Python cannot be used (PYTHON=$PYTHON): it must run, be >= 3.11 and have the modules venv and ensurepip"
fi
if [ -d "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
  fail "not a virtual environment (VENV=$venv): name a folder that is new, empty or one"
fi
mkdir -p "$root/.cache"
if command -v flock >/dev/null; then # a second install waits for the first
  exec 9>"$root/.cache/install.lock"
  flock 9
fi

present=$(fingerprint "$venv/bin/python" || true)
wanted=$present
[ -z "${PYTHON:-}" ] || wanted=$(fingerprint "$PYTHON")
if [ "$present" != "$wanted" ] || ! complete "$wanted"; then
  # What is there is built upon only if it is whole, that is, has a stamp or was made by hand.
  if [ -z "$present" ] || [ "$present" != "$wanted" ] || grep -qs installing "$stamp" ||
    ! version_of "$venv/bin/python" >/dev/null || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    make_venv
  fi
  echo installing >"$stamp"
  say "installing packages (once; about a gigabyte, a minute or two) ..."
  cd "$root"
  packages=(-r requirements.txt)
  [ -z "$extra" ] || packages+=(-e ".[$extra]")
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" >&2 ||
    fail "pip could not install ($root/requirements.txt): see its message above; another Python: PYTHON=..."
  printf '%s %s\n' "$(fingerprint "$venv/bin/python")" "$extra" >"$stamp.new"
  mv "$stamp.new" "$stamp"
fi
printf '%s\n' "$venv/bin/python"
