"""Fitting what calibrates, and what tells unlike rows: on held-out rows, with SciPy and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SpecError
from superpose.learning.calibration.bands import ENDS, BandNovelty
from superpose.learning.calibration.conformal import fewest_rows
from superpose.learning.calibration.intervals import fewest_residuals
from superpose.learning.calibration.maps import Isotonic, ProbabilityMap, Temperature
from superpose.learning.calibration.novelty import MAX_DIRECTIONS, Novelty
from superpose.learning.calibration.ranks import bound_of, members_of
from superpose.learning.calibration.reliability import log_loss

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

    from superpose.learning.calibration.spec import CalibrationSpec

__all__ = [
    "FEWEST_ROWS",
    "check_interval_rows",
    "check_rows",
    "chosen_method",
    "fit_band_novelty",
    "fit_isotonic",
    "fit_map",
    "fit_novelty",
    "fit_temperature",
    "halves",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]

FEWEST_ROWS = {"none": 0, "temperature": 10, "isotonic": 50, "auto": 10}
"""Rows, or groups where they are known, below which a method is refused, and not taken by "auto"."""

_HOTTEST = 20.0
_FOLDS = 5
_NOVEL_SHARE = 0.01
_FLOOR = 1e-3
"""Least variance of a direction, as a share of the mean variance: one without spread would make every row novel."""

_TINY = 1e-300
_MAX_EXACT_COLUMNS = 1_000
_MAX_BAND_NUMBERS = 2_000_000
"""Numbers that the directions of bands may be in a model file; of wide pictures fewer directions are kept."""

_LEAST_SPREAD = 0.05
"""Least deviation of a band's logarithm: one without spread would make every picture novel."""


def fit_temperature(probabilities: Floats, truth: Labels) -> Temperature:
    """The temperature in 1/20 .. 20 of least mean cross entropy on held-out rows, whose true classes count as
    ``1 - 1 / (n + 2)`` and the others as the rest: were all ``n`` rows right, plain log loss would ask for certainty.

    Args:
        probabilities: the model's, ``(n_rows, n_classes)``.
        truth: index of each row's class, ``(n_rows,)``.

    Source: the targets are Platt's (1999, "Probabilistic outputs for support vector machines", section 2.2), with the
    number of all rows for that of a class's.
    """
    from scipy.optimize import minimize_scalar

    n_rows, n_classes = probabilities.shape
    targets = np.full((n_rows, n_classes), 1.0 / ((n_rows + 2) * (n_classes - 1)))
    targets[np.arange(n_rows), truth] = 1.0 - 1.0 / (n_rows + 2)
    scores = np.log(np.maximum(probabilities, _TINY))

    def loss(exponent: float) -> float:
        divided = scores / math.exp(exponent)
        divided -= divided.max(axis=1, keepdims=True)
        totals = np.log(np.exp(divided).sum(axis=1, keepdims=True))
        return float(np.mean(np.sum(targets * (totals - divided), axis=1)))

    reach = math.log(_HOTTEST)
    found = minimize_scalar(loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-9})
    return Temperature(float(math.exp(found.x)))


def fit_isotonic(probabilities: Floats, truth: Labels) -> Isotonic:
    """Curves of least squares, one class against the rest, kept within ``1 / (n + 2)`` of 0 and 1: ``n`` rows tell no
    certainty.

    Args:
        probabilities: the model's, ``(n_rows, n_classes)``.
        truth: index of each row's class, ``(n_rows,)``.
    """
    from sklearn.isotonic import IsotonicRegression

    n_rows, n_classes = probabilities.shape
    bound = 1.0 / (n_rows + 2)
    curves = []
    for place in [1] if n_classes == 2 else range(n_classes):
        curve = IsotonicRegression(y_min=bound, y_max=1.0 - bound)
        curve.fit(probabilities[:, place], (truth == place).astype(np.float64))
        curves.append(
            (np.asarray(curve.X_thresholds_, dtype=np.float64), np.asarray(curve.y_thresholds_, dtype=np.float64))
        )
    return Isotonic(tuple(curves))


def fit_map(method: str, probabilities: Floats, truth: Labels) -> ProbabilityMap | None:
    """What calibrates by a method other than "auto"; None for "none"."""
    if method == "temperature":
        return fit_temperature(probabilities, truth)
    return fit_isotonic(probabilities, truth) if method == "isotonic" else None


def chosen_method(
    probabilities: Floats, truth: Labels, seed: int, groups: Labels | None = None
) -> tuple[str, dict[str, float]]:
    """The method of least out-of-fold log loss in five folds, the simpler one of equals, and the loss of each.

    Args:
        probabilities: the model's, ``(n_rows, n_classes)``.
        truth: index of each row's class, ``(n_rows,)``.
        seed: of the folds.
        groups: which rows belong together and are in one fold, any integers ``(n_rows,)``; None if none do.
    """
    members, n_groups = members_of(len(truth), groups)
    folds = (np.random.default_rng(seed).permutation(n_groups) % _FOLDS)[members]
    losses = {}
    for method in ("none", "temperature", "isotonic"):
        if n_groups * (_FOLDS - 1) // _FOLDS < FEWEST_ROWS[method]:
            continue
        predicted = np.empty_like(probabilities)
        for fold in range(_FOLDS):
            held = folds == fold
            fitted = fit_map(method, probabilities[~held], truth[~held])
            predicted[held] = probabilities[held] if fitted is None else fitted.apply(probabilities[held])
        losses[method] = log_loss(truth, predicted)
    return min(losses, key=lambda name: losses[name]), losses


def halves(truth: Labels, seed: int, groups: Labels | None = None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the rows in two halves at random, each class in proportion; the first is the smaller.

    With groups it is those that are halved, each in the proportion of the class that most of its rows have.

    Args:
        truth: index of each row's class, ``(n_rows,)``.
        seed: of the choice.
        groups: which rows belong together and are in one half, any integers ``(n_rows,)``; None if none do.
    """
    members, n_groups = members_of(len(truth), groups)
    counts = np.zeros((n_groups, int(truth.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts, (members, truth), 1)
    own = counts.argmax(axis=1)
    drawn = np.random.default_rng(seed)
    order = np.concatenate([drawn.permutation(np.flatnonzero(own == label)) for label in np.unique(own)])
    first = np.zeros(n_groups, dtype=bool)
    first[order[1::2]] = True
    return np.flatnonzero(first[members]), np.flatnonzero(~first[members])


def check_rows(spec: CalibrationSpec, n_rows: int, groups: Labels | None = None) -> None:
    """Refuse what so few validation rows cannot give, before anything is trained.

    Args:
        spec: what is asked for.
        n_rows: validation rows.
        groups: which of them belong together, any integers ``(n_rows,)``; then groups count in place of rows.

    Raises:
        SpecError: there are too few; the message says how many are needed.
    """
    coverage, (_, n) = spec.conformal.coverage, members_of(n_rows, groups)
    shared = coverage is not None and spec.method != "none"
    needed, field = FEWEST_ROWS[spec.method] * (2 if shared else 1), "calibration.method"
    for_sets = 0 if coverage is None else fewest_rows(coverage) * (2 if shared else 1)
    if for_sets > needed:
        needed, field = for_sets, "calibration.conformal.coverage"
    if n < needed:
        half = ", half of them for the calibration and half for the sets" if shared else ""
        raise SpecError(
            f"needs at least {_validation(needed, groups)}{half}, and the split leaves {_left(n, n_rows, groups)}; "
            "raise evaluation.validation_fraction, add data"
            + (", or ask for less coverage" if coverage is not None else ""),
            field,
            n_rows=n_rows,
            needed=needed,
            **({} if groups is None else {"n_groups": n}),
        )


def _validation(needed: int, groups: Labels | None) -> str:
    """What is counted."""
    if groups is None:
        return f"{needed} validation rows"
    return f"{needed} groups (patients) of validation rows, since rows of one count once"


def _left(n: int, n_rows: int, groups: Labels | None) -> str:
    return str(n) if groups is None else f"{n} with {n_rows} rows"


def check_interval_rows(coverage: float, n_rows: int, groups: Labels | None = None) -> None:
    """Refuse an interval of a number that so few validation rows, or groups of them, cannot give, before anything is
    trained.

    Raises:
        SpecError: there are too few, with the number needed; or the coverage is not from 0.5 to 0.999.
    """
    if isinstance(coverage, bool) or not isinstance(coverage, float | int | np.number) or not 0.5 <= coverage <= 0.999:
        raise SpecError(f"must be a number from 0.5 to 0.999, or None, got {coverage!r}", "conformal")
    _, n = members_of(n_rows, groups)
    if n < (needed := fewest_residuals(float(coverage))):
        raise SpecError(
            f"needs at least {_validation(needed, groups)} for a coverage of {coverage:g}, and validation_fraction "
            f"leaves {_left(n, n_rows, groups)}; raise it, add data, or ask for less coverage",
            "conformal",
            n_rows=n_rows,
            needed=needed,
            **({} if groups is None else {"n_groups": n}),
        )


def fit_band_novelty(
    train: Floats,
    validation: Floats,
    parts: tuple[NDArray[np.intp], NDArray[np.intp]],
    groups: Labels | None = None,
) -> BandNovelty:
    """The score of how unlike the training pictures a picture is, and its threshold, chosen as in `fit_novelty`.

    Args:
        train: pixels of the training pictures, ``(n_rows, n_columns)``.
        validation: those of pictures that did not train the model.
        parts: places of two parts of the training pictures, as of `halves`: the larger gives the directions, of which
            at most a quarter of its pictures are kept, the other what is usual in each band.
        groups: which validation pictures belong together, any integers ``(n_rows,)``; None if each stands for itself.

    Cost: a principal component analysis of one part.
    """
    small, large = sorted(parts, key=len)
    usual, fitted = train[small if len(small) else large], train[large]
    n_columns = train.shape[1]
    kept = max(1, min(ENDS[-1], n_columns, len(fitted) // 4, _MAX_BAND_NUMBERS // n_columns))
    found = _components(fitted, kept)
    total = float(fitted.var(axis=0, ddof=1).sum()) if len(fitted) > 1 else 0.0
    floor = max(_FLOOR * total / n_columns, 1e-12)
    variances = np.asarray(found.explained_variance_, dtype=np.float64)
    ends = (*(end for end in ENDS if 1.5 * end <= kept), kept)  # none but the last is narrow
    score = BandNovelty(
        mean=np.asarray(found.mean_, dtype=np.float64),
        directions=np.ascontiguousarray(found.components_, dtype=np.float64),
        variances=np.maximum(variances, floor),
        rest=max(total - float(variances.sum()), floor),
        ends=ends,
        centres=np.zeros(len(ends) + 1),
        spreads=np.ones(len(ends) + 1),
        threshold=math.inf,
        expected_share=_NOVEL_SHARE,
        n_rows=members_of(len(validation), groups)[1],
    )
    energies = score.energies(usual)
    score = replace(score, centres=energies.mean(axis=0), spreads=np.maximum(energies.std(axis=0), _LEAST_SPREAD))
    threshold, promised = bound_of(score.scores(validation), 1.0 - _NOVEL_SHARE, groups)
    return replace(score, threshold=threshold, expected_share=1.0 - promised)


def fit_novelty(train: Floats, validation: Floats, groups: Labels | None = None) -> Novelty:
    """The score of how unlike the training rows a row is, and its threshold.

    The threshold is the ``ceil((n + 1) * 0.99)``-th smallest of the validation rows' scores; of fewer than 99 rows the
    largest. Where groups are known each weighs the same, as in `superpose.learning.calibration.ranks`.

    Args:
        train: encoded rows that trained the model, ``(n_rows, n_columns)``.
        validation: encoded rows that did not.
        groups: which validation rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

    Cost: a principal component analysis of the training rows.
    """
    n_rows, n_columns = train.shape
    found = _components(train, min(MAX_DIRECTIONS, n_columns, max(1, n_rows - 1)))
    total = float(train.var(axis=0, ddof=1).sum()) if n_rows > 1 else 0.0
    floor = max(_FLOOR * total / n_columns, 1e-12)
    score = Novelty(
        mean=np.asarray(found.mean_, dtype=np.float64),
        directions=np.ascontiguousarray(found.components_, dtype=np.float64),
        variances=np.maximum(np.asarray(found.explained_variance_, dtype=np.float64), floor),
        rest=max(float(found.noise_variance_), floor),
        threshold=math.inf,
        expected_share=_NOVEL_SHARE,
        n_rows=members_of(len(validation), groups)[1],
    )
    threshold, promised = bound_of(score.scores(validation), 1.0 - _NOVEL_SHARE, groups)
    return replace(score, threshold=threshold, expected_share=1.0 - promised)


def _components(rows: Floats, n_directions: int) -> PCA:
    """Leading principal components of rows."""
    from sklearn.decomposition import PCA

    solver = "covariance_eigh" if rows.shape[1] <= _MAX_EXACT_COLUMNS else "randomized"
    with np.errstate(invalid="ignore"):  # of constant columns alone, shares of no variance
        return PCA(n_directions, svd_solver=solver, random_state=0).fit(rows)
