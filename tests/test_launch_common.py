"""launch/common.py: exit codes, and errors as one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
from absl import flags
from common import run_main
from semiqc_jax.errors import ConfigError, Preempted

NUMBER = flags.DEFINE_integer("number", 0, "A number.")
ACTS = {
    "fine": lambda: None,
    "code": lambda: 75,
    "config": lambda: (_ for _ in ()).throw(ConfigError("wrong\\nvalue", "config.x", "choose y")),
    "preempted": lambda: (_ for _ in ()).throw(Preempted("stopped", "run", "run again")),
    "bug": lambda: {}["key"],
}
"""


def launch(tmp_path, act, *args):
    script = tmp_path / "script.py"
    script.write_text(f"{SCRIPT}\nrun_main(ACTS[{act!r}])\n")
    paths = os.pathsep.join([str(ROOT / "launch"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, str(script), *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("act", "args", "code", "message"),
    [
        ("fine", [], 0, ""),
        ("code", [], 75, ""),
        ("config", [], 2, "error: wrong value (config.x): choose y\n"),
        ("preempted", [], 75, "error: stopped (run): run again\n"),
        ("bug", [], 1, "error: KeyError: 'key' ("),
        ("fine", ["--number=many"], 2, "error: flag --number=many: "),
        ("fine", ["--unknown"], 2, "error: Unknown command line flag 'unknown' (command line): "),
        ("fine", ["stray"], 2, "error: unexpected 'stray' (command line): "),
    ],
)
def test_exit_code_and_one_line(tmp_path, act, args, code, message):
    done = launch(tmp_path, act, *args)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == (1 if message else 0)


@pytest.mark.parametrize("act", ["bug", "config"])
def test_debug_adds_the_traceback(tmp_path, act):
    done = launch(tmp_path, act, "--debug")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
