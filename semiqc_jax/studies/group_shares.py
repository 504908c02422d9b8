"""Which disease groups a judge accepts: the shares of the better half of each network, against the oracle's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from semiqc_jax.quality.groups import group_codes, scores_within_groups
from semiqc_jax.studies.detection import Estimate, patient_weights
from semiqc_jax.studies.network_tables import NetworkTables
from semiqc_jax.studies.selective import averaged, share_kept

ORACLE, WITHIN = "oracle", ", within groups"
ALSO_WITHIN = ("confidence", "rules + confidence")  # judges that are shown with `by_group` too
DICE = "Dice"  # the mean of what is accepted, beside the groups


def group_shares(
    tables: NetworkTables, scores: Mapping[str, Float[NDArray, " N"]], rows: Bool[NDArray, " N"]
) -> dict[str, Any]:
    """Share of each disease group in the accepted half, less the share that the oracle's half takes of it.

    Under `Dice` the mean Dice of the accepted, within a network and then averaged. Of the oracle both are its own.
    """
    network, dice, group = tables.network[rows], tables.dice[rows], tables.group[rows]
    known = {name: score[rows] for name, score in scores.items() if not np.isnan(score[rows]).any()}
    known |= {name + WITHIN: within_groups(known[name], network, group) for name in ALSO_WITHIN if name in known}
    known |= {ORACLE + WITHIN: within_groups(dice, network, group)}
    weights, oracle = patient_weights(tables.patient[rows]), share_kept(dice, network)
    found: dict[str, Any] = {}
    for name, kept in ((ORACLE, oracle), *((n, share_kept(score, network)) for n, score in known.items())):
        gap = kept.astype(float) - (0 if name == ORACLE else oracle)
        of_groups = {str(g): _mean(gap, weights * (group == g)) for g in np.unique(group)}
        accepted = averaged(_accepted_dice, network, weights, dice, kept)
        found[name] = {**{g: x.as_json() for g, x in of_groups.items()}, DICE: accepted.as_json()}
    return found


def within_groups(
    score: Float[NDArray, " N"], network: Int[NDArray, " N"], group: NDArray
) -> Float[NDArray, " N"]:
    """The score's rank within each network and disease group, as `by_group` takes it."""
    found, codes = np.zeros(len(score)), group_codes(group.tolist())
    for one in np.unique(network):
        here = network == one
        ranked = scores_within_groups(jnp.asarray(score[here]), jnp.ones(here.sum(), bool), jnp.asarray(codes[here]))
        found[here] = np.asarray(ranked)
    return found


def _mean(values: NDArray, weights: NDArray) -> Estimate:
    total = weights.sum(1)
    return Estimate(np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0))


def _accepted_dice(dice: NDArray, kept: NDArray, weights: NDArray) -> NDArray:
    return _mean(dice, weights * kept).resamples
