"""A disk that is full or can only be read, a second server: a clear error each, and nothing is damaged.

The disks are real: a small file system in memory, mounted in a namespace of its own, which the test runs in.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.full_disk import room_for

from superpose.errors import StoreError, StoreFullError, StoreReadOnlyError
from superpose.learning.canonical import gone_unless_whole
from superpose.service import Service, ServiceConfig
from superpose.service.operations.json_logs import LogFile
from superpose.service.store.disk_errors import disk_error, from_sqlite, passes

#: What the processes below share: how a service is opened and used, and how an error is told.
COMMON = '''
import json, os, subprocess, sys, time
from pathlib import Path
from superpose.circuits import Circuit, Observable, Program, program_to_json
from superpose.errors import SuperposeError
from superpose.service import JobStatus, Service, ServiceConfig, Worker
from superpose.trust import read_key_file
import threading

def opened(**settings):
    return Service.open(ServiceConfig(data_dir=disk / "data", retry_first_s=0.05, retry_longest_s=0.2, **settings))

def admin_of(service):
    return service.authenticate(read_key_file(service.admin_key_path))

def program():
    circuit = Circuit(2).h(0).cx(0, 1)
    return dict(program_to_json(Program(circuit, {}, observables=(Observable({"ZZ": 1.0}),))))

def csv(n_rows):
    rows = (b"%d,%d.5,%s\\n" % (i, i * 7 % 997, b"ill" if i % 3 else b"well") for i in range(n_rows))
    return b"age,dose,outcome\\n" + b"".join(rows)

def told(call, *given, **named):
    try:
        call(*given, **named)
    except SuperposeError as error:
        return {"code": error.code, "message": error.message, "details": error.details}
    return None

def check(service):
    with service.store.database.read() as connection:
        return connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()

def fill(path):
    """Write until nothing more fits."""
    with open(path, "wb", buffering=0) as file:
        for n_bytes in (1 << 16, 1 << 12, 1 << 9, 1):
            try:
                while file.write(bytes(n_bytes)):
                    pass
            except OSError:
                pass
'''

FULL_DISK = (
    COMMON
    + """
from superpose.service.operations.backup import make_backup

report = {}
with opened() as service:
    admin = admin_of(service)
    before = service.jobs.submit(admin, "program", program())
    fill(disk / "filler")
    report["submit"] = [told(service.jobs.submit, admin, "program", program()) for _ in range(40)][-1]
    report["upload"] = told(service.datasets.add, admin, name="d", content=csv(20_000), format="csv", target="outcome")
    report["read"] = str(service.jobs.get(admin, before.id).status)
    report["check"] = check(service)
    report["backup"] = told(make_backup, disk / "data", disk / "b.tar")
    report["backup elsewhere"] = told(make_backup, disk / "data", Path(sys.argv[0]).parent / "b.tar")
    worker = Worker(service.config)
    thread = threading.Thread(target=worker.run)
    thread.start()
    time.sleep(1.0)
    report["while full"] = str(service.jobs.get(admin, before.id).status)
    (disk / "filler").unlink()
    until = time.monotonic() + 60
    while service.jobs.get(admin, before.id).status is not JobStatus.SUCCEEDED and time.monotonic() < until:
        time.sleep(0.05)
    report["after"] = str(service.jobs.get(admin, before.id).status)
    worker.stop()
    thread.join()
    report["submit after"] = told(service.jobs.submit, admin, "program", program())
    small = {"name": "d", "content": csv(200), "format": "csv", "target": "outcome"}
    report["upload after"] = told(service.datasets.add, admin, **small)
    report["check after"] = check(service)
    report["staging"] = [path.name for path in (disk / "data" / "staging").iterdir()]
print(json.dumps(report))
"""
)

FULL_WHILE_TRAINING = (
    COMMON
    + """
report = {}
SPEC = {"model": {"n_qubits": 2, "ansatz": {"layers": 1}}, "training": {"epochs": 60, "patience": 60, "batch_size": 8},
        "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}}
with opened(max_retries=1_000, lease_s=2.0, progress_s=0.0) as service:
    admin = admin_of(service)
    service.datasets.add(admin, name="d", content=csv(90), format="csv", target="outcome")
    job = service.jobs.submit(admin, "train", SPEC, dataset="d", model_name="m")
    worker = Worker(service.config)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while not service.jobs.get(admin, job.id).progress:
        time.sleep(0.02)
    fill(disk / "filler")
    time.sleep(2.0)
    report["while full"] = str(service.jobs.get(admin, job.id).status)
    (disk / "filler").unlink()
    until = time.monotonic() + 60
    while service.jobs.get(admin, job.id).finished_at is None and time.monotonic() < until:
        time.sleep(0.05)
    ended = service.jobs.get(admin, job.id)
    report["after"] = [str(ended.status), ended.error, ended.model_version]
    worker.stop()
    thread.join()
    report["versions"] = len(service.models.get(admin, "m").versions)
    report["digest"] = service.models.version(admin, "m").digest
    again = service.jobs.submit(admin, "train", SPEC, dataset="d", model_name="m")
    worker = Worker(service.config)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while service.jobs.get(admin, again.id).finished_at is None:
        time.sleep(0.05)
    worker.stop()
    thread.join()
    report["digest undisturbed"] = service.models.version(admin, "m").digest
    report["check"] = check(service)
print(json.dumps(report))
"""
)

FULL_BEHIND_THE_API = (
    COMMON
    + """
import asyncio
from superpose.api import create_app
from superpose.service.catalogue import ingest

async def sent(app, path, key, body):
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    answer = []
    async def receive():
        return parts.pop()
    async def send(message):
        answer.append(message)
    headers = [(b"authorization", b"Bearer " + key.encode()), (b"content-type", b"text/csv")]
    where, _, query = path.partition("?")
    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "POST", "path": where, "raw_path": where.encode(),
             "query_string": query.encode(), "headers": headers, "http_version": "1.1", "scheme": "http",
             "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": ""}
    await app(scope, receive, send)
    return [answer[0]["status"], json.loads(b"".join(part.get("body", b"") for part in answer[1:]))]

report = {}
with opened() as service:
    key, app = read_key_file(service.admin_key_path), create_app(service)
    where = "/v1/datasets?name=d&target=outcome"
    fill(disk / "filler")
    report["full"] = asyncio.run(sent(app, where, key, csv(20_000)))
    (disk / "filler").unlink()
    ingest._APART_BYTES = 0  # by a process of its own
    table, output = Path(sys.argv[0]).parent / "table.csv", disk / "table"
    table.write_bytes(csv(20_000))
    output.touch()
    fill(disk / "filler")
    report["apart"] = told(ingest.ingest_file, table, ingest.Incoming("d", "csv", "outcome"), output)
    (disk / "filler").unlink()
    report["after"] = asyncio.run(sent(app, where, key, csv(200)))[0]
    report["staging"] = [path.name for path in (disk / "data" / "staging").iterdir()]
print(json.dumps(report))
"""
)

READ_ONLY_DISK = (
    COMMON
    + """
import sqlite3
from superpose.service.store.disk_errors import from_sqlite

def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

def on_a_disk_that_became_read_only():  # under a running server, for a fault: SQLite says no more than this
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    raise from_sqlite(error, "The store cannot be written", str(disk / "data" / "superpose.sqlite"))

report = {}
with opened() as service:
    admin = admin_of(service)
    job = service.jobs.submit(admin, "program", program())
    descriptors = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    report["busy"] = subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True).returncode != 0
remount("ro")
report["running"] = told(on_a_disk_that_became_read_only)
report["start"] = told(opened)
report["worker"] = told(Worker, ServiceConfig(data_dir=disk / "data"))
remount("rw")
with opened() as service:
    admin = admin_of(service)
    report["job"] = str(service.jobs.get(admin, job.id).status)
    report["submit"] = told(service.jobs.submit, admin, "program", program())
    report["check"] = check(service)
print(json.dumps(report))
"""
)


FULL_AT_THE_START = (
    COMMON
    + """
fill = disk / "fill"

def filled(left):
    fill.write_bytes(b"")
    with fill.open("ab", 0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(file.tell() - left)

report = {}
for name, left in (("lock", 0), ("store", 8192)):  # room for nothing, and for the lock alone
    filled(left)
    report[name] = told(opened)
    report["again, " + name] = told(opened)
fill.unlink()
with opened() as service:
    report["then"] = str(service.jobs.submit(admin_of(service), "program", program()).status)
filled(0)
report["later"] = told(opened)
print(json.dumps(report))
"""
)


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode == 0


def on_a_disk_of_its_own(tmp_path: Path, program: str, size: str = "6m") -> dict[str, Any]:
    """The report of a program whose ``disk`` is a file system of this size."""
    if not can_mount():
        pytest.skip("this user may not mount a file system in a namespace")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "script.py"
    script.write_text(f"from pathlib import Path\ndisk = Path({str(disk)!r})\n{program}")
    shell = 'mount -t tmpfs -o size="$1",mode=700 disk "$2" && exec "$3" "$4"'
    command = ["unshare", "-Urm", "sh", "-c", shell, "sh", size, str(disk), sys.executable, str(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.usefixtures("kernels")
def test_a_full_disk_refuses_with_advice_loses_nothing_and_recovers(tmp_path: Path) -> None:
    report = on_a_disk_of_its_own(tmp_path, FULL_DISK)
    for refused in (report["submit"], report["upload"]):
        assert refused["code"] == "service.store_full"
        assert "full" in refused["message"] and "Nothing was changed" in refused["message"]
        assert "path" not in refused["details"]  # the API tells these
    assert (report["read"], report["while full"]) == ("queued", "queued")
    told = f"Backup {tmp_path}/disk/b.tar cannot be written: No space left on device. It takes the store twice"
    assert report["backup"]["message"].startswith(told) and report["backup elsewhere"] is None
    assert report["after"] == "succeeded"
    assert (report["submit after"], report["upload after"]) == (None, None)
    assert (report["check"], report["check after"], report["staging"]) == ("ok", "ok", [])


def test_a_start_on_a_full_disk_names_the_file_and_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    report = on_a_disk_of_its_own(tmp_path, FULL_AT_THE_START)
    for name in ("lock", "again, lock", "store", "again, store", "later"):
        assert str(tmp_path / "disk" / "data") in report[name]["message"], name
        assert "disk is full" in report[name]["message"] and "ree some space" in report[name]["message"], name
    assert report["lock"]["code"] == report["store"]["code"] == "service.store_full"
    assert "server.lock cannot be written" in report["lock"]["message"]
    assert report["then"] == "queued"


@pytest.mark.usefixtures("kernels")
def test_what_is_sent_to_a_full_disk_is_refused_as_such_and_not_as_our_fault(tmp_path: Path) -> None:
    report = on_a_disk_of_its_own(tmp_path, FULL_BEHIND_THE_API)
    status, problem = report["full"]
    assert (status, problem["code"]) == (507, "service.store_full")
    assert "the disk is full" in problem["detail"] and "Free some space" in problem["detail"]
    assert report["apart"]["code"] == "service.store_full" and "'d' cannot be written" in report["apart"]["message"]
    assert (report["after"], report["staging"]) == (201, [])


@pytest.mark.slow
@pytest.mark.usefixtures("kernels")
def test_a_disk_that_fills_during_training_delays_the_job_and_changes_nothing(tmp_path: Path) -> None:
    report = on_a_disk_of_its_own(tmp_path, FULL_WHILE_TRAINING, "8m")
    assert report["while full"] in {"running", "queued"}
    assert report["after"] == ["succeeded", None, 1]
    assert report["versions"] == 1
    assert report["digest"] == report["digest undisturbed"]
    assert report["check"] == "ok"


@pytest.mark.usefixtures("kernels")
def test_a_disk_that_can_only_be_read_is_named_and_works_again_when_writable(tmp_path: Path) -> None:
    report = on_a_disk_of_its_own(tmp_path, READ_ONLY_DISK)
    for refused in (report["running"], report["start"], report["worker"]):
        assert refused["code"] == "service.store_read_only"
        assert "can only be read" in refused["message"]
    assert (report["job"], report["submit"], report["check"]) == ("queued", None, "ok")


def test_a_second_server_is_refused_by_name_and_leaves_the_first_alone(tmp_path: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data")
    with Service.open(config) as first:
        linked = tmp_path / "linked"
        linked.symlink_to(config.data_dir)
        command = [sys.executable, "-m", "superpose", "serve", "--port", "0", "--data-dir"]
        others = [
            subprocess.Popen([*command, str(directory)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for directory in (config.data_dir, linked)
        ]
        for other in others:
            with other:
                _, said = other.communicate(timeout=120)
            assert other.returncode == 1
            assert "is in use by another server" in said
            assert "Stop it, or use another directory." in " ".join(said.split())
        with first.store.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    with Service.open(config):
        pass


@pytest.mark.parametrize(
    ("number", "kind"), [("ENOSPC", StoreFullError), ("EDQUOT", StoreFullError), ("EFBIG", StoreFullError)]
)
def test_errors_of_full_disks(number: str, kind: type[StoreError]) -> None:
    found = disk_error(OSError(getattr(errno, number), "told"), "It cannot be written")
    assert type(found) is kind and found.code == "service.store_full"
    assert type(disk_error(OSError(errno.EROFS, "told"), "x")) is StoreReadOnlyError
    others = disk_error(OSError(errno.EACCES, "told"), "x")
    assert type(others) is StoreError
    assert others.message == "x: told. Run as the user who owns it, or let this one write there."
    beside = sqlite3.OperationalError("disk I/O error")  # the shared memory file finds no room
    beside.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    told = from_sqlite(beside, "The store cannot be written", "x")
    assert told.message.endswith("disk I/O error. The disk is full or fails: free some space, or look after it.")
    with room_for(0):  # SQLite says no more of it, the disk does
        told = from_sqlite(beside, "The store cannot be written", "x")
    assert (type(told), told.details) == (StoreFullError, {})
    assert passes(PermissionError(errno.EACCES, "told"))  # an operator's hand


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_a_full_disk_does_not_take_is_told_once_and_can_be_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "api.jsonl"
    place.symlink_to("/dev/full")
    log = LogFile(place, maxBytes=1 << 20, backupCount=1, encoding="utf-8")
    for _ in range(3):
        log.emit(logging.LogRecord("some", logging.INFO, "here", 1, "a line", None, None))
    log.close()
    (said,) = capsys.readouterr().err.splitlines()
    assert "api.jsonl cannot be written: No space left on device. Requests are answered all the same." in said


def test_a_log_costs_no_request_where_stderr_lies_on_the_same_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "api.jsonl"
    place.symlink_to("/dev/full")
    log = LogFile(place, maxBytes=1 << 20, backupCount=1, encoding="utf-8")
    full = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w", buffering=1)
    monkeypatch.setattr("sys.stderr", full)
    log.emit(logging.LogRecord("some", logging.INFO, "here", 1, "a line", None, None))
    log.close()
    with contextlib.suppress(OSError):
        full.close()


def test_half_a_file_gives_its_room_back_also_while_its_writer_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "output"
    writer = path.open("wb")
    with pytest.raises(OSError, match="full"), gone_unless_whole(path):
        writer.write(bytes(1 << 16))
        raise OSError(errno.ENOSPC, "full")
    assert not path.exists()
    assert os.fstat(writer.fileno()).st_size == 0
    writer.close()
    with gone_unless_whole(path):
        path.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
