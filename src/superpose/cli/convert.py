"""`superpose convert`: a circuit from one text form to another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json
from superpose.learning.canonical import write_whole

if TYPE_CHECKING:
    from superpose.circuits import Circuit
    from superpose.frontends.text_forms import TextForm

__all__ = ["Form", "convert", "read_circuit"]

STREAM: Final = "-"

Form = Literal["openqasm3", "openqasm2", "quil", "qsharp", "superpose", "cirq", "pytket", "braket"]


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A circuit file; - reads stdin.", show_default=False)],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="The file to write; - writes to stdout.", show_default=False)
    ],
    from_: Annotated[
        Form | None,
        typer.Option("--from", metavar="FORM", help="Form of IN [default: by its suffix; of stdin, as it begins]."),
    ] = None,
    to: Annotated[Form | None, typer.Option(metavar="FORM", help="Form of OUT [default: by its suffix].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a circuit file into another form.

    Parameters stay symbolic.
    What the other form has no words for is refused, and nothing is written then.
    Forms: openqasm3 (.qasm), openqasm2 (.qasm2; .qasm is read as either), quil (.quil), qsharp (.qs),
    superpose (.json), cirq and pytket (their JSON), braket (its OpenQASM 3).
    """
    circuit = read_circuit(source, from_)
    form = _form_of_target(target, to)
    text = _written(form, circuit)
    if target != STREAM:
        _save(Path(target), text)
    if as_json:
        shape = {"n_qubits": circuit.n_qubits, "n_bits": circuit.n_bits, "parameters": list(circuit.parameters)}
        held = {"text": text} if target == STREAM else {}
        print_json({"input": source, "output": target, "form": form.name, **shape, **held})
    elif target == STREAM:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()


def read_circuit(source: str, form: str | None) -> Circuit:
    """The circuit in a file or in stdin.

    Raises:
        CircuitFormatError, QasmError, ConversionError, ToolkitMissingError: It cannot be read; nothing is dropped.
    """
    from superpose.errors import CircuitFormatError
    from superpose.frontends.text_forms import TEXTS, text_form

    try:
        text = sys.stdin.read() if source == STREAM else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise CircuitFormatError(f"{source} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise CircuitFormatError(f"{source} is not text in UTF-8.") from None
    if form is not None:
        found: TextForm | None = TEXTS[form]
    elif source == STREAM:
        found = TEXTS["superpose" if text.lstrip("\ufeff \t\r\n").startswith("{") else "openqasm3"]
    else:
        found = text_form(Path(source).suffix)
    if found is None or found.read is None:
        known = ", ".join(suffix for row in TEXTS.values() if row.read for suffix in row.suffixes)
        raise CircuitFormatError(f"{source} does not end in {known}; rename it, or say the form with --from.")
    return found.read(text, "circuit" if source == STREAM else Path(source).stem)


def _form_of_target(target: str, to: str | None) -> TextForm:
    from superpose.errors import CircuitFormatError
    from superpose.frontends.text_forms import TEXTS, text_form

    if to is not None:
        return TEXTS[to]
    if target == STREAM:
        raise typer.BadParameter("stdout has no suffix to tell the form; say it with --to", param_hint="OUT")
    form = text_form(Path(target).suffix)
    if form is None:
        known = ", ".join(suffix for row in TEXTS.values() if row.write for suffix in row.suffixes)
        raise CircuitFormatError(f"{target} does not end in {known}; rename it, or say the form with --to.")
    return form


def _written(form: TextForm, circuit: Circuit) -> str:
    """The text.

    Raises:
        ConversionError: The form has no words for something in the circuit, or is only read.
    """
    from superpose.errors import ConversionError, UnsupportedProgramError

    if form.write is None:
        raise ConversionError(f"{form.title} is read only, not written.", toolkit=form.name, feature="toolkit")
    try:
        return form.write(circuit)
    except UnsupportedProgramError as error:  # the OpenQASM writer's word for the same
        raise ConversionError(error.message, toolkit=form.name, **error.details) from None


def _save(path: Path, text: str) -> None:
    from superpose.errors import CircuitFormatError

    try:
        write_whole(path, text)
    except OSError as error:
        raise CircuitFormatError(f"{path} cannot be written: {error.strerror or error}.") from None
