"""What every backend must do, checked through `Backend` alone and as far as its capabilities go."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from superpose.circuits import (
    GATES,
    Backend,
    CalibratedBackend,
    Calibration,
    Capabilities,
    Circuit,
    Estimate,
    EstimatingBackend,
    Instruction,
    Observable,
    Parameter,
    Program,
    ProgramResult,
    QueueState,
    QueueTellingBackend,
    TranspilingBackend,
    feature_map,
    parameters,
    result_from_json,
    result_to_json,
    z_all,
)
from superpose.circuits.reference import expectation, state_vector
from superpose.errors import SuperposeError

__all__ = ["BACKEND_CHECKS", "check_backend"]

SHOTS = 4000
FAILURE_PROBABILITY = 1e-9
"""Of one comparison of a sampled number with its exact value, by Hoeffding's inequality."""

EXACT_TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def check_backend(backend: Backend, *, tolerance: float = 0.0) -> None:
    """Check that ``backend`` keeps the contract of `Program` and `Backend`.

    Args:
        backend: What to check; it is sent some thirty small programs.
        tolerance: What expectations and probabilities may be off beyond sampling, for backends with noise.

    Raises:
        AssertionError: It does not; the message says in what.
    """
    for check in BACKEND_CHECKS:
        check(backend, tolerance)


def check_description(backend: Backend, tolerance: float) -> None:
    """The backend says who it is and what it can do."""
    _require(isinstance(backend, Backend), "it has name, capabilities() and run(program)")
    _require(isinstance(backend.name, str) and backend.name != "", "name is a string that is not empty")
    capabilities = backend.capabilities()
    _require(isinstance(capabilities, Capabilities), "capabilities() returns Capabilities")
    _require(capabilities.max_qubits is None or capabilities.max_qubits >= 3, "it takes at least three qubits")


def check_every_gate(backend: Backend, tolerance: float) -> None:
    """Every gate that the backend takes acts as the gate table says, on qubits in any order."""
    allowed = backend.capabilities().gates
    for row in GATES.values():
        if allowed is not None and row.name not in allowed:
            continue
        angles = [0.4 + 0.5 * k for k in range(row.n_angles)]
        circuit = _spread(allowed)
        circuit.append(row.name, [2, 0, 1][: row.n_qubits], angles)
        _compare(backend, Program(circuit, {}, _pauli_sums()), tolerance, f"gate {row.name}")


def check_batches(backend: Backend, tolerance: float) -> None:
    """Parameters, affine angles, batches and feature maps reach the right entries of the result."""
    a, b = Parameter("a"), Parameter("b")
    circuit = Circuit(2).ry(2 * b + 0.1, 0).cx(0, 1).rx(a - b, 1)
    params: dict[str, npt.ArrayLike] = {"a": [0.1, 0.7, -2.0], "b": 0.3}
    _compare(backend, Program(circuit, params, z_all(2)), tolerance, "batch of parameters")
    _compare(backend, Program(circuit, {"a": 1.0, "b": 0.3}, z_all(2)), tolerance, "batch of one")
    x = parameters("x", 3)
    mapped = Circuit(2).ry(x[0], 0).ry(x[1], 1).cx(0, 1).rx(x[2], 1)
    inputs = np.array([[0.3, 0.4], [1.0, -1.0]])
    program = Program(mapped, {}, z_all(2), feature_map=feature_map("products", 2), inputs=inputs, input_names=x)
    _compare(backend, program, tolerance, "feature map")


def check_counts(backend: Backend, tolerance: float) -> None:
    """Counts name qubit 0 first, sum to the shots, and follow the probabilities; a seed repeats them."""
    x = Parameter("x")
    circuit = Circuit(3).ry(x, 0).cx(0, 1)
    program = Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS, seed=11)
    result = _run(backend, program)
    _require(result.counts is not None and len(result.counts) == 2, "counts hold one mapping per batch entry")
    for value, counts in zip([0.9, 2.0], result.counts or (), strict=True):
        _require(sum(counts.values()) == SHOTS, "counts sum to the shots")
        exact = np.abs(state_vector(circuit, {"x": value})) ** 2
        for index, probability in enumerate(exact):
            share = counts.get(format(index, "03b"), 0) / SHOTS
            _require(abs(share - probability) <= tolerance + _error(1.0), f"share of {index:03b} is {probability:.3f}")
        _require(tolerance > 0 or set(counts) <= {"000", "110"}, "bit strings have qubit 0 leftmost")
    if backend.capabilities().simulator:
        _require(_run(backend, program).counts == result.counts, "a seed repeats the counts")
        unseeded = _run(backend, Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS))
        _require("seed" in unseeded.provenance, "provenance has the seed that was drawn")
        again = Program(circuit, {"x": [0.9, 2.0]}, shots=SHOTS, seed=unseeded.provenance["seed"])
        _require(_run(backend, again).counts == unseeded.counts, "the seed in provenance repeats the counts")


def check_estimates(backend: Backend, tolerance: float) -> None:
    """Expectations are estimated from shots, Pauli strings of all letters and constants included."""
    circuit = Circuit(3).ry(0.7, 0).cx(0, 1).rx(1.1, 2).cx(1, 2)
    program = Program(circuit, {}, _pauli_sums(), shots=SHOTS, seed=5)
    _compare(backend, program, tolerance, "estimates")


def check_state_vectors(backend: Backend, tolerance: float) -> None:
    """State vectors have qubit 0 as the most significant bit and the circuit's global phase."""
    if not backend.capabilities().state_vectors:
        return
    x = Parameter("x")
    circuit = Circuit(2).rz(x, 0).h(0).u(0.1, x, 0.3, 1).cx(0, 1)
    result = _run(backend, Program(circuit, {"x": [0.4, 1.5]}))
    exact = [state_vector(circuit, {"x": value}) for value in (0.4, 1.5)]
    _close(result.state_vectors, exact, tolerance + EXACT_TOLERANCE["float64"], "state vectors")


def check_initial_states(backend: Backend, tolerance: float) -> None:
    """Programs may start from one state, or from one per batch entry."""
    if not backend.capabilities().initial_state:
        return
    states = np.array([[0.6, 0, 0, 0.8j], [0, 1, 0, 0]])
    circuit = Circuit(2).ry(0.3, 0).cx(0, 1)
    for state in (states, states[0]):
        _compare(backend, Program(circuit, {}, z_all(2), initial_state=state), tolerance, "initial state")
        _compare(
            backend, Program(circuit, {}, z_all(2), initial_state=state, shots=SHOTS, seed=3), tolerance, "sampled"
        )


def check_single_precision(backend: Backend, tolerance: float) -> None:
    """dtype "float32" gives the same numbers to single precision."""
    circuit = Circuit(2).ry(0.3, 0).cx(0, 1).rx(0.2, 1)
    _compare(backend, Program(circuit, {}, z_all(2), dtype="float32"), tolerance, "float32")


def check_provenance(backend: Backend, tolerance: float) -> None:
    """The result says how it came about, as JSON values, and survives its document."""
    program = Program(Circuit(1).h(0), {}, z_all(1), shots=10, seed=3)
    result = _run(backend, program)
    stated = dict(result.provenance)
    for name in ("backend", "version", "program_digest", "elapsed_s", "seed"):
        _require(name in stated, f"provenance has {name!r}")
    _require(stated["backend"] == backend.name, "provenance names the backend")
    _require(stated["program_digest"] == program.digest, "provenance holds the program's digest")
    _require(json.loads(json.dumps(stated)) == stated, "provenance holds JSON values")
    _require(result_from_json(result_to_json(result)) == result, "the result survives its JSON document")


def check_dynamic(backend: Backend, tolerance: float) -> None:
    """Feed-forward acts on what was read, resets and channels act on states, and counts are over classical bits."""
    if not backend.capabilities().dynamic:
        return
    circuit = Circuit(2, n_bits=2).ry(0.7, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    observables = (Observable("ZI"), Observable("IZ"), Observable("ZZ"))
    wanted = [[math.cos(0.7), math.cos(0.7), 1.0]]
    shots = None if backend.capabilities().exact else SHOTS
    allowed = tolerance + (2 * _error(1.0) if shots else EXACT_TOLERANCE["float64"])
    _close(_run(backend, Program(circuit, {}, observables, shots=shots, seed=1)).expectations, wanted, allowed, "feed")
    counts = (_run(backend, Program(circuit, {}, shots=SHOTS, seed=1)).counts or ({},))[0]
    _require(sum(counts.values()) == SHOTS, "counts of bits sum to the shots")
    _require(tolerance > 0 or set(counts) <= {"00", "11"}, "counts are over classical bits, bit 0 leftmost")
    share = counts.get("11", 0) / SHOTS
    _require(abs(share - math.sin(0.35) ** 2) <= tolerance + _error(1.0), "outcomes follow their probabilities")
    noisy = Circuit(2).x(0).amplitude_damping(0.25, 0).x(1).reset(1)
    found = _run(backend, Program(noisy, {}, z_all(2), shots=shots, seed=1)).expectations
    _close(found, [[-0.5, 1.0]], allowed, "channel and reset")


def check_too_large(backend: Backend, tolerance: float) -> None:
    """A circuit beyond max_qubits is refused with an error of ours, at once."""
    largest = backend.capabilities().max_qubits
    if largest is None:
        return
    for n_qubits in (largest + 10, 5000):
        try:
            backend.run(Program(Circuit(n_qubits).h(0), {}, [Observable.z(0, n_qubits)]))
        except SuperposeError:
            continue
        _require(False, f"{n_qubits} qubits are refused where max_qubits is {largest}")


def check_calibration(backend: Backend, tolerance: float) -> None:
    """A calibration is of this backend's qubits, gates and pairs, and survives its document."""
    if not isinstance(backend, CalibratedBackend):
        return
    found, able = backend.calibration(), backend.capabilities()
    _require(isinstance(found, Calibration), "calibration() returns a Calibration")
    _require(able.max_qubits is None or found.n_qubits >= able.max_qubits, "it has a row for each qubit")
    _require(
        able.native_gates is None or able.native_gates <= found.native_gates | {"id", "rz"}, "native gates have rows"
    )
    _require(able.connectivity is None or able.connectivity == found.connectivity, "it joins the pairs of capabilities")
    _require(Calibration.from_json(found.to_json()) == found, "the calibration survives its JSON document")
    _require(backend.calibration().epoch == found.epoch, "the same snapshot has the same epoch")


def check_estimate(backend: Backend, tolerance: float) -> None:
    """An estimate is sane, costs nothing, and a longer program is not expected to be better or cheaper."""
    if not isinstance(backend, EstimatingBackend):
        return
    short, long = Circuit(2).h(0).cx(0, 1), Circuit(2).h(0)
    for _ in range(20):
        long.cx(0, 1).ry(0.3, 1)
    few, many = (backend.estimate(Program(one, shots=n)) for one, n in ((short, 100), (long, 1000)))
    for found in (few, many):
        _require(isinstance(found, Estimate), "estimate() returns an Estimate")
        _require(found.fidelity is None or 0.0 <= found.fidelity <= 1.0, "fidelity is in 0 .. 1")
        for name in ("price_usd", "wait_s", "run_s"):
            value = getattr(found, name)
            _require(value is None or 0.0 <= value < math.inf, f"{name} is 0 or more")
    if few.fidelity is not None and many.fidelity is not None:
        _require(many.fidelity <= few.fidelity, "more gates do not raise the fidelity")
    if few.price_usd is not None and many.price_usd is not None:
        _require(many.price_usd >= few.price_usd, "more shots do not lower the price")


def check_transpiled(backend: Backend, tolerance: float) -> None:
    """A transpiled circuit is in calibrated gates on the processor's qubits, and finds the same bits."""
    if not isinstance(backend, TranspilingBackend):
        return
    found = backend.calibration()
    circuit = Circuit(3, n_bits=3).h(0).cx(0, 1).t(1).cx(1, 2).ry(0.4, 2).rz(0.3, 2).cx(0, 2).rx(1.1, 2)
    for qubit in range(3):
        circuit.measure(qubit, 2 - qubit)
    there = backend.transpiled(circuit)
    _require(there.n_qubits == found.n_qubits, "a transpiled circuit is over the processor's qubits")
    for item in there.instructions:
        if isinstance(item, Instruction):
            known = item.gate in ("id", "rz") or (item.gate, item.qubits) in found.by_gate
            _require(known, f"transpiled, {item.gate} stands on qubits {item.qubits} that it is calibrated for")
    ours, theirs = (_bit_probabilities(one) for one in (circuit, there))
    _require(bool(np.allclose(ours, theirs, atol=1e-9)), "a transpiled circuit finds the same bits as often")


def check_queue(backend: Backend, tolerance: float) -> None:
    """What is told about the queue is sane."""
    if not isinstance(backend, QueueTellingBackend):
        return
    state = backend.queue()
    _require(isinstance(state, QueueState), "queue() returns a QueueState")
    _require(state.n_ahead >= 0 and (state.run_s is None or 0.0 <= state.run_s < math.inf), "the queue is no negative")
    _require(state.at.tzinfo is not None, "the time of the queue's state has a zone")


def _bit_probabilities(circuit: Circuit) -> npt.NDArray[np.float64]:
    """How probable each value of the bits is, ``(2**n_bits,)``, of a circuit that measures at its end."""
    body, finals = circuit.without_final_measurements()
    used = sorted({qubit for item in (*body.instructions, *finals) for qubit in item.qubits})
    places = {qubit: place for place, qubit in enumerate(used)}
    small = Circuit(len(used))
    for call in body.gate_calls():
        small.append(call.gate, [places[qubit] for qubit in call.qubits], call.angles)
    squared = np.abs(state_vector(small)) ** 2
    states = np.arange(len(squared))
    index = np.zeros(len(squared), np.int64)
    for one in finals:
        index += ((states >> (len(used) - 1 - places[one.qubit])) & 1) << (circuit.n_bits - 1 - one.bit)
    out = np.zeros(1 << circuit.n_bits)
    np.add.at(out, index, squared)
    return out


BACKEND_CHECKS: tuple[Callable[[Backend, float], None], ...] = (
    check_description,
    check_every_gate,
    check_batches,
    check_counts,
    check_estimates,
    check_state_vectors,
    check_initial_states,
    check_single_precision,
    check_provenance,
    check_dynamic,
    check_too_large,
    check_calibration,
    check_estimate,
    check_transpiled,
    check_queue,
)
"""The checks, in the order in which they say most."""


def _spread(allowed: frozenset[str] | None) -> Circuit:
    """A circuit that makes all amplitudes of three qubits differ, of gates that the backend has."""
    circuit = Circuit(3)
    for qubit in range(3):
        for name in ("ry", "rz"):
            if allowed is None or name in allowed:
                circuit.append(name, [qubit], [0.5 + 0.3 * qubit])
    return circuit


def _pauli_sums() -> tuple[Observable, ...]:
    first = Observable({"ZII": 1.0, "IXI": 0.5, "IIY": -0.7, "III": 0.25})
    return (first, Observable({"XYZ": 1.0, "ZZX": 0.3}), Observable({}, 3), Observable({"III": 2.0}))


def _run(backend: Backend, program: Program) -> ProgramResult:
    digest = program.digest
    result = backend.run(program)
    _require(isinstance(result, ProgramResult), "run returns a ProgramResult")
    _require(replace(program).digest == digest, "run leaves the program as it was")
    asked = (bool(program.observables), program.shots is not None)
    _require((result.expectations is not None) == asked[0], "expectations come where there are observables")
    _require((result.counts is not None) == (asked == (False, True)), "counts come with shots and no observables")
    _require((result.state_vectors is not None) == (asked == (False, False)), "state vectors come without either")
    return result


def _compare(backend: Backend, program: Program, tolerance: float, what: str) -> None:
    """Compare expectations with the reference, sampled ones within what chance allows."""
    if program.shots is None and not backend.capabilities().exact:
        program = replace(program, shots=SHOTS, seed=1)
    result = _run(backend, program)
    states = program.initial_state
    wanted = np.empty((program.batch, len(program.observables)))
    for entry, row in enumerate(program.param_matrix()):
        values = dict(zip(program.circuit.parameters, row.tolist(), strict=True))
        state = states[entry] if states is not None and states.ndim == 2 else states
        for column, observable in enumerate(program.observables):
            wanted[entry, column] = expectation(program.circuit, observable, values, state)
    _require(result.expectations is not None and result.expectations.dtype == np.float64, "expectations are float64")
    weights = np.array([sum(abs(k) for p, k in o.terms if p.strip("I")) for o in program.observables])
    chance = 2 * _error(1.0) * weights if program.shots is not None else np.zeros_like(weights)
    _close(result.expectations, wanted, tolerance + chance + EXACT_TOLERANCE[program.dtype], what)


def _error(width: float) -> float:
    """How far the mean of SHOTS values in an interval of this width strays, but for the failure probability."""
    return width * math.sqrt(math.log(2 / FAILURE_PROBABILITY) / (2 * SHOTS))


def _close(got: npt.ArrayLike | None, wanted: npt.ArrayLike, allowed: npt.ArrayLike, what: str) -> None:
    _require(got is not None and np.shape(got) == np.shape(wanted), f"{what}: shape is {np.shape(wanted)}")
    off = np.abs(np.asarray(got) - np.asarray(wanted))
    _require(bool((off <= allowed).all()), f"{what}: off by {off.max():.3g} from {np.asarray(wanted)}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"The backend does not keep its contract: {what}.")
