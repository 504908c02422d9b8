"""`open_cohort`: whatever form a data set was built in, opened the same way."""

from __future__ import annotations

from pathlib import Path

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.pack import PACK_NAME, open_pack
from semiqc_jax.errors import DataError

RECORDS_NAME = "dataset_info.json"


def open_cohort(path: str | Path) -> Cohort:
    """Open a built data set: a folder of either form, or a packed file. Imports only what that form needs.

    Raises:
        DataError: there is no finished data set.
    """
    path = Path(path)
    if path.is_file():
        return open_pack(path)
    if (path / PACK_NAME).is_file():
        return open_pack(path / PACK_NAME)
    if (path / RECORDS_NAME).is_file():
        from semiqc_jax.datasets.records import RecordCohort  # needs tfds, which the packed form does not

        return RecordCohort(path)
    raise DataError("no finished data set", path, "make one with launch/build_data.py")
