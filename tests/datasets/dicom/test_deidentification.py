"""Of a DICOM file only what the rules name stays; the report counts the rest and shows no value."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")

from superpose.datasets.dicom import KEPT, Deidentifier, deidentify_folder, grey_pixels, open_dicom  # noqa: E402
from superpose.errors import DatasetFormatError  # noqa: E402

from .conftest import SECRETS  # noqa: E402

Scan = Callable[..., bytes]
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "health" / "chest_xray_nih" / "nih_cxr_no_finding.dcm"


def written(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_nothing_that_names_a_patient_is_left(scan: Scan) -> None:
    deidentify = Deidentifier()
    content = scan()
    for secret in SECRETS:
        assert secret.encode() in content  # the file did hold it
    after = written(deidentify(open_dicom(content, "a.dcm"), "a.dcm"))
    report = json.dumps(deidentify.report.to_dict())
    for secret in (*SECRETS, "20240229", "ACME"):
        assert secret.encode() not in after, secret
        assert secret not in report, secret
    left = open_dicom(after, "a.dcm")
    named = {"PatientID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}
    assert {e.keyword for e in left} <= KEPT | named | {"PatientIdentityRemoved", "DeidentificationMethod"}
    assert left.PatientAge == "090Y" and left.PatientSex == "F" and left.ViewPosition == "PA"
    assert left.PatientIdentityRemoved == "YES" and len(left.DeidentificationMethod) <= 64
    np.testing.assert_array_equal(left.pixel_array, open_dicom(content, "a.dcm").pixel_array)


def test_the_report_counts_files_by_attribute(scan: Scan) -> None:
    deidentify = Deidentifier()
    for name in ("a", "b"):
        deidentify(open_dicom(scan(), name), name)
    made = deidentify(open_dicom(scan(PatientID="MRN-9", PatientAge="045Y"), "c"), "c")
    deidentify(made, "d")
    report = deidentify.report.to_dict()
    assert report["n_files"] == 4 and report["n_deidentified_before"] == 1
    assert report["removed"]["PatientName"] == 3 and report["removed"]["private attributes"] == 3
    assert report["removed"]["BodyPartExamined"] == 3  # free text in a field for codes
    assert report["replaced"]["PatientAge"] == 2 and report["kept"]["PatientAge"] == 2


def test_pseudonyms_tell_patients_apart_and_lead_nowhere(scan: Scan) -> None:
    first, again, other = Deidentifier(b"k" * 16), Deidentifier(b"k" * 16), Deidentifier()
    file = open_dicom(scan(), "a")
    second = open_dicom(scan(PatientID="MRN-00472"), "b")
    ids = [made(file, "a").PatientID for made in (first, first, again, other)]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert first(second, "b").PatientID != ids[0]
    made = first(file, "a")
    assert pydicom.uid.UID(made.SOPInstanceUID).is_valid and made.SOPInstanceUID != made.StudyInstanceUID
    with pytest.raises(DatasetFormatError, match="at least 16 bytes, got 3"):
        Deidentifier(b"abc")


def test_text_in_pixels_is_refused_where_the_file_says_so_and_counted_where_it_may_be(scan: Scan) -> None:
    with pytest.raises(DatasetFormatError, match="text is written into its pixels"):
        Deidentifier()(open_dicom(scan(BurnedInAnnotation="YES"), "a.dcm"), "a.dcm")
    overlaid = open_dicom(scan(), "a.dcm")
    overlaid.add_new((0x6000, 0x0010), "US", 8)
    with pytest.raises(DatasetFormatError, match="overlay"):
        Deidentifier()(overlaid, "a.dcm")
    deidentify = Deidentifier()
    for attributes in ({"Modality": "US"}, {"Modality": "US", "BurnedInAnnotation": "NO"}, {}):
        deidentify(open_dicom(scan(**attributes), "a.dcm"), "a.dcm")
    assert deidentify.report.n_perhaps_burned_in == 1 and "look at them" in deidentify.report.warnings[0]


def test_lookup_tables_stay_without_their_explanation(scan: Scan) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTExplanation = [4, 0, 8], "DOE^JANE"
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "US", [0, 85, 170, 255])
    made = Deidentifier()(open_dicom(scan(VOILUTSequence=[table]), "a"), "a")
    assert list(made.VOILUTSequence[0].LUTData) == [0, 85, 170, 255]
    assert "LUTExplanation" not in made.VOILUTSequence[0]


def test_a_folder_keeps_its_classes_and_loses_file_names(scan: Scan, tmp_path: Path) -> None:
    for place in ("ill/MRN-00471.dcm", "well/IM0001"):  # hospitals' files often have no suffix
        path = tmp_path / "from" / place
        path.parent.mkdir(parents=True)
        path.write_bytes(scan())
    (tmp_path / "from" / "notes.txt").write_text("MRN-00471")
    report = deidentify_folder(tmp_path / "from", tmp_path / "to")
    names = sorted(path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*.*"))
    assert names == ["ill/image_1.dcm", "well/image_2.dcm"] and report.n_files == 2
    for path in (tmp_path / "to").rglob("*.dcm"):
        assert not any(secret.encode() in path.read_bytes() for secret in SECRETS)
    with pytest.raises(DatasetFormatError, match="is not empty"):
        deidentify_folder(tmp_path / "from", tmp_path / "to")
    with pytest.raises(DatasetFormatError, match="holds no DICOM file"):
        deidentify_folder(tmp_path / "from" / "none", tmp_path / "new")


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, [0.0, 1008 / 4095]),  # unsigned values as they are
        ({"PhotometricInterpretation": "MONOCHROME1"}, [1.0, 1 - 1008 / 4095]),
        ({"RescaleSlope": 2, "RescaleIntercept": -1024}, [0.0, 1.0]),  # no window: from least to greatest
        ({"WindowCenter": 504.5, "WindowWidth": 1009}, [0.0, 1.0]),
        ({"WindowCenter": 5000, "WindowWidth": 10}, [0.0, 0.0]),
    ],
)
def test_pixels_are_shown_as_a_viewer_would(scan: Scan, attributes: dict[str, object], wanted: list[float]) -> None:
    shown = grey_pixels(open_dicom(scan(**attributes), "a"), "a")
    assert shown.dtype == np.float32
    np.testing.assert_allclose([shown[0, 0], shown[-1, -1]], wanted, atol=1e-3)


def test_what_is_no_image_is_refused_by_name(scan: Scan) -> None:
    with pytest.raises(DatasetFormatError, match=r"'a\.dcm' is no DICOM file"):
        open_dicom(b"\x89PNG" * 100, "a.dcm")
    with pytest.raises(DatasetFormatError, match="holds 3 frames"):
        open_dicom(scan(NumberOfFrames=3), "a.dcm")
    broken = open_dicom(scan(), "a.dcm")
    broken.PixelData = b"12"
    with pytest.raises(DatasetFormatError, match=r"pixels of DICOM file 'a\.dcm' cannot be read"):
        grey_pixels(broken, "a.dcm")
    for length in (132, 200, 400, 700):
        with pytest.raises(DatasetFormatError):
            grey_pixels(open_dicom(scan()[:length], "a.dcm"), "a.dcm")


def test_a_real_chest_film() -> None:
    if not REAL.exists():
        pytest.skip("the chest film of the shared data is not here")
    file = open_dicom(REAL.read_bytes(), REAL.name)
    deidentify = Deidentifier()
    shown = grey_pixels(deidentify(file, REAL.name), REAL.name)
    assert shown.shape == (1024, 1024) and 0.5 < shown.mean() < 0.9
    report = deidentify.report.to_dict()
    assert {"PatientName", "StudyDescription", "PatientAge"} <= set(report["removed"])  # "81" is no DICOM age
