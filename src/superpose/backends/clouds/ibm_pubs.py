"""Programs as PUBs of SamplerV2 and back: a template is compiled once for a processor, values go as arrays."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Circuit, Program, program_from_json, program_to_json
from superpose.errors import SuperposeError

__all__ = ["Compiler", "carrying", "counts_of", "program_of", "pubs_of"]

MAX_COMPILED = 256
_MARK = "superpose"


class Compiler:
    """Compiles templates for a processor: native gates on qubits that are joined, parameters kept.

    Args:
        target: Qiskit's backend.
        level: Of Qiskit's optimization, 0 to 3.

    Attributes:
        n_compiled: How many templates were compiled.
    """

    def __init__(self, target: Any, level: int) -> None:
        self._target, self._level = target, level
        self._known: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._passes: Any = None
        self.n_compiled = 0

    def native(self, template: Circuit) -> Any:
        """Return the template compiled; equal templates are compiled once."""
        key = template.digest
        with self._lock:
            if key not in self._known:
                self._known[key] = self._compiled(template)
                self.n_compiled += 1
                if len(self._known) > MAX_COMPILED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def _compiled(self, template: Circuit) -> Any:
        from qiskit.transpiler import generate_preset_pass_manager

        from superpose.frontends.qiskit import write

        if self._passes is None:
            self._passes = generate_preset_pass_manager(self._level, backend=self._target, seed_transpiler=1)
        return self._passes.run(write(template))


def pubs_of(measured: MeasuredProgram, compiler: Compiler) -> list[tuple[Any, ...]]:
    """Return a PUB for each measurement setting, with the program's values as an array ``(batch, n_params)``.

    A template of which no parameter is left after compiling has no such array; it stands there once per batch entry.
    The first circuit carries the program, so that its result can be read by another process.
    """
    program = measured.program
    columns = dict(zip(program.circuit.parameters, program.param_matrix().T, strict=True))
    out: list[tuple[Any, ...]] = []
    for template in measured.templates:
        native = compiler.native(template)
        if not out:
            native = carrying(native, program)
        names = [parameter.name for parameter in native.parameters]
        if names:
            values = np.stack([columns[name] for name in names], axis=1)  # (batch, n_params)
            out.append((native, values))
        else:
            out += [(native,)] * program.batch
    return out


def carrying(native: Any, program: Program) -> Any:
    """Return a copy of the circuit that carries the program in its metadata."""
    native = native.copy()
    native.metadata = {**(native.metadata or {}), _MARK: program_to_json(program)}
    return native


def program_of(metadata: Mapping[str, Any] | None) -> Program | None:
    """Return the program that a circuit's metadata carry, or None.

    >>> program_of({}) is None
    True
    """
    document = (metadata or {}).get(_MARK)
    try:
        return None if document is None else program_from_json(document)
    except SuperposeError:
        return None


def counts_of(results: Sequence[Any], program: Program) -> list[dict[str, int]]:
    """Return the counts of a job's results, batch entry by entry and within it setting by setting, bit 0 leftmost.

    Where results are missing or too many they come as they are, and are refused by `MeasuredProgram.result`.
    """
    found: list[dict[str, int]] = []  # all entries of the first setting, then of the second
    for one in results:
        for register in one.data.values():
            places: Sequence[Any] = range(register.shape[0]) if register.shape else (None,)
            found += [{bits[::-1]: int(n) for bits, n in register.get_counts(place).items()} for place in places]
    n_settings, odd = divmod(len(found), program.batch)
    if odd:
        return found
    return [found[setting * program.batch + entry] for entry in range(program.batch) for setting in range(n_settings)]
