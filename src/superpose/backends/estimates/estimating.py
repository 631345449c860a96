"""What a program is expected to give and to take on one backend, before anything runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from superpose.backends.estimates.fidelity import SuccessProbability, success_probability
from superpose.backends.estimates.placement import Placer
from superpose.backends.estimates.pricing import PriceRow, PriceTable, Usage, published_prices
from superpose.backends.estimates.waiting import SeenWait, WaitEstimate, estimate_wait
from superpose.backends.grouping import group_terms
from superpose.circuits import (
    Backend,
    BackendKind,
    CalibratedBackend,
    Calibration,
    Estimate,
    EstimatingBackend,
    Instruction,
    Measure,
    Program,
    QueueTellingBackend,
    TranspilingBackend,
    walk,
)
from superpose.errors import SuperposeError

__all__ = ["Knowledge", "calibrated_estimate", "estimate_program", "usage_of"]

AMPLITUDES_PER_S = 2e8
"""What a simulator on this machine is taken to change in a second: a nominal figure, for orders of magnitude."""
MAX_PLACERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What estimates rest on beside the backends.

    Attributes:
        prices: Asked before what backends say; None for none. Published prices are asked last.
        waits: Waits that were seen.
        now: The present, aware, so that old waits are left out; None takes all.
    """

    prices: PriceTable | None = None
    waits: Sequence[SeenWait] = field(default=())
    now: datetime | None = None


def estimate_program(
    program: Program, backend: Backend, *, kind: BackendKind, knowledge: Knowledge | None = None
) -> Estimate:
    """Return what a run of ``program`` is expected to give and to take; nothing is run or charged.

    What the backend says itself (`EstimatingBackend`) counts first, but for prices and waits of one's own. What nobody
    knows is None.

    Args:
        program: Programs without shots are taken as exact; only simulators run those.
        backend: Where. It must fit; see `superpose.backends.fitting`.
        kind: Of backend: a simulator is without errors, and neither it nor an emulator has a queue.
        knowledge: Prices and waits; None for published prices alone.

    Raises:
        UnsupportedProgramError: The circuit cannot be placed on the processor.
        ProviderError: Calibration or queue cannot be had.

    Cost: placing the circuit, some milliseconds for tens of gates; what the backend takes to answer.
    """
    known = knowledge or Knowledge()
    told = backend.estimate(program) if isinstance(backend, EstimatingBackend) else Estimate()
    notes: dict[str, Any] = dict(told.notes)
    fidelity = told.fidelity
    success = None
    if isinstance(backend, CalibratedBackend):
        calibration = backend.calibration()
        notes["calibration_epoch"] = calibration.epoch
        if fidelity is None:
            success, way = _success(program, backend, calibration)
            fidelity = success.total
            notes |= _told(success) | {"placed_by": way}
    elif fidelity is None and kind == "simulator":
        fidelity = 1.0
    usage = usage_of(program, told.run_s)
    price_usd, row = _price(usage, backend, told.price_usd, known.prices)
    if row is not None:
        notes["price"] = {"as_of": row.as_of.isoformat(), "source": row.source, "note": row.note}
    run_s = told.run_s
    if run_s is None and row is not None:
        run_s = row.seconds(usage.n_shots)
    if run_s is None and kind == "simulator":
        run_s = _simulated_s(program, usage)
    wait = _wait(backend, kind, known, run_s)
    wait_s = told.wait_s if wait is None or (wait.n_seen == 0 and told.wait_s is not None) else wait.median_s
    if wait is not None and wait_s == wait.median_s:
        notes["wait"] = {"model": wait.model, "n_seen": wait.n_seen, "p90_s": wait.p90_s}
    return Estimate(fidelity=fidelity, price_usd=price_usd, wait_s=wait_s, run_s=run_s, notes=notes)


def calibrated_estimate(program: Program, calibration: Calibration) -> SuccessProbability:
    """Return what is expected of a program on a processor of which only a calibration is known; see `Placer`.

    Raises:
        UnsupportedProgramError: The circuit cannot be placed on the processor.
    """
    with _PLACING:  # a placer is not for two threads at once
        return _placer(calibration).place(program.circuit, _read(program)).success


def usage_of(program: Program, run_s: float | None = None) -> Usage:
    """Return what a run of ``program`` uses, measured ``shots`` times for each batch entry and measurement setting."""
    settings = max(1, len(group_terms(program.observables)[0])) if program.observables and program.shots else 1
    n_circuits = program.batch * settings
    n_shots = n_circuits * (program.shots or 0)
    sizes = [len(item.qubits) for item in walk(program.circuit.instructions) if isinstance(item, Instruction)]
    return Usage(
        n_circuits=n_circuits,
        n_shots=n_shots,
        one_qubit_gate_shots=sizes.count(1) * n_shots,
        two_qubit_gate_shots=sum(6 * (n - 2) if n > 2 else 1 for n in sizes if n > 1) * n_shots,
        run_s=run_s,
    )


def _success(program: Program, backend: CalibratedBackend, calibration: Calibration) -> tuple[SuccessProbability, str]:
    """As the backend itself would run it, where it says so; else by our model."""
    if not isinstance(backend, TranspilingBackend):
        return calibrated_estimate(program, calibration), "model"
    circuit = program.circuit
    read = _read(program)
    if read is not None:  # so that the backend tells where they end
        body, _ = circuit.without_final_measurements()
        circuit = body.copy()
        wider = type(circuit)(body.n_qubits, body.name, n_bits=body.n_bits + len(read)).extend(body.instructions)
        circuit = wider.extend([Measure(qubit, body.n_bits + place) for place, qubit in enumerate(read)])
    with _PLACING:
        return success_probability(backend.transpiled(circuit), _placer(calibration).tariff), "backend"


def _read(program: Program) -> tuple[int, ...] | None:
    """The qubits that are read at the end; None where the circuit's own measurements are."""
    if program.observables:
        strings = [pauli for observable in program.observables for pauli, _ in observable.terms]
        return tuple(qubit for qubit in range(program.n_qubits) if any(text[qubit] != "I" for text in strings))
    return None if program.circuit.n_bits else tuple(range(program.n_qubits))


def _told(success: SuccessProbability) -> dict[str, Any]:
    return {
        "gates": success.gates,
        "readout": success.readout,
        "idling": success.idling,
        "n_two_qubit_gates": success.n_two_qubit,
        "duration_ns": success.duration_ns,
        "missing": list(success.missing),
    }


def _price(
    usage: Usage, backend: Backend, told: float | None, own: PriceTable | None
) -> tuple[float | None, PriceRow | None]:
    """The price and the row that says it: one's own table, the backend's word, what it says it charges, published."""
    row = None if own is None else own.find(backend.name)
    if row is not None:
        return row.price_usd(usage), row
    if told is not None:
        return told, None
    published = published_prices().find(backend.name)
    pricing = backend.capabilities().pricing
    if pricing is not None:
        row = PriceRow(
            backend=backend.name,
            as_of=pricing.as_of,
            source=pricing.source,
            per_submission_usd=pricing.per_submission_usd,
            per_circuit_usd=pricing.per_circuit_usd,
            per_shot_usd=pricing.per_shot_usd,
            per_second_usd=pricing.per_second_usd,
            fixed_s=None if published is None else published.fixed_s,
            shot_s=None if published is None else published.shot_s,
        )
        return row.price_usd(usage), row
    return (None if published is None else published.price_usd(usage)), published


def _wait(backend: Backend, kind: BackendKind, known: Knowledge, run_s: float | None) -> WaitEstimate | None:
    if kind != "qpu":
        return WaitEstimate(median_s=0.0, p90_s=0.0, model="no queue", n_seen=0)
    queue = None
    if isinstance(backend, QueueTellingBackend):
        try:
            queue = backend.queue()
        except SuperposeError:
            queue = None  # unknown, as where nobody says
    seen = [wait for wait in known.waits if wait.backend == backend.name]
    return estimate_wait(seen, queue, now=known.now, run_s=run_s)


def _simulated_s(program: Program, usage: Usage) -> float:
    n_gates = max(1, program.circuit.n_instructions)
    return float(n_gates * 2.0**program.n_qubits * usage.n_circuits / AMPLITUDES_PER_S)


_PLACING = threading.Lock()
_PLACERS: OrderedDict[str, Placer] = OrderedDict()


def _placer(calibration: Calibration) -> Placer:
    key = f"{calibration.backend} {calibration.epoch}"
    if key not in _PLACERS:
        _PLACERS[key] = Placer(calibration)
        if len(_PLACERS) > MAX_PLACERS:
            _PLACERS.popitem(last=False)
    _PLACERS.move_to_end(key)
    return _PLACERS[key]
