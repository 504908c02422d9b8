"""What the user may choose about a synthetic cohort, one class a task, and its short text form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from semiqc_jax.anatomy import AORTA, SHORT_AXIS, Task
from semiqc_jax.datasets.phantom.aorta.physiology import GROUPS as AORTA_GROUPS
from semiqc_jax.datasets.phantom.heart.physiology import GROUPS
from semiqc_jax.errors import ConfigError

LABELLED_FRAMES = ("all", "ed_es")
SPEC_HELP = "phantom specification"

Limits = tuple[tuple[str, Callable[[Any], bool], str], ...]


@dataclass(frozen=True, kw_only=True)
class CohortSpec:
    """What every synthetic cohort has. A subject depends on all but `n_subjects`, and on its index."""

    task: ClassVar[Task]
    group_names: ClassVar[tuple[str, ...]]
    limits: ClassVar[Limits] = ()  # beyond the common ones

    n_subjects: int = 60
    seed: int = 0
    size: int  # rows and columns of a slice
    fov_mm: float  # mean field of view; each subject's differs a little, and so does its spacing
    n_frames: int
    subsamples: int  # samples through the slice thickness that one image voxel averages
    labelled_frames: str = "all"  # or "ed_es"
    groups: tuple[str, ...]  # subject i has group i modulo their number
    noise: float = 1.0  # factor on every subject's noise level
    bad_fraction: float = 0.25  # share of subjects with one or two image or acquisition defects

    @classmethod
    def clean(cls, **changes: Any) -> Self:
        """A cohort without noise or defects: for exact tests."""
        return cls(**{"noise": 0.0, "bad_fraction": 0.0, **changes})

    @property
    def n_voxels(self) -> int:
        """Voxels that are rendered for one subject."""
        return self.n_frames * self.size**2

    def __post_init__(self) -> None:
        names = self.group_names
        groups = ("groups", lambda v: len(v) > 0 and set(v) <= set(names), f"names out of {names}")
        problems = [
            f"{name}={getattr(self, name)} is not {wanted}"
            for name, ok, wanted in (*_LIMITS, groups, *self.limits)
            if not ok(getattr(self, name))
        ]
        if problems:
            raise ConfigError("; ".join(problems), SPEC_HELP, "change these values")


_LIMITS: Limits = (
    ("n_subjects", lambda v: v >= 1, "at least 1"),
    ("seed", lambda v: 0 <= v < 2**31, "between 0 and 2^31 - 1"),
    ("size", lambda v: 16 <= v <= 1024, "between 16 and 1024"),
    ("fov_mm", lambda v: 120 <= v <= 600, "between 120 and 600"),
    ("n_frames", lambda v: 2 <= v <= 200, "between 2 and 200"),
    ("subsamples", lambda v: 1 <= v <= 32, "between 1 and 32"),
    ("labelled_frames", lambda v: v in LABELLED_FRAMES, f"one of {LABELLED_FRAMES}"),
    ("noise", lambda v: 0 <= v <= 20, "between 0 and 20"),
    ("bad_fraction", lambda v: 0 <= v <= 1, "between 0 and 1"),
)


@dataclass(frozen=True, kw_only=True)
class PhantomSpec(CohortSpec):
    """A synthetic short-axis cohort: beating hearts."""

    task: ClassVar[Task] = SHORT_AXIS
    group_names: ClassVar[tuple[str, ...]] = GROUPS
    limits: ClassVar[Limits] = (
        ("n_slices", lambda v: 4 <= v <= 200, "between 4 and 200"),
        ("misalignment_mm", lambda v: 0 <= v <= 20, "between 0 and 20"),
    )

    size: int = 72
    fov_mm: float = 180.0
    n_frames: int = 10
    n_slices: int = 12  # at most; slices lie further apart than 8-10 mm where this does not reach the apex
    subsamples: int = 3
    groups: tuple[str, ...] = GROUPS
    misalignment_mm: float = 1.5  # standard deviation of the usual breath-hold shift of a slice
    whole_heart: bool = False  # True: the stack reaches beyond base and apex in every subject

    @classmethod
    def clean(cls, **changes: Any) -> Self:
        """A cohort without noise, shifts or defects whose stacks hold the whole heart: for exact tests."""
        return super().clean(**{"misalignment_mm": 0.0, "whole_heart": True, **changes})

    @property
    def n_voxels(self) -> int:
        """Voxels that are rendered for one subject."""
        return self.n_frames * self.n_slices * self.size**2


@dataclass(frozen=True, kw_only=True)
class AortaSpec(CohortSpec):
    """A synthetic aortic cohort: one axial plane at the pulmonary bifurcation."""

    task: ClassVar[Task] = AORTA
    group_names: ClassVar[tuple[str, ...]] = AORTA_GROUPS

    size: int = 96
    fov_mm: float = 154.0
    n_frames: int = 20
    subsamples: int = 2
    groups: tuple[str, ...] = AORTA_GROUPS


SPECS: Mapping[str, type[CohortSpec]] = MappingProxyType({spec.task.name: spec for spec in (PhantomSpec, AortaSpec)})


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


def parse_spec(text: str, task: Task = SHORT_AXIS) -> CohortSpec:
    """Read a spec such as `subjects=60,size=72,frames=10,seed=0,groups=NOR+DCM`; what is left out is default.

    Raises:
        ConfigError: names every unknown, repeated or unreadable part and the keys that this task has.
    """
    cls = SPECS[task.name]
    keys = {key: entry for key, entry in _KEYS.items() if entry[0] in cls.__dataclass_fields__}
    values: dict[str, Any] = {}
    problems = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = (p.strip() for p in part.partition("="))
        if not equals or key not in keys:
            problems.append(f"'{part}' is no known key=value of the task '{task.name}'")
            continue
        name, read = keys[key]
        if name in values:
            problems.append(f"'{key}' is given twice")
        try:
            values[name] = read(value)
        except ValueError:
            problems.append(f"'{value}' is no value for '{key}'")
    if problems:
        raise ConfigError("; ".join(problems), SPEC_HELP, f"keys are {', '.join(keys)}")
    return cls(**values)
