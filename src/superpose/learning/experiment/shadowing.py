"""Shadow models of an experiment: trained after it, as its hybrid model was, to attack the registered one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Split
from superpose.learning.experiment.run import Run
from superpose.learning.experiment.split_data import SplitData
from superpose.learning.experiment.unit import Unit
from superpose.learning.privacy.shadows import (
    confidence_logits,
    groups_left_out,
    left_out,
    likelihood_ratios,
    shadow_report,
)
from superpose.learning.split_count import estimated_s, n_shadow_steps

__all__ = ["shadow_attack", "shadow_cost"]


def shadow_cost(run: Run) -> str:
    """What shadow models will take, in a sentence for the log, before anything is trained."""
    n_models, n_steps = run.spec.privacy.shadow_models, n_shadow_steps(run.spec, run.table.n_rows)
    return (
        f"{n_models} shadow models will be trained after the experiment to attack its model: up to {n_steps} steps, an "
        f"estimated {float(f'{estimated_s(run.spec, n_steps):.2g}'):g} s at most."
    )


def shadow_attack(
    run: Run, attacked: NDArray[np.float64], epsilon: float | None, delta: float
) -> dict[str, Any] | None:
    """Train shadow models on the first split's training and test rows, and attack the registered model with them.

    Each leaves out some of those rows, as many as test rows are among them, and whole groups where the split keeps them
    together: a model that knows a patient's other rows is none without the patient. The split's validation rows stop
    all of them, as they stopped the attacked model. Durable: what is trained is not trained again.

    Args:
        run: the experiment, all of whose units are done.
        attacked: probabilities of the registered model, of the training rows and then the test rows, ``(n_rows,
            n_classes)``.
        epsilon, delta: that bound any attack, of private training; an epsilon of None where nothing does.

    Returns:
        See `shadow_report`.

    Raises:
        Stopped: on request; the same call continues.

    Cost: ``privacy.shadow_models`` trainings of the hybrid model.
    """
    spec, first = run.spec, run.splits[0]
    pool = np.concatenate([first.train, first.test])
    rng = np.random.default_rng([spec.training.seed, 7])
    n_models = spec.privacy.shadow_models
    if run.groups is None or not run.groups.kept_together:
        without = left_out(len(pool), n_models, len(first.test) / len(pool), rng)
    else:
        without = groups_left_out(run.groups.members[pool], run.classes[pool], n_models, len(first.train), rng)
    splits = [Split(train=np.sort(pool[~row]), validation=first.validation, test=pool) for row in without]
    alone = replace(spec, evaluation=replace(spec.evaluation, controls=(), baseline="none"))
    shadow = Run(
        alone,
        run.table,
        run.directory / "shadows",
        lambda kind, data: None,
        run.should_stop,
        run.recipe,
        given_splits=splits,
        only=("hybrid",),
    )
    shadow.directory.mkdir(parents=True, exist_ok=True)
    shadow.claim_directory()
    classes = run.classes[pool]
    logits = []
    for number in range(n_models):
        unit = Unit(shadow, SplitData(shadow, number), "hybrid", number)
        logits.append(confidence_logits(unit.probabilities(unit.result()), classes))
        run.on_event("log", {"message": f"Shadow model {number + 1} of {n_models} is trained."})
        stage = f"shadow model {number + 1} of {n_models}"
        run.progress(run.n_units + number + 1, {"stage": stage}, always=number + 1 == n_models)
    ratios = likelihood_ratios(confidence_logits(attacked, classes), np.stack(logits), without)
    n_trained = len(first.train)
    return shadow_report(
        ratios[:n_trained],
        ratios[n_trained:],
        groups=None if run.groups is None else run.groups.of_training_and_test(first),
        n_models=n_models,
        confidence=spec.evaluation.confidence,
        epsilon=epsilon,
        delta=delta,
    )
