"""The tensors that a response can have: labels and probabilities, or numbers, and what else was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from superpose.api.binary_tensors import bytes_of_numbers, bytes_of_texts
from superpose.errors import ModelPredictsClassesError, ModelPredictsNumbersError, SafeguardAbsentError
from superpose.service import Prediction

__all__ = ["OUTPUTS", "output_of", "usual_outputs"]

Tensor = tuple[dict[str, Any], Any]
"""What describes an output, and its cells, flat or in rows."""


def _probabilities(found: Prediction) -> Tensor:
    classes = list(found.classes)
    shape = [len(found.predictions), len(classes)]
    return {"datatype": "FP64", "shape": shape, "parameters": {"classes": classes}}, found.probabilities


def _label(found: Prediction) -> Tensor:
    return {"datatype": "BYTES", "shape": [len(found.labels)]}, [str(label or "") for label in found.labels]


def _number(found: Prediction) -> Tensor:
    return {"datatype": "FP64", "shape": [len(found.predictions)], "parameters": {"target": found.target}}, [
        float(number) for number in found.predictions
    ]


def _interval(found: Prediction) -> Tensor:
    ends = found.intervals or ()
    return {"datatype": "FP64", "shape": [len(ends), 2], "parameters": {"coverage": found.coverage}}, ends


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
    "number": _number,
    "interval": _interval,
    "prediction_set": _prediction_set,
    "abstained": _abstained,
    "novelty": _novelty,
}
OUTPUTS: Final = tuple(_OUTPUTS)
"""Names of all outputs: label is the empty text, and abstained says why, where a row gets no label."""

_OF_CLASSES: Final = ("probabilities", "label")
_OF_NUMBERS: Final = ("number", "interval")

_BYTES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "FP64": bytes_of_numbers,
    "BYTES": bytes_of_texts,
    "BOOL": lambda cells: np.array(cells, dtype=np.bool_).tobytes(),
}


def usual_outputs(found: Prediction) -> tuple[str, ...]:
    """The outputs of a response to a request that names none."""
    if found.target is None:
        return _OF_CLASSES
    return _OF_NUMBERS if found.intervals is not None else _OF_NUMBERS[:1]


def _check(name: str, found: Prediction) -> None:
    """Refuse an output that the model does not have.

    Raises:
        ModelPredictsNumbersError, ModelPredictsClassesError: it is another kind of model.
        SafeguardAbsentError: the model file keeps no interval.
    """
    if found.target is not None and name in _OF_CLASSES:
        raise ModelPredictsNumbersError(
            f"The model predicts a number, {found.target[:80]!r}, and has no output {name!r}; it has "
            f"{' and '.join(usual_outputs(found))}.",
            target=found.target,
        )
    if found.target is None and name in _OF_NUMBERS:
        raise ModelPredictsClassesError(
            f"The model predicts classes and has no output {name!r}; it has {' and '.join(_OF_CLASSES)}.",
            classes=[label[:80] for label in found.classes[:20]],
        )
    if name == "interval" and found.intervals is None:
        raise SafeguardAbsentError("The model file keeps no interval.", asked="interval")


def output_of(name: str, found: Prediction, *, as_bytes: bool) -> tuple[dict[str, Any], bytes | None]:
    """An output as JSON and, where it is sent as bytes, those.

    Raises:
        ModelPredictsNumbersError, ModelPredictsClassesError, SafeguardAbsentError: the model does not have it.
    """
    _check(name, found)
    described, cells = _OUTPUTS[name](found)
    output = {"name": name, **described}
    if as_bytes:
        part = _BYTES[described["datatype"]](cells)
        output["parameters"] = {**described.get("parameters", {}), "binary_data_size": len(part)}
        return output, part
    output["data"] = [p for row in cells for p in row] if name in ("probabilities", "interval") else list(cells)
    return output, None
