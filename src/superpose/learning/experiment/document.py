"""What an experiment's units say together: every variant on every test case, and the evaluation document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Split
from superpose.learning.admission import positive_class
from superpose.learning.evaluation import summarise
from superpose.learning.experiment.run import Run, UnitResults
from superpose.learning.experiment.shadowing import shadow_attack
from superpose.learning.experiment.split_data import SplitData
from superpose.learning.experiment.unit import Unit
from superpose.learning.fine_tuning.report import fine_tuning_report
from superpose.learning.plot_data import case_plots, learning_curves
from superpose.learning.privacy.membership import membership_report, of_group, row_losses
from superpose.learning.subgroups import subgroup_report
from superpose.learning.verdicts import SeenCases

__all__ = ["cases_of", "evaluation_of"]

_KNOWN_BEFOREHAND = ("group_overlap", "duplicate", "near_duplicate")


def cases_of(run: Run, rows: UnitResults) -> SeenCases:
    """What every variant says about each test case, in the first split that tests it."""
    places, first = np.unique(np.concatenate([split.test for split in run.splits]), return_index=True)
    said: dict[str, list[NDArray[np.float64]]] = {variant: [] for variant in run.variants}
    for number, row in enumerate(rows):
        data = SplitData(run, number)
        for variant in run.variants:
            said[variant].append(Unit(run, data, variant, 0).probabilities(row[variant]))
    return SeenCases(
        run.classes[places],
        {variant: np.concatenate(parts)[first] for variant, parts in said.items()},
        groups=None if run.groups is None else run.groups.members[places],
        positive=positive_class(run.spec, run.table),
        seed=run.spec.training.seed,
        places=places,
    )


def evaluation_of(run: Run, rows: UnitResults, cases: SeenCases) -> dict[str, Any]:
    """The evaluation as JSON values: figures, comparisons, verdict, subgroups, and what a backend took."""
    chosen, two_classes = run.spec.evaluation, len(run.table.classes) == 2
    plan, seen = run.recipe.fine_tuning, run.seen_by_parent(cases.places)
    evaluation = summarise(
        chosen,
        rows,
        # validation rows fit no weight: the wider interval
        test_over_train=max(len(s.test) / len(s.train) for s in run.splits),
        positive=run.table.classes[positive_class(run.spec, run.table)] if two_classes else None,
        subject=run.recipe.subject,
        cases=cases,
        searched=_searched(run),
        seen_by_parent=0 if seen is None else int(seen["n_seen"]),
        private=run.spec.privacy.epsilon is not None,
        missed=_missed(cases, run.table.classes),
    )
    evaluation["findings"] = _findings(run)
    evaluation["groups"] = _groups(run, cases)
    evaluation["subgroups"] = subgroup_report(chosen.subgroups, run.table, cases, chosen.confidence)
    evaluation["privacy"] = _privacy(run, rows[0]["hybrid"].get("privacy"))
    evaluation["membership"] = _membership(run, evaluation["privacy"])
    evaluation["learning_curves"] = learning_curves(rows)
    evaluation["cases"] = case_plots(cases, [str(label) for label in run.table.classes])
    evaluation["split_count"] = run.counted_splits.to_dict()
    if plan is not None:
        evaluation["fine_tuning"] = fine_tuning_report(plan, evaluation, seen)
    measured = rows[0]["hybrid"].get("measured")
    if measured is not None:
        evaluation["measured"] = {**measured, "in_all": _in_all(rows)}
    return evaluation


def _missed(cases: SeenCases, classes: Sequence[str]) -> list[str]:
    """Classes of which the hybrid model recognised no test case, though there are some."""
    right = cases.probabilities["hybrid"].argmax(axis=1) == cases.truth
    return [str(classes[code]) for code in np.unique(cases.truth) if not right[cases.truth == code].any()]


def _findings(run: Run) -> list[dict[str, Any]]:
    """What was odd between the parts before training, without places of rows.

    It is ``doubtful`` whether figures hold elsewhere where a column is a leak, or test rows were known beforehand that
    are a larger share than the difference that matters.
    """
    told = []
    for finding in run.findings:
        facts = {name: value for name, value in finding.to_dict().items() if name != "rows"}
        share = finding.n_rows / len(run.splits[finding.split or 0].test)
        known = finding.kind in _KNOWN_BEFOREHAND and share >= run.spec.evaluation.equivalence_margin
        told.append({**facts, "doubtful": finding.kind == "leak" or known})
    return told


def _groups(run: Run, cases: SeenCases) -> dict[str, Any] | None:
    """Which rows belong together; None where that is not known, and each was taken for itself."""
    if run.groups is None or cases.groups is None:
        return None
    return {
        "column": run.groups.column,
        "n_groups": len(np.unique(run.groups.members)),
        "n_groups_of_cases": len(np.unique(cases.groups)),
        "kept_together": run.groups.kept_together or not _tested_and_known(run.groups.members, run.splits),
    }


def _tested_and_known(members: NDArray[np.int64], splits: Sequence[Split]) -> bool:
    """Whether a split tests a group that has training or validation rows in it; none may, as of patients of one site
    each in a split by site.
    """
    return any(
        np.isin(members[split.test], members[np.concatenate([split.train, split.validation])]).any() for split in splits
    )


def _searched(run: Run) -> int:
    """Settings of the hybrid model that a sweep tried before it chose this spec."""
    sweep = run.made_by.get("sweep")
    return int(sweep.get("n_trials", 1)) if isinstance(sweep, Mapping) else 1


def _privacy(run: Run, facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the registered model's training spent, and a sweep before it on the same rows."""
    sweep = run.made_by.get("sweep")
    if facts is None or not isinstance(sweep, Mapping) or "folds" not in sweep:
        return facts
    from superpose.learning.privacy.accounting import with_sweep

    return with_sweep(facts, sweep, float(run.spec.privacy.epsilon or 0.0))


def _membership(run: Run, facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Whether the registered model gives away which rows it was trained on, by its first split.

    What bounds an attack is what all that was made of the rows spent, trainings of a sweep before it too; and where
    groups are together in one part an attacker may tell by all rows of one, so that it is that of the largest.
    """
    epsilon, delta = run.spec.privacy.epsilon, run.spec.privacy.delta
    if facts is not None and epsilon is not None:
        n_trainings, size = 1 + int(facts.get("sweep_trainings", 0)), int(facts.get("largest_group", 1))
        if size > 1 and n_trainings == 1:
            epsilon = facts["epsilon_of_largest_group"]
        elif size > 1:  # trials have steps of their own, of which nothing but epsilon and delta is known
            epsilon, delta = of_group(epsilon, delta, size)
        epsilon, delta = None if epsilon is None else n_trainings * epsilon, n_trainings * delta
    data, privacy = SplitData(run, 0), run.spec.privacy
    split = data.split
    network = Unit(run, data, "hybrid", 0).network()

    def losses(places: NDArray[np.int64]) -> NDArray[np.float64]:
        return row_losses(run.recipe.probabilities(network, data.encoded[places]), run.classes[places])

    found = membership_report(
        losses(split.train),
        losses(split.test),
        groups=None if run.groups is None else run.groups.of_training_and_test(split),
        confidence=run.spec.evaluation.confidence,
        epsilon=epsilon,
        delta=delta,
    )
    if found is None or privacy.attack != "shadow":
        return found
    pool = np.concatenate([split.train, split.test])
    attacked = run.recipe.probabilities(network, data.encoded[pool])
    return {**found, "shadow": shadow_attack(run, attacked, epsilon, delta)}


def _in_all(rows: UnitResults) -> dict[str, Any]:
    """What all units of an experiment took on the backend."""
    all_units = [one for row in rows for unit in row.values() for one in unit.get("of_seeds", [unit])]
    units = [unit["measured"] for unit in all_units if "measured" in unit]
    counts = ("shots_spent", "n_circuits", "n_submissions")
    found: dict[str, Any] = {name: sum(unit[name] for unit in units) for name in counts}
    costs = [unit["cost_usd"] for unit in units if "cost_usd" in unit]
    return {**found, "cost_usd": sum(costs)} if len(costs) == len(units) else found
