"""IonQ's adapter against its API on loopback: contracts kept, nothing run twice, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.backends.clouds.fake_ionq import KEY, FakeIonQ, serving
from tests.backends.clouds.outages import FLIP, check_failing_questions, check_refused_keys

from superpose.backends import LocalBackend
from superpose.backends.clouds.ionq import IonQBackend, IonQProvider
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.waiting import Patience
from superpose.circuits import CalibratedBackend, Circuit, Estimate, Observable, Parameter, Program, RunStatus
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError
from superpose.testing import ConformanceReport, check_queueing_backend

POST, LIST, GET, RESULT, CANCEL = "POST jobs", "GET jobs", "GET jobs/*", "GET jobs/*/*/*", "PUT jobs/*/*/*"


class Cloud:
    """The service, our provider of it, and the pauses it would have made."""

    def __init__(self, fake: FakeIonQ, url: str) -> None:
        self.fake, self.url, self.pauses_s = fake, url, list[float]()
        self.provider = self.provider_with(timeout_s=60.0)

    def provider_with(self, timeout_s: float) -> IonQProvider:
        wait = self.pauses_s.append
        patience = Patience(sleep=wait)
        return IonQProvider(self.url, timeout_s=timeout_s, retry=Retry(n_tries=3, sleep=wait), patience=patience)

    def backend(self, name: str = "qpu.forte-1") -> IonQBackend:
        return self.provider.backend(name)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    fake = FakeIonQ()
    with serving(fake) as url:
        yield Cloud(fake, url)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simulator", "qpu.forte-1"])
def test_it_keeps_every_contract(cloud: Cloud, name: str, conforms: Callable[..., ConformanceReport]) -> None:
    cloud.fake.questions_until_done = 0
    conforms(cloud.backend(name))


@pytest.mark.parametrize("name", ["simulator", "qpu.forte-1"])
def test_its_queue(cloud: Cloud, name: str) -> None:
    cloud.fake.questions_until_done = 3
    check_queueing_backend(cloud.backend(name), pause_s=0.0)


def test_noise_models_are_emulators(cloud: Cloud) -> None:
    emulator = cloud.backend("simulator:forte-1")
    program = Program(Circuit(2).h(0).cx(0, 1), shots=1000, seed=2**40 + 7)
    result = emulator.run(program)
    assert result.counts is not None and set(result.counts[0]) == {"00", "01", "10", "11"}
    assert emulator.run(program).counts == result.counts
    assert cloud.fake.payloads[0]["noise"] == {"model": "forte-1", "seed": 7}
    assert result.provenance["seed"] == 2**40 + 7


def test_the_whole_program_is_one_job(cloud: Cloud) -> None:
    a = Parameter("a")
    observables = [Observable({"XX": 1.0}), Observable({"ZI": 0.5, "IZ": 2.0})]
    program = Program(Circuit(2).ry(a, 0).cx(0, 1), {"a": np.linspace(0, 1, 40)}, observables, shots=4000)
    backend = cloud.backend()
    cloud.fake.requests.clear()
    result = backend.run(program)
    exact = LocalBackend().run(Program(Circuit(2).ry(a, 0).cx(0, 1), {"a": np.linspace(0, 1, 40)}, observables))
    assert result.expectations is not None and exact.expectations is not None
    assert np.abs(result.expectations - exact.expectations).max() < 0.4  # 80 means of 4000 signs; chance below 1e-12
    assert len(cloud.fake.payloads[0]["input"]["circuits"]) == 80
    assert cloud.fake.requests == {LIST: 1, POST: 1, GET: 3, RESULT: 1}


def test_qubit_zero_is_leftmost_and_bits_follow_their_measurements(cloud: Cloud) -> None:
    for name in ("simulator", "qpu.forte-1"):
        assert cloud.backend(name).run(FLIP).counts == ({"011": 20},)
        crossed = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
        assert cloud.backend(name).run(Program(crossed, shots=5)).counts == ({"10": 5},)


def test_a_result_is_fetched_by_another_process(cloud: Cloud) -> None:
    program = Program(Circuit(2).x(0), {}, [Observable({"ZI": 1.0, "IZ": 2.0, "II": 0.5})], shots=10)
    identity = cloud.backend().submit(program, "token")
    elsewhere = cloud.provider_with(60.0).backend("qpu.forte-1")
    assert elsewhere.fetch(identity) is None
    result = elsewhere.fetch(identity)
    assert result is not None and result.expectations is not None
    assert result.expectations.tolist() == [[1.5]]
    assert result.provenance["program_digest"] == program.digest


@pytest.mark.fault("duplicate submit")
def test_the_token_is_found_behind_many_other_jobs(cloud: Cloud) -> None:
    backend = cloud.backend()
    ids = [backend.submit(FLIP, f"token {k}") for k in range(7)]
    elsewhere = cloud.provider_with(60.0).backend("qpu.forte-1")
    assert [elsewhere.submit(FLIP, f"token {k}") for k in range(7)] == ids
    assert cloud.fake.n_run == 7


def test_old_jobs_are_not_looked_through(cloud: Cloud) -> None:
    backend = cloud.backend()
    for k in range(6):
        identity = backend.submit(FLIP, f"old {k}")
        cloud.fake.jobs[identity]["submitted_at"] = f"2026-01-0{k + 1}T00:00:00.000Z"
    cloud.fake.requests.clear()
    backend.submit(FLIP, "new")
    assert cloud.fake.requests[LIST] == 1 and cloud.fake.n_run == 7


@pytest.mark.fault("throttling", "server error", "duplicate submit")
@pytest.mark.parametrize("fault", ["429", "503", "drop before", "500", "502", "drop after", "cut"])
def test_a_failing_hand_over_runs_nothing_twice(cloud: Cloud, fault: str) -> None:
    backend = cloud.backend()
    cloud.fake.faults[POST].append(fault)
    if fault in ("500", "502", "drop before"):  # nobody knows what became of it, and no job is listed
        with pytest.raises(ProviderError, match="same token") as unsure:
            backend.submit(FLIP, "token")
        assert unsure.value.retryable and cloud.fake.n_run == 0
    identity = backend.submit(FLIP, "token")
    assert backend.submit(FLIP, "token") == identity
    assert cloud.fake.n_run == 1
    if fault == "429":
        assert cloud.pauses_s == [3.0]  # what it asked for


@pytest.mark.fault("timeout after submit")
def test_a_job_whose_answer_timed_out_is_found(cloud: Cloud) -> None:
    cloud.fake.faults[POST].append("hang after")
    identity = cloud.provider_with(timeout_s=2.0).backend("qpu.forte-1").submit(FLIP, "token")
    assert cloud.fake.n_run == 1 and list(cloud.fake.jobs) == [identity]


@pytest.mark.fault("throttling", "server error", "result truncated")
@pytest.mark.parametrize("kind", [GET, RESULT])
@pytest.mark.parametrize("fault", ["429", "500", "503", "drop after", "cut"])
def test_failing_questions_fail_no_job(cloud: Cloud, kind: str, fault: str) -> None:
    check_failing_questions(cloud.backend(), cloud.fake, lambda: cloud.fake.n_run, kind, fault)


@pytest.mark.fault("server error")
def test_a_run_outlasts_an_outage(cloud: Cloud) -> None:
    cloud.fake.faults[GET].extend(["503"] * 12)
    assert cloud.backend().run(FLIP).counts == ({"011": 20},)
    assert cloud.fake.n_run == 1


@pytest.mark.fault("credentials expired")
def test_credentials_that_expire(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = cloud.backend()
    identity = backend.submit(FLIP, "token")
    cloud.fake.keys = {"renewed"}
    check_refused_keys(backend, identity, "set a new one", KEY)
    monkeypatch.delenv("IONQ_API_KEY")
    with pytest.raises(ProviderError, match="IONQ_API_KEY"):
        backend.status(identity)
    monkeypatch.setenv("IONQ_API_KEY", "renewed")
    assert backend.status(identity) is RunStatus.RUNNING
    assert cloud.fake.n_run == 1


@pytest.mark.fault("job lost", "unknown status")
def test_lost_failed_and_odd_jobs(cloud: Cloud) -> None:
    backend = cloud.backend()
    ids = [backend.submit(FLIP, f"token {k}") for k in range(4)]
    lost, failed, odd, foreign = ids
    del cloud.fake.jobs[lost]
    with pytest.raises(ProviderError, match="knows no such") as gone:
        backend.fetch(lost)
    assert not gone.value.retryable
    for code, retryable in {"InvalidInput": False, "QuantumComputerError": True}.items():
        cloud.fake.jobs[failed] |= {"status": "failed", "failure": {"code": code, "message": "why"}}
        with pytest.raises(ProviderError, match="why") as ended:
            backend.fetch(failed)
        assert ended.value.retryable is retryable
    cloud.fake.jobs[odd]["status"] = "pondering"
    with pytest.raises(ProviderError, match="'pondering'") as unknown:
        backend.status(odd)
    assert unknown.value.retryable
    cloud.fake.jobs[foreign]["metadata"] = {"theirs": "x"}
    backend.status(foreign), backend.status(foreign)
    with pytest.raises(ProviderError, match="not handed over by superpose"):
        backend.fetch(foreign)
    for name in ("../whoami", "", "a b"):
        with pytest.raises(ProviderError, match="no run"):
            backend.status(name)


@pytest.mark.fault("result truncated")
def test_results_that_cannot_be(cloud: Cloud) -> None:
    backend = cloud.backend()
    identity = backend.submit(FLIP, "token")
    backend.status(identity)
    job = cloud.fake.jobs[identity]
    whole = job["_aggregate"]
    (child,) = whole
    for broken in ({}, {child: {}}, {child: {"6": 0.5}}, {child: {"8": 1.0}}, {child: {"x": 1.0}}, {child: [1]}):
        job["_aggregate"] = broken
        with pytest.raises(ProviderError) as refused:
            backend.fetch(identity)
        assert refused.value.retryable and refused.value.provider_job_id == identity
    job["_aggregate"] = whole
    assert backend.fetch(identity) is not None


def test_cancelling(cloud: Cloud) -> None:
    backend = cloud.backend()
    cloud.fake.questions_until_done = 5
    identity = backend.submit(FLIP, "token")
    cloud.fake.faults[CANCEL].append("503")
    backend.cancel(identity)
    assert backend.status(identity) is RunStatus.CANCELLED
    with pytest.raises(ProviderError, match="cancelled") as ended:
        backend.fetch(identity)
    assert not ended.value.retryable


def test_estimates_are_those_of_the_account(cloud: Cloud) -> None:
    found = cloud.backend().estimate(
        Program(Circuit(2).h(0).cx(0, 1), {}, [Observable("XX"), Observable("ZZ")], shots=100)
    )
    assert isinstance(found, Estimate) and found.wait_s == 397.577 and found.run_s == 2 * 96.25
    assert found.price_usd == pytest.approx(2 * 100 * (2 * 0.00003 + 0.0003))  # h, and a basis change in one of two


def test_calibration(cloud: Cloud) -> None:
    processor = cloud.backend()
    assert isinstance(processor, CalibratedBackend)
    found = processor.calibration()
    assert found.taken_at == datetime(2026, 6, 16, tzinfo=UTC) and found.n_qubits == 36
    assert found.by_gate[("rzz", (2, 0))].error == pytest.approx(0.006)
    assert found.by_gate[("u", (1,))].duration_ns == pytest.approx(130_000)
    assert found.qubits[0].flip0 == pytest.approx(0.0038) and found.qubits[0].t1_us == 1e8
    assert not isinstance(cloud.backend("simulator"), CalibratedBackend)


def test_the_list(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {info.name: info for info in cloud.provider.list()}
    assert (lines["ionq:simulator"].kind, lines["ionq:simulator"].n_qubits) == ("simulator", 29)
    assert (lines["ionq:simulator:forte-1"].kind, lines["ionq:simulator:forte-1"].n_qubits) == ("emulator", 36)
    assert lines["ionq:qpu.forte-1"].status == "online" and lines["ionq:qpu.forte-enterprise-1"].status == "offline"
    assert "ionq:qpu.aria-1" not in lines  # retired
    cloud.fake.faults["GET backends"].append("500")
    (line,) = cloud.provider.list()
    assert line.status == "unavailable" and "500" in line.note
    monkeypatch.delenv("IONQ_API_KEY")
    cloud.fake.requests.clear()
    (line,) = cloud.provider.list()
    assert line.status == "unavailable" and "IONQ_API_KEY" in line.note
    assert not cloud.fake.requests
    with pytest.raises(BackendUnknownError, match=r"it has qpu\.aria-1"):
        cloud.provider.backend("qpu.none")


def test_what_cannot_run_is_refused_before_anything_is_sent(cloud: Cloud) -> None:
    backend = cloud.backend()
    cloud.fake.requests.clear()
    a = Parameter("a")
    deep = Circuit(2)
    for _ in range(300):
        deep.rx(a, 0).cx(0, 1)
    for program in (
        Program(Circuit(37).h(0), shots=5),
        Program(Circuit(1).h(0)),
        Program(Circuit(1, n_bits=1).measure(0, 0).x(0), shots=5),
        Program(deep, {"a": np.zeros(300)}, shots=5),
    ):
        with pytest.raises(UnsupportedProgramError):
            backend.submit(program, "token")
    assert not cloud.fake.requests


def test_keys_go_nowhere_in_the_clear() -> None:
    for url in ("http://api.ionq.co/v0.4", "ftp://127.0.0.1"):
        with pytest.raises(ProviderError, match="https"):
            IonQProvider(url)
