"""The record of a run: refused where it is another run, brought up to date where it is the same."""

import copy
import dataclasses

import pytest
from tiny_runs import tiny_config

from semiqc_jax.errors import ConfigError
from semiqc_jax.files import read_json, write_json
from semiqc_jax.rounds import run_folder
from semiqc_jax.rounds.run_folder import claim
from semiqc_jax.settings import load_settings

SPLITS = {"labelled": ["a"], "pool": ["b"]}
SETTINGS = load_settings(tiny_config(data_dir="here"))


@pytest.fixture
def now(monkeypatch):
    """What `versions` says; a test may change it."""
    values = {"python": "3.13", "packages": {"jax": "1", "numpy": "2"}, "command": ["train.py", "--first"]}
    monkeypatch.setattr(run_folder, "versions", lambda: copy.deepcopy(values))
    return values


def test_moved_data_is_written_down(tmp_path, now):
    claim(tmp_path, SETTINGS, SPLITS)
    claim(tmp_path, dataclasses.replace(SETTINGS, data_dir="there", inference_batch=3), SPLITS)
    config = read_json(tmp_path / "config.json")
    assert (config["data_dir"], config["inference_batch"]) == ("there", 3)
    with pytest.raises(ConfigError, match="seed was 1, is 2"):
        claim(tmp_path, dataclasses.replace(SETTINGS, data_dir="nowhere", seed=2), SPLITS)
    with pytest.raises(ConfigError, match="other splits"):
        claim(tmp_path, dataclasses.replace(SETTINGS, data_dir="nowhere"), {**SPLITS, "pool": []})
    assert read_json(tmp_path / "config.json") == config


def test_what_a_run_was_resumed_with_is_appended_once(tmp_path, now):
    claim(tmp_path, SETTINGS, SPLITS)
    first = copy.deepcopy(now)
    claim(tmp_path, SETTINGS, SPLITS)
    assert read_json(tmp_path / "versions.json") == first
    now["command"] = ["train.py", "--second"]
    later = [{"command": ["train.py", "--second"]}]
    for _ in range(2):
        claim(tmp_path, SETTINGS, SPLITS)
        assert read_json(tmp_path / "versions.json") == {**first, "resumed": later}
    now["python"], now["command"] = "3.14", first["command"]
    claim(tmp_path, SETTINGS, SPLITS)
    later.append({"python": "3.14", "command": first["command"]})
    assert read_json(tmp_path / "versions.json") == {**first, "resumed": later}


def test_a_run_from_before_a_setting_is_the_same_run(tmp_path, now):
    claim(tmp_path, SETTINGS, SPLITS)
    older = SETTINGS.to_dict()
    del older["quality"]["rules_off"]
    write_json(tmp_path / "config.json", older)
    off = dataclasses.replace(SETTINGS, quality=dataclasses.replace(SETTINGS.quality, rules_off="lv_ef"))
    with pytest.raises(ConfigError, match="quality was"):
        claim(tmp_path, off, SPLITS)
    claim(tmp_path, SETTINGS, SPLITS)
    assert read_json(tmp_path / "config.json") == SETTINGS.to_dict()
