"""The loop of a stage: what it logs and saves, when it stops, and that it goes on as if it never had."""

import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from tiny import assert_equal_trees

from semiqc_jax.parallel import AXIS, Devices
from semiqc_jax.training.loop import Hooks, StopRequest, mean_metrics, run_stage, stop_on_sigterm
from semiqc_jax.training.methods.method import MethodState
from semiqc_jax.training.step import TrainState, make_optimizer, stage_key

DEVICES = Devices.of(count=2)
FRESH = TrainState(jnp.int32(0), MethodState({"w": jnp.zeros(3)}, {}), ())


def random_walk(state, resident, seeds, streamed):
    """A step without a network: w moves by the stage's key and by the mean of the streamed rows."""
    key = jax.random.fold_in(stage_key(seeds), state.step)
    rows = lax.pmean(streamed["rows"].mean(), AXIS)
    w = state.method.params["w"] + jax.random.normal(key, (3,)) * resident["scale"] + rows
    sums = {"loss": (state.step.astype(jnp.float32), jnp.float32(1)), "dice": (jnp.arange(2.0), jnp.full(2, 2.0))}
    return TrainState(state.step + 1, MethodState({"w": w}, {}), ()), sums


class Recorder:
    """Hooks that remember what they were told; the loop is asked to stop while it takes row `stop_in`."""

    def __init__(self, stop_in=None):
        self.saved, self.logged, self.advanced, self.stop_in = {}, {}, [], stop_in
        self.stop = StopRequest()
        self.hooks = Hooks(
            save=self.saved.__setitem__,
            log=self.logged.__setitem__,
            advance=lambda n, note: self.advanced.append(n),
            stop=self.stop,
            save_every=4,
            log_every=3,
        )

    def rows(self, first, last):
        for i in range(first, last):
            self.stop.asked |= i == self.stop_in
            yield np.full(4, i, np.float32)

    def run(self, state, updates=10, seeds=(1, 0)):
        done = int(state.step)
        rows = {"rows": self.rows(done, updates)}
        scale = {"scale": np.float32(2)}
        return run_stage(random_walk, DEVICES, state, scale, rows, seeds, updates, self.hooks)


@pytest.fixture(scope="module")
def whole():
    recorder = Recorder()
    return recorder, recorder.run(FRESH)


def test_logs_and_saves_at_their_intervals(whole):
    """Every 3 updates and where it saves the means since the last time, every 4 a checkpoint, both at the end."""
    recorder, state = whole
    assert state.step == 10
    means = {3: 1, 4: 3, 6: 4.5, 8: 6.5, 9: 8, 10: 9}  # update i has loss i; means of 0 1 2, 3, 4 5, 6 7, 8, 9
    assert {step: values["loss"] for step, values in recorder.logged.items()} == means
    assert all(v["dice_1"] == 0 and v["dice_2"] == 0.5 for v in recorder.logged.values())
    assert recorder.advanced == [3, 1, 2, 2, 1, 1]
    assert list(recorder.saved) == [4, 8, 10]
    assert {step: int(s.step) for step, s in recorder.saved.items()} == {4: 4, 8: 8, 10: 10}
    assert_equal_trees(recorder.saved[10], state)


def test_goes_on_from_a_checkpoint_as_if_it_never_stopped(whole):
    recorder, state = whole
    assert_equal_trees(Recorder().run(recorder.saved[8]), state)


@pytest.mark.parametrize("row", [4, 5])
def test_a_stop_is_answered_where_the_log_ends_a_line(whole, row):
    """Asked in update 5 or 6 it stops after 6, saved; resumed, state and log are those of a run without a stop."""
    recorder = Recorder(stop_in=row)
    stopped = recorder.run(FRESH)
    assert stopped.step == 6
    assert list(recorder.logged) == [3, 4, 6]
    assert list(recorder.saved) == [4, 6]
    assert_equal_trees(recorder.saved[6], stopped)
    resumed = Recorder()
    assert_equal_trees(resumed.run(stopped), whole[1])
    assert list(resumed.logged) == [8, 9, 10]
    assert all(resumed.logged[step]["loss"] == whole[0].logged[step]["loss"] for step in resumed.logged)


def test_a_finished_stage_does_nothing(whole):
    recorder = Recorder()
    assert_equal_trees(recorder.run(whole[1]), whole[1])
    assert not recorder.saved
    assert not recorder.logged


def test_seed_and_stage_decide(whole):
    for seeds in ((2, 0), (1, 1)):
        assert not np.allclose(Recorder().run(FRESH, seeds=seeds).method.params["w"], whole[1].method.params["w"])


def test_means_are_divided_once():
    """Steps of different size: (1 + 9) / (1 + 3), not the mean of 1 and 3; nothing seen is 0, not an error."""
    one = {"a": (np.float32(1), np.float32(1)), "b": (np.array([2.0, 0]), np.array([4.0, 0]))}
    two = {"a": (np.float32(9), np.float32(3)), "b": (np.array([1.0, 0]), np.array([2.0, 0]))}
    assert mean_metrics([one, two]) == {"a": 2.5, "b_1": 0.5, "b_2": 0}


def test_sigterm_asks_and_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_gets_a_request_that_no_signal_sets():
    seen = []

    def body():
        with stop_on_sigterm() as stop:
            seen.append(stop.asked)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [False]


@pytest.mark.parametrize(("updates", "warmup"), [(100, 10), (2000, 50)])
def test_the_schedule_of_a_stage(updates, warmup):
    """With a constant gradient each AdamW update has the size of the rate: a tenth, the whole, down to 0."""
    optimizer = make_optimizer(1e-2, updates, weight_decay=0.0)
    params = jnp.zeros(())

    def body(state, _):
        update, state = optimizer.update(jnp.float32(1), state, params)
        return state, -update

    _, rate = jax.lax.scan(body, optimizer.init(params), length=updates)
    np.testing.assert_allclose(rate[:: warmup][:2], [1e-3, 1e-2], rtol=1e-4)
    assert int(rate.argmax()) == warmup
    middle = warmup + (updates - warmup) // 2
    assert float(rate[middle]) == pytest.approx(5e-3, rel=1e-2)
    assert float(rate[-1]) < 1e-5


def test_large_gradients_are_clipped_and_weights_decay():
    """A gradient of norm 50 counts as one of norm 5; decay takes rate x decay of the weight."""
    optimizer = make_optimizer(1e-2, 100, weight_decay=0.1)
    params = jnp.array([30.0, 40.0])
    clipped = optimizer.update(params, optimizer.init(params), params)
    same = optimizer.update(params / 10, optimizer.init(params), params)
    moments = optax.tree.get(clipped[1], "mu"), optax.tree.get(same[1], "mu")
    np.testing.assert_allclose(moments[0], [0.3, 0.4], rtol=1e-5)
    np.testing.assert_allclose(moments[0], moments[1], rtol=1e-5)
    np.testing.assert_allclose(clipped[0], -1e-3 * (1 + 0.1 * params), rtol=1e-4)
