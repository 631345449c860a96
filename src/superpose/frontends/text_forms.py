"""Text forms of circuits: a row each, with the names of files that hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from superpose.circuits import Circuit, circuit_from_json, circuit_to_json, from_qasm, to_qasm
from superpose.errors import CircuitFormatError
from superpose.frontends.convert import read
from superpose.frontends.convert import write as write_object
from superpose.frontends.openqasm2 import write as write_openqasm2
from superpose.frontends.table import TOOLKITS

__all__ = ["READERS", "TEXTS", "TextForm", "text_form"]


@dataclass(frozen=True)
class TextForm:
    """A form in which a circuit is text.

    Attributes:
        name: What the command line calls it.
        title: Its name for people.
        suffixes: Names of its files end so, in lower case; none where another form has that suffix.
        read: Function of text and name giving the circuit; None where it is not read.
        write: Function of a circuit giving the text; None where it is not written.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Callable[[str, str], Circuit] | None
    write: Callable[[Circuit], str] | None


def _by(toolkit: str) -> Callable[[str, str], Circuit]:
    """Return a reader: the frontend takes texts itself."""

    def reader(text: str, name: str) -> Circuit:
        circuit: Circuit = TOOLKITS[toolkit].module().read(text, name)
        return circuit

    return reader


def _through(toolkit: str, parse: Callable[[str], Any]) -> Callable[[str, str], Circuit]:
    """Return a reader: the toolkit's own parser makes its object, which the frontend reads."""

    def reader(text: str, name: str) -> Circuit:
        row = TOOLKITS[toolkit]
        row.module()  # says what is missing
        try:
            parsed = parse(text)
        except Exception as error:  # each toolkit's parser has its own errors, and some have several
            said = " ".join(str(error).split())[:300]
            raise CircuitFormatError(f"{row.title} cannot read the text: {said or type(error).__name__}") from error
        return read(parsed, name)

    return reader


def _write_quil(circuit: Circuit) -> str:
    program = write_object(circuit, "pyquil")
    program.resolve_label_placeholders()
    return str(program.out())


def _write_qsharp(circuit: Circuit) -> str:
    return str(write_object(circuit, "qsharp"))


def _parse_cirq(text: str) -> Any:
    import cirq

    return cirq.read_json(json_text=text)


def _write_cirq(circuit: Circuit) -> str:
    made = write_object(circuit, "cirq")
    import cirq

    return f"{cirq.to_json(made)}\n"


def _parse_pytket(text: str) -> Any:
    from pytket.circuit import Circuit as Native

    return Native.from_dict(json.loads(text))


def _write_pytket(circuit: Circuit) -> str:
    return json.dumps(write_object(circuit, "pytket").to_dict(), indent=2) + "\n"


def _parse_braket(text: str) -> Any:
    from braket.circuits import Circuit as Native

    return Native.from_ir(text)


def _write_braket(circuit: Circuit) -> str:
    made = write_object(circuit, "braket")
    from braket.circuits.serialization import IRType

    return f"{made.to_ir(IRType.OPENQASM).source}\n"


def _read_json(text: str, name: str) -> Circuit:
    return circuit_from_json(text)


def _write_json(circuit: Circuit) -> str:
    return json.dumps(circuit_to_json(circuit), indent=2, ensure_ascii=False) + "\n"


_ROWS = (
    TextForm("openqasm3", "OpenQASM 3", (".qasm", ".qasm3"), from_qasm, to_qasm),
    TextForm("openqasm2", "OpenQASM 2", (".qasm2",), from_qasm, write_openqasm2),
    TextForm("quil", "Quil", (".quil",), _by("pyquil"), _write_quil),
    TextForm("qsharp", "Q#", (".qs",), _by("qsharp"), _write_qsharp),
    TextForm("superpose", "superpose JSON", (".json",), _read_json, _write_json),
    TextForm("cirq", "Cirq's JSON", (), _through("cirq", _parse_cirq), _write_cirq),
    TextForm("pytket", "pytket's JSON", (), _through("pytket", _parse_pytket), _write_pytket),
    TextForm("braket", "Braket's OpenQASM 3", (), _through("braket", _parse_braket), _write_braket),
)

TEXTS: Mapping[str, TextForm] = MappingProxyType({row.name: row for row in _ROWS})
"""Every text form by name."""

READERS: Mapping[str, Callable[[str, str], Circuit]] = MappingProxyType({r.name: r.read for r in _ROWS if r.read})
"""What reads texts of a form: a function of text and name."""


def text_form(suffix: str) -> TextForm | None:
    """Return the form that files with this suffix hold, or None.

    >>> text_form(".quil").title
    'Quil'
    """
    return next((row for row in TEXTS.values() if suffix.lower() in row.suffixes), None)
