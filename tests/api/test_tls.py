"""TLS: what is negotiated, who is refused, and a renewed certificate without a restart."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from tests.certificates import Authority

from superpose import Client
from superpose.api import Tls, serve
from superpose.cli.app import run
from superpose.errors import CertificateError, ClientError, UnreachableError
from superpose.service import ServiceConfig


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def serving(data_dir: Path, tls: Tls) -> Iterator[str]:
    """A server with TLS in a thread; gives its URL."""
    stop, ready = threading.Event(), queue.SimpleQueue[str]()
    config = ServiceConfig(data_dir=data_dir, workers=0)
    thread = threading.Thread(target=serve, args=(config,), kwargs=dict(port=0, tls=tls, on_ready=ready.put, stop=stop))
    thread.start()
    try:
        yield ready.get(timeout=120)
    finally:
        stop.set()
        thread.join(120)


def handshake(url: str, ca_file: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[str | None, int]:
    """Protocol and serial number of the certificate that the server shows."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.maximum_version = newest
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
    ):
        return secured.version(), x509.load_der_x509_certificate(secured.getpeercert(True) or b"").serial_number


def test_python_client_and_command_line_speak_tls_13_to_who_has_a_trusted_certificate(
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = authority.sign()
    key_file = tmp_path / "data" / "keys" / "admin.key"
    with serving(tmp_path / "data", Tls(pair.certificate, pair.key)) as url:
        assert url.startswith("https://127.0.0.1:")
        assert handshake(url, authority.ca_file) == ("TLSv1.3", pair.serial)
        with pytest.raises(ssl.SSLError):
            handshake(url, authority.ca_file, ssl.TLSVersion.TLSv1_2)

        with Client(url, key_file=key_file, ca_file=authority.ca_file) as client:
            assert client.ready()
            assert client.version()["name"] == "superpose"
        with Client(url, key_file=key_file) as client, pytest.raises(UnreachableError, match="certificate"):
            client.version()

        arguments = ["keys", "list", "--url", url, "--key-file", str(key_file), "--json"]
        assert run(["--ca-file", str(authority.ca_file), *arguments]) == 0
        assert json.loads(capsys.readouterr().out)
        assert run(arguments) == 1
        monkeypatch.setenv("SUPERPOSE_CA_FILE", str(authority.ca_file))
        assert run(arguments) == 0
        assert run(["health", "--url", url]) == 0


def test_unusable_pairs_are_refused_before_anything_listens(authority: Authority, tmp_path: Path) -> None:
    pair, other = authority.sign(), authority.sign("other")
    with pytest.raises(CertificateError, match="cannot be used together"):
        Tls(pair.certificate, other.key)
    with pytest.raises(CertificateError, match="cannot be read: No such file"):
        Tls(tmp_path / "absent.pem", pair.key)
    pair.key.chmod(0o644)
    with pytest.raises(CertificateError, match="mode 0644"):
        Tls(pair.certificate, pair.key)
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ClientError, match="holds no certificate"):
        Client("https://127.0.0.1:1", key="x", ca_file=empty)


def test_a_renewed_certificate_is_shown_after_sighup_and_a_bad_one_is_not(authority: Authority, tmp_path: Path) -> None:
    pair = authority.sign()
    ready, home = tmp_path / "ready.json", {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    command = ["serve", "--port", "0", "--workers", "0", "--ready-file", ready]
    command += ["--certificate", pair.certificate, "--key", pair.key]
    with subprocess.Popen([sys.executable, "-m", "superpose", *map(str, command)], env=home) as server:
        try:
            deadline = time.monotonic() + 120
            while not ready.exists():
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.02)
            facts = json.loads(ready.read_text())
            assert facts["certificate"] == str(pair.certificate)
            assert handshake(facts["url"], authority.ca_file)[1] == pair.serial

            renewed = authority.sign()
            log = tmp_path / "superpose" / "logs" / "api.jsonl"
            server.send_signal(signal.SIGHUP)
            while "certificate reloaded" not in log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert handshake(facts["url"], authority.ca_file)[1] == renewed.serial != pair.serial

            pair.key.write_text("no key")
            server.send_signal(signal.SIGHUP)
            while "certificate not reloaded" not in log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert handshake(facts["url"], authority.ca_file)[1] == renewed.serial
        finally:
            server.terminate()
            assert server.wait(60) == 0
