"""How shots spread the scores of families that are held as arrays: what is measured differs from family to family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Observable
from superpose.explain.shot_covariances import shot_covariances
from superpose.learning.families.kernel_classifier import columns_of

__all__ = ["FAMILY_SPREADS"]

Floats = NDArray[np.float64]

_NO_WEIGHTS = np.empty(0)


def _metric_learner(fitted: Any, encoded: Floats) -> Floats:
    """Scores are linear in the expectations of all Pauli strings."""
    (block,) = fitted.quantum_blocks_
    _, spread = shot_covariances(block, encoded @ fitted.slopes_ + fitted.offsets_, fitted.weights_)
    found: Floats = fitted.exit_ @ spread @ fitted.exit_.T
    return found


def _kitchen_sinks(fitted: Any, encoded: Floats) -> Floats:
    """Scores are linear in the expectations of all episodes, each a run of its own."""
    (block,) = fitted.quantum_blocks_
    weights = fitted.weights_.reshape(fitted.episodes_, fitted.block_.n_inputs, -1) * fitted.feature_scale
    _, spread = shot_covariances(block, fitted.runs(encoded, fitted.bandwidth_), _NO_WEIGHTS)
    spread = spread.reshape(len(encoded), *weights.shape[:2], fitted.block_.n_inputs)
    found: Floats = np.einsum("eqk,reqp,epl->rkl", weights, spread, weights, optimize=True)
    return found


def _iqp_kernel(fitted: Any, encoded: Floats) -> Floats:
    """A value of the kernel is how often the circuit and the support row's, undone, give zeros: a share of shots."""
    kernel = fitted.body_.kernel(fitted.body_.inputs(encoded))  # (n_rows, n_support)
    weights = fitted.body_.weights
    found: Floats = np.einsum("sk,rs,sl->rkl", weights, kernel * (1.0 - kernel), weights, optimize=True)
    return found


def _projected_kernel(fitted: Any, encoded: Floats) -> Floats:
    """First order in the Bloch vectors, which three settings give; those of support rows are known exactly."""
    body = fitted.body_
    inputs = body.inputs(encoded)
    features = body.features(inputs)
    slopes = np.stack(
        [body.features_back(features, np.tile(column, (len(encoded), 1))) for column in body.weights.T], axis=1
    )  # (n_rows, n_classes, n_features)
    total, start = np.zeros((len(encoded), slopes.shape[1], slopes.shape[1])), 0
    for block, part in zip(body.registers, columns_of(body.registers, inputs), strict=True):
        n_qubits = block.circuit.n_qubits
        paulis = tuple(Observable("I" * q + p + "I" * (n_qubits - q - 1)) for q in range(n_qubits) for p in "XYZ")
        _, spread = shot_covariances(replace(block, observables=paulis), block.feature_map.apply(part), _NO_WEIGHTS)
        own = slopes[:, :, start : start + 3 * n_qubits]
        total += own @ spread @ own.transpose(0, 2, 1)
        start += 3 * n_qubits
    return total


FAMILY_SPREADS: dict[str, Callable[[Any, Floats], Floats]] = {
    "metric_learner": _metric_learner,
    "kitchen_sinks": _kitchen_sinks,
    "iqp_kernel": _iqp_kernel,
    "projected_kernel": _projected_kernel,
}
"""Family -> covariances of its scores for one shot of every setting, ``(n_rows, n_classes, n_classes)``."""
