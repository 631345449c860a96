"""Braket's simulators on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from superpose.backends.clouds.answers import Run, seeded
from superpose.backends.clouds.draws import bits_of, drawn
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Capabilities, Circuit, Pricing, Program, ProgramResult
from superpose.errors import ToolkitMissingError

__all__ = ["SIMULATORS", "BraketSimulator"]

SIMULATORS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"local_sv": ("braket_sv", 26), "local_dm": ("braket_dm", 13)}
)
"""Braket's name of each, and the largest circuit, in qubits: 1 GiB of amplitudes or matrix entries."""
MAX_SHOTS: Final = 10_000_000


class BraketSimulator:
    """Braket's state-vector or density-matrix simulator of the package amazon-braket-default-simulator.

    It is asked for exact probabilities, from which counts are drawn with the program's seed.

    Args:
        own: "local_sv" or "local_dm".
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._simulator, self._max_qubits = SIMULATORS[own]

    @property
    def name(self) -> str:
        """The name, "braket:local_sv"."""
        return f"braket:{self._own}"

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(
            max_qubits=self._max_qubits,
            max_shots=MAX_SHOTS,
            simulator=True,
            pricing=Pricing(as_of=date(2026, 11, 26), source="this machine"),
        )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ToolkitMissingError: The package amazon-braket-sdk is missing.
        """
        try:
            from braket.devices import LocalSimulator
        except ImportError as error:
            raise ToolkitMissingError(
                "Braket's simulators need the package amazon-braket-sdk; install superpose[braket].", toolkit="braket"
            ) from error
        require_fit(program, self.capabilities(), self.name)
        run, seed = Run(self.name), seeded(program).seed or 0
        measured, simulator = MeasuredProgram(program), LocalSimulator(self._simulator)
        counts = [
            bits_of(circuit, drawn(_probabilities(simulator, circuit), measured.shots, seed, place))
            for place, circuit in enumerate(measured.circuits)
        ]
        return measured.result(counts, run.provenance(program, seed=seed, n_circuits=len(counts)))


def _probabilities(simulator: Any, circuit: Circuit) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Exact, ``(2**n_qubits,)``, qubit 0 the highest bit."""
    from superpose.frontends.braket import write

    body, _ = circuit.without_final_measurements()
    unitary = Circuit(circuit.n_qubits).extend(body.instructions)
    asked = write(unitary).probability(list(range(circuit.n_qubits)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are running a noise-free circuit")  # as is asked for here
        return np.asarray(simulator.run(asked, shots=0).result().values[0], dtype=np.float64)
