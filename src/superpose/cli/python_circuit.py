"""The circuit that a user's Python file defines: ``python -m superpose.cli.python_circuit FILE NAME RESULT``.

This is the user's own file on the user's own machine, run as ``python FILE`` would be, in a process of its own: what it
prints goes to stderr, and what it defines comes back as JSON.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.errors import CircuitFormatError, SuperposeError

__all__ = ["main", "read_python"]

DEFAULT_NAME = "circuit"


def read_python(path: Path, name: str | None) -> dict[str, Any]:
    """Run a file in a new process and return its circuit and observables as JSON documents.

    Args:
        path: The file.
        name: Of the circuit at its top level; None takes ``circuit``, or the only one that there is.

    Raises:
        CircuitFormatError: The file is not there, ends with an error, or has no such circuit.
    """
    if not path.is_file():
        raise CircuitFormatError(f"{path} cannot be read: there is no such file.")
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "circuit.json"
        command = [sys.executable, "-m", "superpose.cli.python_circuit", str(path), name or "", str(result)]
        out = sys.stderr.fileno() if _has_file(sys.stderr) else None
        code = subprocess.run(command, stdout=out).returncode  # noqa: S603  # this Python, and the user's own file
        if code or not result.is_file():
            raise CircuitFormatError(f"{path} ended with exit code {code} before it gave a circuit; see above.")
        document: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "error" in document:
        raise CircuitFormatError(f"{path}: {document['error']}")
    return document


def _has_file(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True


def main(arguments: list[str]) -> None:
    """Run the file, and write what it defines."""
    path, name, result = Path(arguments[0]), arguments[1], Path(arguments[2])
    sys.argv = [str(path)]
    sys.path[0] = str(path.absolute().parent)
    with contextlib.redirect_stdout(sys.stderr):
        defined = runpy.run_path(str(path), run_name="superpose_file")
        try:
            document = _described(_chosen(defined, name))
        except SuperposeError as error:
            document = {"error": error.message}
    result.write_text(json.dumps(document), encoding="utf-8")


def _chosen(defined: Mapping[str, Any], name: str) -> Any:
    found = {key: value for key, value in defined.items() if not key.startswith("_") and _is_circuit(value)}
    if name:
        if name not in defined:
            raise CircuitFormatError(f"it defines no {name!r}; its circuits are {', '.join(found) or 'none'}.")
        return defined[name]
    if DEFAULT_NAME in defined:
        return defined[DEFAULT_NAME]
    if len(found) == 1:
        return next(iter(found.values()))
    raise CircuitFormatError(
        f"it defines {len(found)} circuits ({', '.join(found) or 'none'}); say which as FILE.py:NAME."
        if found
        else "it defines no circuit at its top level; name one `circuit`."
    )


def _is_circuit(value: Any) -> bool:
    from superpose.circuits import Circuit
    from superpose.frontends import toolkit_of

    if isinstance(value, Circuit):
        return True
    if isinstance(value, type) or inspect.ismodule(value) or toolkit_of(value) is None:
        return False
    return type(value).__name__ in _CIRCUIT_TYPES


_CIRCUIT_TYPES = {"QuantumCircuit", "Circuit", "FrozenCircuit", "QNode", "QuantumScript", "QuantumTape", "Program"}
"""Names of the toolkits' types of circuits, to tell them from gates, parameters and devices."""


def _described(value: Any) -> dict[str, Any]:
    from superpose.circuits import Circuit, circuit_to_json
    from superpose.circuits.documents import observable_to_json
    from superpose.facade import load
    from superpose.frontends import toolkit_of

    if inspect.isfunction(value) and not inspect.signature(value).parameters:
        made = value()
        value = made if _is_circuit(made) else value
    if inspect.isfunction(value):  # a PennyLane quantum function
        from superpose.frontends.pennylane import read

        circuit, row = read(value), None
    else:
        row = None if isinstance(value, Circuit) else toolkit_of(value)
        circuit = load(value)
    observables: tuple[Any, ...] = ()
    if row is not None and row.name == "pennylane":
        from superpose.errors import ConversionError
        from superpose.frontends.pennylane_observables import measured

        with contextlib.suppress(ConversionError):  # it returns something else, so nothing is measured by default
            observables = measured(value)
    return {"circuit": circuit_to_json(circuit), "observables": [observable_to_json(one) for one in observables]}


if __name__ == "__main__":
    main(sys.argv[1:])
