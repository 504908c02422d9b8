"""launch/build_data.py from the command line: output, exit codes, one-line errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from semiqc_jax.datasets.opening import open_cohort

ROOT = Path(__file__).resolve().parents[2]


def launch(*args):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "launch/build_data.py", "--workers=0", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_build_leaves_a_bad_patient_out(acdc_source, tmp_path):
    (acdc_source / "testing" / "patient101" / "Info.cfg").unlink()
    out = tmp_path / "out"
    done = launch("--dataset=acdc", f"--source={acdc_source}", f"--out={out}", "--format=pack")
    assert done.returncode == 0, done.stderr
    assert "subjects 2, frames 8, slices 40, quarantined 1" in done.stdout
    assert "left out: Info.cfg is missing" in done.stderr
    assert len(open_cohort(out).subjects) == 2


def test_second_build_does_nothing_or_says_that_a_file_changed(acdc_source, tmp_path):
    args = ("--dataset=acdc", f"--source={acdc_source}", f"--out={tmp_path / 'out'}", "--format=pack")
    assert "already built" not in launch(*args).stdout
    assert "already built: subjects 3, frames 10" in launch(*args).stdout
    with (acdc_source / "training" / "patient001" / "Info.cfg").open("a") as file:
        file.write("Height: 180\n")
    done = launch(*args)
    assert done.returncode == 2
    assert last_line(done).startswith("error: source files changed since the build")


def test_check_prints_a_table_and_writes_nothing(acdc_source, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = launch("--dataset=acdc", f"--source={acdc_source}", "--check")
    assert done.returncode == 0, done.stderr
    assert "patient002" in done.stdout
    assert "6, 5, 24, 20" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_check_with_out_writes_a_report_beside_it(acdc_source, tmp_path):
    done = launch("--dataset=acdc", f"--source={acdc_source}", "--check", f"--out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert f"report: {tmp_path}/out_check/report.html" in done.stdout
    assert (tmp_path / "out_check" / "check.csv").is_file()
    assert not (tmp_path / "out").exists()


def test_verify_names_a_damaged_file(acdc_source, tmp_path):
    out = tmp_path / "out"
    launch("--dataset=acdc", f"--source={acdc_source}", f"--out={out}")
    done = launch("--verify", f"--out={out}")
    assert (done.returncode, done.stdout) == (0, f"{out}: all 6 files are as they were written\n")
    (out / "splits.json").write_text("{}")
    done = launch("--verify", f"--out={out}")
    assert done.returncode == 1
    assert last_line(done).startswith("error: 1 of 6 files: splits.json is damaged")


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--dataset=acdc", "--source=EMPTY", "--out=OUT"], 3, "error: no ACDC patients (EMPTY): give"),
        (["--dataset=nifti", "--source=BAD", "--out=OUT"], 3, "error: none of 1 subjects is usable: "),
        (["--dataset=nifti", "--source=BAD", "--out=OUT", "--strict"], 1, "error: cannot be read as NIfTI"),
        (["--dataset=acdc", "--source=EMPTY"], 2, "error: "),
        (["--dataset=other", "--source=EMPTY", "--out=OUT"], 2, "error: flag --dataset=other"),
        (["--dataset=acdc", "--source=EMPTY", "--out=OUT", "--splits=none.json"], 2, "error: splits cannot"),
    ],
)
def test_errors_are_one_line_with_their_exit_code(tmp_path, args, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.nii").write_bytes(b"no image")
    places = {name: str(tmp_path / name.lower()) for name in ("EMPTY", "BAD", "OUT")}
    for name, place in places.items():
        args = [a.replace(f"={name}", f"={place}") for a in args]
        message = message.replace(name, place)
    done = launch(*args)
    assert done.returncode == code, done.stderr
    assert last_line(done).startswith(message)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
