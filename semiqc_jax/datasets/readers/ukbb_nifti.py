"""Reader of UK Biobank cines as NIfTI, in the layout of the ukbb_cardiac toolbox (Bai et al., JCMR 20:65, 2018)."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

from semiqc_jax.datasets.readers.folders import named_folder, stated_split, subject_folders
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.readers.phase_files import PHASES, PhaseFiles, read_phase_files
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.study import Study

SEQUENCES = {"short_axis": "sa", "aorta": "ao"}  # task -> what its files are called
EID = re.compile(r"(\d{7})(?!\d)")  # of a participant, at the start of a study's id: 1234567_2_0


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Subjects up to three folders below `source`, each a folder with `sa.nii.gz` (`ao.nii.gz` for the aorta).

    Labels are `label_sa.nii.gz` of the cine, or `label_sa_ED.nii.gz` and `label_sa_ES.nii.gz` of `sa_ED.nii.gz`
    and `sa_ES.nii.gz`. The toolbox's own output (`seg_*`) and other files are not read. A folder above a
    subject that is called train, validation or test states its split. A subject's id
    is its folder's name, or the path from the EID on where that is a folder above it (`1234567/2_0` becomes
    `1234567_2_0`), or from the source on where the name is not unique. Studies of one EID are of one patient.

    Raises:
        NothingUsableError: there is none.
    """
    source, name = named_folder(source), SEQUENCES[options.task.name]
    folders = subject_folders(source, lambda folder: _files(folder, name).usable())
    if not folders:
        mend = f"give the folder above SUBJECT/{name}.nii.gz"
        raise NothingUsableError(f"no subject with {name}.nii.gz", source, mend)
    count = Counter(folder.name for folder in folders)
    found = []
    for folder in folders:
        parts = (source.name, *folder.relative_to(source).parts)
        eids = [i for i, part in enumerate(parts) if EID.match(part)]
        first = eids[0] if eids else -1 if count[folder.name] == 1 else 1
        subject_id = "_".join(parts[first:])
        files, eid = _files(folder, name), EID.match(subject_id)
        found.append(
            Found(
                subject_id,
                folder,
                partial(read, files, subject_id, options),
                files.there(),
                split=stated_split(folder, source),
                patient_id=eid and eid[1],
            )
        )
    return found


def read(files: PhaseFiles, subject_id: str, options: ReaderOptions = DEFAULT) -> Study:
    """Read one subject; how ED and ES are found is said at `read_phase_files`.

    Raises:
        DataError: names the file and the mend.
    """
    return read_phase_files(files, subject_id, options.task, options.label_codes)


def _files(folder: Path, name: str) -> PhaseFiles:
    ed, es = PHASES
    return PhaseFiles(
        cine=folder / f"{name}.nii.gz",
        cine_label=folder / f"label_{name}.nii.gz",
        frames=(folder / f"{name}_{ed}.nii.gz", folder / f"{name}_{es}.nii.gz"),
        labels=(folder / f"label_{name}_{ed}.nii.gz", folder / f"label_{name}_{es}.nii.gz"),
    )
