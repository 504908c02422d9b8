"""Parallel and resumable: the same bytes for any number of workers, after any stop, and nobody is lost."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_files import pixels, save_nifti

from semiqc_jax.benchmarks.reading import smooth_study
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.verify import verify_cohort
from semiqc_jax.errors import DataError, UserError

SHAPE = (2, 3, 24, 16)
ROOT = Path(__file__).resolve().parents[2]


def broken():
    raise DataError("cannot be read", "b.nii", "export it again")


def surprising():
    return np.zeros(3)[7]


def deadly():
    os.kill(os.getpid(), signal.SIGKILL)


def endless():
    time.sleep(60)


def dies_once(marker, seed):
    if not marker.exists():
        marker.touch()
        deadly()
    return smooth_study(f"s{seed}", seed, SHAPE)


def sound(seeds):
    return [Found(f"s{i}", f"raw/s{i}", partial(smooth_study, f"s{i}", i, SHAPE)) for i in seeds]


def everybody(members):
    return {"train": [member.subject_id for member in members]}


def build(found, out, form="records", **how):
    return build_cohort(found, out, Request("tiny", form), everybody, **how)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


MIXED = [*sound(range(5)), Found("b", "raw/b", broken), *sound([1, 5, 6])]  # s1 is there twice


@pytest.mark.parametrize("form", ["records", "pack"])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path, form):
    folder = tmp_path / "one" / "data"
    build(MIXED, folder, form, workers=0)
    expected = digests(folder)
    shutil.rmtree(folder)
    seen = []
    build(MIXED, folder, form, workers=2, progress=seen.append)
    assert digests(folder) == expected
    assert len(seen) == len(MIXED)
    assert sorted(refused.subject_id for refused in seen if refused) == ["b", "s1"]
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["data"]


def test_a_subject_that_kills_its_process_costs_only_itself(tmp_path):
    found = [*sound([0, 1]), Found("k", "raw/k", deadly), *sound([2]), Found("e", "raw/e", endless), *sound([3])]
    once = Found("s9", "raw/s9", partial(dies_once, tmp_path / "died", 9))
    summary = build([*found, once], tmp_path / "data", "pack", workers=2, patience_s=5.0)
    cohort = open_cohort(tmp_path / "data")
    assert [s.subject_id for s in cohort.subjects] == ["s0", "s1", "s2", "s3", "s9"]
    assert summary["quarantined"] == 2
    lines = (tmp_path / "data" / "quarantine.csv").read_text().splitlines()
    assert "ended its process (SIGKILL, perhaps out of memory)" in lines[1]
    assert lines[1].startswith("k,raw/k,read,")
    assert "took longer than 5 s" in lines[2]


def test_what_a_library_raises_is_an_error_of_the_subject(tmp_path):
    build([*sound([0]), Found("x", "raw/x", surprising)], tmp_path / "data", "pack")
    line = (tmp_path / "data" / "quarantine.csv").read_text().splitlines()[1]
    assert line.startswith("x,raw/x,read,")
    assert "IndexError at test_shards.py" in line


def test_strict_stops_with_workers_too(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(b\.nii\): export it again"):
        build(MIXED, tmp_path / "data", "pack", strict=True, workers=2)
    assert not (tmp_path / "data").exists()


def stopped(found, out, after, form):
    """A build that ends after so many subjects."""
    seen = []

    def stop(refused):
        seen.append(refused)
        if len(seen) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(found, out, form, progress=stop)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    after=st.integers(0, 9),
    gone=st.sets(st.integers(0, 7)),
    cut=st.sets(st.integers(0, 7)),
    form=st.sampled_from(["records", "pack"]),
)
def test_a_build_goes_on_after_a_stop_at_any_point(tmp_path_factory, after, gone, cut, form):
    """Whatever files a stop left, or cut short, the finished data set is the same."""
    base = tmp_path_factory.mktemp("resume")
    found = [*sound(range(6)), Found("b", "raw/b", broken), *sound(range(6, 10))]
    build(found, base / "data", form)
    expected = digests(base / "data")
    shutil.rmtree(base / "data")
    stopped(found, base / "data", after, form)
    partial_folder = base / ".data.partial"
    files = sorted(p for p in partial_folder.rglob("*") if p.is_file())
    for n, path in enumerate(files):
        if n in gone:
            path.unlink()
        elif n in cut:
            path.write_bytes(path.read_bytes()[:-1])
    (partial_folder / "summary.json").write_text("{}")
    build(found, base / "data", form)
    assert digests(base / "data") == expected
    assert [p.name for p in base.iterdir()] == ["data"]


def counted(marker, seed):
    with marker.open("a") as file:
        file.write("x")
    return smooth_study(f"s{seed}", seed, SHAPE)


def test_only_what_is_missing_or_changed_is_converted_again(tmp_path):
    marker, raw = tmp_path / "reads", tmp_path / "raw"
    raw.mkdir()
    for i in range(12):
        (raw / f"s{i}").write_text("x")
    found = [Found(f"s{i}", raw / f"s{i}", partial(counted, marker, i), (raw / f"s{i}",)) for i in range(12)]
    stopped(found, tmp_path / "data", 8, "records")  # shards 0 and 1 are whole, 2 is not
    assert len(marker.read_text()) == 9
    (raw / "s1").write_text("mended")
    build(found, tmp_path / "data")
    assert len(marker.read_text()) == 9 + 8  # shards 0 (changed) and 2
    assert len(open_cohort(tmp_path / "data").subjects) == 12


def test_another_request_does_not_take_over_what_was_converted(tmp_path):
    stopped(sound(range(6)), tmp_path / "data", 4, "pack")
    others = [Found(f"s{i}", "elsewhere", partial(smooth_study, f"s{i}", 50 + i, SHAPE)) for i in range(6)]
    build(others, tmp_path / "data", "pack")
    build(others, tmp_path / "fresh", "pack")
    assert digests(tmp_path / "data")["cohort.npz"] == digests(tmp_path / "fresh")["cohort.npz"]


def test_a_killed_build_goes_on_where_it_was(tmp_path):
    """kill -9 of the parent while its worker is at it."""
    for n in range(20):
        save_nifti(tmp_path / "raw" / f"s{n:02d}.nii.gz", pixels((20, 24, 5, 2), n))
    args = ["launch/build_data.py", "--dataset=nifti", f"--source={tmp_path / 'raw'}", "--workers=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out, staged = tmp_path / "data", tmp_path / ".data.partial" / "staged"
    with subprocess.Popen(
        [sys.executable, *args, f"--out={out}"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while len(list(staged.glob("[0-9]*.json"))) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    assert not out.exists()
    before = {p: p.stat().st_mtime_ns for p in staged.glob("[0-9]*.json")}
    assert before
    done = subprocess.run(
        [sys.executable, *args, f"--out={out}"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "subjects 20" in done.stdout
    assert verify_cohort(out) == 5 + 5
    oldest = min((out / f"semiqc_nifti-slices.array_record-{p.stem}").stat().st_mtime_ns for p in before)
    assert oldest <= max(before.values())  # the shards of before were taken over


def test_two_builds_of_one_folder_exclude_each_other(tmp_path):
    folder = tmp_path / ".data.partial"
    folder.mkdir()
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is building"):
            build(sound([0]), tmp_path / "data", "pack")
    assert build(sound([0]), tmp_path / "data", "pack")["subjects"] == 1


@pytest.mark.parametrize("form", ["records", "pack"])
def test_a_flipped_byte_is_found_and_its_file_named(tmp_path, form):
    out = tmp_path / "data"
    summary = build(sound(range(5)), out, form)
    assert verify_cohort(out) == len(summary["files"])
    path = out / summary["files"][0]["path"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"1 of {len(summary['files'])} files: {path.name} is damaged"):
        verify_cohort(out)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        verify_cohort(out)


def test_a_cut_shard_does_not_open(tmp_path):
    out = tmp_path / "data"
    build(sound(range(5)), out)
    path = out / "semiqc_tiny-slices.array_record-00001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="array_record-00001' is missing or has another size"):
        open_cohort(out)


def test_a_shard_whose_subjects_are_all_left_out_is_empty(tmp_path):
    found = [Found(f"b{i}", "raw", broken) for i in range(4)] + sound(range(3))
    build(found, tmp_path / "data")
    cohort = open_cohort(tmp_path / "data")
    assert [s.first_record for s in cohort.subjects] == [0, 6, 12]
    assert cohort.slice_image(2, 1, 2).shape == SHAPE[2:]
    summary = json.loads((tmp_path / "data" / "summary.json").read_text())
    assert summary["format_version"]
    assert summary["version"]
