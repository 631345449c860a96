"""A worker process: its priority, its share of the CPUs, how it is told to stop, and its successor.

SIGTERM, SIGINT and, under a supervisor, the end of standard input start the drain: the worker goes on to the next
checkpoint and gives its job back; after ``drain_s``, or at a second signal, it gives the job back as it is and ends.
One that is still loading what jobs need ends at once. The signals are read by a thread of their own, because Python's
handlers wait for the end of a long call.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from superpose.errors import StoreError
from superpose.service.config import ServiceConfig
from superpose.service.operations.json_logs import JsonLines
from superpose.service.work.cpu_budget import be_polite, one_thread_each
from superpose.service.work.worker import Worker

__all__ = ["main", "run_worker"]

_log = logging.getLogger(__name__)

#: Exit status of a worker that did not reach a checkpoint in time.
_NOT_DRAINED = 75


def run_worker(
    config: ServiceConfig,
    *,
    worker_id: str | None = None,
    supervised: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run a worker in this process until SIGTERM or SIGINT; supervised, also until standard input ends.

    One that is used up ends, supervised, and otherwise becomes a fresh process of the same command.

    Args:
        config: the settings, as the server has them.
        worker_id: who holds the leases; random by default.
        supervised: standard input is a pipe from the parent, whose end means that the parent is gone.
        on_ready: called once the data directory has been found usable.

    Raises:
        StoreError: the data directory cannot be used, or no service has begun one there.
    """
    if not config.data_dir.is_dir() or not any(config.data_dir.iterdir()):
        raise StoreError(
            f"No service keeps its data in {config.data_dir}. Name the directory of one that runs, or start it first: "
            f"superpose serve --data-dir {config.data_dir}",
            path=str(config.data_dir),
        )
    os.umask(0o077)
    be_polite(config.worker_nice)
    one_thread_each()
    from superpose.engine import set_threads

    worker = Worker(config, worker_id, on_threads=set_threads)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker.log_facts))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    drain = _Drain(worker)
    drain.watch_signals()
    if supervised:
        drain.watch_parent()
    on_ready()
    worker.run()
    gc.freeze()  # else the end of the process looks through all of torch once more, which takes most of a second
    if worker.used_up and not supervised:  # else the supervisor starts another
        _renew()


class _Drain:
    """Stops a worker when told to, and ends the process where that takes too long."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._told = threading.Event()
        self._told_again = threading.Event()
        threading.Thread(target=self._run, name="superpose-drain", daemon=True).start()

    def tell(self, cause: str) -> None:
        """Begin the drain; told again, end it."""
        _log.info("worker %s is told to stop: %s", self._worker.worker_id, cause)
        if not self._worker.stop():
            _log.info("worker %s ends before it was ready", self._worker.worker_id)
            os._exit(0)
        (self._told_again if self._told.is_set() else self._told).set()

    def watch_signals(self) -> None:
        """Take SIGTERM and SIGINT as word to stop, from now on."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # the thread does it
        threading.Thread(target=self._read_signals, args=(reader,), name="superpose-signals", daemon=True).start()

    def watch_parent(self) -> None:
        """Take the end of standard input, whose other end the parent holds, as word to stop."""
        threading.Thread(target=self._read_parent, name="superpose-parent", daemon=True).start()

    def _read_signals(self, reader: int) -> None:
        while numbers := os.read(reader, 16):
            for number in numbers:
                if number in (signal.SIGTERM, signal.SIGINT):
                    self.tell(signal.Signals(number).name)

    def _read_parent(self) -> None:
        while os.read(0, 4096):
            pass
        self.tell("the supervisor is gone")

    def _run(self) -> None:
        self._told.wait()
        self._told_again.wait(self._worker.config.drain_s)
        self._worker.abandon()
        os._exit(_NOT_DRAINED)


def _renew() -> None:
    """Become a fresh process of the same command, under the same number."""
    _log.info("a fresh worker takes over")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # our own command


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m superpose.service.work.process``: a worker by itself, or ``--supervised``: one of a supervisor's."""
    parser = argparse.ArgumentParser(prog="python -m superpose.service.work.process", description=main.__doc__)
    parser.add_argument("--data-dir", type=Path, help="the service's data directory")
    parser.add_argument("--supervised", action="store_true", help="read settings as JSON from standard input")
    given = parser.parse_args(arguments)
    if given.supervised:
        document = json.loads(_read_line())
        run_worker(ServiceConfig.from_json(document["config"]), worker_id=str(document["worker_id"]), supervised=True)
    elif given.data_dir is None:
        parser.error("--data-dir is needed")
    else:
        run_worker(ServiceConfig(data_dir=given.data_dir))


def _read_line() -> bytes:
    """The first line of standard input, without reading ahead."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()
