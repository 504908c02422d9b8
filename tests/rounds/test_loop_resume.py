"""A run that is stopped anywhere goes on where it was and ends as if nothing had happened."""

import os
import signal

import pytest
from tiny_runs import POOL, ROUND_UPDATES, STAGE_ENDS, outcome, tiny_config, train

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.errors import EXIT_PREEMPTED, Preempted
from semiqc_jax.files import read_json
from semiqc_jax.rounds import loop, pool, segmenting
from semiqc_jax.rounds.run_folder import MetricsLog
from semiqc_jax.rounds.store import PseudoStore

SHARDS = [f"{i:05d}.npz" for i in range(2)]


@pytest.fixture(scope="module", autouse=True)
def _two_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenting, "SUBJECTS_PER_SHARD", len(POOL) // len(SHARDS))
        yield


@pytest.fixture(scope="module")
def whole(finished_runs, tmp_path_factory):
    """What the uninterrupted run leaves."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return outcome(train(tiny_config(), finished_runs.cohort, folder))


def interrupt(patch, owner, name, call, act):
    """Call `act` before call number `call`, from 1, of a function."""
    original, calls = getattr(owner, name), []

    def wrapped(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            act()
        return original(*args, **kwargs)

    patch.setattr(owner, name, wrapped)


def kill():
    raise KeyboardInterrupt


def ask_to_stop():
    os.kill(os.getpid(), signal.SIGTERM)


def times(folder):
    """When each finished piece of a round was written: its shards of pseudo-labels and its manifest."""
    pieces = [*folder.glob("rounds/*/pseudo/*"), *folder.glob("rounds/*/manifest.json")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in pieces}


# What is called, at which call of its process it is killed, and the checkpoint that is there afterwards.
KILLS = [
    (Checkpoints, "save", 1, None),  # before anything was saved
    (Checkpoints, "save", 2, 3),  # in stage 0
    (MetricsLog, "write", 1, 3),
    (Checkpoints, "save", 2, 6),  # at the end of stage 0
    (PseudoStore, "write", 2, STAGE_ENDS[0]),  # while the pool is segmented
    (pool, "write_csv", 1, STAGE_ENDS[0]),  # before a choice was written
    (pool, "write_json", 1, STAGE_ENDS[0]),  # before the manifest
    (loop, "pseudo_source", 1, STAGE_ENDS[0]),  # after the manifest
    (Checkpoints, "save", 2, STAGE_ENDS[0] + 3),  # in round 1
    (pool, "write_json", 1, STAGE_ENDS[1]),  # in round 2
    (Checkpoints, "save", 2, STAGE_ENDS[1] + 3),
    (loop, "write_status", 2, STAGE_ENDS[2]),  # after the last checkpoint
]


# The same of a cross-fitted run of three rounds: in the first two each half's network saves twice, then the run's own.
CROSS_FIT_KILLS = [
    (Checkpoints, "save", 3, STAGE_ENDS[0]),  # at the end of half 1's training; the first save was stage 0
    (Checkpoints, "save", 2, STAGE_ENDS[0]),  # in half 2's training
    (MetricsLog, "write", 1, STAGE_ENDS[0]),
    (Checkpoints, "save", 4, STAGE_ENDS[0] + 3),  # at the end of round 1
    (PseudoStore, "write", 2, STAGE_ENDS[1]),  # one half is segmented, the other is not
    (pool, "write_json", 1, STAGE_ENDS[1]),
    (Checkpoints, "save", 1, STAGE_ENDS[1]),  # half 1 in round 2, before anything was saved
    (Checkpoints, "save", 3, STAGE_ENDS[1]),  # half 2 in round 2
    (loop, "pseudo_source", 1, STAGE_ENDS[1]),
    (Checkpoints, "save", 4, STAGE_ENDS[1] + 3),
    (PseudoStore, "write", 1, STAGE_ENDS[2]),
    (Checkpoints, "save", 2, STAGE_ENDS[2] + 3),  # in the last round, of the run's own network alone
    (Checkpoints, "forget", 4, STAGE_ENDS[2] + ROUND_UPDATES),  # while the networks of the halves are removed
]


def killed_at_each(kills, settings, cohort, run):
    """One run, killed at each of these moments in turn, then left alone."""
    for owner, name, call, saved in kills:
        before = times(run)
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, owner, name, call, kill)
            with pytest.raises(KeyboardInterrupt):
                train(settings, cohort, run)
        with Checkpoints(run / "checkpoints", read_only=True) as checkpoints:
            assert checkpoints.latest() == saved, (name, call)
        assert times(run).items() >= before.items()
        assert read_json(run / "status.json")["state"] == "running"
    return train(settings, cohort, run)


def test_killed_everywhere(whole, finished_runs, tmp_path):
    assert outcome(killed_at_each(KILLS, tiny_config(), finished_runs.cohort, tmp_path / "run")) == whole


@pytest.fixture(scope="module")
def cross_fit(finished_runs, tmp_path_factory):
    """Settings of a cross-fitted run, and what it leaves if it is not interrupted."""
    config = tiny_config(rounds=3, cross_fit=True, stage0_from=str(finished_runs("none")))
    return config, outcome(train(config, finished_runs.cohort, tmp_path_factory.mktemp("cross_fit") / "run"))


def test_a_cross_fitted_run_killed_everywhere(cross_fit, finished_runs, tmp_path):
    config, expected = cross_fit
    assert outcome(killed_at_each(CROSS_FIT_KILLS, config, finished_runs.cohort, tmp_path / "run")) == expected


def test_the_network_of_a_half_is_asked_to_stop(cross_fit, finished_runs, tmp_path):
    """The status counts the updates of the run's own network."""
    config, expected = cross_fit
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, MetricsLog, "write", 2, ask_to_stop)
        with pytest.raises(Preempted, match=f"stopped at update {STAGE_ENDS[0]}, state saved"):
            train(config, finished_runs.cohort, tmp_path / "run")
    assert read_json(tmp_path / "run" / "status.json") == {"state": "preempted", "round": 1, "step": STAGE_ENDS[0]}
    assert outcome(train(config, finished_runs.cohort, tmp_path / "run")) == expected


def test_a_half_is_segmented_again_when_the_networks_are_further(cross_fit, finished_runs, tmp_path):
    """Shards that are lost while round 2 trains are made by the same networks as before."""
    (config, expected), run = cross_fit, tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, Checkpoints, "save", 11, kill)  # half 1 is through round 2, half 2 in it
        with pytest.raises(KeyboardInterrupt):
            train(config, finished_runs.cohort, run)
    for half, latest in (("1", STAGE_ENDS[2]), ("2", STAGE_ENDS[1] + 3)):
        with Checkpoints(run / "halves" / half / "checkpoints", read_only=True) as checkpoints:
            assert checkpoints.steps() == (STAGE_ENDS[1], latest)
    for name in SHARDS:
        (run / "rounds" / "002" / "pseudo" / name).unlink()
    assert outcome(train(config, finished_runs.cohort, run)) == expected


def test_a_finished_run_is_left_alone(whole, finished_runs, tmp_path, monkeypatch):
    run = train(tiny_config(), finished_runs.cohort, tmp_path / "run")
    before = times(run)
    monkeypatch.setattr(loop.Trainer, "train", lambda *_: pytest.fail("trains again"))
    train(tiny_config(), finished_runs.cohort, run)
    assert outcome(run) == whole
    assert times(run) == before


@pytest.mark.parametrize(
    ("owner", "call", "stage", "step", "pieces"),
    [
        (MetricsLog, 1, 0, 2, 0),  # between two checkpoints
        (PseudoStore, 1, 1, STAGE_ENDS[0], 1),  # while the pool is segmented
        (MetricsLog, 6, 1, STAGE_ENDS[0] + 2, len(SHARDS) + 1),
    ],
)
def test_asked_to_stop(whole, finished_runs, tmp_path, owner, call, stage, step, pieces):
    run, settings = tmp_path / "run", tiny_config()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, owner, "write", call, ask_to_stop)
        with pytest.raises(Preempted, match=f"stopped at update {step}, state saved") as stop:
            train(settings, finished_runs.cohort, run)
    assert stop.value.exit_code == EXIT_PREEMPTED
    assert read_json(run / "status.json") == {"state": "preempted", "round": stage, "step": step}
    with Checkpoints(run / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.latest() == step
    before = times(run)
    assert len(before) == pieces
    train(settings, finished_runs.cohort, run)
    assert times(run).items() >= before.items()
    assert outcome(run) == whole


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_shard_is_made_again(whole, finished_runs, tmp_path, damage):
    run, settings = tmp_path / "run", tiny_config()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, loop, "pseudo_source", 1, kill)
        with pytest.raises(KeyboardInterrupt):
            train(settings, finished_runs.cohort, run)
    shard = run / "rounds" / "001" / "pseudo" / SHARDS[1]
    content = bytearray(shard.read_bytes())
    if damage == "gone":
        shard.unlink()
    else:
        content[len(content) // 2] ^= 0xFF
        shard.write_bytes(content[:-100] if damage == "cut" else content)
    train(settings, finished_runs.cohort, run)
    assert outcome(run) == whole
