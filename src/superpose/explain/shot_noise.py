"""The band of inputs whose label is shot noise: how likely a label is to flip when circuits are measured, not computed.

A label is the class of the highest score, and a score's lead over another, the margin ``m``, is estimated from ``N``
shots of each measurement setting (observables that commute qubit by qubit share one). Its variance follows from that
of the circuit's observables, which is exact: ``Var(m) = g^T C g / N`` with the margin's gradient ``g`` in the
expectations, and the covariance of one shot ``C_ij = sum <P Q> - <P><Q>`` over terms of observables i and j that share
a setting. The margin of superpose's own models is linear in the expectations, and this is all of it; of a user's module
it is the first order, layer by layer. By the central limit theorem the label then flips with the probability
``Phi(-m / sqrt(Var(m)))`` for two classes, and with one less the probability that all margins stay positive for more
(a multivariate normal integral). Tests hold it against sampling.

Noise of gates and readout comes on top and is not in here: this is what remains on a perfect processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExplanationError
from superpose.explain.attributions import Look
from superpose.explain.family_noise import FAMILY_SPREADS
from superpose.explain.shot_covariances import rows_at_once, shot_covariances
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.families.plain import FamilyModel
from superpose.learning.modules.model import ModuleModel
from superpose.learning.trained_model import TrainedModel

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["FLIPPING", "NoisyRow", "ShotNoise", "checked_shots", "shot_noise"]

Floats = NDArray[np.float64]

FLIPPING = 0.05
"""A row whose label flips more often than this is in the band."""

MAX_SHOTS = 10**9
_NORMAL_SHOTS = 30
"""Fewer settle no label that can flip: the normal approximation is rough there, and chances told as 3 % were 9 %."""

_CHUNK = 512
_INTEGRAL_ERROR = 1e-5
_ALWAYS = 1e-12
"""Share of a class from which on a curve that never crosses 1/2 is taken to cross it."""


@dataclass(frozen=True)
class NoisyRow:
    """What shots do to the label of one row.

    Attributes:
        label: without shot noise.
        rival: the class that it is most likely to flip to.
        flip_probability: that ``shots`` shots give another label, 0 .. 1.
        margin: the lead in score over the rival, without shot noise.
        margin_deviation: standard deviation of that lead.
        shots_to_settle: with so many the label flips at most with probability `FLIPPING`; of more than two classes the
            probabilities of all rivals are summed up, which is never too few shots. At least 30, below which the
            normal approximation is rough, or 1 where no number of shots flips it. None where no number of shots does
            (a tie).
    """

    label: Any
    rival: Any
    flip_probability: float
    margin: float
    margin_deviation: float
    shots_to_settle: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "class": str(self.label),
            "rival": str(self.rival),
            "flip_probability": self.flip_probability,
            "in_band": self.flip_probability > FLIPPING,
            "margin": self.margin,
            "margin_deviation": self.margin_deviation,
            "shots_to_settle": self.shots_to_settle,
        }


@dataclass(frozen=True)
class ShotNoise:
    """The band among some rows.

    Attributes:
        shots: of each measurement setting.
        rows: one by one.
    """

    shots: int
    rows: tuple[NoisyRow, ...]

    @property
    def share(self) -> float:
        """Of the rows, those whose label flips more often than `FLIPPING`."""
        return float(np.mean([row.flip_probability > FLIPPING for row in self.rows])) if self.rows else 0.0

    @property
    def expected_flips(self) -> float:
        """Mean flip probability: the share of labels that one run is expected to get otherwise."""
        return float(np.mean([row.flip_probability for row in self.rows])) if self.rows else 0.0

    def summary(self) -> dict[str, Any]:
        """All but the rows, as JSON."""
        return {
            "shots": self.shots,
            "flipping": FLIPPING,
            "share_in_band": self.share,
            "expected_flips": self.expected_flips,
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.summary(), "rows": [row.to_dict() for row in self.rows]}


def checked_shots(shots: Any) -> int:
    """A number of shots of each measurement setting.

    Raises:
        ExplanationError: it is no whole number from 1 to 10**9.
    """
    if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or not 1 <= shots <= MAX_SHOTS:
        raise ExplanationError(
            f"shots must be a whole number from 1 to {MAX_SHOTS:,}, got {repr(shots)[:40]}.", field="shots"
        )
    return int(shots)


def shot_noise(predictor: Predictor, rows: Any, shots: int, look: Look | None = None) -> ShotNoise:
    """How likely the labels of rows are to flip when the model's circuits are measured.

    Args:
        predictor: the loaded model: one of superpose's own circuits, or a user's module with quantum layers.
        rows: whatever `Predictor.predict_proba` takes.
        shots: of each measurement setting, 1 to 10**9. The normal approximation is rough below some 30.
        look: called before each few rows; what it raises ends the work.

    Raises:
        ExplanationError: the number of shots is not whole or out of its range, the model has no circuit, its
            observables have too many terms, or it is of a kind whose noise is not known, as are three and more classes
            that are calibrated by isotonic regression.
        FeatureMismatchError: the rows do not fit the model.

    Cost: expectations of ``n_terms**2 / 2`` Pauli strings per row; for a module one run with gradients per class.
    """
    shots = checked_shots(shots)
    if predictor.predicts_numbers:
        raise ExplanationError(
            "This model predicts a number, and has no label that shots could flip. Leave the rows out; without rows "
            "`superpose diagnose` tells of its circuit how often the sign of an expectation is shot noise."
        )
    model: Any = predictor.model
    encoded = predictor.encode(rows)
    found: list[NoisyRow] = []
    widest = max((len(block.observables) for block in model.blocks), default=1)
    step = min(_CHUNK, rows_at_once(widest)) if len(encoded) > 1 else 1
    if isinstance(model, ModuleModel) and len(encoded) > 1:
        step = min(step, model.gradient_rows_at_once)
    for start in range(0, len(encoded), step):
        if look is not None:
            look()
        scores, covariances = _scores(model, encoded[start : start + step])
        scores = _answering(predictor.safeguards.calibration, scores)
        found += [_row(predictor.classes, s, c, shots) for s, c in zip(scores, covariances, strict=True)]
    return ShotNoise(shots, tuple(found))


def _scores(model: Any, encoded: Floats) -> tuple[Floats, Floats]:
    """Scores ``(n_rows, n_classes)`` and their covariances for one shot ``(n_rows, n_classes, n_classes)``."""
    if isinstance(model, TrainedModel):
        angles = model.circuit_angles(encoded)
        weights = np.asarray(model.arrays["block.weights"], dtype=np.float64)
        exit_ = np.asarray(model.arrays["exit.weight"], dtype=np.float64)  # (n_classes, n_observables)
        means, spread = shot_covariances(model.block, angles, weights)
        return means @ exit_.T + np.asarray(model.arrays["exit.bias"], dtype=np.float64), exit_ @ spread @ exit_.T
    if isinstance(model, ModuleModel):
        return _of_module(model, encoded)
    if isinstance(model, FamilyModel) and not model.blocks:
        raise ExplanationError("This model has no circuit, so shots do nothing to its labels.")
    if isinstance(model, FamilyModel) and model.family in FAMILY_SPREADS:
        return model.scores(encoded), FAMILY_SPREADS[model.family](model.classifier, encoded)
    raise ExplanationError(f"Shot noise is not known of a model of kind {model.kind!r}.", kind=model.kind)


def _answering(calibration: Any, scores: Floats) -> Floats:
    """The scores, moved so that the largest is of the label that the model answers with.

    A temperature leaves labels as they are; an isotonic curve of two classes has its boundary where it crosses 1/2.
    """
    if not isinstance(calibration, Isotonic):
        return scores
    if scores.shape[1] != 2:
        raise ExplanationError(
            f"Isotonic calibration of {scores.shape[1]} classes moves the boundaries between them, and what shots do "
            "to labels there is not known. Calibrate by temperature, or not at all."
        )
    given, becomes = calibration.curves[0]
    place = int(np.searchsorted(becomes, 0.5, side="right"))  # the first point whose label is the second class
    if 0 < place < len(becomes):
        cut = float(np.interp(0.5, becomes[place - 1 : place + 1], given[place - 1 : place + 1]))
    else:
        cut = 1.0 if place else 0.0
    cut = min(max(cut, _ALWAYS), 1.0 - _ALWAYS)
    moved = scores.copy()
    moved[:, 0] += math.log(cut / (1.0 - cut))
    return moved


def _of_module(model: ModuleModel, encoded: Floats) -> tuple[Floats, Floats]:
    """Each quantum layer's noise, carried to the scores by their gradients at the layer's outputs."""
    import torch

    from superpose.learning.modules.operators import QUANTUM_LAYER

    names = {node.name: str(node.args[2]) for node in model.module.predicting.nodes if node.op == QUANTUM_LAYER}
    if not names:
        raise ExplanationError("This model has no circuit, so shots do nothing to its labels.")
    scores, taps = model.tapped(encoded, list(names))
    n_classes = scores.shape[1]
    total = np.zeros((len(encoded), n_classes, n_classes))
    for name, layer in names.items():
        block, tap = model.module.layers[layer], taps[name]
        slopes = [
            torch.autograd.grad(scores[:, place].sum(), tap.result, retain_graph=True, allow_unused=True)[0]
            for place in range(n_classes)
        ]
        gradient = np.stack(
            [np.zeros(tap.result.shape) if one is None else one.double().numpy() for one in slopes], axis=1
        )  # (n_calls, n_classes, n_observables)
        inputs, weights = (value.double().numpy() for value in tap.args[:2])
        _, spread = shot_covariances(block, block.feature_map.apply(inputs), weights)
        per_call = gradient @ spread @ gradient.transpose(0, 2, 1)
        if len(per_call) % len(encoded):
            raise ExplanationError("A quantum layer of this module mixes rows; its shot noise is not known.")
        total += per_call.reshape(len(encoded), -1, n_classes, n_classes).sum(axis=1)
    return scores.detach().numpy(), total


def _row(classes: tuple[Any, ...], scores: Floats, covariance: Floats, shots: int) -> NoisyRow:
    own = int(scores.argmax())
    others = np.array([place for place in range(len(scores)) if place != own])
    lead = np.zeros((len(others), len(scores)))
    lead[:, own] = 1.0
    lead[np.arange(len(others)), others] = -1.0
    margins = lead @ scores
    spread = lead @ covariance @ lead.T / shots
    deviations = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    alone = np.array([_below_zero(m, d) for m, d in zip(margins, deviations, strict=True)])
    rival = int(alone.argmax()) if alone.any() else int(margins.argmin())
    flips = float(alone[0]) if len(others) == 1 else _any_below_zero(margins, spread, alone)
    margin, deviation = float(margins[rival]), float(deviations[rival])
    settled = _settling(margins, deviations * math.sqrt(shots))
    if settled is not None and flips <= FLIPPING:  # the sum over rivals may be more than all of them together
        settled = min(settled, max(shots, _NORMAL_SHOTS))
    return NoisyRow(classes[own], classes[others[rival]], flips, margin, deviation, settled)


def _below_zero(margin: float, deviation: float) -> float:
    if deviation <= 1e-12 * max(1.0, abs(margin)):
        return 0.0
    return 0.5 * math.erfc(margin / deviation / math.sqrt(2.0))


def _any_below_zero(margins: Floats, spread: Floats, alone: Floats) -> float:
    """That at least one margin is negative; the bounds ``max`` and ``sum`` of the single ones stand."""
    low, high = float(alone.max()), float(min(1.0, alone.sum()))
    if high - low < _INTEGRAL_ERROR:
        return high
    from scipy.stats import multivariate_normal

    doubtful = alone > _INTEGRAL_ERROR / (10 * len(alone))  # the others change less than the integral's error
    inside = multivariate_normal.cdf(
        margins[doubtful],
        mean=np.zeros(int(doubtful.sum())),
        cov=spread[np.ix_(doubtful, doubtful)],
        allow_singular=True,
        abseps=_INTEGRAL_ERROR,
    )
    return min(max(1.0 - float(inside), low), high)


def _settling(margins: Floats, deviations: Floats) -> int | None:
    """Shots with which the probabilities that single margins are negative sum up to `FLIPPING` at most.

    Args:
        margins: over each rival.
        deviations: of one shot.
    """
    from statistics import NormalDist

    noisy = deviations > 1e-12 * np.maximum(1.0, np.abs(margins))  # else no run of any number of shots flips it
    if not noisy.any():
        return 1
    lead, spread = margins[noisy], deviations[noisy]
    if (lead <= 0.0).any():
        return None

    def shots_of(share: float) -> float:
        """With which no single margin is negative more often."""
        with np.errstate(over="ignore"):
            return float(((NormalDist().inv_cdf(1.0 - share) * spread / lead) ** 2).max())

    low, high = shots_of(FLIPPING), shots_of(FLIPPING / len(lead))  # equal for two classes
    for _ in range(60 if len(lead) > 1 else 0):
        middle = math.sqrt(low * high)
        roots = math.sqrt(middle) * lead / spread
        enough = sum(0.5 * math.erfc(root / math.sqrt(2.0)) for root in roots) <= FLIPPING
        low, high = (low, middle) if enough else (middle, high)
    return None if high > 1e15 else max(_NORMAL_SHOTS, math.ceil(high))
