"""Whether chest X-rays help with breast ultrasound: the template's hybrid model carried on, few labels.

Parents are the hybrid models of a run of ``superpose train pneumonia`` (seeds 0 to 9 take turns), children learn from
20 or 80 pictures of BreastMNIST's training and validation parts; its test part stays closed. Beside each child the
same network is trained from scratch on the same pictures, with the same epochs, batch, rate and class weights, as
`superpose train --from` does it: no augmentation. Two ways to carry over: all blocks trained, and features frozen.
`draws.py` has the two designs: random draws out of these patients, and training sets without a common picture, for new
patients.

Registered before it ran (`REGISTERED`; the digest stands in the results), settings included, which were not tuned. The
intervals of each design hold together at 95 % over its cases (Bonferroni).

All of it was undecided but for one case without a gain that matters. `SECOND` was registered when that was known and
before any of its own draws: the case with the largest gain of these patients, on other draws, as many as can tell such
a gain from none (standard deviation of a difference 0.11). Its interval stands alone; no draw of the first is in it.

``python benchmarks/fine_tuning_pictures.py --parents RUN [--data FILE] [--second] [--save] [--json]``; what is trained
is kept in ``--work`` and not trained again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from draws import Gain, disjoint_sets, drawn, new_patients, outcome_of, these_patients
from harness import environment_facts, print_json, print_table, say
from results import RESULTS, Results, sources_key
from superpose.datasets.picture_sets import groups_of_equals, read_pictures
from superpose.learning import ModelFacts, read_model
from superpose.learning.class_weights import class_weights_of
from superpose.learning.fine_tuning.modules import ModuleFineTuning, plan_module_fine_tuning
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.fine_tuning.spec import FineTuneSpec
from superpose.learning.modules.network import ModuleNetwork, module_outputs
from superpose.learning.rows import ColumnNames
from superpose.learning.spec import TrainingOptions
from superpose.learning.templates.pneumonia import PRESETS, picture_columns
from superpose.learning.templates.pneumonia.fitting import build
from superpose.learning.templates.pneumonia.serving import save_model
from superpose.learning.training import Trainer, TrainingRows

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "health" / "breastmnist" / "breastmnist.npz"

REGISTERED: dict[str, Any] = {
    "labels": [20, 80],
    "carriers": {"all blocks trained": [], "features frozen": ["features"]},
    "draws": 10,
    "training_share": 0.5,
    "n_parents": 10,
    "training": {"epochs": 25, "batch_size": 16, "learning_rate": 0.003, "class_weights": "balanced"},
    "confidence": 0.95,
    "margin": 0.02,
}
SECOND: dict[str, Any] = {
    "labels": 80,
    "carrier": "all blocks trained",
    "design": "these patients",
    "draws": 60,
    "begun_by": [3, 80],
    "first": hashlib.sha256(json.dumps(REGISTERED, sort_keys=True).encode()).hexdigest(),
}
"""What is not said here is as in `REGISTERED`."""

DESIGNS = ("new patients", "these patients")
N_CASES = len(REGISTERED["labels"]) * len(REGISTERED["carriers"])
SCRATCH = "from scratch"


class _Trainings:
    """Every network of the benchmark, trained once: its scores of all pictures are kept on disk."""

    def __init__(self, parents: Path, data: Path, work: Path) -> None:
        self._parents, self._work = parents, work
        found = read_pictures(data, side=28)
        known = [found.parts[part] for part in ("train", "val")]  # the test part stays closed
        pixels = np.concatenate([part.pixels for part in known])
        _, first = np.unique(groups_of_equals(pixels), return_index=True)
        self.pixels = pixels[np.sort(first)].astype(np.float64)
        self.codes = np.concatenate([part.labels for part in known])[np.sort(first)]
        self.labels = np.array([f"breast {code}" for code in self.codes])
        self._options = TrainingOptions(**REGISTERED["training"])

    def scores(
        self, known: np.ndarray, tests: np.ndarray, seed: int, name: str, registered: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """By carrier and from scratch, logits of the second class for the pictures that test, ``(n_tests,)``."""
        digest = hashlib.sha256(json.dumps([registered, known.tolist(), seed]).encode()).hexdigest()[:16]
        file = self._work / f"{digest}.npz"
        if not file.exists():
            say(f"{name}, {seed}")
            carriers = {name: REGISTERED["carriers"][name] for name in _carriers(registered)}
            plans = {name: self._plan(seed, freeze) for name, freeze in carriers.items()}
            found = {name: self._trained(plan, known, tests, seed) for name, plan in plans.items()}
            found[SCRATCH] = self._trained(next(iter(plans.values())), known, tests, seed, scratch=True)
            part = file.with_suffix(".part.npz")
            np.savez(part, **found)
            part.replace(file)
        with np.load(file) as kept:
            return {name: kept[name] for name in kept.files}

    def _plan(self, seed: int, freeze: list[str]) -> ModuleFineTuning:
        parent = self._parent(seed % REGISTERED["n_parents"])
        columns = ColumnNames(picture_columns(28), ("number",) * 784)
        section = FineTuneSpec(parent=parent.name, freeze=tuple(freeze))
        return plan_module_fine_tuning(section, parent, columns, np.unique(self.labels).tolist())

    def _parent(self, seed: int) -> Parent:
        if seed not in self._read:
            network = build(PRESETS["chest"].hybrid, "hybrid", 28, seed)
            network.load_state_dict(load_file(self._parents / f"hybrid-{seed}.safetensors"))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.superpose"
                save_model(path, network.eval(), 0.0, ("normal", "pneumonia"), ModelFacts())
                self._read[seed] = Parent.from_file(read_model(path), f"chest, seed {seed}")
        return self._read[seed]

    @cached_property
    def _read(self) -> dict[int, Parent]:
        return {}

    def _trained(
        self, plan: ModuleFineTuning, known: np.ndarray, tests: np.ndarray, seed: int, *, scratch: bool = False
    ) -> np.ndarray:
        network = (
            ModuleNetwork(plan.from_scratch(seed)) if scratch else ModuleNetwork(plan.begun(seed), still=plan.still)
        )
        codes = self.codes[known]
        trainer = Trainer(
            network,
            TrainingRows.from_arrays(self.pixels[known], codes),
            None,
            self._options,
            n_classes=2,
            generator=torch.Generator().manual_seed(seed),
            class_weights=class_weights_of("balanced", np.arange(2), codes),
        )
        trainer.run(None)
        outputs = module_outputs(network.eval(), self.pixels[tests])
        return outputs[:, 1] - outputs[:, 0]


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc_score(truth, scores))


def _case(trainings: _Trainings, n_labels: int, design: str) -> list[dict[str, Any]]:
    """The rows of one size and design, one for each carrier."""
    confidence, truth = 1.0 - (1.0 - REGISTERED["confidence"]) / N_CASES, trainings.codes == 1
    if design == "new patients":
        rng = np.random.default_rng([2, n_labels])
        sets, cases = disjoint_sets(trainings.labels, n_labels, REGISTERED["training_share"], rng)
        tests = [cases] * len(sets)
    else:
        rngs = [np.random.default_rng([1, n_labels, seed]) for seed in range(REGISTERED["draws"])]
        sets = [drawn(trainings.labels, n_labels, rng) for rng in rngs]
        tests = [np.setdiff1d(np.arange(len(truth)), known) for known in sets]
    name = f"{n_labels} labels, {design}"
    pairs = list(zip(sets, tests, strict=True))
    scores = [trainings.scores(known, own, seed, name, REGISTERED) for seed, (known, own) in enumerate(pairs)]
    rows = []
    for carrier in REGISTERED["carriers"]:
        tuned, plain = _aucs(scores, [truth[own] for own in tests], carrier)
        if design == "new patients":
            own, others = (np.array([one[name] for one in scores]) for name in (carrier, SCRATCH))
            gain = new_patients(own, others, truth[cases], confidence)
        else:
            gain = these_patients(tuned - plain, confidence)
        rows.append(_row(f"{carrier}, {n_labels} labels, {design}", carrier, n_labels, design, gain, tuned, plain))
    return rows


def _second(trainings: _Trainings) -> dict[str, Any]:
    """The row of what was registered second."""
    n_labels, carrier, design = SECOND["labels"], SECOND["carrier"], SECOND["design"]
    truth, sets, scores = trainings.codes == 1, [], []
    for seed in range(SECOND["draws"]):
        known = drawn(trainings.labels, n_labels, np.random.default_rng([*SECOND["begun_by"], seed]))
        tests = np.setdiff1d(np.arange(len(truth)), known)
        scores.append(trainings.scores(known, tests, seed, f"{n_labels} labels, {design}, registered second", SECOND))
        sets.append(truth[tests])
    tuned, plain = _aucs(scores, sets, carrier)
    gain = these_patients(tuned - plain, REGISTERED["confidence"])
    case = f"{carrier}, {n_labels} labels, {design}, registered second"
    return {
        **_row(case, carrier, n_labels, f"{design} (registered second)", gain, tuned, plain),
        "registered": hashlib.sha256(json.dumps(SECOND, sort_keys=True).encode()).hexdigest(),
    }


def _carriers(registered: dict[str, Any]) -> list[str]:
    return list(registered["carriers"]) if "carriers" in registered else [registered["carrier"]]


def _aucs(scores: list[dict[str, np.ndarray]], truths: list[np.ndarray], carrier: str) -> np.ndarray:
    """AUC by draw, fine-tuned and from scratch, ``(2, n_draws)``."""
    return np.array([[_auc(t, s[n]) for s, t in zip(scores, truths, strict=True)] for n in (carrier, SCRATCH)])


def _row(  # one parameter per part of a row
    case: str, carrier: str, n_labels: int, design: str, gain: Gain, tuned: np.ndarray, plain: np.ndarray
) -> dict[str, Any]:
    return {
        "case": case,
        "carrier": carrier,
        "labels": n_labels,
        "design": design,
        **asdict(gain),
        "tuned": float(tuned.mean()),
        "from_scratch": float(plain.mean()),
        "better": int((tuned > plain).sum()),
        "outcome": outcome_of(gain, REGISTERED["margin"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parents", type=Path, required=True, help="directory of a run of the pneumonia template")
    parser.add_argument("--data", type=Path, default=DATA, help="breastmnist.npz")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "superpose-fine-tuning-pictures")
    parser.add_argument("--second", action="store_true", help="also what was registered second, 60 draws")
    parser.add_argument("--save", action="store_true", help="write results/fine_tuning_pictures.json")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    digest = hashlib.sha256(json.dumps(REGISTERED, sort_keys=True).encode()).hexdigest()
    path = RESULTS / "fine_tuning_pictures.json" if args.save else None
    results = Results(path, environment_facts(1, registered=digest), sources_key(digest))
    trainings = _Trainings(args.parents, args.data, args.work)
    for n_labels in REGISTERED["labels"]:
        for design in DESIGNS:
            for row in _case(trainings, n_labels, design):
                results.add(row, {})
    if args.second:
        results.add(_second(trainings), {})
    rows = results.rows()
    if args.json:
        print_json(results.environment, rows)
        return
    print_table(
        "Chest X-rays carried on to breast ultrasound: AUC on pictures without labels",
        rows,
        {
            "carried over": lambda row: row["carrier"],
            "labels": lambda row: str(row["labels"]),
            "design": lambda row: f"{row['design']}, {row['n']}",
            "from scratch": lambda row: f"{row['from_scratch']:.3f}",
            "fine-tuned": lambda row: f"{row['tuned']:.3f}",
            "gain": lambda row: f"{row['mean']:+.3f}",
            "interval": lambda row: f"{row['low']:+.3f} to {row['high']:+.3f}",
            "better in": lambda row: f"{row['better']} of {row['n']}",
            "outcome": lambda row: row["outcome"],
        },
        ["The intervals of a design hold together at 95 % (Bonferroni)."],
    )


if __name__ == "__main__":
    main()
