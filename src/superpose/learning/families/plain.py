"""`PlainClassifier`: families that need no torch, and `FamilyModel`, what a model file holds of them.

Such a family learns arrays (support vectors, coefficients) and a few JSON values. Its circuits follow from
hyperparameters and number of columns; a model file shows them as OpenQASM 3 all the same, and reading it checks that
they are the circuits that run.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import to_qasm
from superpose.errors import ModelFormatError
from superpose.learning.families.base import FamilyClassifier, unfitted_family
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.trained_model import CLASS_TYPES, ClassLabel, ServedModel, class_type_of

if TYPE_CHECKING:
    from superpose.learning.quantum_block import QuantumBlock

__all__ = ["FamilyModel", "PlainClassifier", "softmax"]

_CHUNK_ROWS = 4096
"""Rows predicted at once: bounds memory."""

_GRADIENT_ROWS = 512

_PREPROCESSING, _LEARNT = "preprocessing.", "learnt."


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities ``(n_rows, n_classes)`` of scores of that shape."""
    found: NDArray[np.float64] = np.exp(scores - scores.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found


@dataclass(kw_only=True, eq=False, repr=False)
class PlainClassifier(FamilyClassifier):
    """Base of the families that learn arrays and JSON values, without torch.

    Attributes:
        n_params_: learnt numbers that predictions depend on.
    """

    @property
    @abstractmethod
    def n_params_(self) -> int:
        """Learnt numbers that predictions depend on."""

    @abstractmethod
    def _scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers whose softmax are the probabilities, ``(n_rows, n_classes)``, of encoded rows."""

    @abstractmethod
    def _scores_back(self, rows: NDArray[np.float64], grad_scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gradient by encoded rows ``(n_rows, n_encoded)`` of a number, given that by scores; exact, float64."""

    def _probabilities(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        starts = range(0, len(rows), _CHUNK_ROWS)
        parts = [softmax(self._scores(rows[i : i + _CHUNK_ROWS])) for i in starts]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes_)))

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learnt: JSON values, and arrays by plain names."""

    @abstractmethod
    def _restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``_state`` gave, checking shapes; ``classes_`` and ``preprocessor_`` are already there.

        Raises:
            ValueError: the values do not fit the hyperparameters; also KeyError and TypeError.
        """

    def _to_model(self) -> FamilyModel:
        facts, arrays = self._state()
        return FamilyModel(
            family=self.family,
            params=self.trained_params_,
            preprocessor=self.preprocessor_,
            classes=tuple(self.classes_.tolist()),
            facts=facts,
            arrays={name: np.ascontiguousarray(array) for name, array in arrays.items()},
        )

    def _from_model(self, model: ServedModel) -> None:
        if not isinstance(model, FamilyModel):
            raise ModelFormatError(f"the model file holds a {model.kind!r}, not arrays of family {self.family!r}")
        self._restore(model.facts, model.arrays)


@dataclass(frozen=True, eq=False)
class FamilyModel:
    """Encoded rows -> the family's own prediction.

    Attributes:
        family: its name in `FAMILIES`.
        params: its hyperparameters, JSON values.
        preprocessor: from rows to encoded rows, ``(n_rows, n_columns)``.
        classes: labels, in the order of the probabilities.
        facts: learnt numbers.
        arrays: learnt arrays.
    """

    kind: ClassVar[str] = "family_classifier"

    family: str
    params: Mapping[str, Any]
    preprocessor: Preprocessor
    classes: tuple[ClassLabel, ...]
    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes) or self._class_type not in CLASS_TYPES:
            raise ValueError(f"classes must be at least two different labels of one type, got {self.classes!r}")
        if not all(array.dtype.kind in "fiub" and np.isfinite(array).all() for array in self.arrays.values()):
            raise ValueError("arrays must hold finite numbers")
        if not all(isinstance(fact, int | float) and math.isfinite(fact) for fact in self.facts.values()):
            raise ValueError(f"facts must be finite numbers, got {dict(self.facts)!r:.100}")

    @property
    def _class_type(self) -> str:
        return class_type_of(self.classes)

    @cached_property
    def classifier(self) -> PlainClassifier:
        """The fitted estimator.

        Raises:
            ModelFormatError: no such family, or its hyperparameters cannot be used.
        """
        found = unfitted_family(self.family, self.params)
        if not isinstance(found, PlainClassifier):
            raise ModelFormatError(f"family {self.family!r} is not held as arrays")
        found.take_over(self)
        return found

    @property
    def n_params(self) -> int:
        """Learnt numbers."""
        return self.classifier.n_params_

    @property
    def blocks(self) -> tuple[QuantumBlock, ...]:
        """The family's circuits."""
        return self.classifier.quantum_blocks_

    def probabilities(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows ``(n_rows, n_columns)``, in float64."""
        return self.classifier._probabilities(encoded)

    def scores(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers whose softmax are the probabilities, ``(n_rows, n_classes)``, of encoded rows."""
        return self.classifier._scores(encoded)

    def probability_gradients(
        self, encoded: NDArray[np.float64], classes: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each row one class's probability, ``(n_rows,)``, and its gradient, ``(n_rows, n_columns)``, in float64.

        Exact, through the family's circuits too.

        Args:
            encoded: rows, ``(n_rows, n_columns)``, of any number; they are computed in parts.
            classes: index of each row's class, ``(n_rows,)``.

        Cost: some four predictions.
        """
        values, slopes = np.empty(len(encoded)), np.empty_like(encoded)
        for start in range(0, len(encoded), _GRADIENT_ROWS):
            rows, own = encoded[start : start + _GRADIENT_ROWS], classes[start : start + _GRADIENT_ROWS]
            shares = softmax(self.classifier._scores(rows))  # (n_rows, n_classes)
            places = np.arange(len(rows))
            chosen = shares[places, own]
            grad_scores = -chosen[:, None] * shares
            grad_scores[places, own] += chosen
            values[start : start + _GRADIENT_ROWS] = chosen
            slopes[start : start + _GRADIENT_ROWS] = self.classifier._scores_back(rows, grad_scores)
        return values, slopes

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The model, except for its circuits, as a JSON description and plain arrays."""
        preprocessing, learnt = self.preprocessor.to_parts()
        blocks = self.blocks
        description = {
            "preprocessing": preprocessing,
            "network": {
                "layers": [self.family],
                "family": self.family,
                "params": dict(self.params),
                "facts": dict(self.facts),
                "n_columns": self.preprocessor.n_encoded,
                "n_params": self.n_params,
                "n_qubits": max((block.circuit.n_qubits for block in blocks), default=0),
                "circuits": [block.to_dict() for block in blocks],
            },
            "classes": list(self.classes),
            "class_type": self._class_type,
        }
        arrays = {_PREPROCESSING + name: array for name, array in learnt.items()}
        return description, arrays | {_LEARNT + name: array for name, array in sorted(self.arrays.items())}

    def to_members(self) -> dict[str, bytes]:
        """The circuits as OpenQASM 3."""
        return {f"circuits/{i}.qasm": to_qasm(block.circuit).encode() for i, block in enumerate(self.blocks)}

    @classmethod
    def from_parts(
        cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], members: Mapping[str, bytes]
    ) -> Self:
        """The inverse of `to_parts` and `to_members`.

        Raises:
            ValueError: the parts do not fit one another; also KeyError, TypeError and a SuperposeError, by cause.
        """
        network = description["network"]
        own = {name.removeprefix(_LEARNT): array for name, array in arrays.items() if name.startswith(_LEARNT)}
        learnt = {name.removeprefix(_PREPROCESSING): a for name, a in arrays.items() if name.startswith(_PREPROCESSING)}
        if len(own) + len(learnt) != len(arrays):
            raise ValueError("the file holds arrays of neither the family nor its preprocessing")
        kind = CLASS_TYPES[description["class_type"]]
        found = cls(
            family=str(network["family"]),
            params=dict(network["params"]),
            preprocessor=Preprocessor.from_parts(description["preprocessing"], learnt),
            classes=tuple(kind(label) for label in description["classes"]),
            facts=dict(network["facts"]),
            arrays=own,
        )
        if found.to_members() != {n: m for n, m in members.items() if n != "arrays.safetensors"}:
            raise ValueError("the circuits in the file are not those that the family's hyperparameters make")
        return found
