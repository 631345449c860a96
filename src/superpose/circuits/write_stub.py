"""Writes ``builder.pyi``, the typed signatures of the builder methods, from the gate table."""

from __future__ import annotations

from pathlib import Path

from superpose.circuits.gates import GATES

__all__ = ["STUB", "stub_text"]

STUB = Path(__file__).with_name("builder.pyi")
LINE_LENGTH = 120


def stub_text() -> str:
    """Return the text of ``builder.pyi`` that the gate table asks for."""
    lines = [
        "# Written by `python -m superpose.circuits.write_stub` from the gate table.",
        "from collections.abc import Sequence",
        "from typing import Self",
        "",
        "from superpose.circuits.parameters import AngleLike",
        "",
        "class GateMethods:",
        "    def append(self, gate: str, qubits: Sequence[int], angles: Sequence[AngleLike] = ()) -> Self: ...",
    ]
    for row in GATES.values():
        angles = "".join(f", {name}: AngleLike" for name in row.angle_names)
        qubits = "".join(f", {name}: int" for name in row.qubit_names)
        line = f"    def {row.name}(self{angles}{qubits}) -> Self: ..."
        if len(line) > LINE_LENGTH:
            line = f"    def {row.name}(\n        self{angles}{qubits}\n    ) -> Self: ..."
        lines.append(line)
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    STUB.write_text(stub_text(), encoding="utf-8")
