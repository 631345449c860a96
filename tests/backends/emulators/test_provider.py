"""Every published snapshot is found, listed fast and read; what is missing is told."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec

import pytest

import superpose
from superpose.backends.emulators import EmulatorProvider
from superpose.backends.emulators import provider as provider_module
from superpose.backends.providers import find_backend
from superpose.circuits import Circuit, Program
from superpose.errors import BackendUnknownError, ToolkitMissingError, UnsupportedProgramError

PROVIDER = EmulatorProvider()
NO_PAIRS = {"emulator:ibm_armonk", "emulator:ibm_kyoto"}
"""Of one qubit; with an error of 1 for every ECR in its snapshot."""
needs_ibm = pytest.mark.skipif(find_spec("qiskit_ibm_runtime") is None, reason="qiskit-ibm-runtime is not installed")
needs_google = pytest.mark.skipif(find_spec("cirq_google") is None, reason="cirq-google is not installed")


@needs_ibm
def test_the_list_has_every_fake_backend_and_imports_no_vendor() -> None:
    code = (
        "import sys\n"
        "from superpose.backends.emulators import EmulatorProvider\n"
        "lines = EmulatorProvider().list()\n"
        "calibration = EmulatorProvider().backend('ibm_fez').calibration()\n"
        "loaded = {'qiskit', 'qiskit_ibm_runtime', 'cirq', 'cirq_google', 'torch'} & set(sys.modules)\n"
        "print(sum(line.name.startswith('emulator:ibm_') for line in lines), calibration.n_qubits, sorted(loaded))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600).stdout
    n_found, n_qubits, loaded = out.split(maxsplit=2)
    assert int(n_found) >= 60 and n_qubits == "156" and loaded.strip() == "[]"


@needs_ibm
def test_every_line_is_of_a_calibration() -> None:
    lines = [line for line in PROVIDER.list() if line.status == "online"]
    assert len({line.name for line in lines}) == len(lines)
    epochs = set()
    for line in lines:
        found = PROVIDER.backend(line.name.partition(":")[2]).calibration()
        assert (found.backend, found.n_qubits, found.taken_at) == (line.name, line.n_qubits, line.calibration_at)
        assert line.kind == "emulator" and datetime(2019, 1, 1, tzinfo=UTC) < found.taken_at
        assert found.connectivity or line.name in NO_PAIRS
        assert sum(row.t1_us is not None for row in found.qubits) >= 0.9 * found.n_qubits
        epochs.add(found.epoch)
    assert len(epochs) == len(lines)


@needs_ibm
@pytest.mark.slow
def test_the_fake_backends_say_the_same() -> None:
    import qiskit_ibm_runtime.fake_provider as shipped

    kinds = {kind for name, kind in vars(shipped).items() if isinstance(kind, type) and hasattr(kind, "conf_filename")}
    kinds = {kind for kind in kinds if getattr(kind, "conf_filename", "")}
    names = {kind.conf_filename.removeprefix("conf_").removesuffix(".json") for kind in kinds}
    listed = {line.name.removeprefix("emulator:ibm_") for line in PROVIDER.list() if ":ibm_" in line.name}
    assert listed == names
    for name in ("Fez", "Sherbrooke", "ManilaV2"):
        fake = getattr(shipped, f"Fake{name}")()
        found = PROVIDER.backend(f"ibm_{name.removesuffix('V2').lower()}").calibration()
        assert found.taken_at == fake.properties().last_update_date
        for row in found.gates:
            stated = fake.target[row.gate][row.qubits]
            assert row.error == pytest.approx(stated.error) and row.duration_ns == pytest.approx(stated.duration * 1e9)
        for number, qubit in enumerate(found.qubits):
            stated = fake.target.qubit_properties[number]
            assert qubit.t1_us == pytest.approx(stated.t1 * 1e6) and qubit.t2_us == pytest.approx(stated.t2 * 1e6)


@needs_google
def test_google_s_calibrations() -> None:
    sizes = {"rainbow": 23, "weber": 53, "willow_pink": 105}
    for name, n_qubits in sizes.items():
        found = find_backend(f"emulator:google_{name}") if _is_installed() else PROVIDER.backend(f"google_{name}")
        calibration = found.calibration()  # type: ignore[attr-defined]  # of an emulator
        assert calibration.n_qubits == n_qubits and calibration.native_gates == {"rx", "rz", "cz"}
        assert all(0.0 < (row.error or 0.0) < 0.5 for row in calibration.gates if row.gate == "cz")


def _is_installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.name == "emulator" for point in entry_points(group="superpose.providers"))


@needs_ibm
def test_gates_that_a_snapshot_marks_as_failed_are_not_used() -> None:
    backend = PROVIDER.backend("ibm_kyoto")
    assert sum((backend.run(Program(Circuit(2).h(0).x(1), shots=100, seed=1)).counts or ({},))[0].values()) == 100
    with pytest.raises(UnsupportedProgramError, match="cannot hold this circuit"):
        backend.run(Program(Circuit(2).h(0).cx(0, 1), shots=100))


@needs_ibm
@needs_google
def test_names_that_are_none() -> None:
    with pytest.raises(BackendUnknownError, match="did you mean ibm_fez"):
        PROVIDER.backend("ibm_fes")


def test_missing_packages_are_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "_SOURCES", (("qiskit-ibm-runtime", "IBM's processors", lambda: None),))
    (line,) = PROVIDER.list()
    assert line.status == "unavailable" and "superpose[emulators]" in line.note
    with pytest.raises(ToolkitMissingError, match=r"superpose\[emulators\]"):
        PROVIDER.backend("ibm_nowhere")


@needs_ibm
@needs_google
@pytest.mark.slow
def test_every_processor_entangles_three_qubits() -> None:
    ghz = Circuit(3).h(0).cx(0, 1).cx(1, 2)
    right = {}
    for info in PROVIDER.list():
        if info.name not in NO_PAIRS:
            counts = superpose.run(ghz, shots=1000, seed=1, backend=info.name).counts
            assert counts is not None
            right[info.name] = counts[0].get("000", 0) + counts[0].get("111", 0)
    assert len(right) == len(PROVIDER.list()) - len(NO_PAIRS)
    assert {name: n for name, n in right.items() if n < 500} == {}  # evenly spread they would be 250
