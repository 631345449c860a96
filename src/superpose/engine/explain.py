"""What becomes of a circuit before it runs: gates, passes, tapes, memory and arithmetic, as plain numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.circuits import Circuit, Observable
from superpose.engine.kernels import layout as at
from superpose.engine.layouts import Layout, lane_bits_of, lanes_of, runs_wide
from superpose.engine.lowering import Lowered, layers_of, lower, strings_of
from superpose.engine.memory import memory_required
from superpose.engine.passes import PASSES, gather_diagonals, put_unseen_last, translate
from superpose.engine.passes.form import Form, constant_of, rotations_of
from superpose.engine.runner import Dtype
from superpose.engine.tape import Tape, build_tape

__all__ = ["CircuitReport", "PassReport", "TapeReport", "explain_circuit"]

MOST_QUBITS = 40
"""Of larger circuits no tape is written: no memory holds their states."""

_SCALED = frozenset((at.SCALED_REAL, at.SCALED_REAL_2, at.SCALED_REAL_3, at.SCALED_IMAGINARY, at.PAIR_IMAGINARY))


@dataclass(frozen=True)
class PassReport:
    """What is left after a pass.

    Attributes:
        name: The pass.
        effect: What it does, in a few words.
        n_cliffords: Clifford gates that are not in the frame yet.
        n_rotations: Rotations.
        n_diagonal: Those of them about strings of Z.
        n_constant: Those of them whose angle is a number.
        n_runs: Runs of diagonal rotations and of others, once all gates are folded.
    """

    name: str
    effect: str
    n_cliffords: int
    n_rotations: int
    n_diagonal: int
    n_constant: int
    n_runs: int | None


@dataclass(frozen=True)
class TapeReport:
    """The tape in one layout of the amplitudes.

    Attributes:
        layout: "tile", a sample per lane, or "wide", amplitudes of one sample in the lanes.
        samples: Samples per tile.
        n_steps: Blocks, tables and exchanges, those included that only state vectors and samples need.
        n_steps_seen: Those that expectations need.
        n_blocks: Runs of operations on one coset after the other.
        n_operations: Passes over a coset: of one to three rotations each.
        n_tables: Tables of phases.
        n_exchanges: Exchanges of a lane bit with a row bit, most of them inside blocks.
        n_rotations: Rotations, those in tables included.
        n_seen: Those that observables see.
        n_start: Steps with which ``|0...0>`` is prepared at little cost.
        tape_bytes: Size of the tape.
        work_bytes: Working memory of one thread: a state, its adjoint state, and what else it takes.
        flops_forward, flops_gradient: Estimated floating-point operations per sample, for expectations and for
            expectations with all gradients. One complex amplitude takes 4 of them per scaled rotation, 6 per other
            rotation or table; gradients undo both states and take 4 more per rotation with a parameter.
    """

    layout: str
    samples: int
    n_steps: int
    n_steps_seen: int
    n_blocks: int
    n_operations: int
    n_tables: int
    n_exchanges: int
    n_rotations: int
    n_seen: int
    n_start: int
    tape_bytes: int
    work_bytes: int
    flops_forward: int
    flops_gradient: int


@dataclass(frozen=True)
class CircuitReport:
    """A circuit on its way to the tape.

    Attributes:
        name: The circuit's label.
        n_qubits, n_gates, depth, n_params: Of the circuit.
        gates: Number of calls per gate, the most frequent first.
        n_observables, n_strings: What is measured: observables, and distinct Pauli strings of them.
        dtype: Precision.
        batch: Samples for which memory is stated.
        passes: One report per pass, in order.
        tapes: Tile, then wide if there are qubits enough; none if there are too many.
        layout: Which of them a batch of that size takes.
        forward_bytes: Memory for the states of a batch.
        gradient_bytes: The same where states are kept for gradients.
    """

    name: str
    n_qubits: int
    n_gates: int
    depth: int
    n_params: int
    gates: dict[str, int]
    n_observables: int
    n_strings: int
    dtype: str
    batch: int
    passes: tuple[PassReport, ...]
    tapes: tuple[TapeReport, ...]
    layout: str
    forward_bytes: int
    gradient_bytes: int


def explain_circuit(
    circuit: Circuit,
    observables: Sequence[Observable],
    *,
    inputs: Sequence[str] = (),
    dtype: Dtype = "float32",
    batch: int = 1,
) -> CircuitReport:
    """Return what the engine makes of a circuit; measurements at its end are left out.

    Args:
        circuit: Of gates.
        observables: What is measured.
        inputs: Names of the parameters that differ between the samples of a batch.
        dtype: Precision.
        batch: Samples that run together.

    Raises:
        UnsupportedProgramError: The circuit has more than gates, delays, barriers and measurements at its end.
    """
    circuit, _ = circuit.without_final_measurements()
    calls = circuit.gate_calls()
    lowered = lower(circuit, observables)
    known = set(inputs)
    names = tuple(inputs), tuple(name for name in circuit.parameters if name not in known)
    layouts = [False] if circuit.n_qubits < 2 * lane_bits_of(dtype) + 1 else [False, True]
    tapes = [_tape(lowered, names, dtype, wide=wide) for wide in layouts] if circuit.n_qubits <= MOST_QUBITS else []
    return CircuitReport(
        name=circuit.name,
        n_qubits=circuit.n_qubits,
        n_gates=len(calls),
        depth=circuit.depth(),
        n_params=circuit.n_params,
        gates=dict(Counter(item.gate for item in calls).most_common()),
        n_observables=len(observables),
        n_strings=len(lowered.strings),
        dtype=dtype,
        batch=batch,
        passes=_passes(circuit, observables),
        tapes=tuple(tapes),
        layout="wide" if runs_wide(circuit.n_qubits, batch, dtype) else "tile",
        forward_bytes=memory_required(circuit.n_qubits, batch, dtype=dtype),
        gradient_bytes=memory_required(circuit.n_qubits, batch, dtype=dtype, gradients=True),
    )


_EFFECTS = {
    "translate": "gates to rotations",
    "fold_permutations": "Clifford gates folded away",
    "fuse_rotations": "equal strings add up",
    "cancel": "zero angles go",
    "fold_quarter_turns": "quarter turns folded too",
    "put_unseen_last": "the unseen left out",
    "gather_diagonals": "diagonals together",
}


def _passes(circuit: Circuit, observables: Sequence[Observable]) -> tuple[PassReport, ...]:
    form = translate(circuit)
    reports = [_after("translate", form)]
    for one in PASSES:
        before, form = form, one(form)
        if form is not before or one.__name__ not in {report.name for report in reports}:
            reports.append(_after(one.__name__, form))
    form, n_seen = put_unseen_last(form, strings_of(form.frame, observables))
    reports.append(_after("put_unseen_last", form._replace(items=form.items[:n_seen])))
    form = gather_diagonals(form._replace(items=form.items[:n_seen]))
    return (*reports, _after("gather_diagonals", form))


def _after(name: str, form: Form) -> PassReport:
    rotations = [item for item in form.items if len(item) == 3]
    return PassReport(
        name=name,
        effect=_EFFECTS[name],
        n_cliffords=len(form.items) - len(rotations),
        n_rotations=len(rotations),
        n_diagonal=sum(x == 0 for x, _, _ in rotations),
        n_constant=sum(constant_of(angle) is not None for _, _, angle in rotations),
        n_runs=len(layers_of(form)) if form.folded and rotations_of(form) else None,
    )


def _tape(lowered: Lowered, names: tuple[Sequence[str], Sequence[str]], dtype: Dtype, *, wide: bool) -> TapeReport:
    lanes, n_lane_bits = lanes_of(dtype), lane_bits_of(dtype) if wide else 0
    tape = build_tape(lowered, names, Layout(lowered.n_qubits, n_lane_bits), lanes)
    steps = tape.ints[tape[at.STEPS] :][: tape[at.N_STEPS] * at.STEP_WIDTH].reshape(-1, at.STEP_WIDTH)
    kinds = Counter(int(kind) for kind in steps[:, at.STEP_KIND])
    n_operations = max((int(step[at.STEP_LAST]) for step in steps if step[at.STEP_KIND] == at.BLOCK), default=0)
    operations = tape.ints[tape[at.OPS] :][: n_operations * at.OP_WIDTH].reshape(-1, at.OP_WIDTH)
    n_inside = int((operations[:, at.OP_KIND] >= at.SWAP_LANE).sum())
    size = 4 if dtype == "float32" else 8
    forward, gradient = _flops(tape)
    return TapeReport(
        layout="wide" if wide else "tile",
        samples=tape[at.SAMPLES],
        n_steps=tape[at.N_STEPS],
        n_steps_seen=tape[at.N_STEPS_EXPECT],
        n_blocks=kinds[at.BLOCK],
        n_operations=n_operations - n_inside,
        n_tables=kinds[at.TABLE],
        n_exchanges=kinds[at.EXCHANGE] + n_inside,
        n_rotations=tape[at.N_ROTATIONS],
        n_seen=tape[at.N_ROTATIONS_EXPECT],
        n_start=tape[at.N_START],
        tape_bytes=tape.ints.nbytes + tape.floats.nbytes,
        work_bytes=size * tape[at.SIZE] + 8 * tape[at.SIZE_WIDE],
        flops_forward=forward << lowered.n_qubits,
        flops_gradient=gradient << lowered.n_qubits,
    )


def _flops(tape: Tape) -> tuple[int, int]:
    """Return operations per amplitude of the steps that expectations need, without and with gradients."""
    forward = 0
    for number in range(tape[at.N_STEPS_EXPECT]):
        kind, first, last = tape.ints[tape[at.STEPS] + number * at.STEP_WIDTH :][:3].tolist()
        if kind == at.TABLE:
            forward += 6
        elif kind == at.BLOCK:
            for op in range(first, last):
                op_kind, count = tape.ints[tape[at.OPS] + op * at.OP_WIDTH :][:2].tolist()
                forward += count * (4 if op_kind in _SCALED else 6)
    n_seen, with_parameter = tape[at.N_ROTATIONS_EXPECT], np.zeros(tape[at.N_ROTATIONS_EXPECT], dtype=bool)
    for place in (at.WEIGHT_START, at.INPUT_START):
        with_parameter |= np.diff(tape.ints[tape[place] :][: n_seen + 1]) > 0
    return forward, 3 * forward + 4 * int(with_parameter.sum())
