"""Rigetti's simulators: PyQVM in this process, the QVM over HTTP; the contract, and whatever goes wrong on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

qcs_sdk = pytest.importorskip("qcs_sdk", reason="needs Rigetti's client")
pytest.importorskip("pyquil", reason="needs pyQuil")

from tests.backends.clouds.fake_qvm import VERSION, FakeQvm, serving  # noqa: E402

from superpose.backends import LocalBackend  # noqa: E402
from superpose.backends.clouds.retry import Retry  # noqa: E402
from superpose.backends.clouds.rigetti import RigettiBackend, RigettiProvider  # noqa: E402
from superpose.backends.providers import find_backend  # noqa: E402
from superpose.circuits import Circuit, Observable, Parameter, Program  # noqa: E402
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError  # noqa: E402
from superpose.testing import ConformanceReport  # noqa: E402

FLIP = Program(Circuit(3).x(1).cx(1, 2), shots=20, seed=3)
SHOTS, STATE = "multishot", "wavefunction"


class Server:
    """The QVM, our provider of it, and the pauses it would have made."""

    def __init__(self, fake: FakeQvm, url: str) -> None:
        self.fake, self.url, self.pauses_s = fake, url, list[float]()

    def provider(self, timeout_s: float = 60.0) -> RigettiProvider:
        return RigettiProvider(self.url, timeout_s=timeout_s, retry=Retry(n_tries=3, sleep=self.pauses_s.append))

    def backend(self, timeout_s: float = 60.0) -> RigettiBackend:
        return self.provider(timeout_s).backend("qvm")


@pytest.fixture
def server() -> Iterator[Server]:
    fake = FakeQvm()
    with serving(fake) as url:
        yield Server(fake, url)


@pytest.fixture(params=["pyqvm", "qvm"])
def backend(request: pytest.FixtureRequest, server: Server) -> RigettiBackend:
    return server.provider().backend(request.param)


@pytest.mark.slow
def test_every_contract(conforms: Callable[..., ConformanceReport]) -> None:
    conforms(RigettiProvider().backend("pyqvm"))


@pytest.mark.slow
def test_every_contract_over_http(server: Server, conforms: Callable[..., ConformanceReport]) -> None:
    conforms(server.backend())


def test_qubit_zero_is_leftmost_and_bits_follow_their_measurements(backend: RigettiBackend) -> None:
    assert backend.run(FLIP).counts == ({"011": 20},)
    crossed = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
    assert backend.run(Program(crossed, shots=5)).counts == ({"10": 5},)


def test_measurement_in_the_middle_reset_and_feed_forward(backend: RigettiBackend) -> None:
    again = Circuit(2, n_bits=3).x(0).x(1).measure(0, 0).reset(0).measure(0, 1).barrier(0, 1).delay(50.0, 1)
    asked = again.if_((0, 1), 2, Circuit(2).x(1), Circuit(2).h(1)).measure(1, 2)
    assert backend.run(Program(asked, shots=6)).counts == ({"100": 6},)
    theta = Parameter("theta")
    fed = Circuit(2, n_bits=2).ry(theta, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    result = backend.run(Program(fed, {"theta": [0.0, np.pi, np.pi / 2]}, shots=400, seed=1))
    assert result.counts is not None and result.counts[:2] == ({"00": 400}, {"11": 400})
    assert set(result.counts[2]) == {"00", "11"}
    with pytest.raises(UnsupportedProgramError, match="give shots"):
        backend.run(Program(fed, {"theta": 0.0}, [Observable("ZI")]))


def test_exact_values_of_a_batch_agree_with_the_engine(backend: RigettiBackend) -> None:
    a, b = Parameter("c"), Parameter("pi_")  # the first one is what a writer would call the bits
    circuit = Circuit(3).ry(a, 0).cx(0, 2).rx(2 * b + 0.1, 1).cp(a - b, 2, 1).sdg(0).u(a, b, 0.3, 2)
    observables = [Observable({"ZII": 1.0, "IXY": 0.5, "III": 0.25}), Observable({"YIX": 1.0})]
    program = Program(circuit, {"c": [0.3, 1.2, -0.4], "pi_": [1e-7, 0.6, -2.5]}, observables)
    exact, found = LocalBackend().run(program).expectations, backend.run(program).expectations
    assert exact is not None and found is not None and np.abs(found - exact).max() < 1e-12


def test_a_template_is_one_text_and_its_values_are_moves(server: Server) -> None:
    theta = Parameter("theta")
    program = Program(Circuit(2).ry(2 * theta, 0).cx(0, 1), {"theta": [0.1, 0.2]}, [Observable("XX")], shots=10)
    server.backend().run(program)
    texts = [one["compiled-quil"] for one in server.fake.taken if one["type"] == SHOTS]
    different = [
        (one, other) for one, other in zip(*(text.splitlines() for text in texts), strict=True) if one != other
    ]
    assert different == [("MOVE p0[0] 0.1", "MOVE p0[0] 0.2")]
    assert server.fake.requests == {"info": 1, SHOTS: 2, "version": 1}


def test_the_server_is_one_that_rigettis_own_client_talks_to(server: Server) -> None:
    """The fake against qcs-sdk: the same programs, requests of the same form, the same results."""
    client = qcs_sdk.qvm.QVMClient.new_http(server.url)
    assert qcs_sdk.qvm.api.get_version_info(client) == VERSION
    text = "DECLARE theta REAL[1]\nDECLARE ro BIT[2]\nRY(theta) 0\nCNOT 0 1\nMEASURE 0 ro[0]\nMEASURE 1 ro[1]\n"
    every = {"ro": qcs_sdk.qvm.api.AddressRequest.include_all()}
    found = qcs_sdk.qvm.run(text, 7, every, {"theta": [np.pi]}, client, rng_seed=5)
    assert found.memory["ro"].as_ndarray().tolist() == [[1, 1]] * 7
    theta = Parameter("theta")
    circuit = Circuit(2, n_bits=2).ry(theta, 0).cx(0, 1).measure(0, 0).measure(1, 1)
    server.backend().run(Program(circuit, {"theta": np.pi}, shots=7))
    theirs, ours = [one for one in server.fake.taken if one["type"] == SHOTS]
    assert theirs.keys() == ours.keys() and ours["trials"] == theirs["trials"] == 7
    moved = [[line for line in one["compiled-quil"].splitlines() if "MOVE" in line] for one in (theirs, ours)]
    assert [line.split()[1:] for line in moved[0]] == [["theta[0]", str(np.pi)]]
    assert [line.split()[1:] for line in moved[1]] == [["p0[0]", str(np.pi)]]
    request = qcs_sdk.qvm.api.WavefunctionRequest("X 0\nI 1\n")
    state = np.frombuffer(bytes(qcs_sdk.qvm.api.get_wavefunction(request, client)), ">c16")
    assert state.tolist() == [0, 1, 0, 0]  # qubit 0 is its lowest bit
    with pytest.raises(qcs_sdk.qvm.QVMError, match="QVM reported a problem"):
        qcs_sdk.qvm.run("DECLARE ro BIT[1]\nNO-SUCH-GATE 0\n", 7, every, {}, client)


@pytest.mark.fault("throttling", "server error", "result truncated")
@pytest.mark.parametrize("kind", [SHOTS, STATE])
@pytest.mark.parametrize("fault", ["429", "500", "503", "drop before", "drop after", "cut"])
def test_failures_that_may_pass_are_tried_again(server: Server, kind: str, fault: str) -> None:
    backend = server.backend()
    program = FLIP if kind == SHOTS else Program(Circuit(3).x(1).cx(1, 2))
    server.fake.faults[kind].extend([fault] * 2)
    result = backend.run(program)
    if kind == SHOTS:
        assert result.counts == ({"011": 20},)
    else:
        assert result.state_vectors is not None and np.abs(result.state_vectors[0][3] - 1) < 1e-12
    assert server.fake.requests[kind] == 3 and len(server.pauses_s) == 2
    if fault == "429":
        assert server.pauses_s == [3.0, 3.0]  # what it asked for
    server.fake.faults[kind].extend([fault] * 3)  # as many as there are tries
    with pytest.raises(ProviderError) as passing:
        backend.run(program)
    assert passing.value.retryable and passing.value.details["provider"] == "rigetti"


@pytest.mark.fault("timeout after submit")
def test_an_answer_that_is_late_is_asked_for_again(server: Server) -> None:
    backend = server.backend(timeout_s=2.0)
    server.fake.faults[SHOTS].append("hang after")
    assert backend.run(FLIP).counts == ({"011": 20},)
    assert server.fake.requests[SHOTS] == 2


@pytest.mark.fault("result truncated")
@pytest.mark.parametrize(
    "memory", [{}, {"ro": []}, {"ro": [[0, 1, 1]]}, {"ro": [[0, 1]] * 20}, {"ro": [[0, 1, 2]] * 20}]
)
def test_results_that_cannot_be(server: Server, memory: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.backends.clouds.fake_qvm.multishot", lambda asked: memory)
    with pytest.raises(ProviderError, match="cannot be read") as refused:
        server.backend().run(FLIP)
    assert refused.value.retryable


def test_what_it_refuses_is_not_sent_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(asked: object) -> object:
        raise ValueError("Could not allocate 2 qubits")

    monkeypatch.setattr("tests.backends.clouds.fake_qvm.multishot", refuse)
    with pytest.raises(ProviderError, match="could not run the program: Could not allocate") as refused:
        server.backend().run(FLIP)
    assert not refused.value.retryable and server.fake.requests[SHOTS] == 1


def test_the_list(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fake.qubit_limit = "12"
    lines = {info.name: info for info in server.provider().list()}
    assert lines["rigetti:qvm"].n_qubits == 12 and {line.status for line in lines.values()} == {"online"}
    assert {line.region for line in lines.values()} == {"here"} == {server.backend().region}
    assert server.backend().capabilities().max_qubits == 12
    server.fake.faults["info"].append("503")
    lines = {info.name: info for info in server.provider().list()}
    assert lines["rigetti:qvm"].status == "unavailable" and "503" in lines["rigetti:qvm"].note
    assert lines["rigetti:pyqvm"].status == "online"
    with pytest.raises(BackendUnknownError, match="it has pyqvm, qvm"):
        server.provider().backend("ankaa-3")
    monkeypatch.setitem(sys.modules, "pyquil", None)
    assert {line.status for line in server.provider().list()} == {"unavailable"}


def test_it_is_found_where_rigettis_settings_say(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCS_SETTINGS_APPLICATIONS_QVM_URL", server.url)
    found = find_backend("rigetti:qvm")
    assert found.run(FLIP).counts == ({"011": 20},)
    assert find_backend("rigetti:pyqvm").run(FLIP).counts == ({"011": 20},)
    assert found.run(FLIP).provenance["qvm"] == VERSION
    monkeypatch.setenv("QCS_SETTINGS_APPLICATIONS_QVM_URL", "http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="QCS_SETTINGS_APPLICATIONS_QVM_URL"):
        RigettiProvider(retry=Retry(n_tries=1)).backend("qvm")
