"""Tensors of the Open Inference Protocol (version 2): to rows, and from predictions; as JSON or as bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.api.binary_tensors import BinaryParts
from superpose.api.output_tensors import OUTPUTS, output_of, usual_outputs
from superpose.api.rows import check_cells
from superpose.errors import RequestError
from superpose.learning.calibration.asking import Asked
from superpose.service import Prediction
from superpose.service.serving.asking import asked_from

__all__ = ["MATRIX", "Inference", "infer_answer", "inference_of", "input_tensors", "output_tensors"]

#: Name of the tensor that holds all features, in the model's order.
MATRIX = "input"

_NUMBERS = frozenset({"FP32", "FP64", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))})
_CELL_KINDS: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(_NUMBERS, frozenset({int, float, type(None)})),
    "BOOL": frozenset({bool, type(None)}),
    "BYTES": frozenset({str, type(None)}),
}
_BYTES_ONLY = ("FP16", "BF16")
"""Datatypes that the protocol has no JSON form for."""
_REQUEST_FIELDS = frozenset({"id", "model_name", "parameters", "inputs", "outputs"})  # KServe's client names the model
_TENSOR_FIELDS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_MORE = {"prediction_set": "prediction_set", "abstained": "abstain", "novelty": "novelty"}
"""Outputs that come if they are named, or asked for by a parameter of the request, and that parameter."""
_LARGEST_SIDE = 2**40


def input_tensors(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inputs that a model's metadata state: one matrix if all columns are numbers, else a tensor per column."""
    if all(column["kind"] == "number" for column in columns):
        return [{"name": MATRIX, "datatype": "FP64", "shape": [-1, len(columns)]}]
    return [
        {"name": column["name"], "datatype": "FP64" if column["kind"] == "number" else "BYTES", "shape": [-1]}
        for column in columns
    ]


def output_tensors(n_classes: int, has_interval: bool) -> list[dict[str, Any]]:
    """The outputs that a model's metadata state; a model without classes predicts a number."""
    if not n_classes:
        interval = {"name": "interval", "datatype": "FP64", "shape": [-1, 2]}
        return [{"name": "number", "datatype": "FP64", "shape": [-1]}, *([interval] if has_interval else [])]
    return [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, n_classes]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]


@dataclass(frozen=True)
class Inference:
    """An inference request: its rows, its id, the wanted outputs, each as bytes or as JSON, and what else is asked.

    Where ``usual`` is stated the outputs that the model usually has come first, as bytes or as JSON.
    """

    rows: list[Any] | NDArray[Any]
    request_id: str | None
    outputs: Mapping[str, bool]
    asked: Asked | None = None
    usual: bool | None = None


def inference_of(document: Any, endpoint: str, binary: BinaryParts | None = None) -> Inference:
    """The inference request to an endpoint in a JSON document and the bytes behind it.

    Raises:
        RequestError: not an inference request, one for another model, or tensors that do not fit one another.
    """
    _check_fields(document, _REQUEST_FIELDS, "The request")
    if document.get("model_name", endpoint) != endpoint:
        raise RequestError(
            f"model_name is {str(document['model_name'])[:80]!r}, but the path names {endpoint!r}.", field="model_name"
        )
    binary = binary or BinaryParts()
    request_id = document.get("id")
    if request_id is not None and not (isinstance(request_id, str) and len(request_id) <= 256):
        raise RequestError("id must be text of at most 256 characters.", field="id")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("inputs must be a list of at least one tensor.", field="inputs")
    tensors: dict[str, _Tensor] = {}
    for place, tensor in enumerate(inputs):
        name, found = _tensor(tensor, f"inputs[{place}]", binary)
        if name in tensors:
            raise RequestError(f"Tensor {name!r} is there twice.", field=f"inputs[{place}].name")
        tensors[name] = found
    binary.end()
    parameters = document.get("parameters")
    as_bytes = _flag(parameters, "binary_data_output", "parameters") is True
    wanted = _wanted(document.get("outputs"), as_bytes)
    asked = asked_from({**{by: True for name, by in _MORE.items() if name in wanted}, **_asking(parameters)})
    if asked is not None:
        present = (asked.prediction_set, asked.abstain is not False, asked.novelty)
        wanted |= {name: wanted.get(name, as_bytes) for name, is_asked in zip(_MORE, present, strict=True) if is_asked}
    usual = None if document.get("outputs") else as_bytes
    return Inference(_rows(tensors), request_id, wanted, asked, usual)


def _asking(parameters: Any) -> dict[str, Any]:
    """Those of a request's parameters that ask for more outputs."""
    return {name: parameters[name] for name in _MORE.values() if name in parameters} if parameters else {}


def infer_answer(endpoint: str, prediction: Prediction, asked: Inference) -> tuple[bytes, int | None]:
    """A prediction as an inference response, and the length of its JSON part where bytes follow it.

    Raises:
        ModelPredictsNumbersError, ModelPredictsClassesError, SafeguardAbsentError: an output is named that it lacks.
    """
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    usual = {} if asked.usual is None else dict.fromkeys(usual_outputs(prediction), asked.usual)
    for name, as_bytes in {**usual, **asked.outputs}.items():
        output, part = output_of(name, prediction, as_bytes=as_bytes)
        outputs.append(output)
        if part is not None:
            parts.append(part)
    answer: dict[str, Any] = {
        "model_name": endpoint,
        "model_version": str(prediction.model_version),
        "parameters": {
            "model": prediction.model,
            "model_version": prediction.model_version,
            "request_id": prediction.request_id,
        },
        "outputs": outputs,
    }
    if prediction.notice is not None:
        answer["parameters"]["notice"] = prediction.notice
    if prediction.unknown_categories:  # as text: the protocol's parameters are texts, numbers, true and false
        answer["parameters"]["unknown_categories"] = json.dumps(dict(prediction.unknown_categories))
    if asked.request_id is not None:
        answer["id"] = asked.request_id
    header = json.dumps(answer, allow_nan=False, separators=(",", ":")).encode("ascii")
    return b"".join((header, *parts)), len(header) if parts else None


@dataclass(frozen=True)
class _Tensor:
    """A tensor's shape and cells: flat in a list, or an array of that shape."""

    shape: list[int]
    cells: list[Any] | NDArray[Any]

    def flat(self) -> list[Any]:
        """All cells in row-major order."""
        return self.cells.ravel().tolist() if isinstance(self.cells, np.ndarray) else self.cells


def _rows(tensors: Mapping[str, _Tensor]) -> list[Any] | NDArray[Any]:
    if len(tensors) == 1 and MATRIX in tensors and len(tensors[MATRIX].shape) == 2:
        matrix = tensors[MATRIX]
        if isinstance(matrix.cells, np.ndarray):
            return matrix.cells
        (n_rows, width), cells = matrix.shape, matrix.cells
        rows: list[Any] = [cells[i * width : (i + 1) * width] for i in range(n_rows)]
    else:
        lengths = {tensor.shape[0] for tensor in tensors.values()}
        flat = all(len(t.shape) == 1 or (len(t.shape) == 2 and t.shape[1] == 1) for t in tensors.values())
        if len(lengths) != 1 or not flat:
            raise RequestError(
                f"Send either one tensor {MATRIX!r} of shape [rows, columns], or one tensor of shape [rows] per "
                f"column, all of one length; got {_shapes(tensors)}.",
                field="inputs",
            )
        names = list(tensors)
        columns = [tensor.flat() for tensor in tensors.values()]
        rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    for index, row in enumerate(rows):
        check_cells(row.values() if isinstance(row, dict) else row, index)
    return rows


def _tensor(tensor: Any, field: str, binary: BinaryParts) -> tuple[str, _Tensor]:
    """Name and content of one input."""
    _check_fields(tensor, _TENSOR_FIELDS, field)
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if not isinstance(name, str) or not name:
        raise RequestError(f"{field} needs a name.", field=f"{field}.name")
    if not isinstance(datatype, str) or datatype not in (*_CELL_KINDS, *_BYTES_ONLY):
        allowed = ", ".join(sorted((*_CELL_KINDS, *_BYTES_ONLY)))
        raise RequestError(
            f"datatype of {name!r} must be one of {allowed}; got {str(datatype)[:40]!r}.", field=f"{field}.datatype"
        )
    fits = isinstance(shape, list) and all(type(n) is int and 0 < n <= _LARGEST_SIDE for n in shape)
    if not (fits and 1 <= len(shape) <= 2):
        raise RequestError(f"shape of {name!r} must be [rows] or [rows, columns].", field=f"{field}.shape")
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if isinstance(parameters, dict) and "shared_memory_region" in parameters:
        raise RequestError("Tensors are not read from shared memory; send them.", field=f"{field}.parameters")
    if data is None and size is not None:
        return name, _Tensor(shape, binary.take(name, datatype, shape, size))
    if datatype in _BYTES_ONLY:
        raise RequestError(
            f"{name!r} is {datatype}, which is sent as bytes only, with parameters.binary_data_size.",
            field=f"{field}.data",
        )
    if not isinstance(data, list) or size is not None:
        raise RequestError(
            f"{name!r} needs either data, a list, or bytes behind the JSON and parameters.binary_data_size.",
            field=f"{field}.data",
        )
    cells = _flat(data, len(shape), name, field)
    if len(cells) != math.prod(shape):
        raise RequestError(
            f"{name!r} of shape {shape} needs {math.prod(shape):,} values, got {len(cells):,}.", field=f"{field}.data"
        )
    if not set(map(type, cells)) <= _CELL_KINDS[datatype]:
        raise RequestError(f"{name!r} holds values that are not {datatype} or null.", field=f"{field}.data")
    return name, _Tensor(shape, cells)


def _flat(data: list[Any], n_dimensions: int, name: str, field: str) -> list[Any]:
    """Cells in row-major order, sent flat or nested."""
    if n_dimensions == 2 and data and all(type(row) is list for row in data):
        if len({len(row) for row in data}) > 1:
            raise RequestError(f"The rows of {name!r} differ in length.", field=f"{field}.data")
        return [cell for row in data for cell in row]
    return data


def _wanted(outputs: Any, as_bytes: bool) -> dict[str, bool]:
    """The outputs that are named, and which of them as bytes."""
    if outputs is None or outputs == []:
        return {}
    if not isinstance(outputs, list):
        raise RequestError("outputs must be a list.", field="outputs")
    wanted: dict[str, bool] = {}
    for place, output in enumerate(outputs):
        _check_fields(output, frozenset({"name", "parameters"}), f"outputs[{place}]")
        if output.get("name") not in OUTPUTS:
            raise RequestError(
                f"outputs[{place}] must be named {' or '.join(OUTPUTS)}; got {str(output.get('name'))[:80]!r}.",
                field=f"outputs[{place}].name",
            )
        own = _flag(output.get("parameters"), "binary_data", f"outputs[{place}].parameters")
        wanted.setdefault(output["name"], as_bytes if own is None else own)
    return wanted


def _flag(parameters: Any, name: str, field: str) -> bool | None:
    """A parameter that is true or false, or None where it is absent."""
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise RequestError("parameters must be an object.", field=field)
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {str(value)[:40]!r}.", field=f"{field}.{name}")
    return value


def _check_fields(document: Any, allowed: frozenset[str], what: str) -> None:
    if not isinstance(document, dict):
        raise RequestError(f"{what} must be an object, got {type(document).__name__}.")
    unknown = sorted(str(name)[:80] for name in document.keys() - allowed)
    if unknown:
        raise RequestError(
            f"{what} has no such field: {', '.join(unknown[:5])}. Allowed: {', '.join(sorted(allowed))}.",
            errors=[{"field": name, "message": "no such field"} for name in unknown[:20]],
        )


def _shapes(tensors: Mapping[str, _Tensor]) -> str:
    shown = [f"{name[:40]!r} {tensor.shape}" for name, tensor in list(tensors.items())[:5]]
    return ", ".join(shown) + (", ..." if len(tensors) > 5 else "")
