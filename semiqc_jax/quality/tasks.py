"""The checks of each task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.aorta import AORTA_CHECKS
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.limits import Limits
from semiqc_jax.quality.rules import AS_THEY_ARE, configure_rules
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS

CHECKS: Mapping[str, Checks] = MappingProxyType({c.task: c for c in (SHORT_AXIS_CHECKS, AORTA_CHECKS)})


def checks_of(task_name: str) -> Checks:
    """The checks of a task, by its name.

    Raises:
        ConfigError: there are none.
    """
    if task_name not in CHECKS:
        raise ConfigError(f"no quality control for the task '{task_name}'", "quality", f"tasks are {', '.join(CHECKS)}")
    return CHECKS[task_name]


def check_rules(off: Collection[str], use_confidence: bool = True, limits: Limits = AS_THEY_ARE) -> None:
    """Refuse a choice of rules by which no task could be judged; the task itself is not known yet.

    Raises:
        ConfigError: a name is a rule of no task, no task has them all, or none is left that counts.
    """
    known = {name: None for checks in CHECKS.values() for name in checks.rule_names}
    unknown = sorted({*off, *limits} - {*known})
    if unknown:
        raise ConfigError(f"no rule {', '.join(unknown)}", "quality rules", f"rules are {', '.join(known)}")
    candidates = [checks for checks in CHECKS.values() if {*off, *limits} <= {*checks.rule_names}]
    if not candidates:
        raise ConfigError("no task has all of these rules", "quality rules", "name those of one task")
    for n, checks in enumerate(candidates, 1):
        try:
            configure_rules(checks, off, use_confidence, limits)
            return
        except ConfigError:
            if n == len(candidates):
                raise
