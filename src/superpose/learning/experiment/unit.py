"""One unit of an experiment: one variant on one split, its work and the files that it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from superpose.errors import CheckpointError
from superpose.learning.admission import positive_class
from superpose.learning.baseline import BASELINES
from superpose.learning.canonical import digest_bytes, write_atomically
from superpose.learning.checkpoint import CheckpointStore, read_sealed_json, write_sealed_json
from superpose.learning.experiment.fitting import Trained, chosen_of, settings_of
from superpose.learning.experiment.run import BASELINE, Run
from superpose.learning.experiment.split_data import SplitData
from superpose.learning.metrics import evaluate
from superpose.learning.network import NetworkShape, count_parameters, quantum_layer_of
from superpose.learning.spec import TrainingOptions
from superpose.learning.splitting import split_keys
from superpose.learning.training import EpochReport, Trainer, TrainingWatch

if TYPE_CHECKING:
    from superpose.learning.privacy.accounting import PrivacyPlan

__all__ = ["Unit"]

_NETWORK = "network.safetensors"
_PROBABILITIES = "probabilities.safetensors"


@dataclass
class Unit:
    """One variant on one split."""

    run: Run
    data: SplitData
    variant: str
    units_before: int
    seed_number: int = 0

    @property
    def _directory(self) -> Path:
        return self.run.unit_directory(self.data.number, self.variant, self.seed_number)

    @property
    def _seed(self) -> int:
        return self.data.seed(self.seed_number)

    @property
    def _place(self) -> dict[str, Any]:
        """Where events say that they come from."""
        seed = {"seed": self.seed_number} if self.run.n_seeds > 1 else {}
        return {"split": self.data.number, "variant": self.variant, **seed}

    @property
    def _store(self) -> CheckpointStore:
        identity = {"split": self.data.number, "variant": self.variant, "torch": torch.__version__}
        if self.seed_number:
            identity["seed"] = self.seed_number
        return CheckpointStore(self._directory / "checkpoint", identity)

    @property
    def _keeps_network(self) -> bool:
        """The hybrid model of the first split and seed becomes the registered model."""
        return self.variant == "hybrid" and self.data.number == 0 and self.seed_number == 0

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
        result = self._baseline() if self.variant == BASELINE else self._trained()
        write_sealed_json(path, result)
        self._store.clear()
        shutil.rmtree(self._store.directory, ignore_errors=True)  # results of a backend that came since
        for left in self._directory.glob("trial-*.*"):
            left.unlink()
        facts = self._place
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
        self.run.on_event("log", {"message": message, **self._place})

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
            seed=self._seed,
            n_settings=self.run.n_trials or None,
            groups=None if self.run.groups is None else self.run.groups.members[places],
        )
        return {
            **self._judged(found.probabilities),
            "n_params": found.n_params,
            "n_trainable": found.n_params,
            "n_epochs": 0,
            **found.facts,
        }

    def _new_network(self) -> nn.Module:
        preprocessor = self.data.preprocessor
        shape = NetworkShape(preprocessor.n_encoded, len(self.run.table.classes), preprocessor.encoded_names)
        return self.run.recipe.network(shape, self.variant, self._seed)

    def _trained(self) -> dict[str, Any]:
        found, chosen = self._fitted()
        n_params, n_trainable = count_parameters(found.network)
        evaluator = None
        if found.measurer is not None and found.measurer.evaluates:
            evaluator = found.measurer
            evaluator.begin_evaluation("test")
        encoded = self.data.encoded[self.data.split.test]
        result: dict[str, Any] = {
            **self._judged(self.run.recipe.probabilities(found.network, encoded, evaluator)),
            "n_params": n_params,
            "n_trainable": n_trainable,
            "n_epochs": found.n_epochs,
            "best_epoch": found.best_epoch,
            "curve": found.curve,
            **chosen,
        }
        if found.measurer is not None:
            result["measured"] = found.measurer.facts()
        if found.plan is not None:
            result["privacy"] = found.plan.facts(self._largest_group())
        if self._keeps_network:
            content = safetensors.torch.save(found.network.state_dict())
            write_atomically(self._directory / _NETWORK, content)
            result["network_sha256"] = digest_bytes(content)
        return result

    def _fitted(self) -> tuple[Trained, dict[str, Any]]:
        """The trained network, and what is told about a search for its setting."""
        n_trials = self.run.n_trials
        if n_trials <= 1:
            return self._train(self.run.spec.training, self._store), {"n_settings": n_trials} if n_trials else {}
        settings = settings_of(self.run.spec.training, n_trials)

        def train(number: int, store: CheckpointStore) -> Trained:
            return self._train(settings[number], store, number)

        found, setting = chosen_of(settings, self._directory, train, self._new_network)
        return found, {"n_settings": n_trials, "setting": setting}

    def _train(self, options: TrainingOptions, store: CheckpointStore, trial: int = 0) -> Trained:
        network, split = self._new_network(), self.data.split
        measurer = self.run.recipe.measurer(network, len(split.train), self._seed)
        if measurer is not None:
            quantum_layer_of(network).measured_by(measurer)
        plan = self._privacy_plan()
        trainer = Trainer(
            network,
            self.data.rows(split.train),
            self.data.rows(split.validation),
            options,
            n_classes=len(self.run.table.classes),
            generator=torch.Generator().manual_seed(self._seed + 1),
            class_weights=self.run.class_weights(self.run.classes[split.train]),
            measurer=measurer,
            privacy=plan,
            rate_factors=self._rate_factors(network),
        )
        watch = TrainingWatch(
            on_epoch=lambda report: self._on_epoch(report, trial),
            should_stop=self.run.should_stop,
            store=store,
            on_submit=self.run.on_submit,
            on_queued=self.run.on_queued,
            on_retry=lambda message: self._log(f"{message} Tried again."),
        )
        try:
            trainer.run(watch)
        except CheckpointError as error:
            self._log(f"{error.message}; this unit starts over")
            store.clear()
            return self._train(options, store, trial)
        return Trained.by(trainer, measurer, plan)

    def _rate_factors(self, network: nn.Module) -> dict[str, float]:
        """By parameter, of the fine-tuned model; the controls train at the common rate."""
        fine_tuning = self.run.recipe.fine_tuning
        if fine_tuning is None or self.variant != "hybrid":
            return {}
        return fine_tuning.rate_factors(network, self.run.spec.training.learning_rate)

    def _privacy_plan(self) -> PrivacyPlan | None:
        """Noise and rows of the steps, where the spec has an epsilon."""
        spec = self.run.spec
        if spec.privacy.epsilon is None:
            return None
        from superpose.learning.privacy.accounting import plan_privacy  # Opacus takes a second to load

        options = spec.training
        return plan_privacy(spec.privacy, len(self.data.split.train), options.batch_size, options.epochs)

    def _largest_group(self) -> int:
        """Training rows of the patient who has most of them, where the split keeps patients together; else 1."""
        spec = self.run.spec.split
        if spec.column is None or spec.kind not in ("grouped", "k_fold"):
            return 1
        keys = split_keys(self.run.spec, self.run.table)[self.data.split.train]
        return int(np.unique(keys, return_counts=True)[1].max())

    def _on_epoch(self, report: EpochReport, trial: int = 0) -> None:
        share = (trial + report.epoch / self.run.spec.training.epochs) / max(1, self.run.n_trials)
        facts = {
            **self._place,
            "epoch": report.epoch,
            "loss": None if self.run.spec.privacy.epsilon is not None else report.loss,  # which no epsilon covers
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
