"""A learned judge as plain arrays, and back: what its file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS
from semiqc_jax.errors import DataError
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.folds import Folds
from semiqc_jax.quality.learned import Classifier
from semiqc_jax.quality.machines import KINDS, SVM, Machine, NetworkMachine

PARAMS = "params/"  # what the names of a network's arrays begin with


def to_arrays(classifier: Classifier) -> dict[str, NDArray]:
    """The classifier as plain arrays for `numpy.savez`; texts are unicode arrays, nothing needs pickle."""
    numbers = classifier.machines._asdict()
    checks, params = classifier.checks, numbers.pop("params", {})
    numbers.pop("columns")  # by name, below
    texts = {
        "kind": np.array(classifier.kind),
        "features": np.array([checks.features[i].name for i in classifier.columns]),
        "learned_from": np.array(classifier.learned_from),
        "task": np.array(checks.task),
        "classes": np.array(TASKS[checks.task].classes),
    }
    arrays = {name: np.asarray(x) for name, x in {**numbers, **_flat(params, PARAMS)}.items()}
    return {**arrays, **texts, **classifier.folds.arrays(), "target": np.array(classifier.target)}


def _flat(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, x in tree.items():
        found |= _flat(x, f"{prefix}{name}/") if isinstance(x, Mapping) else {prefix + name: x}
    return found


def _nested(arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in (name for name in arrays if name.startswith(PARAMS)):
        *folders, name = path.removeprefix(PARAMS).split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = jnp.asarray(arrays[path])
    return tree


def from_arrays(
    arrays: Mapping[str, NDArray],
    checks: Checks,
    where: object = "classifier",
    mend: str = "delete the file: the judge is then fitted anew",
) -> Classifier:
    """The classifier that `to_arrays` took apart (an opened .npz will do).

    Args:
        checks: those of the task that it is to judge.
        where: the file that an error names.
        mend: what an error advises.

    Raises:
        DataError: an older version wrote it, it is of an unknown kind, judges another task, or uses classes or
            features that this version does not have.
    """
    if not {"fold", "kind", "task", "classes"} <= {*arrays}:
        raise DataError("an older version made this judge: it is not cross-fitted", where, mend)
    task, kind = str(arrays["task"]), str(arrays["kind"])
    if task != checks.task:
        raise DataError(f"the judge is for the task '{task}', not '{checks.task}'", where, mend)
    classes, stored = TASKS[task].classes, tuple(str(name) for name in arrays["classes"])
    if stored != classes:
        raise DataError(f"the judge knows the classes {', '.join(stored)}, not {', '.join(classes)}", where, mend)
    names = [str(name) for name in arrays["features"]]
    if unknown := sorted({*names} - {*checks.index}):
        raise DataError(f"the judge uses unknown features {', '.join(unknown)}", where, mend)
    if kind not in KINDS:
        raise DataError(f"a judge of the unknown kind '{kind}'", where, f"kinds are {', '.join(KINDS)}")
    form: Any = Machine if kind == SVM else NetworkMachine
    numbers = {name: jnp.asarray(arrays[name]) for name in form._fields if name not in ("columns", "params")}
    params = {} if kind == SVM else {"params": _nested(arrays)}
    count = len(numbers["slope"])
    columns = jnp.tile(jnp.array([checks.index[name] for name in names], jnp.int32), (count, 1))
    machines = form(columns=columns, **numbers, **params)
    folds = Folds.of_arrays(arrays, count)
    return Classifier(checks, machines, float(arrays["target"]), str(arrays["learned_from"]), kind, folds)
