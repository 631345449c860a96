"""Optuna's part in a sweep: proposals, pruning and importances, each a pure function of the sweep and earlier trials.

A study lives in memory for one question and is built from the trials in the store, so a worker that is killed takes
nothing with it. Trial ``k`` is proposed from the trials up to ``k - parallelism``, all of which have ended, by a
sampler seeded with the sweep's seed and ``k``: which worker asks, when, and in what order the trials end, changes
nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import ExtraMissingError
from superpose.service.experiments.sweep_spec import Dimension, SweepSpec, Value

if TYPE_CHECKING:
    import optuna

__all__ = ["STARTUP_TRIALS", "PastTrial", "check_optuna", "importances", "propose", "should_prune"]

STARTUP_TRIALS = 10
"""Trials of TPE that are drawn at random, whatever became of earlier ones."""


@dataclass(frozen=True)
class PastTrial:
    """A trial that has ended: ``state`` is "complete", "pruned" or "failed"; ``folds`` are its values so far."""

    params: Mapping[str, Value]
    state: str
    folds: tuple[float, ...] = ()

    @property
    def value(self) -> float | None:
        """Mean over the folds, None for a trial that failed."""
        return float(np.mean(self.folds)) if self.folds and self.state != "failed" else None


def check_optuna() -> None:
    """Refuse where Optuna is not installed.

    Raises:
        ExtraMissingError: says how to install it.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ExtraMissingError(
            "Sweeps need Optuna, which is not installed where the service runs. Install it there: "
            "pip install 'superpose[sweeps]'",
            extra="sweeps",
        )


def propose(
    spec: SweepSpec, number: int, told: Sequence[PastTrial], running: Sequence[Mapping[str, Value]]
) -> dict[str, Value]:
    """The parameters of a sweep's trial.

    Args:
        spec: the sweep.
        number: which trial, from 0.
        told: the trials that have ended and may be known, in order.
        running: parameters of the trials between those and this one, in order.

    Cost: milliseconds for hundreds of trials.
    """
    if spec.sampler == "grid":
        return next(params for place, params in enumerate(spec.grid()) if place == number)
    study = _study(spec, told, running, number)
    return dict(study.ask(fixed_distributions=_distributions(spec)).params)


def should_prune(
    spec: SweepSpec, told: Sequence[PastTrial], folds: Sequence[float], params: Mapping[str, Value]
) -> bool:
    """Whether a trial with these values after its first folds is to be cut short."""
    if spec.pruner is None:
        return False
    import optuna

    study = _study(spec, told, (), 0)
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params=dict(params),
        distributions=_distributions(spec),
        intermediate_values=_running_means(folds),
    )
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=spec.pruner.startup_trials, n_warmup_steps=spec.pruner.warmup_folds
    )
    return bool(pruner.prune(study, trial))


def importances(spec: SweepSpec, told: Sequence[PastTrial]) -> dict[str, float]:
    """Share of each parameter in the objective's variance (fANOVA), largest first; empty where too little is known.

    Source: Hutter, Hoos, Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance".
    """
    import optuna

    values = {trial.value for trial in told if trial.state == "complete"}
    if len(values) < 2 or sum(trial.state == "complete" for trial in told) < 4:
        return {}
    found = optuna.importance.get_param_importances(
        _study(spec, told, (), 0), evaluator=optuna.importance.FanovaImportanceEvaluator(seed=spec.seed)
    )
    return {name: float(share) for name, share in found.items()}


def _study(
    spec: SweepSpec, told: Sequence[PastTrial], running: Sequence[Mapping[str, Value]], number: int
) -> optuna.Study:
    """A study in memory that knows these trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(np.random.SeedSequence([spec.seed, number]).generate_state(1)[0])
    sampler: Any = optuna.samplers.RandomSampler(seed=seed)
    if spec.sampler == "tpe":
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=spec.parallelism > 1
        )
    study = optuna.create_study(direction="maximize" if spec.higher_is_better else "minimize", sampler=sampler)
    distributions = _distributions(spec)
    states = optuna.trial.TrialState
    for trial in told:
        state = {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[trial.state]
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                params=dict(trial.params),
                distributions=distributions,
                value=trial.value,
                intermediate_values=_running_means(trial.folds),
            )
        )
    for params in running:
        study.add_trial(
            optuna.trial.create_trial(state=states.RUNNING, params=dict(params), distributions=distributions)
        )
    return study


def _running_means(folds: Sequence[float]) -> dict[int, float]:
    """The value that a trial had after each fold."""
    return {place: float(np.mean(folds[: place + 1])) for place in range(len(folds))}


def _distributions(spec: SweepSpec) -> dict[str, Any]:
    return {dimension.path: _distribution(dimension) for dimension in spec.space}


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == "choice":
        return CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
