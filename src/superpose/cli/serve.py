"""`superpose serve`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from superpose import __version__
from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json
from superpose.learning.canonical import write_atomically

if TYPE_CHECKING:
    from superpose.cli.settings import Settings

__all__ = ["serve"]

#: Begins with the precision of predictions: a worker builds that of training at the same time.
BUILD: Final = "from superpose.engine import warm; warm(dtypes=('float64', 'float32'))"


def serve(  # noqa: PLR0913  # one parameter per option
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything lasts [default: XDG data home/superpose].", metavar="DIR")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].", metavar="HOST")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one [default: 8000].", metavar="PORT", min=0, max=65535)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes for jobs [default: 1].", metavar="N", min=0, max=256)
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write URL, key file and pid here once requests are answered.", metavar="FILE")
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option(
            help="Time a stopping worker may take to its next checkpoint [default: 20].", metavar="SECONDS", min=0.1
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="TLS certificate and intermediates, PEM; SIGHUP reads it again.", metavar="FILE"),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate, PEM.", metavar="FILE")] = None,
    behind_proxy: Annotated[
        str | None,
        typer.Option(
            help="Allow a host that other machines reach without a certificate, for this reason: the proxy on this "
            "host that ends TLS.",
            metavar="REASON",
        ),
    ] = None,
    allow_user_code: Annotated[
        bool | None,
        typer.Option("--allow-user-code", help="Let editors run functions of their own, with this user's rights."),
    ] = None,
    config: ConfigOption = None,
    stop_with_stdin: Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the service and its workers.

    It answers REST until Ctrl-C or SIGTERM. The first start makes the data directory and an admin key in it. The
    other commands of this user find the service by themselves if it uses the default data directory.
    """
    from superpose.cli.settings import load_settings

    flags = {
        "data_dir": data_dir,
        "host": host,
        "port": port,
        "workers": workers,
        "drain_s": drain_s,
        "tls_certificate": certificate,
        "tls_key": key,
        "behind_proxy": behind_proxy,
        "allow_user_code": allow_user_code,
    }
    settings = load_settings(flags, config_file=config)
    stop = threading.Event()
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, args=(stop,), name="superpose-parent", daemon=True).start()
    Server(settings, ready_file, as_json=as_json).run(stop)


class Server:
    """The API and its workers in one command.

    Args:
        settings: of the service and the server.
        ready_file: where to tell that requests are answered, or None.
        as_json: whether to tell it on stdout as JSON.
    """

    def __init__(self, settings: Settings, ready_file: Path | None, *, as_json: bool) -> None:
        self._config = settings.service
        self._server = settings.server
        self._ready_file = None if ready_file is None else ready_file.expanduser().absolute()
        self._as_json = as_json
        self._build: subprocess.Popen[bytes] | None = None

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop; then drain requests, then workers."""
        from superpose.api import Tls
        from superpose.api import serve as serve_api

        if self._ready_file is not None:
            _forget(self._ready_file, lambda pid: pid == os.getpid() or not _runs(pid))  # one that was killed left it
        told = self._server
        tls = None
        if told.tls_certificate is not None and told.tls_key is not None:
            tls = Tls(told.tls_certificate, told.tls_key)
        try:
            serve_api(
                self._config,
                host=told.host,
                port=told.port,
                tls=tls,
                behind_proxy=told.behind_proxy,
                on_ready=self._on_ready,
                stop=stop,
            )
        finally:
            self._forget()
            if self._build is not None:
                self._build.kill()

    def _on_ready(self, url: str) -> None:
        """Tell where the service is."""
        threading.Thread(target=self._get_kernels, name="superpose-kernels", daemon=True).start()
        listens, url = url, (self._server.public_url or url).rstrip("/")
        facts: dict[str, Any] = {
            "url": url,
            "listens": listens,
            "key_file": str(self._config.data_dir / "keys" / "admin.key"),
            "pid": os.getpid(),
        }
        if self._server.tls_certificate is not None:
            facts["certificate"] = str(self._server.tls_certificate)
        write_facts(self._service_file, facts)
        if self._ready_file is not None:
            write_facts(self._ready_file, facts)
        if self._as_json:
            print_json({**facts, "data_dir": str(self._config.data_dir)})
            return
        typer.echo(f"superpose {__version__} serves at {url}")
        typer.echo(f"  data     {self._config.data_dir}")
        typer.echo(f"  key      {facts['key_file']} (admin)")
        typer.echo(f"  workers  {self._config.workers}")
        typer.echo("Stop it with Ctrl-C.")

    def _get_kernels(self) -> None:
        """Load the engine's kernels, so that the first prediction is quick; where they are not built, say so.

        A process of its own builds them, because a build cannot be interrupted and holds up every thread beside it.
        """
        from superpose.engine import kernels_ready, warm

        if not kernels_ready():
            began = time.monotonic()
            self._say("building the engine's kernels, which is done once on a machine ...")
            self._build = subprocess.Popen(  # noqa: S603  # ours
                [sys.executable, "-P", "-c", BUILD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            self._build.wait()
            self._say(f"kernels ready after {time.monotonic() - began:.1f} s")
        warm()

    def _say(self, text: str) -> None:
        if not self._as_json:
            typer.echo(text)

    @property
    def _service_file(self) -> Path:
        return self._config.data_dir / "service.json"

    def _forget(self) -> None:
        """Remove what says that this process serves."""
        for path in (self._service_file, self._ready_file):
            if path is not None:
                _forget(path, lambda pid: pid == os.getpid())


def _forget(path: Path, whose: Callable[[int], bool]) -> None:
    """Remove a file of facts where it is one, and of such a process."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
        if whose(int(json.loads(path.read_text(encoding="utf-8"))["pid"])):
            path.unlink()


def _runs(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a small JSON file that only its owner reads; it appears whole or not at all."""
    write_atomically(path, (json.dumps(facts) + "\n").encode(), 0o600)


def _stop_at_end_of_stdin(stop: threading.Event) -> None:
    """Stop the server when who started it is gone: then the pipe on standard input ends."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()
