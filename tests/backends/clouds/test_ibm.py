"""IBM's real client against a server that speaks its wire: contract, faults, sessions, results read elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.backends.clouds.ibm_fixtures import JOBS, NAME, opened, platform, provider, server
from tests.backends.clouds.ibm_server import API_KEY, Platform

from superpose.backends import LocalBackend
from superpose.backends.clouds.ibm import IbmOptions, IbmProvider
from superpose.backends.estimates.estimating import calibrated_estimate, estimate_program
from superpose.circuits import Circuit, Observable, Parameter, Program, Provider, RunStatus, SessionBackend
from superpose.errors import BackendUnknownError, ProviderError
from superpose.testing import ConformanceReport

pytest.importorskip("qiskit_ibm_runtime", reason="needs qiskit-ibm-runtime")

__all__ = ["platform", "server"]  # fixtures

FLIP = Program(Circuit(3).x(1).x(2), shots=50)


@pytest.mark.slow
def test_it_keeps_every_contract_over_the_wire(platform: Platform, conforms: Callable[..., ConformanceReport]) -> None:
    platform.words = ("Queued", "Running", "Completed")
    conforms(opened(platform))


def test_a_template_goes_once_and_its_values_as_an_array(platform: Platform) -> None:
    backend = opened(platform)
    a, b = Parameter("a"), Parameter("b")
    circuit = Circuit(3).ry(a, 0).cx(0, 2).rx(2 * b + 0.1, 1)
    observables = [Observable({"ZII": 1.0, "IXI": 0.5, "III": 0.25}), Observable({"ZIX": 1.0})]
    values = {"a": np.linspace(0.1, 1.0, 12), "b": 0.4}
    for seed in range(2):
        program = Program(circuit, values, observables, shots=4000, seed=seed)
        found, exact = backend.run(program).expectations, LocalBackend().run(Program(circuit, values, observables))
        assert found is not None and np.abs(found - exact.expectations).max() < 0.15
    assert platform.count("POST", JOBS) == 2  # of 24 circuits each
    assert backend.n_compiled == 1
    assert backend.run(FLIP).counts == ({"011": 50},)


def test_it_says_what_it_is(platform: Platform) -> None:
    source = provider(platform)
    assert isinstance(source, Provider)
    (line,) = source.list()
    assert (line.name, line.kind, line.status, line.n_qubits) == (NAME, "qpu", "online", 5)
    assert line.calibration_at is not None and "7 jobs" in line.note and line.region == "us-east"
    backend = source.backend("ibm_manila")
    assert (backend.region, source.backend("fake_manila").region) == ("us-east", "here")
    able = backend.capabilities()
    assert able.native_gates == {"cx", "id", "rz", "sx", "x"} and (0, 1) in (able.connectivity or ())
    assert able.pricing is not None and able.pricing.per_second_usd == 1.60 and able.max_shots == 100_000
    calibration = backend.calibration()
    assert calibration.taken_at.isoformat() == "2024-05-27T18:27:23+00:00"
    assert calibration.qubits[0].t1_us == pytest.approx(131.5286) and calibration.qubits[0].flip1 == pytest.approx(
        0.0548
    )
    assert backend.queue().n_ahead == 7
    with pytest.raises(BackendUnknownError, match="ibm_manila"):
        source.backend("ibm_nowhere")


def test_another_plan_has_another_price_or_none(platform: Platform) -> None:
    for plan, price in (("Open", 0.0), ("On-prem", None)):
        platform.plan = plan
        pricing = provider(platform).backend("ibm_manila").capabilities().pricing
        assert (pricing and pricing.per_second_usd) == price


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_another_process_reads_the_result_by_its_id_alone(platform: Platform, keeps_metadata: bool) -> None:
    platform.keeps_metadata = keeps_metadata
    program = Program(Circuit(2).x(1), {}, [Observable("IZ"), Observable("ZI")], shots=10)
    provider_job_id = opened(platform).submit(program, "token-1")
    result = opened(platform).fetch(provider_job_id)
    assert result is not None and result.expectations is not None
    assert result.expectations.tolist() == [[-1.0, 1.0]]
    assert result.provenance["program_digest"] == program.digest
    assert result.provenance["provider_job_id"] == provider_job_id


@pytest.mark.fault("throttling")
def test_throttling_is_waited_out_as_asked(platform: Platform) -> None:
    pauses: list[float] = []
    backend = opened(platform, pauses)
    platform.fail("POST", f"{JOBS}$", status=429, headers={"Retry-After": "12"}, times=2)
    assert backend.submit(FLIP, "t") == "job-0"
    assert pauses == [12.0, 12.0] and len(platform.jobs) == 1


@pytest.mark.fault("server error")
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_failures_of_the_server_are_tried_again(platform: Platform, status: int) -> None:
    backend = opened(platform)
    platform.fail("POST", f"{JOBS}$", status=status)
    assert backend.submit(FLIP, "t") == "job-0"
    assert platform.count("POST", JOBS) == 2


@pytest.mark.fault("duplicate submit")
@pytest.mark.parametrize("status", [None, 504])
def test_a_job_whose_answer_was_lost_is_found_and_not_run_twice(platform: Platform, status: int | None) -> None:
    backend = opened(platform)
    platform.fail("POST", f"{JOBS}$", status=status, after=True)
    assert backend.submit(FLIP, "t") == "job-0"
    assert len(platform.jobs) == 1 and platform.count("POST", JOBS) == 1
    assert opened(platform).submit(FLIP, "t") == "job-0"  # from another process
    assert backend.submit(FLIP, "another") == "job-1"
    assert backend.fetch("job-0") is not None and platform.jobs["job-0"].n_runs == 1


@pytest.mark.fault("timeout after submit")
def test_a_job_whose_answer_timed_out_is_found_and_not_run_twice(platform: Platform) -> None:
    backend = opened(platform, timeout_s=2.0)
    platform.fail("POST", f"{JOBS}$", status=None, after=True, hangs=True)
    assert backend.submit(FLIP, "t") == "job-0"
    platform.released.set()
    assert len(platform.jobs) == 1 and platform.count("POST", JOBS) == 1


@pytest.mark.fault("server error")
def test_a_service_that_stays_away_is_told_as_passing(platform: Platform) -> None:
    pauses: list[float] = []
    backend = opened(platform, pauses)
    platform.fail("POST", f"{JOBS}$", status=503, times=99)
    with pytest.raises(ProviderError, match="status 503") as caught:
        backend.submit(FLIP, "t")
    assert caught.value.retryable and pauses == [0.5, 1.0, 2.0] and not platform.jobs


@pytest.mark.fault("throttling", "server error")
@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"status": None}])
def test_a_status_that_cannot_be_read_fails_no_job(platform: Platform, how: dict[str, Any]) -> None:
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    platform.fail("GET", f"{JOBS}/job-0", **how)
    assert backend.status(provider_job_id) is RunStatus.SUCCEEDED
    platform.fail("GET", f"{JOBS}/job-0", times=99, **how)
    for ask in (backend.status, backend.fetch):
        with pytest.raises(ProviderError) as caught:
            ask(provider_job_id)
        assert caught.value.retryable and caught.value.provider_job_id == provider_job_id
    platform.faults.clear()
    assert backend.fetch(provider_job_id) is not None


@pytest.mark.fault("unknown status")
def test_an_unknown_word_is_no_end(platform: Platform) -> None:
    platform.words = ("Pondering", "Pondering", "Completed")
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    with pytest.raises(ProviderError, match="PONDERING") as caught:
        backend.status(provider_job_id)
    assert caught.value.retryable
    platform.jobs[provider_job_id].words = ["Completed"]
    assert backend.fetch(provider_job_id) is not None


def test_words_of_the_service_are_ours(platform: Platform) -> None:
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    for word, status in {
        "Queued": RunStatus.QUEUED, "Running": RunStatus.RUNNING, "Completed": RunStatus.SUCCEEDED,
        "Failed": RunStatus.FAILED, "Cancelled": RunStatus.CANCELLED,
    }.items():  # fmt: skip
        platform.jobs[provider_job_id].words = [word]
        assert backend.status(provider_job_id) is status


def test_a_failed_run_says_why_and_is_over(platform: Platform) -> None:
    platform.words = ("Failed",)
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    with pytest.raises(ProviderError, match="the circuit was too long") as caught:
        backend.fetch(provider_job_id)
    assert not caught.value.retryable and caught.value.provider_job_id == provider_job_id


def test_a_failed_run_whose_reason_is_gone_has_failed_all_the_same(platform: Platform) -> None:
    platform.words = ("Failed",)
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    platform.fail("GET", "/results", status=404, times=99)
    assert backend.status(provider_job_id) is RunStatus.FAILED
    with pytest.raises(ProviderError, match="has failed") as caught:
        backend.fetch(provider_job_id)
    assert not caught.value.retryable


@pytest.mark.fault("job lost")
def test_a_lost_job_is_told(platform: Platform) -> None:
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    platform.jobs.clear()
    for ask in (backend.fetch, backend.status, backend.cancel):
        with pytest.raises(ProviderError, match="knows no job") as caught:
            ask(provider_job_id)
        assert not caught.value.retryable


def half(text: str) -> str:
    return text[: len(text) // 2]


@pytest.mark.fault("result truncated")
@pytest.mark.parametrize("change", [half, lambda _: "", lambda _: "{}"])
def test_a_broken_result_is_asked_for_again_and_used_in_no_part(platform: Platform, change: Any) -> None:
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    platform.fail("GET", "/results", change=change, times=99)
    with pytest.raises(ProviderError) as caught:
        backend.fetch(provider_job_id)
    assert caught.value.retryable and caught.value.provider_job_id == provider_job_id
    platform.faults.clear()
    found = backend.fetch(provider_job_id)
    assert found is not None and found.counts == ({"011": 50},)


@pytest.mark.fault("result truncated")
def test_missing_entries_of_a_result_are_noticed(platform: Platform) -> None:
    backend = opened(platform)
    theta = Parameter("theta")
    program = Program(Circuit(1).ry(theta, 0), {"theta": [0.1, 0.2, 0.3]}, shots=20)
    provider_job_id = backend.submit(program, "t")
    other = backend.submit(Program(Circuit(1).ry(theta, 0), {"theta": [0.1, 0.2]}, shots=20), "u")
    backend.fetch(provider_job_id)
    backend.fetch(other)
    platform.jobs[provider_job_id].results = platform.jobs[other].results.replace("circuit_metadata", "gone")
    with pytest.raises(ProviderError, match="counts of 2 circuits, asked were 3") as caught:
        opened(platform).fetch(provider_job_id)
    assert caught.value.retryable and caught.value.provider_job_id == provider_job_id


@pytest.mark.fault("credentials expired")
def test_expired_credentials_are_told_without_the_key(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    platform.fail("GET", f"{JOBS}", status=401, times=99)
    caplog.set_level(logging.DEBUG)
    for ask in (lambda: backend.submit(FLIP, "u"), lambda: backend.fetch(provider_job_id)):
        with pytest.raises(ProviderError, match="Renew QISKIT_IBM_TOKEN") as caught:
            ask()
        assert not caught.value.retryable
        assert API_KEY not in str(caught.value) + repr(caught.value.details)
    assert API_KEY not in repr(backend) + repr(provider(platform))
    assert API_KEY not in "".join(record.getMessage() for record in caplog.records if "superpose" in record.name)


def test_a_key_that_ibm_does_not_know_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "another-key-that-nobody-may-print")
    with pytest.raises(ProviderError, match="Renew QISKIT_IBM_TOKEN") as caught:
        provider(platform).backend("ibm_manila")
    assert not caught.value.retryable and "nobody" not in str(caught.value)
    (line,) = provider(platform).list()
    assert line.status == "unavailable"


@pytest.mark.fault("server error")
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/search"), ("GET", "/configuration"), ("GET", "/properties"), ("GET", "/instances/usage")],
)
def test_faults_while_opening_are_waited_out(platform: Platform, method: str, path: str) -> None:
    pauses: list[float] = []
    platform.fail(method, path, status=503)
    backend = provider(platform, pauses).backend("ibm_manila")
    assert backend.submit(FLIP, "t") == "job-0"
    assert len(pauses) == 1 and not platform.faults


@pytest.mark.parametrize(
    ("fault", "paused_s"),
    [
        ({"status": 429, "headers": {"Retry-After": "12"}}, 12.0),
        ({"status": 502}, 0.5),
        ({"status": None}, 0.5),
        ({"change": lambda text: text[: len(text) // 2]}, 0.5),
    ],
)
def test_faults_of_the_list_of_backends_are_waited_out(
    platform: Platform, fault: dict[str, Any], paused_s: float
) -> None:
    """Throttled, broken behind the gateway, dropped, cut short: the package itself would take it for an empty list."""
    pauses: list[float] = []
    source = provider(platform, pauses)
    assert [line.name for line in source.list()] == [NAME]  # opened
    platform.fail("GET", "/backends$", **fault)
    assert [line.name for line in source.list()] == [NAME] and pauses == [paused_s] and not platform.faults
    platform.fail("GET", "/backends$", **fault)
    assert source.backend("ibm_manila").name == NAME and pauses == [paused_s] * 2
    platform.fail("GET", "/backends$", times=99, **fault)
    (line,) = source.list()
    assert (line.name, line.status) == ("ibm", "unavailable") and "Local mode" in line.note
    with pytest.raises(ProviderError) as caught:
        source.backend("ibm_manila")
    assert caught.value.retryable
    platform.faults.clear()
    assert [line.status for line in source.list()] == ["online"]


def test_credentials_that_expire_before_the_list_is_asked_for(platform: Platform) -> None:
    pauses: list[float] = []
    source = provider(platform, pauses)
    assert len(source.list()) == 1
    platform.fail("GET", "/backends$", status=401, times=99)
    (line,) = source.list()
    assert line.status == "unavailable" and "Renew QISKIT_IBM_TOKEN" in line.note and API_KEY not in line.note
    with pytest.raises(ProviderError, match="Renew QISKIT_IBM_TOKEN") as caught:
        source.backend("ibm_manila")
    assert not caught.value.retryable and not pauses


def test_a_processor_with_ecr_shows_and_calibrates_it() -> None:
    pytest.importorskip("qiskit_aer", reason="IBM's local mode needs Qiskit Aer")
    backend = IbmProvider().backend("fake_sherbrooke")
    native = backend.capabilities().native_gates
    assert native is not None and "ecr" in native and "cx" not in native
    calibration = backend.calibration()
    pairs = {
        qubits: row for (name, qubits), row in (((g.gate, g.qubits), g) for g in calibration.gates) if name == "ecr"
    }
    assert len(pairs) == 144 and all(row.duration_ns for row in pairs.values())
    circuit = backend.transpiled(Circuit(2).h(0).cx(0, 1))
    used = [(item.gate, item.qubits) for item in circuit.instructions if getattr(item, "gate", "") == "ecr"]
    assert len(used) == 1 and used[0][1] in pairs
    estimate = estimate_program(Program(Circuit(2).h(0).cx(0, 1), shots=100), backend, kind="emulator")
    assert estimate.fidelity is not None and 0.8 < estimate.fidelity < 1.0 and estimate.notes["placed_by"] == "backend"
    placed = calibrated_estimate(Program(Circuit(3).h(0).cx(0, 1).cx(1, 2), shots=100), calibration)
    assert 0.7 < placed.total < 1.0


def test_no_account_is_a_line_of_the_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    saved = tmp_path / ".qiskit" / "qiskit-ibm.json"
    monkeypatch.setattr("qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(saved))
    for content in (None, "{}", "no JSON"):
        if content is not None:
            saved.parent.mkdir(exist_ok=True)
            saved.write_text(content)
        (line,) = IbmProvider().list()
        assert line.status == "unavailable" and line.kind == "qpu" and "ibm:fake_manila" in line.note
        assert ("There is no account" in line.note) == (content != "no JSON")


def test_only_https_or_loopback() -> None:
    for url in ("http://example.org/api/v1", "ftp://127.0.0.1.example.org"):
        with pytest.raises(ProviderError, match="https://"):
            IbmProvider(url).backend("ibm_manila")


def test_what_waits_can_be_called_off_and_what_has_ended_stays(platform: Platform) -> None:
    platform.words = ("Queued",)
    backend = opened(platform)
    provider_job_id = backend.submit(FLIP, "t")
    assert backend.fetch(provider_job_id) is None
    backend.cancel(provider_job_id)
    assert backend.status(provider_job_id) is RunStatus.CANCELLED
    with pytest.raises(ProviderError, match="called off"):
        backend.fetch(provider_job_id)
    platform.words = ("Completed",)
    ended = backend.submit(FLIP, "u")
    backend.cancel(ended)
    assert backend.fetch(ended) is not None


@pytest.mark.parametrize(("mode", "word"), [("session", "dedicated"), ("batch", "batch")])
def test_a_loop_keeps_one_session(platform: Platform, mode: Any, word: str) -> None:
    backend = opened(platform, mode=mode, max_session_s=600)
    for step in range(3):
        assert backend.run(Program(Circuit(1).x(0), shots=5, seed=step)).counts == ({"1": 5},)
    (session,) = platform.sessions.values()
    assert session["mode"] == word and session["max_ttl"] == 600
    assert {job.body["session_id"] for job in platform.jobs.values()} == {backend.session_id}
    backend.close()
    assert not session["accepting_jobs"] and backend.session_id is None


def test_a_session_is_taken_up_and_closed_by_whoever_knows_its_id(platform: Platform) -> None:
    loop = opened(platform).in_session()
    assert isinstance(loop, SessionBackend)
    assert loop.session_id == "session-0"  # opened before anything is handed over
    loop.submit(FLIP, "t")
    other = opened(platform).in_session("session-0")
    other.submit(FLIP, "u")
    assert {job.body["session_id"] for job in platform.jobs.values()} == {"session-0"}
    opened(platform).in_session("session-0").close()  # has handed nothing over
    assert not platform.sessions["session-0"]["accepting_jobs"]
    other.submit(FLIP, "v")
    assert other.session_id == "session-1"
    local = IbmProvider().backend("fake_manila").in_session()
    assert local.session_id is None
    local.close()


def test_a_loop_goes_on_in_its_session_from_another_process(platform: Platform) -> None:
    first = opened(platform, mode="session")
    first.submit(FLIP, "t")
    second = opened(platform, mode="session", session_id=first.session_id)
    second.submit(FLIP, "u")
    assert {job.body["session_id"] for job in platform.jobs.values()} == {"session-0"}
    platform.end_session("session-0")
    third = opened(platform, mode="session", session_id="session-0")  # which has ended meanwhile
    third.submit(FLIP, "v")
    assert platform.jobs["job-2"].body["session_id"] == "session-1"


def test_a_session_that_has_ended_is_followed_by_another(platform: Platform) -> None:
    backend = opened(platform, mode="session")
    backend.submit(FLIP, "t")
    platform.end_session("session-0")
    assert backend.submit(FLIP, "u") == "job-1"
    assert backend.session_id == "session-1" and len(platform.jobs) == 2


def test_local_mode_runs_without_an_account_or_wire() -> None:
    pytest.importorskip("qiskit_aer", reason="IBM's local mode needs Qiskit Aer")
    backend = IbmProvider(options=IbmOptions(mode="session")).backend("fake_manila")
    assert backend.name == "ibm:fake_manila" and backend.capabilities().simulator
    result = backend.run(Program(Circuit(3).x(1).x(2), shots=2000, seed=3))
    assert result.counts is not None and max(result.counts[0], key=lambda bits: result.counts[0][bits]) == "011"
    assert result.counts == backend.run(Program(Circuit(3).x(1).x(2), shots=2000, seed=3)).counts
    assert backend.calibration().n_qubits == 5
    with pytest.raises(BackendUnknownError, match="fake_manila"):
        IbmProvider().backend("fake_nowhere")


@pytest.mark.slow
def test_local_mode_keeps_every_contract(conforms: Callable[..., ConformanceReport]) -> None:
    pytest.importorskip("qiskit_aer", reason="IBM's local mode needs Qiskit Aer")
    conforms(IbmProvider().backend("fake_manila"), tolerance=0.3, pause_s=0.01, leave_out=["gates"])  # half a minute
