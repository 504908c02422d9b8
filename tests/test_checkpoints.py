"""Checkpoints: what is saved comes back to the bit, and nothing else is taken for it."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import UNET, assert_equal_trees

from semiqc_jax.checkpoints import Checkpoints, load_model, model_sha256
from semiqc_jax.errors import DataError, UserError
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.training.methods.method import MethodState
from semiqc_jax.training.step import TrainState, make_optimizer


def variables_of(spec, seed=0):
    """Random variables of a network."""
    shapes = jax.eval_shape(build_network(spec).init, jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), dict(shapes))


def train_state(variables, step=3):
    """A training state, its optimiser's state filled with what training might leave there."""
    begin = make_optimizer(1e-3, 100, 1e-4).init(variables["params"])
    rng = np.random.default_rng(1)
    optimizer = jax.tree.map(lambda x: rng.integers(1, 99, np.shape(x)).astype(x.dtype), begin)
    aux = {name: value for name, value in variables.items() if name != "params"}
    return TrainState(np.int32(step), MethodState(variables["params"], aux), optimizer)


def blank(tree):
    return jax.tree.map(np.zeros_like, tree)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of steps 1 to 5 of which 2 and 4 are to be kept."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    with Checkpoints(folder, keep=(2, 4)) as checkpoints:
        assert checkpoints.latest() is None
        for step in range(1, 6):
            variables = variables_of(UNET, step)
            checkpoints.save(step, variables, UNET, train_state(variables, step), round=1, task="short_axis")
    return folder


def test_the_last_and_the_asked_for_are_kept(folder):
    with Checkpoints(folder, keep=(2, 4), read_only=True) as checkpoints:
        assert checkpoints.steps() == (2, 4, 5)
        assert checkpoints.latest() == 5


def test_everything_comes_back_to_the_bit(folder):
    variables = variables_of(UNET, 4)
    state = train_state(variables, 4)
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert_equal_trees(checkpoints.restore_train(4, blank(state)), state)
        assert_equal_trees(checkpoints.restore_model(4, blank(variables)), variables)
        info = checkpoints.info(4)
    assert info["sha256"] == model_sha256(variables)
    assert (info["step"], info["round"], info["task"]) == (4, 1, "short_axis")


def test_a_model_is_read_by_its_record(folder):
    """Without being told the architecture; the last by default."""
    for step, expected in ((None, 5), (2, 2)):
        record = load_model(folder, step)
        assert record.network == UNET
        assert record.info["step"] == expected
        assert_equal_trees(record.variables, variables_of(UNET, expected))


def test_a_model_is_read_without_the_training_code(folder):
    code = (
        "import sys; from pathlib import Path; from semiqc_jax.checkpoints import load_model, model_sha256;"
        f"record = load_model(Path({str(folder)!r})); print(model_sha256(record.variables));"
        "sys.exit(any(name.startswith('semiqc_jax.training') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split()[-1] == model_sha256(variables_of(UNET, 5))


@pytest.mark.parametrize(
    "other",
    [
        NetworkSpec("unet", 3, base=4, depth=2, norm="batch", dropout=0.0),
        NetworkSpec("unet", 3, base=2, depth=3, norm="batch", dropout=0.0),
        NetworkSpec("unet", 3, base=2, depth=2, norm="group", dropout=0.0),
        NetworkSpec("fcn", 3, base=2, depth=2, norm="batch", dropout=0.0),
        NetworkSpec("unet", 2, base=2, depth=2, norm="batch", dropout=0.0),
    ],
    ids=["wider", "deeper", "norm", "fcn", "classes"],
)
def test_another_architecture_is_refused(folder, other):
    variables = variables_of(other)
    with Checkpoints(folder, read_only=True) as checkpoints:
        with pytest.raises(DataError, match="another architecture") as caught:
            checkpoints.restore_train(4, train_state(variables))
        with pytest.raises(DataError, match="another architecture"):
            checkpoints.restore_model(4, variables)
    assert str(folder / "4") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_said(folder, tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at step 3.*saved steps: 2, 4, 5"):
        load_model(folder, 3)
    with pytest.raises(UserError, match=r"no checkpoints.*train first"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no whole checkpoint.*saved steps: none"):
        load_model(tmp_path / "empty")


def test_what_is_forgotten_is_gone_also_for_the_next_process(tmp_path):
    with Checkpoints(tmp_path, keep=(1, 2, 3)) as checkpoints:
        for step in (1, 2, 3, 4):
            variables = variables_of(UNET, step)
            checkpoints.save(step, variables, UNET, train_state(variables, step))
        checkpoints.forget(3)
        assert checkpoints.steps() == (3, 4)
        for reads in (checkpoints.info, lambda step: checkpoints.restore_train(step, blank(train_state(variables)))):
            with pytest.raises(UserError, match=r"the checkpoint of step 2 is missing .*another workdir"):
                reads(2)
    with Checkpoints(tmp_path, keep=(1, 2, 3)) as checkpoints:
        assert checkpoints.steps() == (3, 4)
        checkpoints.forget(5)
        assert checkpoints.latest() is None


def test_a_reader_leaves_the_folder_alone(folder):
    """Half-written saves of a run that still trains are neither read nor removed."""
    half = folder / "6.orbax-checkpoint-tmp-1"
    half.mkdir()
    try:
        with Checkpoints(folder, read_only=True) as checkpoints:
            assert checkpoints.steps() == (2, 4, 5)
        assert load_model(folder).info["step"] == 5
        assert half.is_dir()
    finally:
        half.rmdir()


def test_the_hash_is_over_paths_types_shapes_and_values():
    a, b = np.arange(4, dtype=np.float32), np.ones((2, 2), np.float32)
    tree = {"params": {"a": a, "b": b}, "batch_stats": {"c": a}}
    other_order = {"batch_stats": {"c": a}, "params": {"b": b, "a": a}}
    assert model_sha256(tree) == model_sha256(other_order) == model_sha256(jax.tree.map(jnp.asarray, tree))
    different = [
        {**tree, "batch_stats": {"d": a}},
        {**tree, "batch_stats": {"c": a.astype(np.int32)}},
        {**tree, "batch_stats": {"c": a.reshape(2, 2)}},
        {**tree, "batch_stats": {"c": np.nextafter(a, np.float32(9))}},
        {**tree, "params": {"a": a, "b": np.asfortranarray(b + np.eye(2, k=1, dtype=np.float32))}},
        {**tree, "params": {"a": a, "b": b + np.eye(2, k=-1, dtype=np.float32)}},
    ]
    assert len({model_sha256(x) for x in [tree, *different]}) == 7
