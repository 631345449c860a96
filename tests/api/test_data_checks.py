"""Checks of splits, drift and images over the routes, the client and the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superpose.cli import main
from superpose.client import Client
from superpose.errors import ApiError, DatasetFormatError, RequestError
from superpose.service import ServiceConfig, Worker

from .conftest import Api, running

SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    "split": {"kind": "grouped", "column": "patient"},
}


def visits(seed: int = 0, shift: float = 0.0, n_patients: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dose = rng.normal(size=4 * n_patients)
    return pd.DataFrame(
        {
            "patient": np.repeat(np.arange(n_patients), 4),
            "dose": dose + shift,
            "weight": rng.normal(70, 10, 4 * n_patients),
            "outcome": np.where(dose + rng.normal(size=4 * n_patients) > 0, "ill", "well"),
        }
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service with one trained model, a worker having done it."""
    directory = tmp_path_factory.mktemp("checks")
    config = ServiceConfig(data_dir=directory / "data", workers=0)
    with running(config) as api:
        with Client(api.url, key=api.admin_key) as client:
            client.datasets.add(visits().to_csv(index=False).encode(), target="outcome", name="visits", format="csv")
            job = client.jobs.train(dataset="visits", model="triage", spec=SPEC)
            _run_until(Worker(config), client, job.id)
            assert client.jobs.get(job.id).status == "succeeded"
        yield api


def _run_until(worker: Worker, client: Client, job_id: str) -> None:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        client.jobs.wait(job_id)
    finally:
        worker.stop()
        thread.join(60)


@pytest.fixture
def client(home: Api) -> Any:
    with Client(home.url, key=home.admin_key) as made:
        yield made


def test_a_random_split_of_patients_is_told(client: Client) -> None:
    found = {finding.kind: finding for finding in client.datasets.check("visits")}
    assert found["group_overlap"].columns == ("patient",)
    assert found["group_overlap"].n_rows > 20 and len(found["group_overlap"].rows) == 20
    assert "kind: grouped" in found["group_overlap"].message
    assert client.datasets.check("visits", {"split": SPEC["split"]}) == []
    with pytest.raises(ApiError, match=r"split\.column") as caught:
        client.datasets.check("visits", {"split": {"kind": "grouped", "column": "patients"}})
    assert caught.value.problem_code == "spec.invalid"


def test_drift_is_told_with_its_thresholds(client: Client, tmp_path: Path) -> None:
    same = client.models.drift("triage", visits(1).to_csv(index=False).encode(), format="csv")
    assert (same.model, same.version, same.verdict) == ("triage", 1, "stable")
    assert [column.name for column in same.columns] == ["dose", "weight"]  # the patient is no feature
    moved = visits(2, shift=1.0).drop(columns=["outcome", "patient"])
    moved.to_parquet(tmp_path / "new.parquet")
    report = client.models.drift("triage", tmp_path / "new.parquet", version=1)
    assert report.verdict == "drifted" and "dose (PSI" in report.message
    assert report.thresholds == {"psi_shift": 0.1, "psi_drift": 0.25, "ks_shift": 0.1, "alpha": 0.01}
    assert client.models.drift("triage", dataset="visits").verdict == "stable"
    with pytest.raises(ApiError, match="lacks 'weight'"):
        client.models.drift("triage", moved[["dose"]].to_csv(index=False).encode(), format="csv")
    for wrong in ({}, {"source": b"x", "dataset": "visits"}, {"source": b"x"}):
        with pytest.raises(RequestError):
            client.models.drift("triage", **wrong)


def test_the_baseline_stands_in_the_manifest_and_holds_no_patient(client: Client) -> None:
    manifest = client.models.version("triage").manifest
    assert [column["name"] for column in manifest["drift_baseline"]["columns"]] == ["dose", "weight"]
    assert manifest["drift_baseline"]["n_rows"] == manifest["data"]["split"]["train"]


def make_folder(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("bright", 180)):
        folder = root / "scans" / label
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(level - 40, level + 40, (20, 20)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    (root / "scans" / ".DS_Store").write_bytes(b"x")
    return root / "scans"


def test_a_folder_of_images_is_a_data_set(client: Client, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    added = client.datasets.add(folder, image_size=8)
    assert (added.name, added.format, added.n_rows, added.n_features) == ("scans", "images", 24, 64)
    assert (added.target, added.classes) == ("class", ("bright", "dark"))
    assert client.datasets.add(folder, image_size=8).id == added.id  # the same folder again
    with pytest.raises(ApiError, match="columns"):
        client.datasets.add(folder, name="wide", image_size=60)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetFormatError, match="holds no PNG, JPEG or DICOM"):
        client.datasets.add(tmp_path / "empty")


def test_a_folder_of_parts_keeps_its_official_split(
    home: Api, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, n in (("train", 5), ("val", 1), ("test", 2)):
        for name in ("bright", "dark"):
            (tmp_path / "split" / part / name).mkdir(parents=True)
            for i in range(n):
                Image.new("L", (4, 4), 20 * i + 99 * (name == "bright")).save(
                    tmp_path / "split" / part / name / f"{i}.png"
                )
    added = client.datasets.add(tmp_path / "split", image_size=2)
    assert (added.n_rows, added.n_features, added.columns[0].name) == (16, 5, "part")
    words = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key"), "--json"]
    with pytest.raises(SystemExit) as ended:
        main(["datasets", "add", str(tmp_path / "split"), "--name", "again", "--image-size", "2", *words])
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0 and (told["name"], told["digest"]) == ("again", added.digest)
    saved = client.datasets.download("split", tmp_path / "split.parquet")
    assert pd.read_parquet(saved)["part"].value_counts().to_dict() == {"train": 10, "test": 4, "val": 2}
    (tmp_path / "split" / "dark").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "split" / "dark" / "0.png")
    with pytest.raises(DatasetFormatError, match="got test, train, val and pictures outside"):
        client.datasets.add(tmp_path / "split", name="outside", image_size=2)


def test_a_folder_of_dicom_files_loses_identities_and_its_sheet_says_so(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")
    for number in range(8):
        scan = pydicom.Dataset()
        scan.PatientName, scan.PatientID, scan.SOPInstanceUID = "DOE^JANE", f"MRN-{number // 2}", f"2.25.{number + 1}"
        scan.SOPClassUID, scan.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "DX"
        scan.Rows = scan.Columns = 4
        scan.SamplesPerPixel, scan.PhotometricInterpretation, scan.PixelRepresentation = 1, "MONOCHROME2", 0
        scan.BitsAllocated, scan.BitsStored, scan.HighBit = 8, 8, 7
        scan.PixelData = bytes([number] * 16)
        scan.file_meta = pydicom.dataset.FileMetaDataset()
        scan.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        path = tmp_path / "films" / ("ill" if number < 4 else "well") / f"doe_{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        scan.save_as(path, enforce_file_format=True)
    added = client.datasets.add(tmp_path / "films", image_size=2, image_patients=True)
    assert (added.n_rows, added.n_features) == (8, 5) and added.columns[0].name == "patient"
    found = client.datasets.sheet("films").deidentification
    assert found is not None and found["n_patients"] == 4 and found["by_sender"]["removed"]["PatientName"] == 8
    assert client.datasets.add(tmp_path / "films", image_size=2, image_patients=True).id == added.id
    out = [str(tmp_path / "films"), str(tmp_path / "out"), "--report", str(tmp_path / "report.json")]
    with pytest.raises(SystemExit) as ended:
        main(["datasets", "deidentify", *out])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "8 of 4 patients" in said and "PatientName 8" in said and "DOE" not in said
    assert json.loads((tmp_path / "report.json").read_text())["removed"]["PatientName"] == 8


def test_pictures_are_sent_without_names_and_metadata_and_errors_name_the_own_file(
    home: Api, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, exif = make_folder(tmp_path), Image.Exif()
    exif[0x010E] = "DOE^JANE"
    plain = client.datasets.add(folder, name="plain", image_size=8)
    for path in sorted(folder.glob("*/*.png"))[:3]:
        with Image.open(path) as image:
            image.save(path, exif=exif)
        path.rename(path.with_name(f"DOE_JANE_{path.name}"))
    added = client.datasets.add(folder, name="told", image_size=8)
    assert (added.n_rows, added.domain) == (plain.n_rows, "general")  # pictures alone are no patients'
    words = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]
    with pytest.raises(SystemExit) as ended:
        main(["datasets", "sheet", "told", *words])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "DOE" not in said and "DICOM" not in said
    assert "PNG and JPEG files 24 of them removed before sending EXIF 3 of them replaced" in said
    assert "sending name of the file 24" in said and "removed at the service nothing" in said
    broken = sorted(folder.glob("*/*.png"))[3]
    broken.write_bytes(broken.read_bytes()[:60])
    own = f"{broken.parent.name}/{broken.name}"
    with pytest.raises(ApiError, match=rf"cut short or damaged.*is '{own}' here") as caught:
        client.datasets.add(folder, name="broken", image_size=8)
    assert caught.value.details["file"] == own


def test_the_command_line_tells_the_same(home: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]
        with pytest.raises(SystemExit) as ended:
            main([*words, *place])
        assert ended.value.code in (0, None), capsys.readouterr().err
        return capsys.readouterr().out

    assert "group_overlap: " in run("datasets", "check", "visits")
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC))
    assert run("datasets", "check", "visits", "--spec", str(tmp_path / "spec.yaml")).startswith("nothing odd")
    assert json.loads(run("datasets", "check", "visits", "--json"))[0]["kind"] == "group_overlap"
    visits(3, shift=1.0).to_csv(tmp_path / "new.csv", index=False)
    baseline = json.loads(run("models", "drift", "triage", "--json"))
    assert [column["name"] for column in baseline["columns"]] == ["dose", "weight"]
    assert f"training rows  {baseline['n_rows']}" in run("models", "drift", "triage")
    said = run("models", "drift", "triage", str(tmp_path / "new.csv"))
    assert "drifted" in said and "PSI from 0.25" in said
    assert json.loads(run("models", "drift", "triage", "--dataset", "visits", "--json"))["verdict"] == "stable"
    assert "patient" in run("datasets", "sheet", "visits")
    assert json.loads(run("datasets", "sheet", "visits", "--json"))["columns"][1]["type"] == "numeric"
    folder = make_folder(tmp_path)
    assert "24 rows, 64 features" in run("datasets", "add", str(folder), "--image-size", "8", "--name", "by-cli")
    (tmp_path / "units.csv").write_text("name,unit\ndose,mg\n")
    units = ["--unit", "weight=kg", "--units", str(tmp_path / "units.csv")]
    run("datasets", "add", str(tmp_path / "new.csv"), "--target", "outcome", *units)
    columns = json.loads(run("datasets", "show", "new", "--json"))["columns"]
    assert {column["name"]: column["unit"] for column in columns} == {"patient": None, "dose": "mg", "weight": "kg"}
    saved = json.loads(run("datasets", "download", "new", "--output", str(tmp_path / "out.parquet"), "--json"))
    assert pd.read_parquet(saved["path"]).shape == (240, 4)
