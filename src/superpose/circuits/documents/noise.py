"""Noise models as JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from superpose.circuits.documents.fields import (
    Document,
    Fields,
    integer,
    items,
    list_of,
    located,
    map_of,
    number,
    refuse,
    text,
)
from superpose.circuits.noise_model import NoiseModel, NoiseSpec

__all__ = ["noise_model_from_json", "noise_model_to_json"]

NOISE_MODEL = "superpose.noise_model"
VERSIONS = (1,)

_T = TypeVar("_T")


def noise_model_to_json(model: NoiseModel) -> dict[str, Any]:
    """Return ``model`` as a document of format "superpose.noise_model", in JSON values; what is empty is left out.

    What holds for all qubits is one value, what differs by qubit an object ``{"0": value}``.

    >>> noise_model_to_json(NoiseModel(one_qubit=[("depolarizing", (0.01,))]))["one_qubit"]
    [{'channel': 'depolarizing', 'values': [0.01]}]
    """
    local = [
        {"gate": gate, "qubits": list(qubits), "channels": _specs_to_json(specs)}
        for (gate, qubits), specs in model.local.items()
    ]
    parts: dict[str, Any] = {
        "one_qubit": _specs_to_json(model.one_qubit),
        "two_qubit": _specs_to_json(model.two_qubit),
        "gates": {gate: _specs_to_json(specs) for gate, specs in model.gates.items()},
        "local": local,
        "readout": _by_qubit_to_json(model.readout) if model.has_readout_error else None,
        "t1_ns": _by_qubit_to_json(model.t1_ns),
        "t2_ns": _by_qubit_to_json(model.t2_ns),
        "gate_times_ns": dict(model.gate_times_ns),
        "excited": model.excited or None,
    }
    head = {"format": NOISE_MODEL, "version": VERSIONS[-1]}
    return head | {name: value for name, value in parts.items() if value not in (None, {}, [])}


def noise_model_from_json(document: Document) -> NoiseModel:
    """Return the noise model that a "superpose.noise_model" document describes.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        ProgramError, GateUnknownError: A channel, its numbers or a gate cannot be.
    """
    fields = Fields.of_document(document, NOISE_MODEL, VERSIONS)
    parts: dict[str, Any] = {
        "one_qubit": fields.take("one_qubit", list_of(_spec), ()),
        "two_qubit": fields.take("two_qubit", list_of(_spec), ()),
        "gates": fields.take("gates", map_of(list_of(_spec)), {}),
        "local": dict(fields.take("local", list_of(_local), ())),
        "readout": fields.take("readout", _readout, (0.0, 0.0)),
        "t1_ns": fields.take("t1_ns", _times, None),
        "t2_ns": fields.take("t2_ns", _times, None),
        "gate_times_ns": fields.take("gate_times_ns", map_of(number), {}),
        "excited": fields.take("excited", number, 0.0),
    }
    fields.end()
    return NoiseModel(**parts)


def _specs_to_json(specs: Any) -> list[dict[str, Any]]:
    return [{"channel": name, "values": list(values)} for name, values in specs]


def _by_qubit_to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(qubit): _by_qubit_to_json(item) for qubit, item in value.items()}
    return list(value) if isinstance(value, tuple | list) else value


def _spec(value: object, field: str) -> NoiseSpec:
    fields = Fields(value, field)
    spec = fields.take("channel", text), fields.take("values", list_of(number))
    fields.end()
    return spec


def _local(value: object, field: str) -> tuple[tuple[str, tuple[int, ...]], tuple[NoiseSpec, ...]]:
    fields = Fields(value, field)
    entry = (
        (fields.take("gate", text), fields.take("qubits", list_of(integer))),
        fields.take("channels", list_of(_spec)),
    )
    fields.end()
    return entry


def _readout(value: object, field: str) -> tuple[float, float] | dict[int, tuple[float, float]]:
    return _by_qubit(map_of(_pair)(value, field), field) if isinstance(value, Mapping) else _pair(value, field)


def _times(value: object, field: str) -> float | dict[int, float]:
    return _by_qubit(map_of(number)(value, field), field) if isinstance(value, Mapping) else number(value, field)


def _by_qubit(values: dict[str, _T], field: str) -> dict[int, _T]:
    for key in values:
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            refuse(field, f"has qubit numbers as keys, got {key[:40]!r}.")
    return {int(key): value for key, value in values.items()}


def _pair(value: object, field: str) -> tuple[float, float]:
    pair = list_of(number)(value, field)
    if len(items(value, field)) != 2:
        refuse(field, f"must be [flip0, flip1], got {len(pair)} numbers.")
    with located(field):
        return pair[0], pair[1]
