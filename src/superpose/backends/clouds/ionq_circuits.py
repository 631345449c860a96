"""Circuits in IonQ's "qis" gates, and counts from its distributions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from superpose.circuits import Circuit, Instruction
from superpose.errors import ProviderError, UnsupportedProgramError
from superpose.frontends.words import expanded

__all__ = ["MAX_CIRCUITS", "MAX_GATES", "as_input", "as_one", "counts_of", "gate_numbers"]

MAX_CIRCUITS: Final = 5_000
MAX_GATES: Final = 150_000
"""Of one job, says the API's description of ``POST /jobs``."""

_QIS: Mapping[str, str] = MappingProxyType(
    {
        "x": "x", "y": "y", "z": "z", "h": "h", "s": "s", "sdg": "si", "t": "t", "tdg": "ti", "sx": "v", "sxdg": "vi",
        "rx": "rx", "ry": "ry", "rz": "rz", "p": "rz", "cx": "cnot", "swap": "swap", "id": "",
    }
)  # fmt: skip
"""IonQ's name of each gate; "p" is "rz" up to a phase of the whole state, "id" is nothing."""


def as_input(circuits: Sequence[Circuit], name: str) -> dict[str, Any]:
    """Return circuits without parameters, measured at their ends only, as the input of one job.

    Raises:
        UnsupportedProgramError: More circuits or gates than one job takes.

    >>> as_input([Circuit(2).cx(1, 0)], "x")["circuits"]
    [{'name': '0', 'qubits': 2, 'circuit': [{'gate': 'cnot', 'control': 1, 'target': 0}]}]
    """
    gates = [_gates(circuit) for circuit in circuits]
    written = [
        {"name": str(place), "qubits": circuit.n_qubits, "circuit": own}
        for place, (circuit, own) in enumerate(zip(circuits, gates, strict=True))
    ]
    n_gates = sum(map(len, gates))
    if len(written) > MAX_CIRCUITS or n_gates > MAX_GATES:
        raise UnsupportedProgramError(
            f"Backend {name!r} takes {MAX_CIRCUITS:,} circuits and {MAX_GATES:,} gates in one job; this program has "
            f"{len(written):,} and {n_gates:,} (a circuit for each batch entry and measurement setting). Run it as a "
            "program set in pieces, or with a smaller batch.",
            backend=name,
            n_circuits=len(written),
            n_gates=n_gates,
        )
    return {"gateset": "qis", "qubits": max(circuit.n_qubits for circuit in circuits), "circuits": written}


def as_one(circuit: Circuit) -> dict[str, Any]:
    """Return one circuit, as the input of a job of its own."""
    return {"gateset": "qis", "qubits": circuit.n_qubits, "circuit": _gates(circuit)}


def gate_numbers(circuit: Circuit) -> tuple[int, int]:
    """Return how many one-qubit and two-qubit gates the circuit has in IonQ's gates; a swap is three."""
    names = Counter(gate["gate"] for gate in _gates(circuit))
    twos = names["cnot"] + 3 * names["swap"]
    return sum(names.values()) - names["cnot"] - names["swap"], twos


def _gates(circuit: Circuit) -> list[dict[str, Any]]:
    body, _ = circuit.without_final_measurements()
    return [
        _call(call)
        for item in body.instructions
        if isinstance(item, Instruction)  # barriers and delays say nothing here
        for call in expanded(item, _QIS)
        if _QIS[call.gate]
    ]


def _call(call: Instruction) -> dict[str, Any]:
    name = _QIS[call.gate]
    if name == "cnot":
        return {"gate": name, "control": call.qubits[0], "target": call.qubits[1]}
    if name == "swap":
        return {"gate": name, "targets": list(call.qubits)}
    if call.angles:
        return {"gate": name, "target": call.qubits[0], "rotation": float(call.angles[0])}
    return {"gate": name, "target": call.qubits[0]}


def counts_of(
    distribution: Mapping[str, float],
    circuit: Circuit,
    shots: int,
    draw: tuple[int | None, int] | None,
    provider_job_id: str,
    provider: str = "ionq",
) -> dict[str, int]:
    """Return counts over the circuit's bits, bit 0 leftmost.

    Args:
        distribution: Probability of each state of all qubits by its number, in which qubit 0 is the lowest bit.
        circuit: With its final measurements.
        shots: How many counts.
        draw: Seed and place of the circuit, where counts are drawn unless the probabilities are counts already; None
            where they must be those of measured shots.
        provider_job_id: For errors.
        provider: For errors.

    Raises:
        ProviderError: This is no distribution over the circuit's qubits.
    """
    try:
        numbers = [int(state) for state in distribution]
        shares = np.array([float(one) for one in distribution.values()])
    except (TypeError, ValueError, AttributeError):
        raise _broken("is no distribution", provider_job_id, provider) from None
    if not len(shares) or not (shares > -1e-9).all() or abs(shares.sum() - 1.0) > 1e-3:
        raise _broken(f"has probabilities with the sum {shares.sum():.4f}", provider_job_id, provider)
    if any(not 0 <= number < 1 << circuit.n_qubits for number in numbers):
        raise _broken(f"has states beyond {circuit.n_qubits} qubits", provider_job_id, provider)
    whole = shares * shots
    if draw is not None and np.abs(whole - np.rint(whole)).max() > 1e-6 * shots:
        seed, place = draw
        generator = np.random.default_rng([0 if seed is None else seed, place])
        tally = generator.multinomial(shots, np.clip(shares, 0, None) / np.clip(shares, 0, None).sum())
    else:
        tally = _rounded(whole, shots)
    final = circuit.without_final_measurements()[1]
    counts = Counter[str]()
    for number, times in zip(numbers, tally.tolist(), strict=True):
        bits = ["0"] * circuit.n_bits
        for item in final:
            bits[item.bit] = str(number >> item.qubit & 1)
        counts["".join(bits)] += times
    return {bits: times for bits, times in counts.items() if times}


def _rounded(whole: np.ndarray[Any, Any], shots: int) -> np.ndarray[Any, Any]:
    """Whole numbers with the sum ``shots``, those with the largest remainders rounded up."""
    tally = np.floor(whole + 1e-9).astype(np.int64).clip(0)
    missing = shots - int(tally.sum())
    order = np.argsort(tally - whole, kind="stable")
    if missing > 0:
        tally[np.resize(order, missing)] += 1
    return tally


def _broken(what: str, provider_job_id: str, provider: str) -> ProviderError:
    return ProviderError(
        f"A result of the run {provider_job_id} {what}. Fetch it again.",
        provider=provider,
        provider_job_id=provider_job_id,
        retryable=True,
    )
