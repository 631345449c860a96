"""`superpose draw`: a circuit as text on the terminal, or as a picture in a file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.convert import Form, read_circuit
from superpose.cli.output import note, print_json
from superpose.cli.run_program import read_program

__all__ = ["draw"]


def draw(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A circuit (.qasm, .quil, .json) or a program (.json); - reads stdin.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PICTURE", help="Write a picture, .svg or .png, instead of text.")
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Columns in a row at most; 0 puts all into one row [default: as many as fit].", min=0
        ),
    ] = None,
    from_: Annotated[
        Form | None,
        typer.Option("--from", metavar="FORM", help="Form of FILE, as convert has them [default: by its suffix]."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a circuit file.

    Text on the terminal, a line per qubit, or a picture with --out (needs superpose[plots]).
    Angles: multiples of pi as such, other numbers to five digits, parameters by their names.
    Gates that a file defines are drawn as what they stand for.
    """
    from superpose.facade import draw as draw_one

    program = read_program(Path(file)) if from_ is None else None
    circuit = read_circuit(file, from_) if program is None else program.circuit
    shape: dict[str, Any] = {
        "n_qubits": circuit.n_qubits, "n_bits": circuit.n_bits, "parameters": list(circuit.parameters)
    }  # fmt: skip
    if out is None:
        text = circuit.draw(fold=fold, width=max(shutil.get_terminal_size().columns, 20))
        if as_json:
            print_json({**shape, "text": text})
        else:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        return
    picture = draw_one(circuit, out, fold=fold)
    if as_json:
        size = {"width_in": picture.width_in, "height_in": picture.height_in}
        rows = {"n_columns": picture.n_columns, "n_rows": picture.n_rows}
        print_json({**shape, "file": str(picture.path), "format": picture.format, **size, **rows})
    else:
        note(f"{picture.path}: {picture.width_in:g} x {picture.height_in:g} inches")
