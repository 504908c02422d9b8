"""A run that is stopped anywhere goes on where it was and ends as if nothing had happened."""

import os
import signal

import pytest
from tiny_runs import POOL, STAGE_ENDS, outcome, tiny_config, train

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.errors import EXIT_PREEMPTED, Preempted
from semiqc_jax.files import read_json
from semiqc_jax.rounds import loop, pool
from semiqc_jax.rounds.run_folder import MetricsLog
from semiqc_jax.rounds.store import PseudoStore

SHARDS = [f"{i:05d}.npz" for i in range(2)]


@pytest.fixture(scope="module", autouse=True)
def _two_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "SUBJECTS_PER_SHARD", len(POOL) // len(SHARDS))
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


def test_killed_everywhere(whole, finished_runs, tmp_path):
    """One run, killed at each of these moments in turn."""
    run, settings = tmp_path / "run", tiny_config()
    for owner, name, call, saved in KILLS:
        before = times(run)
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, owner, name, call, kill)
            with pytest.raises(KeyboardInterrupt):
                train(settings, finished_runs.cohort, run)
        with Checkpoints(run / "checkpoints", read_only=True) as checkpoints:
            assert checkpoints.latest() == saved, (name, call)
        assert times(run).items() >= before.items()
        assert read_json(run / "status.json")["state"] == "running"
    train(settings, finished_runs.cohort, run)
    assert outcome(run) == whole


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
