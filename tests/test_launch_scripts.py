"""The scripts in `launch/` and `.ci/run`, with stand-ins for Python: which is chosen, what is reused."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    "bash",
    "sh",
    "dirname",
    "sort",
    "cat",
    "cp",
    "cut",
    "cksum",
    "grep",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "flock",
)
# Answers what install.sh asks of a Python; writes each command but the questions to $LOG.
FAKE = """#!/bin/sh
version={version}
case "$1 $2" in
  "-c "*hashlib*) shift 2; cat "$@" | cksum | cut -d' ' -f1; echo "$version" ;;
  "-c "*) [ "$version" != old ] || exit 1; echo "$version" ;;
  "-m venv")
    {venv}
    mkdir -p "$4/bin"; : >"$4/pyvenv.cfg"; cp "$0" "$4/bin/python"; echo "venv $version" >>"$LOG" ;;
  "-m pip") [ "$3" = --version ] || {{ echo "$*" >>"$LOG"; [ ! -e "$FAIL_PIP" ]; }} ;;
  --version*) echo "Python $version" ;;
  *) echo "$*" >>"$LOG"; case "$*" in *"$FAIL_ON"*) exit 7 ;; esac ;;
esac
"""


@dataclass
class Machine:
    """A machine with a copy of the scripts in a folder whose name holds a space, and no Python of its own."""

    home: Path

    def python(self, where: str, version: str, venv: str = ":") -> Path:
        """Install a stand-in that reports `version`, "old" for one that is too old."""
        path = self.home / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FAKE.format(version=version, venv=venv))
        path.chmod(0o755)
        return path

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout from another folder."""
        variables = {
            "PATH": str(self.home / "bin"),
            "HOME": str(self.home),
            "LOG": str(self.home / "log"),
            "FAIL_PIP": str(self.home / "fail_pip"),
            "FAIL_ON": "nothing at all",
        }
        return subprocess.run(
            ["bash", str(self.checkout / script), *args],
            cwd=self.home,
            env=variables | env,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def checkout(self) -> Path:
        return self.home / "a check out"

    def calls(self) -> list[str]:
        """What the stand-ins were told since the last call of this."""
        log = self.home / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    for name in [*(f"launch/{n}.sh" for n in ("install", "test", "demo")), ".ci/run"]:
        (made.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.checkout / name)
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, made.checkout / name)
    return made


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def test_takes_the_newest_that_runs_and_can_make_a_venv(machine: Machine) -> None:
    broken = machine.python("bin/python3.14", "003.014.000")
    broken.write_text("#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n")
    machine.python("bin/python3.13", "003.013.009", venv="exit 1")  # no ensurepip
    machine.python("bin/python3.11", "003.011.002")
    machine.python(".pyenv/versions/3.12.1/bin/python", "003.012.001")
    machine.python("bin/python", "old")
    done = machine.run("launch/install.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{machine.checkout}/.venv/bin/python\n"
    venv, pip = machine.calls()
    assert venv == "venv 003.012.001"
    assert pip.startswith("-m pip install")
    assert pip.endswith("-r requirements.txt")


def test_a_shim_on_the_path_does_not_hide_the_python_behind_it(machine: Machine) -> None:
    shim = machine.python("shims/python3.12", "003.012.000")
    shim.write_text("#!/bin/sh\nexit 127\n")
    machine.python("bin/python3.12", "003.012.004")
    path = f"{machine.home / 'shims'}:{machine.home / 'bin'}"
    assert machine.run("launch/install.sh", PATH=path).returncode == 0
    assert machine.calls()[0] == "venv 003.012.004"


def test_python_overrides_and_must_do(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    chosen = machine.python("mine/python", "003.011.009")
    assert machine.run("launch/install.sh", PYTHON=str(chosen)).returncode == 0
    assert machine.calls()[0] == "venv 003.011.009"
    assert "no such program (PYTHON=nowhere)" in error_of(machine.run("launch/install.sh", PYTHON="nowhere"))
    old = machine.python("mine/old", "old")
    assert f"cannot be used (PYTHON={old})" in error_of(machine.run("launch/install.sh", PYTHON=str(old)))


def test_another_python_makes_the_environment_anew(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    machine.run("launch/install.sh")
    machine.calls()
    chosen = machine.python("mine/python", "003.011.009")
    assert machine.run("launch/install.sh", PYTHON=str(chosen)).returncode == 0
    assert machine.calls()[0] == "venv 003.011.009"


def test_no_usable_python_is_one_clear_line(machine: Machine) -> None:
    machine.python("bin/python3", "old")
    assert error_of(machine.run("launch/test.sh")).startswith(
        "error: no usable Python (PATH, pyenv): install"
    )


def test_a_complete_environment_is_reused_until_its_inputs_change(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    assert machine.run("launch/install.sh").returncode == 0
    assert len(machine.calls()) == 2
    assert machine.run("launch/install.sh").returncode == 0
    assert machine.calls() == []
    assert machine.run("launch/install.sh", "test").returncode == 0
    (pip,) = machine.calls()
    assert pip.endswith("-r requirements.txt -e .[test]")
    assert machine.run("launch/install.sh").returncode == 0  # the tests' environment serves the demo too
    assert machine.calls() == []
    (machine.checkout / "requirements.txt").write_text("numpy\n")
    assert machine.run("launch/install.sh").returncode == 0
    assert [call.split()[1] for call in machine.calls()] == ["pip"]


def test_an_interrupted_install_is_done_again_from_scratch(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    (machine.home / "fail_pip").touch()
    assert "error: pip could not install" in error_of(machine.run("launch/install.sh"))
    (machine.home / "fail_pip").unlink()
    machine.calls()
    assert machine.run("launch/install.sh").returncode == 0
    assert [call.split()[0] for call in machine.calls()] == ["venv", "-m"]


def test_a_folder_that_is_no_environment_is_left_alone(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    precious = machine.home / "data" / "scan.nii"
    precious.parent.mkdir()
    precious.write_text("pixels")
    done = machine.run("launch/install.sh", VENV="data")
    assert "not a virtual environment" in error_of(done)
    assert precious.read_text() == "pixels"


def test_the_commands_pass_their_arguments_on(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    assert machine.run("launch/test.sh", "tests/downstream", "-k", "two words").returncode == 0
    assert machine.calls()[-1] == "-m pytest tests/downstream -k two words"
    assert machine.run("launch/demo.sh", "--quick").returncode == 0
    assert machine.calls() == ["launch/demo.py --quick"]


def test_ci_stops_at_the_first_failure_and_leaves_nothing(machine: Machine) -> None:
    machine.python("bin/python3.12", "003.012.000")
    scratch = machine.home / "scratch"
    scratch.mkdir()
    done = machine.run(".ci/run", TMPDIR=str(scratch))
    assert done.returncode == 0, done.stderr
    ran = [call.split()[1] for call in machine.calls() if call.startswith(("-m", "launch"))]
    assert ran == ["pip", "pytest", "ruff", "mypy", "--quick"]
    failed = machine.run(".ci/run", TMPDIR=str(scratch), FAIL_ON="ruff")
    assert failed.returncode == 7
    assert "=== lint: FAILED (7)" in failed.stdout
    assert not any("mypy" in call or "demo" in call for call in machine.calls())
    assert list(scratch.iterdir()) == []
    assert not (machine.checkout / ".venv").exists()
