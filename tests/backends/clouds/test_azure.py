"""Azure Quantum's adapter against a workspace on loopback: contracts kept, nothing run twice, whatever goes wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from tests.backends.clouds.fake_azure import GROUP, KEY, SIGNATURE, SUBSCRIPTION, WORKSPACE, FakeAzure, serving
from tests.backends.clouds.outages import FLIP, check_failing_questions, check_refused_keys

from superpose.backends import LocalBackend
from superpose.backends.clouds.azure import AzureBackend, AzureProvider
from superpose.backends.clouds.azure_workspace import AzureWorkspace
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.waiting import Patience
from superpose.backends.estimates import published_prices
from superpose.circuits import Circuit, Observable, Parameter, Program, RunStatus
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError
from superpose.testing import ConformanceReport, check_queueing_backend

PUT, LIST, GET, CANCEL = "PUT jobs/*", "GET jobs", "GET jobs/*", "POST jobs/*"
SAS, UP, DOWN = "POST storage/*", "PUT blob", "GET blob"
IONQ, SIMULATOR = "ionq.qpu.forte-1", "ionq.simulator"
QIR = pytest.param(
    "quantinuum.sim.h2-1e", marks=pytest.mark.skipif(not find_spec("qdk"), reason="needs the Quantum Development Kit")
)
QUIL = pytest.param("rigetti.sim.qvm", marks=pytest.mark.skipif(not find_spec("pyquil"), reason="needs pyQuil"))
TARGETS = [SIMULATOR, IONQ, QIR, QUIL]


class Cloud:
    """The workspace, our provider of it, and the pauses it would have made."""

    def __init__(self, fake: FakeAzure) -> None:
        self.fake, self.pauses_s = fake, list[float]()
        self.provider = self.provider_with(timeout_s=60.0)

    def provider_with(self, timeout_s: float) -> AzureProvider:
        wait = self.pauses_s.append
        retry, patience = Retry(n_tries=3, sleep=wait), Patience(sleep=wait)
        return AzureProvider(timeout_s=timeout_s, retry=retry, patience=patience)

    def backend(self, name: str = IONQ) -> AzureBackend:
        return self.provider.backend(name)


def connected(url: str, key: str = KEY) -> str:
    return (
        f"SubscriptionId={SUBSCRIPTION};ResourceGroupName={GROUP};WorkspaceName={WORKSPACE};"
        f"ApiKey={key};QuantumEndpoint={url}/;"
    )


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    fake = FakeAzure()
    with serving(fake) as url:
        monkeypatch.setenv("AZURE_QUANTUM_CONNECTION_STRING", connected(url))
        yield Cloud(fake)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_it_keeps_every_contract(cloud: Cloud, name: str, conforms: Callable[..., ConformanceReport]) -> None:
    cloud.fake.questions_until_done = 0
    conforms(cloud.backend(name))


@pytest.mark.parametrize("name", TARGETS)
def test_its_queue(cloud: Cloud, name: str) -> None:
    cloud.fake.questions_until_done = 3
    check_queueing_backend(cloud.backend(name), pause_s=0.0)


@pytest.mark.parametrize("name", TARGETS)
def test_qubit_zero_is_leftmost_and_bits_follow_their_measurements(cloud: Cloud, name: str) -> None:
    assert cloud.backend(name).run(FLIP).counts == ({"011": 20},)
    crossed = Circuit(3, n_bits=4).x(2).x(1).measure(2, 0).measure(0, 1).measure(1, 3)
    assert cloud.backend(name).run(Program(crossed, shots=5)).counts == ({"1001": 5},)


@pytest.mark.parametrize("name", TARGETS)
def test_a_batch_with_observables_is_a_set_of_jobs(cloud: Cloud, name: str) -> None:
    a = Parameter("a")
    observables = [Observable({"XX": 1.0}), Observable({"ZI": 0.5, "IZ": 2.0})]
    program = Program(Circuit(2).ry(a, 0).cx(0, 1), {"a": np.linspace(0, 2, 4)}, observables, shots=4000)
    result = cloud.backend(name).run(program)
    exact = LocalBackend().run(Program(program.circuit, dict(program.params), observables)).expectations
    assert result.expectations is not None and exact is not None
    assert np.abs(result.expectations - exact).max() < 0.4  # 8 sums of means of 4000 signs; chance below 1e-12
    n_jobs = 2 if name == "rigetti.sim.qvm" else 8  # Rigetti's jobs take all values of a template
    assert cloud.fake.n_run == n_jobs == result.provenance["n_jobs"]
    assert result.provenance["cost_estimate"] == {"USD": 0.25 * n_jobs}
    assert result.provenance["elapsed_s"] == 7.75
    assert cloud.fake.requests[PUT] == cloud.fake.requests[SAS] - n_jobs - 1 == n_jobs
    assert cloud.fake.requests[UP] == n_jobs + 1


def test_a_result_is_fetched_by_another_process(cloud: Cloud) -> None:
    program = Program(Circuit(2).x(0), {}, [Observable({"ZI": 1.0, "IZ": 2.0, "II": 0.5, "XX": 0})], shots=10)
    identity = cloud.backend().submit(program, "token")
    elsewhere = cloud.provider_with(60.0).backend(IONQ)
    assert elsewhere.fetch(identity) is None
    result = elsewhere.fetch(identity)
    assert result is not None and result.expectations is not None
    assert result.expectations.tolist() == [[1.5]]
    assert result.provenance["program_digest"] == program.digest


@pytest.mark.fault("throttling", "server error", "duplicate submit")
@pytest.mark.parametrize("kind", [PUT, SAS, UP])
@pytest.mark.parametrize("fault", ["429", "500", "503", "drop before", "drop after", "cut"])
def test_a_failing_hand_over_runs_nothing_twice(cloud: Cloud, kind: str, fault: str) -> None:
    backend = cloud.backend()
    cloud.fake.faults[kind].extend([fault] * 2)
    identity = backend.submit(FLIP, "token")
    assert backend.submit(FLIP, "token") == identity == next(iter(cloud.fake.jobs))
    assert cloud.fake.n_run == 1 and backend.run(FLIP).counts == ({"011": 20},)
    if fault == "429":
        assert cloud.pauses_s[:2] == [3.0, 3.0]  # what it asked for


@pytest.mark.fault("server error", "duplicate submit")
def test_a_set_of_jobs_that_was_handed_over_in_part_is_gone_on_with(cloud: Cloud) -> None:
    backend = cloud.backend()
    a = Parameter("a")
    program = Program(Circuit(1).rx(a, 0), {"a": [0.0, np.pi, 0.0, np.pi]}, shots=5)
    cloud.fake.faults[PUT].extend(["", "", "503", "503", "503"])
    with pytest.raises(ProviderError) as broken:
        backend.submit(program, "token")
    assert broken.value.retryable and cloud.fake.n_run == 2
    cloud.fake.requests.clear()
    identity = backend.submit(program, "token")
    assert cloud.fake.n_run == 4 and cloud.fake.requests[PUT] == 2
    assert backend.status(identity) is RunStatus.RUNNING
    backend.status(identity)
    result = backend.fetch(identity)
    assert result is not None and result.counts == ({"0": 5}, {"1": 5}, {"0": 5}, {"1": 5})


@pytest.mark.fault("timeout after submit")
def test_a_job_whose_answer_timed_out_is_found(cloud: Cloud) -> None:
    cloud.fake.faults[PUT].append("hang after")
    identity = cloud.provider_with(timeout_s=2.0).backend(IONQ).submit(FLIP, "token")
    assert cloud.fake.n_run == 1 and list(cloud.fake.jobs) == [identity]


@pytest.mark.fault("throttling", "server error", "result truncated")
@pytest.mark.parametrize("kind", [GET, SAS, DOWN])
@pytest.mark.parametrize("fault", ["429", "500", "503", "drop after", "cut"])
def test_failing_questions_fail_no_job(cloud: Cloud, kind: str, fault: str) -> None:
    check_failing_questions(cloud.backend(), cloud.fake, lambda: cloud.fake.n_run, kind, fault)


@pytest.mark.fault("server error")
def test_a_run_outlasts_an_outage(cloud: Cloud) -> None:
    cloud.fake.faults[GET].extend(["503"] * 12)
    assert cloud.backend().run(FLIP).counts == ({"011": 20},)
    assert cloud.fake.n_run == 1


@pytest.mark.fault("credentials expired")
def test_keys_and_tokens_that_expire(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = cloud.backend()
    identity = backend.submit(FLIP, "token")
    cloud.fake.keys = {"renewed"}
    check_refused_keys(backend, identity, "set a new one", KEY)
    monkeypatch.setenv("AZURE_QUANTUM_CONNECTION_STRING", connected(cloud.fake.url, "renewed"))
    assert backend.status(identity) is RunStatus.RUNNING
    monkeypatch.delenv("AZURE_QUANTUM_CONNECTION_STRING")
    with pytest.raises(ProviderError, match="AZURE_QUANTUM_CONNECTION_STRING"):
        backend.status(identity)
    tokens = iter(["a-token", "a-token", "old", "a-token"])
    workspace = AzureWorkspace.named(SUBSCRIPTION, GROUP, WORKSPACE, cloud.fake.url)
    by_token = AzureProvider(workspace, token=lambda: next(tokens)).backend(IONQ)
    assert by_token.status(identity) is RunStatus.SUCCEEDED
    with pytest.raises(ProviderError, match="token counts no more"):
        by_token.status(identity)
    assert cloud.fake.n_run == 1


@pytest.mark.parametrize("fault", ["403", "503", "drop after", "404"])
def test_what_lets_into_the_storage_stands_in_no_error(cloud: Cloud, fault: str) -> None:
    backend = cloud.backend()
    cloud.fake.faults[UP].extend([fault] * 3)
    with pytest.raises(ProviderError) as failed:
        backend.submit(FLIP, "token")
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value.details)
    assert "sig=" not in told and SIGNATURE not in told and failed.value.retryable is (fault != "404")


@pytest.mark.fault("credentials expired")
def test_storage_that_lets_in_for_a_while_is_asked_again(cloud: Cloud) -> None:
    backend = cloud.backend()
    identity = backend.submit(FLIP, "token")
    cloud.fake.signature = "another+one"
    assert backend.fetch(identity) is None
    result = backend.fetch(identity)
    assert result is not None and result.counts == ({"011": 20},)


@pytest.mark.fault("job lost", "unknown status")
def test_lost_failed_and_odd_jobs(cloud: Cloud) -> None:
    backend = cloud.backend()
    lost, failed, odd, foreign = (backend.submit(FLIP, f"token {k}") for k in range(4))
    del cloud.fake.jobs[lost]
    with pytest.raises(ProviderError, match="knows no such") as gone:
        backend.fetch(lost)
    assert not gone.value.retryable
    for code, retryable in {"InvalidInputData": False, "InternalError": True}.items():
        cloud.fake.jobs[failed] |= {"status": "Failed", "errorData": {"code": code, "message": "why"}}
        with pytest.raises(ProviderError, match="why") as ended:
            backend.fetch(failed)
        assert ended.value.retryable is retryable
    cloud.fake.jobs[odd]["status"] = "Pondering"
    with pytest.raises(ProviderError, match="'Pondering'") as unknown:
        backend.status(odd)
    assert unknown.value.retryable
    cloud.fake.jobs[foreign]["metadata"] = {"theirs": "x"}
    with pytest.raises(ProviderError, match="not handed over by superpose"):
        backend.fetch(foreign)
    for name in ("../quotas", "", "a b"):
        with pytest.raises(ProviderError, match="no run"):
            backend.status(name)


@pytest.mark.fault("job lost")
def test_a_set_that_lost_a_job_is_told_and_mended(cloud: Cloud) -> None:
    backend = cloud.backend()
    program = Program(Circuit(1).rx(Parameter("a"), 0), {"a": [0.0, np.pi, np.pi]}, shots=5)
    identity = backend.submit(program, "token")
    other = next(job for job in cloud.fake.jobs if job != identity)
    del cloud.fake.jobs[other]
    with pytest.raises(ProviderError, match="2 of the 3 jobs") as lost:
        backend.status(identity)
    assert lost.value.retryable
    assert backend.submit(program, "token") == identity and cloud.fake.n_run == 3
    cloud.fake.jobs[other] |= {"status": "Failed", "errorData": {"code": "x", "message": "one of three"}}
    assert backend.status(identity) is RunStatus.FAILED
    with pytest.raises(ProviderError, match="one of three"):
        backend.fetch(identity)


@pytest.mark.fault("result truncated")
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        (IONQ, [b"{}", b'{"histogram": {}}', b'{"histogram": {"8": 1.0}}', b'{"histogram": {"6": 0.5}}', b"[1]", b"{"]),
        pytest.param(
            "quantinuum.sim.h2-1e",
            [b'{"Results": []}', b'{"Results": [{"Histogram": [{"Outcome": [0, 1], "Count": 20}]}]}',
             b'{"Results": [{"Histogram": [{"Outcome": [0, 1, 1], "Count": 19}]}]}'],
            marks=QIR.marks,
        ),
        pytest.param(
            "rigetti.sim.qvm", [b'{"ro": []}', b'{"c": [[0, 1, 1]]}', b'{"ro": [[2, 1, 1]]}'], marks=QUIL.marks
        ),
    ],
)  # fmt: skip
def test_results_that_cannot_be(cloud: Cloud, name: str, broken: list[bytes]) -> None:
    cloud.fake.questions_until_done = 0
    backend = cloud.backend(name)
    identity = backend.submit(FLIP, "token")
    assert backend.status(identity) is RunStatus.SUCCEEDED
    blobs = cloud.fake.blobs[f"job-{identity}"]
    whole = blobs["rawOutputData"]
    for blob, texts in (("rawOutputData", broken), ("superpose", [b"{}", b'{"reading": "x"}', b"["])):
        for text in texts:
            blobs[blob], kept = text, blobs[blob]
            with pytest.raises(ProviderError) as refused:
                backend.fetch(identity)
            assert refused.value.retryable and refused.value.provider_job_id == identity
            blobs[blob] = kept
    assert blobs["rawOutputData"] == whole and backend.fetch(identity) is not None


def test_cancelling(cloud: Cloud) -> None:
    backend = cloud.backend()
    cloud.fake.questions_until_done = 5
    identity = backend.submit(Program(Circuit(1).rx(Parameter("a"), 0), {"a": [0.0, 1.0]}, shots=5), "token")
    cloud.fake.faults[CANCEL].append("503")
    backend.cancel(identity)
    assert backend.status(identity) is RunStatus.CANCELLED
    assert {job["status"] for job in cloud.fake.jobs.values()} == {"Cancelled"}
    with pytest.raises(ProviderError, match="cancelled") as ended:
        backend.fetch(identity)
    assert not ended.value.retryable


def test_estimates_and_quotas_are_those_of_the_workspace(cloud: Cloud) -> None:
    program = Program(Circuit(2).h(0).cx(0, 1), {}, [Observable("XX"), Observable("ZZ")], shots=100)
    found = cloud.backend().estimate(program)
    assert found.wait_s == 397.0 and found.price_usd is None and found.notes["n_jobs"] == 2
    assert [quota["limit"] for quota in found.notes["quotas"]] == [100.0]
    assert [quota["providerId"] for quota in cloud.provider.quotas()] == ["ionq", "quantinuum"]
    assert not any(job["status"] for job in cloud.fake.jobs.values())


def test_the_list(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {info.name.removeprefix("azure:"): info for info in cloud.provider.list()}
    assert {name: (info.kind, info.n_qubits, info.status) for name, info in lines.items()} == {
        "ionq.simulator": ("simulator", 29, "online"),
        "ionq.qpu.forte-1": ("qpu", 36, "online"),
        "quantinuum.qpu.h2-1": ("qpu", 56, "offline"),
        "quantinuum.sim.h2-1e": ("emulator", 20, "online"),
        "rigetti.sim.qvm": ("simulator", 20, "online"),
    }  # without what takes no circuits, or checks their syntax only
    with pytest.raises(BackendUnknownError, match=r"it has ionq\.qpu\.forte-1"):
        cloud.provider.backend("pasqal.sim.emu-tn")
    cloud.fake.faults["GET providerStatus"].append("500")
    (line,) = cloud.provider.list()
    assert line.status == "unavailable" and "500" in line.note
    cloud.fake.requests.clear()
    for text in ("", "ApiKey=x;WorkspaceName=w"):
        monkeypatch.setenv("AZURE_QUANTUM_CONNECTION_STRING", text)
        (line,) = cloud.provider.list()
        assert line.status == "unavailable" and "AZURE_QUANTUM_CONNECTION_STRING" in line.note
    assert not cloud.fake.requests


def test_the_region_is_told_by_the_endpoint() -> None:
    for url, region in (
        ("https://westus.quantum.azure.com/", "westus"),
        ("https://eastus-v2.quantum.azure.com", "eastus"),
        ("https://example.org", None),
    ):
        workspace = AzureWorkspace.named("s", "g", "w", url)
        assert workspace.region == region


def test_published_prices_are_found_by_its_names() -> None:
    prices = published_prices()
    for name in ("azure:ionq.qpu.forte-1", "azure:ionq.simulator", "azure:rigetti.qpu.cepheus-1-108q"):
        assert prices.find(name) is not None


def test_what_cannot_run_is_refused_before_anything_is_sent(cloud: Cloud) -> None:
    backend = cloud.backend()
    cloud.fake.requests.clear()
    many = Program(Circuit(1).rx(Parameter("a"), 0), {"a": np.zeros(501)}, shots=5)
    two = Program(many.circuit, {"a": np.zeros(300)}, [Observable("X"), Observable("Z")], shots=5)
    for program in (
        Program(Circuit(37).h(0), shots=5),
        Program(Circuit(1).h(0)),
        Program(Circuit(1).h(0), shots=10_001),
        Program(Circuit(1, n_bits=1).measure(0, 0).x(0), shots=5),
        many,
        two,
    ):
        with pytest.raises(UnsupportedProgramError):
            backend.submit(program, "token")
    assert not cloud.fake.requests


def test_keys_go_nowhere_in_the_clear() -> None:
    workspace = AzureWorkspace.named(SUBSCRIPTION, GROUP, WORKSPACE, "http://westus.quantum.azure.com")
    with pytest.raises(ProviderError, match="https"):
        AzureProvider(workspace).backend(IONQ)
