"""Choices that may not change what a run computes: streams, devices, where stage 0 comes from."""

import jax
import numpy as np
import pytest
from tiny_runs import STAGE_ENDS, last_model, models, outcome, tiny_config, train

from semiqc_jax.checkpoints import load_model
from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import read_json

EIGHT = {"devices": 8, "batch_size": 16, "rounds": 1, "model": {"dropout": 0.0}}


def test_streams_that_do_not_fit_the_device(finished_runs):
    """Read by grain, slice by slice, instead of kept on the device: the same models, bit by bit."""
    assert outcome(finished_runs(resident_mb=0)) == outcome(finished_runs())


def test_the_seed_matters(finished_runs):
    assert last_model(finished_runs(seed=2, rounds=0)) != models(finished_runs())[STAGE_ENDS[0]]


def test_pmap_and_shard_map_on_eight_devices(finished_runs):
    assert jax.device_count() == 8
    runs = [finished_runs(mapping=mapping, **EIGHT) for mapping in ("pmap", "shard_map")]
    a, b = (load_model(run / "checkpoints").variables for run in runs)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)
    chosen = [[read_json(p)["subjects"] for p in sorted(run.glob("rounds/*/manifest.json"))] for run in runs]
    assert chosen[0] == chosen[1]
    assert read_json(runs[0] / "status.json")["state"] == "complete"


def test_stage_0_taken_over(finished_runs):
    """The same models as after training it anew, whatever the other run did after it."""
    taken = finished_runs("random", stage0_from=str(finished_runs("none")))
    assert models(taken) == models(finished_runs("random"))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 2}, "seed"), ({"learning_rate": 0.1, "labelled": 3}, "labelled, learning_rate")],
)
def test_stage_0_of_other_settings_is_refused(finished_runs, tmp_path, change, named):
    other = str(finished_runs("none"))
    with pytest.raises(ConfigError, match=f"its stage 0 differs in {named} "):
        train(tiny_config(stage0_from=other, **change), finished_runs.cohort, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").glob("[0-9]*"))


def test_a_wrong_stage_0_can_be_mended(finished_runs, tmp_path):
    """Naming the right run afterwards goes on in the same folder."""
    run = tmp_path / "run"
    with pytest.raises(DataError, match="cannot read JSON"):
        train(tiny_config(stage0_from=str(tmp_path / "nowhere"), rounds=0), finished_runs.cohort, run)
    train(tiny_config(stage0_from=str(finished_runs("none")), rounds=0), finished_runs.cohort, run)
    assert last_model(run) == models(finished_runs("none"))[STAGE_ENDS[0]]


def test_what_cannot_be_divided_is_said_before_anything_is_trained(finished_runs, tmp_path):
    config = tiny_config(devices=8, batch_size=8)  # stage 0 would do, a round's 4 + 4 would not
    with pytest.raises(ConfigError, match="4 labelled examples a batch do not divide over 8 devices"):
        train(config, finished_runs.cohort, tmp_path / "run")
    assert not (tmp_path / "run").exists()
