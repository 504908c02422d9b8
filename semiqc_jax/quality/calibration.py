"""What labelled cases outside training allow to promise: limits on the score with a guarantee, and verdicts by them.

Learn then test (Angelopoulos 2021, arXiv 2110.01052): a limit is allowed only if the hypothesis "too many of what it
accepts are bad" is refuted by an exact binomial test. Limits are tried from the strictest on and the first that fails
ends the trial, so that no correction for their number is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom

from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.quality.reliability import PlattScale, Reliability, fit_platt, platt_probability, reliability

ACCEPT, REVIEW, REJECT = "accept", "review", "reject"
UNCALIBRATED = "none"
FIRST_SHARE = 0.25  # the strictest limit that is tried keeps this share of the labelled cases, or as many as it takes


@dataclass(frozen=True)
class Promise:
    """What is to be shown: at least this share of the accepted is good, with this confidence."""

    precision: float = 0.95
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (0 < self.precision < 1 and 0 < self.confidence < 1):
            what = f"precision {self.precision}, confidence {self.confidence}"
            raise ConfigError(what, "calibration", "give both between 0 and 1, without these")

    @property
    def needed(self) -> int:
        """The fewest accepted cases that show it, all of them good: 59 for 95 % with 95 % confidence."""
        return math.ceil(math.log(1 - self.confidence) / math.log(self.precision))


@dataclass(frozen=True)
class Claim:
    """A limit on the score for which the promise was shown."""

    limit: float  # scores beyond it, not at it
    n: int  # labelled cases beyond it
    right: int  # how many of them are as claimed
    lower: float  # Clopper-Pearson lower bound of their share, at the promise's confidence


@dataclass(frozen=True)
class Calibration:
    """What N labelled cases say about a score, and what may be promised of it."""

    source: str  # whose labels, in a word: a split's name
    judge: str  # whose scores
    target_dice: float  # what a good segmentation is
    promise: Promise
    n: int
    n_good: int
    accept: Claim | None  # above its limit at least `precision` are good
    reject: Claim | None  # below its limit at least `precision` are bad
    scale: PlattScale  # score -> P(good)
    reliability: Reliability

    @property
    def name(self) -> str:
        """The word for `quality.csv`: the source where something is promised, else `none`."""
        return self.source if self.accept or self.reject else UNCALIBRATED

    @property
    def reason(self) -> str:
        """A sentence: what is promised of the accepted, or why nothing is."""
        p, many = self.promise, f"{self.n} labelled cases ({self.source})"
        wanted = f"{p.precision:.0%} of the accepted are good with {p.confidence:.0%} confidence"
        if self.accept:
            right, n = self.accept.right, self.accept.n
            return f"At least {wanted}: score above {self.accept.limit:.3g}, {right} of {n} good among {many}"
        if self.n <= p.needed:
            need = f"it takes at least {p.needed + 1} to show that {wanted}"
            return f"Too few labelled cases, {self.n} ({self.source}): {need}, and nothing is accepted"
        return f"By {many}, {self.n_good} of them good, no limit on the score shows that {wanted}: nothing is accepted"


def claim(
    score: Float[NDArray, " N"], right: Bool[NDArray, " N"], promise: Promise = Promise()
) -> Claim | None:
    """The lowest limit on the score above which the promise holds; None where none is shown.

    The limit is the (m + 1)-th largest score. Given its value the cases above it are an independent sample of all
    that exceeds it, so that each test is exact; m starts at the larger of `needed` and a quarter of N and grows by
    one. Over all limits together the chance of a false claim is at most 1 - confidence as long as the precision
    falls through the wanted one only once as the limit is lowered. Cases have to be independent: one a patient.

    Args:
        score: larger is better; NaN counts as worst.
        right: whether each case is as is to be claimed.
    """
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    ordered, wrong = np.nan_to_num(score, nan=-np.inf)[order], np.cumsum(~np.asarray(right, bool)[order])
    first = max(promise.needed, int(FIRST_SHARE * len(ordered)))
    limits = ordered[first:][np.isfinite(ordered[first:])]
    above = np.searchsorted(-ordered, -limits, side="left")  # fewer than its place says where scores tie
    limits, above = limits[above >= first], above[above >= first]
    errors = np.concatenate([[0], wrong])[above]
    shown = binom.cdf(errors, above, 1 - promise.precision) <= 1 - promise.confidence
    allowed = int(np.argmin(np.append(shown, False)))
    if not allowed:
        return None
    n, k = int(above[allowed - 1]), int(errors[allowed - 1])
    lower = float(beta.ppf(1 - promise.confidence, n - k, k + 1))
    return Claim(float(limits[allowed - 1]), n, n - k, lower)


def calibrate(
    score: ArrayLike,
    dice: ArrayLike,
    target_dice: float,
    source: str,
    judge: str,
    promise: Promise = Promise(),
) -> Calibration:
    """Calibrate a score on labelled cases that took no part in training, one a patient.

    Args:
        score: [N], in [0, 1].
        dice: [N] true Dice; cases without one (NaN) are left out.

    Raises:
        DataError: scores and Dice are not as many.
    """
    scores, truth = np.asarray(score, np.float64), np.asarray(dice, np.float64)
    if scores.shape != truth.shape or scores.ndim != 1:
        what = f"{scores.shape} scores, {truth.shape} true Dice"
        raise DataError(what, f"calibration on {source}", "give one of each a subject")
    known = ~np.isnan(truth)
    scores, good = scores[known], truth[known] >= target_dice
    return Calibration(
        source=source,
        judge=judge,
        target_dice=target_dice,
        promise=promise,
        n=len(good),
        n_good=int(good.sum()),
        accept=claim(scores, good, promise),
        reject=_mirrored(claim(-scores, ~good, promise)),
        scale=fit_platt(scores, good),
        reliability=reliability(scores, good),
    )


def _mirrored(found: Claim | None) -> Claim | None:
    return found and Claim(-found.limit, found.n, found.right, found.lower)


def verdicts(score: Float[NDArray, " N"], calibration: Calibration | None) -> list[str]:
    """`accept`, `review` or `reject` for N scores, by what is promised; all `review` where nothing is.

    A score that is NaN, or that both claims hold, is `review`.
    """
    values = np.asarray(score, np.float64)
    accept, reject = (calibration.accept, calibration.reject) if calibration else (None, None)
    good = values > accept.limit if accept else np.zeros(values.shape, bool)
    bad = values < reject.limit if reject else np.zeros(values.shape, bool)
    words = np.where(good & ~bad, ACCEPT, np.where(bad & ~good, REJECT, REVIEW))
    return [str(word) for word in words]


def probability_good(score: Float[NDArray, " N"], calibration: Calibration) -> Float[NDArray, " N"]:
    """P(Dice >= target) of N scores."""
    return platt_probability(np.asarray(score, np.float64), calibration.scale)


def to_json(calibration: Calibration) -> dict[str, Any]:
    """Plain JSON values; `name` and `reason` are there for readers."""
    return {**asdict(calibration), "name": calibration.name, "reason": calibration.reason}


def from_json(values: Mapping[str, Any], where: object = "calibration") -> Calibration:
    """The calibration that `to_json` wrote.

    Raises:
        DataError: something is missing or unknown.
    """
    try:
        parts = {
            **{key: values[key] for key in ("source", "judge", "target_dice", "n", "n_good")},
            **{key: values[key] and Claim(**values[key]) for key in (ACCEPT, REJECT)},
            "promise": Promise(**values["promise"]),
            "scale": PlattScale(**values["scale"]),
            "reliability": Reliability.of_json(values["reliability"]),
        }
        return Calibration(**parts)
    except (KeyError, TypeError) as error:
        what = f"no calibration of this version: {error}"
        raise DataError(what, where, "delete the file and run the command that wrote it again") from error
