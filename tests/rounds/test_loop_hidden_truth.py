"""The truth of pool subjects is hidden: it changes nothing but the choice of `oracle`."""

import numpy as np
import pytest
from tiny_runs import LABELLED, POOL, last_model, outcome, tiny_config, train, with_labels

from semiqc_jax.datasets.cohort import read_truth
from semiqc_jax.files import read_json
from semiqc_jax.rounds.store import PseudoStore


def corrupted(cohort, members):
    """The cohort with labels of `members` that are mirrored and have their codes permuted."""
    return with_labels(cohort, lambda i, label: (label[..., ::-1] + 1) % 4 if i in members else label)


def one_round(finished_runs, selector):
    """Settings of a single round that begins with a stage 0 that all selectors share."""
    return {"rounds": 1, "stage0_from": str(finished_runs("none"))}


@pytest.mark.parametrize("selector", ["none", "all", "random", "confidence", "quality"])
def test_labels_of_the_pool_change_nothing(finished_runs, selector, tmp_path):
    changes = one_round(finished_runs, selector)
    other = corrupted(finished_runs.cohort, POOL)
    blind = train(tiny_config(selector, **changes), other, tmp_path / "blind")
    assert outcome(blind) == outcome(finished_runs(selector, **changes))


def test_slices_are_chosen_without_the_truth(finished_runs, tmp_path):
    changes = {**one_round(finished_runs, "quality"), "select_by": "slice"}
    other = corrupted(finished_runs.cohort, POOL)
    blind = train(tiny_config("quality", **changes), other, tmp_path / "blind")
    assert outcome(blind) == outcome(finished_runs("quality", **changes))
    assert outcome(blind) != outcome(finished_runs("quality", **one_round(finished_runs, "quality")))


def test_labels_of_the_labelled_change_the_model(finished_runs, tmp_path):
    other = corrupted(finished_runs.cohort, LABELLED)
    seeing = train(tiny_config("none", rounds=0), other, tmp_path / "seeing")
    assert last_model(seeing) != last_model(finished_runs("none", rounds=0))


@pytest.mark.parametrize("selector", ["none", "all", "random", "confidence", "quality"])
def test_nobody_asks_for_the_truth_of_the_pool(finished_runs, selector, tmp_path, monkeypatch):
    cohort, asked = corrupted(finished_runs.cohort, ()), []
    label = type(cohort)._label
    monkeypatch.setattr(
        type(cohort), "_label", lambda self, i: (asked.append(self.subjects[i].subject_id), label(self, i))[1]
    )
    train(tiny_config(selector, **one_round(finished_runs, selector)), cohort, tmp_path / "run")
    assert set(asked) == set(LABELLED)


def test_oracle_follows_the_truth(finished_runs, tmp_path):
    """Where the truth of two subjects is what the network says of them, those two are chosen."""
    changes = one_round(finished_runs, "all")
    store = PseudoStore(finished_runs("all", **changes) / "rounds" / "001" / "pseudo")
    models = set()
    for right in (POOL[:2], POOL[2:]):

        def truth(subject_id, label, right=right):
            if subject_id in LABELLED or subject_id not in POOL:
                return label
            predicted = store.label(subject_id, label.shape)
            assert predicted.any()
            return predicted if subject_id in right else (predicted + 1) % 4

        cohort = with_labels(finished_runs.cohort, truth)
        run = train(tiny_config("oracle", **changes), cohort, tmp_path / right[0])
        manifest = read_json(run / "rounds" / "001" / "manifest.json")
        assert manifest["subjects"] == right
        assert manifest["n_selected"] == 2
        models.add(last_model(run))
    assert len(models) == 2


def test_corruption_reaches_the_truth(finished_runs):
    other = corrupted(finished_runs.cohort, POOL)
    for i, subject in enumerate(other.subjects):
        same = np.array_equal(read_truth(other, i)[0], read_truth(finished_runs.cohort, i)[0])
        assert same == (subject.subject_id not in POOL)
