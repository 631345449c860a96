"""Circuits as Rigetti's machines take them: Quil without modifiers, written once, with values in its memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any, Final

from superpose.backends.clouds.answers import package
from superpose.circuits import (
    Affine,
    Barrier,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    Measure,
    Operation,
    Parameter,
    Reset,
)
from superpose.frontends.words import expanded

__all__ = ["READ_OUT", "QuilText", "plain", "pyquil_of"]

EXTRA: Final = "rigetti"
READ_OUT: Final = "ro"
"""Name of the memory of bits, as Rigetti's tools call it."""
_OURS: Final = "c"
"""The writer's name for it."""
_PLAIN: Final = frozenset(
    {"id", "x", "y", "z", "h", "s", "t", "rx", "ry", "rz", "p", "cx", "cz", "cp", "swap", "ccx", "cswap"}
)
"""Gates of Quil's standard set; others, and those that Quil writes with DAGGER, come down to them."""
_UNDONE: Final = {"sdg": -pi / 2, "tdg": -pi / 4}


def plain(circuit: Circuit, *, resets: bool = True) -> Circuit:
    """Return the circuit in gates of Quil's standard set, without modifiers, barriers and delays.

    Global phases are kept. A simulator has no use for barriers and delays.

    Args:
        circuit: With or without parameters.
        resets: Whether there are words for resets of single qubits. Where not, each is a measurement into a bit behind
            all others, and a flip where that read 1.

    >>> [item.gate for item in plain(Circuit(1).sdg(0)).instructions]
    ['p']
    """
    spare = circuit.n_bits
    rows = tuple(_plain(circuit.instructions, None if resets else spare))
    extra = 0 if resets or rows == tuple(_plain(circuit.instructions, None)) else 1
    return Circuit(circuit.n_qubits, n_bits=circuit.n_bits + extra).extend(rows)


def _plain(operations: Sequence[Operation], spare: int | None) -> Iterator[Operation]:
    for item in operations:
        match item:
            case Instruction() if item.gate in _UNDONE:
                yield Instruction("p", item.qubits, (Affine.of(_UNDONE[item.gate]),))
            case Instruction():
                yield from expanded(item, _PLAIN)
            case Barrier() | Delay():
                continue
            case If():
                yield If(item.condition, tuple(_plain(item.then, spare)), tuple(_plain(item.otherwise, spare)))
            case Reset() if spare is not None:
                yield Measure(item.qubit, spare)
                yield If(Condition((spare,), 1), (Instruction("x", (item.qubit,)),))
            case _:
                yield item


def pyquil_of(circuit: Circuit) -> Any:
    """Return the circuit as a ``pyquil.Program``.

    Raises:
        ToolkitMissingError: pyQuil is not installed.
    """
    package("pyquil", "pyQuil", EXTRA)
    from superpose.frontends.pyquil import write

    return write(circuit)


@dataclass(frozen=True)
class QuilText:
    """A template in Quil, into which values are put as moves into its memory.

    Attributes:
        declared: Its first lines, which declare memory.
        body: The others.
        regions: Name of each parameter's memory.
        bits: Name of the memory of its bits; empty where it has none.
    """

    declared: str
    body: str
    regions: Mapping[str, str]
    bits: str

    @classmethod
    def of(cls, template: Circuit) -> QuilText:
        """Return the text of a template; its parameters are called p0, p1, ... there.

        Raises:
            ToolkitMissingError: pyQuil is not installed.
        """
        regions = {name: f"p{number}" for number, name in enumerate(template.parameters)}
        renamed = template.bind({name: Parameter(own) for name, own in regions.items()}) if regions else template
        program = pyquil_of(plain(renamed))
        program.resolve_label_placeholders()
        lines = [re.sub(rf"\b{_OURS}(?=\[| BIT)", READ_OUT, line) for line in program.out().splitlines()]
        declared = [line for line in lines if line.startswith("DECLARE ")]
        return cls(
            "\n".join(declared),
            "\n".join(line for line in lines if not line.startswith("DECLARE ")),
            regions,
            READ_OUT if template.n_bits else "",
        )

    def at(self, values: Mapping[str, float]) -> str:
        """Return the program with these values: the same text but for its moves."""
        moves = [f"MOVE {own}[0] {float(values[name])!r}" for name, own in self.regions.items()]
        return "\n".join(filter(None, [self.declared, *moves, self.body])) + "\n"
