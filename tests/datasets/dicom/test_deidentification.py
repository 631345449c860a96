"""Of a DICOM file only what the rules name stays; the report counts the rest and shows no value."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="needs superpose[dicom]")

from superpose.client.image_folder import pack_folder  # noqa: E402
from superpose.datasets import read_images  # noqa: E402
from superpose.datasets.dicom import KEPT, Deidentifier, deidentify_folder, grey_pixels, open_dicom  # noqa: E402
from superpose.datasets.picture_rows import picture_rows  # noqa: E402
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


def test_patients_without_an_id_are_told_apart_by_their_names(scan: Scan, tmp_path: Path) -> None:
    files = {
        f"{label}/{name}{i}": scan(PatientID="", PatientName=f"{name}^JANE")
        for label, name in (("ill", "DOE"), ("ill", "ROE"), ("well", "DOE"))
        for i in range(2)
    }
    pack_folder(put(tmp_path / "from", files), tmp_path / "x.zip")
    sent = (tmp_path / "x.zip").read_bytes()
    table = read_images(sent, name="x", target="c", max_columns=9, size=2, patients=True)
    assert table.features["patient"].tolist() == ["patient_1"] * 2 + ["patient_2"] * 2 + ["patient_1"] * 2
    report = deidentify_folder(tmp_path / "from", tmp_path / "to")
    assert (report.replaced["PatientID"], report.removed["PatientName"], report.n_patients) == (6, 6, 2)
    ids = [one for own in patients_in(tmp_path / "to").values() for one in own]
    assert len(set(ids)) == 2 and all(re.fullmatch("[0-9a-f]{20}", one) for one in ids)
    for path in (tmp_path / "to").rglob("*.dcm"):
        assert b"JANE" not in path.read_bytes() and b"JANE" not in sent
    nobody = Deidentifier()
    for patient, name in (("", "^^^^"), ("--", ""), ("", "")):
        assert "PatientID" not in nobody(open_dicom(scan(PatientID=patient, PatientName=name), "a"), "a")
    assert nobody.report.n_patients == 0 and nobody.report.removed["PatientID"] == 3


@pytest.mark.parametrize(
    "same",
    [
        [("MRN1", "DOE^JANE"), (" MRN1", "DOE"), ("MRN1 ", "")],
        [("", "DOE^JANE"), (" ", "DOE^JANE^^^"), ("", " DOE ^JANE "), ("", "DOE^JANE^^==")],
        [("", "Yamada^Tarou=山田^太郎"), ("", "Yamada^Tarou^=山田^太郎^^")],
    ],
)
def test_what_the_standard_calls_insignificant_makes_no_other_patient(scan: Scan, same: list[tuple[str, str]]) -> None:
    deidentify = Deidentifier()
    for patient, name in same:
        file = scan(SpecificCharacterSet="ISO_IR 192", PatientID=patient, PatientName=name)
        deidentify(open_dicom(file, "a"), "a")
    assert deidentify.report.n_patients == 1


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


def test_what_says_how_pixels_are_shown_stays_as_a_code_alone(scan: Scan) -> None:
    lut = table(64, 0, 16)
    lut.ModalityLUTType = "of DOE^JANE"
    free = {"RescaleType": "DOE^JANE", "VOILUTFunction": "DOE^JANE", "PresentationLUTShape": "DOE^JANE"}
    free |= {"LossyImageCompression": "DOE^JANE", "BurnedInAnnotation": "DOE^JANE"}
    content = scan(**free, ModalityLUTSequence=[lut])
    deidentify = Deidentifier()
    made = deidentify(open_dicom(content, "a"), "a")
    assert not any(secret.encode() in written(made) for secret in SECRETS)
    assert all(deidentify.report.removed[keyword] == 1 for keyword in free)
    kept = deidentify(open_dicom(scan(RescaleType="HU_MOD", VOILUTFunction="LINEAR_EXACT"), "a"), "a")
    assert (kept.RescaleType, kept.VOILUTFunction) == ("HU_MOD", "LINEAR_EXACT")


def test_a_folder_keeps_its_classes_and_loses_file_names(scan: Scan, tmp_path: Path) -> None:
    for place in ("ill/MRN-00471.dcm", "well/IM0001"):  # hospitals' files often have no suffix
        path = tmp_path / "from" / place
        path.parent.mkdir(parents=True)
        path.write_bytes(scan())
    (tmp_path / "from" / "notes.txt").write_text("MRN-00471")
    (tmp_path / "from" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM of DOE^JANE")  # an index, no image
    report = deidentify_folder(tmp_path / "from", tmp_path / "to")
    names = sorted(path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*.*"))
    assert names == ["ill/image_1.dcm", "well/image_2.dcm"] and report.n_files == 2
    for path in (tmp_path / "to").rglob("*.dcm"):
        assert not any(secret.encode() in path.read_bytes() for secret in SECRETS)
    with pytest.raises(DatasetFormatError, match="is not empty"):
        deidentify_folder(tmp_path / "from", tmp_path / "to")
    with pytest.raises(DatasetFormatError, match="holds no DICOM file"):
        deidentify_folder(tmp_path / "from" / "none", tmp_path / "new")


def put(place: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def patients_in(place: Path) -> dict[str, set[str]]:
    """Folders that hold files, and the pseudonyms in those."""
    found: dict[str, set[str]] = {}
    for path in sorted(place.rglob("*.dcm")):
        own = found.setdefault(path.parent.relative_to(place).as_posix(), set())
        own.add(str(pydicom.dcmread(path).get("PatientID", "")))
    return found


def test_folders_of_patients_get_the_pseudonyms_of_their_files(scan: Scan, tmp_path: Path) -> None:
    files = {
        f"chest/{part}/{label}/{who}/{day}/IM{i}": scan(PatientID=f"MRN-{who}", PatientName=who.replace("_", "^"))
        for part, label, who, day in (
            ("train", "ill", "Doe_Jane", "2024-02-29"),
            ("train", "ill", "Doe_Jane", "2024-03-01"),
            ("train", "well", "Roe_Ann", "first"),
            ("test", "ill", "Poe_Max", "first"),
            ("test", "ill", "Coe_Ida", "first"),
            ("test", "well", "Moe_Ben", "first"),
        )
        for i in range(2)
    }
    files["chest/test/well/mixed/a"] = scan(PatientID="MRN-1")
    files["chest/test/well/mixed/b"] = scan(PatientID="MRN-2")
    report = deidentify_folder(put(tmp_path / "from", files), tmp_path / "to", key=b"k" * 16).to_dict()
    found = patients_in(tmp_path / "to")
    mixed = next(name for name, own in found.items() if len(own) == 2)
    assert all(name.split("/")[-1] in own for name, own in found.items() if name != mixed)
    above = sorted(name.rsplit("/", 1)[0] for name in found)
    assert above == ["chest/test/ill"] * 2 + ["chest/test/well"] * 2 + ["chest/train/ill", "chest/train/well"]
    told = json.dumps(report) + " ".join(str(path) for path in (tmp_path / "to").rglob("*"))
    assert not re.search("doe|roe|poe|coe|moe|2024|mixed", told, re.IGNORECASE)
    assert report["folders"] == {
        "kept": {"chest": 14, "ill": 8, "test": 8, "train": 6, "well": 6}, "n_replaced": 6, "n_removed": 6,
    }  # fmt: skip
    assert report["warnings"] == []
    again = deidentify_folder(tmp_path / "from", tmp_path / "again", key=b"k" * 16)
    assert patients_in(tmp_path / "again") == found and again.to_dict() == report


def test_an_export_by_patients_loses_their_names_unless_they_are_said_to_be_classes(scan: Scan, tmp_path: Path) -> None:
    files = {f"{who}/STUDY{who[:1]}/IM{i}": scan(PatientID=f"MRN-{who}") for who in ("Doe", "Roe") for i in range(2)}
    put(tmp_path / "from", files)
    report = deidentify_folder(tmp_path / "from", tmp_path / "to")
    found = patients_in(tmp_path / "to")
    assert len(found) == 2 and all(own == {name} for name, own in found.items())
    assert report.warnings[0].startswith("2 folder(s) in the place of classes' hold one patient's files alone")
    named = deidentify_folder(tmp_path / "from", tmp_path / "named", classes=["Doe", "Roe"])
    assert all(own == {name.split("/")[1]} for name, own in patients_in(tmp_path / "named").items())
    assert {path.name for path in (tmp_path / "named").iterdir()} == {"Doe", "Roe"} and not named.warnings
    with pytest.raises(DatasetFormatError, match="stands in none of the folders Doe") as caught:
        deidentify_folder(tmp_path / "from", tmp_path / "half", classes=["Doe"])
    assert "Roe" not in caught.value.message


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_left_of_a_folder_of_which_one_file_is_refused(scan: Scan, tmp_path: Path, there: bool) -> None:
    files = {
        f"{label}/{who}/IM{i}": scan(PatientID=who) for label, who in (("ill", "A"), ("well", "B")) for i in (1, 2)
    }
    files["zoo/C/IM1"] = scan(PatientID="C", BurnedInAnnotation="YES")
    put(tmp_path / "from", files)
    if there:
        (tmp_path / "to").mkdir()
    for _ in range(2):  # not refused for what the first left
        with pytest.raises(DatasetFormatError, match="text is written into its pixels"):
            deidentify_folder(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to").exists() == there and not list((tmp_path / "to").rglob("*"))
    (tmp_path / "from" / "zoo" / "C" / "IM1").unlink()
    assert deidentify_folder(tmp_path / "from", tmp_path / "to").n_files == 4


def test_what_is_left_out_is_counted_and_what_is_refused_is_named_with_its_folders(scan: Scan, tmp_path: Path) -> None:
    source = put(tmp_path / "from", {"ill/a/IM1": scan(), "ill/b/IM1": scan(PatientID="2"), "well/c/IM1": scan()})
    assert not deidentify_folder(source, tmp_path / "whole").n_left_out
    put(source, {"well/c/old": scan()[132:], "well/c/notes.txt": b"text", ".hidden/x": b"", "DICOMDIR": b""})
    (source / "more").symlink_to(tmp_path, target_is_directory=True)
    report = deidentify_folder(source, tmp_path / "to")
    assert (report.n_files, report.n_left_out, report.to_dict()["n_left_out"]) == (3, 3, 3)
    assert "3 file(s) or link(s) beside the DICOM files were left out" in report.warnings[0]
    put(source, {"ill/b/IM1": scan()[:300]})
    for take in (
        lambda: deidentify_folder(source, tmp_path / "no"),
        lambda: picture_rows(source / "ill", ["grey_0_0"]),
    ):
        with pytest.raises(DatasetFormatError, match=r"DICOM file '(ill/)?b/IM1'"):
            take()
    for name in ("more", "well/c/old", "well/c/notes.txt"):
        (source / name).unlink()
    with pytest.raises(DatasetFormatError, match="DICOM file 'ill/b/IM1'"):
        pack_folder(source, tmp_path / "x.zip")


def test_a_class_is_found_by_the_name_that_is_typed(scan: Scan, tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "Entzündung")  # as macOS writes names of folders
    put(tmp_path / "from", {f"{apart}/A/a": scan(), "gesund/B/b": scan(PatientID="MRN-2")})
    report = deidentify_folder(tmp_path / "from", tmp_path / "to", classes=["Entzündung", "gesund"])
    assert report.folders is not None and report.folders.kept == {apart: 1, "gesund": 1}


def test_folders_of_visits_are_no_classes(scan: Scan, tmp_path: Path) -> None:
    visits = {"Doe 2024": "MRN-1", "Doe spring": "MRN-1", "Roe 2024": "MRN-2", "Roe spring": "MRN-2"}
    files = {f"{visit}/{i}": scan(PatientID=who, PatientName="") for visit, who in visits.items() for i in range(2)}
    report = deidentify_folder(put(tmp_path / "from", files), tmp_path / "to")
    found = patients_in(tmp_path / "to")
    assert len(found) == 2 and all(own == {name} for name, own in found.items())
    assert report.folders is not None and (report.folders.kept, report.folders.n_taken_for_patients) == ({}, 4)
    assert "4 folder(s) in the place of classes'" in report.warnings[0]
    several = {**files, "Roe 2024/c": scan(PatientID="MRN-3", PatientName="")}  # as a class may
    kept = deidentify_folder(put(tmp_path / "several", several), tmp_path / "kept").folders
    assert kept is not None and kept.kept == {"Doe 2024": 2, "Doe spring": 2, "Roe 2024": 3, "Roe spring": 2}
    one = {f"{label}/{i}": scan() for label in ("ill", "well") for i in range(2)}  # before and after, perhaps
    kept = deidentify_folder(put(tmp_path / "one", one), tmp_path / "same").folders
    assert kept is not None and kept.kept == {"ill": 2, "well": 2}


def test_a_folder_with_a_patients_name_is_found_by_it_and_what_names_nobody_is_told(scan: Scan, tmp_path: Path) -> None:
    files = {
        "ward/DOE, Jane (2024)/a": scan(),
        "ward/DOE, Jane (2024)/b": scan(PatientID="MRN-2", PatientName="ROE^ANN"),  # misplaced
        "ward/ill/c": scan(PatientID="MRN-3", PatientName="POE^MAX"),
        "ward/ill/d": scan(PatientID="", PatientName=""),
        "e": scan(PatientID="MRN-4", PatientName="COE^IDA"),
    }
    report = deidentify_folder(put(tmp_path / "from", files), tmp_path / "to")
    names = sorted(patients_in(tmp_path / "to"))
    assert names[0] == "." and "ward/ill" in names and len(names) == 3
    assert not any("DOE" in str(path) for path in (tmp_path / "to").rglob("*"))
    assert any("1 file(s) name no patient" in said and "(ill, ward)" in said for said in report.warnings)


@pytest.mark.parametrize(
    ("folder", "name", "patient"),
    [
        (unicodedata.normalize("NFD", "Müller_Jürgen"), "Müller^Jürgen", "M-1"),  # as macOS writes names of files
        ("mueller juergen 1970", "Müller^Jürgen", "M-1"),
        ("Muller-Jurgen", "Müller^Jürgen", "M-1"),
        ("Doe_John", "Doe^John^Quincy^Dr^MD", "M-1"),
        ("DoeJohn2024", "Doe^John F.", "M-1"),
        ("Yamada_Tarou", "Yamada^Tarou=山田^太郎=やまだ^たろう", "M-1"),
        ("山田太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", "M-1"),
        ("王小東", "Wang^XiaoDong=王^小東", "M-1"),
        ("Li_Na", "Li^Na", "M-1"),
        ("Doe", "Doe", "M-1"),
        ("MRN-00471 (2024)", "", "MRN-00471"),
    ],
)
def test_a_folder_bears_a_name_however_it_is_written(
    scan: Scan, tmp_path: Path, folder: str, name: str, patient: str
) -> None:
    utf = {"SpecificCharacterSet": "ISO_IR 192"}
    files = {
        f"{folder}/a": scan(PatientID=patient, PatientName=name, **utf),
        f"{folder}/b": scan(PatientID="M-2", PatientName="Roe^Ann"),
        "clinical/c": scan(PatientID=patient, PatientName=name, **utf),
        "clinical/d": scan(PatientID="M-3", PatientName="Li^Na"),  # two letters each, inside of a class's name
    }
    report = deidentify_folder(put(tmp_path / "from", files), tmp_path / "to")
    assert report.folders is not None and report.folders.kept == {"clinical": 2}
    assert report.folders.n_taken_for_patients == 1
    named = {path.name for path in (tmp_path / "to").iterdir()}
    assert len(named) == 2 and "clinical" in named and folder not in named


def test_without_pydicom_the_package_is_named(scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "from", {"ill/a.dcm": scan()})
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DatasetFormatError, match=r"pip install 'superpose\[dicom\]'"):
        deidentify_folder(source, tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, [0.0, 1008 / 4095]),  # unsigned values as they are
        ({"PhotometricInterpretation": "MONOCHROME1"}, [1.0, 1 - 1008 / 4095]),
        ({"RescaleSlope": 2, "RescaleIntercept": -1024}, [0.0, 1.0]),  # no window: from least to greatest
        ({"WindowCenter": 504.5, "WindowWidth": 1009}, [0.0, 1.0]),
        ({"WindowCenter": 5000, "WindowWidth": 10}, [0.0, 0.0]),
        ({"WindowCenter": 504.5, "WindowWidth": 1009, "VOILUTFunction": ""}, [0.0, 1.0]),
        ({"RescaleSlope": -1, "RescaleIntercept": 1008, "WindowCenter": 504.5, "WindowWidth": 1009}, [1.0, 0.0]),
    ],
)
def test_pixels_are_shown_as_a_viewer_would(scan: Scan, attributes: dict[str, object], wanted: list[float]) -> None:
    shown = grey_pixels(open_dicom(scan(**attributes), "a"), "a")
    assert shown.dtype == np.float32
    np.testing.assert_allclose([shown[0, 0], shown[-1, -1]], wanted, atol=1e-3)


def table(n_entries: int, first: int, bits: int, *, packed: bool = False) -> pydicom.Dataset:
    """A lookup table whose entries grow evenly from 0 to the greatest that its bits hold."""
    entries = np.round(np.linspace(0, 2**bits - 1, n_entries)).astype(np.uint8 if packed else "<u2")
    one = pydicom.Dataset()
    one.add_new("LUTDescriptor", "US", [n_entries, first, bits])
    one.add_new("LUTData", "OW", entries.tobytes())
    return one


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_table_of_what_is_shown_counts_in_its_own_bits(scan: Scan, bits: int) -> None:
    shows = [
        {"VOILUTSequence": [table(1024, 0, bits)], "WindowCenter": 5, "WindowWidth": 2},  # the table goes first
        {"VOILUTSequence": [table(1024, 0, bits)], "RescaleSlope": 1, "RescaleIntercept": 0},
    ]
    if bits in (8, 16):  # as tables of modality may have
        window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
        shows.append({"ModalityLUTSequence": [table(1024, 0, bits)], **window})
    for attributes in shows:
        shown = grey_pixels(open_dicom(scan(**attributes), "a"), "a")
        np.testing.assert_allclose(shown.reshape(-1), np.arange(64) * 16 / 1023, atol=3e-3)
    packed = grey_pixels(open_dicom(scan(VOILUTSequence=[table(1024, 512, 8, packed=True)]), "a"), "a")
    np.testing.assert_allclose(packed.reshape(-1), np.clip(np.arange(64) * 16 - 512, 0, 1023) / 1023, atol=3e-3)


def test_sound_files_that_are_not_read_are_told_so_and_not_damaged(scan: Scan) -> None:
    colours = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsStored": 16, "HighBit": 15}
    for content, said in (
        (scan(ModalityLUTSequence=[table(1024, 0, 12)]), "entries of 12 bits .* 8 or 16 are read. Save the image with"),
        (
            scan(np.zeros((8, 8, 3), np.uint16), PhotometricInterpretation="YBR_FULL", **colours),
            r"colours stored as YBR_FULL are read with 8 bits a value, not 16 .* Save the image as RGB or MONO",
        ),
        (scan(ModalityLUTSequence=[pydicom.Dataset()]), "the table in Modality LUT Sequence .* is damaged"),
    ):
        with pytest.raises(DatasetFormatError, match=said):
            grey_pixels(open_dicom(content, "a"), "a")


@pytest.mark.parametrize("syntax", ["native", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_colours_that_are_stored_as_others_are_converted_once(scan: Scan, syntax: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs superpose[images]")
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0] = 200
    stored, kind = np.asarray(image.fromarray(red).convert("YCbCr")), "YBR_FULL"
    content = scan(
        stored, SamplesPerPixel=3, PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7,
        PhotometricInterpretation=kind,
    )  # fmt: skip
    if syntax.endswith(".90"):  # JPEG 2000 makes RGB of its own colours
        buffer = io.BytesIO()
        image.fromarray(red).save(buffer, "JPEG2000", mct=1, no_jp2=True)

        def change(dataset: pydicom.Dataset) -> None:
            compressed(syntax)(dataset)
            dataset.PhotometricInterpretation = "YBR_RCT"
            dataset.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])

        content = changed(content, change)
    elif syntax != "native":
        content = changed(content, lambda dataset: dataset.compress(syntax, generate_instance_uid=False))
    np.testing.assert_allclose(grey_pixels(open_dicom(content, "a"), "a"), 0.299 * 200 / 255, atol=0.01)


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


def changed(content: bytes, change: Callable[[pydicom.Dataset], object]) -> bytes:
    """A file written again with something about it changed, valid or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some values are odd on purpose
        dataset = pydicom.dcmread(io.BytesIO(content))
        change(dataset)
        buffer = io.BytesIO()
        dataset.save_as(buffer, implicit_vr=False, little_endian=True)
        return buffer.getvalue()


def compressed(syntax: str) -> Callable[[pydicom.Dataset], None]:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 no picture"])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)

    return change


def read(content: bytes) -> object:
    return grey_pixels(Deidentifier()(open_dicom(content, "a.dcm"), "a.dcm"), "a.dcm")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: delattr(d, "Rows"), r"cannot be read: it does not state Rows \(0028,0010\)\."),
        (lambda d: delattr(d, "BitsStored"), r"it does not state Bits Stored \(0028,0101\)\. Ask whoever"),
        (lambda d: setattr(d, "BitsAllocated", 13), r"Bits Allocated \(0028,0100\) must be one of 1, 8, .*, got '13'"),
        (lambda d: setattr(d, "BitsStored", 40), r"Bits Stored \(0028,0101\) must be one of 1 to 16, got '40'"),
        (lambda d: setattr(d, "SamplesPerPixel", 3), r"in colours must state Planar Configuration \(0028,0006\)"),
        (lambda d: setattr(d, "PhotometricInterpretation", "ODD"), r"Interpretation .*MONOCHROME1, .*, got 'ODD'"),
        (lambda d: setattr(d, "PhotometricInterpretation", "PALETTE COLOR"), "places in a palette of colours. Save"),
        (lambda d: setattr(d, "Rows", 9), "9 x 8 pixels need 144 bytes, it has 128"),
        (lambda d: setattr(d, "Rows", 0), "its image has 8 x 0 pixels"),
        (
            lambda d: delattr(d.file_meta, "TransferSyntaxUID"),
            r"how it is stored, in Transfer Syntax UID \(0002,0010\)",
        ),
        (lambda d: setattr(d, "HighBit", 15), r"High Bit \(0028,0102\) must be one less than .*, got 15 and 12"),
        (lambda d: setattr(d, "RescaleSlope", 2), "states one of Rescale Slope .* and Rescale Intercept .* without"),
        (lambda d: d.update({"WindowCenter": 9, "WindowWidth": 0}), r"Window Width .* must be 1 or more, got 0\."),
        (
            lambda d: d.update({"WindowCenter": 9, "WindowWidth": 9, "VOILUTFunction": "ODD"}),
            r"VOI LUT Function \(0028,1056\) must be one of LINEAR, .*, got 'ODD'",
        ),
        (compressed("1.2.840.10008.1.2.5"), "what should be RLE Lossless is cut short or damaged"),
        (compressed("1.9.9"), "stored by the transfer syntax '1.9.9', which is not known here. Decompress it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words_of_the_standard(
    scan: Scan, change: Callable[[pydicom.Dataset], object], said: str
) -> None:
    with pytest.raises(DatasetFormatError, match=said) as caught:
        read(changed(scan(), change))
    assert "'a.dcm'" in caught.value.message


def test_a_damaged_attribute_is_named_and_its_value_is_not(scan: Scan) -> None:
    content = scan()
    place = content.index(b"\x10\x00\x20\x00LO")  # Patient ID, whose representation becomes one that does not exist
    with pytest.raises(DatasetFormatError, match=r"the attribute Patient ID \(0010,0020\) is damaged") as caught:
        read(content[: place + 4] + b"L\x07" + content[place + 6 :])
    assert "MRN" not in caught.value.message


def test_what_is_odd_about_a_patient_is_in_no_log(scan: Scan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = scan(PatientID="x" * 70, PatientSex="DOE^JANE as text of more than 16 characters")
    (tmp_path / "from").mkdir()
    caplog.clear()
    (tmp_path / "from" / "a.dcm").write_bytes(content)
    deidentify_folder(tmp_path / "from", tmp_path / "to")
    assert not caplog.records


def test_a_file_that_cannot_be_written_again_is_refused_by_name(scan: Scan, tmp_path: Path) -> None:
    content = scan().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.999.1.2.1\0\0\0")  # a syntax that somebody made up
    (tmp_path / "ill").mkdir()
    (tmp_path / "ill" / "a.dcm").write_bytes(content)
    for act in (
        lambda: deidentify_folder(tmp_path, tmp_path.with_name("to")),
        lambda: pack_folder(tmp_path, tmp_path.with_name("x.zip")),
    ):
        with pytest.raises(
            DatasetFormatError, match=r"'ill/a\.dcm' cannot be written .* transfer syntax '1\.2\.840\.999"
        ):
            act()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_damaged_is_refused_without_words_of_python(scan: Scan, seed: int) -> None:
    content, random = scan(), Random(seed)
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 6)):
            damaged[random.randrange(132, len(damaged))] = random.randrange(256)
        try:
            read(bytes(damaged))
        except DatasetFormatError as error:
            assert not re.search(r"Error|Exception|object|attribute '", error.message), error.message


def test_a_real_chest_film() -> None:
    if not REAL.exists():
        pytest.skip("the chest film of the shared data is not here")
    file = open_dicom(REAL.read_bytes(), REAL.name)
    deidentify = Deidentifier()
    shown = grey_pixels(deidentify(file, REAL.name), REAL.name)
    assert shown.shape == (1024, 1024) and 0.5 < shown.mean() < 0.9
    report = deidentify.report.to_dict()
    assert {"PatientName", "StudyDescription", "PatientAge"} <= set(report["removed"])  # "81" is no DICOM age
