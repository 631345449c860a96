"""PennyLane's devices as backends: the contract on every simulator, batches in one execution, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from superpose.backends import LocalBackend
from superpose.backends.clouds.pennylane import PennyLaneProvider
from superpose.circuits import Backend, Circuit, Observable, Parameter, Program, Provider
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError
from superpose.testing import ConformanceReport

pytest.importorskip("pennylane", reason="needs PennyLane")

SIMULATORS = ["default.qubit", "default.mixed", "lightning.qubit", "reference.qubit"]


@pytest.mark.parametrize("name", SIMULATORS)
def test_simulators_keep_every_contract(name: str, conforms: Callable[..., ConformanceReport]) -> None:
    conforms(PennyLaneProvider().backend(name))


def test_the_list_names_what_is_installed_and_says_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = PennyLaneProvider()
    assert isinstance(provider, Provider)
    lines = {info.name: info for info in provider.list()}
    assert lines["pennylane:default.mixed"].kind == "simulator" and lines["pennylane:default.mixed"].n_qubits == 12
    assert not {"pennylane:default.gaussian", "pennylane:null.qubit", "pennylane:superpose"} & set(lines)
    monkeypatch.setattr("superpose.backends.clouds.pennylane._UNLISTED", frozenset())  # as of another package
    unknown = next(info for info in provider.list() if info.name == "pennylane:default.clifford")
    assert unknown.kind == "qpu" and "does not say" in unknown.note
    with pytest.raises(BackendUnknownError, match=r"default\.qubit"):
        provider.backend("elsewhere.qubit")


@pytest.mark.parametrize("name", SIMULATORS)
def test_an_asymmetric_circuit_keeps_its_qubits(name: str) -> None:
    backend: Backend = PennyLaneProvider().backend(name)
    assert backend.run(Program(Circuit(3).x(1).x(2), shots=7)).counts == ({"011": 7},)
    assert backend.run(Program(Circuit(2, n_bits=3).x(1).measure(1, 0), shots=7)).counts == ({"100": 7},)
    a = Parameter("a")
    circuit = Circuit(3).ry(a, 0).cx(0, 2).crx(2 * a + 0.1, 0, 1)
    program = Program(circuit, {"a": [0.3, 1.2]}, [Observable({"ZII": 1.0, "IXY": 0.5, "III": 0.25})])
    exact, found = LocalBackend().run(program).expectations, backend.run(program).expectations
    assert exact is not None and found is not None and np.abs(exact - found).max() < 1e-9


def test_all_circuits_of_a_program_go_in_one_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    import pennylane as qml

    real, sizes = qml.execute, []

    def counting(tapes: Sequence[Any], *args: Any, **options: Any) -> Any:
        sizes.append(len(tapes))
        return real(tapes, *args, **options)

    monkeypatch.setattr(qml, "execute", counting)
    a = Parameter("a")
    observables = [Observable({"ZI": 1.0}), Observable({"XX": 1.0}), Observable({"YY": 1.0})]
    program = Program(Circuit(2).ry(a, 0).cx(0, 1), {"a": np.linspace(0, 1, 8)}, observables, shots=50, seed=1)
    found = PennyLaneProvider().backend("default.qubit").run(program)
    assert found.expectations is not None and found.expectations.shape == (8, 3)
    assert sizes == [8 * 3]


def test_devices_of_which_nothing_is_known_only_count() -> None:
    backend = PennyLaneProvider().backend("superpose")
    counts = backend.run(Program(Circuit(2).h(0).cx(0, 1), shots=100)).counts
    assert counts is not None and set(counts[0]) <= {"00", "11"} and sum(counts[0].values()) == 100
    with pytest.raises(UnsupportedProgramError, match="give shots"):
        backend.run(Program(Circuit(1), {}, [Observable("Z")]))


def test_what_a_device_refuses_is_the_providers_error() -> None:
    backend = PennyLaneProvider().backend("default.clifford")
    with pytest.raises(ProviderError, match=r"default\.clifford") as caught:
        backend.run(Program(Circuit(1).rx(0.3, 0), shots=5))  # it has no such gate, or lacks its own package
    assert not caught.value.retryable and caught.value.__cause__ is not None


def test_options_reach_the_device() -> None:
    backend = PennyLaneProvider({"default.qubit": {"nonsense": 1}}).backend("default.qubit")
    with pytest.raises(ProviderError, match="nonsense"):
        backend.run(Program(Circuit(1), shots=5))
