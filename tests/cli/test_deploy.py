"""The files in `deploy/`, as far as this machine can tell whether they are good."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.certificates import Authority

from superpose.cli.settings import load_settings

from .conftest import Said, Served, start, stop

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_example_configuration_has_no_unknown_or_unusable_setting(tmp_path: Path) -> None:
    path = tmp_path / "superpose.toml"
    path.write_text((DEPLOY / "superpose.toml").read_text())
    path.chmod(0o600)
    settings = load_settings(config_file=path, environment={})
    assert (settings.server.host, settings.server.port, settings.service.keep_results_days) == ("0.0.0.0", 8443, 365.0)


def test_the_image_sets_only_variables_that_there_are() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    variables = dict(re.findall(r"(SUPERPOSE_[A-Z_]+)=(\S+)", text))
    settings = load_settings(environment=variables)
    assert settings.server.tls_key == Path("/run/secrets/server.key")
    assert re.search(r"^USER 10001", text, re.M)
    assert '"superpose", "health"' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("unit", ["superpose.service", "superpose-backup.service", "superpose-backup.timer"])
def test_units_are_accepted_by_systemd(unit: str, tmp_path: Path) -> None:
    program = tmp_path / "superpose"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in DEPLOY.glob("superpose*.*"):
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/superpose/bin/superpose", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", str(tmp_path / unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    if unit == "superpose.service":
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / unit)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-300:]  # an exposure of 2.0 at most


def filter_set(name: str) -> set[str]:
    """The calls of a set such as ``@system-service``, as systemd here knows it; of a call, itself."""
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True)
    lines = [line.split("#")[0].strip() for line in done.stdout.splitlines()[1:]]
    return {call for line in lines if line for call in filter_set(line)} if done.returncode == 0 else set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_the_unit_allows_the_calls_that_shut_users_python_in() -> None:
    """Filters read one after the other: the first says that calls are allowed, ``~`` takes some away, others add."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", (DEPLOY / "superpose.service").read_text(), re.M):
        named = {call for name in line.removeprefix("~").split() for call in filter_set(name)}
        allowed = allowed - named if line.startswith("~") else allowed | named
    needed = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "prctl"}
    assert needed <= allowed
    assert {"setpriority", "sched_setaffinity", "memfd_create", "execve", "kill"} <= allowed
    assert not {"mount", "ptrace", "bpf", "reboot"} & allowed


@pytest.mark.parametrize("extra", ["telemetry", "sweeps"])
def test_the_image_has_what_its_services_settings_and_jobs_need(extra: str) -> None:
    found = re.search(r'"\.\[([a-z,]+)\]"', (DEPLOY / "Containerfile").read_text())
    assert found is not None and extra in found[1].split(",")


def test_a_containers_health_check_finds_its_server_whatever_its_certificate_is_called(
    superpose: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Authority(tmp_path).sign(address="192.0.2.1")  # as a name that leads elsewhere
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    arguments = ["--workers", "0", "--certificate", str(pair.certificate), "--key", str(pair.key)]
    running = start(tmp_path, *arguments)
    try:
        assert superpose_at(superpose, tmp_path, monkeypatch, "health").code == 0
        said = superpose_at(superpose, tmp_path, monkeypatch, "health", "--live", "--json")
        assert said.json == {"url": running.url, "live": True}
    finally:
        assert stop(running) == 0
    assert superpose_at(superpose, tmp_path, monkeypatch, "health").code == 1


def superpose_at(superpose: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Said:
    """A command of the user whose home this is."""
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return superpose(*arguments)


def test_health_of_the_running_service(at_home: Callable[..., Said], served: Served) -> None:
    assert at_home("health", "--json").json == {"url": served.url, "ready": True}
