"""From NIfTI files to a comparison with the commands that users type, and processes that are killed."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tiny_runs import POOL, ROOT, STAGE_ENDS, launch, models, outcome, train_arguments, write_nifti

from semiqc_jax.errors import EXIT_ERROR, EXIT_PREEMPTED, EXIT_USAGE
from semiqc_jax.files import read_csv, read_json
from semiqc_jax.rounds.run_folder import locked

INDICES = [
    *("lvedv_ml", "lvesv_ml", "lvsv_ml", "lvef_pct", "lvm_g"),
    *("rvedv_ml", "rvesv_ml", "rvsv_ml", "rvef_pct"),
]
CASE_COLUMNS = [
    *("subject_id", "group", "frame", "phase", "class"),
    *("dice", "hd95_mm", "assd_mm", "volume_ml", "reference_ml"),
]
QUALITY_COLUMNS = ["subject_id", "score", "verdict", "calibration", "selected", "weight", "reasons"]
MEAN = {"mean", "sd", "n", "n_undefined"}
AGREEMENT = {"n", "bias", "loa_low", "loa_high", "mae", "pearson_r"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The cohort, built from NIfTI in the packed form."""
    folder = tmp_path_factory.mktemp("data")
    source, out = write_nifti(folder / "raw"), folder / "pack"
    flags = ("--dataset=nifti", f"--source={source}", f"--out={out}", "--format=pack")
    done = launch("build_data.py", *flags, f"--splits={source / 'splits.json'}")
    assert done.code == 0, done.err
    assert "subjects 8, frames 20, slices 80, quarantined 0" in done.out
    return out


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Two runs, trained and evaluated on the test split."""
    folder = tmp_path_factory.mktemp("runs")
    for selector in ("quality", "none"):
        run = folder / selector
        done = launch("train.py", *train_arguments(data, run, selector))
        assert done.code == 0, done.err
        assert f"--run={run} --split=test" in done.out
        done = launch("evaluate.py", f"--run={run}", "--split=test")
        assert done.code == 0, done.err
        assert done.out.startswith("test: n = 2, Dice lv ")
    return folder


def test_the_run_folder(runs):
    run = runs / "quality"
    assert read_json(run / "status.json") == {"state": "complete", "round": 2, "step": STAGE_ENDS[-1]}
    config = read_json(run / "config.json")
    assert (config["method"], config["step"], config["selector"]) == ("semiqcseg", "supervised", "quality")
    assert read_json(run / "splits.json")["pool"] == POOL
    assert {"python", "packages", "devices", "command"} <= set(read_json(run / "versions.json"))
    assert list((run / "tensorboard").iterdir())
    assert sorted(int(path.name) for path in (run / "checkpoints").iterdir()) == list(STAGE_ENDS)
    metrics = outcome(run)["metrics"]
    assert [line["step"] for line in metrics if line["round"] == 2] == [16, 17, 18, 20]
    assert {"loss", "dice_lv", "dice_myo", "dice_rv"} <= set(metrics[0])


def test_the_override_names_the_method(runs):
    assert read_json(runs / "none" / "config.json")["method"] == "supervised+none"
    assert not (runs / "none" / "rounds").exists()


def test_the_rounds(runs):
    run = runs / "quality"
    assert sorted(path.name for path in (run / "rounds").iterdir()) == ["001", "002"]
    for stage in (1, 2):
        folder = run / "rounds" / f"{stage:03d}"
        manifest, rows = read_json(folder / "manifest.json"), read_csv(folder / "quality.csv")
        assert manifest["round"] == stage
        step = STAGE_ENDS[stage - 1]
        assert manifest["checkpoint"] == {"step": step, "sha256": models(run)[step]}
        assert (manifest["selector"], manifest["policy"]) == ("quality", "top_fraction")
        assert (manifest["fraction"], manifest["threshold"]) == (0.5, 0.8)
        assert (manifest["n_pool"], manifest["n_selected"], manifest["seed"]) == (4, 2, 1)
        assert [shard["path"] for shard in manifest["shards"]] == ["pseudo/00000.npz"]
        assert list(rows[0])[:7] == QUALITY_COLUMNS
        assert [row["subject_id"] for row in rows] == POOL
        assert [row["subject_id"] for row in rows if row["selected"] == "1"] == manifest["subjects"]
        best = sorted(rows, key=lambda row: -float(row["score"]))[:2]
        assert {row["subject_id"] for row in best} == set(manifest["subjects"])
        assert {(row["verdict"], row["calibration"]) for row in rows} == {("review", "none")}


def test_the_evaluation(runs):
    folder = runs / "quality" / "evaluation" / "test"
    metrics = read_json(folder / "metrics.json")
    assert set(metrics) == {
        *("schema", "dataset", "task", "split", "protocol", "checkpoint", "n_subjects"),
        *("dice", "hd95_mm", "assd_mm", "indices"),
    }
    assert (metrics["dataset"], metrics["split"], metrics["protocol"]) == ("nifti", "test", "native")
    assert metrics["n_subjects"] == 2
    last = {"step": STAGE_ENDS[2], "round": 2, "sha256": models(runs / "quality")[STAGE_ENDS[2]]}
    assert metrics["checkpoint"] == last
    for measure in ("dice", "hd95_mm", "assd_mm"):
        assert set(metrics[measure]) == {"all", "ed", "es"}
        for values in metrics[measure].values():
            assert set(values) == {"lv", "myo", "rv", "mean"}
            assert all(set(value) == MEAN for value in values.values())
    assert set(metrics["indices"]) == {"reference", "predicted"}
    for values in metrics["indices"].values():
        assert list(values) == INDICES
        assert all(set(value) == AGREEMENT for value in values.values())
    rows = read_csv(folder / "per_case.csv")
    assert list(rows[0]) == CASE_COLUMNS
    assert [(row["subject_id"], row["phase"]) for row in rows if row["class"] == "lv"] == [
        *(("h6", "ed"), ("h6", "es"), ("h7", "ed"), ("h7", "es"))
    ]
    assert list(read_csv(folder / "indices.csv")[0])[:10] == ["subject_id", *INDICES]
    selection = read_json(folder.parent / "selection.json")["rounds"]
    assert [(one["round"], one["n_selected"], one["n_pool"]) for one in selection] == [(1, 2, 4), (2, 2, 4)]
    report = (runs / "quality" / "report.html").read_text()
    assert all(subject in report for subject in ("h6", "h7", *POOL))


def test_an_older_checkpoint_and_another_split(runs, tmp_path):
    run = shutil.copytree(runs / "none", tmp_path / "run")
    done = launch("evaluate.py", f"--run={run}", "--split=pool", f"--checkpoint={STAGE_ENDS[0]}")
    assert done.code == 0, done.err
    metrics = read_json(run / "evaluation" / "pool" / "metrics.json")
    assert (metrics["checkpoint"]["step"], metrics["checkpoint"]["round"]) == (STAGE_ENDS[0], 0)
    assert metrics["n_subjects"] == len(POOL)


def test_the_comparison(runs, tmp_path):
    done = launch("compare.py", f"--runs={runs}", f"--output={tmp_path}")
    assert done.code == 0, done.err
    table = read_json(tmp_path / "table.json")
    assert sorted(row["method"] for row in table["rows"]) == ["semiqcseg", "supervised+none"]
    assert {(r["labelled"], r["draw"], r["seed"]) for r in table["rows"]} == {("2", "published", "1")}
    assert {"table.csv", "table.md", "report.html"} <= {path.name for path in tmp_path.iterdir()}
    quality = next(line for line in table["summary"] if line["method"] == "semiqcseg")
    assert quality["n_paired_runs"] == 1


def test_one_process_at_a_time(runs, data):
    run = runs / "quality"
    with locked(run):
        done = launch("train.py", *train_arguments(data, run))
    assert done.code == EXIT_ERROR
    what = f"error: another process is working on this run ({run})"
    assert done.err == f"{what}: wait for it, or choose another workdir\n"


def test_one_run_a_folder(runs, data):
    run = runs / "quality"
    before = outcome(run)
    done = launch("train.py", *train_arguments(data, run, seed=3, model={"base": 3}))
    assert done.code == EXIT_USAGE
    assert done.err.startswith("error: the run has other settings: seed was 1, is 3; model was {")
    assert done.err.count("\n") == 1
    assert outcome(run) == before


def start(data, run):
    """launch/train.py in a process of its own."""
    paths = {"PYTHONPATH": str(ROOT), "SEMIQC_CACHE_DIR": os.environ["JAX_COMPILATION_CACHE_DIR"]}
    command = [sys.executable, str(ROOT / "launch" / "train.py"), *train_arguments(data, run)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **paths}, **pipes)


def wait_for(path, process):
    """Wait until a process made a file."""
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_processes_that_are_killed(runs, data, tmp_path):
    """SIGTERM in stage 0, kill -9 after the pool was segmented, and the same command again."""
    run = tmp_path / "run"
    with start(data, run) as process:
        wait_for(run / "metrics.jsonl", process)
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1].splitlines()[-1].endswith("run the same command again")
    assert process.returncode == EXIT_PREEMPTED
    assert read_json(run / "status.json")["state"] == "preempted"
    with start(data, run) as process:
        wait_for(run / "rounds" / "001" / "pseudo" / "00000.npz", process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    done = launch("train.py", *train_arguments(data, run))
    assert done.code == 0, done.err
    assert outcome(run) == outcome(runs / "quality")
