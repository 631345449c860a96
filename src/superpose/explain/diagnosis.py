"""What a parametrised circuit can do, and whether it will train: numbers from random parameters, without any data.

- **Expressibility**: Kullback-Leibler divergence (nats) of the fidelities of pairs of states from those of Haar-random
  states, ``(N-1)(1-F)**(N-2)`` for dimension N, in 75 bins; 0 is a circuit whose states fill the space evenly. Beyond
  some 8 qubits nearly all fidelities fall into the first bin, and the number tells little.
- **Entangling capability**: mean Meyer-Wallach measure, 0 for product states, 1 for GHZ states.
  Source of both: Sim, Johnson and Aspuru-Guzik, Adv. Quantum Technol. 2 (2019) 1900070, arXiv 1905.10876.
- **Gradient variance**: see `superpose.learning.plateau`.
- **Fourier spectrum**: which frequencies of an input <O> can hold, and how much of each it holds on average. Source:
  Schuld, Sweke and Meyer, Phys. Rev. A 103 (2021) 032430, arXiv 2008.08605.
- **Ablation**: how far states and expectations move when one gate, or all gates on one qubit, are left out.
- **Shapley shares** of gates and qubits: see `superpose.explain.circuit_shares`.
- **Effective dimension**: see `superpose.explain.effective_dimension`.
- **Signs that are shot noise**: see `superpose.explain.sign_noise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit, Instruction, Observable, z_all
from superpose.engine import compile_program
from superpose.errors import ExplanationError
from superpose.explain.circuit_shares import MOST_PARTS, Share, gate_groups, shapley_shares
from superpose.explain.effective_dimension import DATA, MOST_QUBITS, EffectiveDimension, of_circuit, scale_of
from superpose.explain.shot_noise import checked_shots
from superpose.explain.sign_noise import SignNoise, sign_noise
from superpose.learning.plateau import GradientReport, gradient_report

__all__ = ["Ablation", "CircuitDiagnosis", "SpectrumLine", "diagnose", "expressibility", "meyer_wallach"]

Floats = NDArray[np.float64]
States = NDArray[np.complex128]

BINS = 75
_AMPLITUDES = 2**23
_GRADIENT_AMPLITUDES = 2**20
_FEW_SAMPLES, _MANY_SAMPLES = 32, 512
_FEW_AMPLITUDES = 2**18
"""Parameter sets for what is computed many times over, as shares, ablations and spectra: so many at least, and so many
at most, while their states have so many amplitudes."""

_MOST_GATES = 400
_PRESENT = 1e-9
_FINEST = 1_000
"""Largest denominator of slopes' ratios."""
_POINTS, _FEW_POINTS, _POINT_AMPLITUDES = 2**15, 2**8, 2**24
"""Most points of an input's grid; of these so many always, more while their states have so many amplitudes."""
_TELLING_QUBITS = 8
"""Beyond, more than 99.8 % of the fidelities of Haar-random states are in the first of the bins."""


@dataclass(frozen=True)
class SpectrumLine:
    """A frequency of an input, in radians of expectation per radian of input, and its mean magnitude."""

    frequency: float
    magnitude: float


@dataclass(frozen=True)
class Ablation:
    """What leaving something out does.

    Attributes:
        left_out: a gate with its place, or a qubit.
        infidelity: mean of 1 - |<with|without>|**2.
        change: mean absolute change of the expectations.
    """

    left_out: str
    infidelity: float
    change: float


@dataclass(frozen=True)
class CircuitDiagnosis:
    """What `diagnose` found.

    Attributes:
        n_qubits, n_params: of the circuit.
        n_samples: random parameter sets; derivatives take up to 2**20 / 2**n_qubits of them, shares, ablations and
            spectra up to 512, and 32 from 13 qubits on.
        expressibility: in nats, 0 is best; at most ``(N-1) ln 75``. Chance alone gives up to ``74 / n_samples``; beyond
            8 qubits it tells nothing.
        entangling_capability: 0 .. 1.
        entangling_error: standard error of it.
        gradient: None where the circuit has no parameters.
        spectra: for each input its frequencies that are present.
        gates, qubits: ablations, the largest change first; none of gates where there are more than 400.
        gate_shares, qubit_shares: Shapley values of (groups of) gates and of qubits, the largest first; none of more
            than 12 qubits.
        effective_dimension: of the distribution of bit strings; None without parameters beside the inputs, beyond 12
            qubits, or with more parameters than the work that it may take allows.
        sign_noise: for each observable, of how many random parameters shots alone may decide its sign; empty where no
            number of shots was given.
        without_spectrum: inputs whose angles have no common unit, as x and pi x, or too small a one, as x/997 and
            x/991; their frequencies are on no grid, or too fine a one, and ``spectra`` has none of them.
    """

    n_qubits: int
    n_params: int
    n_samples: int
    expressibility: float
    entangling_capability: float
    entangling_error: float
    gradient: GradientReport | None
    spectra: dict[str, tuple[SpectrumLine, ...]]
    gates: tuple[Ablation, ...]
    qubits: tuple[Ablation, ...]
    gate_shares: tuple[Share, ...]
    qubit_shares: tuple[Share, ...]
    effective_dimension: EffectiveDimension | None
    sign_noise: tuple[SignNoise, ...] = ()
    without_spectrum: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to mind before training, made from the numbers."""
        plateau = () if self.gradient is None or self.gradient.warning is None else (self.gradient.warning,)
        return (*plateau, *self._untold, *(_without_spectrum(name) for name in self.without_spectrum))

    @property
    def _untold(self) -> tuple[str, ...]:
        """Which numbers say nothing, or are not there because the circuit is too large."""
        said = []
        if self.n_qubits > _TELLING_QUBITS:
            first = -math.expm1((2.0**self.n_qubits - 1.0) * math.log1p(-1.0 / BINS))
            said.append(
                f"Expressibility tells nothing about {self.n_qubits} qubits: {100 * first:.4g} % of the fidelities of "
                f"Haar-random states are in the first of {BINS} bins, and so are those of most circuits. Judge by "
                f"expressibility up to {_TELLING_QUBITS} qubits."
            )
        if self.effective_dimension is None and self.n_params > len(self.spectra) + len(self.without_spectrum):
            said.append(
                f"No effective dimension: a circuit of {self.n_qubits} qubits and {self.n_params} parameters is too "
                f"large for it. It takes up to {MOST_QUBITS} qubits, and fewer parameters the more qubits there are."
            )
        if self.gate_shares and not self.gates:
            said.append(f"No gate was left out by itself: there are more than {_MOST_GATES}.")
        if self.gate_shares and not self.qubit_shares:
            said.append(f"No shares of qubits: there are {self.n_qubits}, and they are shared out among {MOST_PARTS}.")
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}


def diagnose(  # noqa: PLR0913  # one parameter per number asked for
    circuit: Circuit,
    observables: Sequence[Observable] | None = None,
    *,
    inputs: Sequence[str] = (),
    n_samples: int = 2_000,
    n_data: int = DATA,
    seed: int = 0,
    shots: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> CircuitDiagnosis:
    """Diagnose a circuit.

    Args:
        circuit: of gates only; measurements at its end are left out.
        observables: what is measured; Z on each qubit by default.
        inputs: parameters whose Fourier spectra are wanted.
        n_samples: parameter sets, uniform in 0 .. 2 pi; fewer where states would take more than 128 MB, and 16 at
            least.
        n_data: number of data that the effective dimension is for.
        seed: of the parameters.
        shots: of each measurement setting, for ``sign_noise``.
        tell: told each part's name before it is computed.

    Raises:
        ExplanationError: the circuit is not of gates only, an input is not a parameter, or n_samples, n_data, seed or
            shots are out of their range.
        StateTooLargeError: this machine has not enough memory for 16 states at a time (1.2 GB in all at 20 qubits, and
            twice as much for each further one).

    Cost: some ten thousand runs of the circuit, and one compilation (milliseconds) for each gate left out, up to 400,
        and for each of some hundred sets of gates. Each input takes up to 32 times 2**15 runs, as many as its smallest
        unit asks for.
    """
    _check_numbers(n_samples, n_data, seed, shots)
    circuit = circuit.without_final_measurements()[0]
    if not circuit.is_unitary or circuit.has_noise:
        raise ExplanationError(
            "Only a circuit of gates can be diagnosed; this one measures, resets or has noise inside."
        )
    unknown = [name for name in inputs if name not in circuit.parameters]
    if unknown:
        raise ExplanationError(
            f"The circuit has no parameter {unknown[0]!r}; it has {', '.join(circuit.parameters) or 'none'}.",
            unknown=unknown,
        )
    inputs = tuple(dict.fromkeys(inputs))
    measured = tuple(observables or z_all(circuit.n_qubits))
    n_samples = max(16, min(int(n_samples), _AMPLITUDES >> circuit.n_qubits))
    n_data = n_data.item() if isinstance(n_data, np.generic) else n_data  # NumPy's numbers are no JSON
    said = tell or (lambda _: None)
    rng = np.random.default_rng(seed)
    said(f"states of {n_samples:,} random parameter sets")
    run = _Run(circuit, measured)
    values = rng.uniform(0.0, 2.0 * np.pi, (n_samples, circuit.n_params))
    states = run.states(values)
    entangled = meyer_wallach(states)
    few, n_gates = values[: _n_few(_FEW_AMPLITUDES >> circuit.n_qubits)], len(circuit.gate_calls())
    said("shares of gates and qubits in what the circuit does")
    gate_shares, qubit_shares = _shares(run, few, seed)
    said("variance of derivatives")
    gradient = run.gradient(values) if circuit.n_params else None
    units, spectra = {name: run.grid(name) for name in inputs}, {}
    for name, unit in units.items():
        if unit is not None:
            said(f"Fourier spectrum of {name}")
            spectra[name] = run.spectrum(name, few, unit)
    said("gates and qubits left out, one by one" if n_gates <= _MOST_GATES else "qubits left out, one by one")
    gates, qubits = _gate_ablations(run, few), _qubit_ablations(run, few)
    said("effective dimension")
    dimension = of_circuit(circuit, inputs, np.random.default_rng(seed), n_data)
    if shots is not None:
        said(f"signs of expectations with {shots:,} shots")
    return CircuitDiagnosis(
        n_qubits=circuit.n_qubits,
        n_params=circuit.n_params,
        n_samples=n_samples,
        expressibility=expressibility(states),
        entangling_capability=float(entangled.mean()),
        entangling_error=float(entangled.std(ddof=1) / math.sqrt(len(entangled))),
        gradient=gradient,
        spectra=spectra,
        gates=gates,
        qubits=qubits,
        gate_shares=gate_shares,
        qubit_shares=qubit_shares,
        effective_dimension=dimension,
        sign_noise=() if shots is None else sign_noise(circuit, measured, values, shots),
        without_spectrum=tuple(name for name, unit in units.items() if unit is None),
    )


def expressibility(states: States) -> float:
    """Divergence (nats) of the fidelities of neighbouring pairs of states ``(n_samples, dimension)`` from Haar's."""
    first, second = states[0::2], states[1::2]
    n_pairs = min(len(first), len(second))
    overlaps = np.abs(np.einsum("sd,sd->s", first[:n_pairs].conj(), second[:n_pairs])) ** 2
    counts, edges = np.histogram(np.clip(overlaps, 0.0, 1.0), bins=BINS, range=(0.0, 1.0))
    power = states.shape[1] - 1
    with np.errstate(divide="ignore"):
        left, right = power * np.log1p(-edges[:-1]), power * np.log1p(-edges[1:])  # logarithms of (1-F)**(N-1)
    seen = counts > 0
    shares = counts[seen] / n_pairs
    expected = left[seen] + np.log1p(-np.exp(right[seen] - left[seen]))  # of a bin's probability
    return float(max(0.0, np.sum(shares * (np.log(shares) - expected))))


def meyer_wallach(states: States) -> Floats:
    """Meyer and Wallach's measure of states ``(n_samples, 2**n_qubits)``: twice a qubit's mean linear entropy."""
    n_qubits = int(states.shape[1]).bit_length() - 1
    purities = np.zeros((n_qubits, len(states)))
    for qubit in range(n_qubits):
        parts = states.reshape(len(states), 2**qubit, 2, -1)
        reduced = np.einsum("saib,sajb->sij", parts, parts.conj())
        purities[qubit] = np.einsum("sij,sji->s", reduced, reduced).real
    measure: Floats = 2.0 * (1.0 - purities.mean(axis=0))
    return measure


class _Run:
    """A circuit with its observables, ready to run with values of all its parameters."""

    def __init__(self, circuit: Circuit, observables: tuple[Observable, ...]) -> None:
        self.circuit, self.observables = circuit, observables
        self.names = circuit.parameters
        self.program = compile_program(circuit, observables, inputs=self.names, dtype="float64")

    def states(self, values: Floats) -> States:
        """``(n_samples, 2**n_qubits)``."""
        found: States = np.asarray(self.program.state_vector(values, None), dtype=np.complex128)
        return found

    def expectations(self, values: Floats) -> Floats:
        """``(n_samples, n_observables)``."""
        found: Floats = np.asarray(self.program.expectation(values, None), dtype=np.float64)
        return found

    def gradient(self, values: Floats) -> GradientReport:
        """Of as many samples as are worth their time."""
        return gradient_report(self.program, values[: max(16, _GRADIENT_AMPLITUDES >> self.circuit.n_qubits)])

    def spectrum(self, name: str, values: Floats, unit: float) -> tuple[SpectrumLine, ...]:
        """Mean magnitudes over samples and observables of the Fourier coefficients at 0, 1/2, 1, ... units.

        Angles that are whole multiples of ``unit`` times the input give these frequencies, halves come from controlled
        gates.
        """
        place, n_points = self.names.index(name), self._n_points(name, unit)
        points = np.arange(n_points) * (4.0 * np.pi / n_points / unit)
        values = values[: _n_few((_POINT_AMPLITUDES >> self.circuit.n_qubits) // n_points)]
        total = np.zeros(n_points // 2 + 1)
        for row in values:
            along = np.tile(row, (n_points, 1))
            along[:, place] = points
            total += np.abs(np.fft.rfft(self.expectations(along), axis=0)).mean(axis=1) / n_points
        mean = total / len(values)
        return tuple(SpectrumLine(unit * k / 2.0, float(size)) for k, size in enumerate(mean) if size > _PRESENT)

    def grid(self, name: str) -> float | None:
        """The unit of an input's angles; None where there is none, or its grid would have too many points."""
        unit = _unit(_slopes(self.circuit, name))
        most = max(_FEW_POINTS, min(_POINTS, _POINT_AMPLITUDES >> self.circuit.n_qubits))
        return None if unit is None or self._n_points(name, unit) > most else unit

    def _n_points(self, name: str, unit: float) -> int:
        return 8 * math.ceil(sum(abs(slope) for slope in _slopes(self.circuit, name)) / unit) + 16

    def without(self, keep: Sequence[bool]) -> _Run:
        """The same with some gates left out."""
        made = Circuit(self.circuit.n_qubits, name=self.circuit.name)
        made.extend(call for call, kept in zip(self.circuit.gate_calls(), keep, strict=True) if kept)
        return _Run(made, self.observables)


def _n_few(affordable: int) -> int:
    """Parameter sets, where so many can be afforded."""
    return max(_FEW_SAMPLES, min(_MANY_SAMPLES, affordable))


def _check_numbers(n_samples: int, n_data: int, seed: int, shots: int | None) -> None:
    for field, value, least in (("n_samples", n_samples, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ExplanationError(
                f"{field} must be a whole number from {least} on, got {repr(value)[:40]}.", field=field
            )
    scale_of(n_data)
    if shots is not None:
        checked_shots(shots)


def _without_spectrum(name: str) -> str:
    return (
        f"Input {name!r} has no Fourier spectrum here: it turns angles by amounts without a common unit, or with one "
        "so small that its frequencies make too fine a grid. Write its angles as multiples of one number, by few "
        "fractions with denominators up to 1,000."
    )


def _slopes(circuit: Circuit, name: str) -> list[float]:
    """By how much each angle grows with the parameter."""
    return [
        float(slope)
        for call in circuit.gate_calls()
        for angle in call.angles
        for parameter, slope in getattr(angle, "terms", ())
        if getattr(parameter, "name", parameter) == name
    ]


def _unit(slopes: Sequence[float]) -> float | None:
    """The largest number that all slopes are whole multiples of; None where there is none."""
    sizes = [abs(slope) for slope in slopes if slope]
    if not sizes:
        return 1.0
    first = sizes[0]
    ratios = [Fraction(size / first).limit_denominator(_FINEST) for size in sizes]
    if any(abs(float(ratio) * first - size) > 1e-9 * size for ratio, size in zip(ratios, sizes, strict=True)):
        return None
    parts = math.lcm(*(ratio.denominator for ratio in ratios))
    return first * math.gcd(*(int(ratio * parts) for ratio in ratios)) / parts


def _gate_ablations(run: _Run, values: Floats) -> tuple[Ablation, ...]:
    calls = run.circuit.gate_calls()
    if len(calls) > _MOST_GATES:
        return ()
    whole = run.states(values).conj(), run.expectations(values)
    found = [
        _ablation(run, whole, values, _words(place, call), [other != place for other in range(len(calls))])
        for place, call in enumerate(calls)
    ]
    return tuple(sorted(found, key=lambda one: -one.change))


def _qubit_ablations(run: _Run, values: Floats) -> tuple[Ablation, ...]:
    calls = run.circuit.gate_calls()
    whole = run.states(values).conj(), run.expectations(values)
    found = [
        _ablation(run, whole, values, f"qubit {qubit}", [qubit not in call.qubits for call in calls])
        for qubit in range(run.circuit.n_qubits)
    ]
    return tuple(sorted(found, key=lambda one: -one.change))


def _shares(run: _Run, values: Floats, seed: int) -> tuple[tuple[Share, ...], tuple[Share, ...]]:
    """Shapley values of gates in groups, and of qubits, where there are at most 12 (none of no gates)."""
    calls = run.circuit.gate_calls()
    if not calls:
        return (), ()

    def expectations(keep: Sequence[bool]) -> Floats:
        rest = run.without(keep)
        return rest.expectations(values[:, [run.names.index(name) for name in rest.names]])

    gates = shapley_shares(expectations, *gate_groups(calls), seed, joined=False)
    qubits = range(run.circuit.n_qubits)
    if len(qubits) > MOST_PARTS:
        return gates, ()
    names = [f"qubit {qubit}" for qubit in qubits]
    on = [[qubit in call.qubits for call in calls] for qubit in qubits]
    return gates, shapley_shares(expectations, names, on, seed, joined=True)


def _ablation(run: _Run, whole: tuple[States, Floats], values: Floats, words: str, keep: Sequence[bool]) -> Ablation:
    rest = run.without(keep)
    fewer = values[:, [run.names.index(name) for name in rest.names]]
    overlaps = np.einsum("sd,sd->s", whole[0], rest.states(fewer))
    change = np.abs(whole[1] - rest.expectations(fewer)).mean()
    return Ablation(words, float(max(0.0, 1.0 - np.mean(np.abs(overlaps) ** 2))), float(change))


def _words(place: int, call: Instruction) -> str:
    return f"{place}: {call.gate} {', '.join(map(str, call.qubits))}"
