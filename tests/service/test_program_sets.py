"""Program sets as durable jobs: pieces survive kill -9, failing ones are told, the rest is kept."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from tests.held import caught

import superpose
from superpose import Circuit, Observable, Parameter, ProgramGrid, ProgramSet, ProgramSetResult
from superpose.backends import LocalBackend, providers
from superpose.circuits import Capabilities, Program, ProgramResult, program_set_to_json, program_set_to_npz
from superpose.errors import (
    BackendUnknownError,
    ByteQuotaError,
    CircuitFormatError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    ProviderError,
    StateTooLargeError,
)
from superpose.service import AskedSet, FileJob, JobStatus, Principal, Role, Service, ServiceConfig
from superpose.service.program_sets.piece_store import PieceStore

from .conftest import ended, wait_for, working

a, b = Parameter("a"), Parameter("b")
CIRCUIT = Circuit(2).ry(a, 0).cx(0, 1).rx(b, 1)


@pytest.fixture
def config(tmp_path: Path, kernels: None) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", retry_first_s=0.01, max_retries=2, progress_s=0.0)


def a_set(n: int = 50, seed: int | None = 5) -> ProgramSet:
    return ProgramSet(
        [
            ProgramGrid(CIRCUIT, {"a": np.arange(n) / 10, "b": 0.3}, [Observable("ZI"), Observable("XX")], name="e"),
            ProgramGrid(Circuit(2).h(0).cx(0, 1), shots=20),
        ],
        seed=seed,
    )


def opened(service: Service, admin: Principal, made: FileJob, tmp_path: Path) -> ProgramSetResult:
    """The results in the file."""
    _, stored = service.program_sets.file(admin, made.job.id)
    path = tmp_path / f"{made.job.id}.zip"
    path.write_bytes(b"".join(stored.chunks(0, stored.n_bytes)))
    return ProgramSetResult.open(path)


def run(service: Service, admin: Principal, config: ServiceConfig, content: Any, backend: str = "local") -> FileJob:
    made = service.program_sets.submit(admin, content, AskedSet(backend=backend))
    with working(config):
        ended(service, made.job)
    return service.program_sets.get(admin, made.job.id)


@pytest.mark.parametrize("write", [program_set_to_json, program_set_to_npz])
def test_a_job_gives_what_a_run_here_gives(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path, write: Callable[[ProgramSet], Any]
) -> None:
    found = run(service, admin, config, write(a_set()))
    here = superpose.run(a_set())
    result = found.to_json()["result"]
    assert found.job.status is JobStatus.SUCCEEDED, found.job.error
    assert (result["n_bindings"], result["n_pieces"], result["n_failed"]) == (51, 2, 0)  # type: ignore[index]
    there = opened(service, admin, found, tmp_path)
    np.testing.assert_array_equal(there["e"].expectations, here["e"].expectations)
    assert there[1].counts[()] == here[1].counts[()]  # type: ignore[index]
    assert service.program_sets.list(admin).items[0].summary()["result"].keys() >= {"n_failed", "provenance"}  # type: ignore[attr-defined]
    assert "index" not in service.program_sets.list(admin).items[0].summary()["result"]  # type: ignore[operator]
    before = {path.name for path in (config.data_dir / "artifacts").iterdir()}
    service._sweep()  # what the next start does
    assert {path.name for path in (config.data_dir / "artifacts").iterdir()} == before
    service.program_sets.delete(admin, found.job.id)
    assert not list((config.data_dir / "artifacts").iterdir())
    with pytest.raises(NotFoundError, match="were deleted"):
        service.program_sets.file(admin, found.job.id)


class Flaky:
    """A backend of its own that fails where parameter a is, in tenths, in ``bad``; ``passing`` such fail once only."""

    bad: tuple[int, ...] = ()
    passing: tuple[int, ...] = ()
    seen: list[int] = []  # noqa: RUF012  # of the one that the worker makes

    @property
    def name(self) -> str:
        return "flaky"

    def capabilities(self) -> Capabilities:
        return Capabilities(max_batch=10, exact=True, state_vectors=True)

    def run(self, program: Program) -> ProgramResult:
        first = round(float(program.param_matrix()[0, 0]) * 10) if program.circuit.n_params else -1
        self.seen.append(first)
        if first in self.bad or (first in self.passing and self.seen.count(first) == 1):
            raise ProviderError("The provider is away.", provider="test", provider_job_id="q-1", retryable=True)
        return LocalBackend().run(program)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> type[Flaky]:
    """The backend, registered by name."""
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({**providers.BACKENDS, "flaky": Flaky}))
    monkeypatch.setattr(Flaky, "seen", [])
    return Flaky


def test_failing_pieces_are_retried_told_and_the_others_kept(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    tmp_path: Path,
    flaky: type[Flaky],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flaky, "bad", (20,))
    monkeypatch.setattr(flaky, "passing", (0, 40))
    found = run(service, admin, config, program_set_to_npz(a_set()), "flaky")
    assert found.job.status is JobStatus.SUCCEEDED, found.job.error
    result: Any = found.to_json()["result"]
    assert (result["n_pieces"], result["n_failed"]) == (6, 1)
    [failure] = result["failures"]
    assert (failure["grid"], failure["start"], failure["stop"]) == (0, 20, 30)
    assert (failure["code"], failure["n_tries"]) == ("backend.provider", 3)
    assert {n: flaky.seen.count(n) for n in (0, 10, 20, 30, 40, -1)} == {0: 2, 10: 1, 20: 3, 30: 1, 40: 2, -1: 1}
    there, here = opened(service, admin, found, tmp_path), superpose.run(a_set())
    assert [f.to_json() for f in there.failures] == [failure]
    failed = there["e"].failed()
    assert failed.nonzero()[0].tolist() == list(range(20, 30))
    filled = there["e"].expectations.filled()  # type: ignore[union-attr]
    np.testing.assert_array_equal(np.asarray(here["e"].expectations)[~failed], filled[~failed])
    told = [e.data for e in service.jobs.events(admin, found.job.id) if e.kind == "log"]
    assert sum("is tried again" in str(data["message"]) for data in told) == 4
    assert sum("No results" in str(data["message"]) for data in told) == 1
    monkeypatch.setattr(flaky, "bad", (-1, 0, 10, 20, 30, 40))
    whole = run(service, admin, config, program_set_to_npz(a_set()), "flaky")
    assert whole.job.status is JobStatus.FAILED
    assert whole.job.error is not None
    assert whole.job.error["code"] == "backend.piece_failed"
    with pytest.raises(ConflictError, match="is failed"):
        service.program_sets.file(admin, whole.job.id)


def test_what_is_refused_before_anything_is_computed(
    service: Service, admin: Principal, stranger: Principal, config: ServiceConfig
) -> None:
    good = program_set_to_json(a_set())
    huge = ProgramSet(ProgramGrid(Circuit(20).ry(a, 0), {"a": np.zeros(1000)}))
    refused: list[tuple[type[Exception], Any, AskedSet]] = [
        (BackendUnknownError, good, AskedSet(backend="moon")),
        (CircuitFormatError, {"format": "x"}, AskedSet()),
        (CircuitFormatError, b"no npz", AskedSet()),
        (StateTooLargeError, program_set_to_json(ProgramSet(ProgramGrid(Circuit(60)))), AskedSet()),
        (PayloadTooLargeError, program_set_to_json(huge), AskedSet()),
    ]
    for error, content, asked in refused:
        with pytest.raises(error):
            service.program_sets.submit(admin, content, asked)
    _, secret = service.keys.create(admin, role=Role.VIEWER)
    with pytest.raises(ForbiddenError):
        service.program_sets.submit(service.authenticate(secret), good, AskedSet())
    unseeded = program_set_to_json(a_set(seed=None))
    once = service.program_sets.submit(admin, unseeded, AskedSet(idempotency_key="k"))
    assert service.program_sets.submit(admin, unseeded, AskedSet(idempotency_key="k")).job.id == once.job.id
    with pytest.raises(ConflictError, match="other contents"):
        service.program_sets.submit(admin, good, AskedSet(idempotency_key="k"))
    with pytest.raises(NotFoundError):
        service.program_sets.get(stranger, once.job.id)
    with pytest.raises(ConflictError, match="Cancel it first"):
        service.program_sets.delete(admin, once.job.id)
    service.jobs.cancel(admin, once.job.id)
    service.program_sets.delete(admin, once.job.id)
    service.projects.set_quotas(admin, admin.project, {"bytes": 500})
    with pytest.raises(ByteQuotaError):
        service.program_sets.submit(admin, program_set_to_npz(a_set(1000)), AskedSet())


def pieces_of(config: ServiceConfig, job_id: str) -> dict[str, float]:
    """Pieces done, and when each was written."""
    home = config.data_dir / "jobs" / job_id
    return {path.name: path.stat().st_mtime_ns for path in home.glob("*/pieces/0*.npz")} if home.exists() else {}


WORKER = """
import json, sys
from superpose.backends import pieces
from superpose.service import ServiceConfig, run_worker
run_worker(ServiceConfig.from_json(json.loads(sys.argv[1])))
"""


def killed_in_the_middle(service: Service, config: ServiceConfig, made: FileJob, ready: Callable[[], Any]) -> None:
    """A worker process that begins the job and is killed once ``ready``."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(config.to_json())])
    try:
        caught(process.pid, ready)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    time.sleep(config.lease_s + 0.1)
    service.store.expire_leases()


@pytest.mark.slow
def test_kill_9_loses_the_piece_in_hand_and_nothing_else(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    circuit = Circuit(14)
    for qubit in range(14):
        circuit.ry(a, qubit).rx(b, qubit)
    observable = Observable({"Z" * 14: 1.0})
    values = np.random.default_rng(0).normal(size=(40_000, 2))
    whole = ProgramSet(ProgramGrid(circuit, values, observable))
    short = ServiceConfig.from_json({**config.to_json(), "lease_s": 1.0})
    made = service.program_sets.submit(admin, program_set_to_npz(whole), AskedSet())
    killed_in_the_middle(service, short, made, lambda: len(pieces_of(config, made.job.id)) >= 3)
    assert service.store.get(made.job.id).status is JobStatus.QUEUED
    done = pieces_of(config, made.job.id)
    assert 3 <= len(done) < 10
    with working(config):
        wait_for(lambda: len(pieces_of(config, made.job.id)) > len(done) or service.store.get(made.job.id).finished_at)
        later = pieces_of(config, made.job.id)
        assert ended(service, made.job, 300).status == "succeeded"
    if later:
        assert {name: later[name] for name in done} == done  # not written again
    there = opened(service, admin, service.program_sets.get(admin, made.job.id), tmp_path)
    assert there.complete
    rows = [0, 4_095, 4_096, 20_000, 39_999]
    here = superpose.run(circuit, values[rows], observables=observable).expectations
    np.testing.assert_allclose([there[0].expectations[row] for row in rows], here, atol=1e-12)  # type: ignore[index]


def test_a_piece_that_kills_workers_again_and_again_has_failed_and_the_others_go_on(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    made = service.program_sets.submit(admin, program_set_to_npz(a_set(9_000)), AskedSet())
    for attempt in range(1, 4):  # as three workers leave it that die with piece 1 in hand
        claim = wait_for(lambda: service.store.claim("worker_that_dies"))
        assert claim.attempt == attempt
        home = config.data_dir / "jobs" / made.job.id
        before = home / str(attempt - 1)
        if before.exists():
            before.rename(home / str(attempt))
        PieceStore(home / str(attempt) / "pieces").begin(1, attempt, attempt - 1)
        service.store.release_worker("worker_that_dies")
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    found = service.program_sets.get(admin, made.job.id)
    [failure] = found.to_json()["result"]["failures"]  # type: ignore[index]
    assert (failure["piece"], failure["code"], failure["n_tries"]) == (1, "service.job_crashed", 3)
    there = opened(service, admin, found, tmp_path)
    assert there["e"].failed().nonzero()[0].tolist() == list(range(4_096, 8_192))
    assert there["e"].expectations[8_192:].shape == (808, 2)  # type: ignore[index]


def test_sealed_pieces_notice_damage(tmp_path: Path) -> None:
    store = PieceStore(tmp_path / "pieces")
    store.write(3, b"content")
    store.write_failure(4, {"code": "x"})
    assert (store.read(3), store.read(4), store.failure(4)) == (b"content", None, {"code": "x"})
    path = tmp_path / "pieces" / "00000003.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    assert store.read(3) is None
    store.begin(5, 2, 1)
    assert store.left_off() == (5, 2, 1)
    store.end()
    assert store.left_off() is None


def test_results_can_be_read_without_superpose(
    service: Service, admin: Principal, config: ServiceConfig, tmp_path: Path
) -> None:
    import zipfile

    found = run(service, admin, config, program_set_to_npz(a_set()))
    _, stored = service.program_sets.file(admin, found.job.id)
    content = b"".join(stored.chunks(0, stored.n_bytes))
    place: Any = found.to_json()["result"]["index"]  # type: ignore[index]
    index = json.loads(content[place["offset"] : place["offset"] + place["n_bytes"]])
    piece = index["pieces"][0]["stored"]
    with np.load(io.BytesIO(content[piece["offset"] : piece["offset"] + piece["n_bytes"]])) as arrays:
        np.testing.assert_allclose(arrays["expectations"][:, 0], np.cos(np.arange(50) / 10), atol=1e-12)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
