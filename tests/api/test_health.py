"""Live and ready: what they say, and when ready says no."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from superpose.api import create_app
from superpose.service import Service, ServiceConfig
from superpose.trust import read_key_file


def ask(app: Any, path: str, key: str | None = None) -> tuple[int, bytes]:
    """One GET, straight into the app."""
    sent: list[dict[str, Any]] = []
    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
    }
    asyncio.run(app({**scope, "raw_path": path.encode(), "client": ("127.0.0.1", 1), "root_path": ""}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_ready_tells_of_a_store_that_is_gone_and_of_draining_and_live_of_neither(tmp_path: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", cache_s=3600)
    service = Service.open(config)
    key = read_key_file(service.admin_key_path)
    app = create_app(service)
    assert ask(app, "/v2/health/ready") == (200, b'{"ready":true}')
    assert b"superpose_store_up 1.0" in ask(app, "/metrics", key)[1]

    app.state.draining.set()
    assert ask(app, "/v2/health/ready") == (503, b'{"ready":false}')
    app.state.draining.clear()

    service.store.database.close()  # so that the next look opens the file anew
    shutil.move(config.data_dir, tmp_path / "moved")
    assert ask(app, "/v2/health/ready") == (503, b'{"ready":false}')
    assert ask(app, "/v2/health/live") == (200, b'{"live":true}')
    shutil.move(tmp_path / "moved", config.data_dir)
    assert json.loads(ask(app, "/v2/health/ready")[1]) == {"ready": True}
    service.close()
