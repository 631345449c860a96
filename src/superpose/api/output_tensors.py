"""The tensors that an inference response can have: labels and probabilities, and what else was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from superpose.api.binary_tensors import bytes_of_numbers, bytes_of_texts
from superpose.service import Prediction

__all__ = ["OUTPUTS", "output_of"]

Tensor = tuple[dict[str, Any], Any]
"""What describes an output, and its cells, flat or in rows."""


def _probabilities(found: Prediction) -> Tensor:
    classes = list(found.classes)
    shape = [len(found.predictions), len(classes)]
    return {"datatype": "FP64", "shape": shape, "parameters": {"classes": classes}}, found.probabilities


def _label(found: Prediction) -> Tensor:
    return {"datatype": "BYTES", "shape": [len(found.labels)]}, [label or "" for label in found.labels]


def _prediction_set(found: Prediction) -> Tensor:
    sets = () if found.details is None else found.details.sets or ()
    members = [label in row for row in sets for label in found.classes]
    parameters = {"classes": list(found.classes), "coverage": found.details.coverage if found.details else None}
    return {"datatype": "BOOL", "shape": [len(sets), len(found.classes)], "parameters": parameters}, members


def _abstained(found: Prediction) -> Tensor:
    reasons = () if found.details is None else found.details.reasons or ()
    return {"datatype": "BYTES", "shape": [len(reasons)]}, [reason or "" for reason in reasons]


def _novelty(found: Prediction) -> Tensor:
    scores = () if found.details is None else found.details.novelty or ()
    parameters = {"threshold": found.details.novelty_threshold if found.details else None}
    return {"datatype": "FP64", "shape": [len(scores)], "parameters": parameters}, scores


_OUTPUTS: Final[Mapping[str, Callable[[Prediction], Tensor]]] = {
    "probabilities": _probabilities,
    "label": _label,
    "prediction_set": _prediction_set,
    "abstained": _abstained,
    "novelty": _novelty,
}
OUTPUTS: Final = tuple(_OUTPUTS)
"""Names of all outputs: label is the empty text, and abstained says why, where a row gets no label."""

_BYTES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "FP64": bytes_of_numbers,
    "BYTES": bytes_of_texts,
    "BOOL": lambda cells: np.array(cells, dtype=np.bool_).tobytes(),
}


def output_of(name: str, found: Prediction, *, as_bytes: bool) -> tuple[dict[str, Any], bytes | None]:
    """An output as JSON and, where it is sent as bytes, those."""
    described, cells = _OUTPUTS[name](found)
    output = {"name": name, **described}
    if as_bytes:
        part = _BYTES[described["datatype"]](cells)
        output["parameters"] = {**described.get("parameters", {}), "binary_data_size": len(part)}
        return output, part
    output["data"] = [p for row in cells for p in row] if name == "probabilities" else list(cells)
    return output, None
