"""An experiment: the hybrid model, its controls and the baseline, trained on the same splits and compared.

The work is cut into units, one per split and variant. Each leaves its result in a file, and the one that trains leaves
checkpoints, so that the same call on the same directory continues after a crash, and ends with the same bytes as a run
that was never disturbed.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from superpose import __version__
from superpose.datasets import Split, Table, check_splits, drift_baseline
from superpose.errors import CheckpointError
from superpose.learning.admission import admit, class_weights, positive_class
from superpose.learning.baseline import BASELINES
from superpose.learning.canonical import digest_bytes, write_atomically
from superpose.learning.checkpoint import CheckpointStore, read_sealed_json, write_sealed_json
from superpose.learning.evaluation import summarise
from superpose.learning.facts import data_facts
from superpose.learning.metrics import evaluate
from superpose.learning.model_file import ModelFacts, encode_model
from superpose.learning.network import NetworkShape, count_parameters, quantum_layer_of
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.recipe import CircuitRecipe, Recipe
from superpose.learning.spec import TrainingSpec
from superpose.learning.splitting import feature_table, split_keys, splits_of
from superpose.learning.subgroups import subgroup_report
from superpose.learning.training import (
    EpochReport,
    Trainer,
    TrainingRows,
    TrainingWatch,
    balanced_class_weights,
    one_torch_thread,
)
from superpose.learning.verdicts import SeenCases

__all__ = ["ExperimentResult", "run_experiment", "train_on_splits"]

OnEvent = Callable[[str, dict[str, Any]], None]

_PROGRESS_EVERY_S = 0.25
"""Progress events come at most this often, and after every unit."""

_BASELINE = "baseline"
_MAX_FINDINGS = 10
_NETWORK = "network.safetensors"
_PROBABILITIES = "probabilities.safetensors"


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment leaves.

    Attributes:
        evaluation: all models' figures over the splits, the comparisons and the verdict; JSON values.
        model_path: the model file of the registered model, the hybrid model of the first split.
        model_digest: its digest.
    """

    evaluation: dict[str, Any]
    model_path: Path
    model_digest: str


def run_experiment(  # noqa: PLR0913  # what to do, where, and who looks on
    spec: TrainingSpec,
    table: Table,
    directory: Path,
    *,
    on_event: OnEvent = lambda kind, data: None,
    should_stop: Callable[[], bool] = lambda: False,
    recipe: Recipe | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_submit: Callable[[], None] = lambda: None,
    on_queued: Callable[[str], None] = lambda provider_job_id: None,
) -> ExperimentResult:
    """Train and judge as the spec says, durably.

    Args:
        spec: what to do.
        table: the data; features may have missing values and categories.
        directory: the run's own directory, made if absent; call again with the same arguments to continue in it.
        on_event: receives ("progress", {...}), ("metric", {...}) and ("log", {...}).
        should_stop: when it says yes, the run saves a checkpoint and raises `Stopped`.
        recipe: what networks are trained; by default those of the spec's circuit.
        provenance: what else the model file is to say of the model's making, such as the sweep that chose its spec.
        on_submit: called before a program is handed over to the spec's backend; what it raises prevents that and ends
            this call.
        on_queued: called with the provider's id of a program whose result a backend does not have yet, before a pause;
            what it raises ends this call, and the same call continues later.

    Raises:
        Stopped: on request; the same call continues.
        ProviderError: the spec's backend has failed for good; the same call continues.
        SpecError: the spec does not fit the data.
        StateTooLargeError: the circuit needs more memory than allowed.
        CheckpointError: the directory holds another run.
        DatasetTooSmallError: a class has too few rows to split.
        TrainingDivergedError: a loss is no longer finite.

    Cost: ``n_splits * (1 + number of controls)`` trainings of at most ``epochs`` passes over the training rows.
    """
    admit(spec, table)
    directory.mkdir(parents=True, exist_ok=True)
    own = CircuitRecipe(spec)
    run = _Run(spec, table, directory, on_event, should_stop, recipe or own, dict(provenance or {}))
    run.on_submit, run.on_queued = on_submit, on_queued
    run.claim_directory()
    run.check_columns()
    # Small matrices gain nothing from BLAS threads, and beside other processes they lose a factor of ten.
    with contextlib.closing(own), one_torch_thread(), threadpool_limits(1):
        return run.finish(run.results())


def train_on_splits(  # noqa: PLR0913  # as run_experiment
    spec: TrainingSpec,
    table: Table,
    splits: list[Split],
    directory: Path,
    *,
    on_event: OnEvent = lambda kind, data: None,
    should_stop: Callable[[], bool] = lambda: False,
    go_on: Callable[[list[dict[str, Any]]], bool] = lambda done: True,
    recipe: Callable[[TrainingSpec], Recipe] = CircuitRecipe,
    on_queued: Callable[[str], None] = lambda provider_job_id: None,
) -> list[dict[str, Any]]:
    """Train the hybrid model alone, without controls or baseline, on splits of one's own; durable as `run_experiment`.

    Args:
        spec, table, directory, on_event, should_stop, on_queued: as for `run_experiment`.
        splits: which rows train, stop early, and measure.
        go_on: asked after each split with the results so far; False leaves out the rest.
        recipe: makes what trains the networks of a spec.

    Returns:
        For each split done: "metrics" on its test rows, "n_params", "n_epochs" and "best_epoch".

    Raises:
        Stopped, SpecError, StateTooLargeError, CheckpointError, TrainingDivergedError: as `run_experiment`.
    """
    admit(spec, table)
    directory.mkdir(parents=True, exist_ok=True)
    run = _Run(spec, table, directory, on_event, should_stop, recipe(spec), given_splits=splits, only=("hybrid",))
    run.on_queued = on_queued
    run.claim_directory()
    results: list[dict[str, Any]] = []
    with one_torch_thread(), threadpool_limits(1):
        for number in range(len(splits)):
            results.append(_Unit(run, _SplitData(run, number), "hybrid", number).result())
            if not go_on(results):
                break
    return results


@dataclass
class _Run:
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
        baseline = () if self.spec.evaluation.baseline == "none" else (_BASELINE,)
        return ("hybrid", *self.spec.evaluation.controls, *baseline)

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
    def features(self) -> Table:
        """The table without the columns that are no features."""
        return feature_table(self.spec, self.table)

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
            for finding in check_splits(self.table, self.features, self.splits)[:_MAX_FINDINGS]:
                self.on_event("log", {"message": finding.message, "finding": finding.to_dict()})
            if self.only is None and (warning := self.recipe.warning()) is not None:
                self.on_event("log", {"message": warning})
            write_sealed_json(path, mine)

    def check_columns(self) -> None:
        """Make sure that every split has columns that the recipe can take."""
        for split in range(len(self.splits)):
            self.recipe.check_columns(_SplitData(self, split).preprocessor.n_encoded)

    def results(self) -> list[dict[str, dict[str, Any]]]:
        """Result of every unit, by split and variant; those that have one on disk are not done again."""
        rows: list[dict[str, dict[str, Any]]] = []
        for split in range(len(self.splits)):
            data = _SplitData(self, split)
            row = {}
            for place, variant in enumerate(self.variants):
                done = split * len(self.variants) + place
                row[variant] = _Unit(self, data, variant, done).result()
            rows.append(row)
        return rows

    def cases(self, rows: list[dict[str, dict[str, Any]]]) -> SeenCases:
        """What every variant says about each test case, in the first split that tests it."""
        places, first = np.unique(np.concatenate([split.test for split in self.splits]), return_index=True)
        said: dict[str, list[NDArray[np.float64]]] = {variant: [] for variant in self.variants}
        for number, row in enumerate(rows):
            data = _SplitData(self, number)
            for variant in self.variants:
                said[variant].append(_Unit(self, data, variant, 0).probabilities(row[variant]))
        together = self.spec.split.kind in ("grouped", "k_fold") and self.spec.split.column is not None
        return SeenCases(
            self.classes[places],
            {variant: np.concatenate(parts)[first] for variant, parts in said.items()},
            groups=np.unique(split_keys(self.spec, self.table), return_inverse=True)[1][places] if together else None,
            positive=positive_class(self.spec, self.table),
            seed=self.spec.training.seed,
            places=places,
        )

    def unit_directory(self, split: int, variant: str) -> Path:
        """Where a unit keeps its files."""
        return self.directory / "units" / f"split-{split:03d}" / variant

    def progress(self, done_units: float, facts: Mapping[str, Any], *, always: bool = False) -> None:
        """Report how far the run is; ``done_units`` counts the current unit by its share."""
        now = time.monotonic()
        if not always and now - self.reported < _PROGRESS_EVERY_S:
            return
        self.reported = now
        fraction = done_units / (len(self.splits) * len(self.variants))
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

    def finish(self, rows: list[dict[str, dict[str, Any]]]) -> ExperimentResult:
        """Compare, and write the model file."""
        split, cases = self.splits[0], self.cases(rows)
        evaluation = summarise(
            self.spec.evaluation,
            rows,
            # validation rows fit no weight: the wider interval
            test_over_train=max(len(s.test) / len(s.train) for s in self.splits),
            positive=self.table.classes[positive_class(self.spec, self.table)]
            if len(self.table.classes) == 2
            else None,
            subject=self.recipe.subject,
            cases=cases,
        )
        chosen = self.spec.evaluation
        evaluation["subgroups"] = subgroup_report(chosen.subgroups, self.table, cases, chosen.confidence)
        measured = rows[0]["hybrid"].get("measured")
        if measured is not None:
            evaluation["measured"] = {**measured, "in_all": _in_all(rows)}
        data = _SplitData(self, 0)
        model = self.recipe.model(_Unit(self, data, "hybrid", 0).network(), data.preprocessor, self.table.classes)
        facts = ModelFacts(
            evaluation=evaluation,
            data=data_facts(self.spec, self.table, self.features, split),
            provenance=self._provenance(measured),
            baseline=drift_baseline(self.features, split.train),
        )
        content, digest = encode_model(model, facts)
        path = self.directory / "model.superpose"
        write_atomically(path, content)
        self.on_event("log", {"message": evaluation["verdict"]})
        return ExperimentResult(evaluation, path, digest)

    def _provenance(self, measured: Mapping[str, Any] | None) -> dict[str, Any]:
        """What made the model; no clock and no host, so that equal runs give equal files."""
        return {
            "spec_digest": self.spec.digest,
            "dataset_digest": self.table.digest,
            "split": 0,
            "versions": {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__},
            **({"backend": "local"} if measured is None else {"backend": measured["backend"], "measured": measured}),
            **self.recipe.provenance(self.spec),
            **self.made_by,
        }


def _in_all(rows: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """What all units of an experiment took on the backend."""
    units = [unit["measured"] for row in rows for unit in row.values() if "measured" in unit]
    counts = ("shots_spent", "n_circuits", "n_submissions")
    found: dict[str, Any] = {name: sum(unit[name] for unit in units) for name in counts}
    costs = [unit["cost_usd"] for unit in units if "cost_usd" in unit]
    return {**found, "cost_usd": sum(costs)} if len(costs) == len(units) else found


@dataclass
class _SplitData:
    """The rows of one split, preprocessed on first use."""

    run: _Run
    number: int

    @property
    def split(self) -> Split:
        """Places of its rows."""
        return self.run.splits[self.number]

    @property
    def seed(self) -> int:
        """Seed of everything random in this split; the same for all variants, which makes them pairs."""
        return int(np.random.SeedSequence([self.run.spec.training.seed, self.number]).generate_state(1)[0])

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """Learnt from the training rows."""
        return self._preprocessor(self.split.train)

    def _preprocessor(self, places: NDArray[np.int64]) -> Preprocessor:
        table = self.run.features
        names, kinds = [c.name for c in table.columns], [c.kind for c in table.columns]
        return Preprocessor.fit(table.features.iloc[places], names, kinds, self.run.spec.preprocessing)

    @cached_property
    def encoded(self) -> NDArray[np.float64]:
        """All rows of the table, ``(n_rows, n_columns)``."""
        return self.preprocessor.transform(self.run.features.features)

    @cached_property
    def encoded_for_baseline(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All rows, preprocessed as learnt from training and validation rows, and the places of those."""
        places = np.sort(np.concatenate([self.split.train, self.split.validation]))
        return self._preprocessor(places).transform(self.run.features.features), places

    def rows(self, places: NDArray[np.int64]) -> TrainingRows:
        """Rows as the trainer takes them."""
        return TrainingRows.from_arrays(self.encoded[places], self.run.classes[places])


@dataclass
class _Unit:
    """One variant on one split."""

    run: _Run
    data: _SplitData
    variant: str
    units_before: int

    @property
    def _directory(self) -> Path:
        return self.run.unit_directory(self.data.number, self.variant)

    @property
    def _store(self) -> CheckpointStore:
        identity = {"split": self.data.number, "variant": self.variant, "torch": torch.__version__}
        return CheckpointStore(self._directory / "checkpoint", identity)

    @property
    def _keeps_network(self) -> bool:
        """The hybrid model of the first split becomes the registered model."""
        return self.variant == "hybrid" and self.data.number == 0

    def result(self) -> dict[str, Any]:
        """The unit's result, from disk or by doing the work; damaged files are made anew."""
        path = self._directory / "result.json"
        try:
            found = read_sealed_json(path)
            if found is not None:
                self.probabilities(found)
            if found is not None and self._keeps_network:
                self._saved_network(found)
        except CheckpointError as error:
            self._log(f"{error.message}; this unit is done again")
            shutil.rmtree(self._directory, ignore_errors=True)
            found = None
        if found is not None:
            return found
        self._directory.mkdir(parents=True, exist_ok=True)
        result = self._baseline() if self.variant == _BASELINE else self._trained()
        write_sealed_json(path, result)
        self._store.clear()
        shutil.rmtree(self._store.directory, ignore_errors=True)  # results of a backend that came since
        facts = {"split": self.data.number, "variant": self.variant}
        self.run.on_event("metric", {**facts, "metrics": result["metrics"]})
        self.run.progress(self.units_before + 1, {**facts, "epoch": result["n_epochs"]}, always=True)
        return result

    def network(self) -> nn.Module:
        """The trained network, of the unit that keeps it."""
        found = read_sealed_json(self._directory / "result.json")
        if found is None:
            raise CheckpointError(f"the result of {self.variant} on split {self.data.number} is gone; run again")
        return self._saved_network(found)

    def probabilities(self, result: Mapping[str, Any]) -> NDArray[np.float64]:
        """What the unit's model says about the test rows of its split, ``(n_test, n_classes)``.

        Raises:
            CheckpointError: the file is damaged or gone.
        """
        content = self._kept(_PROBABILITIES, result.get("probabilities_sha256"), "the test rows' probabilities are")
        return safetensors.numpy.load(content)["probabilities"]

    def _log(self, message: str) -> None:
        self.run.on_event("log", {"message": message, "split": self.data.number, "variant": self.variant})

    def _judged(self, predicted: NDArray[np.float64]) -> dict[str, Any]:
        """The metrics of what a model says about the test rows, and the digest of the file that keeps it."""
        truth = self.run.classes[self.data.split.test]
        content = safetensors.numpy.save({"probabilities": np.ascontiguousarray(predicted, dtype=np.float64)})
        write_atomically(self._directory / _PROBABILITIES, content)
        return {
            "metrics": evaluate(truth, predicted, positive_class(self.run.spec, self.run.table)),
            "probabilities_sha256": digest_bytes(content),
        }

    def _baseline(self) -> dict[str, Any]:
        encoded, places = self.data.encoded_for_baseline
        found = BASELINES[self.run.spec.evaluation.baseline](
            encoded[places],
            self.run.classes[places],
            encoded[self.data.split.test],
            class_weights=self.run.class_weights(self.run.classes[places]),
            seed=self.data.seed,
        )
        return {
            **self._judged(found.probabilities),
            "n_params": found.n_params,
            "n_trainable": found.n_params,
            "n_epochs": 0,
            **found.facts,
        }

    def _new_network(self) -> nn.Module:
        shape = NetworkShape(self.data.preprocessor.n_encoded, len(self.run.table.classes))
        return self.run.recipe.network(shape, self.variant, self.data.seed)

    def _trained(self) -> dict[str, Any]:
        network, split = self._new_network(), self.data.split
        measurer = self.run.recipe.measurer(network, len(split.train), self.data.seed)
        if measurer is not None:
            quantum_layer_of(network).measured_by(measurer)
        trainer = Trainer(
            network,
            self.data.rows(split.train),
            self.data.rows(split.validation),
            self.run.spec.training,
            n_classes=len(self.run.table.classes),
            generator=torch.Generator().manual_seed(self.data.seed + 1),
            class_weights=self.run.class_weights(self.run.classes[split.train]),
            measurer=measurer,
        )
        watch = TrainingWatch(
            on_epoch=self._on_epoch,
            should_stop=self.run.should_stop,
            store=self._store,
            on_submit=self.run.on_submit,
            on_queued=self.run.on_queued,
            on_retry=lambda message: self._log(f"{message} Tried again."),
        )
        try:
            trainer.run(watch)
        except CheckpointError as error:
            self._log(f"{error.message}; this unit starts over")
            self._store.clear()
            return self._trained()
        n_params, n_trainable = count_parameters(network)
        evaluator = None
        if measurer is not None and measurer.evaluates:
            evaluator = measurer
            measurer.begin_evaluation("test")
        result: dict[str, Any] = {
            **self._judged(self.run.recipe.probabilities(network, self.data.encoded[split.test], evaluator)),
            "n_params": n_params,
            "n_trainable": n_trainable,
            "n_epochs": len(trainer.history),
            "best_epoch": trainer.best_epoch,
        }
        if measurer is not None:
            result["measured"] = measurer.facts()
        if self._keeps_network:
            content = safetensors.torch.save(network.state_dict())
            write_atomically(self._directory / _NETWORK, content)
            result["network_sha256"] = digest_bytes(content)
        return result

    def _on_epoch(self, report: EpochReport) -> None:
        share = report.epoch / self.run.spec.training.epochs
        facts = {
            "split": self.data.number,
            "variant": self.variant,
            "epoch": report.epoch,
            "loss": report.loss,
            "validation_loss": report.validation_loss,
            "validation_accuracy": report.validation_accuracy,
        }
        self.run.progress(self.units_before + share, facts)

    def _saved_network(self, result: Mapping[str, Any]) -> nn.Module:
        content = self._kept(_NETWORK, result.get("network_sha256"), "the trained network is")
        network = self._new_network()
        network.load_state_dict(safetensors.torch.load(content))
        return network

    def _kept(self, name: str, digest: str | None, what: str) -> bytes:
        """Bytes of a file that the unit left, held against its digest."""
        try:
            content = (self._directory / name).read_bytes()
        except FileNotFoundError:
            content = b""
        if digest_bytes(content) != digest:
            raise CheckpointError(f"{what} damaged or gone")
        return content
