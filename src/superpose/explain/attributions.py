"""Which columns moved a prediction, and by how much: attributions through the quantum layer.

Each method shares the difference between the probability of a class for a row, ``p(x)``, and for a typical row,
``p(x0)``, out among the columns (what fills missing values is typical: medians and most frequent categories):

- ``integrated_gradients``: gradients integrated along the straight line from ``x0`` to ``x``. Exact gradients, and
  Gauss-Legendre nodes, on ever smaller parts of the line until the attributions sum to ``p(x) - p(x0)`` within 1e-7.
  Source: Sundararajan, Taly and Yan, ICML 2017, arXiv 1703.01365.
- ``gradient_x_input``: the gradient at ``x`` times ``x - x0``. One pass; sums to the difference only where the model is
  linear. Source: Shrikumar et al., arXiv 1605.01713.
- ``shapley``: the mean change when a column is given, over orders of giving them: all subsets up to 10 columns, drawn
  orders beyond, each beside its reverse. Sums exactly. Source: Strumbelj and Kononenko, JMLR 11 (2010) 1; Lundberg and
  Lee, NIPS 2017, arXiv 1705.07874 (SHAP values, of which these are the ones with one baseline row).
- ``occlusion``: the change when one column alone is set to its typical value. Sums to nothing in particular.

The two methods by gradients need a model that gives them: superpose's own and families in float64, a user's module in
its own precision (in float32 1e-5 is aimed at and not always reached); the others take any. What columns do to this
model is explained, not what they do in the world.

Of a model that predicts a number that number takes the probability's place, and the tolerances count in units of the
training rows' standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExplanationError

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor
    from superpose.learning.preprocessing import Preprocessor

__all__ = ["METHODS", "Attributions", "Look", "attribute", "attribute_watched", "deletion_areas", "gives_gradients"]

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

Look = Callable[[], None]
"""Called before each pass over the model; what it raises ends the explanation."""

_TOLERANCE = 1e-7
_NODES, _FEW_NODES, _SHORT = 16, 4, 0.2
"""Nodes on the way, and on parts of it that are shorter than this: there only a kink is left to be closed in upon."""
_MOST_PARTS = 2_048
_SINGLE_TOLERANCE, _MOST_SINGLE_PARTS = 1e-5, 16
"""Of users' modules that compute in float32, where more nodes gain little."""

_ELEMENTS = 2**22
"""Of the copies of a row that are predicted at once."""

_N_ORDERS = 64
"""Orders of columns that Shapley values are drawn from."""

_ALL_SUBSETS = 10
"""Up to so many columns Shapley values go over all subsets."""


@dataclass(frozen=True)
class Attributions:
    """What each column did to the probability of one class, or to the predicted number, row by row.

    Attributes:
        method: one of `METHODS`.
        feature_names: the columns.
        classes: the class that each row's attributions speak of; empty where a number is predicted.
        values: in units of probability, or of the number, ``(n_rows, n_features)``.
        probabilities: of that class for each row, ``(n_rows,)``; or the predicted numbers.
        typical_probabilities: of that class for the typical row, ``(n_rows,)``; or the number predicted for it.
        target: what the predicted number is called; None of a classifier.
        calibrated_probabilities: of a model that is calibrated, those that it answers with; calibration is not
            explained.
        sampling_errors: of Shapley values from drawn orders half the widths of their 95 % intervals (Student's, over
            pairs of an order and its reverse), in the unit of ``values`` and of their shape; they add up exactly
            however far each is off. None where nothing was drawn.
    """

    method: str
    feature_names: tuple[str, ...]
    classes: tuple[Any, ...]
    values: Floats
    probabilities: Floats
    typical_probabilities: Floats
    target: str | None = None
    calibrated_probabilities: Floats | None = None
    sampling_errors: Floats | None = None

    @property
    def completeness_errors(self) -> Floats:
        """How far each row's attributions are from adding up to the difference that they share out, ``(n_rows,)``."""
        gap: Floats = np.abs(self.values.sum(axis=1) - (self.probabilities - self.typical_probabilities))
        return gap

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the method, and for each row its attributions by column, the strongest first.

        A row has ``class``, ``probability`` and ``typical_probability``, or, where a number is predicted, ``number``
        and ``typical_number``, and ``target`` stands beside the rows. Of a calibrated model ``calibrated_probability``
        is what it answers with. Where orders were drawn ``sampling_error`` is the largest of the row.
        """
        rows = []
        parts = zip(
            self.classes or [None] * len(self.values),
            self.values,
            self.probabilities,
            self.typical_probabilities,
            self.completeness_errors,
            [None] * len(self.values) if self.calibrated_probabilities is None else self.calibrated_probabilities,
            [None] * len(self.values) if self.sampling_errors is None else self.sampling_errors.max(axis=1),
            strict=True,
        )
        for label, values, probability, typical, error, answered, drawn in parts:
            order = np.argsort(-np.abs(values), kind="stable")
            explained = (
                {"class": str(label), "probability": float(probability), "typical_probability": float(typical)}
                if self.target is None
                else {"number": float(probability), "typical_number": float(typical)}
            )
            if answered is not None:
                explained["calibrated_probability"] = float(answered)
            rows.append(
                {
                    **explained,
                    "attributions": {self.feature_names[place]: float(values[place]) for place in order},
                    "completeness_error": float(error),
                    **({} if drawn is None else {"sampling_error": float(drawn)}),
                }
            )
        return {"method": self.method, **({} if self.target is None else {"target": self.target}), "rows": rows}


@dataclass(frozen=True)
class _Asked:
    """Encoded rows and what is explained: of each row the probability of its class, or its number."""

    predictor: Predictor
    rows: Floats
    classes: Ints
    tolerance: float | None = None
    look: Look = lambda: None

    @property
    def preprocessor(self) -> Preprocessor:
        return self.predictor.model.preprocessor

    @property
    def typical(self) -> Floats:
        return self.preprocessor.typical

    @property
    def places(self) -> tuple[tuple[int, ...], ...]:
        return self.preprocessor.places_of_columns

    def probability(self, rows: Floats, classes: Ints) -> Floats:
        """Of each encoded row that of its class, before calibration, or its number, ``(n_rows,)``."""
        self.look()
        if self.predictor.predicts_numbers:
            return self.predictor.numbers_encoded(rows)
        found: Floats = self.predictor.model.probabilities(rows)[np.arange(len(rows)), classes]
        return found

    def by_column(self, encoded: Floats) -> Floats:
        """Sums over the encoded columns that a column is in, ``(n_rows, n_features)``."""
        return np.stack([encoded[:, list(places)].sum(axis=1) for places in self.places], axis=1)


def attribute(
    predictor: Predictor,
    rows: Any,
    *,
    method: str = "integrated_gradients",
    of_class: Any = None,
    n_orders: int = _N_ORDERS,
    seed: int = 0,
    tolerance: float | None = None,
) -> Attributions:
    """Explain predictions.

    Args:
        predictor: the loaded model.
        rows: whatever `Predictor.predict_proba` takes.
        method: one of `METHODS`.
        of_class: the class whose probability is explained; by default each row's own prediction. None of a model that
            predicts a number.
        n_orders: drawn orders of columns for Shapley values of more than 10 columns.
        seed: of those orders.
        tolerance: how far integrated gradients may be from adding up; by default 1e-7, and 1e-5 in float32; of a model
            that predicts a number in units of the training rows' standard deviation.

    Raises:
        ExplanationError: no such method or class, or a method by gradients for a model that has none.
        FeatureMismatchError: the rows do not fit the model.

    Cost: integrated gradients some 16 to 64 gradients per row, thousands where a network has many kinks; Shapley values
        ``2**n_features`` or ``2 * n_orders * n_features`` predictions per row, occlusion ``n_features``.
    """
    _check_method(predictor, method)
    encoded = predictor.encode(rows)
    asked = _Asked(predictor, encoded, _classes(predictor, encoded, of_class), tolerance)
    return _attributions(asked, method, *_values(asked, method, n_orders, seed))


def attribute_watched(  # what is explained, and how
    predictor: Predictor,
    rows: Any,
    method: str,
    *,
    look: Look | None,
    of_class: Any = None,
    tolerance: float | None = None,
) -> Attributions:
    """As `attribute`, and watched.

    Args:
        predictor: the loaded model.
        rows: whatever `Predictor.predict_proba` takes.
        method: one of `METHODS`.
        look: called before each pass over the model; what it raises ends the explanation.
        of_class: as for `attribute`.
        tolerance: as for `attribute`.

    Raises:
        ExplanationError, FeatureMismatchError: as `attribute` does; and what ``look`` raises.
    """
    _check_method(predictor, method)
    encoded = predictor.encode(rows)
    asked = _Asked(predictor, encoded, _classes(predictor, encoded, of_class), tolerance, look or (lambda: None))
    return _attributions(asked, method, *_values(asked, method, _N_ORDERS, seed=0))


def _values(asked: _Asked, method: str, n_orders: int, seed: int) -> tuple[Floats, Floats | None]:
    """Attributions, and where orders were drawn how far off they may be, ``(n_rows, n_features)``."""
    return _shapley(asked, n_orders, seed) if method == "shapley" else (_SIMPLE[method](asked), None)


def _check_method(predictor: Predictor, method: str) -> None:
    if method not in METHODS:
        raise ExplanationError(f"No method {method!r}; there are {', '.join(METHODS)}.", method=method)
    if method in _BY_GRADIENTS and not gives_gradients(predictor):
        others = [name for name in METHODS if name not in _BY_GRADIENTS]
        raise ExplanationError(
            f"{method} needs gradients, which a model of kind {predictor.model.kind!r} does not give; take "
            f"{' or '.join(others)}.",
            method=method,
            allowed=others,
        )


def _attributions(asked: _Asked, method: str, values: Floats, errors: Floats | None) -> Attributions:
    """The values beside what they share out."""
    predictor, n_rows = asked.predictor, len(asked.rows)
    numbers = predictor.predicts_numbers
    typical = asked.typical[None, :]
    answered = None
    if not numbers and predictor.safeguards.calibration is not None:
        answered = predictor.predict_encoded(asked.rows)[np.arange(n_rows), asked.classes]
    return Attributions(
        method=method,
        feature_names=predictor.feature_names,
        classes=() if numbers else tuple(predictor.classes[place] for place in asked.classes),
        values=values if n_rows else np.zeros((0, len(predictor.feature_names))),
        probabilities=asked.probability(asked.rows, asked.classes),
        typical_probabilities=(
            np.repeat(predictor.numbers_encoded(typical), n_rows)
            if numbers
            else predictor.model.probabilities(typical)[0][asked.classes]
        ),
        target=predictor.target,
        calibrated_probabilities=answered,
        sampling_errors=errors,
    )


def gives_gradients(predictor: Predictor) -> bool:
    """Whether the model gives exact gradients of what it predicts."""
    return hasattr(predictor.model, "number_gradients" if predictor.predicts_numbers else "probability_gradients")


def _classes(predictor: Predictor, encoded: Floats, of_class: Any) -> Ints:
    """Index of the class that each row is explained for."""
    if predictor.predicts_numbers:
        if of_class is not None:
            raise ExplanationError(
                f"The model predicts a number, {str(predictor.target)[:80]!r}, and has no class "
                f"{str(of_class)[:80]!r}; leave the class out.",
                allowed=[],
            )
        return np.zeros(len(encoded), dtype=np.int64)
    if of_class is None:
        best: Ints = predictor.predict_encoded(encoded).argmax(axis=1)
        return best
    labels = [str(label) for label in predictor.classes]
    if str(of_class) not in labels:
        raise ExplanationError(
            f"The model has no class {str(of_class)[:80]!r}; its classes are {', '.join(labels[:20])}.",
            allowed=labels[:20],
        )
    return np.full(len(encoded), labels.index(str(of_class)))


def _gradients(asked: _Asked, rows: Floats, classes: Ints) -> Floats:
    asked.look()
    model: Any = asked.predictor.model
    if asked.predictor.predicts_numbers:
        of_numbers: Floats = model.number_gradients(rows)[1]
        return of_numbers
    slopes: Floats = model.probability_gradients(rows, classes)[1]
    return slopes


def _gradient_x_input(asked: _Asked) -> Floats:
    return asked.by_column(_gradients(asked, asked.rows, asked.classes) * (asked.rows - asked.typical))


def _integrated_gradients(asked: _Asked) -> Floats:
    """Gauss-Legendre nodes on the whole way; what of it does not add up yet is halved, over and over.

    Of every part of the way the difference of probabilities is known, and with it how far the part is off: kinks, as
    those of a ReLU, are closed in upon.
    """
    way = asked.rows - asked.typical  # (n_rows, n_encoded)
    usual, most = _precision(asked.predictor.model)
    tolerance = usual if asked.tolerance is None else asked.tolerance
    tolerance *= getattr(asked.predictor.model, "scale", 1.0) if asked.predictor.predicts_numbers else 1.0
    n_rows = len(way)
    found, spent = np.zeros_like(way), np.zeros(n_rows, dtype=np.int64)
    owner, low, high = np.arange(n_rows), np.zeros(n_rows), np.ones(n_rows)
    while owner.size:
        parts, gaps = _integrated_parts(asked, way, owner, low, high)
        np.add.at(spent, owner, 1)
        open_parts = np.bincount(owner, minlength=n_rows)  # of each row
        halved = (gaps > tolerance / np.maximum(8, 2 * open_parts)[owner]) & (spent + 2 * open_parts <= most)[owner]
        np.add.at(found, owner[~halved], parts[~halved])
        owner, low, high = owner[halved], low[halved], high[halved]
        middle = (low + high) / 2.0
        owner, low, high = np.tile(owner, 2), np.concatenate([low, middle]), np.concatenate([middle, high])
    return asked.by_column(found)


def _integrated_parts(asked: _Asked, way: Floats, owner: Ints, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Integrals over parts of the ways ``(n_parts, n_encoded)``, and how far each is from adding up ``(n_parts,)``."""
    classes, ways, width = asked.classes[owner], way[owner], high - low
    places, shares = np.polynomial.legendre.leggauss(_NODES if width.max() > _SHORT else _FEW_NODES)
    total = np.zeros((len(owner), way.shape[1]))
    for place, share in zip((places + 1.0) / 2.0, shares / 2.0, strict=True):
        rows = asked.typical + (low + place * width)[:, None] * ways
        total += share * _gradients(asked, rows, classes)
    total *= width[:, None] * ways
    ends = [asked.probability(asked.typical + end[:, None] * ways, classes) for end in (low, high)]
    gaps: Floats = np.abs(total.sum(axis=1) - (ends[1] - ends[0]))
    return total, gaps


def _precision(model: Any) -> tuple[float, int]:
    """How well attributions should add up, and how many parts of the way may be computed for it."""
    single = model.kind == "module_classifier" and model.module.dtype != "float64"
    return (_SINGLE_TOLERANCE, _MOST_SINGLE_PARTS) if single else (_TOLERANCE, _MOST_PARTS)


def _occlusion(asked: _Asked) -> Floats:
    whole = asked.probability(asked.rows, asked.classes)
    changes = []
    for places in asked.places:
        rows = asked.rows.copy()
        rows[:, list(places)] = asked.typical[list(places)]
        changes.append(whole - asked.probability(rows, asked.classes))
    return np.stack(changes, axis=1)


def _mixed(asked: _Asked, row: int, given: NDArray[np.bool_]) -> Floats:
    """Copies of a row of which only some columns are given, the others typical: ``(n_copies, n_encoded)``."""
    encoded = np.zeros((len(given), asked.rows.shape[1]), dtype=bool)
    for column, places in enumerate(asked.places):
        encoded[:, list(places)] = given[:, column, None]
    return np.where(encoded, asked.rows[row], asked.typical)


def _shapley(asked: _Asked, n_orders: int, seed: int) -> tuple[Floats, Floats | None]:
    n_features = len(asked.places)
    values, errors = np.zeros((2, len(asked.rows), n_features))
    exact = n_features <= _ALL_SUBSETS
    for row, label in enumerate(asked.classes):

        def worth(given: NDArray[np.bool_], row: int = row, label: int = int(label)) -> Floats:
            step = max(1, _ELEMENTS // asked.rows.shape[1])
            parts = [given[start : start + step] for start in range(0, len(given), step)]
            found = [asked.probability(_mixed(asked, row, part), np.full(len(part), label)) for part in parts]
            return np.concatenate(found)

        if exact:
            values[row] = _over_subsets(worth, n_features)
        else:
            # the same orders of every row, whose values then do not hang on the rows beside it
            values[row], errors[row] = _over_orders(worth, n_features, n_orders, np.random.default_rng(seed))
    return values, None if exact or n_orders < 2 else errors


Worth = Callable[[NDArray[np.bool_]], Floats]


def _over_subsets(worth: Worth, n_features: int) -> Floats:
    """Shapley values by their definition."""
    subsets = [set(chosen) for size in range(n_features + 1) for chosen in combinations(range(n_features), size)]
    given = np.array([[column in subset for column in range(n_features)] for subset in subsets], dtype=bool)
    found = dict(zip(map(frozenset, subsets), worth(given.reshape(len(subsets), n_features)), strict=True))
    values = np.zeros(n_features)
    for subset, value in found.items():
        for column in range(n_features):
            without = len(subset - {column})
            share = math.factorial(without) * math.factorial(n_features - without - 1) / math.factorial(n_features)
            values[column] += share * value if column in subset else -share * value
    return values


def _over_orders(worth: Worth, n_features: int, n_orders: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Shapley values as means over drawn orders and their reverses, and half the widths of their 95 % intervals."""
    from scipy.special import stdtrit

    pairs = np.zeros((n_orders, n_features))
    for pair in pairs:
        drawn = rng.permutation(n_features)
        for order in (drawn, drawn[::-1]):
            given = np.zeros((n_features + 1, n_features), dtype=bool)
            for step, column in enumerate(order):
                given[step + 1 :, column] = True
            pair[order] += 0.5 * np.diff(worth(given))
    if n_orders < 2:
        return pairs.mean(axis=0), np.zeros(n_features)
    spread = pairs.std(axis=0, ddof=1) / math.sqrt(n_orders)
    return pairs.mean(axis=0), float(stdtrit(n_orders - 1, 0.975)) * spread


def deletion_areas(predictor: Predictor, rows: Any, attributions: Attributions, orders: Sequence[Ints]) -> Floats:
    """The deletion test: how fast the probability falls when columns are set to typical values, one after the other.

    Args:
        predictor: the model that was explained.
        rows: the rows that were explained.
        attributions: whose classes count; the columns of greatest support go first in an order made from them with
            ``np.argsort(-attributions.values, axis=1)``.
        orders: orders of columns, each ``(n_rows, n_features)``.

    Returns:
        Mean probability, or number, over the deletions, ``(n_orders, n_rows)``: the smaller, the better the order knew
        what the prediction stands on.

    Source: Petsiuk, Das and Saenko, BMVC 2018, arXiv 1806.07421.
    """
    encoded = predictor.encode(rows)
    labels = [str(label) for label in predictor.classes]
    classes = np.array([labels.index(str(label)) for label in attributions.classes], dtype=np.int64)
    if predictor.predicts_numbers:
        classes = np.zeros(len(encoded), dtype=np.int64)
    asked = _Asked(predictor, encoded, classes)
    areas = np.zeros((len(orders), len(encoded)))
    for number, order in enumerate(orders):
        left = encoded.copy()
        steps = [asked.probability(left, classes)]
        for step in range(order.shape[1]):
            for row, column in enumerate(order[:, step]):
                places = list(asked.places[int(column)])
                left[row, places] = asked.typical[places]
            steps.append(asked.probability(left, classes))
        areas[number] = np.mean(steps, axis=0)
    return areas


_SIMPLE: dict[str, Callable[[_Asked], Floats]] = {
    "integrated_gradients": _integrated_gradients,
    "gradient_x_input": _gradient_x_input,
    "occlusion": _occlusion,
}
_BY_GRADIENTS = ("integrated_gradients", "gradient_x_input")
METHODS = (*_SIMPLE, "shapley")
"""The ways to explain a prediction."""
