"""Where programs run and what comes back: the `Backend` protocol beside the values it takes and gives."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from superpose.circuits.pricing import Pricing
from superpose.circuits.program import Program
from superpose.circuits.template import ParamsLike, Template

__all__ = [
    "Backend",
    "Capabilities",
    "CompilingBackend",
    "Executable",
    "ProgramExecutable",
    "ProgramResult",
    "QueueingBackend",
    "SizingBackend",
]


@dataclass(frozen=True, eq=False)
class ProgramResult:
    """What a backend answered.

    Attributes:
        expectations: Float64 ``(batch, n_observables)``, or None where the program has no observables.
        counts: Per batch entry, how often each bit string was measured (qubit 0 leftmost); None unless asked for.
        state_vectors: Complex ``(batch, 2**n_qubits)``, or None unless asked for.
        provenance: How the answer came about, in JSON values: backend, versions, dtype, seed, seconds, program digest.
    """

    expectations: npt.NDArray[np.float64] | None = None
    counts: tuple[Mapping[str, int], ...] | None = None
    state_vectors: npt.NDArray[np.complex128] | npt.NDArray[np.complex64] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProgramResult):
            return NotImplemented
        return all(_same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # holds arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do, so that a program can be refused, or placed elsewhere, before it is sent.

    Attributes:
        max_qubits: Largest circuit, or None where memory alone decides.
        gates: Names of the gates taken as they are, or None for the whole table.
        max_shots: Most shots per batch entry, or None without limit.
        max_batch: Most batch entries of one program, or None where memory alone decides; larger program sets go in
            pieces.
        exact: Whether expectations without shots (the exact values) are given.
        state_vectors: Whether state vectors are given.
        initial_state: Whether a program may start from a state of its own.
        simulator: Whether results are computed rather than measured.
        dynamic: Whether circuits may measure in the middle, branch on what was read, reset, and hold noise channels.
        mid_circuit: Whether they may measure in the middle; ``dynamic`` implies this and the next two.
        reset: Whether they may reset qubits.
        feed_forward: Whether they may branch on what was read.
        parametric: Whether new values run without compiling the circuit again.
        native_gates: Names of the gates that the processor itself has; None for a simulator.
        connectivity: Ordered pairs of qubits that its two-qubit gates join; None where all are.
        pricing: What a run costs; None where nothing is known.
    """

    max_qubits: int | None = None
    gates: frozenset[str] | None = None
    max_shots: int | None = None
    max_batch: int | None = None
    exact: bool = False
    state_vectors: bool = False
    initial_state: bool = False
    simulator: bool = False
    dynamic: bool = False
    mid_circuit: bool = False
    reset: bool = False
    feed_forward: bool = False
    parametric: bool = False
    native_gates: frozenset[str] | None = None
    connectivity: frozenset[tuple[int, int]] | None = None
    pricing: Pricing | None = None

    def __post_init__(self) -> None:
        if self.dynamic:
            for name in ("mid_circuit", "reset", "feed_forward"):
                object.__setattr__(self, name, True)


@runtime_checkable
class Backend(Protocol):
    """Where programs run. Implementations pass `superpose.testing.check_backend`."""

    @property
    def name(self) -> str:
        """The name that `superpose.run` and provenance use."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what this backend can do."""
        ...

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` and return its result; see `Program` for which parts are filled."""
        ...


@runtime_checkable
class QueueingBackend(Backend, Protocol):
    """A backend whose results arrive later, such as a processor with a queue: nobody has to wait for them in a process.

    The service hands a program over, lets go of its worker, and asks for the result from time to time.
    """

    def submit(self, program: Program, token: str) -> str:
        """Hand ``program`` over and return the backend's own id of it.

        The same token again gives the same id and runs nothing twice, so that a crash between handing over and writing
        the id down costs nothing.
        """
        ...

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet.

        Raises:
            ProviderError: The run has failed; ``retryable`` says whether asking again may help.
        """
        ...


@runtime_checkable
class Executable(Protocol):
    """A template that was compiled for a backend: run with new values, it is not looked at again.

    Executables may be used by several threads at once. Those that know exact gradients have `value_and_grad` too; see
    `superpose.backends.LocalExecutable`.
    """

    @property
    def template(self) -> Template:
        """What was compiled."""
        ...

    @property
    def n_runs(self) -> int:
        """How often this was run."""
        ...

    def run(
        self,
        params: ParamsLike | None = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> ProgramResult:
        """Run with values for the parameters (see `Template.values`); see `Program` for which parts are filled."""
        ...


@runtime_checkable
class CompilingBackend(Backend, Protocol):
    """A backend that takes structure and values apart: what a template costs is paid once."""

    def compile(self, template: Template) -> Executable:
        """Return ``template`` compiled; equal templates are compiled once."""
        ...


@runtime_checkable
class SizingBackend(Backend, Protocol):
    """A backend that knows, for each template, how many batch entries it takes at once."""

    def batch_limit(self, template: Template, shots: int | None) -> int:
        """Return the most batch entries of one program of ``template`` that can run now; at least 1.

        Raises:
            SuperposeError: Not even one can.
        """
        ...


class ProgramExecutable:
    """An executable for any backend: every run sends a whole program.

    Args:
        template: What is run.
        backend: Where.
    """

    def __init__(self, template: Template, backend: Backend) -> None:
        self._template, self._backend = template, backend
        self._n_runs, self._lock = 0, threading.Lock()

    @property
    def template(self) -> Template:
        """What is run."""
        return self._template

    @property
    def n_runs(self) -> int:
        """How often this was run."""
        return self._n_runs

    def run(
        self,
        params: ParamsLike | None = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> ProgramResult:
        """Run with values for the parameters; see `Program`.

        Raises:
            CircuitError: Values and parameters do not fit; see `Template.values` and `Program`.
        """
        result = self._backend.run(self.program(params, shots=shots, seed=seed, initial_state=initial_state))
        with self._lock:
            self._n_runs += 1
        return result

    def program(
        self,
        params: ParamsLike | None = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> Program:
        """Return what `run` sends.

        Raises:
            CircuitError: Values and parameters do not fit; see `Template.values` and `Program`.
        """
        template = self._template
        inputs, weights = template.values(params)
        named: dict[str, Any] = dict(zip(template.weight_names, weights.tolist(), strict=True))
        named.update(zip(template.input_names, inputs.T, strict=True))
        asked = {"shots": shots, "seed": seed, "initial_state": initial_state, "dtype": template.dtype}
        return Program(template.circuit, named, template.observables, **asked)  # type: ignore[arg-type]  # of mixed types


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) and bool(a == b)
