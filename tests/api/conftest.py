"""A real server on a loopback port, over a real service in a temporary directory, and a plain HTTP client."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from superpose.api import serve
from superpose.service import FINAL, Service, ServiceConfig, Worker
from superpose.service.store.job_store import JobStore
from superpose.service.store.tables import jobs
from superpose.trust import read_key_file

MAX_BODY_BYTES = 300_000


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code, after checking that the answer is a whole problem document."""
        problem = self.json
        assert self.headers["content-type"] == "application/problem+json"
        assert problem["type"] == f"urn:superpose:problem:{problem['code']}"
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["x-request-id"]
        assert problem["title"] and problem["detail"] and isinstance(problem["details"], dict)
        return str(problem["code"])


@dataclass(frozen=True)
class Api:
    """The server under test."""

    url: str
    data_dir: Path
    admin_key: str

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=90)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        key: str | None = "admin",
    ) -> Reply:
        """One request; a body that is not bytes is sent as JSON; ``key=None`` sends none."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {self.admin_key if key == 'admin' else key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def new_key(self, **fields: Any) -> str:
        reply = self.call("POST", "/v1/keys", {"role": "editor", **fields})
        assert reply.status == 201, reply.body
        return str(reply.json["secret"])


@contextmanager
def running(config: ServiceConfig) -> Iterator[Api]:
    """A server in a thread until the block ends."""
    stop, ready = threading.Event(), queue.SimpleQueue[str | BaseException]()

    def run() -> None:
        try:
            serve(config, port=0, on_ready=ready.put, stop=stop)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        url = ready.get(timeout=120)
        if isinstance(url, BaseException):
            raise url
        yield Api(url, config.data_dir, read_key_file(config.data_dir / "keys" / "admin.key"))
    finally:
        stop.set()
        thread.join(timeout=120)
    assert not thread.is_alive()


@contextmanager
def working(data_dir: Path) -> Iterator[None]:
    """A worker in a thread, for the server over this directory, until the block ends."""
    worker = Worker(ServiceConfig(data_dir=data_dir))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(timeout=120)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One server for all tests that leave it as they found it."""
    config = ServiceConfig(
        data_dir=tmp_path_factory.mktemp("service") / "data",
        workers=0,
        max_body_bytes=MAX_BODY_BYTES,
        max_dataset_bytes=MAX_BODY_BYTES,
        cache_s=0.2,
        wrong_keys_per_minute=100_000,
    )
    with running(config) as server:
        yield server


@pytest.fixture(scope="session")
def store(api: Api) -> Iterator[JobStore]:
    """The shared server's queue, seen from another connection, as a worker sees it."""
    with Service.open(ServiceConfig(data_dir=api.data_dir), exclusive=False) as service:
        yield service.store


@pytest.fixture(autouse=True)
def queue_left_empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever job a test leaves in the shared server, no other test finds: some play the worker, who takes any."""
    queue: JobStore | None = request.getfixturevalue("store") if "api" in request.fixturenames else None
    yield
    if queue is not None:
        with queue.database.read() as connection:
            unfinished = connection.execute(select(jobs.c.id).where(jobs.c.status.not_in(sorted(FINAL)))).scalars()
            left = list(unfinished)
        for job_id in left:
            queue.cancel(job_id, actor="tests")


SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 1},
    "evaluation": {"n_splits": 2, "baseline": "logistic_regression"},
}
MIXED = "age,smoker,outcome\n" + "".join(
    f"{20 + i % 50},{'yes' if i % 3 else 'no'},{'ill' if i % 2 else 'well'}\n" for i in range(60)
)


@pytest.fixture(scope="session")
def deployed(api: Any) -> Iterator[Any]:
    """Two trained models behind endpoints: ``iris`` (numbers) and ``mixed`` (a number and a category)."""
    assert api.call("POST", "/v1/datasets", {"name": "flowers", "builtin": "iris"}).status == 201
    headers = {"Content-Type": "text/csv"}
    assert api.call("POST", "/v1/datasets?name=mixed&target=outcome", MIXED.encode(), headers).status == 201
    with working(api.data_dir):
        for model, dataset in (("iris", "flowers"), ("mixed", "mixed")):
            body = {"kind": "train", "dataset": dataset, "model": model, "spec": SPEC, "priority": 10}
            job = api.call("POST", "/v1/jobs", body).json
            while job["finished_at"] is None:
                time.sleep(0.1)
                job = api.call("GET", f"/v1/jobs/{job['id']}").json
            assert job["status"] == "succeeded", job["error"]
            assert job["model_version"] == 1
            assert api.call("POST", "/v1/endpoints", {"name": model, "model": model}).status == 201
    yield api


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts further servers: a context manager of ``ServiceConfig`` fields."""

    def make(**fields: Any) -> Any:
        return running(ServiceConfig(**{"data_dir": tmp_path / "data", "workers": 0, **fields}))

    return make
