"""Names to backends, files to circuits, `run`, `gradient` and `compile`: what a notebook needs first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from superpose.backends import LocalBackend
from superpose.circuits import (
    Backend,
    Circuit,
    CompilingBackend,
    Dtype,
    Executable,
    NoiseModel,
    Observable,
    Parameter,
    ParamsLike,
    Program,
    ProgramExecutable,
    ProgramResult,
    Template,
)
from superpose.circuits.sets.grid import ProgramGrid
from superpose.circuits.sets.program_set import ProgramSet
from superpose.errors import (
    BackendUnknownError,
    CircuitFormatError,
    DecisionError,
    DrawingError,
    ParameterUnboundError,
    ProgramError,
)

if TYPE_CHECKING:
    from superpose.backends.selection import Constraints, Objective, Selection
    from superpose.circuits import ProgramSetResult
    from superpose.pictures import Picture

__all__ = ["compile", "convert", "draw", "gradient", "load", "program_set", "resolve_backend", "run"]

MAX_FILE_BYTES = 256 * 2**20


@overload
def run(  # type: ignore[overload-overlap]  # a set is an object too, of which the first overload is told first
    program: ProgramSet,
    *,
    seed: int | None = None,
    noise: NoiseModel | None = None,
    backend: str | Backend | Selection = "local",
    objective: Objective | None = None,
    constraints: Constraints | None = None,
) -> ProgramSetResult: ...


@overload
def run(
    program: object,
    params: ParamsLike | None = None,
    *,
    observables: Observable | Sequence[Observable] | None = None,
    shots: int | None = None,
    seed: int | None = None,
    initial_state: npt.ArrayLike | None = None,
    noise: NoiseModel | None = None,
    backend: str | Backend | Selection = "local",
    objective: Objective | None = None,
    constraints: Constraints | None = None,
) -> ProgramResult: ...


def run(  # noqa: PLR0913  # parts of a program, noise and a place; all but the first are optional
    program: object,
    params: ParamsLike | None = None,
    *,
    observables: Observable | Sequence[Observable] | None = None,
    shots: int | None = None,
    seed: int | None = None,
    initial_state: npt.ArrayLike | None = None,
    noise: NoiseModel | None = None,
    backend: str | Backend | Selection = "local",
    objective: Objective | None = None,
    constraints: Constraints | None = None,
) -> ProgramResult | ProgramSetResult:
    """Run a circuit, a program or a program set and return its result.

    Args:
        program: A `Circuit`, another toolkit's circuit (see `load`), or a `Program`, of which the parts given here are
            replaced; or a `ProgramSet`, beside which only seed, noise and backend may stand: it runs in pieces, those
            that fail are tried again, and a `ProgramSetResult` comes back.
        params: Values by name, each a number or an array ``(batch,)``; or an array ``(n_params,)`` or
            ``(batch, n_params)`` in the order of ``circuit.parameters``. Radians.
        observables: What to measure; without any, counts (with shots) or state vectors (without) come back.
        shots: Measurements per batch entry, or None for exact answers.
        seed: Seed of the sampling.
        initial_state: State ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)`` instead of ``|0...0>``.
        noise: How the processor errs: `NoiseModel.apply` writes it into the circuit first.
        backend: Name of a backend, or one of your own; "auto", or a `superpose.backends.selection.Selection`, chooses
            one by expected fidelity, price and wait, and writes the decision into the result's provenance.
        objective, constraints: Of the choice, beside "auto"; see `superpose.backends.selection`.

    Raises:
        CircuitError: The parts do not fit; see `Program`.
        BackendUnknownError: No backend has this name.
        NoBackendFitsError: None will do, of those there are to choose from.
        DecisionError: An objective or constraints where nothing is to be chosen.
        StateTooLargeError, UnsupportedProgramError: The backend cannot run this.
        PieceFailedError: No piece of a program set has results.

    >>> from superpose.circuits import z_all
    >>> run(Circuit(2).h(0).cx(0, 1), shots=4, seed=1).counts
    ({'00': 1, '11': 3},)
    >>> run(Circuit(2).x(1), observables=z_all(2)).expectations.tolist()
    [[1.0, -1.0]]
    """
    runner = resolve_backend(_chosen(backend, objective, constraints))
    given = {"observables": observables, "shots": shots, "seed": seed, "initial_state": initial_state}
    if isinstance(program, ProgramSet):
        from superpose.backends.program_sets import changed, run_program_set

        return run_program_set(changed(program, {"params": params, **given}, noise), runner)
    return runner.run(_noisy(_program(program, params, given), noise))


def program_set(*grids: object, seed: int | None = None) -> ProgramSet:
    """Return a `ProgramSet` of circuits of any toolkit, each with arrays of values and a question.

    Args:
        grids: Each a `ProgramGrid`; or a circuit, ours or another toolkit's, or what else `load` takes, or a tuple
            ``(circuit, params, observables, shots)`` cut off anywhere.
        seed: Seed of all sampling.

    Raises:
        ProgramSetError, CircuitError: The parts do not fit; see `ProgramSet` and `ProgramGrid`.
        ConversionError: Another toolkit's circuit cannot be kept.

    >>> both = program_set((Circuit(1).ry(Parameter("a"), 0), {"a": [0.0, 1.0]}, Observable("Z")), Circuit(1).h(0))
    >>> run(both)[0].expectations[:].round(6).tolist()
    [[1.0], [0.540302]]
    """

    def read(grid: object) -> object:
        if isinstance(grid, ProgramGrid):
            return grid
        parts = grid if isinstance(grid, tuple) else (grid,)
        return (load(parts[0]), *parts[1:]) if parts else parts

    return ProgramSet([read(grid) for grid in grids], seed)


def gradient(  # noqa: PLR0913  # those of `run`, the method and its options; all but the first are optional
    program: object,
    params: ParamsLike | None = None,
    *,
    observables: Observable | Sequence[Observable] | None = None,
    method: str | None = None,
    shots: int | None = None,
    seed: int | None = None,
    initial_state: npt.ArrayLike | None = None,
    noise: NoiseModel | None = None,
    backend: str | Backend | Selection = "local",
    step: float | None = None,
    n_directions: int = 16,
) -> npt.NDArray[np.float64]:
    """Return the gradient of expectations with respect to a circuit's parameters, by any method, on any backend.

    Args:
        program, params, observables, shots, initial_state, noise, backend: See `run`; there must be observables.
        method: "adjoint" (exact; this machine, no shots), "parameter-shift" (exact, or unbiased with shots),
            "finite-difference" or "spsa" (random directions); None takes the first of these that is possible.
        seed: Of the sampling, and of SPSA's directions.
        step: Of finite differences and SPSA, in radians; None takes one that suits the expectations' noise.
        n_directions: Of SPSA.

    Returns:
        Float64 ``(batch, n_observables, n_params)``, parameters in the order of ``circuit.parameters``.

    Raises:
        CircuitError: The parts do not fit; see `Program`.
        BackendUnknownError: No backend has this name.
        StateTooLargeError, UnsupportedProgramError: The backend cannot run this, or not differentiate it so.

    Cost: evaluations of the whole batch, sent as one program: about 3 per observable (adjoint), 2 per angle of a
    rotation and 4 per angle of a controlled one (parameter shift), 2 per parameter (finite differences), 2 per
    direction (SPSA).

    >>> circuit = Circuit(1).ry(2 * Parameter("a"), 0)
    >>> gradient(circuit, {"a": [0.0, 0.5]}, observables=Observable("Z")).round(6).tolist()
    [[[0.0]], [[-1.682942]]]
    """
    from superpose.backends import gradient_problem  # a room that `run` does without
    from superpose.engine.gradients import GradientOptions
    from superpose.engine.gradients import gradient as by_method

    runner = resolve_backend(backend)
    given = {"observables": observables, "shots": shots, "seed": seed, "initial_state": initial_state}
    problem = gradient_problem(_noisy(_program(program, params, given), noise), runner)
    options = GradientOptions(step, n_directions, seed)
    return by_method(problem, method or ("parameter-shift" if problem.adjoint is None else "adjoint"), options)


def compile(
    template: object,
    *,
    observables: Observable | Iterable[Observable] = (),
    inputs: Iterable[str | Parameter] = (),
    dtype: Dtype = "float64",
    backend: str | Backend | Selection = "local",
) -> Executable:
    """Return a circuit compiled for a backend, to be run with many values.

    What a circuit costs is paid once: a run with new values does not look at it again. Equal templates are compiled
    once. On a backend that does not compile, each run sends a whole program; the results are the same.

    Args:
        template: The circuit, ours or another toolkit's (see `load`), or a `Template`, which says the next three
            itself.
        observables: What to measure; without any, counts (with shots) or state vectors (without) come back.
        inputs: Parameters whose values may differ between batch entries; all others have one value per run.
        dtype: Precision of the amplitudes, "float64" or "float32".
        backend: Name of a backend, or one of your own.

    Raises:
        CircuitError: The parts do not fit; see `Template`.
        BackendUnknownError: No backend has this name.
        UnsupportedProgramError: The backend cannot run this.

    >>> energy = compile(Circuit(1).ry(Parameter("a"), 0), observables=Observable("Z"))
    >>> [round(float(energy.run([angle]).expectations[0, 0]), 6) for angle in (0.0, 0.5, 1.0)]
    [1.0, 0.877583, 0.540302]
    """
    runner = resolve_backend(backend)
    if not isinstance(template, Template):
        template = Template(_native(template), observables, inputs, dtype)
    return runner.compile(template) if isinstance(runner, CompilingBackend) else ProgramExecutable(template, runner)


def resolve_backend(backend: str | Backend | Selection) -> Backend:
    """Return the backend of this name; one that is a backend already, as it is.

    "auto", or a `superpose.backends.selection.Selection`, is a backend that chooses another one for each program.
    Installed packages offer further backends, by a name of their own or as "provider:backend"; see
    `superpose.backends.providers`.

    Raises:
        BackendUnknownError: No backend has this name.
        ToolkitMissingError, ProviderError: Its package is missing; its provider does not let us in.

    >>> resolve_backend("local").name
    'local'
    """
    if isinstance(backend, str):
        if backend == "local":
            return LocalBackend()
        if backend == "auto":
            from superpose.backends.selection import AutoBackend

            return AutoBackend()
        from superpose.backends.providers import find_backend  # reads the installed packages' entry points

        return find_backend(backend)
    if not isinstance(backend, Backend):
        from superpose.backends.selection import AutoBackend, Selection

        if isinstance(backend, Selection):
            return AutoBackend(backend)
        raise BackendUnknownError(
            f"A backend is named by a string or has name, capabilities() and run(); got {type(backend).__name__}."
        )
    return backend


def load(source: object) -> Circuit:
    """Return the circuit in a file, in a text, or in another toolkit's object.

    Args:
        source: A path (``.qasm``, ``.qasm2``, ``.qasm3``, ``.json``, ``.qs`` or ``.quil``), a text (OpenQASM 2 or 3,
            superpose JSON, Q# or Quil; a string is taken for a text where it holds ``;``, ``{`` or more than one
            line), a `Circuit`, a circuit of Qiskit, Cirq, Amazon Braket, PennyLane (tape, QNode or function), pyQuil or
            pytket, or a `superpose.frontends.qsharp.QSharpOperation`.

    Raises:
        CircuitFormatError: The file cannot be read, is neither, or its JSON is no circuit.
        QasmError: The OpenQASM text cannot be read; with line and column.
        ConversionError: Another toolkit's circuit holds something that cannot be kept, or no toolkit knows the object.
        ToolkitMissingError: What reads the file or text is not installed.

    >>> load('OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;') == Circuit(1).h(0)
    True
    """
    if not isinstance(source, str | Path):
        from superpose.frontends import read  # which imports a toolkit only when its objects come

        return read(source)
    from superpose.frontends.text_forms import READERS, TEXTS, text_form
    from superpose.frontends.texts import is_text, read_text

    if isinstance(source, str) and is_text(source):
        return read_text(source)
    path = Path(source)
    form = text_form(path.suffix)
    if form is None:
        known = ", ".join(f"{suffix} ({row.title})" for row in TEXTS.values() for suffix in row.suffixes)
        raise CircuitFormatError(f"{path} is not named {known}; rename it.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CircuitFormatError(f"{path} has more than {MAX_FILE_BYTES:,} bytes; such files are not read.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CircuitFormatError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise CircuitFormatError(f"{path} is not text in UTF-8.") from None
    return READERS[form.name](text, path.stem)


def convert(source: object, to: str, *, like: object | None = None) -> Any:
    """Return a circuit as another toolkit's own object, parameters symbolic; or a result as another toolkit's own.

    Args:
        source: Whatever `load` takes; or a `ProgramResult`.
        to: "qiskit", "cirq", "braket", "pennylane" (a quantum function of the parameters), "pyquil", "pytket",
            "qsharp", "openqasm3" or "openqasm2" (texts; the last one without free parameters) or "superpose". For a
            result "qiskit" (``PrimitiveResult``: registers of bits, or ``evs``), "cirq" (``ResultDict``), "braket"
            (``GateModelQuantumTaskResult``) or "pennylane" (arrays: samples, expectations, states); Cirq and Braket
            have a list of results for a batch.
        like: For a result, the toolkit's own circuit that was run: its registers, keys or qubits name the bits. Without
            it, all bits stand in one register ``c``.

    Raises:
        ConversionError: The toolkit has no words for something in the circuit; nothing is dropped silently.
        ToolkitMissingError: It is not installed.
        CircuitFormatError, QasmError: See `load`.

    >>> convert(Circuit(1).rx(2 * Parameter("a"), 0), to="openqasm3").splitlines()[-1]
    'rx(2*a) q[0];'
    """
    if isinstance(source, ProgramResult):
        from superpose.frontends.results import native_result

        return native_result(source, to, like)
    circuit = load(source)
    if to == "superpose":
        return circuit
    from superpose.frontends import write

    return write(circuit, to)


@overload
def draw(source: object, path: None = None, *, fold: int | None = None, width: float | None = None) -> str: ...


@overload
def draw(source: object, path: str | Path, *, fold: int | None = None, width: float | None = None) -> Picture: ...


def draw(
    source: object, path: str | Path | None = None, *, fold: int | None = None, width: float | None = None
) -> str | Picture:
    """Return a circuit drawn as text, or write its picture into a file.

    Args:
        source: Whatever `load` takes.
        path: A file, ``.svg`` or ``.png``, which appears whole or not at all; None gives text.
        fold: Columns in a row at most; None takes as many as ``width`` has room for, 0 puts all into one row.
        width: Room for a row: characters of text (default 100), inches of a picture (default 12).

    Returns:
        The text; or what was written: path, size in inches, columns and rows.

    Raises:
        DrawingError: The file is no picture's, cannot be written, or the circuit is too large for a picture.
        ExtraMissingError: Matplotlib, which draws pictures, is not installed.
        CircuitFormatError, QasmError, ConversionError: See `load`.

    >>> print(draw(Circuit(2).h(0).crx(Parameter("a") / 2, 0, 1)))
    q0: ──H──●────────
    q1: ─────RX(a/2)──
    """
    circuit = load(source)
    if path is None:
        return circuit.draw(fold=fold, width=100 if width is None else int(width))
    from superpose.learning.canonical import write_whole
    from superpose.pictures import draw_picture

    picture, content = draw_picture(circuit, path, fold=fold, width_in=12.0 if width is None else float(width))
    try:
        write_whole(picture.path, content)
    except OSError as error:
        raise DrawingError(f"{path} cannot be written: {error.strerror or error}.") from None
    return picture


def _chosen(
    backend: str | Backend | Selection, objective: Objective | None, constraints: Constraints | None
) -> str | Backend | Selection:
    """The backend that a call means, its objective and constraints taken in."""
    if objective is None and constraints is None:
        return backend
    if backend != "auto":
        raise DecisionError(
            "An objective and constraints choose a backend: they stand beside backend='auto'; a Selection has its own."
        )
    from superpose.backends.selection import Constraints, Selection, Weighted

    return Selection(objective=objective or Weighted(), constraints=constraints or Constraints())


def _program(program: object, params: ParamsLike | None, given: Mapping[str, Any]) -> Program:
    """Return the program that a call means: the one given, with the parts given beside it in place of its own."""
    if isinstance(program, Circuit):
        parts: dict[str, Any] = {"circuit": program, "params": {}}
    elif isinstance(program, Program):
        parts = {}
    else:
        return _program(_native(program), params, given)
    if params is not None:
        parts["params"] = _named(program if isinstance(program, Circuit) else program.circuit, params)
    parts |= {name: value for name, value in given.items() if value is not None}
    return replace(program, **parts) if isinstance(program, Program) else Program(**parts)


def _native(source: object) -> Circuit:
    """Return a circuit, ours or one of another toolkit's objects."""
    if isinstance(source, Circuit):
        return source
    from superpose.frontends import read, toolkit_of

    if toolkit_of(source) is None:
        raise ProgramError(
            f"A circuit, ours or another toolkit's, or a Program or Template is needed, got {type(source).__name__}; "
            "use load for files."
        )
    return read(source)


def _noisy(program: Program, noise: NoiseModel | None) -> Program:
    return program if noise is None else replace(program, circuit=noise.apply(program.circuit))


def _named(circuit: Circuit, params: ParamsLike) -> Mapping[Any, Any]:
    """Values by name, whatever form they came in."""
    if isinstance(params, Mapping):
        return params
    values = np.asarray(params)
    if values.ndim not in (1, 2) or values.shape[-1] != circuit.n_params:
        raise ParameterUnboundError(
            f"Circuit needs {circuit.n_params} parameters, got params.shape={values.shape}; "
            f"the last axis must be {circuit.n_params}.",
            shape=list(values.shape),
        )
    return dict(zip(circuit.parameters, values.T, strict=True))
