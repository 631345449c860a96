"""The toolkits that circuits come from and go to: a row each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType, ModuleType

from superpose.errors import ToolkitMissingError

__all__ = ["TOOLKITS", "Toolkit"]


@dataclass(frozen=True)
class Toolkit:
    """A toolkit, and the module here that knows it.

    Attributes:
        name: What `superpose.convert` takes; also the extra that installs it.
        title: Its name for people.
        package: The package that must be importable.
        roots: Top packages in which the types of its circuits are defined.
        reads, writes: Directions.
        has_parameters: Whether free parameters can be written.
        quiet: A variable of the environment that keeps the package from reporting its use to its makers, if it does.
    """

    name: str
    title: str
    package: str
    roots: tuple[str, ...]
    reads: bool = True
    writes: bool = True
    has_parameters: bool = True
    quiet: str = ""

    def module(self) -> ModuleType:
        """Return the module here with ``read(circuit, name)`` and ``write(circuit)``.

        Raises:
            ToolkitMissingError: The toolkit is not installed.
        """
        if self.quiet:
            os.environ.setdefault(self.quiet, "none")
        try:
            import_module(self.package)
        except ImportError as error:
            raise ToolkitMissingError(
                f"{self.title} is not installed ({error}); pip install 'superpose[{self.name}]' brings it.",
                toolkit=self.name,
                extra=self.name,
            ) from None
        return import_module(f"superpose.frontends.{self.name}")


_ROWS = (
    Toolkit("qiskit", "Qiskit", "qiskit", ("qiskit",)),
    Toolkit("cirq", "Cirq", "cirq", ("cirq",)),
    Toolkit("braket", "Amazon Braket", "braket.circuits", ("braket",)),
    Toolkit("pennylane", "PennyLane", "pennylane", ("pennylane",)),
    Toolkit("pyquil", "pyQuil", "pyquil", ("pyquil",)),
    Toolkit("pytket", "pytket", "pytket", ("pytket",)),
    Toolkit("openqasm2", "OpenQASM 2", "superpose.circuits", (), has_parameters=False),
    Toolkit("openqasm3", "OpenQASM 3", "superpose.circuits", ()),
    Toolkit("qsharp", "Q#", "qdk", (), quiet="QDK_PYTHON_TELEMETRY"),
)

TOOLKITS: Mapping[str, Toolkit] = MappingProxyType({row.name: row for row in _ROWS})
"""Every toolkit by name."""
