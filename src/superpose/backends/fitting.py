"""Whether a program can run on a backend, told from its capabilities before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator

from superpose.circuits import Capabilities, If, Instruction, Measure, Operation, Program, Reset, walk
from superpose.errors import UnsupportedProgramError

__all__ = ["CUT", "TOO_WIDE", "is_too_wide", "misfits", "require_fit"]

CUT = "cut:"
"""Before a backend's name, what runs programs on it that are wider; see `superpose.backends.cutting`."""

TOO_WIDE = "qubits, the backend takes"
"""In the reason why a program is too wide, between its qubits and the backend's."""


def misfits(program: Program, capabilities: Capabilities) -> tuple[str, ...]:
    """Return why ``program`` cannot run on a backend of these capabilities, a sentence each; empty if it can.

    Gates outside ``capabilities.gates`` are a reason; those outside ``native_gates`` are not, for backends compile.

    Cost: one look at each operation.

    >>> from superpose.circuits import Circuit
    >>> misfits(Program(Circuit(2).h(0)), Capabilities(max_qubits=1, exact=True, state_vectors=True))
    ('It has 2 qubits, the backend takes 1.',)
    """
    return tuple(_misfits(program, capabilities))


def require_fit(program: Program, capabilities: Capabilities, name: str) -> None:
    """Check that ``program`` can run on backend ``name``.

    Raises:
        UnsupportedProgramError: It cannot; the message gives every reason.
    """
    found = misfits(program, capabilities)
    if found:
        cut = is_too_wide(program, capabilities) and bool(program.observables)
        raise UnsupportedProgramError(
            f"Backend {name!r} cannot run this program. {' '.join(found)} Change that, or take another backend"
            f"{f'; backend={CUT + name!r} cuts what is too wide' if cut else ''}.",
            backend=name,
            reasons=list(found),
        )


def is_too_wide(program: Program, capabilities: Capabilities) -> bool:
    """Return whether ``program`` has more qubits than a backend of these capabilities takes."""
    return capabilities.max_qubits is not None and program.n_qubits > capabilities.max_qubits


def _misfits(program: Program, able: Capabilities) -> Iterator[str]:
    if is_too_wide(program, able):
        yield f"It has {program.n_qubits} {TOO_WIDE} {able.max_qubits}."
    if able.max_batch is not None and program.batch > able.max_batch:
        yield f"It has {program.batch} batch entries, the backend takes {able.max_batch}."
    if program.shots is None:
        if program.observables and not able.exact:
            yield "It asks for exact expectations; give shots."
        if not program.observables and not able.state_vectors:
            yield "It asks for state vectors; give shots or observables."
    elif able.max_shots is not None and program.shots > able.max_shots:
        yield f"It asks for {program.shots:,} shots, the backend takes {able.max_shots:,}."
    if program.initial_state is not None and not able.initial_state:
        yield "It starts from a state of its own; prepare that state by gates."
    yield from _operations(program, able)


def _operations(program: Program, able: Capabilities) -> Iterator[str]:
    circuit = program.circuit
    everything = tuple(walk(circuit.instructions))
    if able.gates is not None:
        unknown = sorted({item.gate for item in everything if isinstance(item, Instruction)} - able.gates)
        if unknown:
            yield f"It has gates {', '.join(unknown)}, the backend takes {', '.join(sorted(able.gates))}."
    if not able.dynamic and circuit.has_noise:
        yield "It has noise channels; a processor has its own noise."
    if not able.feed_forward and _any(everything, If):
        yield "It branches on what was read."
    if not able.reset and _any(everything, Reset):
        yield "It resets qubits."
    if not able.mid_circuit and _any(circuit.without_final_measurements()[0].instructions, Measure):
        yield "It measures in the middle."


def _any(operations: tuple[Operation, ...], kind: type) -> bool:
    return any(isinstance(item, kind) for item in operations)
