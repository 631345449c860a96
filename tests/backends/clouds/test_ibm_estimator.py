"""IBM's estimator through its real client against a server that speaks its wire, and in the package's local mode."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.backends.clouds.ibm_fixtures import JOBS, opened, platform, provider, server
from tests.backends.clouds.ibm_server import Platform

import superpose
from superpose.backends import LocalBackend
from superpose.backends.clouds.ibm import IbmOptions, IbmProvider
from superpose.circuits import Circuit, Observable, Parameter, Program, RunStatus
from superpose.errors import ProviderError, UnsupportedProgramError
from superpose.testing import conformance

pytest.importorskip("qiskit_ibm_runtime", reason="needs qiskit-ibm-runtime")

__all__ = ["platform", "server"]  # fixtures

A, B = Parameter("a"), Parameter("b")
CIRCUIT = Circuit(3).ry(A, 0).cx(0, 2).rx(2 * B + 0.1, 1)  # each qubit is in another state
OBSERVABLES = (Observable({"ZII": 1.0, "IXI": 0.5, "III": 0.25}), Observable({"ZIX": 1.0}), Observable("IYI"))
VALUES = {"a": np.linspace(0.1, 1.0, 12), "b": 0.4}
SHOTS = 4000


def asked(**parts: Any) -> Program:
    return Program(CIRCUIT, VALUES, OBSERVABLES, **{"shots": SHOTS, **parts})


def sent(platform: Platform, job: str = "job-0") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(platform.jobs[job].params)
    return found


@pytest.mark.slow
def test_it_keeps_the_contracts_over_the_wire(platform: Platform) -> None:
    platform.words = ("Queued", "Running", "Completed")
    backend = opened(platform, primitive="estimator")
    conformance(backend, pause_s=0.0).require()


def test_all_observables_go_as_one_pub_and_come_back_in_their_places(platform: Platform) -> None:
    backend = opened(platform, primitive="estimator", resilience_level=2)
    assert backend.name == "ibm:estimator:ibm_manila"
    result = backend.run(asked())
    exact = LocalBackend().run(asked(shots=None)).expectations
    assert result.expectations is not None and exact is not None
    assert np.abs(result.expectations - exact).max() < 6 * 1.75 / SHOTS**0.5  # 36 numbers, six standard errors
    errors = np.asarray(result.provenance["standard_errors"])
    assert errors.shape == (12, 3) and result.provenance["primitive"] == "estimator"
    assert platform.count("POST", JOBS) == 1
    assert platform.jobs["job-0"].body["program_id"] == "estimator"
    document = sent(platform)
    assert len(document["pubs"]) == 1 and document["resilience_level"] == 2
    assert document["options"]["default_shots"] == SHOTS
    assert backend.n_compiled == 1


def test_a_circuit_without_parameters_and_other_batches(platform: Platform) -> None:
    backend = opened(platform, primitive="estimator")
    flipped = Program(Circuit(2).x(1), {}, [Observable("ZI"), Observable("IZ"), Observable({"II": 3.0})], shots=100)
    found = backend.run(flipped).expectations
    assert found is not None and found == pytest.approx(np.array([[1.0, -1.0, 3.0]]), abs=0.6) and found[0, 2] == 3.0
    nothing = Observable({}, n_qubits=2)
    found = backend.run(Program(Circuit(2).x(1), {}, [nothing, Observable("IZ")], shots=100)).expectations
    assert found is not None and found[0, 0] == 0.0 and found[0, 1] == pytest.approx(-1.0, abs=0.6)
    assert "resilience_level" not in sent(platform)
    unused = Program(Circuit(1).rz(A, 0).ry(0.5, 0), {"a": [1.0, 2.0]}, [Observable("Z")], shots=1000)
    found = backend.run(unused).expectations
    assert found is not None and found.shape == (2, 1) and found == pytest.approx(np.cos(0.5), abs=0.2)


def test_what_the_estimator_does_not_take_goes_to_the_sampler(platform: Platform) -> None:
    backend = opened(platform, primitive="estimator")
    assert backend.run(Program(Circuit(3).x(1).x(2), shots=50)).counts == ({"011": 50},)
    again = Circuit(1, n_bits=1).x(0).measure(0, 0).x(0)
    reset = Circuit(1).x(0).reset(0)
    for circuit, token in ((again, "t"), (reset, "u")):
        backend.submit(Program(circuit, {}, [Observable("Z")], shots=50), token)  # the server cannot run these
    assert [job.body["program_id"] for job in platform.jobs.values()] == ["sampler"] * 3
    measured = Circuit(1, n_bits=1).x(0).measure(0, 0)  # at its end, which changes no expectation
    backend.submit(Program(measured, {}, [Observable("Z")], shots=50), "v")
    assert platform.jobs["job-3"].body["program_id"] == "estimator"


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_another_process_reads_estimates_by_their_id(platform: Platform, keeps_metadata: bool) -> None:
    platform.keeps_metadata = keeps_metadata
    first = opened(platform, primitive="estimator")
    program = asked(seed=1)
    provider_job_id = first.submit(program, "token-1")
    assert first.submit(program, "token-1") == provider_job_id and len(platform.jobs) == 1
    other = opened(platform)  # which would sample
    assert other.status(provider_job_id) is RunStatus.SUCCEEDED
    result = other.fetch(provider_job_id)
    assert result is not None and result.expectations is not None and result.expectations.shape == (12, 3)
    assert result.provenance["program_digest"] == program.digest
    by_name = provider(platform, None, platform.service).backend("estimator:ibm_manila")
    assert by_name.name == "ibm:estimator:ibm_manila"
    again = by_name.fetch(provider_job_id)
    assert again is not None and np.array_equal(again.expectations, result.expectations)  # type: ignore[arg-type]


def test_estimates_that_are_missing_or_no_numbers_are_refused(platform: Platform) -> None:
    backend = opened(platform, primitive="estimator")
    one = backend.submit(asked(), "t")
    short = backend.submit(Program(CIRCUIT, {"a": [0.1, 0.2], "b": 0.4}, OBSERVABLES, shots=SHOTS), "u")
    assert backend.fetch(one) is not None and backend.fetch(short) is not None
    whole = platform.jobs[one].results
    platform.jobs[one].results = platform.jobs[short].results.replace("circuit_metadata", "gone")
    with pytest.raises(ProviderError, match="expectations that cannot be read") as caught:
        backend.fetch(one)
    assert caught.value.retryable and caught.value.provider_job_id == one
    platform.jobs[one].results = whole[: len(whole) // 2]
    with pytest.raises(ProviderError) as caught:
        backend.fetch(one)
    assert caught.value.retryable
    platform.jobs[one].results = whole
    assert backend.fetch(one) is not None


def test_a_lost_answer_and_a_failure_of_the_server_run_nothing_twice(platform: Platform) -> None:
    backend = opened(platform, primitive="estimator", mode="session")
    platform.fail("POST", f"{JOBS}$", status=504, after=True)
    assert backend.submit(asked(), "t") == "job-0"
    platform.fail("POST", f"{JOBS}$", status=503)
    assert backend.submit(asked(), "u") == "job-1" and len(platform.jobs) == 2
    assert {job.body["session_id"] for job in platform.jobs.values()} == {backend.session_id}


def test_options_that_cannot_be_are_refused() -> None:
    for wrong in ({"primitive": "guess"}, {"resilience_level": 1}, {"primitive": "estimator", "resilience_level": 3}):
        with pytest.raises(UnsupportedProgramError):
            IbmOptions(**wrong)  # type: ignore[arg-type]


def test_local_mode_estimates_too() -> None:
    pytest.importorskip("qiskit_aer", reason="IBM's local mode needs Qiskit Aer")
    backend = IbmProvider().backend("estimator:fake_manila")
    bell = Circuit(2).h(0).cx(0, 1)
    program = Program(bell, {}, [Observable("ZZ"), Observable("ZI"), Observable({"XX": 2.0})], shots=4000, seed=3)
    result = backend.run(program)
    assert result.expectations is not None and result.provenance["backend"] == "ibm:estimator:fake_manila"
    assert np.abs(result.expectations - [[1.0, 0.0, 2.0]]).max() < 0.35  # its noise
    assert np.abs(result.expectations[0, 0]) < 1.0 and len(result.provenance["standard_errors"][0]) == 3
    mitigating = IbmProvider(options=IbmOptions(primitive="estimator", resilience_level=1)).backend("fake_manila")
    with pytest.raises(UnsupportedProgramError, match="local mode mitigates nothing"):
        mitigating.run(program)
    assert superpose.run(program, backend="ibm:estimator:fake_manila").expectations is not None


@pytest.mark.slow
def test_local_mode_keeps_the_contracts() -> None:
    pytest.importorskip("qiskit_aer", reason="IBM's local mode needs Qiskit Aer")
    backend = IbmProvider().backend("estimator:fake_manila")
    conformance(backend, pause_s=0.01, tolerance=0.3, leave_out=["gates"]).require()  # half a minute
