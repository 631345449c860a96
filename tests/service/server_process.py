"""A real server in a process of its own, with real workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Self

from superpose.service import ServiceConfig

_CODE = """
import json, sys
from superpose.api import serve
from superpose.service import ServiceConfig
serve(ServiceConfig.from_json(json.loads(sys.argv[1])), port=0, on_ready=lambda url: print(url, flush=True))
"""


class ServerProcess:
    """The server of a data directory until the block ends; ``url`` is its address."""

    def __init__(self, config: ServiceConfig) -> None:
        command = [sys.executable, "-c", _CODE, json.dumps(config.to_json())]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()
