"""What every backend must do, and what those must that have state vectors, exact values, or templates compiled."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from superpose.circuits import (
    GATES,
    Backend,
    Capabilities,
    Circuit,
    CompilingBackend,
    Observable,
    Parameter,
    Program,
    ProgramExecutable,
    Template,
    feature_map,
    parameters,
    result_from_json,
    result_to_json,
    z_all,
)
from superpose.circuits.reference import state_vector
from superpose.errors import SuperposeError
from superpose.testing.comparing import (
    EXACT_TOLERANCE,
    SHOTS,
    close,
    compare,
    compare_result,
    pauli_sums,
    ran,
    sampling_error,
)
from superpose.testing.contracts import Trial, require

__all__ = [
    "check_batches",
    "check_bit_order",
    "check_counts",
    "check_description",
    "check_estimates",
    "check_every_gate",
    "check_exact",
    "check_initial_states",
    "check_new_values",
    "check_provenance",
    "check_single_precision",
    "check_state_vectors",
    "check_too_large",
]


def check_description(backend: Backend, trial: Trial) -> None:
    """The backend says who it is and what it can do."""
    require(isinstance(backend, Backend), "it has name, capabilities() and run(program)")
    require(isinstance(backend.name, str) and backend.name != "", "name is a string that is not empty")
    capabilities = backend.capabilities()
    require(isinstance(capabilities, Capabilities), "capabilities() returns Capabilities")
    require(capabilities.max_qubits is None or capabilities.max_qubits >= 3, "it takes at least three qubits")


def check_every_gate(backend: Backend, trial: Trial) -> None:
    """Every gate that the backend takes acts as the gate table says, on qubits in any order."""
    allowed = backend.capabilities().gates
    for row in GATES.values():
        if allowed is not None and row.name not in allowed:
            continue
        angles = [0.4 + 0.5 * k for k in range(row.n_angles)]
        circuit = _spread(allowed)
        circuit.append(row.name, [2, 0, 1][: row.n_qubits], angles)
        compare(backend, Program(circuit, {}, pauli_sums()), trial.tolerance, f"gate {row.name}")


def check_batches(backend: Backend, trial: Trial) -> None:
    """Parameters, affine angles, batches and feature maps reach the right entries of the result."""
    a, b = Parameter("a"), Parameter("b")
    circuit = Circuit(2).ry(2 * b + 0.1, 0).cx(0, 1).rx(a - b, 1)
    params: dict[str, npt.ArrayLike] = {"a": [0.1, 0.7, -2.0], "b": 0.3}
    compare(backend, Program(circuit, params, z_all(2)), trial.tolerance, "batch of parameters")
    compare(backend, Program(circuit, {"a": 1.0, "b": 0.3}, z_all(2)), trial.tolerance, "batch of one")
    x = parameters("x", 3)
    mapped = Circuit(2).ry(x[0], 0).ry(x[1], 1).cx(0, 1).rx(x[2], 1)
    inputs = np.array([[0.3, 0.4], [1.0, -1.0]])
    program = Program(mapped, {}, z_all(2), feature_map=feature_map("products", 2), inputs=inputs, input_names=x)
    compare(backend, program, trial.tolerance, "feature map")


def check_counts(backend: Backend, trial: Trial) -> None:
    """Counts name qubit 0 first, sum to the shots, and follow the probabilities; a seed repeats them."""
    x = Parameter("x")
    circuit = Circuit(3).ry(x, 0).cx(0, 1)
    program = Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS, seed=11)
    result = ran(backend, program)
    require(result.counts is not None and len(result.counts) == 2, "counts hold one mapping per batch entry")
    for value, counts in zip([0.9, 2.0], result.counts or (), strict=True):
        require(sum(counts.values()) == SHOTS, "counts sum to the shots")
        exact = np.abs(state_vector(circuit, {"x": value})) ** 2
        for index, probability in enumerate(exact):
            share = counts.get(format(index, "03b"), 0) / SHOTS
            require(
                abs(share - probability) <= trial.tolerance + sampling_error(1.0),
                f"share of {index:03b} is {probability:.3f}",
            )
        require(trial.tolerance > 0 or set(counts) <= {"000", "110"}, "bit strings have qubit 0 leftmost")
    if backend.capabilities().simulator:
        require(ran(backend, program).counts == result.counts, "a seed repeats the counts")
        unseeded = ran(backend, Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS))
        require("seed" in unseeded.provenance, "provenance has the seed that was drawn")
        again = Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS, seed=unseeded.provenance["seed"])
        require(ran(backend, again).counts == unseeded.counts, "the seed in provenance repeats the counts")


def check_estimates(backend: Backend, trial: Trial) -> None:
    """Expectations are estimated from shots, Pauli strings of all letters and constants included."""
    circuit = Circuit(3).ry(0.7, 0).cx(0, 1).rx(1.1, 2).cx(1, 2)
    program = Program(circuit, {}, pauli_sums(), shots=SHOTS, seed=5)
    compare(backend, program, trial.tolerance, "estimates")


def check_state_vectors(backend: Backend, trial: Trial) -> None:
    """State vectors have qubit 0 as the most significant bit and the circuit's global phase."""
    x = Parameter("x")
    circuit = Circuit(2).rz(x, 0).h(0).u(0.1, x, 0.3, 1).cx(0, 1)
    result = ran(backend, Program(circuit, {"x": [0.4, 1.5]}))
    exact = [state_vector(circuit, {"x": value}) for value in (0.4, 1.5)]
    close(result.state_vectors, exact, trial.tolerance + EXACT_TOLERANCE["float64"], "state vectors")


def check_initial_states(backend: Backend, trial: Trial) -> None:
    """Programs may start from one state, or from one per batch entry."""
    states = np.array([[0.6, 0, 0, 0.8j], [0, 1, 0, 0]])
    circuit = Circuit(2).ry(0.3, 0).cx(0, 1)
    for state in (states, states[0]):
        compare(backend, Program(circuit, {}, z_all(2), initial_state=state), trial.tolerance, "initial state")
        compare(
            backend,
            Program(circuit, {}, z_all(2), initial_state=state, shots=SHOTS, seed=3),
            trial.tolerance,
            "sampled",
        )


def check_single_precision(backend: Backend, trial: Trial) -> None:
    """dtype "float32" gives the same numbers to single precision."""
    circuit = Circuit(2).ry(0.3, 0).cx(0, 1).rx(0.2, 1)
    compare(backend, Program(circuit, {}, z_all(2), dtype="float32"), trial.tolerance, "float32")


def check_provenance(backend: Backend, trial: Trial) -> None:
    """The result says how it came about, as JSON values, and survives its document."""
    program = Program(Circuit(1).h(0), {}, z_all(1), shots=10, seed=3)
    result = ran(backend, program)
    stated = dict(result.provenance)
    for name in ("backend", "version", "program_digest", "elapsed_s", "seed"):
        require(name in stated, f"provenance has {name!r}")
    require(stated["backend"] == backend.name, "provenance names the backend")
    require(stated["program_digest"] == program.digest, "provenance holds the program's digest")
    require(json.loads(json.dumps(stated)) == stated, "provenance holds JSON values")
    require(result_from_json(result_to_json(result)) == result, "the result survives its JSON document")


def check_too_large(backend: Backend, trial: Trial) -> None:
    """A circuit beyond max_qubits is refused with an error of ours, at once."""
    largest = backend.capabilities().max_qubits or 0
    for n_qubits in (largest + 10, 5000):
        try:
            backend.run(Program(Circuit(n_qubits).h(0), {}, [Observable.z(0, n_qubits)]))
        except SuperposeError:
            continue
        require(False, f"{n_qubits} qubits are refused where max_qubits is {largest}")


def _spread(allowed: frozenset[str] | None) -> Circuit:
    """A circuit that makes all amplitudes of three qubits differ, of gates that the backend has."""
    circuit = Circuit(3)
    for qubit in range(3):
        for name in ("ry", "rz"):
            if allowed is None or name in allowed:
                circuit.append(name, [qubit], [0.5 + 0.3 * qubit])
    return circuit


def check_bit_order(backend: Backend, trial: Trial) -> None:
    """Qubit 0 is the leftmost character, and a measurement goes into the bit that it names."""
    qubits = Circuit(3).x(1).cx(1, 2)
    crossed = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
    for circuit, bits in ((qubits, "011"), (crossed, "10")):
        counts = (ran(backend, Program(circuit, shots=SHOTS, seed=2)).counts or ({},))[0]
        found = max(counts, key=lambda key: counts[key], default="")
        require(found == bits, f"{bits} is read most often, not {found!r}")
        require(trial.tolerance > 0 or counts.get(bits) == SHOTS, f"{bits} alone is read")


def check_exact(backend: Backend, trial: Trial) -> None:
    """Expectations without shots are exact."""
    circuit = Circuit(3).ry(0.7, 0).cx(0, 1).rx(1.1, 2).cx(1, 2)
    compare(backend, Program(circuit, {}, pauli_sums()), trial.tolerance, "exact expectations")


def check_new_values(backend: Backend, trial: Trial) -> None:
    """One template with other values, run after run, gives each run's own expectations."""
    a, b = Parameter("a"), Parameter("b")
    template = Template(Circuit(2).ry(a, 0).cx(0, 1).rx(2 * b - a, 1), z_all(2))
    sender = ProgramExecutable(template, backend)
    runner = backend.compile(template) if isinstance(backend, CompilingBackend) else sender
    require(runner.template == template, "an executable says what was compiled")
    shots = None if backend.capabilities().exact else SHOTS
    for turn, values in enumerate(([0.3, 0.2], [2.0, -1.0], [0.3, 0.2])):
        result = runner.run(values, shots=shots, seed=4)
        compare_result(result, sender.program(values, shots=shots, seed=4), trial.tolerance, "new values")
        require(runner.n_runs == turn + 1, "an executable counts its runs")
