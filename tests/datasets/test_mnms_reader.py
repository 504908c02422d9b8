"""M&Ms in its official layout: folders, table, splits, labels on ED and ES, and what may be missing."""

import pickle

import numpy as np
import pytest
from nifti_files import heart, pixels, save_nifti

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import find_subjects, mnms
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 8)
TABLE = "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
HEADER = ",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight\n"
ROWS = (
    "0,A0S9V9,Siemens,A,1,2,6,28,HCM,M,184.0,76.0\n"
    "1,B3F0V9,Philips,B,2,0.0,3.0,N/A,NOR,F,-,-\n"
    "2,C8O0P2,General Electric,C,4,1,5,50,DCM,F,160,60\n"
    "3,D1R0Y5,Canon,D,5,0,4,62,Other,M,170,81\n"
)
ED, ES = 2, 6


@pytest.fixture
def source(tmp_path):
    """Four patients, one in each folder of the archive; the first is labelled on ED and ES."""
    label = np.zeros(SHAPE, np.uint8)
    label[..., ED], label[..., ES] = heart(5)[..., 0], heart(5)[..., 4]
    places = ("Training/Labeled/A0S9V9", "Training/Unlabeled/B3F0V9", "Validation/C8O0P2", "Testing/D1R0Y5")
    for place in places:
        folder = tmp_path / "OpenDataset" / place
        save_nifti(folder / f"{folder.name}_sa.nii.gz", pixels(SHAPE), step=100.0)
    save_nifti(tmp_path / "OpenDataset" / places[0] / "A0S9V9_sa_gt.nii.gz", label)
    (tmp_path / "OpenDataset" / TABLE).write_text(HEADER + ROWS)
    return tmp_path / "OpenDataset"


def studies(source, options=None):
    return {f.subject_id: check_study(f.read()) for f in mnms.find(source, options or ReaderOptions())}


def test_patients_splits_and_files(source):
    found = find_subjects("mnms", str(source))
    assert [(f.subject_id, f.split) for f in found] == [
        ("A0S9V9", "train"),
        ("B3F0V9", "train"),
        ("C8O0P2", "val"),
        ("D1R0Y5", "test"),
    ]
    assert [p.name for p in found[0].files] == ["A0S9V9_sa.nii.gz", "A0S9V9_sa_gt.nii.gz", TABLE]
    again = pickle.loads(pickle.dumps(found[0]))
    np.testing.assert_array_equal(again.read().image, found[0].read().image)


def test_table_labels_and_phases(source):
    known = studies(source)
    one = known["A0S9V9"]
    assert (one.ed_frame, one.es_frame) == (ED, ES)
    assert np.flatnonzero(one.labelled.any((1, 2))).tolist() == [ED, ES]
    assert one.labelled[[ED, ES]].all()
    np.testing.assert_array_equal(one.label[ED], heart(5)[..., 0].T)
    assert (one.group, one.site, one.sex) == ("HCM", "Siemens, centre 1", "M")
    assert (one.age_years, one.height_cm, one.weight_kg) == (28.0, 184.0, 76.0)
    np.testing.assert_allclose(one.frame_time_s, np.arange(8) * 0.1)
    assert one.warnings == ()
    other = known["B3F0V9"]
    assert (other.label, other.ed_frame, other.es_frame) == (None, 0, 3)
    assert (other.age_years, other.height_cm, other.weight_kg, other.sex) == (None, None, None, "F")


def test_without_the_table_labels_tell_the_phases(source):
    (source / TABLE).unlink()
    known = studies(source)
    assert (known["A0S9V9"].ed_frame, known["A0S9V9"].es_frame) == (ED, ES)
    assert (known["B3F0V9"].ed_frame, known["B3F0V9"].group) == (None, None)
    assert known["B3F0V9"].warnings == ("no row in the data set's table: group and site are not known",)


def test_table_that_contradicts_the_labels_gives_a_warning(source):
    (source / TABLE).write_text(HEADER + ROWS.replace(",2,6,", ",6,2,"))
    assert studies(source)["A0S9V9"].warnings == (
        "the data set's table: ED is frame 6 and ES 2, but the drawn LV cavity is larger at ES",
    )


def test_table_with_semicolons_and_a_byte_order_mark(source):
    (source / TABLE).write_text((HEADER + ROWS).replace(",", ";"), encoding="utf-8-sig")
    assert studies(source)["A0S9V9"].group == "HCM"


def test_table_is_found_from_a_folder_of_the_archive(source):
    (found,) = mnms.find(source / "Training" / "Labeled")
    assert (found.read().group, found.split) == ("HCM", None)


def test_labels_are_left_unread_on_request(source):
    one = studies(source, ReaderOptions(label_codes=None))["A0S9V9"]
    assert (one.label, one.ed_frame) == (None, ED)


@pytest.mark.parametrize("frame", ["8", "-1", "1.5", "one", "²"])
def test_frame_outside_the_cine_is_an_error(source, frame):
    (source / TABLE).write_text(HEADER + ROWS.replace(",2,6,", f",{frame},6,"), encoding="utf-8")
    with pytest.raises(DataError, match=rf"ED is '{frame}', but the cine has frames 0 to 7 \(A0S9V9 in"):
        studies(source)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", HEADER])
def test_broken_table_is_an_error_that_names_it(source, text):
    (source / TABLE).write_text(text)
    with pytest.raises(DataError, match=r"no row or no column 'External code'.*opendataset\.csv"):
        mnms.find(source)


def test_no_patient_and_another_task_are_refused(source, tmp_path):
    with pytest.raises(NothingUsableError, match="no M&Ms patients"):
        mnms.find(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="M&Ms holds no study of the task 'aorta'"):
        mnms.find(source, ReaderOptions(AORTA))
