"""Cross-fitting by subject: who was left out of which of several models, and which model judges whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

FOLDS = 5


@dataclass(frozen=True)
class Folds:
    """K models, each fitted without a K-th of the subjects, and a last one that is fitted to all of them.

    Strangers are judged by the last: it learned from the most, and from none of them.
    """

    of: Mapping[str, int] = field(default_factory=dict)  # subject -> the model that did not see it
    count: int = 0  # K; 0 where there is the last model alone

    def models(self, subjects: Sequence[str]) -> Int[np.ndarray, " N"]:
        """Which model judges each subject: one that did not see it."""
        return np.array([self.of.get(i, self.count) for i in subjects], np.int32)

    def arrays(self) -> dict[str, NDArray]:
        """As plain arrays for `numpy.savez`."""
        return {"subjects": np.array([*self.of], np.str_), "fold": np.array([*self.of.values()], np.int32)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray], models: int) -> Folds:
        """Undo `arrays`, for a file of so many models, the last of them included."""
        pairs = zip(arrays["subjects"], arrays["fold"], strict=True)
        return cls({str(name): int(k) for name, k in pairs}, models - 1)


def folds_of(subjects: Sequence[str] | NDArray, folds: int = FOLDS) -> tuple[Folds, Int[NDArray, " N"]]:
    """Deal subjects into `folds` (or as many as there are subjects) at random, always in the same way.

    Args:
        subjects: of each of N rows.

    Returns:
        Who is in which fold, and the fold of each row.

    Raises:
        ValueError: fewer than two subjects.
    """
    names, row = np.unique(np.asarray(subjects), return_inverse=True)
    count = min(folds, len(names))
    if count < 2:
        raise ValueError("a judge is cross-fitted to segmentations of at least two subjects")
    fold = np.random.default_rng(0).permutation(len(names)) % count
    return Folds(dict(zip(map(str, names), fold.tolist(), strict=True)), count), fold[row]
