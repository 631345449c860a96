"""`superpose run`: a circuit from a file, or a Python script, on this machine or as a job."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from superpose.cli.choosing import (
    AmongOption,
    Asked,
    KindOption,
    MaxPriceOption,
    MaxWaitOption,
    MinFidelityOption,
    ObjectiveOption,
    ProviderOption,
    RegionOption,
    run_chosen,
)
from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import console, note, print_json, show, table

if TYPE_CHECKING:
    from rich.console import Console

    from superpose.circuits import Backend, Observable, Program, ProgramResult

__all__ = ["parse_observable", "parse_param", "run_program"]

SHOWN: Final = 16
_NUMBER: Final = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE: Final = re.compile(rf"([+-]?)({_NUMBER})?\*?(pi)?(?:/({_NUMBER}))?")
_TERM: Final = re.compile(rf"([+-]?)(?:({_NUMBER})\*)?([IXYZ]+)")


def run_program(  # noqa: PLR0913  # one parameter per option
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A circuit (.qasm, .json, .quil, .qs, .py:NAME), a program (.json), or a Python script (.py).",
            show_default=False,
        ),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="Value of a parameter, repeatable; several values run as one batch.", metavar="NAME=VALUE[,...]"
        ),
    ] = None,
    observable: Annotated[
        list[str] | None,
        typer.Option(help='Pauli sum such as "ZZ" or "0.5*ZI - XX", repeatable.', metavar="PAULIS"),
    ] = None,
    shots: Annotated[int | None, typer.Option(help="Measure this often [default: exact].", metavar="N", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.", metavar="N", min=0)] = None,
    backend: Annotated[
        str, typer.Option(help='Backend, where it is not a job; "auto" chooses one.', metavar="NAME")
    ] = "local",
    objective: ObjectiveOption = None,
    min_fidelity: MinFidelityOption = None,
    max_price: MaxPriceOption = None,
    max_wait: MaxWaitOption = None,
    kind: KindOption = None,
    provider: ProviderOption = None,
    region: RegionOption = None,
    among: AmongOption = None,
    waits: Annotated[
        Path | None,
        typer.Option(help="Waits in queues: read for auto, and this run's appended (JSON lines).", metavar="FILE"),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Show how the backend was chosen.")] = False,
    as_job: Annotated[bool, typer.Option("--job", help="Run as a job of the service, and wait for it.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a circuit file or a Python script.

    It runs on this machine and needs no service, or with --job as a job.
    Shows expectations of the observables, or counts with --shots, or the state's probabilities.
    Angles are radians; pi may be used: --param theta=pi/4

    A Python file is your own code: it is run, in a process of its own, with your rights.
    FILE.py runs as a script, as python FILE.py does, and what it prints is shown.
    FILE.py:NAME, or FILE.py with one of the options above, runs the circuit that it defines.
    """
    from superpose.engine import kernels_ready
    from superpose.facade import run

    given = dict(parse_param(text) for text in param or ())
    observables = tuple(parse_observable(text) for text in observable or ())
    path, name = split_name(file)
    if path.suffix.lower() == ".py" and not (name or given or observables or shots is not None or seed is not None):
        from superpose.cli.run_script import run_script_file

        run_script_file(path, (url, key_file) if as_job else None, as_json=as_json)
        return
    program = load_program(path, given, observables, shots, seed, name)
    if as_job:
        with connect(url, key_file) as client:
            finish(client.run(program), program, observable or [], as_json=as_json)
        return
    if not kernels_ready((program.dtype,)):
        note("building the engine's kernels for this precision, which is done once on a machine ...")
    asked = Asked(objective, min_fidelity, max_price, max_wait, kind, provider, region, among)
    if backend == "auto" or why or asked.anything:
        finish(run_chosen(program, backend, asked, why=why, waits=waits), program, observable or [], as_json=as_json)
        return
    finish(run(program, backend=told(recorded(backend, waits), program)), program, observable or [], as_json=as_json)


def recorded(backend: str, waits: Path | None) -> str | Backend:
    """The backend; where waits are kept, one that appends to them."""
    if waits is None:
        return backend
    from superpose.backends.estimates import recording_waits
    from superpose.facade import resolve_backend

    return recording_waits(resolve_backend(backend), waits)


def told(backend: str | Backend, program: Program) -> str | Backend:
    """The backend; where it mitigates errors, what that takes is said first."""
    if program.shots is None or not program.observables or (isinstance(backend, str) and ":" not in backend):
        return backend
    from superpose.backends.mitigation import MitigatedBackend, ProbabilisticErrorCancellation
    from superpose.facade import resolve_backend

    found = resolve_backend(backend) if isinstance(backend, str) else backend
    if isinstance(found, MitigatedBackend):
        text = (
            f"{found.name} takes at most {found.n_shots(program):,} shots of each measurement setting and batch entry"
        )
        if isinstance(found, ProbabilisticErrorCancellation):
            text += f"; the same error as without noise takes {found.overhead(program):.2f} times as many"
        note(text)
    return found


def finish(result: ProgramResult, program: Program, names: Sequence[str], *, as_json: bool) -> None:
    """Print a result."""
    from superpose.circuits import result_to_json

    if as_json:
        print_json(result_to_json(result))
    else:
        show_result(result, program, names)


def split_name(file: str) -> tuple[Path, str | None]:
    """``FILE.py:NAME`` in its two parts; all other files have no name."""
    path, colon, name = file.rpartition(":")
    if colon and path.lower().endswith(".py"):
        return Path(path), name or None
    return Path(file), None


def parse_param(text: str) -> tuple[str, Any]:
    """``name=value`` or ``name=value,value,...``, each a number or a multiple of pi."""
    name, equals, values = text.partition("=")
    numbers = [parse_value(value) for value in values.split(",")]
    if not name or not equals or None in numbers:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE with a number or a multiple of pi, such as theta=pi/4")
    return name.strip(), numbers[0] if len(numbers) == 1 else [number or 0.0 for number in numbers]


def parse_value(text: str) -> float | None:
    """A number, ``pi``, ``-pi/2``, ``3*pi/4``, ``2pi``; None for anything else."""
    match = _VALUE.fullmatch(text.strip().replace(" ", ""))
    if match is None or (match[2] is None and match[3] is None):
        return None
    value = float(match[2] or 1.0) * (math.pi if match[3] else 1.0)
    divisor = float(match[4] or 1.0)
    return (-value if match[1] == "-" else value) / divisor if divisor else None


def parse_observable(text: str) -> Observable:
    """A Pauli sum such as ``ZZ`` or ``0.5*ZI - XX``."""
    from superpose.circuits import Observable

    compact = re.sub(r"\s+", "", text)
    terms: dict[str, float] = {}
    at = 0
    while at < len(compact):
        match = _TERM.match(compact, at)
        if match is None or (at > 0 and not match[1]):
            raise typer.BadParameter(f'{text!r} is not a Pauli sum such as "ZZ" or "0.5*ZI - XX"')
        sign = -1.0 if match[1] == "-" else 1.0
        terms[match[3]] = terms.get(match[3], 0.0) + sign * float(match[2] or 1.0)
        at = match.end()
    if not terms:
        raise typer.BadParameter("an observable needs at least one Pauli string, such as ZZ")
    return Observable(terms)


def load_program(
    file: Path,
    params: Mapping[str, Any],
    observables: tuple[Observable, ...],
    shots: int | None,
    seed: int | None,
    name: str | None = None,
) -> Program:
    """The program of a circuit file and the options, or a program file with what the options change.

    Raises:
        CircuitFormatError: the file cannot be read or is neither.
        QasmError: the OpenQASM text cannot be read; names line and column.
        ParameterUnboundError: a parameter has no value, or a value no parameter.
    """
    from superpose.circuits import Program
    from superpose.facade import load

    if file.suffix.lower() == ".py":
        return python_program(file, name, {"params": params, "shots": shots, "seed": seed}, observables)
    stored = read_program(file)
    if stored is None:
        return Program(load(file), params, observables, shots=shots, seed=seed)
    changes: dict[str, Any] = {"params": {**stored.params, **params}}
    changes |= {"observables": observables} if observables else {}
    changes |= {name: value for name, value in (("shots", shots), ("seed", seed)) if value is not None}
    return replace(stored, **changes)


def python_program(
    file: Path, name: str | None, given: Mapping[str, Any], observables: tuple[Observable, ...]
) -> Program:
    """The program of a circuit that a Python file defines; without observables, of what a QNode returns."""
    from superpose.circuits import Program, circuit_from_json
    from superpose.circuits.documents import observable_from_json
    from superpose.cli.python_circuit import read_python

    document = read_python(file, name)
    if not observables and given["shots"] is None:
        observables = tuple(map(observable_from_json, document["observables"]))
    return Program(circuit_from_json(document["circuit"]), observables=observables, **given)


def read_program(file: Path) -> Program | None:
    """The program in a JSON file; None where it holds something else, which `superpose.load` reads or refuses."""
    from superpose.circuits import program_from_json

    if file.suffix.lower() != ".json":
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_program = isinstance(document, dict) and document.get("format") == "superpose.program"
    return program_from_json(document) if is_program else None


def show_result(result: ProgramResult, program: Program, names: Sequence[str]) -> None:
    """Print tables: a line per batch entry for expectations; else the most probable bit strings."""
    out = console()
    if result.expectations is not None:
        heads = [f"<{name}>" for name in names] or [str(observable) for observable in program.observables]
        rows = [(entry, *(f"{v:+.6f}" for v in row)) for entry, row in enumerate(result.expectations.tolist())]
        many = len(rows) > 1
        show(out, table(("entry", *heads), rows) if many else table(heads, [row[1:] for row in rows]))
    for entry, counts in enumerate(result.counts or ()):
        if result.counts is not None and len(result.counts) > 1:
            out.print(f"\nentry {entry}")
        total = sum(counts.values())
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        rows = [(bits, number, f"{number / total:.4f}") for bits, number in ordered[:SHOWN]]
        show(out, table(("bits", "count", "share"), rows, right=("count",)))
        if len(ordered) > SHOWN:
            out.print(f"… and {len(ordered) - SHOWN} more")
    for entry, vector in enumerate([] if result.state_vectors is None else result.state_vectors):
        if result.state_vectors is not None and len(result.state_vectors) > 1:
            out.print(f"\nentry {entry}")
        show_state(vector, program.n_qubits, out)
    elapsed_s = result.provenance.get("elapsed_s")
    if isinstance(elapsed_s, int | float):
        note(f"{result.provenance.get('backend', 'local')}, {program.n_qubits} qubits, {1000 * elapsed_s:.2f} ms")


def show_state(vector: Any, n_qubits: int, out: Console) -> None:
    """Print the most probable bit strings of a state vector with their amplitudes."""
    probabilities = abs(vector) ** 2
    order = sorted(range(len(vector)), key=lambda index: (-round(float(probabilities[index]), 12), index))
    shown = [index for index in order[:SHOWN] if probabilities[index] > 1e-12]
    rows = [
        (format(i, f"0{n_qubits}b"), f"{probabilities[i]:.6f}", f"{vector[i].real:+.6f} {vector[i].imag:+.6f}i")
        for i in shown
    ]
    show(out, table(("bits", "probability", "amplitude"), rows))
    rest = int((probabilities > 1e-12).sum()) - len(shown)
    if rest > 0:
        out.print(f"… and {rest} more")
