"""The judges that the study of curves compares: each a score of every curve, the larger the worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from semiqc_jax.quality.curve_judge import (
    WORST,
    expected_severity,
    feature_matrix,
    fit_curve_machine,
    severity_of,
    spread,
    unusable,
)
from semiqc_jax.quality.curve_network import fit_networks, network_severity
from semiqc_jax.quality.cycle_curves import cycle_curve_features, resampled_curves
from semiqc_jax.quality.learned import standardise
from semiqc_jax.studies.broken_curves import COPIES, HEARTS, PHANTOM_SEED, broken_curves
from semiqc_jax.studies.curve_data import CurveSet

AGREE = -2.0  # severity against the other networks: within a quarter of the limits
# Round limits of the rules; their score is the largest value over its limit.
RULES: Mapping[str, float] = {
    "lv_sv_excess": 0.3, "lv_sv_jump": 0.35, "myo_change": 0.3, "outer_spike": 0.05,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inputs:
    """What judges see of N curves, and the truth about those that they learn from."""

    names: tuple[str, ...]  # of the features
    features: Float[NDArray, "N F"]
    curves: Float[NDArray, "N S C"]
    unusable: Bool[NDArray, " N"]
    bad: Bool[NDArray, " N"]
    severity: Float[NDArray, " N"]
    severities: Float[NDArray, "N 2"]  # of EF and of EDV alone
    shared: Bool[NDArray, " N"]  # the other networks say the same within a quarter of the limits

    def column(self, name: str) -> Float[NDArray, " N"]:
        """One feature."""
        return self.features[:, self.names.index(name)]


def prepare(data: CurveSet) -> Inputs:
    """Features and targets of a set of curves."""
    arrays = (jnp.asarray(data.lv_ml), jnp.asarray(data.myo_ml), jnp.asarray(data.frame_mask))
    features = cycle_curve_features(*arrays)
    zero = np.zeros(len(data.bad))
    return Inputs(
        names=tuple(sorted(features)),
        features=np.asarray(feature_matrix(features)),
        curves=np.asarray(resampled_curves(*arrays)),
        unusable=np.asarray(unusable(*arrays)),
        bad=data.bad,
        severity=severity_of(data.ef_error, data.edv_error),
        severities=np.stack([severity_of(data.ef_error, zero), severity_of(zero, data.edv_error)], 1),
        shared=data.disagreement() <= AGREE,
    )


def learnable(inputs: Inputs, train: Bool[NDArray, " N"]) -> Bool[NDArray, " N"]:
    """The training rows that a curve can teach.

    Left out are bad ones on which the other networks agree: either the images or the reference are at fault, and
    the curve of a good segmentation would be called bad. It takes several networks for training, none to judge.
    """
    return train & ~inputs.unusable & ~(inputs.bad & inputs.shared)


Scores = Float[NDArray, " N"]
Method = Callable[[Inputs, Bool[NDArray, " N"], int], Scores]  # inputs, training rows, seed


def roughness(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """Sum of the LV curve's absolute second differences over its stroke volume."""
    return inputs.column("lv_sv_bend")


def rules(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The largest of four values over its limit."""
    return np.max([inputs.column(name) / limit for name, limit in RULES.items()], axis=0)


def boosted_trees(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """Gradient-boosted trees on the features, as scikit-learn makes them."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=8, l2_regularization=5.0, max_features=0.3,
        min_samples_leaf=40, random_state=seed,
    )  # fmt: skip
    trees.fit(inputs.features[train], inputs.bad[train])
    return trees.predict_proba(inputs.features)[:, 1]


def random_trees(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """Extremely randomised trees on the features, on the rows that a curve can teach."""
    from sklearn.ensemble import ExtraTreesRegressor

    rows = learnable(inputs, train)
    trees = ExtraTreesRegressor(150, min_samples_leaf=10, max_features=0.3, n_jobs=2, random_state=seed)
    return _worst(inputs, trees.fit(inputs.features[rows], inputs.bad[rows].astype(float)).predict(inputs.features))


def svm_all_rows(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The SVM fitted to every training row."""
    return _svm(inputs, train & ~inputs.unusable)


def svm(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The SVM fitted to the rows that a curve can teach."""
    return _svm(inputs, learnable(inputs, train))


def _svm(inputs: Inputs, rows: Bool[NDArray, " N"]) -> Scores:
    return _svm_of(inputs, inputs.features[rows], inputs.severity[rows])


def _svm_of(inputs: Inputs, values: Float[NDArray, "M F"], severity: Float[NDArray, " M"]) -> Scores:
    machine = fit_curve_machine(values, severity)
    return _worst(inputs, np.asarray(expected_severity(jnp.asarray(inputs.features), machine)))


def svm_of_phantoms(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The SVM fitted to synthetic hearts whose curves were broken on purpose: it saw no real curve."""
    values, severity = _phantoms()
    return _svm_of(inputs, values, severity)


def svm_of_both(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The SVM fitted to the real rows that a curve can teach and to the synthetic ones."""
    rows, (values, severity) = learnable(inputs, train), _phantoms()
    taught = np.concatenate([inputs.features[rows], values]), np.concatenate([inputs.severity[rows], severity])
    return _svm_of(inputs, *taught)


@cache
def _phantoms() -> tuple[Float[NDArray, "M F"], Float[NDArray, " M"]]:
    """Features and severities of the usable synthetic curves."""
    made = prepare(broken_curves(HEARTS, COPIES, PHANTOM_SEED))
    return made.features[~made.unusable], made.severity[~made.unusable]


def network(inputs: Inputs, train: Bool[NDArray, " N"], seed: int) -> Scores:
    """The ensemble of Flax networks on curves and features."""
    rows = learnable(inputs, train)
    shown = standardise(*(jnp.asarray(x, jnp.float32) for x in (inputs.features, *spread(inputs.features[rows]))))
    curves, targets = jnp.asarray(inputs.curves), jnp.asarray(inputs.severities, jnp.float32)
    params = fit_networks(jax.random.key(seed), curves, shown, targets, jnp.asarray(rows, jnp.float32))
    return _worst(inputs, np.asarray(network_severity(params, curves, shown)))


def _worst(inputs: Inputs, score: Scores) -> Scores:
    """What cannot be used is worse than anything that can."""
    return np.where(inputs.unusable, 10 * WORST, score)


METHODS: Mapping[str, Method] = {
    "roughness": roughness,
    "rules": rules,
    "boosted trees": boosted_trees,
    "random trees": random_trees,
    "SVM, all rows": svm_all_rows,
    "SVM": svm,
    "SVM, phantoms alone": svm_of_phantoms,
    "SVM, phantoms as well": svm_of_both,
    "network": network,
}
