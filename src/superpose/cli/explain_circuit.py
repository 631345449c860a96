"""`superpose explain-circuit`: what the engine makes of a circuit, pass by pass."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, print_json, show, table
from superpose.cli.run_program import parse_observable, read_program

if TYPE_CHECKING:
    from superpose.engine.explain import CircuitReport, TapeReport

__all__ = ["explain_circuit", "show_report"]


def explain_circuit(  # one parameter per option
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A circuit (.qasm, .json) or a program (.json).", show_default=False)
    ],
    observable: Annotated[
        list[str] | None,
        typer.Option(help='Pauli sum such as "ZZ", repeatable [default: Z of each qubit].', metavar="PAULIS"),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", help="Parameter that differs between samples, repeatable.", metavar="NAME"),
    ] = None,
    batch: Annotated[int, typer.Option(help="Samples that run together.", metavar="N", min=1)] = 1,
    dtype: Annotated[Literal["float32", "float64"], typer.Option(help="Precision.")] = "float32",
    as_json: JsonOption = False,
) -> None:
    """Show what the engine makes of a circuit file.

    Gates by kind, what each pass leaves, the tape, memory and arithmetic.
    Runs nothing and needs no service.
    """
    from superpose.circuits import z_all
    from superpose.engine.explain import explain_circuit as explain
    from superpose.errors import ParameterUnboundError
    from superpose.facade import load

    program = read_program(file)
    circuit = load(file) if program is None else program.circuit
    observables = tuple(parse_observable(text) for text in observable or ()) or (program.observables if program else ())
    unknown = sorted(set(input_ or ()) - set(circuit.parameters))
    if unknown:
        raise ParameterUnboundError(
            f"The circuit has no parameter {unknown[0]!r}; it has {', '.join(circuit.parameters) or 'none'}.",
            unknown=unknown,
        )
    for one in observables:
        if one.n_qubits != circuit.n_qubits:
            raise typer.BadParameter(f"{one} acts on {one.n_qubits} qubits, the circuit has {circuit.n_qubits}")
    inputs = list(dict.fromkeys(input_ or ()))
    report = explain(circuit, observables or z_all(circuit.n_qubits), inputs=inputs, dtype=dtype, batch=batch)
    if as_json:
        print_json(asdict(report))
    else:
        show_report(report)


def show_report(report: CircuitReport) -> None:
    """Print the report, at most 80 columns wide."""
    out = console()
    out.print(
        f"{report.name} · {_count(report.n_qubits, 'qubit')}, {_count(report.n_gates, 'gate')}, "
        f"depth {report.depth}, {_count(report.n_params, 'parameter')}",
        markup=False,
        soft_wrap=True,
    )
    words = [f"{name} {number}" for name, number in report.gates.items()]
    while words:
        line = words.pop(0)
        while words and len(line) + len(words[0]) < 74:
            line += f"  {words.pop(0)}"
        out.print(f"  {line}", markup=False, soft_wrap=True)
    out.print()
    heads = ("after", "gates", "rotations", "diagonal", "runs", "")
    rows = [
        (one.name.replace("_", " "), one.n_cliffords, one.n_rotations, one.n_diagonal, one.n_runs, one.effect)
        for one in report.passes
    ]
    show(out, table(heads, rows, right=heads[1:5]))
    if report.tapes:
        out.print()
        layouts = [_LAYOUTS[tape.layout] for tape in report.tapes]
        lines = [_tape_column(tape) for tape in report.tapes]
        rows_of_tapes = [(name, *(line[name] for line in lines)) for name in lines[0]]
        show(out, table(("tape", *layouts), rows_of_tapes, right=layouts))
    out.print()
    seen = f"{_count(report.n_observables, 'observable')} of {_count(report.n_strings, 'Pauli string')}"
    out.print(f"{seen}, {report.dtype}, a batch of {report.batch}:", markup=False, soft_wrap=True)
    out.print(
        f"  takes the {report.layout} layout and {_bytes(report.forward_bytes)} for states, "
        f"{_bytes(report.gradient_bytes)} with gradients",
        markup=False,
        soft_wrap=True,
    )


_LAYOUTS = {"tile": "tile: a sample a lane", "wide": "wide: amplitudes in lanes"}


def _tape_column(tape: TapeReport) -> dict[str, str]:
    return {
        "samples in a tile": f"{tape.samples}",
        "rotations, those seen": f"{tape.n_rotations}, {tape.n_seen}",
        "steps, those seen": f"{tape.n_steps}, {tape.n_steps_seen}",
        "  blocks (operations)": f"{tape.n_blocks} ({tape.n_operations})",
        "  tables of phases": f"{tape.n_tables}",
        "  exchanges": f"{tape.n_exchanges}",
        "bytes of the tape": _bytes(tape.tape_bytes),
        "work of a thread": _bytes(tape.work_bytes),
        "flops forward": f"{tape.flops_forward:.3g}",
        "flops with gradients": f"{tape.flops_gradient:.3g}",
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    size = float(min(number, 1 << 1000))  # more does not fit a float
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} PiB"
