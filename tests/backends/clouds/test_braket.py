"""Braket's adapter against its service model on loopback and moto's S3; and Braket's simulators of this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from superpose.backends import LocalBackend
from superpose.backends.clouds.braket import BraketDevice, BraketProvider, region_of
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.waiting import Patience
from superpose.backends.prices import price_run
from superpose.backends.residency.regions import REGIONS
from superpose.circuits import Circuit, Observable, Parameter, Program, RunStatus
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError
from superpose.testing import ConformanceReport, check_queueing_backend

pytest.importorskip("braket.aws", reason="amazon-braket-sdk is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto is not installed")

import boto3  # noqa: E402  # comes with Braket
from tests.backends.clouds.fake_braket import FakeBraket, serving  # noqa: E402
from tests.backends.clouds.outages import FLIP, check_failing_questions  # noqa: E402

CREATE, GET, CANCEL = "CreateQuantumTask", "GetQuantumTask", "CancelQuantumTask"
BUCKET = "amazon-braket-of-the-test"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """moto's S3 on loopback."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class Cloud:
    """The services, our provider of them, and the pauses it would have made."""

    def __init__(self, fake: FakeBraket) -> None:
        self.fake, self.pauses_s = fake, list[float]()
        self.provider = self.provider_with(timeout_s=60.0)

    def provider_with(self, timeout_s: float) -> BraketProvider:
        wait = self.pauses_s.append
        retry, patience = Retry(n_tries=3, sleep=wait), Patience(sleep=wait)
        return BraketProvider(timeout_s=timeout_s, retry=retry, patience=patience)

    def device(self) -> BraketDevice:
        found = self.provider.backend("Imagined-1")
        assert isinstance(found, BraketDevice)
        return found


@pytest.fixture
def cloud(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-test", "AWS_REGION": "us-west-1",
        "AWS_DEFAULT_REGION": "us-west-1", "AWS_ENDPOINT_URL_S3": s3_url, "AMZN_BRAKET_OUT_S3_BUCKET": BUCKET,
        "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-1"})
    fake = FakeBraket(lambda bucket, key, content: s3.put_object(Bucket=bucket, Key=key, Body=content.encode()))
    with serving(fake) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BRAKET", url)
        yield Cloud(fake)
    for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=row["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.mark.slow
def test_it_keeps_every_contract_in_the_cloud(cloud: Cloud, conforms: Callable[..., ConformanceReport]) -> None:
    cloud.fake.questions_until_done = 0
    conforms(cloud.device())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local_sv", "local_dm"])
def test_it_keeps_every_contract_on_this_machine(name: str, conforms: Callable[..., ConformanceReport]) -> None:
    conforms(BraketProvider().backend(name))


def test_its_queue(cloud: Cloud) -> None:
    cloud.fake.questions_until_done = 3
    check_queueing_backend(cloud.device(), pause_s=0.0)


@pytest.mark.parametrize("in_files", [False, True])
def test_the_whole_program_is_one_quantum_task(cloud: Cloud, in_files: bool) -> None:
    cloud.fake.in_files = in_files
    a = Parameter("a")
    circuit, values = Circuit(2).ry(a, 0).cx(0, 1), {"a": np.linspace(0, 1, 6)}
    observables = [Observable({"XX": 1.0}), Observable({"ZI": 0.5, "IZ": 2.0})]
    device = cloud.device()
    cloud.fake.requests.clear()
    result = device.run(Program(circuit, values, observables, shots=4000))
    exact = LocalBackend().run(Program(circuit, values, observables))
    assert result.expectations is not None and exact.expectations is not None
    assert np.abs(result.expectations - exact.expectations).max() < 0.4  # 12 means of 4000 signs; chance below 1e-12
    assert cloud.fake.requests == {CREATE: 1, GET: 3}


def test_qubit_zero_is_leftmost_and_bits_follow_their_measurements(cloud: Cloud) -> None:
    for backend in (cloud.device(), cloud.provider.backend("local_sv"), cloud.provider.backend("local_dm")):
        assert backend.run(FLIP).counts == ({"011": 20},)
        crossed = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
        assert backend.run(Program(crossed, shots=5)).counts == ({"10": 5},)


@pytest.mark.fault("duplicate submit")
def test_a_result_is_fetched_by_another_process(cloud: Cloud) -> None:
    program = Program(Circuit(2).x(0), {}, [Observable({"ZI": 1.0, "IZ": 2.0, "II": 0.5})], shots=10)
    arn = cloud.device().submit(program, "token")
    elsewhere = cloud.provider_with(60.0).backend("Imagined-1")
    assert isinstance(elsewhere, BraketDevice) and elsewhere.fetch(arn) is None
    result = elsewhere.fetch(arn)
    assert result is not None and result.expectations is not None
    assert result.expectations.tolist() == [[1.5]]
    assert result.provenance["program_digest"] == program.digest
    assert elsewhere.submit(program, "token") == arn and cloud.fake.n_run == 1


@pytest.mark.fault("throttling", "server error", "duplicate submit")
@pytest.mark.parametrize(
    "fault",
    ["ThrottlingException", "InternalServiceException", "DeviceOfflineException", "drop before", "drop after", "cut"],
)
def test_a_failing_hand_over_runs_nothing_twice(cloud: Cloud, fault: str) -> None:
    device = cloud.device()
    cloud.fake.faults[CREATE].extend([fault] * 2)
    arn = device.submit(FLIP, "a token that is longer than the sixty-four characters that Braket takes")
    assert list(cloud.fake.runs) == [arn] and len(cloud.pauses_s) == 2
    cloud.fake.faults[CREATE].extend([fault] * 3)  # as many as there are tries
    with pytest.raises(ProviderError) as passing:
        device.submit(FLIP, "another")
    assert passing.value.retryable
    device.submit(FLIP, "another")
    assert cloud.fake.n_run == 2


@pytest.mark.fault("timeout after submit")
def test_a_quantum_task_whose_answer_timed_out_is_not_run_again(cloud: Cloud) -> None:
    device = cloud.provider_with(timeout_s=2.0).backend("Imagined-1")
    cloud.fake.faults[CREATE].append("hang after")
    assert isinstance(device, BraketDevice)
    arn = device.submit(FLIP, "token")
    assert list(cloud.fake.runs) == [arn]


@pytest.mark.fault("throttling", "server error")
@pytest.mark.parametrize("fault", ["ThrottlingException", "InternalServiceException", "drop after", "cut"])
def test_failing_questions_fail_no_run(cloud: Cloud, fault: str) -> None:
    check_failing_questions(cloud.device(), cloud.fake, lambda: cloud.fake.n_run, GET, fault)


@pytest.mark.fault("credentials expired")
@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDeniedException"])
def test_credentials_that_expire(cloud: Cloud, code: str) -> None:
    device = cloud.device()
    arn = device.submit(FLIP, "token")
    for kind, call in ((GET, device.status), (CREATE, lambda _: device.submit(FLIP, "other"))):
        cloud.fake.faults[kind].append(code)
        with pytest.raises(ProviderError, match="Renew the AWS credentials") as refused:
            call(arn)
        assert not refused.value.retryable and "the-secret" not in repr(refused.value) + str(refused.value)
    assert device.status(arn) is RunStatus.RUNNING and cloud.fake.n_run == 1


@pytest.mark.fault("job lost", "unknown status")
def test_lost_failed_and_odd_runs(cloud: Cloud) -> None:
    device = cloud.device()
    lost, failed, odd, foreign = (device.submit(FLIP, f"token {k}") for k in range(4))
    del cloud.fake.runs[lost]
    with pytest.raises(ProviderError, match="no such quantum task") as gone:
        device.fetch(lost)
    assert not gone.value.retryable
    cloud.fake.runs[failed]["status"] = "FAILED"
    with pytest.raises(ProviderError, match="it melted"):
        device.fetch(failed)
    cloud.fake.runs[odd]["status"] = "PONDERING"
    with pytest.raises(ProviderError, match="'PONDERING'") as unknown:
        device.status(odd)
    assert unknown.value.retryable
    cloud.fake.runs[foreign]["asked"]["tags"] = {"theirs": "x"}
    cloud.fake.runs[foreign]["left"] = 0
    with pytest.raises(ProviderError, match="not handed over by superpose"):
        device.fetch(foreign)


@pytest.mark.fault("result truncated")
def test_results_that_are_missing_or_cut_short(cloud: Cloud) -> None:
    device = cloud.device()
    arn = device.submit(FLIP, "token")
    cloud.fake.runs[arn]["status"] = "COMPLETED"
    with pytest.raises(ProviderError, match="NoSuchKey") as missing:
        device.fetch(arn)
    assert missing.value.retryable
    cloud.fake.store(arn)
    at = f"superpose/{arn.rpartition('/')[2]}/results.json"
    whole = boto3.client("s3").get_object(Bucket=BUCKET, Key=at)["Body"].read().decode()
    for broken in (whole[: len(whole) // 2], "{}", "[]", whole.replace('"measuredQubits": [2', '"measuredQubits": [3')):
        cloud.fake.put(BUCKET, at, broken)
        with pytest.raises(ProviderError, match="Fetch it again") as cut:
            device.fetch(arn)
        assert cut.value.retryable and cut.value.provider_job_id == arn
    cloud.fake.put(BUCKET, at, whole)
    assert device.fetch(arn) is not None


def test_cancelling(cloud: Cloud) -> None:
    device = cloud.device()
    cloud.fake.questions_until_done = 5
    arn = device.submit(FLIP, "token")
    cloud.fake.faults[CANCEL].append("ThrottlingException")
    device.cancel(arn)
    assert device.status(arn) is RunStatus.CANCELLED
    with pytest.raises(ProviderError, match="cancelled") as ended:
        device.fetch(arn)
    assert not ended.value.retryable


def test_prices_are_those_of_the_device(cloud: Cloud) -> None:
    device = cloud.device()
    pricing = device.capabilities().pricing
    assert pricing is not None and pricing.per_shot_usd == 0.0009 and pricing.as_of.isoformat() == "2026-10-01"
    program = Program(Circuit(2).h(0), {}, [Observable("XX"), Observable("ZZ")], shots=100)
    assert device.estimate(program).price_usd == pytest.approx(0.30 + 2 * 100 * 0.0009)
    reserved = price_run(program, device)  # what a budget sets aside: one fee for the one program set
    assert reserved is not None and reserved.usd == device.estimate(program).price_usd
    assert reserved.per_submission_usd == 0.30 and reserved.per_shot_usd == pytest.approx(2 * 0.0009)
    assert cloud.fake.n_run == 0


def test_the_list(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {info.name: info for info in cloud.provider.list()}
    assert (lines["braket:local_sv"].status, lines["braket:Imagined-1"].kind) == ("online", "qpu")
    assert (lines["braket:local_sv"].region, lines["braket:Imagined-1"].region) == ("here", cloud.device().region)
    assert cloud.device().region in REGIONS and not cloud.device().capabilities().simulator
    assert region_of("arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet", "us-east-1") == "eu-north-1"
    assert region_of("arn:aws:braket:::device/quantum-simulator/amazon/sv1", "us-east-1") == "us-east-1"
    with pytest.raises(BackendUnknownError, match="it has local_sv, local_dm, Imagined-1"):
        cloud.provider.backend("none")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    lines = {info.name: info for info in cloud.provider.list()}
    assert lines["braket:local_sv"].status == "online" and lines["braket:*"].status == "unavailable"
    assert "AWS_ACCESS_KEY_ID" in lines["braket:*"].note


def test_what_cannot_run_is_refused_before_anything_is_sent(cloud: Cloud) -> None:
    device, plain = cloud.device(), cloud.provider.backend("Plain")
    cloud.fake.requests.clear()
    for backend, program, told in (
        (device, Program(Circuit(1).h(0)), "give shots"),
        (device, Program(Circuit(1).rx(Parameter("a"), 0), {"a": np.zeros(101)}, shots=5), "the backend takes 100"),
        (device, Program(Circuit(1).rx(Parameter("a"), 0), {"a": np.zeros(50)}, shots=5000), "shots in all"),
        (device, Program(Circuit(1, n_bits=1).measure(0, 0).x(0), shots=5), "in the middle"),
        (plain, FLIP, "no program sets"),
    ):
        with pytest.raises(UnsupportedProgramError, match=told):
            backend.run(program)
    assert not cloud.fake.requests
