"""The data directory: private, owned by one server, handed from attempt to attempt, swept after crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from superpose.errors import RequestError, StoreError
from superpose.service import Principal, Service, ServiceConfig
from superpose.service.store.datadir import DataDir


def test_everything_is_private(service: Service, config: ServiceConfig) -> None:
    service.datasets.add_builtin(service.authenticate(service.admin_key_path.read_text().strip()), "i", "iris")
    for path in [config.data_dir, *config.data_dir.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_one_server_owns_a_directory(service: Service, config: ServiceConfig) -> None:
    with pytest.raises(StoreError, match=r"in use by another server \(process \d+\)"):
        Service.open(config)
    code = (
        "import sys\nfrom superpose.errors import StoreError\nfrom superpose.service import *\n"
        "try: Service.open(ServiceConfig(data_dir=sys.argv[1]))\nexcept StoreError as e: print(e.code)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, str(config.data_dir)], capture_output=True, text=True, check=True
    )
    assert asked.stdout == "service.store\n"
    Service.open(config, exclusive=False).close()
    service.close()
    Service.open(config).close()


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    mode = tmp_path.stat().st_mode
    with pytest.raises(StoreError, match="not empty and holds no superpose data"):
        Service.open(ServiceConfig(data_dir=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert tmp_path.stat().st_mode == mode


def test_a_path_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be used"):
        Service.open(ServiceConfig(data_dir=tmp_path / "file" / "data"))


def test_an_attempt_takes_over_what_the_newest_before_it_left(tmp_path: Path) -> None:
    home = DataDir(tmp_path / "data")
    first = home.attempt_directory("job_a", 1)
    (first / "checkpoint.json").write_text("1")
    third = home.attempt_directory("job_a", 3)
    assert (third / "checkpoint.json").read_text() == "1"
    assert not first.exists()  # whoever still works there no longer spoils anything
    assert home.attempt_directory("job_a", 3) == third
    late = home.attempt_directory("job_a", 2)  # an overtaken worker that only now begins
    assert not list(late.iterdir())
    assert (third / "checkpoint.json").exists()
    assert (home.attempt_directory("job_a", 4) / "checkpoint.json").exists()


def test_opening_sweeps_what_a_crash_left(config: ServiceConfig) -> None:
    with Service.open(config) as service:
        admin = Principal("key_x", "default", service.authenticate(service.admin_key_path.read_text().strip()).role)
        made = service.datasets.add_builtin(admin, "iris", "iris")
    orphan = config.data_dir / "artifacts" / ("0" * 64)
    orphan.write_bytes(b"x")
    ended = config.data_dir / "jobs" / "job_ended" / "1"
    ended.mkdir(parents=True)
    Service.open(config, exclusive=False).close()
    assert orphan.exists()  # only the owner sweeps
    with Service.open(config) as service:
        assert service.datasets.table(made).n_rows == 150
    assert not orphan.exists() and not ended.exists()


def test_settings_survive_their_json_form(tmp_path: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path, workers=3, lease_s=2.5, heartbeat_s=0.5)
    assert ServiceConfig.from_json(config.to_json()) == config
    assert ServiceConfig(data_dir=Path("~/x")).data_dir == Path.home() / "x"


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"lease_s": 0}, "lease_s must be"),
        ({"max_batch_rows": -1}, "max_batch_rows must be"),
        ({"workers": True}, "workers must be"),
        ({"workers": 1.5}, "workers must be"),
        ({"lease_s": float("nan")}, "lease_s must be"),
        ({"lease_s": 3.0, "heartbeat_s": 3.0}, "less than lease_s=3"),
    ],
)
def test_settings_out_of_range_are_named(tmp_path: Path, fields: dict, match: str) -> None:
    with pytest.raises(RequestError, match=match):
        ServiceConfig(data_dir=tmp_path, **fields)


def test_unknown_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none of .*colour"):
        ServiceConfig.from_json({"data_dir": str(tmp_path), "colour": "red"})
