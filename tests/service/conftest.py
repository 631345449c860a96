"""A service in a temporary directory, and its first admin."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.engine import warm
from superpose.service import (
    FINAL,
    Dataset,
    Job,
    ModelVersion,
    Principal,
    Role,
    Service,
    ServiceConfig,
    Worker,
)
from superpose.trust import read_key_file


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> ServiceConfig:
    """A new data directory, or a copy of the one with a trained model for tests that want one."""
    if "model" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("trained"), tmp_path / "data")
    return ServiceConfig(data_dir=tmp_path / "data", max_dataset_bytes=1_000_000, max_columns=50)


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[Service]:
    with Service.open(config) as opened:
        yield opened


@pytest.fixture
def admin(service: Service) -> Principal:
    return service.authenticate(read_key_file(service.admin_key_path))


@pytest.fixture
def stranger(service: Service, admin: Principal) -> Principal:
    """An admin of another project."""
    _, secret = service.keys.create(admin, project="elsewhere", role=Role.ADMIN)
    return service.authenticate(secret)


#: Small enough to train in a second, with everything that an experiment has but the slow baseline.
SMALL_SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 3, "batch_size": 32},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
}

#: Of hundreds of epochs, for a gate (``tests/held.py``) after some of them.
GATED_SPEC: dict[str, Any] = {**SMALL_SPEC, "training": {"epochs": 300, "patience": 300, "batch_size": 8}}

CSV = b"age,dose,outcome\n" + b"".join(
    b"%d,%.2f,%s\n" % (20 + i % 50, (i * 7 % 30) / 10, b"ill" if (i * 7 % 30) > 14 + i % 3 else b"well")
    for i in range(90)
)


@pytest.fixture(scope="session")
def kernels() -> None:
    """Build the engine's kernels once, so that no test's time limit includes it."""
    warm()


@contextmanager
def working(config: ServiceConfig) -> Iterator[Worker]:
    """A worker in a thread until the block ends."""
    worker = Worker(config)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(120)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], Any], timeout_s: float = 120.0) -> Any:
    """What ``condition`` gives once it is true."""
    until_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < until_s, "timed out"
        time.sleep(0.02)
    return found


def ended(service: Service, job: Job, timeout_s: float = 120.0) -> Job:
    """The job once it has ended."""

    def look() -> Job | None:
        found = service.store.get(job.id)
        return found if found.status in FINAL else None

    return wait_for(look, timeout_s)


@pytest.fixture
def dataset(service: Service, admin: Principal, kernels: None, request: pytest.FixtureRequest) -> Dataset:
    if "model" in request.fixturenames:
        return service.datasets.get(admin, "trial")
    return add_trial(service, admin)


def add_trial(service: Service, admin: Principal) -> Dataset:
    return service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")


def small_pictures(n: int = 12, side: int = 6) -> bytes:
    """A MedMNIST file of pictures that a network tells apart at a glance."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        labels = np.arange(n) % 2
        pictures = random.integers(0, 120, (n, side, side)) + 100 * labels[:, None, None]
        arrays |= {f"{part}_images": pictures.astype(np.uint8), f"{part}_labels": labels[:, None].astype(np.uint8)}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> Path:
    """A data directory with a trained model, to be copied: training once is enough for all who only want a model."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("trained") / "data")
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        dataset = add_trial(service, admin)
        train(service, admin, dataset, SMALL_SPEC)
    return config.data_dir


def train(service: Service, admin: Principal, dataset: Dataset, spec: dict[str, Any]) -> None:
    """One more version of the model ``outcome``."""
    job = service.jobs.submit(admin, "train", spec, dataset=dataset.id, model_name="outcome")
    with working(service.config):
        assert ended(service, job).status == "succeeded"


@pytest.fixture
def model(service: Service, admin: Principal, dataset: Dataset) -> ModelVersion:
    """A trained model."""
    return service.models.version(admin, "outcome")
