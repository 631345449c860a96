"""Google's virtual engine and Cirq's simulators keep the contract, noise and bit order included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from superpose.backends.clouds.google import GoogleProvider
from superpose.circuits import CalibratedBackend, Circuit, Observable, Program
from superpose.errors import BackendUnknownError, UnsupportedProgramError
from superpose.testing import ConformanceReport

pytest.importorskip("cirq_google", reason="cirq-google is not installed")

PROCESSORS = ["rainbow", "weber", "willow_pink"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simulator", "density_matrix"])
def test_simulators_keep_every_contract(name: str, conforms: Callable[..., ConformanceReport]) -> None:
    conforms(GoogleProvider().backend(name))


@pytest.mark.slow
def test_a_virtual_processor_keeps_every_contract(conforms: Callable[..., ConformanceReport]) -> None:
    conforms(GoogleProvider().backend("willow_pink"), tolerance=0.2)


@pytest.mark.parametrize("name", [*PROCESSORS, "simulator", "density_matrix"])
def test_qubit_zero_is_leftmost_and_bits_follow_their_measurements(name: str) -> None:
    backend = GoogleProvider().backend(name)
    crossed = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
    for circuit, bits in ((Circuit(4).x(1).cx(1, 3), "0101"), (crossed, "10"), (Circuit(1).x(0), "1")):
        counts = (backend.run(Program(circuit, shots=200, seed=1)).counts or ({},))[0]
        assert max(counts, key=lambda key: counts[key]) == bits
        assert counts[bits] > 120  # of 200; the calibrations' errors take some 15 % at most


def test_processors_err_as_their_calibrations_say() -> None:
    ghz = Circuit(3).h(0).cx(0, 1).cx(1, 2)
    program = Program(ghz, {}, [Observable("ZZI"), Observable("XXX")], shots=4000, seed=2)
    exact = GoogleProvider().backend("simulator").run(program).expectations
    noisy = GoogleProvider().backend("rainbow").run(program).expectations
    assert exact is not None and noisy is not None
    assert np.abs(exact - 1.0).max() < 1e-9
    assert noisy.min() > 0.5 and noisy.max() < 0.97


def test_calibrations_and_the_list() -> None:
    lines = {info.name: info for info in GoogleProvider().list()}
    for name in PROCESSORS:
        processor = GoogleProvider().backend(name)
        assert isinstance(processor, CalibratedBackend)
        found = processor.calibration()
        assert found.backend == f"google:{name}" and found.n_qubits > 20
        assert lines[f"google:{name}"].calibration_at == found.taken_at
        assert lines[f"google:{name}"].kind == "emulator"
    with pytest.raises(BackendUnknownError, match="willow_pink"):
        GoogleProvider().backend("bristlecone")


def test_what_cannot_run() -> None:
    with pytest.raises(UnsupportedProgramError, match="takes 10"):
        GoogleProvider().backend("weber").run(Program(Circuit(11).h(0), shots=5))
