"""`superpose diagnose`: what a parametrised circuit can do, and whether it will train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json, print_table
from superpose.cli.run_program import parse_observable, read_program

if TYPE_CHECKING:
    from superpose.explain import CircuitDiagnosis

__all__ = ["diagnose"]

_SHOWN = 10


def diagnose(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A circuit (.qasm, .json) or a program (.json).", show_default=False)
    ],
    observable: Annotated[
        list[str] | None,
        typer.Option(help='Pauli sum such as "ZZ", repeatable [default: Z of each qubit].', metavar="PAULIS"),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", help="Parameter whose Fourier spectrum is wanted, repeatable.", metavar="NAME"),
    ] = None,
    samples: Annotated[int, typer.Option(help="Random parameter sets.", metavar="N", min=16)] = 2_000,
    data: Annotated[int, typer.Option(help="Data that the effective dimension is for.", metavar="N", min=2)] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the parameters.", metavar="N", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Tell what a circuit can express and whether it trains.

    Expressibility, entangling capability, gradient variance (barren plateaus), effective
    dimension, Fourier spectra of inputs, what leaving out a gate or a qubit changes, and
    the shares of gates and qubits in what it does. Needs no service.
    """
    from superpose.explain import diagnose as diagnosed
    from superpose.facade import load

    program = read_program(file)
    circuit = load(file) if program is None else program.circuit
    observables = tuple(parse_observable(text) for text in observable or ()) or (program.observables if program else ())
    inputs = tuple(dict.fromkeys(input_ or ()))
    found = diagnosed(circuit, observables or None, inputs=inputs, n_samples=samples, n_data=data, seed=seed)
    if as_json:
        print_json(found.to_dict())
        return
    _show(found)


def _show(found: CircuitDiagnosis) -> None:
    rows = [
        ("qubits", f"{found.n_qubits}"),
        ("parameters", f"{found.n_params}"),
        ("expressibility, nats from Haar (0 is best)", f"{found.expressibility:.4f}"),
        (
            "entangling capability, 0 to 1",
            f"{found.entangling_capability:.4f} ± {found.entangling_error:.4f}",
        ),
    ]
    if found.gradient is not None:
        rows.append(("variance of a derivative", f"{found.gradient.variance:.3g}"))
        rows.append(("the same of the flattest parameter", f"{found.gradient.smallest:.3g}"))
    if found.effective_dimension is not None:
        one = found.effective_dimension
        rows.append((f"effective dimension at {one.n_data:,} data", f"{one.value:.2f} of {one.n_params}"))
    print_table(("", f"{found.n_samples:,} random parameter sets"), rows)
    for name, lines in found.spectra.items():
        typer.echo("")
        print_table(
            (f"frequency of {name}", "magnitude"), [(f"{one.frequency:g}", f"{one.magnitude:.4f}") for one in lines]
        )
    typer.echo("")
    heads = ("left out", "infidelity", "change of expectations")
    worst = [*found.gates[:_SHOWN], *found.qubits[:_SHOWN]]
    print_table(heads, [(one.left_out, f"{one.infidelity:.4f}", f"{one.change:.4f}") for one in worst])
    for name, shares in (("gates", found.gate_shares), ("qubit", found.qubit_shares)):
        if shares:
            typer.echo("")
            print_table((name, "share of what it does"), [(s.part, f"{s.share:+.3f} ± {s.error:.3f}") for s in shares])
    for warning in found.warnings:
        typer.echo(warning, err=True)
