"""Backup while everything goes on, restore into an empty directory, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import json
import os
import stat
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from superpose import export_module
from superpose.circuits import (
    Circuit,
    Observable,
    Parameter,
    Program,
    ProgramGrid,
    ProgramSet,
    program_set_to_json,
    program_to_json,
)
from superpose.errors import BackupError, NotFoundError, SuperposeError
from superpose.service import (
    Asked,
    AskedSet,
    AuditFilter,
    CallRequest,
    FunctionAsked,
    ModelVersion,
    Principal,
    Service,
    ServiceConfig,
)
from superpose.service.operations.backup import make_backup
from superpose.service.operations.restore import restore_backup
from superpose.trust import read_key_file

from .conftest import CSV, SMALL_SPEC, ended, wait_for, working

ROWS = [{"age": 20 + 3 * i, "dose": 0.2 * i} for i in range(12)]
PROGRAM = dict(program_to_json(Program(Circuit(2).h(0).cx(0, 1), observables=Observable("ZZ"))))


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a backup."""
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]  # regular files


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """A tar file of these files."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_backup_under_load_is_whole_and_its_copy_answers_the_same_and_goes_on(
    service: Service, config: ServiceConfig, admin: Principal, model: ModelVersion, tmp_path: Path
) -> None:
    service.endpoints.create(admin, "outcome", model="outcome")
    before = asyncio.run(service.endpoints.predict(admin, "outcome", ROWS))
    waiting = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="again")
    stop, failed, kept = threading.Event(), list[BaseException](), list[str]()

    def load(number: int) -> None:
        """Data sets come and go, jobs are submitted and cancelled, as fast as the store takes them."""
        count = 0
        try:
            while not stop.is_set():
                count += 1
                content = CSV.replace(b"age", f"age{number}x{count}".encode())
                made = service.datasets.add(
                    admin, name=f"d{number}-{count}", content=content, format="csv", target="outcome"
                )
                job = service.jobs.submit(admin, "program", PROGRAM)
                service.jobs.cancel(admin, job.id)
                if count % 2:
                    service.datasets.delete(admin, made.id)
                else:
                    kept.append(made.id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        reports = []
        for i in range(4):  # each later than the last by more data sets than come and go
            before_it = len(kept)
            wait_for(lambda n=before_it: failed or len(kept) >= n + 4)
            reports.append(make_backup(config.data_dir, tmp_path / f"b{i}.tar"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert len({report.n_files for report in reports}) > 1  # artifacts came and went meanwhile
    assert not list(config.data_dir.glob(".backup-*"))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []

    for report in reports:
        assert stat.S_IMODE(report.path.stat().st_mode) == 0o600
        target = tmp_path / "restored" / report.path.stem
        restored = restore_backup(report.path, target)
        assert (restored.n_files, restored.n_bytes) == (report.n_files, report.n_bytes)
        assert stat.S_IMODE(target.stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in target.rglob("*") if p.is_file()} == {0o600}
        with Service.open(ServiceConfig(data_dir=target)) as copy:
            owner = copy.authenticate(read_key_file(copy.admin_key_path))
            for item in copy.datasets.list(owner).items:
                assert copy.datasets.table(item).n_rows == 90  # its artifact is there and has its digest
            answer = asyncio.run(copy.endpoints.predict(owner, "outcome", ROWS))
            assert answer.probabilities == before.probabilities
    assert copy.store.get(waiting.id).status == "queued"
    config = ServiceConfig(data_dir=target)
    with Service.open(config) as copy, working(config):
        assert ended(copy, waiting).status == "succeeded"
        assert copy.models.version(owner, "again").version == 1
    with pytest.raises(NotFoundError):
        service.models.version(admin, "again")  # the original went its own way


def test_what_every_kind_of_job_has_left_is_restored(
    service: Service, config: ServiceConfig, admin: Principal, model: ModelVersion, tmp_path: Path
) -> None:
    """Program sets, quantum functions and their calls, batch predictions, modules, files of jobs, aliases, the log."""
    import torch

    grid = ProgramGrid(Circuit(1).rx(Parameter("t"), 0), {"t": [0.1, 0.2]}, [Observable("Z")])
    made = service.program_sets.submit(admin, dict(program_set_to_json(ProgramSet(grid, seed=1))), AskedSet())
    waiting = service.program_sets.submit(admin, dict(program_set_to_json(ProgramSet(grid, seed=2))), AskedSet())
    service.jobs.cancel(admin, waiting.job.id)
    predicted = service.predictions.submit_dataset(admin, "trial", Asked(model="outcome"))
    turn = 'OPENQASM 3.0; include "stdgates.inc"; input float t; qubit q; rx(t) q;'
    service.functions.deploy(admin, "turn", "turn.qasm", turn, FunctionAsked(observables=["Z"]))
    service.functions.deploy(admin, "turn", "turn.qasm", turn.replace("rx", "ry"), FunctionAsked(observables=["Z"]))
    later = asyncio.run(service.calls.call(admin, "turn", CallRequest({"t": 0.3}), wait_s=0.0))
    exported = export_module(torch.nn.Linear(2, 2), torch.zeros(1, 2)).to_bytes()
    service.modules.add(admin, name="linear", content=exported)
    service.aliases.move(admin, "outcome", "champion", 1)
    service.curation.edit_model(admin, "outcome", note="For the ward.")
    with working(config):
        assert {ended(service, one.job).status for one in (made, predicted)} == {"succeeded"}
        assert ended(service, service.store.get(str(later.job_id))).status == "succeeded"

    def look(opened: Service, who: Principal) -> dict[str, Any]:
        files = (opened.program_sets.file(who, made.job.id)[1], opened.predictions.file(who, predicted.job.id)[1])
        call = asyncio.run(opened.calls.call(who, "turn", CallRequest({"t": 0.5}), wait_s=5.0))
        old = asyncio.run(opened.calls.call(who, "turn", CallRequest({"t": 0.5}, version=1), wait_s=5.0))
        return {
            "files": [b"".join(file.chunks(0, file.n_bytes)) for file in files],
            "set": opened.program_sets.get(who, made.job.id).to_json(),
            "cancelled": opened.program_sets.get(who, waiting.job.id).to_json(),
            "call": (call.version, call.output, old.version, old.output),
            "job": opened.calls.get(who, "turn", str(later.job_id)).output,
            "source": opened.functions.source(who, "turn"),
            "module": opened.modules.exported(opened.modules.get(who, "linear")).to_bytes(),
            "model": opened.models.get(who, "outcome").to_json(),
            "history": [entry.to_json() for entry in opened.aliases.history(who, "outcome").items],
            "usage": opened.quotas.usage(who).used["bytes"],
        }

    before = look(service, admin)
    head = service.audit.verify(admin).head
    report = make_backup(config.data_dir, tmp_path / "b.tar")
    (tmp_path / "empty").mkdir()
    restore_backup(report.path, tmp_path / "empty")
    with Service.open(ServiceConfig(data_dir=tmp_path / "empty")) as copy:
        owner = copy.authenticate(read_key_file(copy.admin_key_path))
        assert look(copy, owner) == before
        assert copy.audit.verify(owner, head).intact  # the log goes on behind the backup's head
        (entry,) = copy.audit.list(owner, wanted=AuditFilter(action="store.restored")).items
        assert datetime.fromisoformat(str(entry.data["backup_at"])) == report.created_at
        assert entry.actor == "superpose restore"
        n_entries = copy.audit.verify(owner).n_entries
    with Service.open(ServiceConfig(data_dir=tmp_path / "empty")) as copy:
        assert copy.audit.verify(owner).n_entries == n_entries  # told once


def test_the_state_is_the_one_of_a_moment(service: Service, config: ServiceConfig, tmp_path: Path) -> None:
    """Every pair of rows that is written in one transaction is in the copy together or not at all."""
    stop, written = threading.Event(), list[int]()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with service.store.database.write() as connection:
                for half in ("a", "b"):
                    connection.exec_driver_sql(
                        "INSERT INTO projects (name, created_at) VALUES (?, 0)", (f"{number}{half}",)
                    )
            written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        paths = []
        for i in range(5):
            before_it = len(written)
            wait_for(lambda n=before_it: len(written) > n)
            paths.append(make_backup(config.data_dir, tmp_path / f"{i}.tar").path)
    finally:
        stop.set()
        thread.join()
    counts = []
    for path in paths:
        restore_backup(path, tmp_path / f"{path.stem}-restored")
        copied = ServiceConfig(data_dir=tmp_path / f"{path.stem}-restored")
        with Service.open(copied) as copy, copy.store.database.read() as connection:
            names = connection.exec_driver_sql("SELECT name FROM projects WHERE name GLOB '[0-9]*'").scalars().all()
        assert {name[:-1] for name in names if name[-1] == "a"} == {name[:-1] for name in names if name[-1] == "b"}
        counts.append(len(names))
    assert all(later > earlier for earlier, later in pairwise(counts))


def test_artifacts_that_lie_elsewhere_are_in_the_backup_too(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    config = ServiceConfig(data_dir=tmp_path / "data", artifact_url=url)
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        service.datasets.add(admin, name="d", content=CSV, format="csv", target="outcome")
        report = make_backup(config.data_dir, tmp_path / "b.tar", artifact_url=url)
    assert report.n_files == 3  # store, key, data set
    restore_backup(report.path, tmp_path / "restored")
    with Service.open(ServiceConfig(data_dir=tmp_path / "restored")) as copy:
        owner = copy.authenticate(read_key_file(copy.admin_key_path))
        assert copy.datasets.table(copy.datasets.get(owner, "d")).n_rows == 90


def test_a_job_that_ran_when_the_backup_was_made_runs_again_where_it_is_restored(
    config: ServiceConfig, tmp_path: Path
) -> None:
    brief = replace(config, lease_s=1.0, heartbeat_s=0.3)
    with Service.open(brief) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        job = service.jobs.submit(admin, "program", PROGRAM)
        assert service.store.claim("worker_elsewhere")
        report = make_backup(config.data_dir, tmp_path / "b.tar")
    restore_backup(report.path, tmp_path / "restored")
    restored = replace(brief, data_dir=tmp_path / "restored")
    with Service.open(restored) as copy, working(restored):
        found = ended(copy, job)
        assert (found.status, found.attempt) == ("succeeded", 2)


@pytest.fixture
def backup(service: Service, config: ServiceConfig, admin: Principal, tmp_path: Path) -> Path:
    """A backup with one data set."""
    service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
    return make_backup(config.data_dir, tmp_path / "backup.tar").path


def artifact(files: dict[str, bytes]) -> str:
    return next(name for name in files if name.startswith("artifacts/"))


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "artifact": (lambda f: f.update({artifact(f): flipped(f[artifact(f)])}), r"artifacts/[0-9a-f]{64} .*is damaged"),
    "store": (
        lambda f: f.update({"superpose.sqlite": flipped(f["superpose.sqlite"])}),
        "superpose.sqlite .*is damaged",
    ),
    "key": (lambda f: f.update({"keys/admin.key": flipped(f["keys/admin.key"])}), "keys/admin.key .*is damaged"),
    "manifest": (lambda f: f.update({"manifest.json": flipped(f["manifest.json"])}), "manifest.json .*is damaged"),
    "absent": (lambda f: f.pop(artifact(f)), r"artifacts/[0-9a-f]{64} is missing"),
    "no manifest": (lambda f: f.pop("manifest.sha256"), "before its manifest"),
    "foreign": (lambda f: f.update({"../evil": b"x"}), r"holds '\.\./evil'"),
    "added": (lambda f: f.update({f"artifacts/{'0' * 64}": b"x"}), "not in its manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_by_the_name_of_the_damaged_file(backup: Path, tmp_path: Path, damage: str) -> None:
    files = unpacked(backup)
    spoil, message = DAMAGES[damage]
    spoil(files)
    with pytest.raises(BackupError, match=message):
        restore_backup(packed(tmp_path / "damaged.tar", files), tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert not list(tmp_path.glob(".target*"))


def test_a_cut_backup_and_one_of_a_newer_release_are_refused(backup: Path, tmp_path: Path) -> None:
    content, target = backup.read_bytes(), tmp_path / "target"
    cut = tmp_path / "cut.tar"
    for n_bytes in (0, 100, 600, len(content) // 2, len(content) - 11_000):
        cut.write_bytes(content[:n_bytes])
        with pytest.raises(BackupError, match="damaged"):
            restore_backup(cut, target)
    files = unpacked(backup)
    for change, message in (({"schema_version": 999}, "newer release"), ({"version": 2}, "version 2; this release")):
        manifest = json.dumps({**json.loads(files["manifest.json"]), **change}).encode()
        changed = {**files, "manifest.json": manifest, "manifest.sha256": hashlib.sha256(manifest).hexdigest().encode()}
        with pytest.raises(BackupError, match=message):
            restore_backup(packed(tmp_path / "newer.tar", changed), target)
    assert not target.exists()


def test_nothing_is_overwritten_and_what_is_no_data_directory_is_told(
    backup: Path, config: ServiceConfig, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="exists and is not overwritten"):
        make_backup(config.data_dir, backup)
    with pytest.raises(BackupError, match="no superpose data"):
        make_backup(tmp_path / "elsewhere", tmp_path / "x.tar")
    with pytest.raises(BackupError, match="not an empty directory"):
        restore_backup(backup, config.data_dir)
    with pytest.raises(BackupError, match="cannot be read"):
        restore_backup(tmp_path / "absent.tar", tmp_path / "target")
    with pytest.raises(BackupError, match="cannot be written"):
        make_backup(config.data_dir, tmp_path / "no" / "such" / "room.tar")
    (tmp_path / "empty").mkdir()
    assert restore_backup(backup, tmp_path / "empty").path == tmp_path / "empty"


def test_a_full_disk_is_backed_up_elsewhere(
    service: Service, config: ServiceConfig, model: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir

    def no_room(path: Path, *given: Any, **named: Any) -> None:
        if path.parent == config.data_dir:  # a directory takes a block
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        made(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", no_room)
    make_backup(config.data_dir, tmp_path / "elsewhere.tar")
    monkeypatch.undo()
    assert f"artifacts/{model.artifact}" in unpacked(tmp_path / "elsewhere.tar")
    assert restore_backup(tmp_path / "elsewhere.tar", tmp_path / "restored").missing == ()


def test_an_artifact_whose_bytes_have_changed_is_told_instead_of_backed_up(
    service: Service, config: ServiceConfig, backup: Path, tmp_path: Path
) -> None:
    found = next((config.data_dir / "artifacts").iterdir())
    found.write_bytes(flipped(found.read_bytes()))
    with pytest.raises(BackupError, match=f"artifacts/{found.name} has changed.*, or delete .* of project default;"):
        make_backup(config.data_dir, tmp_path / "next.tar")
    assert not (tmp_path / "next.tar").exists()
    assert issubclass(BackupError, SuperposeError)


def test_an_artifact_that_is_gone_is_named_by_what_it_is(
    service: Service, config: ServiceConfig, backup: Path, admin: Principal, model: ModelVersion, tmp_path: Path
) -> None:
    assert restore_backup(backup, tmp_path / "whole").missing == ()
    (config.data_dir / "artifacts" / model.artifact).unlink()
    lacking = (f"artifacts/{model.artifact}, version 1 of model outcome of project default",)
    made = make_backup(config.data_dir, tmp_path / "next.tar")
    assert made.missing == restore_backup(tmp_path / "next.tar", tmp_path / "restored").missing == lacking
    assert made.to_json()["missing"] == [*lacking]
