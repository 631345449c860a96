"""What the rival and the no-op route share: one API key, looked up by its SHA-256, and uvicorn as superpose runs it."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException

__all__ = ["authenticated", "serve"]

_PROJECTS = {hashlib.sha256(os.environ.get("BENCH_KEY", "").encode()).hexdigest(): "default"}


def authenticated(authorization: Annotated[str, Header()] = "") -> str:
    """The project of the request's key."""
    scheme, _, key = authorization.partition(" ")
    project = _PROJECTS.get(hashlib.sha256(key.encode()).hexdigest())
    if scheme.lower() != "bearer" or project is None:
        raise HTTPException(401)
    return project


def serve(app: FastAPI) -> None:
    """Serve on a free port, with the settings that superpose gives uvicorn, and say where."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=512,
        timeout_keep_alive=30,
    )
    uvicorn.Server(config).run(sockets=[listening])
