"""The process in which users' Python runs: ``python -I -S child.py``, started by ``process.py``.

It first gives up what it does not need (``isolation.py``), then says what of that went through, then answers requests
on the pipes of its standard input and output, each a length (4 bytes, big-endian) and JSON. Standard library only.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import struct
import sys
import traceback
import types
from collections.abc import Mapping
from importlib.abc import InspectLoader
from typing import Any, NoReturn

__all__: list[str] = []

_LOGS = 16 * 1024
_TOLD = 500
_OUTPUT = 16 * 1024 * 1024


class _Text(InspectLoader):
    """Loads a module from a text that came through the pipe."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:
        """The text."""
        return self._source


class _Tail(io.TextIOBase):
    """What was printed, the last part of it."""

    def __init__(self) -> None:
        self._text = ""

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep the end."""
        self._text = (self._text + text)[-_LOGS:]
        return len(text)

    def take(self) -> str:
        """What is there, and forget it."""
        text, self._text = self._text, ""
        return text


class _Refusal(Exception):
    """The file or what it returned cannot be used; the message is for its author."""


class _Sandbox:
    """One file's module, or none yet."""

    def __init__(self) -> None:
        self._module: types.ModuleType | None = None
        self._name = "function.py"

    def answer(self, request: Mapping[str, Any]) -> object:
        """The value that a request asks for."""
        if request["op"] == "load":
            self._load(request["name"], request["source"])
            return None
        if request["op"] == "call":
            function = getattr(self._module, request["function"], None)
            if not callable(function):
                raise _Refusal(f"{request['function']} is not a function any more.")
            return function(*request["arguments"])
        return self._build(request)

    def failure(self, error: BaseException) -> dict[str, str]:
        """What the author is told: the kind of error, its text, and the last line of the file on the way to it."""
        if isinstance(error, _Refusal):
            return {"kind": "refused", "message": str(error)[:_TOLD]}
        if isinstance(error, MemoryError):
            return {"kind": "memory", "message": "memory is used up"}
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self._name]
        if isinstance(error, SyntaxError) and error.filename == self._name:
            lines.append(error.lineno)
        place = f"line {lines[-1]}: " if lines and lines[-1] else ""
        code = getattr(type(error), "code", None) if type(error).__module__.startswith("superpose.errors") else None
        told = f"{place}{type(error).__name__}: {error}"
        return {"kind": "raised", "message": told[:_TOLD], **({"code": code} if isinstance(code, str) else {})}

    def _load(self, name: str, source: str) -> types.ModuleType:
        self._name = name
        loader = _Text(source)
        code = compile(source, name, "exec", dont_inherit=True)
        loader.get_code = lambda fullname: code  # type: ignore[method-assign]  # with the file's own name in it
        spec = importlib.util.spec_from_loader("quantum_function", loader, origin=name)
        if spec is None:
            raise _Refusal("the file cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        sys.modules["quantum_function"] = module
        loader.exec_module(module)
        self._module = module
        return module

    def _build(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The circuit that a file defines, and what else it says, as documents."""
        from superpose.circuits import circuit_to_json
        from superpose.facade import load
        from superpose.frontends import toolkit_of

        source, name = request["source"], request["name"]
        if request["suffix"] == ".quil":
            import pyquil

            return {"circuit": circuit_to_json(load(pyquil.Program(source))), "toolkit": "pyquil"}
        if request["suffix"] != ".py":
            path = f"{request['scratch']}/{name}"
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(source)
            circuit = load(path)
            return {"circuit": circuit_to_json(circuit), "toolkit": request["suffix"].removeprefix(".")}
        module = self._load(name, source)
        if not hasattr(module, "circuit"):
            raise _Refusal("it has no 'circuit' at its top level: the circuit, or a function that returns it.")
        found = _made(module.circuit)
        toolkit = toolkit_of(found)
        document = circuit_to_json(load(found))
        for part in ("pre", "post"):
            if hasattr(module, part) and not callable(getattr(module, part)):
                raise _Refusal(f"'{part}' must be a function, got {type(getattr(module, part)).__name__}.")
        return {
            "circuit": document,
            "toolkit": "superpose" if toolkit is None else toolkit.name,
            "observables": _observables(getattr(module, "OBSERVABLES", None)),
            "shots": getattr(module, "SHOTS", None),
            "schema": getattr(module, "INPUT_SCHEMA", None),
            "pre": hasattr(module, "pre"),
            "post": hasattr(module, "post"),
        }


def _made(found: Any) -> Any:
    """The circuit itself: what a function without parameters returns, or what a quantum function of PennyLane means."""
    if not isinstance(found, types.FunctionType):
        return found
    made = None
    if found.__code__.co_argcount + found.__code__.co_kwonlyargcount == 0:
        made = found()
        known = sys.modules.get("pennylane")
        if known is None and made is None:
            raise _Refusal("circuit() returned nothing; it is to return the circuit.")
        if made is not None and not (known and isinstance(made, tuple | list | known.measurements.MeasurementProcess)):
            return made
    try:
        import pennylane
    except ImportError:
        raise _Refusal(
            "'circuit' takes parameters, as a quantum function of PennyLane does, which is missing."
        ) from None
    return pennylane.QNode(found, pennylane.device("reference.qubit"))


def _observables(said: object) -> list[Any] | None:
    if said is None:
        return None
    items = list(said) if isinstance(said, list | tuple) else [said]
    return [item if isinstance(item, str) else _terms(item) for item in items]


def _terms(item: Any) -> dict[str, float]:
    """The sum of Pauli strings that an observable of ours, or a dict, is."""
    return dict(getattr(item, "terms", item))


def _plain(value: object) -> object:
    """What ``json`` does not know by itself: numbers and arrays of NumPy."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    raise _Refusal(f"it returned a {type(value).__name__}, which JSON cannot say.")


def _encoded(document: object) -> bytes:
    try:
        return json.dumps(document, default=_plain, allow_nan=False).encode("ascii")
    except (ValueError, RecursionError, TypeError) as error:
        raise _Refusal(f"it returned what JSON cannot say ({error}).") from None


def main() -> NoReturn:
    """Shut this process in, then answer until standard input ends."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(outgoing + 1, 1024)
    setup = _read(incoming)
    sys.path[:] = [*setup["python_path"], *(path for path in sys.path if path not in setup["python_path"])]
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # pathlib is not loaded for this
    spec = importlib.util.spec_from_file_location("superpose_isolation", os.path.join(here, "isolation.py"))  # noqa: PTH118
    if spec is None or spec.loader is None:
        os._exit(70)
    isolation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(isolation)
    import encodings.idna  # noqa: F401  # what the interpreter would load late, from where it then may not

    state = isolation.shut_in(setup)
    _write(outgoing, json.dumps(state).encode())
    if setup["required"] and not (state["landlock"] and state["seccomp"]):
        os._exit(77)
    logs = _Tail()
    sys.stdout = sys.stderr = logs  # what is printed
    sandbox = _Sandbox()
    while True:
        request = {**_read(incoming), "scratch": state["scratch"]}
        _write(outgoing, _replied(sandbox, request, logs))


def _replied(sandbox: _Sandbox, request: Mapping[str, Any], logs: _Tail) -> bytes:
    try:
        value = _encoded(sandbox.answer(request))
        if len(value) > _OUTPUT:
            raise _Refusal(f"it returned {len(value):,} bytes as JSON; at most {_OUTPUT:,} are taken.")
        return b'{"value": ' + value + b', "logs": ' + _encoded(logs.take()) + b"}"
    except BaseException as error:  # also SystemExit: the process goes on, the call has failed
        return _encoded({"error": sandbox.failure(error), "logs": logs.take()})


def _read(descriptor: int) -> dict[str, Any]:
    size = struct.unpack(">I", _read_bytes(descriptor, 4))[0]
    document: dict[str, Any] = json.loads(_read_bytes(descriptor, size))
    return document


def _read_bytes(descriptor: int, n_bytes: int) -> bytes:
    parts = bytearray()
    while len(parts) < n_bytes:
        part = os.read(descriptor, n_bytes - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(struct.pack(">I", len(content)) + content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main()
