"""`PhantomSpec`: what the user may choose about a synthetic cohort, and its short text form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from semiqc_jax.datasets.phantom.physiology import GROUPS
from semiqc_jax.errors import ConfigError

LABELLED_FRAMES = ("all", "ed_es")
SPEC_HELP = "phantom specification"


@dataclass(frozen=True)
class PhantomSpec:
    """A synthetic short-axis cohort. A subject depends on all of these but `n_subjects`, and on its index."""

    n_subjects: int = 60
    seed: int = 0
    size: int = 72  # rows and columns of a slice
    fov_mm: float = 180.0  # mean field of view; each subject's differs a little, and so does its spacing
    n_frames: int = 10
    n_slices: int = 12  # at most; slices lie further apart than 8-10 mm where this does not reach the apex
    subsamples: int = 3  # samples through the slice thickness that one image voxel averages
    labelled_frames: str = "all"  # or "ed_es"
    groups: tuple[str, ...] = GROUPS  # subject i has group i modulo their number
    noise: float = 1.0  # factor on every subject's noise level
    misalignment_mm: float = 1.5  # standard deviation of the usual breath-hold shift of a slice
    bad_fraction: float = 0.25  # share of subjects with one or two image or acquisition defects
    whole_heart: bool = False  # True: the stack reaches beyond base and apex in every subject

    @classmethod
    def clean(cls, **changes: Any) -> PhantomSpec:
        """A cohort without noise, shifts or defects whose stacks hold the whole heart: for exact tests."""
        ideal: dict[str, Any] = {"noise": 0.0, "misalignment_mm": 0.0, "bad_fraction": 0.0}
        return cls(**{**ideal, "whole_heart": True, **changes})

    def __post_init__(self) -> None:
        problems = [f"{name}={getattr(self, name)} is not {wanted}" for name, ok, wanted in _LIMITS
                    if not ok(getattr(self, name))]  # fmt: skip
        if problems:
            raise ConfigError("; ".join(problems), SPEC_HELP, "change these values")


_LIMITS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("n_subjects", lambda v: v >= 1, "at least 1"),
    ("seed", lambda v: 0 <= v < 2**31, "between 0 and 2^31 - 1"),
    ("size", lambda v: 16 <= v <= 1024, "between 16 and 1024"),
    ("fov_mm", lambda v: 120 <= v <= 600, "between 120 and 600"),
    ("n_frames", lambda v: 2 <= v <= 200, "between 2 and 200"),
    ("n_slices", lambda v: 4 <= v <= 200, "between 4 and 200"),
    ("subsamples", lambda v: 1 <= v <= 32, "between 1 and 32"),
    ("labelled_frames", lambda v: v in LABELLED_FRAMES, f"one of {LABELLED_FRAMES}"),
    ("groups", lambda v: len(v) > 0 and set(v) <= set(GROUPS), f"names out of {GROUPS}"),
    ("noise", lambda v: 0 <= v <= 20, "between 0 and 20"),
    ("misalignment_mm", lambda v: 0 <= v <= 20, "between 0 and 20"),
    ("bad_fraction", lambda v: 0 <= v <= 1, "between 0 and 1"),
)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "subjects": ("n_subjects", int),
    "seed": ("seed", int),
    "size": ("size", int),
    "fov": ("fov_mm", _number),
    "frames": ("n_frames", int),
    "slices": ("n_slices", int),
    "subsamples": ("subsamples", int),
    "labelled": ("labelled_frames", str),
    "groups": ("groups", lambda text: tuple(text.split("+"))),
    "noise": ("noise", _number),
    "misalignment": ("misalignment_mm", _number),
    "bad": ("bad_fraction", _number),
}


def parse_spec(text: str) -> PhantomSpec:
    """Read a spec such as `subjects=60,size=72,frames=10,seed=0,groups=NOR+DCM`; what is left out is default.

    Raises:
        ConfigError: names every unknown, repeated or unreadable part and the keys there are.
    """
    values: dict[str, Any] = {}
    problems = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = (p.strip() for p in part.partition("="))
        if not equals or key not in _KEYS:
            problems.append(f"'{part}' is no known key=value")
            continue
        name, read = _KEYS[key]
        if name in values:
            problems.append(f"'{key}' is given twice")
        try:
            values[name] = read(value)
        except ValueError:
            problems.append(f"'{value}' is no value for '{key}'")
    if problems:
        raise ConfigError("; ".join(problems), SPEC_HELP, f"keys are {', '.join(_KEYS)}")
    return PhantomSpec(**values)
