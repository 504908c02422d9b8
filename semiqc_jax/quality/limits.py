"""Limits of rules as they are configured: `stroke_volume_mismatch=-10:10,lv_ef=20:80`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.checks import Rule

Limits = Mapping[str, tuple[float | None, float | None]]  # rule -> (low, high); None: no limit on that side
MEND = "write NAME=LOW:HIGH, separated by commas; an empty side has no limit"


def parse_limits(text: str) -> Limits:
    """The limits that a configuration gives as text; empty for "".

    Raises:
        ConfigError: not of that form, no number, a low limit above the high one, none at all, or a rule twice.
    """
    limits: dict[str, tuple[float | None, float | None]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, values = (piece.strip() for piece in part.partition("="))
        low, colon, high = (piece.strip() for piece in values.partition(":"))
        try:
            found = (float(low) if low else None, float(high) if high else None)
        except ValueError:
            raise ConfigError(f"{part!r} holds no numbers", "quality rules", MEND) from None
        given = [value for value in found if value is not None]
        if not (name and equals and colon and given) or not all(map(math.isfinite, given)):
            raise ConfigError(f"{part!r} is no limit", "quality rules", MEND)
        if given != sorted(given):
            raise ConfigError(f"{part!r} has its low limit above its high one", "quality rules", MEND)
        if name in limits:
            raise ConfigError(f"two limits for {name}", "quality rules", "give one")
        limits[name] = found
    return limits


def with_limits(rules: tuple[Rule, ...], limits: Limits) -> tuple[Rule, ...]:
    """The rules with other limits for some; a rule that is off by default is on once it has got one."""
    return tuple(
        replace(rule, low=limits[rule.name][0], high=limits[rule.name][1], weight=rule.weight or 1.0)
        if rule.name in limits
        else rule
        for rule in rules
    )
