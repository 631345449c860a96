"""Flags over environment over file over defaults, each value with its origin, no unknown name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.cli.settings import ServerConfig, load_settings
from superpose.errors import SettingError
from superpose.service import ServiceConfig

from .conftest import Said


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration file."""

    def make(text: str) -> Path:
        path = tmp_path / "superpose.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return make


def test_flags_go_before_environment_before_file_before_defaults(write: Callable[[str], Path], tmp_path: Path) -> None:
    file = write('lease_s = 60\nworkers = 3\nport = 9000\ndata_dir = "lasting"\nheartbeat_s = "none"\n')
    variables = {"SUPERPOSE_WORKERS": "4", "SUPERPOSE_PORT": "9001", "SUPERPOSE_URL": "http://elsewhere", "HOME": "/"}
    found = load_settings({"port": 9002, "host": None}, config_file=file, environment=variables)
    assert (found.service.lease_s, found.service.workers, found.server.port) == (60.0, 4, 9002)
    assert found.service.data_dir == tmp_path / "lasting"  # relative to the file
    origins = {value.name: value.origin for value in found.values}
    assert origins["lease_s"] == origins["data_dir"] == origins["heartbeat_s"] == str(file)
    assert (origins["workers"], origins["port"], origins["host"]) == ("SUPERPOSE_WORKERS", "flag", "default")
    assert {value.name for value in found.values} == {f.name for f in (*fields(ServiceConfig), *fields(ServerConfig))}
    assert {value.name for value in found.changed()} == {"lease_s", "workers", "port", "data_dir", "heartbeat_s"}


@pytest.mark.parametrize("item", [f for f in (*fields(ServiceConfig), *fields(ServerConfig))], ids=lambda f: f.name)
def test_every_setting_is_taken_from_the_environment(item: Field[Any]) -> None:
    name, kind = item.name, str(item.type)
    words = {"int": "7", "float": "7.5", "bool": "true", "str": "why", "Path": "/elsewhere"}
    text = words[kind.partition(" ")[0]]
    if isinstance(item.default, int | float):  # certainly in range; that it was read shows the origin
        text = str(item.default).lower()
    if name == "webhook_networks":
        text = "10.20.0.0/16"
    variables = {f"SUPERPOSE_{name.upper()}": text}
    if name.startswith("tls_"):
        variables |= {"SUPERPOSE_TLS_KEY": "/elsewhere", "SUPERPOSE_TLS_CERTIFICATE": "/elsewhere"}
    found = {value.name: value for value in load_settings(environment=variables).values}[name]
    assert str(found.value).lower() in {text, "true"}
    assert found.origin == f"SUPERPOSE_{name.upper()}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leas_s = 3", "leas_s is no setting .*Did you mean lease_s"),
        ("[service]\nlease_s = 3", r"a table \[service\]"),
        ("lease_s = 'long'", "lease_s must be a number, got 'long'"),
        ("workers = 1.5", "workers must be a whole number"),
        ("workers = true", "workers must be a whole number"),
        ("lease_s = -1", r"lease_s must be a number above 0, got -1.0\. It stands in: .*superpose\.toml"),
        ("heartbeat_s = 90", r"heartbeat_s must be less than .*It stands in"),
        ("port = 70000", "port must be a whole number from 0 to 65535"),
        ("tls_key = 'k'", "TLS needs certificate and key"),
        ("lease_s = ", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(write: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load_settings(config_file=write(text), environment={})


def test_unknown_variables_and_files_that_others_write_are_refused(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=r"SUPERPOSE_WORKER is no variable .*Did you mean SUPERPOSE_WORKERS"):
        load_settings(environment={"SUPERPOSE_WORKER": "1"})
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        load_settings(environment={"SUPERPOSE_CONFIG": str(tmp_path / "absent.toml")})
    path = write("workers = 2")
    assert load_settings(environment={"SUPERPOSE_CONFIG": "none"}).file is None
    path.chmod(0o662)
    with pytest.raises(SettingError, match="can be written by other users"):
        load_settings(config_file=path, environment={})


def test_the_command_shows_values_and_origins(
    superpose: Callable[..., Said], write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("lease_s = 45")
    monkeypatch.setenv("SUPERPOSE_MAX_BATCH_ROWS", "99")
    said = superpose("config", "show", "--config", file, "--json").json
    assert said["file"] == str(file)
    rows = {row["name"]: row for row in said["settings"]}
    assert rows["lease_s"] == {"name": "lease_s", "value": 45.0, "origin": str(file), "default": 30.0}
    assert rows["max_batch_rows"]["origin"] == "SUPERPOSE_MAX_BATCH_ROWS"
    shown = superpose("config", "show", "--config", file)
    assert shown.code == 0
    assert [line.split() for line in shown.out.splitlines() if line.startswith("lease_s")] == [
        ["lease_s", "45", str(file)]
    ]
    monkeypatch.setenv("SUPERPOSE_MAX_BATCH_ROW", "99")
    wrong = superpose("config", "show", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (1, "service.setting")
    assert wrong.json["error"]["details"]["nearest"] == "SUPERPOSE_MAX_BATCH_ROWS"


def test_a_server_runs_by_its_file(write: Callable[[str], Path], tmp_path: Path) -> None:
    file = write('data_dir = "here"\nport = 0\nworkers = 0\nmax_request_rows = 7\n')
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "superpose", "serve", "--config", str(file), "--ready-file", str(ready)]
    with subprocess.Popen(command, env=dict(os.environ)) as server:
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        assert Path(facts["key_file"]) == tmp_path / "here" / "keys" / "admin.key"
        with Client(facts["url"], key_file=facts["key_file"]) as client:
            assert client.version()["limits"]["max_request_rows"] == 7
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
