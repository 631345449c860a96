"""What one run of an experiment knows and owns: its rows, its splits, its variants, its directory, its progress."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose import __version__
from superpose.datasets import Finding, Split, Table, check_splits
from superpose.errors import CheckpointError
from superpose.learning.admission import class_weights
from superpose.learning.checkpoint import read_sealed_json, write_sealed_json
from superpose.learning.class_weights import balanced_class_weights
from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.fine_tuning.report import seen_warning
from superpose.learning.fine_tuning.seen_rows import seen_by_parent
from superpose.learning.recipe import Recipe
from superpose.learning.spec import TrainingSpec
from superpose.learning.split_count import SplitCount, split_count
from superpose.learning.splitting import Groups, feature_table, groups_of, splits_of

__all__ = ["BASELINE", "OnEvent", "Run", "UnitResults"]

OnEvent = Callable[[str, dict[str, Any]], None]
UnitResults = list[dict[str, dict[str, Any]]]
"""For each split, what each variant left."""

BASELINE = "baseline"
"""The variant that is no network."""

_FIRST_RECIPE = "circuit"
"""What every run of release 0.1.0 trained, whose claims of a directory do not name it."""

_PROGRESS_EVERY_S = 0.25
"""Progress events come at most this often, and after every unit."""

_MAX_FINDINGS = 10


@dataclass
class Run:
    """One call of `run_experiment` or `train_on_splits`."""

    spec: TrainingSpec
    table: Table
    directory: Path
    on_event: OnEvent
    should_stop: Callable[[], bool]
    recipe: Recipe
    made_by: Mapping[str, Any] = field(default_factory=dict)
    given_splits: list[Split] | None = None
    only: tuple[str, ...] | None = None
    started: float = field(default_factory=time.monotonic)
    reported: float = -1.0
    first_fraction: float | None = None
    on_submit: Callable[[], None] = lambda: None
    on_queued: Callable[[str], None] = lambda provider_job_id: None

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """What each split trains, in order."""
        if self.only is not None:
            return self.only
        baseline = () if self.spec.evaluation.baseline == "none" else (BASELINE,)
        scratch = () if self.recipe.fine_tuning is None else (FROM_SCRATCH,)
        return ("hybrid", *scratch, *self.spec.evaluation.controls, *baseline)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """Class index of each row, ``(n_rows,)``."""
        index = {label: i for i, label in enumerate(self.table.classes)}
        return np.array([index[label] for label in self.table.target], dtype=np.int64)

    @cached_property
    def splits(self) -> list[Split]:
        """All splits, made from table and spec alone; every variant uses the same."""
        return splits_of(self.spec, self.table) if self.given_splits is None else self.given_splits

    @cached_property
    def groups(self) -> Groups | None:
        """Which rows belong together; None where that is not known."""
        return groups_of(self.spec, self.table)

    def seen_by_parent(self, cases: NDArray[np.integer]) -> dict[str, Any] | None:
        """How many tested rows, by their places, the parent had learnt from; None without a parent of this data."""
        plan = self.recipe.fine_tuning
        return None if plan is None else seen_by_parent(plan.parent, self.table, self.groups, self.splits, cases)

    @cached_property
    def counted_splits(self) -> SplitCount:
        """How many splits there are, and why."""
        asked, found = split_count(self.spec, self.table.n_rows), len(self.splits)
        return asked if asked.n_splits == found else SplitCount(found, "data", f"{found} sites are as many splits.")

    @cached_property
    def features(self) -> Table:
        """The table without the columns that are no features."""
        return feature_table(self.spec, self.table)

    @cached_property
    def findings(self) -> list[Finding]:
        """What is odd between the parts of the splits, the most serious first, at most ten."""
        return check_splits(self.table, self.features, self.splits)[:_MAX_FINDINGS]

    def class_weights(self, classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Weight of each class, ``(n_classes,)``, in fitting rows of these classes; None weighs all alike."""
        if self.spec.training.class_weights == "balanced":
            return balanced_class_weights(classes, len(self.table.classes))
        given = class_weights(self.spec, self.table.classes)
        return None if given is None else np.array(list(given.values()))

    def claim_directory(self) -> None:
        """Make sure that the directory holds this run or nothing; work of another version is done again.

        A version whose specs have other fields is another version too, whatever it is called.

        Raises:
            CheckpointError: it holds another run.
        """
        path = self.directory / "experiment.json"
        mine = {
            "spec": self.spec.digest,
            "table": self.table.digest,
            "version": __version__,
            "torch": torch.__version__,
            "recipe": self.recipe.identity,
            "defaults": TrainingSpec().digest,
        }
        found = read_sealed_json(path)
        if found is not None:
            found.setdefault("recipe", _FIRST_RECIPE)
        # where a spec has other fields than when the run began, digests of specs tell nothing
        comparable = found is not None and found.get("defaults") == mine["defaults"]
        same = ("table", "recipe", "spec") if comparable else ("table", "recipe")
        if found is not None and any(found.get(key) != mine[key] for key in same):
            raise CheckpointError(
                f"{self.directory.name} holds a run with another spec or other data; use an empty directory"
            )
        if found is not None and found != mine:
            self.on_event(
                "log", {"message": "superpose or torch has another version than when this run began: starting over"}
            )
            shutil.rmtree(self.directory / "units", ignore_errors=True)
        if found != mine:
            for finding in self.findings:
                self.on_event("log", {"message": finding.message, "finding": finding.to_dict()})
            if self.only is None and (warning := self.recipe.warning()) is not None:
                self.on_event("log", {"message": warning})
            if self.only is None and (plan := self.recipe.fine_tuning) is not None:
                seen = self.seen_by_parent(np.unique(np.concatenate([split.test for split in self.splits])))
                if (warning := seen_warning(seen, plan.parent.name)) is not None:
                    self.on_event("log", {"message": warning})
            write_sealed_json(path, mine)

    @property
    def n_seeds(self) -> int:
        """Trainings of each variant on each split."""
        return 1 if self.only is not None else self.spec.evaluation.n_seeds

    @property
    def n_units(self) -> int:
        """Trainings of all variants, on all splits, with all seeds."""
        return len(self.splits) * len(self.variants) * self.n_seeds

    @property
    def n_shadows(self) -> int:
        """Shadow models that are trained after all units."""
        privacy = self.spec.privacy
        return privacy.shadow_models if privacy.attack == "shadow" and self.only is None else 0

    @property
    def n_trials(self) -> int:
        """Settings that each variant chooses from; 0 where it does not search by the spec."""
        return 0 if self.only is not None else self.spec.evaluation.tuning.trials

    def unit_directory(self, split: int, variant: str, seed: int = 0) -> Path:
        """Where a unit keeps its files."""
        return self.directory / "units" / f"split-{split:03d}" / (f"{variant}-seed-{seed:02d}" if seed else variant)

    def progress(self, done_units: float, facts: Mapping[str, Any], *, always: bool = False) -> None:
        """Report how far the run is; ``done_units`` counts the current unit by its share."""
        now = time.monotonic()
        if not always and now - self.reported < _PROGRESS_EVERY_S:
            return
        self.reported = now
        fraction = done_units / (self.n_units + self.n_shadows)
        if self.first_fraction is None:
            self.first_fraction, self.started = fraction, now
        gained = fraction - self.first_fraction
        eta = (now - self.started) * (1.0 - fraction) / gained if gained > 0 else None
        self.on_event(
            "progress",
            {
                "stage": "training",
                "n_splits": len(self.splits),
                "n_epochs": self.spec.training.epochs,
                **facts,
                "eta_s": None if eta is None else round(eta, 2),
                "fraction": round(fraction, 4),
            },
        )
