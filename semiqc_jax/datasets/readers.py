"""The readers by name. Each finds the subjects of a source; a found subject reads itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from semiqc_jax.datasets.found import Found
from semiqc_jax.datasets.splits import (
    SplitRule,
    Splits,
    present,
    published_acdc_splits,
    read_splits,
    seeded_splits,
)
from semiqc_jax.study import Study


def _acdc(source: str, label_codes: str) -> list[Found]:
    from semiqc_jax.datasets import acdc

    return acdc.find(Path(source))


def _nifti(source: str, label_codes: str) -> list[Found]:
    from semiqc_jax.datasets import nifti

    return nifti.find(Path(source), label_codes)


def _phantom(source: str, label_codes: str) -> list[Found]:
    from semiqc_jax.datasets import phantom

    spec = phantom.parse_spec(source)

    def read(index: int) -> Study:
        return phantom.phantom_subject(spec, index)[0]

    return [Found(f"phantom{i:04d}", source, partial(read, i)) for i in range(spec.n_subjects)]


# name -> find(source, label_codes): subjects in the order of a cohort. `label_codes` names the mapping of
# `anatomy.LABEL_CODES` for readers that cannot know it. Imports wait until a reader is used.
READERS: dict[str, Callable[[str, str], list[Found]]] = {"acdc": _acdc, "nifti": _nifti, "phantom": _phantom}


def split_rule(dataset: str, source: str, path: Path | None) -> SplitRule:
    """How to split a data set: by the user's file, as published, as the phantom says, or seeded 70 / 10 / 20.

    Raises:
        ConfigError, DataError: the file is wrong.
    """
    if path is not None:
        given = read_splits(path)
        return lambda ids, groups: given
    return partial(_default_splits, dataset, source)


def _default_splits(
    dataset: str, source: str, ids: Sequence[str], groups: Sequence[str | None]
) -> Splits:
    if dataset == "phantom":
        from semiqc_jax.datasets import phantom

        return phantom.phantom_splits(phantom.parse_spec(source))
    if dataset == "acdc":
        published = present(published_acdc_splits(), ids)
        if published["train"] and published["test"]:
            return published
    return seeded_splits(ids, groups)
