"""In which form Azure Quantum's targets take circuits and give results: IonQ's JSON, QIR, and Quil.

Source: Microsoft's client azure-quantum 3.13.0, ``azure/quantum/target/*.py``, ``qiskit/job.py``; QIR is as the
compiler of the Quantum Development Kit hands it over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from superpose.backends.clouds.ionq_circuits import as_one, counts_of
from superpose.backends.clouds.readings import Reading
from superpose.backends.clouds.rigetti_quil import READ_OUT, QuilText
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Circuit
from superpose.frontends import qir_base

__all__ = ["Form", "Piece", "form_of"]

Counts = dict[str, int]


@dataclass(frozen=True)
class Piece:
    """What one job is to do.

    Attributes:
        content: The input.
        params: The job's parameters, beside the number of shots.
        places: Of which circuits of the program these are, in the order of the job's result.
    """

    content: bytes
    params: Mapping[str, Any]
    places: tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """How a family of targets takes and gives.

    Attributes:
        content_type: Of the input.
        input_format: Azure's name of the input's format.
        output_format: Of the result's.
        drawn: Whether a simulator of this family gives exact probabilities, from which counts are drawn here.
        pieces: Returns the jobs of a program.
        tally: Returns the counts of each circuit of a job, from its result; raises KeyError, TypeError or ValueError
            where that is none.
    """

    content_type: str
    input_format: str
    output_format: str
    drawn: bool
    pieces: Callable[[MeasuredProgram], list[Piece]]
    tally: Callable[[Any, Sequence[int], Reading, bool, str], list[Counts]]


def _each(measured: MeasuredProgram, write: Callable[[Circuit], bytes], params: Mapping[str, Any]) -> list[Piece]:
    return [Piece(write(circuit), params, (place,)) for place, circuit in enumerate(measured.circuits)]


def _ionq_pieces(measured: MeasuredProgram) -> list[Piece]:
    return _each(measured, lambda circuit: json.dumps(as_one(circuit)).encode(), {})


def _ionq_tally(
    document: Any, places: Sequence[int], reading: Reading, drawn: bool, provider_job_id: str
) -> list[Counts]:
    measured, (place,) = reading.measured, places
    draw = (reading.seed, place) if drawn else None
    found = document["histogram"]
    return [counts_of(found, measured.circuits[place], measured.shots, draw, provider_job_id, "azure")]


def _qir_pieces(measured: MeasuredProgram) -> list[Piece]:
    params = {"entryPoint": qir_base.ENTRY_POINT, "arguments": [], "target_profile": "Base"}
    return _each(measured, lambda circuit: qir_base.write(circuit).encode(), params)


def _qir_tally(document: Any, places: Sequence[int], reading: Reading, drawn: bool, _: str) -> list[Counts]:
    circuit = reading.measured.circuits[places[0]]
    bits = sorted({item.bit for item in circuit.without_final_measurements()[1]})
    (result,) = document["Results"]
    counts = Counter[str]()
    for row in result["Histogram"]:
        outcome = row["Outcome"]
        if len(outcome) != len(bits) or not set(outcome) <= {0, 1}:
            raise ValueError(f"the outcome {outcome!r}, expected were {len(bits)} bits")
        read = ["0"] * circuit.n_bits
        for bit, value in zip(bits, outcome, strict=True):
            read[bit] = str(value)
        counts["".join(read)] += int(row["Count"])
    return [_whole(dict(counts), reading)]


def _quil_pieces(measured: MeasuredProgram) -> list[Piece]:
    """A job for each measurement setting: the values of all batch entries go with it."""
    names = measured.program.circuit.parameters
    columns = measured.program.param_matrix().T.tolist()
    pieces = []
    for setting, template in enumerate(measured.templates):
        places = tuple(range(setting, measured.n_circuits, measured.n_settings))
        text = QuilText.of(template)
        if not names:  # and so the same circuit for each entry
            same = text.at({}).encode()
            pieces += [Piece(same, {"skipQuilc": False}, (place,)) for place in places]
            continue
        values = dict(zip(names, columns, strict=True))
        substitutions = {own: [[value] for value in values[name]] for name, own in text.regions.items()}
        program = "\n".join([text.declared, text.body, ""])
        pieces.append(Piece(program.encode(), {"skipQuilc": False, "substitutions": substitutions}, places))
    return pieces


def _quil_tally(document: Any, places: Sequence[int], reading: Reading, drawn: bool, _: str) -> list[Counts]:
    rows, shots, n_bits = document[READ_OUT], reading.measured.shots, reading.measured.templates[0].n_bits
    if len(rows) != shots * len(places) or any(len(row) != n_bits or not set(row) <= {0, 1} for row in rows):
        raise ValueError(f"{len(rows)} shots, expected were {shots * len(places)} of {n_bits} bits")
    texts = ["".join(map(str, row)) for row in rows]
    return [dict(Counter(texts[k * shots : (k + 1) * shots])) for k in range(len(places))]


def _whole(counts: Counts, reading: Reading) -> Counts:
    if sum(counts.values()) != reading.measured.shots:
        raise ValueError(f"{sum(counts.values())} counts, expected were {reading.measured.shots}")
    return counts


_IONQ: Final = Form("application/json", "ionq.circuit.v1", "ionq.quantum-results.v1", True, _ionq_pieces, _ionq_tally)
_QIR: Final = Form("qir.v1", "qir.v1", "microsoft.quantum-results.v2", False, _qir_pieces, _qir_tally)
_QUIL: Final = Form("text/plain", "rigetti.quil.v1", "rigetti.quil-results.v1", False, _quil_pieces, _quil_tally)
_FORMS: Final = MappingProxyType({"ionq": _IONQ, "quantinuum": _QIR, "rigetti": _QUIL})


def form_of(provider_id: str, profile: object) -> Form | None:
    """Return how a provider's targets take circuits; None where that is not known.

    Args:
        provider_id: As Azure calls the provider.
        profile: Of QIR, where the list of targets names one: then QIR is taken.
    """
    return _FORMS.get(provider_id.lower()) or (_QIR if profile else None)
