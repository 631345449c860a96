"""Noise channels: a table in which every row says its numbers, their ranges and its Kraus operators.

A channel maps a density matrix to ``sum(K rho K^dagger)`` with ``sum(K^dagger K) = 1``. Conventions are those of
qiskit-aer's noise errors. Source: Nielsen and Chuang, Quantum Computation and Quantum Information, section 8.3.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from superpose.circuits.pauli import pauli_matrix
from superpose.circuits.wording import shown
from superpose.errors import ProgramError

__all__ = ["CHANNELS", "ChannelRow", "channel_row", "check_kraus"]

Complex = npt.NDArray[np.complex128]
KRAUS_TOLERANCE = 1e-9
MAX_KRAUS_QUBITS = 4
_ZERO = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """A row of the channel table.

    Attributes:
        name: The name in circuits, builder methods and JSON.
        title: What the channel does, in words.
        qubit_names: Names of the builder method's qubit arguments.
        value_names: Names of its numbers, in order.
        limits: What the numbers must satisfy, in words.
        is_valid: Whether numbers satisfy that.
        kraus_of: The Kraus operators ``(k, 2**m, 2**m)`` as a function of the numbers, for a channel that is no mixture
            of Paulis.
        paulis_of: Pauli strings and their probabilities as a function of the numbers, for one that is.
    """

    name: str
    title: str
    qubit_names: tuple[str, ...]
    value_names: tuple[str, ...]
    limits: str
    is_valid: Callable[..., bool]
    kraus_of: Callable[..., Complex] | None = None
    paulis_of: Callable[..., dict[str, float]] | None = None

    @property
    def n_qubits(self) -> int:
        """Number of qubits the channel acts on."""
        return len(self.qubit_names)

    def checked(self, values: Sequence[object]) -> tuple[float, ...]:
        """Return the numbers as floats.

        Raises:
            ProgramError: Another count, or numbers outside the row's limits.
        """
        if len(values) != len(self.value_names):
            raise ProgramError(
                f"Channel {self.name} takes {len(self.value_names)} numbers ({', '.join(self.value_names)}), "
                f"got {len(values)}."
            )
        numbers = tuple(self._number(name, value) for name, value in zip(self.value_names, values, strict=True))
        if not self.is_valid(*numbers):
            given = ", ".join(f"{name}={value:g}" for name, value in zip(self.value_names, numbers, strict=True))
            raise ProgramError(f"Channel {self.name} needs {self.limits}; got {given}.")
        return numbers

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
            raise ProgramError(f"{name} of channel {self.name} must be a real number, got {shown(value)}.")
        return float(value)

    def pauli_probabilities(self, values: Sequence[float]) -> dict[str, float] | None:
        """Return the probability of each Pauli string, zeros left out, or None where it is no such mixture."""
        if self.paulis_of is None:
            return None
        return {pauli: p for pauli, p in self.paulis_of(*values).items() if p > 0.0}

    def kraus(self, values: Sequence[float]) -> Complex:
        """Return the Kraus operators that are not zero, complex128 ``(k, 2**m, 2**m)``; see `Channel.kraus`."""
        paulis = self.pauli_probabilities(values)
        if paulis is not None:
            return np.array([math.sqrt(p) * pauli_matrix(pauli) for pauli, p in paulis.items()])
        operators = self.kraus_of(*values) if self.kraus_of is not None else np.empty((0, 0, 0))
        return np.asarray(operators[np.abs(operators).max(axis=(1, 2)) > _ZERO], dtype=np.complex128)


def check_kraus(operators: npt.ArrayLike, n_qubits: int) -> Complex:
    """Return Kraus operators as an array ``(k, 2**n_qubits, 2**n_qubits)``.

    Raises:
        ProgramError: Another shape, more than 4 qubits, or ``sum(K^dagger K)`` is not 1 within 1e-9.
    """
    if n_qubits > MAX_KRAUS_QUBITS:
        raise ProgramError(f"A Kraus channel acts on at most {MAX_KRAUS_QUBITS} qubits, got {n_qubits}.")
    try:
        array = np.asarray(operators, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise ProgramError(f"Kraus operators must be matrices of numbers ({error}).") from None
    d = 1 << n_qubits
    if array.ndim != 3 or array.shape[1:] != (d, d) or not len(array):
        raise ProgramError(f"Kraus operators on {n_qubits} qubits have shape (k, {d}, {d}), got {array.shape}.")
    rest = np.abs(np.einsum("kji,kjl->il", array.conj(), array) - np.eye(d)).max()
    if not rest <= KRAUS_TOLERANCE:
        raise ProgramError(f"Kraus operators must satisfy sum(K^dagger K) = 1; it differs by {rest:.3g}.")
    return array


def _matrices(*rows: Iterable[Iterable[float]]) -> Complex:
    return np.array(rows, dtype=np.complex128)


def _depolarizing(n_qubits: int) -> Callable[[float], dict[str, float]]:
    strings = ["".join(letters) for letters in product("IXYZ", repeat=n_qubits)]

    def paulis(p: float) -> dict[str, float]:
        each = p / len(strings)
        return {string: 1.0 - p + each if place == 0 else each for place, string in enumerate(strings)}

    return paulis


def _damping(gamma: float, excited: float) -> Complex:
    """Decay to the ground state with weight ``1 - excited``, excitation with weight ``excited``."""
    keep, jump = math.sqrt(1.0 - gamma), math.sqrt(gamma)
    down = _matrices([[1, 0], [0, keep]], [[0, jump], [0, 0]])
    up = _matrices([[keep, 0], [0, 1]], [[0, 0], [jump, 0]])
    return np.concatenate([math.sqrt(1.0 - excited) * down, math.sqrt(excited) * up])


def _phase_damping(lam: float) -> Complex:
    return _matrices([[1, 0], [0, math.sqrt(1.0 - lam)]], [[0, 0], [0, math.sqrt(lam)]])


def _thermal_relaxation(t1_ns: float, t2_ns: float, time_ns: float, excited: float) -> Complex:
    """Populations relax with exp(-t/T1), coherences with exp(-t/T2)."""
    gamma = -math.expm1(-time_ns / t1_ns)
    lam = -math.expm1(-2.0 * time_ns / t2_ns + time_ns / t1_ns)
    relax, dephase = _damping(gamma, excited), _phase_damping(max(lam, 0.0))
    products: Complex = np.einsum("aij,bjk->abik", dephase, relax).reshape(-1, 2, 2)
    return products


def _unit(*values: float) -> bool:
    return all(0.0 <= value <= 1.0 for value in values)


_ONE, _TWO = ("qubit",), ("qubit_a", "qubit_b")

_ROWS = (
    ChannelRow(
        name="bit_flip", title="X with probability p", qubit_names=_ONE, value_names=("p",), limits="0 <= p <= 1",
        is_valid=_unit, paulis_of=lambda p: {"I": 1.0 - p, "X": p},
    ),
    ChannelRow(
        name="phase_flip", title="Z with probability p", qubit_names=_ONE, value_names=("p",), limits="0 <= p <= 1",
        is_valid=_unit, paulis_of=lambda p: {"I": 1.0 - p, "Z": p},
    ),
    ChannelRow(
        name="bit_phase_flip", title="Y with probability p", qubit_names=_ONE, value_names=("p",),
        limits="0 <= p <= 1", is_valid=_unit, paulis_of=lambda p: {"I": 1.0 - p, "Y": p},
    ),
    ChannelRow(
        name="depolarizing", title="With weight p the qubit is replaced by a completely mixed one", qubit_names=_ONE,
        value_names=("p",), limits="0 <= p <= 4/3", is_valid=lambda p: 0.0 <= p <= 4 / 3, paulis_of=_depolarizing(1),
    ),
    ChannelRow(
        name="depolarizing2", title="With weight p both qubits are replaced by completely mixed ones",
        qubit_names=_TWO, value_names=("p",), limits="0 <= p <= 16/15", is_valid=lambda p: 0.0 <= p <= 16 / 15,
        paulis_of=_depolarizing(2),
    ),
    ChannelRow(
        name="pauli", title="X, Y or Z with probabilities px, py, pz", qubit_names=_ONE, value_names=("px", "py", "pz"),
        limits="px, py, pz >= 0 with a sum of at most 1",
        is_valid=lambda px, py, pz: _unit(px, py, pz) and px + py + pz <= 1.0 + 1e-12,
        paulis_of=lambda px, py, pz: {"I": max(0.0, 1.0 - px - py - pz), "X": px, "Y": py, "Z": pz},
    ),
    ChannelRow(
        name="amplitude_damping", title="Decay of 1 to 0 with probability gamma", qubit_names=_ONE,
        value_names=("gamma",), limits="0 <= gamma <= 1", is_valid=_unit, kraus_of=lambda gamma: _damping(gamma, 0.0),
    ),
    ChannelRow(
        name="generalized_amplitude_damping",
        title="Relaxation with probability gamma to a mixture with the share excited of 1", qubit_names=_ONE,
        value_names=("gamma", "excited"), limits="0 <= gamma, excited <= 1", is_valid=_unit, kraus_of=_damping,
    ),
    ChannelRow(
        name="phase_damping", title="Loss of phase: coherences shrink by sqrt(1 - lam)", qubit_names=_ONE,
        value_names=("lam",), limits="0 <= lam <= 1", is_valid=_unit, kraus_of=_phase_damping,
    ),
    ChannelRow(
        name="thermal_relaxation",
        title="Relaxation during time_ns to a mixture with the share excited of 1", qubit_names=_ONE,
        value_names=("t1_ns", "t2_ns", "time_ns", "excited"),
        limits="t1_ns > 0, 0 < t2_ns <= 2 t1_ns, time_ns >= 0, 0 <= excited <= 1",
        is_valid=lambda t1, t2, time, excited: (
            t1 > 0.0 and 0.0 < t2 <= 2.0 * t1 * (1 + 1e-12) and 0.0 <= time < math.inf and _unit(excited)
        ),
        kraus_of=_thermal_relaxation,
    ),
)  # fmt: skip

CHANNELS: Mapping[str, ChannelRow] = MappingProxyType({row.name: row for row in _ROWS})
"""Every named channel by name."""


def channel_row(name: str) -> ChannelRow:
    """Return the row of this name.

    Raises:
        ProgramError: No such row; the message names the closest ones.
    """
    row = CHANNELS.get(name) if isinstance(name, str) else None
    if row is None:
        close = difflib.get_close_matches(str(name)[:100], CHANNELS, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else f"; known are {', '.join(CHANNELS)}."
        raise ProgramError(f"There is no channel {shown(name)}{hint}", allowed=list(CHANNELS))
    return row
