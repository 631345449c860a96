"""Writes ``builder.pyi``, the typed signatures of the builder methods, from the gate and channel tables."""

from __future__ import annotations

from pathlib import Path

from superpose.circuits.channels import CHANNELS
from superpose.circuits.gates import GATES

__all__ = ["STUB", "stub_text"]

STUB = Path(__file__).with_name("builder.pyi")
LINE_LENGTH = 120


def stub_text() -> str:
    """Return the text of ``builder.pyi`` that the tables ask for."""
    lines = [
        "# Written by `python -m superpose.circuits.write_stub` from the gate and channel tables.",
        "from collections.abc import Sequence",
        "from typing import Self",
        "",
        "from superpose.circuits.parameters import AngleLike",
        "",
        "class GateMethods:",
        "    def append(self, gate: str, qubits: Sequence[int], angles: Sequence[AngleLike] = ()) -> Self: ...",
    ]
    lines += [_line(row.name, row.angle_names, "AngleLike", row.qubit_names) for row in GATES.values()]
    lines += [
        "",
        "class ChannelMethods:",
        "    def channel(self, name: str, values: Sequence[float], qubits: Sequence[int]) -> Self: ...",
    ]
    lines += [_line(row.name, row.value_names, "float", row.qubit_names) for row in CHANNELS.values()]
    return "\n".join([*lines, ""])


def _line(name: str, numbers: tuple[str, ...], kind: str, qubits: tuple[str, ...]) -> str:
    """Return a method's signature."""
    arguments = "".join(f", {number}: {kind}" for number in numbers) + "".join(f", {qubit}: int" for qubit in qubits)
    line = f"    def {name}(self{arguments}) -> Self: ..."
    return line if len(line) <= LINE_LENGTH else f"    def {name}(\n        self{arguments}\n    ) -> Self: ..."


if __name__ == "__main__":
    STUB.write_text(stub_text(), encoding="utf-8")
