"""What a backend answered, in another toolkit's own result type: bits in its order, registers by their names.

A `ProgramResult` knows how often each bit string was measured, not in which order: shots come grouped by bit string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits import ProgramResult
from superpose.errors import ConversionError
from superpose.frontends.convert import toolkit_of
from superpose.frontends.table import TOOLKITS

__all__ = ["RESULT_TYPES", "native_result"]

RESULT_TYPES = ("qiskit", "cirq", "braket", "pennylane")
"""Toolkits whose result types are known."""

_Bits = npt.NDArray[np.uint8]


def native_result(result: ProgramResult, to: str, like: object | None = None) -> Any:
    """Return a result in a toolkit's own type; see `superpose.convert`.

    Raises:
        ConversionError: There is no such type, or it has no place for what the result holds.
        ToolkitMissingError: The toolkit is not installed.
    """
    if to not in RESULT_TYPES:
        raise ConversionError(
            f"There is no result type {to!r}; known are {', '.join(RESULT_TYPES)}.", feature="result type"
        )
    TOOLKITS[to].module()  # says what brings it, where it is missing
    row = toolkit_of(like) if like is not None else None
    own = like if row is not None and row.name == to else None
    return _WRITERS[to](result, own)


def _shots(counts: Mapping[str, int]) -> _Bits:
    """Return bits ``(shots, n_bits)``, equal shots beside each other."""
    rows = [np.frombuffer(bits.encode("ascii"), np.uint8) - ord("0") for bits in counts]
    return np.repeat(np.array(rows, np.uint8), list(counts.values()), axis=0)


def _refuse(to: str, what: str) -> Any:
    raise ConversionError(f"{TOOLKITS[to].title}'s result type has no place for {what}.", toolkit=to, feature=what)


def _qiskit(result: ProgramResult, like: Any) -> Any:
    """A ``PrimitiveResult`` with one entry, as a sampler gives it for counts, an estimator for expectations."""
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult

    metadata = {"version": 2}
    if result.counts is not None:
        bits = np.stack([_shots(counts) for counts in result.counts])  # (batch, shots, n_bits)
        bits = bits[0] if len(bits) == 1 else bits
        n = bits.shape[-1]
        registers = _qiskit_registers(like, n)
        arrays = {
            name: BitArray.from_bool_array(bits[..., list(places)].astype(bool), order="little")
            for name, places in registers.items()
        }
        data = DataBin(**arrays, shape=bits.shape[:-2])
        return PrimitiveResult([SamplerPubResult(data, metadata={"shots": bits.shape[-2]})], metadata)
    if result.expectations is not None:
        values = result.expectations
        values = values[0] if len(values) == 1 else values
        return PrimitiveResult([PubResult(DataBin(evs=values, shape=values.shape))], metadata)
    return _refuse("qiskit", "a state vector")


def _qiskit_registers(like: Any, n_bits: int) -> dict[str, tuple[int, ...]]:
    if like is None or not like.cregs:
        return {"meas" if like is not None else "c": tuple(range(n_bits))}
    return {register.name: tuple(like.find_bit(bit).index for bit in register) for register in like.cregs}


def _cirq(result: ProgramResult, like: Any) -> Any:
    """A ``ResultDict``; a list of them for a batch."""
    import cirq

    from superpose.frontends.cirq import bits_of_keys

    if result.counts is None:
        return _refuse("cirq", "anything but measured bits")
    out: list[Any] = []
    for counts in result.counts:
        bits = _shots(counts)
        keys = bits_of_keys(like) if like is not None else {}
        keys = keys or {"c": tuple(range(bits.shape[1]))}
        out.append(cirq.ResultDict(measurements={key: bits[:, list(places)] for key, places in keys.items()}))
    return out[0] if len(out) == 1 else out


def _braket(result: ProgramResult, like: Any) -> Any:
    """A ``GateModelQuantumTaskResult``; a list of them for a batch."""
    from braket.ir.openqasm import Program as OpenQasm
    from braket.task_result import AdditionalMetadata, GateModelTaskResult, TaskMetadata
    from braket.tasks import GateModelQuantumTaskResult

    if result.counts is None:
        return _refuse("braket", "anything but measured bits")
    out: list[Any] = []
    for counts in result.counts:
        bits = _shots(counts)
        answer = GateModelTaskResult(
            measurements=bits.tolist(),
            measuredQubits=_braket_qubits(like, bits.shape[1]),
            taskMetadata=TaskMetadata(id=f"superpose-{len(out)}", shots=len(bits), deviceId="superpose"),
            additionalMetadata=AdditionalMetadata(action=OpenQasm(source="OPENQASM 3.0;")),
        )
        out.append(GateModelQuantumTaskResult.from_object(answer))
    return out[0] if len(out) == 1 else out


def _braket_qubits(like: Any, n_bits: int) -> list[int]:
    if like is None:
        return list(range(n_bits))
    measured = [int(item.target[0]) for item in like.instructions if item.operator.name == "Measure"]
    return measured or sorted(int(qubit) for qubit in like.qubits)


def _pennylane(result: ProgramResult, like: Any) -> Any:
    """Arrays as a QNode returns them: samples, expectations (a tuple where there are several) or states."""
    if result.counts is not None:
        samples = np.stack([_shots(counts) for counts in result.counts]).astype(np.int64)
        return samples[0] if len(samples) == 1 else samples
    if result.expectations is not None:
        values = result.expectations
        columns = [values[0, k] if len(values) == 1 else values[:, k] for k in range(values.shape[1])]
        return np.asarray(columns[0]) if len(columns) == 1 else tuple(map(np.asarray, columns))
    if result.state_vectors is None:
        return _refuse("pennylane", "an empty result")
    return result.state_vectors[0] if len(result.state_vectors) == 1 else result.state_vectors


_WRITERS = {"qiskit": _qiskit, "cirq": _cirq, "braket": _braket, "pennylane": _pennylane}
