"""How many splits a spec that says "auto" gets: 10 where that is cheap, else 5.

The rule knows the spec and the shape of the data, no clock and no machine, so that equal specs on equal data give equal
splits. Only splits that stay the same rows when there are more of them become 10: those of ``stratified``, ``grouped``
and ``site``. Folds and windows of time change with their number.

The rule's two constants stay as they were, so that a spec goes on giving the splits that it gave, though compiled steps
have become faster; `superpose.learning.estimate` counts by the functions of this file, and has constants of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.evaluation_spec import FEW_SPLITS

if TYPE_CHECKING:
    from superpose.learning.spec import TrainingSpec

__all__ = [
    "MANY_SPLITS",
    "SplitCount",
    "estimated_s",
    "n_gates",
    "n_shadow_steps",
    "n_steps",
    "n_steps_per_split",
    "n_variants",
    "split_count",
]

MANY_SPLITS = 10
AFFORDABLE_S = 300.0
"""Ten splits may take so many seconds of training by the estimate."""

_STEP_S = 3.5e-4
"""What a step takes at any size: measured as 0.35 ms on a core of an Intel Xeon at 2 GHz and more."""
_AMPLITUDE_S = 1.5e-10
"""What a gate takes per amplitude and row, forward and back, single precision, on that core."""


@dataclass(frozen=True)
class SplitCount:
    """How many splits an experiment has, and why.

    Attributes:
        n_splits: number of splits.
        chosen_by: "spec", "rule", or "data", which have fewer sites than were asked for.
        reason: one sentence.
    """

    n_splits: int
    chosen_by: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The numbers and the reason as JSON."""
        return dict(vars(self))


def n_variants(spec: TrainingSpec) -> int:
    """Networks that each split trains: the hybrid model and its controls."""
    return 1 + len(spec.evaluation.controls) + (spec.fine_tune.parent is not None)


def n_steps(spec: TrainingSpec, n_train: int | float, batch_size: int | None = None) -> int:
    """Optimizer steps of one training on so many rows, in batches of the spec or others, if it does not stop early."""
    return spec.training.epochs * math.ceil(n_train / (batch_size or spec.training.batch_size))


def n_gates(spec: TrainingSpec) -> int:
    """Gates of the spec's circuit as the rule counts them: one per weight, and two per qubit."""
    model = spec.model
    return ANSAETZE[model.ansatz.name].n_weights(model.n_qubits, model.ansatz.layers) + 2 * model.n_qubits


def n_steps_per_split(spec: TrainingSpec, n_rows: int) -> int:
    """Optimizer steps of all networks of one split, if none stops early."""
    evaluation = spec.evaluation
    trained = 1.0 - evaluation.test_fraction - evaluation.validation_fraction
    n_trainings = n_variants(spec) * evaluation.n_seeds * max(1, evaluation.tuning.trials)
    return n_trainings * n_steps(spec, trained * n_rows)


def n_shadow_steps(spec: TrainingSpec, n_rows: int) -> int:
    """Optimizer steps of all shadow models at most; 0 where none are asked for."""
    if spec.privacy.attack != "shadow":
        return 0
    return spec.privacy.shadow_models * n_steps(spec, (1.0 - spec.evaluation.validation_fraction) * n_rows)


def estimated_s(spec: TrainingSpec, steps: int) -> float:
    """Estimated seconds of so many steps of the hybrid model on one core, by the rule's constants."""
    return steps * _step_s(spec)


def split_count(spec: TrainingSpec, n_rows: int) -> SplitCount:
    """How many splits the spec gets on a table of ``n_rows`` rows."""
    given = spec.evaluation.n_splits
    if not isinstance(given, str):
        return SplitCount(given, "spec", f"The spec asks for {given} splits.")
    kept = f"{FEW_SPLITS} splits: "
    if spec.backend.name is not None:
        return SplitCount(FEW_SPLITS, "rule", f"{kept}circuits are trained on {spec.backend.name}, not on the engine.")
    if spec.split.kind in ("k_fold", "time"):
        return SplitCount(FEW_SPLITS, "rule", f"{kept}of kind {spec.split.kind}, more would change the rows of each.")
    steps = MANY_SPLITS * n_steps_per_split(spec, n_rows)
    limit = spec.limits.max_steps
    if limit is not None and steps > limit:
        return SplitCount(
            FEW_SPLITS, "rule", f"{kept}{MANY_SPLITS} are {steps} steps, limits.max_steps allows {limit}."
        )
    seconds = steps * _step_s(spec)
    told = f"{MANY_SPLITS} take an estimated {_rounded(seconds)} s of training at most"
    if seconds > AFFORDABLE_S:
        return SplitCount(FEW_SPLITS, "rule", f"{kept}{told}, more than {AFFORDABLE_S:g} s.")
    return SplitCount(MANY_SPLITS, "rule", f"{MANY_SPLITS} splits: {told}, not more than {AFFORDABLE_S:g} s.")


def _step_s(spec: TrainingSpec) -> float:
    """Estimated seconds of one step of the hybrid model."""
    try:
        return _STEP_S + _AMPLITUDE_S * spec.training.batch_size * n_gates(spec) * 2.0**spec.model.n_qubits
    except OverflowError:
        return math.inf


def _rounded(seconds: float) -> str:
    """Two figures are all that an estimate is good for."""
    return f"{float(f'{seconds:.2g}'):g}"
