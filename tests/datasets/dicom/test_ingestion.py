"""Folders of DICOM files become data sets; identities stay behind, and the data sheet counts what was removed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="needs superpose[dicom]")

from superpose.client.image_folder import pack_folder
from superpose.datasets import data_sheet, image_row, read_table
from superpose.errors import DatasetFormatError

from .conftest import SECRETS

Scan = Callable[..., bytes]


@pytest.fixture
def archive(scan: Scan, tmp_path: Path) -> Path:
    """Four scans of three patients in two classes, packed as the client packs a folder."""
    for place, patient in (("ill/a", "A"), ("ill/b", "B"), ("well/c", "A"), ("well/d", "C")):
        path = tmp_path / "scans" / place  # hospitals' files often have no suffix
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scan(np.full((8, 8), ord(patient), np.uint16), PatientID=f"MRN-00471{patient}"))
    (tmp_path / "scans" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM of DOE^JANE")  # an index, no image
    pack_folder(tmp_path / "scans", tmp_path / "scans.zip")
    return tmp_path / "scans.zip"


def test_the_client_sends_no_identity(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        content = b"".join(packed.read(name) for name in packed.namelist()) + packed.comment
        assert packed.namelist()[0] == "ill/image_000000.dcm"
        assert json.loads(packed.comment)["removed"]["PatientName"] == 4
    assert not any(secret.encode() in content for secret in SECRETS)


@pytest.mark.parametrize(
    ("above", "below"), [("DOE, Jane", ""), ("Jane Doe 2024", "ill/"), ("train/MRN-00471", ""), ("2024 MRN-00471", "")]
)
def test_a_folder_that_would_be_sent_with_a_patients_name_is_refused(
    scan: Scan, tmp_path: Path, above: str, below: str
) -> None:
    for place in (f"{above}/{below}a", f"{above}/{below or 'series/'}b"):
        (path := tmp_path / "scans" / place).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scan())
    (path := tmp_path / "scans" / above / below / "../other/c").parent.mkdir(parents=True)
    path.write_bytes(scan(PatientID="test", PatientName="POE^MAX"))
    with pytest.raises(DatasetFormatError, match=r"its name would be sent\. Put folders of patients inside"):
        pack_folder(tmp_path / "scans", tmp_path / "scans.zip")


def test_a_patient_called_as_a_part_or_inside_a_class_is_no_reason_to_refuse(scan: Scan, tmp_path: Path) -> None:
    for place in ("train/ill/DOE_JANE/a", "test/ill/DOE_JANE/b", "train/well/c", "test/well/d"):
        (path := tmp_path / "scans" / place).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scan(PatientID="test"))
    assert len(pack_folder(tmp_path / "scans", tmp_path / "scans.zip")) == 4
    with zipfile.ZipFile(tmp_path / "scans.zip") as packed:
        assert "DOE" not in "".join(packed.namelist())


def test_a_table_of_scans_numbers_patients_and_keeps_the_report(archive: Path) -> None:
    table = read_table(archive, format="images", name="scans", target="class", options={"size": 2, "patients": True})
    assert table.features["patient"].tolist() == ["patient_1", "patient_2", "patient_1", "patient_3"]
    np.testing.assert_allclose(table.features["grey_0_0"] * 4095, [65, 66, 65, 67], rtol=1e-6)
    sheet = data_sheet(table).to_dict()["deidentification"]
    assert sheet["n_files"] == sheet["n_deidentified_before"] == 4 and sheet["removed"] == {}
    assert sheet["by_sender"]["removed"]["PatientName"] == 4


def test_the_sheet_counts_patients_in_two_parts_also_where_they_are_no_column(scan: Scan, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for part in ("train", "test"):
            for label in ("ill", "well"):
                for number in range(2):
                    packed.writestr(f"{part}/{label}/{number}.dcm", scan(PatientID=f"MRN-{label if number else part}"))
    for patients, said in ((False, "Add the set with its patients"), (True, "leaves them out of training")):
        options = {"size": 2, "patients": patients}
        table = read_table(tmp_path / "x.zip", format="images", name="x", target="class", options=options)
        sheet = data_sheet(table)
        assert sheet.shared_patients == {"n_patients": 4, "n_in_several_parts": 2, "n_pictures": 2}
        first = next(own for own in sheet.warnings if not own.startswith("4 of"))  # only burned in names come before
        assert "2 of 4 patients stand in several parts" in first and said in first


def test_what_a_sender_says_is_bounded(scan: Scan, tmp_path: Path) -> None:
    for comment in (
        b"no JSON",
        b'{"removed": 3}',
        b'{"n_files": "x", "removed": {}, "replaced": {}, "kept": {}}',
        b"[]",
    ):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("ill/a.dcm", scan())
            packed.writestr("well/b.dcm", scan())
            packed.comment = comment
        table = read_table(path, format="images", name="scans", target="class", options={"size": 2})
        assert table.deidentification is not None and table.deidentification["by_sender"] is None
        assert table.deidentification["removed"]["PatientName"] == 2  # sent as it was: removed here


def test_patients_must_be_known(scan: Scan, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("ill/a.dcm", scan(PatientID="", PatientName=""))
        packed.writestr("well/b.dcm", scan())
    with pytest.raises(DatasetFormatError, match="1 of 2 images do not say whose they are"):
        read_table(tmp_path / "x.zip", format="images", name="x", target="class", options={"size": 2, "patients": True})


def test_one_scan_as_a_row(scan: Scan) -> None:
    row = image_row(scan(np.full((8, 8), 819, np.uint16)), size=2)
    assert row == pytest.approx(dict.fromkeys(("grey_0_0", "grey_0_1", "grey_1_0", "grey_1_1"), 0.2), abs=1e-6)
