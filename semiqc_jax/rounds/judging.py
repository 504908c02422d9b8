"""Which judge a run has."""

from __future__ import annotations

from pathlib import Path

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.rounds.judge import Judge, rules_judge
from semiqc_jax.settings import Settings


def judge_for(settings: Settings, cohort: Cohort, folder: Path) -> Judge:
    """The judge that the settings name."""
    return rules_judge(settings.quality.use_confidence)
