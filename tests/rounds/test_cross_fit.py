"""Cross-fitting: from round 2 on nobody is segmented by a network that learned from them."""

import json
import shutil

import numpy as np
import pytest
from tiny_runs import (
    LABELLED,
    POOL,
    ROUND_UPDATES,
    STAGE_ENDS,
    last_model,
    models,
    outcome,
    tiny_config,
    train,
    with_labels,
)

from semiqc_jax.checkpoints import model_sha256
from semiqc_jax.datasets.memory import StoredCohort
from semiqc_jax.datasets.stored import Stored
from semiqc_jax.errors import ConfigError, UserError
from semiqc_jax.files import read_json
from semiqc_jax.rounds import evaluate, loop
from semiqc_jax.rounds.pool import choose
from semiqc_jax.settings import load_settings

ENDS = (*STAGE_ENDS, STAGE_ENDS[-1] + ROUND_UPDATES)  # of three rounds


def halves_of(run, stage):
    """What a round's manifest says of the halves."""
    return read_json(run / f"rounds/{stage:03d}/manifest.json")["halves"]


def cross_fit(finished_runs, **changes):
    """Settings of a cross-fitted run whose stage 0 is that of `none`."""
    return {"cross_fit": True, "stage0_from": str(finished_runs("none")), **changes}


@pytest.fixture(scope="module")
def trained(finished_runs, tmp_path_factory):
    """A run of three rounds, and of each training (stage, weights before, weights after, updates, pseudo-labels)."""
    found, original = [], loop.Trainer.train

    def watched(self, stage, state, sources, hooks):
        after = original(self, stage, state, sources, hooks)
        digests = (model_sha256(self.method().infer(s.method)) for s in (state, after))
        found.append((stage, *digests, int(after.step), sources["pseudo"].count if "pseudo" in sources else 0))
        return after

    folder = tmp_path_factory.mktemp("cross") / "run"
    config = tiny_config("quality", rounds=3, **cross_fit(finished_runs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "train", watched)
        return train(config, finished_runs.cohort, folder), found


def test_each_half_is_segmented_by_the_network_of_the_other(trained):
    run, _ = trained
    own = models(run)
    for stage in (1, 2, 3):
        record, begin = halves_of(run, stage), ENDS[stage - 1]
        assert [half["half"] for half in record] == [1, 2]
        assert [half["learned_from"] for half in record] == ([None, None] if stage == 1 else [2, 1])
        assert sorted(record[0]["subjects"] + record[1]["subjects"]) == POOL
        assert [half["subjects"] for half in record] == [half["subjects"] for half in halves_of(run, 1)]
        assert {half["step"] for half in record} == {begin}
        made_by = {half["sha256"] for half in record}
        assert made_by == {own[begin]} if stage == 1 else len(made_by) == 2 and own[begin] not in made_by
        assert read_json(run / f"rounds/{stage:03d}/manifest.json")["checkpoint"]["sha256"] == own[begin]


def test_the_store_says_the_same_as_the_manifest(trained):
    run, _ = trained
    for stage in (1, 2, 3):
        shards = sorted((run / f"rounds/{stage:03d}/pseudo").glob("*.npz"))
        for path, half in zip(shards, halves_of(run, stage), strict=True):
            with np.load(path, allow_pickle=False) as data:
                provenance = json.loads(str(data["provenance"]))
                subjects = {name.split("/")[0] for name in data.files if "/" in name}
            assert subjects == set(half["subjects"])
            assert {key: provenance[key] for key in half if key != "subjects"} == {
                key: value for key, value in half.items() if key != "subjects"
            }


def test_every_network_goes_on_from_its_own_weights_with_the_same_updates(trained):
    """Both halves, then the run's own network; in the last round that alone."""
    run, found = trained
    assert [stage for stage, *_ in found] == [1, 1, 1, 2, 2, 2, 3]
    assert {updates for *_, updates, _ in found} == {ROUND_UPDATES}
    before, after, pseudo = ([row[i] for row in found] for i in (1, 2, 4))
    assert before == [models(run)[ENDS[0]]] * 3 + after[:3] + [after[5]]
    assert [after[2], after[5], after[6]] == [models(run)[end] for end in ENDS[1:]]
    for stage in (2, 3):
        by_half = after[3 * (stage - 2) :]
        assert [half["sha256"] for half in halves_of(run, stage)] == [by_half[1], by_half[0]]
    for first in (0, 3):
        assert pseudo[first] + pseudo[first + 1] == pseudo[first + 2] > 0


def test_only_the_own_network_stays(trained):
    run, _ = trained
    assert set(models(run)) == set(ENDS)
    for half in ("1", "2"):
        assert not list((run / "halves" / half / "checkpoints").glob("[0-9]*"))
        lines = [json.loads(line) for line in (run / "halves" / half / "metrics.jsonl").read_text().splitlines()]
        steps = [(line["round"], line["step"]) for line in lines]
        assert steps == [(stage, ENDS[stage - 1] + done) for stage in (1, 2) for done in (2, 3, 4, 6)]


def test_the_own_network_is_that_of_the_plain_run_until_the_pool_is_segmented_anew(trained, finished_runs):
    run, _ = trained
    ours, plain = models(run), models(finished_runs())
    assert [ours[end] == plain[end] for end in STAGE_ENDS] == [True, True, False]


def with_images(cohort, members):
    """The same cohort with negatives in place of the images of some."""
    stored = [
        Stored(one.subject, 255 - one.image if one.subject.subject_id in members else one.image, *one[2:])
        for one in cohort._stored
    ]
    return StoredCohort(cohort.name, cohort.task, stored, cohort.splits)


def test_the_network_of_a_half_does_not_know_the_other_half(finished_runs, tmp_path):
    """Other images there, and so other pseudo-labels: its weights are the same, to the bit."""
    changes = cross_fit(finished_runs)
    run = finished_runs("all", **changes)
    first, second = (half["subjects"] for half in halves_of(run, 1))
    other = train(tiny_config("all", **changes), with_images(finished_runs.cohort, first), tmp_path / "run")
    assert [half["subjects"] for half in halves_of(other, 1)] == [first, second]
    same = [a["sha256"] == b["sha256"] for a, b in zip(halves_of(run, 2), halves_of(other, 2), strict=True)]
    assert same == [True, False]  # the first half is segmented by the network of the second
    assert models(run)[STAGE_ENDS[1]] != models(other)[STAGE_ENDS[1]]


def test_a_half_of_which_nothing_is_chosen_learns_from_the_labelled_alone(finished_runs):
    """Its network is that of the selector `none`, to the bit."""
    run = finished_runs("quality", **cross_fit(finished_runs, policy="budget", budget=1))
    chosen = read_json(run / "rounds" / "001" / "manifest.json")["subjects"]
    (empty,) = (half["half"] for half in halves_of(run, 1) if not {*half["subjects"]} & {*chosen})
    by_half = {half["learned_from"]: half["sha256"] for half in halves_of(run, 2)}
    alone = models(finished_runs("none"))[STAGE_ENDS[1]]
    assert [by_half[empty] == alone, by_half[3 - empty] == alone] == [True, False]


def test_a_lost_network_of_a_half_is_not_replaced(finished_runs, tmp_path, monkeypatch):
    """In round 2 another one would have learned from those it segments."""
    run, config = tmp_path / "run", tiny_config("quality", **cross_fit(finished_runs))

    def killed_in_round_2(pool, settings, stage, *args):
        if stage == 2:
            raise KeyboardInterrupt
        choose(pool, settings, stage, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "choose", killed_in_round_2)
        with pytest.raises(KeyboardInterrupt):
            train(config, finished_runs.cohort, run)
    shutil.rmtree(run / "halves" / "1")
    with pytest.raises(UserError, match=rf"step {STAGE_ENDS[1]} is missing \(.*halves/1/.*another workdir"):
        train(config, finished_runs.cohort, run)


def test_the_truth_of_the_pool_changes_nothing(finished_runs, tmp_path):
    changes = cross_fit(finished_runs)
    blind = with_labels(finished_runs.cohort, lambda i, label: label if i in LABELLED else (label + 1) % 4)
    assert outcome(train(tiny_config(**changes), blind, tmp_path / "run")) == outcome(finished_runs(**changes))


def test_evaluation_and_report(trained, finished_runs, monkeypatch):
    run, _ = trained
    monkeypatch.setattr(evaluate, "open_cohort", lambda _: finished_runs.cohort)
    metrics = evaluate.evaluate_run(run, "test")
    assert metrics["checkpoint"] == {"step": ENDS[-1], "round": 3, "sha256": last_model(run)}
    rounds = read_json(run / "evaluation" / "selection.json")["rounds"]
    assert [entry["n_selected"] for entry in rounds] == [2, 2, 2]
    assert (run / "report.html").read_text().count("Each half of the pool was segmented by a network that learned") == 2


@pytest.mark.parametrize("changes", [{"selector": "none"}, {"rounds": 1}, {"rounds": 0}])
def test_where_nothing_is_segmented_twice_it_is_refused(changes):
    with pytest.raises(ConfigError, match="1 wrong setting: cross_fit is about who segments the pool from round 2 on"):
        load_settings(tiny_config(**{"cross_fit": True, **changes}))


def test_a_pool_of_one_cannot_be_halved(finished_runs, tmp_path):
    config = tiny_config("quality", cross_fit=True, labelled=len(LABELLED) + len(POOL) - 1)
    with pytest.raises(ConfigError, match="1 patient and cannot be halved"):
        train(config, finished_runs.cohort, tmp_path / "run")
    assert not (tmp_path / "run").exists()
