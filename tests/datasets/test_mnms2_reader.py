"""M&Ms-2 in its official layout: short-axis files, table, published split, ED and ES found in the cine."""

import numpy as np
import pytest
from nifti_files import heart, pixels, save_nifti

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import find_subjects, mnms2
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.errors import ConfigError, NothingUsableError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 8)
TABLE = (
    "SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD\n"
    "1,NOR,GE MEDICAL SYSTEMS,SIGNA EXCITE,1.5\n"
    "160,LV,SIEMENS,SymphonyTim,1.5\n"
    "161,HCM,SIEMENS,SymphonyTim,1.5\n"
    "201,TRI,Philips Medical Systems,Achieva,\n"
)
ED, ES = 1, 5


@pytest.fixture
def source(tmp_path):
    """Four patients around the borders of the published split."""
    for code in ("001", "160", "161", "201"):
        start, cine = tmp_path / "MnM2" / "dataset" / code / code, pixels(SHAPE, int(code))
        files = {"SA_CINE": cine, "LA_CINE": cine[:, :, :1], "LA_ED": cine[:, :, :1, 0], "LA_ED_gt": heart(1)[..., 0]}
        for phase, frame, label in (("ED", ED, heart(5)[..., 0]), ("ES", ES, heart(5)[..., 4])):
            files |= {f"SA_{phase}": cine[..., frame], f"SA_{phase}_gt": label}
        for name, data in files.items():
            save_nifti(start.with_name(f"{code}_{name}.nii.gz"), data)
    (tmp_path / "MnM2" / "dataset_information.csv").write_text(TABLE)
    return tmp_path / "MnM2"


def test_patients_and_published_split(source):
    found = find_subjects("mnms2", str(source))
    splits = [("001", "train"), ("160", "train"), ("161", "val"), ("201", "test")]
    assert [(f.subject_id, f.split) for f in found] == splits
    names = {"CINE", "ED", "ED_gt", "ES", "ES_gt"}
    assert {p.name for p in found[0].files} == {f"001_SA_{n}.nii.gz" for n in names} | {"dataset_information.csv"}


@pytest.mark.parametrize("below", [".", "dataset"])
def test_cine_labels_and_table(source, below):
    study = check_study(mnms2.find(source / below)[0].read())
    np.testing.assert_array_equal(study.image, pixels(SHAPE, 1).T)
    assert (study.ed_frame, study.es_frame) == (ED, ES)
    assert np.flatnonzero(study.labelled.all((1, 2))).tolist() == [ED, ES]
    assert not study.labelled[[0, 2, 3, 4, 6, 7]].any()
    np.testing.assert_array_equal(study.label[ES], heart(5)[..., 4].T)
    assert (study.group, study.site) == ("NOR", "GE MEDICAL SYSTEMS, SIGNA EXCITE")
    assert study.warnings == ()


def test_without_cine_and_table(source):
    (source / "dataset_information.csv").unlink()
    (source / "dataset" / "001" / "001_SA_CINE.nii.gz").unlink()
    study = check_study(mnms2.find(source)[0].read())
    assert study.shape == (2, 5, 24, 20)
    assert study.labelled.all()
    assert (study.ed_frame, study.es_frame, study.group) == (0, 1, None)


def test_no_patient_and_another_task_are_refused(source, tmp_path):
    with pytest.raises(NothingUsableError, match="no M&Ms-2 patients"):
        mnms2.find(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="M&Ms-2 holds no study of the task 'aorta'"):
        mnms2.find(source, ReaderOptions(AORTA))
