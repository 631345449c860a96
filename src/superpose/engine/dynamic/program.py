"""Programs whose circuits measure, branch, reset or have noise: the calls that run them on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Measure, Observable
from superpose.engine.arrays import Array, real_array
from superpose.engine.dynamic.arguments import Given, check_definition, checked
from superpose.engine.dynamic.branching import BranchRunner, branch_bound
from superpose.engine.dynamic.choice import Choice, Method, check_trajectories, choose
from superpose.engine.dynamic.density import DensityRunner, observables_of
from superpose.engine.dynamic.readout import bit_probabilities
from superpose.engine.dynamic.superoperators import density_matrices, pauli_vectors
from superpose.engine.dynamic.trajectories import TrajectoryRunner, pauli_terms
from superpose.engine.memory import check_memory
from superpose.engine.runner import Dtype
from superpose.engine.sampling import check_shots, sample
from superpose.errors import ShapeError, StateTooLargeError, UnsupportedProgramError

__all__ = ["DynamicProgram"]

MAX_TABLE_BITS = 24
"""Most classical bits whose probabilities are given as one array."""
DEFAULT_TRAJECTORIES = 1000


class DynamicProgram:
    """A circuit that may measure, branch, reset and have noise, with observables. Immutable; safe for several threads.

    Expectations, density matrices and gradients are of the state in front of the measurements at the end of the circuit
    (see `superpose.circuits.Circuit.without_final_measurements`); probabilities, samples and counts are over the
    classical bits, or over the qubits of a circuit without bits.

    Density matrices are computed in float64 whatever ``dtype``, which is that of results and of pure states.

    Attributes:
        circuit: The circuit (a copy).
        observables: What `expectation` measures, in order.
        n_qubits, n_bits: Numbers of qubits and of classical bits.
        input_names: Parameters whose values differ between samples, in the order of the columns of ``inputs``.
        weight_names: All other parameters, in the order of ``circuit.parameters``.
        dtype: "float32" or "float64".
        method: "auto", "branching", "density_matrix" or "trajectories".
    """

    def __init__(
        self, circuit: Circuit, observables: Sequence[Observable], inputs: Sequence[str], dtype: Dtype, method: Method
    ) -> None:
        self.circuit, self.observables = circuit.copy(), tuple(observables)
        self.input_names, self.dtype, self.method = tuple(inputs), dtype, method
        check_definition(self.circuit, self.observables, self.input_names, dtype, method)
        known = set(self.input_names)
        self.weight_names = tuple(name for name in circuit.parameters if name not in known)
        self.n_qubits, self.n_bits = circuit.n_qubits, circuit.n_bits
        body, self._finals = self.circuit.without_final_measurements()
        self._operations = body.instructions
        if not self.n_bits:
            self._finals = tuple(Measure(q, q) for q in range(self.n_qubits))
        self._n_outcomes = self.n_bits or self.n_qubits
        final_bits = {measure.bit for measure in self._finals} if self.n_bits else set()
        written = {bit for operation in self._operations for bit in operation.bits}
        self._wanted = tuple(sorted(written - final_bits))
        self._real: type[Any] = np.float32 if dtype == "float32" else np.float64
        self._complex: type[Any] = np.complex64 if dtype == "float32" else np.complex128

    def __repr__(self) -> str:
        return (
            f"DynamicProgram(n_qubits={self.n_qubits}, n_bits={self.n_bits}, n_inputs={self.n_inputs}, "
            f"n_weights={self.n_weights}, n_observables={self.n_observables}, method={self.method!r})"
        )

    @property
    def n_inputs(self) -> int:
        """Number of parameters given per sample."""
        return len(self.input_names)

    @property
    def n_weights(self) -> int:
        """Number of parameters shared by the batch."""
        return len(self.weight_names)

    @property
    def n_observables(self) -> int:
        """Number of expectations per sample."""
        return len(self.observables)

    @property
    def gives_gradients(self) -> bool:
        """Whether `value_and_grad` can run here now."""
        try:
            self._check_gradient()
        except (UnsupportedProgramError, StateTooLargeError):
            return False
        return True

    @property
    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.input_names, self.weight_names

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.circuit, self.observables, self.input_names, self.dtype, self.method)

    def __copy__(self) -> DynamicProgram:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> DynamicProgram:
        return self

    def choice(self, *, bits: bool = False, n_samples: int | None = None) -> Choice:
        """Return the method that runs.

        Args:
            bits: Whether classical bits are asked for (probabilities, samples, counts), and not the state.
            n_samples: Number of shots where samples are asked for.

        Raises:
            StateTooLargeError, UnsupportedProgramError: The method asked for cannot run this.
        """
        wanted = self._wanted if bits else ()
        method = self.method
        if method == "auto" and bits and n_samples is not None and self.n_bits > MAX_TABLE_BITS:
            method = "auto" if not self.circuit.has_noise else "trajectories"
        found = choose(method, self._operations, self.n_qubits, wanted, n_samples)
        if found.method == "trajectories":
            check_trajectories(self.n_qubits)
        return found

    def n_branches(self, *, bits: bool = False, method: str = "density_matrix") -> int:
        """Return how many states are told apart by their classical bits at most; for pure states, by outcomes too."""
        if method == "branching":
            return branch_bound(self._operations)
        return (self._density_of_bits if bits else self._density).n_slots

    @cached_property
    def _density(self) -> DensityRunner:
        return DensityRunner(self._operations, self.n_qubits, self._names)

    @cached_property
    def _density_of_bits(self) -> DensityRunner:
        return DensityRunner(self._operations, self.n_qubits, self._names, self._wanted)

    @cached_property
    def _branching(self) -> BranchRunner:
        n_bits = max(self.n_bits, self.n_qubits)  # all qubits may be measured
        return BranchRunner(self._operations, self.n_qubits, n_bits, self._names, dtype=self.dtype)

    @cached_property
    def _branching_of_bits(self) -> BranchRunner:
        return BranchRunner(
            self._operations, self.n_qubits, self._n_outcomes, self._names, self._wanted, dtype=self.dtype
        )

    @cached_property
    def _trajectories(self) -> TrajectoryRunner:
        return TrajectoryRunner(self._operations, self.n_qubits, self.n_bits, self._names)

    @cached_property
    def _trajectories_of_bits(self) -> TrajectoryRunner:
        operations = self._operations + self._finals
        return TrajectoryRunner(operations, self.n_qubits, self.n_bits, self._names)

    def expectation(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        *,
        initial_state: npt.ArrayLike | None = None,
        n_trajectories: int = DEFAULT_TRAJECTORIES,
        seed: int | None = None,
    ) -> Array:
        """Return the observables' expectations: exact, or with trajectories the mean over ``n_trajectories``.

        Args:
            inputs: ``(batch, n_inputs)``, in radians; None for a batch of one without inputs.
            weights: ``(n_weights,)``, in radians; None where there are none.
            initial_state: Normalised ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)`` instead of ``|0...0>``.
            n_trajectories: Where trajectories run, how many for each batch entry.
            seed: Of the trajectories; equal seeds give equal results on any number of threads.

        Returns:
            Array ``(batch, n_observables)`` of the program's dtype.

        Raises:
            ShapeError: An array has another shape, is not real, or holds NaN or infinity.
            StateTooLargeError, UnsupportedProgramError: See `choice`.

        Cost: density matrix: at most ``16 * 4**n_qubits`` multiplications per two-qubit gate. Others: see `choice`.
        """
        return self.expectation_and_error(
            inputs, weights, initial_state=initial_state, n_trajectories=n_trajectories, seed=seed
        )[0]

    def expectation_and_error(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        *,
        initial_state: npt.ArrayLike | None = None,
        n_trajectories: int = DEFAULT_TRAJECTORIES,
        seed: int | None = None,
    ) -> tuple[Array, Array]:
        """Return expectations and their standard errors, each ``(batch, n_observables)``; see `expectation`.

        Errors are 0 where the method is exact, and infinite for a single trajectory.
        """
        given, method = self._given(inputs, weights, initial_state), self.choice().method
        if method == "trajectories":
            values, errors = self._averaged(given, n_trajectories, seed)
        elif method == "branching":
            values = self._branched(given)
            errors = np.zeros_like(values)
        else:
            runner, read = self._density, observables_of(self.observables, self.n_qubits)
            values = np.empty((given.batch, len(self.observables)))
            for part, piece in given.pieces(runner.chunk_size()):
                states = runner.states(piece.inputs, piece.weights, self._start(piece))
                values[part] = read.values(states, sorted(runner.records.values()))
                runner.give_back(states)
            errors = np.zeros_like(values)
        return values.astype(self._real, copy=False), errors.astype(self._real, copy=False)

    def _averaged(self, given: Given, n_trajectories: int, seed: int | None) -> tuple[Array, Array]:
        check_shots(n_trajectories, seed)
        terms = pauli_terms(self.observables)
        coefficients = np.zeros((len(terms), len(self.observables)))
        for column, observable in enumerate(self.observables):
            for pauli, coefficient in observable.terms:
                coefficients[terms.index(pauli), column] += coefficient
        arrays = given.inputs, given.weights, given.initial
        found = self._trajectories.run(arrays, n_trajectories, _seed(seed), self.observables)
        values = found.values @ coefficients  # (batch, n_trajectories, n_observables)
        if n_trajectories == 1:
            return values[:, 0], np.full(values[:, 0].shape, np.inf)
        return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n_trajectories)

    def _branched(self, given: Given) -> npt.NDArray[np.float64]:
        runner = self._branching
        values = np.zeros((given.batch, len(self.observables)))
        for part, piece in given.pieces(_pure_chunk(self.n_qubits)):
            branches = runner.run(piece.inputs, piece.weights, self._pure(piece))
            values[part] = runner.expectations(branches, self.observables, piece.batch)
        return values

    def value_and_grad(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        grad_expectations: npt.ArrayLike,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return expectations and exact gradients, through noise, measurement and feed-forward; see `expectation`.

        Args:
            inputs, weights, initial_state: See `expectation`.
            grad_expectations: ``(batch, n_observables)``, the gradient of some number with respect to the expectations.

        Returns:
            Expectations, and the gradients ``(batch, n_inputs)`` and ``(n_weights,)``.

        Raises:
            UnsupportedProgramError: The density matrix cannot be had: gradients need it.

        Cost: some five times `expectation`; a state is kept per group of blocks, or per square root of their number.
        """
        given = self._given(inputs, weights, initial_state)
        grad = real_array("grad_expectations", grad_expectations)
        if grad.shape != (given.batch, len(self.observables)):
            raise ShapeError(
                f"grad_expectations must have shape ({given.batch}, {len(self.observables)}), got {grad.shape}.",
                got=list(grad.shape),
                allowed=[given.batch, len(self.observables)],
            )
        if not np.isfinite(grad).all():
            raise ShapeError("grad_expectations must be finite, got NaN or infinity.", got="non-finite")
        self._check_gradient()
        runner, read = self._density, observables_of(self.observables, self.n_qubits)
        check_memory(runner.needed_bytes(gradients=True), self.n_qubits, 1)
        values, by_input = np.empty(grad.shape), np.empty(given.inputs.shape)
        by_weight = np.zeros(len(self.weight_names))
        for part, piece in given.pieces(runner.chunk_size(gradients=True)):
            arrays = piece.inputs, piece.weights, self._start(piece)
            values[part], by_input[part], found = runner.value_and_grad(*arrays, read, grad[part])
            by_weight += found
        return tuple(array.astype(self._real, copy=False) for array in (values, by_input, by_weight))  # type: ignore[return-value]  # three of them

    def _check_gradient(self) -> None:
        """Refuse gradients without a density matrix."""
        advice = (
            "Gradients of dynamic circuits come from the density matrix; use method='density_matrix' (or 'auto'), or "
            "parameter shifts of expectations."
        )
        if self.method not in ("auto", "density_matrix"):
            raise UnsupportedProgramError(f"method={self.method!r} gives no gradients. {advice}", method=self.method)
        try:
            choose("density_matrix", self._operations, self.n_qubits)
        except UnsupportedProgramError as error:
            raise UnsupportedProgramError(f"{error.message} {advice}", **error.details) from None

    def density_matrix(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the mixed states, complex ``(batch, 2**n_qubits, 2**n_qubits)``, qubit 0 the most significant bit.

        Raises:
            UnsupportedProgramError: The program runs by trajectories.
        """
        given, method = self._given(inputs, weights, initial_state), self.choice().method
        self._refuse_trajectories(method, "density matrices")
        d = 1 << self.n_qubits
        out = np.empty((given.batch, d, d), self._complex)
        if method == "branching":
            for part, piece in given.pieces(_pure_chunk(self.n_qubits)):
                branches = self._branching.run(piece.inputs, piece.weights, self._pure(piece))
                out[part] = self._branching.density_matrices(branches, piece.batch)
            return out
        runner = self._density
        for part, piece in given.pieces(runner.chunk_size()):
            states = runner.states(piece.inputs, piece.weights, self._start(piece))
            summed = states[:, sorted(runner.records.values())].sum(axis=1)[:, : 4**self.n_qubits]
            out[part] = density_matrices(summed, self._complex)
        return out

    def probabilities(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the probabilities of the bits' values, readout errors included, ``(batch, 2**n_bits)``.

        Bit 0 is the most significant; bits that nothing writes read 0. Without bits, those of all qubits.

        Raises:
            UnsupportedProgramError: More than 24 bits, or the program runs by trajectories.
        """
        given, method = self._given(inputs, weights, initial_state), self.choice(bits=True).method
        self._refuse_trajectories(method, "exact probabilities")
        return self._table(given, method).astype(self._real, copy=False)

    def _table(self, given: Given, method: str) -> npt.NDArray[np.float64]:
        if self._n_outcomes > MAX_TABLE_BITS:
            raise UnsupportedProgramError(
                f"Probabilities are given for at most {MAX_TABLE_BITS} bits, got {self._n_outcomes}; use counts.",
                allowed=MAX_TABLE_BITS,
                got=self._n_outcomes,
            )
        out = np.empty((given.batch, 1 << self._n_outcomes))
        if method == "branching":
            pure = self._branching_of_bits
            for part, piece in given.pieces(_pure_chunk(self.n_qubits)):
                branches = pure.run(piece.inputs, piece.weights, self._pure(piece))
                out[part] = pure.probabilities(branches, self._finals, piece.batch)
            return out
        runner = self._density_of_bits
        for part, piece in given.pieces(runner.chunk_size()):
            states = runner.states(piece.inputs, piece.weights, self._start(piece))
            by_record = {record: states[:, slot] for record, slot in runner.records.items()}
            out[part] = bit_probabilities(by_record, self._finals, self.n_qubits, self._n_outcomes)
            runner.give_back(states)
        return out

    def sample(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        shots: int,
        seed: int | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Run ``shots`` times per sample and return the bits, uint8 ``(batch, shots, n_bits)``.

        Args:
            inputs, weights, initial_state: See `expectation`.
            shots: At least 1. With trajectories, each shot is one.
            seed: Equal seeds give equal results on any number of threads.
        """
        if not self.n_bits:
            indices = self.sample_qubits(inputs, weights, shots, seed, initial_state=initial_state)
            return _bits(indices, self.n_qubits)
        check_shots(shots, seed)
        given = self._given(inputs, weights, initial_state)
        method = self.choice(bits=True, n_samples=shots).method
        if method == "trajectories":
            arrays = given.inputs, given.weights, given.initial
            return self._trajectories_of_bits.run(arrays, shots, _seed(seed)).bits
        if method == "branching":
            return self._drawn(self._branching_of_bits, given, self._finals, shots, seed)
        return _bits(sample(self._table(given, method), shots, seed), self.n_bits)

    def sample_qubits(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        shots: int,
        seed: int | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int64]:
        """Measure all qubits, without readout errors, in place of the measurements at the end; see `sample`.

        Returns:
            int64 ``(batch, shots)`` basis indices, qubit 0 the most significant bit.
        """
        check_shots(shots, seed)
        given = self._given(inputs, weights, initial_state)
        method = self.choice(n_samples=shots).method
        if method == "trajectories":
            arrays = given.inputs, given.weights, given.initial
            return self._trajectories.run(arrays, shots, _seed(seed), sample=True).drawn
        every = tuple(Measure(q, q) for q in range(self.n_qubits))
        if method == "branching":
            bits = self._drawn(self._branching, given, every, shots, seed)
            return bits[..., : self.n_qubits].astype(np.int64) @ (1 << np.arange(self.n_qubits - 1, -1, -1))
        runner = self._density
        table = np.empty((given.batch, 1 << self.n_qubits))
        for part, piece in given.pieces(runner.chunk_size()):
            states = runner.states(piece.inputs, piece.weights, self._start(piece))
            summed = states[:, sorted(runner.records.values())].sum(axis=1)
            table[part] = bit_probabilities({0: summed}, every, self.n_qubits, self.n_qubits)
            runner.give_back(states)
        return sample(table, shots, seed)

    def _drawn(
        self, runner: BranchRunner, given: Given, finals: Sequence[Measure], shots: int, seed: int | None
    ) -> npt.NDArray[np.uint8]:
        """Draw branches, then what is measured in each."""
        out = []
        generator = np.random.Generator(np.random.PCG64(seed))
        for _, piece in given.pieces(_pure_chunk(self.n_qubits)):
            branches = runner.run(piece.inputs, piece.weights, self._pure(piece))
            out += [runner.sample(branches, entry, finals, shots, generator) for entry in range(piece.batch)]
        return np.stack(out)

    def counts(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        shots: int,
        seed: int | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> list[dict[str, int]]:
        """Return per sample how often each string of bits came (those of `sample`), bit 0 leftmost, in order."""
        out = []
        for rows in self.sample(inputs, weights, shots, seed, initial_state=initial_state):
            strings, numbers = np.unique(rows, axis=0, return_counts=True)
            out.append({"".join(map(str, row)): int(k) for row, k in zip(strings, numbers, strict=True)})
        return out

    def _refuse_trajectories(self, method: str, what: str) -> None:
        if method == "trajectories":
            raise UnsupportedProgramError(
                f"Trajectories give no {what}; use expectation or counts, or method='density_matrix'.", method=method
            )

    def _start(self, given: Given) -> npt.NDArray[np.float64] | None:
        if given.initial is None:
            return None
        return pauli_vectors(given.initial[:, :, None] * given.initial[:, None, :].conj())

    def _pure(self, given: Given) -> npt.NDArray[np.complex128]:
        if given.initial is not None:
            return given.initial
        out = np.zeros((1, 1 << self.n_qubits), np.complex128)
        out[0, 0] = 1.0
        return out

    def _given(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, initial_state: npt.ArrayLike | None
    ) -> Given:
        sizes = self.n_qubits, len(self.input_names), len(self.weight_names)
        return checked(sizes, inputs, weights, initial_state)


def _bits(indices: npt.NDArray[np.int64], n_bits: int) -> npt.NDArray[np.uint8]:
    return (indices[..., None] >> np.arange(n_bits - 1, -1, -1) & 1).astype(np.uint8)


def _seed(seed: int | None) -> int:
    return int(np.random.default_rng().integers(2**63 - 1)) if seed is None else seed


def _pure_chunk(n_qubits: int) -> int:
    return max(1, 2**20 >> n_qubits)
