"""Qiskit Aer as a backend: exact state vectors and expectations, and shots, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.clouds.answers import Run, exact_body, package, present, seeded
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import BackendInfo, Capabilities, Circuit, Pricing, Program, ProgramResult
from superpose.errors import ProviderError

__all__ = ["AerBackend"]

_BOUND_BY_AER = frozenset({"p", "rx", "ry", "rz"})
"""Gates of which Aer 0.18 takes arrays of angles; of others, such as cp, it takes the angle for 0 or runs one entry."""

_FREE = Pricing(as_of=date(2026, 11, 26), source="this machine")


class AerBackend:
    """Runs programs on ``AerSimulator``.

    A template is translated once per program and all its values go in one call; as arrays where Aer can bind them.
    Noise channels and initial states are not taken: circuits of Qiskit have no words for channels.

    >>> from superpose.circuits import Observable
    >>> result = AerBackend().run(Program(Circuit(2).h(0).cx(0, 1), {}, [Observable("XX")]))  # doctest: +SKIP
    """

    @property
    def name(self) -> str:
        """The name "aer"."""
        return "aer"

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def info(self) -> BackendInfo:
        """Return its line of the list, without loading Aer.

        Raises:
            ToolkitMissingError: Aer is not installed.
        """
        present("qiskit_aer", "Qiskit Aer", "aer")
        return BackendInfo(
            name=self.name, provider=self.name, n_qubits=None, kind="simulator", status="online", region=self.region
        )

    @cached_property
    def _aer(self) -> Any:
        return package("qiskit_aer", "Qiskit Aer", "aer")

    def capabilities(self) -> Capabilities:
        """Return what Aer can do with this machine's memory.

        Raises:
            ToolkitMissingError: Aer is not installed.
        """
        described = self._aer.AerSimulator(method="statevector").configuration()
        return Capabilities(
            max_qubits=int(described.n_qubits),
            max_shots=int(described.max_shots),
            exact=True,
            state_vectors=True,
            simulator=True,
            mid_circuit=True,
            reset=True,
            feed_forward=True,
            parametric=True,
            pricing=_FREE,
        )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        Raises:
            ToolkitMissingError: Aer is not installed.
            UnsupportedProgramError: It does not fit, or asks for exact values of a circuit that measures or resets
                before its end.
            ProviderError: Aer could not run it.

        Cost: ``2**n_qubits`` amplitudes per gate and batch entry; estimates cost that once per measurement setting.
        """
        require_fit(program, self.capabilities(), self.name)
        program, run = seeded(program), Run(self.name)
        facts = {"aer": self._aer.__version__}
        if program.shots is not None:
            measured = MeasuredProgram(program)
            counts = self._counts(measured, program)
            return measured.result(counts, run.provenance(program, **facts))
        rows = self._exact(program)
        if program.observables:
            return ProgramResult(expectations=_real(rows), provenance=run.provenance(program, **facts))
        return ProgramResult(state_vectors=_vectors(rows, program), provenance=run.provenance(program, **facts))

    def _counts(self, measured: MeasuredProgram, program: Program) -> list[dict[str, int]]:
        """Counts of each circuit in order, qubit 0 leftmost."""
        results = self._run(measured.templates, program, shots=measured.shots, seed_simulator=program.seed)
        n_settings = measured.n_settings
        # Aer gives all entries of the first setting, then all of the second
        places = [setting * program.batch + entry for entry in range(program.batch) for setting in range(n_settings)]
        return [{bits[::-1]: int(n) for bits, n in results.get_counts(place).items()} for place in places]

    def _exact(self, program: Program) -> list[Any]:
        """For each batch entry the values of the observables, or the state."""
        results = self._run([exact_body(program.circuit, self.name)], program, save=True)
        rows = [results.data(entry) for entry in range(program.batch)]
        if not program.observables:
            return [row["statevector"] for row in rows]
        return [[row[f"o{place}"] for place in range(len(program.observables))] for row in rows]

    def _run(self, circuits: Sequence[Circuit], program: Program, save: bool = False, **options: Any) -> Any:
        """What Aer answers for these circuits with all values of the program."""
        from qiskit import transpile
        from qiskit.exceptions import QiskitError

        from superpose.frontends.qiskit import write

        precision = "single" if program.dtype == "float32" else "double"
        method = "statevector" if save else "automatic"
        simulator = self._aer.AerSimulator(method=method, precision=precision)
        try:
            native = transpile([write(one) for one in circuits], simulator, optimization_level=0)
            if save:
                for one in native:
                    _save(one, program)
            native, binds = _bound(native, program)
            results = simulator.run(native, parameter_binds=binds or None, **options).result()
        except QiskitError as error:
            raise self._failed(str(error)) from error
        if not results.success:
            raise self._failed(str(results.status))
        return results

    def _failed(self, said: str) -> ProviderError:
        return ProviderError(
            f"Aer could not run the program: {said}", provider=self.name, provider_job_id=None, retryable=False
        )


def _bound(circuits: Sequence[Any], program: Program) -> tuple[list[Any], list[dict[Any, list[float]]]]:
    """The circuits, each with all values of the program, and Aer's arrays of them where it binds itself.

    Aer binds some gates only, and takes others for constants without a word.
    """
    columns = dict(zip(program.circuit.parameters, program.param_matrix().T, strict=True))
    if all(one.num_parameters and _binds_itself(one) for one in circuits):
        return list(circuits), [{p: columns[p.name].tolist() for p in one.parameters} for one in circuits]
    entries = range(program.batch)
    return [
        one.assign_parameters({p: columns[p.name][e] for p in one.parameters}) for one in circuits for e in entries
    ], []


def _binds_itself(circuit: Any) -> bool:
    from qiskit.circuit import ControlFlowOp, ParameterExpression

    def is_bound(operation: Any) -> bool:
        if isinstance(operation, ControlFlowOp):
            return False
        free = any(isinstance(value, ParameterExpression) for value in operation.params)
        return not free or operation.name in _BOUND_BY_AER

    return all(is_bound(item.operation) for item in circuit.data)


def _save(native: Any, program: Program) -> None:
    """Ask for the state, or the observables' values, at the end of Aer's circuit."""
    from qiskit.quantum_info import SparsePauliOp

    n_qubits = program.n_qubits
    if not program.observables:
        native.save_statevector()
    for place, observable in enumerate(program.observables):
        terms = [(pauli[::-1], coefficient) for pauli, coefficient in observable.terms]  # Qiskit's first letter is last
        operator = SparsePauliOp.from_list(terms or [("I" * n_qubits, 0.0)], num_qubits=n_qubits)
        native.save_expectation_value(operator, list(range(n_qubits)), label=f"o{place}")


def _real(rows: list[Any]) -> npt.NDArray[np.float64]:
    return np.array(rows, dtype=np.float64)  # (batch, n_observables)


def _vectors(rows: list[Any], program: Program) -> npt.NDArray[Any]:
    """States with qubit 0 as the most significant bit, where Aer has it as the least."""
    n_qubits = program.n_qubits
    states = np.array([np.asarray(row) for row in rows])  # (batch, 2**n_qubits)
    axes = (0, *range(n_qubits, 0, -1))
    turned = states.reshape(len(rows), *(2,) * n_qubits).transpose(axes).reshape(len(rows), -1)
    return np.ascontiguousarray(turned, dtype=np.complex64 if program.dtype == "float32" else np.complex128)
