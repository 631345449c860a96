"""Membership inference by shadow models: what a model makes of a row, against models with and without that row.

An attacker who has data like the training data trains models of the same kind, some with a row and some without, and
asks which of the two the model's confidence in the row's class fits better: the likelihood ratio of two normal
distributions of the logit ``log(p / (1 - p))``, with a mean for each row and one standard deviation for all rows, as is
advised where shadow models are few. Rows that are hard, and therefore have a high loss in any model, no longer hide
those that were learnt by heart, which the loss threshold of `superpose.learning.privacy.membership` cannot tell apart.

Source: Carlini et al. 2022, "Membership inference attacks from first principles", arXiv 2112.03570, section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.learning.areas import Groups
from superpose.learning.privacy.membership import membership_report

__all__ = ["confidence_logits", "groups_left_out", "left_out", "likelihood_ratios", "shadow_report"]

Floats = NDArray[np.float64]

_SMALLEST = 1e-9
_TRIES = 50
_LEAST_VARIANCE = 1e-12


def left_out(n_rows: int, n_models: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which model is trained without which row, ``(n_models, n_rows)``.

    Each row is left out of equally many models, ``share`` of them as nearly as can be, but of at least two and by at
    least two it is not.

    Args:
        n_rows: rows of which the shadow models learn.
        n_models: shadow models, at least 4.
        share: of the rows that the attacked model was not trained on.
        rng: draws which.
    """
    n_without = min(n_models - 2, max(2, round(n_models * share)))
    ranks = rng.permuted(np.tile(np.arange(n_models), (n_rows, 1)), axis=1)  # (n_rows, n_models)
    found: NDArray[np.bool_] = (ranks < n_without).T
    return found


def groups_left_out(
    groups: NDArray[np.integer],
    classes: NDArray[np.integer],
    n_models: int,
    n_trained: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """The same, of all rows of a group at once, ``(n_models, n_rows)``, such that each model sees every class.

    Where that is not found in 50 draws, of too few groups, rows are left out each by itself.

    Args:
        groups: which rows belong together, ``(n_rows,)``.
        classes: of each row, ``(n_rows,)``.
        n_models: shadow models, at least 4.
        n_trained: rows, the first ones, that the attacked model was trained on; the other rows' groups it did not see.
        rng: draws which.
    """
    members = np.unique(groups, return_inverse=True)[1]
    n_groups, n_unseen = int(members.max()) + 1, len(np.unique(members[n_trained:]))
    n_classes = len(np.unique(classes))
    for _ in range(_TRIES):
        found = left_out(n_groups, n_models, n_unseen / n_groups, rng)[:, members]
        if all(len(np.unique(classes[~row])) == n_classes for row in found):
            return found
    return left_out(len(groups), n_models, 1.0 - n_trained / len(groups), rng)


def confidence_logits(probabilities: Floats, classes: NDArray[np.integer]) -> Floats:
    """``log(p / (1 - p))`` of each row's own class, ``(n_rows,)``, from ``(n_rows, n_classes)`` and ``(n_rows,)``."""
    own = np.clip(probabilities[np.arange(len(classes)), classes], _SMALLEST, 1.0 - _SMALLEST)
    found: Floats = np.log(own) - np.log1p(-own)
    return found


def likelihood_ratios(attacked: Floats, shadows: Floats, without: NDArray[np.bool_]) -> Floats:
    """Logarithms of how much better a model with each row explains its logit than one without, ``(n_rows,)``.

    Args:
        attacked: logits of the attacked model, ``(n_rows,)``.
        shadows: of the shadow models, ``(n_models, n_rows)``.
        without: which of them were trained without which row, ``(n_models, n_rows)``; at least one with and one
            without, and two of either for some row.
    """
    log_densities = []
    for chosen in (~without, without):
        counts = chosen.sum(axis=0)
        means = np.where(chosen, shadows, 0.0).sum(axis=0) / counts
        squares = np.where(chosen, (shadows - means) ** 2, 0.0).sum()
        variance = max(float(squares) / max(1, int((counts - 1).sum())), _LEAST_VARIANCE)
        log_densities.append(-0.5 * (attacked - means) ** 2 / variance - 0.5 * np.log(variance))
    found: Floats = log_densities[0] - log_densities[1]
    return found


def shadow_report(
    trained: Floats,
    unseen: Floats,
    *,
    n_models: int,
    groups: Groups | None = None,
    confidence: float,
    epsilon: float | None,
    delta: float,
) -> dict[str, Any] | None:
    """What the attack finds, in the form of `membership_report`; None with fewer than 20 rows of either kind.

    Args:
        trained: likelihood ratios of the rows that the attacked model was trained on.
        unseen: those of rows that it has not seen in any way.
        n_models: shadow models.
        groups: as for `membership_report`.
        confidence: of the intervals.
        epsilon: of private training.
        delta: of private training.
    """
    found = membership_report(-trained, -unseen, groups=groups, confidence=confidence, epsilon=epsilon, delta=delta)
    if found is None:
        return None
    kept = {name: value for name, value in found.items() if not name.startswith("mean_loss")}
    return {**kept, "attack": f"likelihood ratio of {n_models} shadow models", "n_models": n_models}
