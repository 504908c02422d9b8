"""The study of curves: files and their errors, no patient on both sides, and a whole run on made curves."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.quality.curve_network import fit_networks
from semiqc_jax.studies import curve_methods
from semiqc_jax.studies import curves as study
from semiqc_jax.studies.curve_data import read_curves
from semiqc_jax.studies.curve_methods import METHODS, learnable, prepare


def write_cohort(folder: Path, patients: int = 24, networks: int = 3) -> Path:
    """Cohort of 10-frame curves; every third patient loses slices in one network's hands."""
    rng = np.random.default_rng(0)
    rows, references = ["patient,model,frame,lv_ml,myo_ml"], ["patient,edv_ml,esv_ml,split"]
    for p in range(patients):
        edv = rng.uniform(90, 200)
        references.append(f"p{p},{edv:.2f},{0.4 * edv:.2f},{'test' if p % 4 == 0 else 'train'}")
        for m in range(networks):
            lv = edv * (0.7 + 0.3 * np.cos(2 * np.pi * np.arange(10) / 10)) + rng.normal(0, 1, 10)
            myo = 0.6 * edv + rng.normal(0, 1, 10)
            lost = np.where((rng.random(10) < 0.5) & (p % 3 == 0) & (m == p % networks), 0.4, 1.0)
            rows += [f"p{p},m{m},{t},{lv[t] * lost[t]:.2f},{myo[t] * lost[t]:.2f}" for t in range(10)]
    folder.mkdir()
    with gzip.open(folder / "curves.csv.gz", "wt") as handle:
        handle.write("\n".join(rows) + "\n")
    (folder / "references.csv").write_text("\n".join(references) + "\n")
    return folder


def test_errors_are_those_of_the_maximum_and_the_minimum(tmp_path: Path) -> None:
    (tmp_path / "references.csv").write_text("patient,edv_ml,esv_ml,split\na,100,40,train\n")
    frames = "".join(f"a,{m},{t},{v},50\n" for m, x in (("u", (130, 39)), ("w", (100, 40))) for t, v in enumerate(x))
    (tmp_path / "curves.csv").write_text("patient,model,frame,lv_ml,myo_ml\n" + frames)
    data = read_curves(tmp_path)
    np.testing.assert_allclose(data.edv_error, [0.3, 0.0], atol=1e-6)
    np.testing.assert_allclose(data.ef_error, [10.0, 0.0], atol=1e-4)
    assert data.bad.tolist() == [True, False]
    np.testing.assert_allclose(data.disagreement(), [np.log2(1.5), np.log2((1 - 100 / 130) / 0.2)], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("references.csv", None, "cannot read CSV"),
        ("references.csv", "patient,edv_ml\n", "no column esv_ml, split"),
        ("references.csv", "patient,edv_ml,esv_ml,split\np1,100,abc,train\n", "'abc' is no number"),
        ("references.csv", "patient,edv_ml,esv_ml,split\np1,100,140,train\n", "EDV 100 and ESV 140"),
        ("curves.csv.gz", "no gzip", "cannot read CSV"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, name: str, text: str | None, complaint: str) -> None:
    folder = write_cohort(tmp_path / "data", patients=2)
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=complaint) as error:
        read_curves(folder)
    assert name in error.value.where


def test_curves_without_a_reference_are_nothing(tmp_path: Path) -> None:
    folder = write_cohort(tmp_path / "data", patients=2)
    (folder / "references.csv").write_text("patient,edv_ml,esv_ml,split\nq,100,40,train\n")
    with pytest.raises(NothingUsableError):
        read_curves(folder)


def test_no_patient_is_judged_by_what_it_taught(tmp_path: Path) -> None:
    data = read_curves(write_cohort(tmp_path / "data"))
    for seed in range(2):
        splits = study._folds(data, seed)
        np.testing.assert_array_equal(np.sum(splits, 0), 1)
        for held in splits:
            assert not set(data.patient[held]) & set(data.patient[~held])
            for _, train in study._fewer(data, ~held, seed):
                assert not np.any(train & held)


def test_a_curve_teaches_nothing_where_all_networks_share_its_error(tmp_path: Path) -> None:
    data = read_curves(write_cohort(tmp_path / "data"))
    everybody = np.ones(len(data.bad), bool)
    one = data.patient == data.patients.index("p1")
    assert learnable(prepare(data), everybody)[one].all()
    data.edv_ml[one] *= 2  # a wrong reference: bad on every network, and they agree
    data.esv_ml[one] *= 2
    assert not learnable(prepare(data), everybody)[one].any()


def test_the_whole_study_on_made_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "REPEATS", 1)
    monkeypatch.setattr(study, "BASELINE", "roughness")
    monkeypatch.setattr(study, "METHODS", {k: METHODS[k] for k in ("roughness", "SVM", "network")})
    monkeypatch.setattr(curve_methods, "fit_networks", partial(fit_networks, size=1, updates=60))
    source = write_cohort(tmp_path / "data")
    found = study.study_curves(source, tmp_path / "out", held_out="test")
    assert (found["patients"], found["curves"], found["protocol"]) == (6, 18, "split test held out")
    assert found["one_network"]["SVM + network"]["all"]["auc"][0] > 0.9
    assert json.loads((tmp_path / "out" / "results.json").read_text())["risk"].keys() == found["risk"].keys()
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| SVM + network |" in table
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
    with pytest.raises(ConfigError, match="split nobody"):
        study.study_curves(source, tmp_path / "out", held_out="nobody")
