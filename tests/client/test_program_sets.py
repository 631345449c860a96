"""Program sets over HTTP: results come in the pieces that are asked for, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.held import held_training

import superpose
from superpose import Circuit, Client, Observable, Parameter, ProgramGrid, ProgramSet, ProgramSetResult
from superpose.client import SubmittedSet
from superpose.errors import ApiError, JobFailedError

from .test_service import Server

a, b = Parameter("a"), Parameter("b")
CIRCUIT = Circuit(3).ry(a, 0).cx(0, 1).rx(b, 2).cx(1, 2)
OBSERVABLES = [Observable(pauli) for pauli in ("ZII", "IZI", "ZZZ", "XXI")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("sets"), 0)
    running.start()
    yield running
    running.end(15)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with server.client() as made:
        yield made


def big(n: int) -> ProgramSet:
    return ProgramSet(
        ProgramGrid(CIRCUIT, np.random.default_rng(1).normal(size=(n // 100, 100, 2)), OBSERVABLES, name="e"), seed=1
    )


def test_run_gives_lazy_results_equal_to_a_run_here(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    result = client.run(big(20_000))
    assert isinstance(result, ProgramSetResult)
    assert [len(result.piece_list), result.complete] == [5, True]
    loaded: list[int] = []
    read = type(client.program_sets)._read_range

    def counting(self: Any, set_id: str, offset: int, n_bytes: int) -> bytes:
        loaded.append(n_bytes)
        return read(self, set_id, offset, n_bytes)

    monkeypatch.setattr(type(client.program_sets), "_read_range", counting)
    here = np.asarray(superpose.run(big(20_000))["e"].expectations)
    values = result["e"].expectations
    assert values is not None
    np.testing.assert_array_equal(values[150, 3:60:7], here[150, 3:60:7])
    assert len(loaded) == 1  # one piece of five
    assert loaded[0] < 4_096 * 4 * 8 + 2_000
    np.testing.assert_array_equal(np.asarray(values), here)
    assert len(loaded) == 5  # the first is kept


def test_files_lists_and_refusals(client: Client, tmp_path: Path) -> None:
    counts = ProgramSet([ProgramGrid(Circuit(1).h(0), shots=10), ProgramGrid(Circuit(1).x(0))], seed=2)
    made = client.program_sets.create(counts, idempotency_key="once")
    assert isinstance(made, SubmittedSet)
    assert client.program_sets.create(counts, idempotency_key="once").id == made.id
    result = client.program_sets.result(made.id, timeout_s=60)
    assert result[0].counts[()] == superpose.run(counts)[0].counts[()]  # type: ignore[index]
    path = client.program_sets.download(made.id, tmp_path)
    assert path == tmp_path / f"{made.id}.zip"
    np.testing.assert_array_equal(ProgramSetResult.open(path)[1].state_vectors, [0, 1])
    assert made.id in [one.id for one in client.program_sets.list()]
    client.program_sets.delete(made.id)
    assert client.program_sets.get(made.id).deleted
    with pytest.raises(ApiError) as caught:
        client.program_sets.result(made.id)[0].counts[()]  # type: ignore[index]
    assert caught.value.problem_code == "service.not_found"
    for wrong, code in (
        (lambda: client.program_sets.create(counts, backend="moon"), "backend.unknown"),
        (lambda: client.run(ProgramSet(ProgramGrid(Circuit(60)))), "engine.state_too_large"),
    ):
        with pytest.raises(ApiError) as caught:
            wrong()
        assert caught.value.problem_code == code
    last = client.program_sets.create(counts, after=[client.program_sets.create(big(200)).id])
    client.program_sets.wait(last.id, timeout_s=60)
    client.datasets.add_builtin("iris")
    with held_training(client, "iris") as job:
        cancelled = client.program_sets.create(big(100), after=[job.id])
        client.jobs.cancel(cancelled.id)
    with pytest.raises(JobFailedError, match=r"^Program set job_\w+ was cancelled\.$"):
        client.program_sets.wait(cancelled.id)


MEASURED = """
import resource, sys, time
import numpy as np
from superpose import Circuit, Client, Observable, Parameter, ProgramGrid, ProgramSet
from tests_client_program_sets import big
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with Client(sys.argv[1], key_file=sys.argv[2]) as client:
    made = client.program_sets.create(big(100_000))
    result = client.program_sets.result(made.id, timeout_s=600)
    before = peak()
    total, n = np.zeros(4), 0
    for piece, values in result.pieces():
        total += values.expectations.sum(axis=0)
        n += piece.n_bindings
    assert n == 100_000
    one = result["e"].expectations[500, 50]
    print(peak() - before, *total, *one)
"""


@pytest.mark.slow
def test_a_hundred_thousand_bindings_in_bounded_memory(server: Server, tmp_path: Path) -> None:
    """Reading all 3.2 MB of results piece by piece adds less than that to the client's peak memory."""
    (tmp_path / "tests_client_program_sets.py").write_text(
        "import numpy as np\nfrom superpose import *\n"
        'a, b = Parameter("a"), Parameter("b")\n'
        "CIRCUIT = Circuit(3).ry(a, 0).cx(0, 1).rx(b, 2).cx(1, 2)\n"
        'OBSERVABLES = [Observable(p) for p in ("ZII", "IZI", "ZZZ", "XXI")]\n'
        "def big(n):\n"
        "    values = np.random.default_rng(1).normal(size=(n // 100, 100, 2))\n"
        '    return ProgramSet(ProgramGrid(CIRCUIT, values, OBSERVABLES, name="e"), seed=1)\n'
    )
    key = server.home / "data" / "keys" / "admin.key"
    command = [sys.executable, "-c", MEASURED, f"http://127.0.0.1:{server.port}", str(key)]
    out = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True
    ).stdout
    grown_mib, *numbers = map(float, out.split())
    here = np.asarray(superpose.run(big(100_000))[0].expectations).reshape(-1, 4)
    np.testing.assert_allclose(numbers[:4], here.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(numbers[4:], here[50_050], atol=1e-12)
    assert grown_mib < 3
