"""`superpose datasets deidentify`: patients' folders become pseudonyms, those of classes stay, and the report tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.datasets.test_picture_sets import dicom


def test_folders_of_patients_are_renamed_and_classes_can_be_named(
    superpose: Callable[..., Any], tmp_path: Path
) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")
    for label, patient in (("ILL", "Doe"), ("ILL", "Roe"), ("NORMAL", "Poe")):
        path = tmp_path / "from" / label / patient / "IM0001"
        path.parent.mkdir(parents=True)
        path.write_bytes(dicom(pydicom, f"MRN-{patient}"))
    report = tmp_path / "reports" / "first.json"  # in a folder that is not there yet
    said = superpose("datasets", "deidentify", tmp_path / "from", tmp_path / "to", "--report", report)
    assert said.code == 0, said.err
    assert "folders kept, with files" in said.out and "ILL 2" in said.out and "1 folder(s) in the place" in said.err
    assert not any(name in said.out + said.err + report.read_text() for name in ("Doe", "Roe", "Poe", "NORMAL"))
    named = ["--class", "ILL", "--class", "NORMAL"]
    said = superpose("datasets", "deidentify", tmp_path / "from", tmp_path / "named", *named, "--json")
    assert json.loads(said.out)["folders"] == {"kept": {"ILL": 2, "NORMAL": 1}, "n_replaced": 3, "n_removed": 0}
    for name in (*(tmp_path / "to").rglob("*"), *(tmp_path / "named").rglob("*")):
        assert not any(patient in name.name for patient in ("Doe", "Roe", "Poe"))

    if Path("/dev/full").exists():
        said = superpose("datasets", "deidentify", tmp_path / "from", tmp_path / "full", "--report", "/dev/full")
        assert said.code == 1 and said.json["n_files"] == 3
        assert "/dev/full cannot be written: No space left on device. The report is printed instead." in said.err
