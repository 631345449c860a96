"""Files that are almost right: models, exported modules, backups."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from torch import Tensor, nn

import superpose
from superpose.errors import BackupError, ModelFileError, SuperposeError
from superpose.learning import HybridClassifier, read_model
from superpose.learning.canonical import digest_bytes
from superpose.learning.container import pack, unpack
from superpose.learning.model_file import encode_model
from superpose.learning.modules.exported import ExportedModule
from superpose.service import Service, ServiceConfig
from superpose.service.operations.backup import MANIFEST, MANIFEST_DIGEST, make_backup
from superpose.service.operations.restore import restore_backup

from .mutations import broken, broken_document, refused_or_read, short, within


class Small(nn.Module):
    """A quantum layer between two of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.entry, self.circuit, self.exit = nn.Linear(4, 2), superpose.QuantumLayer(2, layers=1), nn.Linear(2, 3)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 4) -> (batch, 3)."""
        return self.exit(self.circuit(torch.tanh(self.entry(rows))))


@pytest.fixture(scope="module")
def model() -> bytes:
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    fitted = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, labels)
    return encode_model(fitted.to_trained_model())[0]


@pytest.fixture(scope="module")
def module() -> bytes:
    return superpose.export_module(Small(), torch.zeros(3, 4)).to_bytes()


def sealed(content: bytes, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> bytes:
    """The file changed and consistent in itself, as a forger would write it."""
    members = unpack(content)
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    if isinstance(manifest.get("members"), dict):
        manifest["members"] = {name: {"sha256": digest_bytes(m), "size": len(m)} for name, m in members.items()}
    return pack({"manifest.json": json.dumps(manifest).encode(), **members})


READERS = {"model": read_model, "module": ExportedModule.from_bytes}


@pytest.fixture(params=sorted(READERS))
def file(request: pytest.FixtureRequest) -> tuple[bytes, Callable[[bytes], Any]]:
    return request.getfixturevalue(request.param), READERS[request.param]


def test_broken_files(file: tuple[bytes, Callable[[bytes], Any]]) -> None:
    content, read = file

    @short(120)
    @given(broken(content) | st.binary(max_size=100))
    def check(changed: bytes) -> None:
        if changed != content:
            assert refused_or_read(lambda: read(changed)) is None

    check()


def test_forged_members(file: tuple[bytes, Callable[[bytes], Any]]) -> None:
    content, read = file
    members = unpack(content)
    names = sorted(name for name in members if name != "manifest.json")

    @short(80)
    @given(st.sampled_from(names), st.data())
    def check(name: str, data: st.DataObject) -> None:
        if name.endswith(".json"):
            changed = json.dumps(data.draw(broken_document(json.loads(members[name])))).encode()
        else:
            changed = data.draw(broken(members[name]))
        refused_or_read(lambda: read(sealed(content, lambda _, parts: parts.update({name: changed}))))

    check()


def test_forged_manifests(file: tuple[bytes, Callable[[bytes], Any]]) -> None:
    content, read = file
    manifest = json.loads(unpack(content)["manifest.json"])

    @short(60)
    @given(broken_document(manifest))
    def check(document: Any) -> None:
        def change(old: dict[str, Any], _: dict[str, bytes]) -> None:
            old.clear()
            old.update(document if isinstance(document, dict) else {"format": document})

        try:
            changed = sealed(content, change)
        except UnicodeEncodeError:
            return
        refused_or_read(lambda: read(changed))

    check()


HEADERS = (
    (2**63 - 1).to_bytes(8, "little") + b"{}",
    (100).to_bytes(8, "little") + b"{}",
    (2).to_bytes(8, "little") + b"{}",
    (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'[:64] + bytes(4),
)


@pytest.mark.parametrize("arrays", HEADERS, ids=range(len(HEADERS)))
def test_headers_of_arrays_that_claim_too_much(file: tuple[bytes, Callable[[bytes], Any]], arrays: bytes) -> None:
    content, read = file
    changed = sealed(content, lambda _, parts: parts.update({"arrays.safetensors": arrays}))
    with within(100):
        assert refused_or_read(lambda: read(changed)) is None


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\b", "a\0b", "C:evil", "", "ü", "a" * 500])
def test_names_that_lead_elsewhere(file: tuple[bytes, Callable[[bytes], Any]], name: str) -> None:
    content, read = file
    try:
        changed = sealed(content, lambda _, parts: parts.update({name: b"x"}))
    except (SuperposeError, ValueError):
        return  # not even written
    assert refused_or_read(lambda: read(changed)) is None


def test_another_model_than_expected_is_refused(model: bytes) -> None:
    with pytest.raises(ModelFileError):
        read_model(model, "0" * 64)


def test_arrays_that_do_not_fit_the_description(model: bytes) -> None:
    arrays = safetensors.numpy.load(unpack(model)["arrays.safetensors"])
    for name in arrays:
        less = {other: array for other, array in arrays.items() if other != name}
        content = safetensors.numpy.save(less)
        changed = sealed(model, lambda _, parts, content=content: parts.update({"arrays.safetensors": content}))
        assert refused_or_read(lambda changed=changed: read_model(changed)) is None


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    room = tmp_path_factory.mktemp("backup")
    with Service.open(ServiceConfig(data_dir=room / "data", workers=0)) as service:
        key = (room / "data" / "keys" / "admin.key").read_text().strip()
        service.datasets.add_builtin(service.authenticate(key), "flowers", "iris")
    make_backup(room / "data", room / "backup.tar")
    return (room / "backup.tar").read_bytes()


def restored(content: bytes, room: Path) -> Any:
    """What a restore gives; the directory is whole or not there, and nothing stands beside it."""
    room.mkdir(exist_ok=True)
    source, target = room / "b.tar", room / "place" / "data"
    source.write_bytes(content)
    report = refused_or_read(lambda: restore_backup(source, target))
    if report is None:
        assert not target.exists()
        assert not (room / "place").exists() or not list((room / "place").iterdir())
    return report


def test_broken_backups(backup: bytes, tmp_path: Path) -> None:
    numbers = iter(range(10_000))

    @short(60)
    @given(broken(backup) | st.binary(max_size=100))
    def check(content: bytes) -> None:
        restored(content, tmp_path / str(next(numbers)))

    check()


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    return info, content


@pytest.mark.parametrize(
    "strange",
    [
        member("../evil"),
        member("/tmp/evil"),
        member("artifacts/../../evil"),
        member("superpose.sqlite", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("artifacts/" + "a" * 64, kind=tarfile.LNKTYPE, link="../../evil"),
        member("artifacts", kind=tarfile.SYMTYPE, link="/tmp"),
        member("keys/admin.key", kind=tarfile.FIFOTYPE),
        member("artifacts/" + "b" * 64, kind=tarfile.CHRTYPE),
        member("keys/../superpose.sqlite"),
        member("superpose.sqlite-wal"),
    ],
    ids=lambda item: f"{item[0].name[:30]} {item[0].type!r}",
)
@pytest.mark.parametrize("first", [True, False])
def test_backups_that_lead_elsewhere(
    backup: bytes, tmp_path: Path, strange: tuple[tarfile.TarInfo, bytes], first: bool
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(backup)) as old, tarfile.open(fileobj=file, mode="w") as new:
        if first:
            new.addfile(strange[0], io.BytesIO(strange[1]))
        for info in old:
            new.addfile(info, old.extractfile(info))
        if not first:
            new.addfile(strange[0], io.BytesIO(strange[1]))
    source = tmp_path / "b.tar"
    source.write_bytes(file.getvalue())
    with pytest.raises(BackupError):
        restore_backup(source, tmp_path / "place" / "data")
    assert not list((tmp_path / "place").iterdir())
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("change", range(12))
def test_backups_with_a_forged_manifest(backup: bytes, tmp_path: Path, change: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(backup)) as old:
        files = {info.name: old.extractfile(info).read() for info in old}  # type: ignore[union-attr]
    manifest = json.loads(files[MANIFEST])
    forged: Any = [
        [],
        None,
        {},
        {**manifest, "files": None},
        {**manifest, "files": [{}]},
        {**manifest, "files": [7]},
        {**manifest, "schema_version": "x"},
        {**manifest, "schema_version": None},
        {**manifest, "created_at": "yesterday"},
        {name: value for name, value in manifest.items() if name != "release"},
        {**manifest, "files": [{**item, "n_bytes": "x"} for item in manifest["files"]]},
        {**manifest, "files": manifest["files"][1:]},
    ][change]
    text = json.dumps(forged).encode()
    files |= {MANIFEST: text, MANIFEST_DIGEST: digest_bytes(text).encode()}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as new:
        for item, content in files.items():
            new.addfile(member(item, content)[0], io.BytesIO(content))
    assert restored(file.getvalue(), tmp_path / "room") is None
