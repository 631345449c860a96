"""Tensors of the Open Inference Protocol (version 2, JSON form): to rows, and from predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.api.rows import check_cells
from superpose.errors import RequestError
from superpose.service import Prediction

__all__ = ["MATRIX", "infer_answer", "input_tensors", "output_tensors", "rows_of_inference"]

#: Name of the tensor that holds all features, in the model's order.
MATRIX = "input"

_NUMBERS = frozenset({"FP32", "FP64", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))})
_CELL_KINDS: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(_NUMBERS, frozenset({int, float, type(None)})),
    "BOOL": frozenset({bool, type(None)}),
    "BYTES": frozenset({str, type(None)}),
}
_REQUEST_FIELDS = frozenset({"id", "parameters", "inputs", "outputs"})
_TENSOR_FIELDS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUTS = ("probabilities", "label")


def input_tensors(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inputs that a model's metadata state: one matrix if all columns are numbers, else a tensor per column."""
    if all(column["kind"] == "number" for column in columns):
        return [{"name": MATRIX, "datatype": "FP64", "shape": [-1, len(columns)]}]
    return [
        {"name": column["name"], "datatype": "FP64" if column["kind"] == "number" else "BYTES", "shape": [-1]}
        for column in columns
    ]


def output_tensors(n_classes: int) -> list[dict[str, Any]]:
    """The outputs that a model's metadata state."""
    return [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, n_classes]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]


def rows_of_inference(document: Any) -> tuple[list[Any], str | None, tuple[str, ...]]:
    """The rows, the id and the wanted outputs of an inference request.

    Raises:
        RequestError: not an inference request, or tensors that do not fit one another.
    """
    _check_fields(document, _REQUEST_FIELDS, "The request")
    parameters = document.get("parameters")
    if isinstance(parameters, dict) and parameters.get("binary_data_output"):
        raise RequestError("Tensors are sent as JSON here; leave binary_data_output out.", field="parameters")
    request_id = document.get("id")
    if request_id is not None and not (isinstance(request_id, str) and len(request_id) <= 256):
        raise RequestError("id must be text of at most 256 characters.", field="id")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("inputs must be a list of at least one tensor.", field="inputs")
    tensors: dict[str, tuple[list[int], list[Any]]] = {}
    for place, tensor in enumerate(inputs):
        name, shape, cells = _tensor(tensor, f"inputs[{place}]")
        if name in tensors:
            raise RequestError(f"Tensor {name!r} is there twice.", field=f"inputs[{place}].name")
        tensors[name] = (shape, cells)
    return _rows(tensors), request_id, _wanted(document.get("outputs"))


def infer_answer(
    endpoint: str, prediction: Prediction, request_id: str | None, wanted: Sequence[str]
) -> dict[str, Any]:
    """A prediction as an inference response."""
    n_rows, classes = len(prediction.predictions), list(prediction.classes)
    made: dict[str, dict[str, Any]] = {
        "probabilities": {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [n_rows, len(classes)],
            "parameters": {"classes": classes},
            "data": [p for row in prediction.probabilities for p in row],
        },
        "label": {"name": "label", "datatype": "BYTES", "shape": [n_rows], "data": list(prediction.predictions)},
    }
    answer: dict[str, Any] = {
        "model_name": endpoint,
        "model_version": str(prediction.model_version),
        "parameters": {
            "model": prediction.model,
            "model_version": prediction.model_version,
            "request_id": prediction.request_id,
        },
        "outputs": [made[name] for name in wanted],
    }
    if request_id is not None:
        answer["id"] = request_id
    return answer


def _rows(tensors: Mapping[str, tuple[list[int], list[Any]]]) -> list[Any]:
    if len(tensors) == 1 and MATRIX in tensors and len(tensors[MATRIX][0]) == 2:
        (n_rows, width), cells = tensors[MATRIX]
        rows: list[Any] = [cells[i * width : (i + 1) * width] for i in range(n_rows)]
    else:
        lengths = {shape[0] for shape, _ in tensors.values()}
        flat = all(len(shape) == 1 or (len(shape) == 2 and shape[1] == 1) for shape, _ in tensors.values())
        if len(lengths) != 1 or not flat:
            raise RequestError(
                f"Send either one tensor {MATRIX!r} of shape [rows, columns], or one tensor of shape [rows] per "
                f"column, all of one length; got {_shapes(tensors)}.",
                field="inputs",
            )
        names = list(tensors)
        rows = [dict(zip(names, cells, strict=True)) for cells in zip(*(c for _, c in tensors.values()), strict=True)]
    for index, row in enumerate(rows):
        check_cells(row.values() if isinstance(row, dict) else row, index)
    return rows


def _tensor(tensor: Any, field: str) -> tuple[str, list[int], list[Any]]:
    """Name, shape and flat cells of one input."""
    _check_fields(tensor, _TENSOR_FIELDS, field)
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if not isinstance(name, str) or not name:
        raise RequestError(f"{field} needs a name.", field=f"{field}.name")
    if not isinstance(datatype, str) or datatype not in _CELL_KINDS:
        raise RequestError(
            f"datatype of {name!r} must be one of {', '.join(sorted(_CELL_KINDS))}; got {str(datatype)[:40]!r}.",
            field=f"{field}.datatype",
        )
    if not (isinstance(shape, list) and 1 <= len(shape) <= 2 and all(type(n) is int and n > 0 for n in shape)):
        raise RequestError(f"shape of {name!r} must be [rows] or [rows, columns].", field=f"{field}.shape")
    if not isinstance(data, list):
        raise RequestError(f"data of {name!r} must be a list (binary tensors are not read).", field=f"{field}.data")
    cells = _flat(data, len(shape), name, field)
    if len(cells) != math.prod(shape):
        raise RequestError(
            f"{name!r} of shape {shape} needs {math.prod(shape):,} values, got {len(cells):,}.", field=f"{field}.data"
        )
    if not set(map(type, cells)) <= _CELL_KINDS[datatype]:
        raise RequestError(f"{name!r} holds values that are not {datatype} or null.", field=f"{field}.data")
    return name, shape, cells


def _flat(data: list[Any], n_dimensions: int, name: str, field: str) -> list[Any]:
    """Cells in row-major order, sent flat or nested."""
    if n_dimensions == 2 and data and all(type(row) is list for row in data):
        if len({len(row) for row in data}) > 1:
            raise RequestError(f"The rows of {name!r} differ in length.", field=f"{field}.data")
        return [cell for row in data for cell in row]
    return data


def _wanted(outputs: Any) -> tuple[str, ...]:
    if outputs is None or outputs == []:
        return _OUTPUTS
    if not isinstance(outputs, list):
        raise RequestError("outputs must be a list.", field="outputs")
    for place, output in enumerate(outputs):
        _check_fields(output, frozenset({"name", "parameters"}), f"outputs[{place}]")
        if output.get("name") not in _OUTPUTS:
            raise RequestError(
                f"outputs[{place}] must be named {' or '.join(_OUTPUTS)}; got {str(output.get('name'))[:80]!r}.",
                field=f"outputs[{place}].name",
            )
        if isinstance(output.get("parameters"), dict) and output["parameters"].get("binary_data"):
            raise RequestError("Tensors are sent as JSON here; leave binary_data out.", field=f"outputs[{place}]")
    return tuple(dict.fromkeys(output["name"] for output in outputs))


def _check_fields(document: Any, allowed: frozenset[str], what: str) -> None:
    if not isinstance(document, dict):
        raise RequestError(f"{what} must be an object, got {type(document).__name__}.")
    unknown = sorted(str(name)[:80] for name in document.keys() - allowed)
    if unknown:
        raise RequestError(
            f"{what} has no such field: {', '.join(unknown[:5])}. Allowed: {', '.join(sorted(allowed))}.",
            errors=[{"field": name, "message": "no such field"} for name in unknown[:20]],
        )


def _shapes(tensors: Mapping[str, tuple[list[int], list[Any]]]) -> str:
    shown = [f"{name[:40]!r} {shape}" for name, (shape, _) in list(tensors.items())[:5]]
    return ", ".join(shown) + (", ..." if len(tensors) > 5 else "")
