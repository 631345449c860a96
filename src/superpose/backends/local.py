"""The local backend: programs on this machine's engine."""

from __future__ import annotations

from datetime import date

from superpose.backends.admission import MAX_SHOTS, admit, batch_limit
from superpose.backends.executable import LocalExecutable, answered
from superpose.backends.plan import Values
from superpose.backends.plans import plan_of
from superpose.circuits import Capabilities, Pricing, Program, ProgramResult, Template
from superpose.engine import memory_required
from superpose.engine.memory import available_memory

__all__ = ["LocalBackend"]


_FREE = Pricing(as_of=date(2026, 11, 26), source="this machine")


class LocalBackend:
    """Runs programs on this machine: exact or sampled, batched, without network.

    Exact expectations, state vectors and samples come from `superpose.engine`. With ``shots``, observables are
    estimated from measurements: their Pauli strings are grouped into settings that can be measured together, and each
    setting is measured ``shots`` times per batch entry. Equal programs with equal seeds give equal results, on any
    number of threads.

    >>> from superpose.circuits import Circuit, Observable
    >>> LocalBackend().run(Program(Circuit(2).h(0).cx(0, 1), {}, [Observable("XX")])).expectations.round(12).tolist()
    [[1.0]]
    """

    @property
    def name(self) -> str:
        """The name "local"."""
        return "local"

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def capabilities(self) -> Capabilities:
        """Return what this machine can do with the memory that is free now."""
        free, n_qubits = available_memory(), 1
        while memory_required(n_qubits + 1, 1, dtype="float64", gradients=False) <= free:
            n_qubits += 1
        return Capabilities(
            max_qubits=n_qubits,
            max_shots=MAX_SHOTS,
            exact=True,
            state_vectors=True,
            initial_state=True,
            simulator=True,
            dynamic=True,
            parametric=True,
            pricing=_FREE,
        )

    def admit(self, program: Program) -> None:
        """Check, in microseconds and without allocating, that ``program`` can run here now.

        Raises:
            StateTooLargeError: It needs more memory than there is; ``details`` hold needed_bytes and available_bytes.
            UnsupportedProgramError: More shots than 10 million.
        """
        admit(program, program.batch, program.shots)

    def batch_limit(self, template: Template, shots: int | None) -> int:
        """Return how many batch entries of ``template`` run well as one program.

        They take a quarter of the free memory and, so that a run stays within minutes, 2**30 amplitudes or shots.

        Raises:
            StateTooLargeError, UnsupportedProgramError: Not even one can run; see `admit`.
        """
        return batch_limit(template, shots)

    def compile(self, template: Template) -> LocalExecutable:
        """Return ``template`` compiled; equal templates are compiled once, also between processes.

        Raises:
            UnsupportedProgramError: The engine cannot run this circuit.
        """
        return LocalExecutable(template)

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        A program of the same structure as one before, whose values differ between batch entries in the same
        parameters, is not compiled again.

        Raises:
            StateTooLargeError, UnsupportedProgramError: See `admit`; refused before anything is computed.

        Cost: ``2**n_qubits`` amplitudes per instruction and batch entry; estimates cost that once per group of terms.
        """
        self.admit(program)
        rows = program.param_matrix()  # (batch, n_params)
        differs = (rows != rows[0]).any(axis=0)
        names = [name for name, by_entry in zip(program.circuit.parameters, differs, strict=True) if by_entry]
        template = Template(program.circuit, program.observables, names, program.dtype)
        values = Values(rows[:, differs], rows[0, ~differs], program.initial_state)
        return answered(plan_of(template), values, program.shots, program.seed, {"program_digest": program.digest})
