"""What users get wrong, through the launchers: an exit code and one line with what, where and how to mend it.

Bad images and bad splits are tests of `build_data` (tests/datasets).
"""

import dataclasses
import shutil

import pytest
from tiny_runs import ROOT, STAGE_ENDS, config_flags, launch, tiny_cohort, tiny_config, train_arguments

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.checkpoints import Checkpoints, load_model
from semiqc_jax.datasets.pack import PackWriter
from semiqc_jax.errors import EXIT_ERROR, EXIT_USAGE
from semiqc_jax.files import read_json
from semiqc_jax.models.build import NetworkSpec
from semiqc_jax.parallel import Devices
from semiqc_jax.rounds.stage import Trainer
from semiqc_jax.settings import load_settings

CONFIG = ROOT / "configs" / "acdc.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`tiny_cohort` in the packed form."""
    folder, cohort = tmp_path_factory.mktemp("pack"), tiny_cohort()
    with PackWriter(folder, cohort.name, SHORT_AXIS) as writer:
        for stored in cohort._stored:
            writer.add(stored)
        writer.finish(cohort.splits)
    return folder


@pytest.fixture
def run(finished_runs, data, tmp_path):
    """A copy of a finished run that may be spoiled."""
    done = finished_runs(data_dir=str(data))
    return shutil.copytree(done, tmp_path / "finished")


def failed(done, code):
    """The one line of an error."""
    lines = [line for line in done.err.splitlines() if "━" not in line]
    assert done.code == code, done
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert lines[0].count(": ") >= 2
    return lines[0]


def train_fails(data, folder, code, *more, config=f"{CONFIG}:semiqcseg,cpu"):
    arguments = train_arguments(data, folder, config=config)
    line = failed(launch("train.py", *arguments, *more), code)
    assert not (folder / "checkpoints").exists()
    return line


def test_all_wrong_settings_at_once(data, tmp_path):
    wrong = {"selector": "qualty", "rounds": -1, "model.norm": "bach", "grid.pixel_mm": 0.0}
    line = train_fails(data, tmp_path / "run", EXIT_USAGE, *config_flags(wrong))
    assert line.startswith("error: 4 wrong settings: ")
    assert "config.selector = 'qualty' (did you mean 'quality'? one of none, all, " in line
    assert "config.rounds = -1 is outside 0 to inf" in line
    assert "config.model.norm = 'bach' (did you mean 'batch'?" in line
    assert "config.grid.pixel_mm = 0.0 is outside 0.2 to 10" in line


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--config.lablled=3", "labelled"),
        ("--config.labelled=many", "labelled"),
        ("--config.labelled=7", "labelled = 7, but train has 6 subjects with a reference label"),
        ("--config.labelled=6", "no unlabelled subjects are left (config.labelled)"),
        ("--config.labelled_draw=first", "labelled_draw = 'first' is neither 'published' nor an integer"),
        ("--config.grid.size=25", "grid.size = 25 is no multiple of 2 (model.depth = 2)"),
        ("--config.policy=budget", "budget = 0 keeps nobody"),
        ("--config.devices=9", "9 devices asked for, 8 found"),
        ("--config.data_dir=", "no data (--config.data_dir): name a folder made by launch/build_data.py"),
    ],
)
def test_one_wrong_setting(data, tmp_path, flag, says):
    assert says in train_fails(data, tmp_path / "run", EXIT_USAGE, flag)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (f"{CONFIG}:semiqseg", "unknown method 'semiqseg' (config): did you mean 'semiqcseg'? one of"),
        (f"{CONFIG}:mean_techer+quality", "unknown method 'mean_techer+quality'"),
        (f"{CONFIG}:semiqcseg,gpu", "unknown preset 'gpu' (config): presets: cpu"),
        (f"{ROOT}/configs/nothing.py:semiqcseg", "configs/nothing.py"),
    ],
)
def test_wrong_configuration(data, tmp_path, config, says):
    assert says in train_fails(data, tmp_path / "run", EXIT_USAGE, config=config)


def test_no_data_there(tmp_path):
    line = train_fails(tmp_path / "nowhere", tmp_path / "run", EXIT_ERROR)
    assert line == f"error: no finished data set ({tmp_path / 'nowhere'}): make one with launch/build_data.py"


def test_half_a_pack(data, tmp_path):
    half = tmp_path / "half" / "cohort.npz"
    half.parent.mkdir()
    content = (data / "cohort.npz").read_bytes()
    half.write_bytes(content[: len(content) // 2])
    assert f"not a whole packed cohort: File is not a zip file ({half}): build" in train_fails(
        half.parent, tmp_path / "run", EXIT_ERROR
    )


@pytest.mark.parametrize("flag", ["--config", "--workdir"])
def test_missing_flag(flag, data, tmp_path):
    arguments = [a for a in train_arguments(data, tmp_path / "run") if not a.startswith(f"{flag}=")]
    assert flag.lstrip("-") in failed(launch("train.py", *arguments), EXIT_USAGE)


def save_other_architecture(run, width):
    """Put a checkpoint of a wider network in place of a run's own."""
    shutil.rmtree(run / "checkpoints")
    settings = load_settings(tiny_config(model={"base": width}))
    trainer = Trainer(settings, tiny_cohort(), Devices.of(count=1))
    with Checkpoints(run / "checkpoints") as checkpoints:
        trainer.save(checkpoints, 0, 3, trainer.fresh())


def test_training_from_a_checkpoint_of_another_architecture(run):
    save_other_architecture(run, width=4)
    same = (f"--config={CONFIG}:semiqcseg", *config_flags(read_json(run / "config.json")))
    line = failed(launch("train.py", f"--workdir={run}", *same), EXIT_ERROR)
    assert line.startswith("error: the checkpoint is of another architecture")
    assert f"({run / 'checkpoints' / '3'}): use the run's own model settings, or another workdir" in line


def test_evaluating_a_checkpoint_whose_arrays_are_of_another_architecture(run):
    record = load_model(run / "checkpoints")
    shutil.rmtree(run / "checkpoints")
    wider = NetworkSpec(**{**dataclasses.asdict(record.network), "base": 5})
    with Checkpoints(run / "checkpoints") as checkpoints:
        info = {key: record.info[key] for key in ("round", "task", "grid", "flip_average")}
        checkpoints.save(STAGE_ENDS[-1], record.variables, wider, {"step": record.info["step"]}, **info)
    line = failed(launch("evaluate.py", f"--run={run}"), EXIT_ERROR)
    assert "the checkpoint is of another architecture" in line


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--split=tset"], EXIT_USAGE, "split 'tset' is empty or unknown (--split): choose one of train,"),
        (["--split=val"], EXIT_USAGE, "split 'val' is empty or unknown"),
        (["--checkpoint=best"], EXIT_USAGE, "checkpoint 'best' (--checkpoint): use last or a step"),
        (["--checkpoint=7"], EXIT_ERROR, "saved steps: 8, 14, 20"),
        (["--protocol=voxels"], EXIT_USAGE, "protocol"),
        (["--data=/nowhere"], EXIT_ERROR, "no finished data set (/nowhere)"),
    ],
)
def test_wrong_evaluation(run, flags, code, says):
    assert says in failed(launch("evaluate.py", f"--run={run}", *flags), code)


def test_no_run_there(tmp_path):
    line = failed(launch("evaluate.py", f"--run={tmp_path}"), EXIT_ERROR)
    assert f"({tmp_path / 'config.json'})" in line


def test_damaged_pseudo_labels(run):
    """Training makes them again as long as it needs them (tests/rounds); later a subject is named."""
    shard = run / "rounds" / "002" / "pseudo" / "00000.npz"
    content = bytearray(shard.read_bytes())
    content[len(content) // 8 : len(content) // 4] = bytes(len(content) // 4 - len(content) // 8)
    shard.write_bytes(content)
    line = failed(launch("evaluate.py", f"--run={run}"), EXIT_ERROR)
    assert "pseudo-labels are damaged (h" in line
    assert str(shard.parent) in line


def test_nothing_is_selected(data, tmp_path):
    flags = ("--config.policy=threshold", "--config.threshold=1.0")
    done = launch("train.py", *train_arguments(data, tmp_path / "run"), *flags)
    assert "the selection kept no subject" in failed(done, EXIT_USAGE)


def test_looking_at_a_run_disturbs_no_save_in_flight(run):
    """Another process may be saving while this one reads."""
    in_flight = run / "checkpoints" / "23.orbax-checkpoint-tmp-7"
    in_flight.mkdir()
    before = {path.name for path in (run / "checkpoints").iterdir()}
    assert load_model(run / "checkpoints").info["step"] == STAGE_ENDS[-1]
    assert {path.name for path in (run / "checkpoints").iterdir()} == before
    assert read_json(run / "status.json")["state"] == "complete"
