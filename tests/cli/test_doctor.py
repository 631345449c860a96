"""What the doctor finds around a service: one real fault each, its status, and what it says to do."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority

from superpose.service import Service, ServiceConfig
from superpose.trust import read_key_file

from .conftest import Said, Served

CSV = b"age,outcome\n" + b"".join(b"%d,%s\n" % (20 + i, b"ill" if i % 3 else b"well") for i in range(30))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with one data set."""
    with Service.open(ServiceConfig(data_dir=tmp_path / "data")) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        service.datasets.add(admin, name="d", content=CSV, format="csv", target="outcome")
    return tmp_path / "data"


@pytest.fixture
def examine(superpose: Callable[..., Said], data_dir: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Exit code and checks by name of the doctor on the directory."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        said = superpose("doctor", "--data-dir", data_dir, *arguments, "--json")
        assert said.json["healthy"] == (said.code == 0)
        return said.code, {check["name"]: check for check in said.json["checks"]}

    return run


def execute(data_dir: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(data_dir / "superpose.sqlite")) as connection, connection:
        connection.execute(statement)


def test_a_running_service_is_found_healthy(at_home: Callable[..., Said], served: Served) -> None:
    said = at_home("doctor", "--json")
    checks = {check["name"]: check for check in said.json["checks"]}
    assert said.code == 0, [check for check in checks.values() if check["status"] == "fail"]
    assert {checks[name]["status"] for name in ("store", "artifacts", "clock", "service", "data directory")} == {"ok"}
    assert served.url in checks["service"]["detail"]
    assert {"name", "value", "origin", "default"} == set(said.json["settings"][0])


def test_settings_and_their_origins_are_shown(superpose: Callable[..., Said], data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "superpose.toml"
    file.write_text("lease_s = 45\n")
    file.chmod(0o600)
    shown = superpose("doctor", "--data-dir", data_dir, "--config", file)
    assert ["lease_s", "45", str(file)] in [line.split() for line in shown.out.splitlines()]
    file.write_text("leas_s = 45\n")
    wrong = superpose("doctor", "--data-dir", data_dir, "--config", file, "--json")
    assert wrong.code == 1
    first = wrong.json["checks"][0]
    assert (first["name"], first["status"]) == ("settings", "fail")
    assert "Did you mean lease_s" in first["detail"]


@pytest.mark.parametrize(
    ("name", "status", "spoil", "detail", "advice"),
    [
        ("data directory", "fail", lambda d: d.chmod(0o755), "mode 0755", "chmod 700"),
        ("data directory", "fail", lambda d: (d / "keys/admin.key").chmod(0o640), "mode 0640", "chmod 600"),
        ("artifacts", "fail", lambda d: next((d / "artifacts").iterdir()).unlink(), "1 of 1 are gone", "backup"),
        (
            "store",
            "fail",
            lambda d: execute(d, "INSERT INTO schema_version VALUES (999, 0, '9.9.9')"),
            "written by superpose 9.9.9",
            "run superpose 9.9.9 or newer",
        ),
        (
            "clock",
            "fail",
            lambda d: execute(d, f"UPDATE keys SET created_at = {int((time.time() + 3600) * 1e6)}"),
            "in the future of this clock",
            "synchronised",
        ),
    ],
)
def test_a_fault_fails_its_check_with_what_to_do(
    examine: Callable[..., Any],
    data_dir: Path,
    name: str,
    status: str,
    spoil: Callable[[Path], Any],
    detail: str,
    advice: str,
) -> None:
    assert examine()[1][name]["status"] == "ok"
    spoil(data_dir)
    code, checks = examine()
    assert (code, checks[name]["status"]) == (1, status)
    assert detail in checks[name]["detail"]
    assert advice in checks[name]["advice"]
    assert [n for n, check in checks.items() if check["status"] == "fail"] == [name]


def test_a_disk_that_takes_nothing_is_told_of_the_data_directory_alone(
    examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("TemporaryFile", "NamedTemporaryFile"):  # who may write by the modes, but not by the disk
        monkeypatch.setattr(f"tempfile.{name}", refused)
    code, checks = examine()
    assert (code, checks["data directory"]["status"]) == (1, "fail")
    assert checks["data directory"]["detail"].endswith("/data: Read-only file system")
    assert [n for n, check in checks.items() if check["status"] == "fail"] == ["data directory"]


def test_a_damaged_store_fails(examine: Callable[..., Any], data_dir: Path) -> None:
    path = data_dir / "superpose.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\x55" * (4096 * 9)
    path.write_bytes(content)
    code, checks = examine()
    assert (code, checks["store"]["status"]) == (1, "fail")


def test_certificates_that_end_soon_or_have_ended_are_told(
    examine: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)

    def check(days: float) -> tuple[int, str, str]:
        pair = authority.sign(days=days)
        monkeypatch.setenv("SUPERPOSE_TLS_CERTIFICATE", str(pair.certificate))
        monkeypatch.setenv("SUPERPOSE_TLS_KEY", str(pair.key))
        code, checks = examine()
        return code, checks["certificate"]["status"], checks["certificate"]["detail"]

    assert check(100)[:2] == (0, "ok")
    code, status, detail = check(5)
    assert (code, status) == (0, "warn")
    assert "4 days" in detail
    code, status, detail = check(-1)
    assert (code, status) == (1, "fail")
    assert "expired" in detail
