"""Whether a model that was trained on some patients helps with others of whom few labels are known.

A hybrid model is trained on heart disease (Cleveland) and carried over to hepatitis, one of men with heart disease to
women, and one of women to men. Of the new patients 10, 20 or 40 have labels. Beside it the same model is trained from
scratch on the same rows, with the same epochs, batch and seed: a pair. All blocks are trained; what is kept is what
``auto`` keeps. `draws.py` has the two designs: random draws out of these patients, and training sets without a common
row, for new patients.

Registered before it ran (`REGISTERED`; the digest stands in the results): the numbers below, one carrier, ten parents
with seeds 0 to 9 that take turns, and the words for what an interval decides. The intervals of each design hold
together at 95 % over its cases (Bonferroni). An earlier benchmark of overlapping draws (20 each, the same tables
without women to men) had been seen before: heart -> hepatitis +.030, -.003, -.031, men -> women +.104, +.061, +.071,
all undecided.

``python benchmarks/fine_tuning.py [--save] [--json]``
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from draws import Gain, disjoint_sets, drawn, new_patients, outcome_of, these_patients
from harness import environment_facts, print_json, print_table, say
from results import RESULTS, Results, sources_key
from superpose import HybridClassifier

TABLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "health" / "tables"
Rows = tuple[pd.DataFrame, np.ndarray]

REGISTERED: dict[str, Any] = {
    "pairs": ["heart -> hepatitis", "heart, men -> women", "heart, women -> men"],
    "labels": [10, 20, 40],
    "draws": 1000,
    "training_share": 0.5,
    "n_parents": 10,
    "carrier": "all blocks trained",
    "confidence": 0.95,
    "margin": 0.02,
}
_LEAST_SETS = 3
N_CASES = len(REGISTERED["pairs"]) * len(REGISTERED["labels"])


def _heart(folder: Path) -> Rows:
    frame = pd.read_csv(folder / "heart_cleveland.csv", na_values="?")
    return frame.drop(columns="num"), np.where(frame["num"] > 0, "ill", "healthy")


def _hepatitis(folder: Path) -> Rows:
    frame = pd.read_csv(folder / "hepatitis.csv", na_values="?")
    frame["sex"] = (frame["sex"] == 1).astype(float)  # 1 is male here, as 1 is in the other table
    return frame.drop(columns="class"), np.where(frame["class"] == 1, "dies", "lives")


def _site(folder: Path, sex: float) -> Rows:
    """Heart disease of one sex: the same columns, other patients."""
    rows, labels = _heart(folder)
    chosen = (rows["sex"] == sex).to_numpy()
    return rows[chosen].reset_index(drop=True), labels[chosen]


def _tables(pair: str, folder: Path) -> tuple[Rows, Rows]:
    if pair == "heart -> hepatitis":
        return _heart(folder), _hepatitis(folder)
    women, men = _site(folder, 0.0), _site(folder, 1.0)
    return (men, women) if pair == "heart, men -> women" else (women, men)


class _Pairs:
    """Both models of a pair, trained on some rows and scoring others."""

    def __init__(self, source: Rows, target: Rows) -> None:
        self.rows, self.labels = target
        self.positive = np.unique(self.labels)[1]
        self._parents = [HybridClassifier(random_state=i).fit(*source) for i in range(REGISTERED["n_parents"])]

    def scores(self, known: np.ndarray, cases: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the fine-tuned model and of the one from scratch, ``(n_cases,)`` each."""
        chosen, labels = self.rows.iloc[known].reset_index(drop=True), self.labels[known]
        options: dict[str, Any] = {"validation_fraction": 0.0, "random_state": seed}
        parent = self._parents[seed % len(self._parents)]
        models = parent.fine_tune(chosen, labels, **options), HybridClassifier(**options).fit(chosen, labels)
        tuned, plain = (model.predict_proba(self.rows.iloc[cases])[:, 1] for model in models)
        return tuned, plain

    def aucs(self, known: np.ndarray, seed: int) -> tuple[float, float]:
        """On all rows that are not known."""
        cases = np.setdiff1d(np.arange(len(self.labels)), known)
        truth = self.labels[cases] == self.positive
        tuned, plain = self.scores(known, cases, seed)
        return float(roc_auc_score(truth, tuned)), float(roc_auc_score(truth, plain))


def _draws(pairs: _Pairs, n_labels: int, confidence: float) -> tuple[Gain, dict[str, Any]]:
    aucs = []
    for seed in range(REGISTERED["draws"]):
        known = drawn(pairs.labels, n_labels, np.random.default_rng([1, n_labels, seed]))
        aucs.append(pairs.aucs(known, seed))
    tuned, plain = np.array(aucs).T
    more = {"tuned": float(tuned.mean()), "from_scratch": float(plain.mean()), "better": int((tuned > plain).sum())}
    return these_patients(tuned - plain, confidence), more


def _disjoint(pairs: _Pairs, n_labels: int, confidence: float) -> tuple[Gain, dict[str, Any]] | None:
    """None where there are too few patients for three sets."""
    rng = np.random.default_rng([2, n_labels])
    sets, cases = disjoint_sets(pairs.labels, n_labels, REGISTERED["training_share"], rng)
    if len(sets) < _LEAST_SETS:
        return None
    tuned, plain = (np.array(x) for x in zip(*[pairs.scores(k, cases, i) for i, k in enumerate(sets)], strict=True))
    truth = pairs.labels[cases] == pairs.positive
    aucs = [[float(roc_auc_score(truth, row)) for row in scores] for scores in (tuned, plain)]
    better = sum(a > b for a, b in zip(*aucs, strict=True))
    more = {"tuned": float(np.mean(aucs[0])), "from_scratch": float(np.mean(aucs[1])), "better": better}
    return new_patients(tuned, plain, truth, confidence), {**more, "n_cases": len(cases)}


DESIGNS: dict[str, Callable[[_Pairs, int, float], tuple[Gain, dict[str, Any]] | None]] = {
    "these patients": _draws,
    "new patients": _disjoint,
}


def _measure(results: Results, tables: Path, at_most: int) -> None:
    """Rows that are not there yet, but not more than ``at_most``."""
    confidence = 1.0 - (1.0 - REGISTERED["confidence"]) / N_CASES
    for pair in REGISTERED["pairs"]:
        pairs: _Pairs | None = None
        for n_labels in REGISTERED["labels"]:
            for design, measure in DESIGNS.items():
                case = f"{pair}, {n_labels} labels, {design}"
                if results.has(case) or not at_most:
                    continue
                at_most -= 1
                say(case)
                pairs = _Pairs(*_tables(pair, tables)) if pairs is None else pairs
                found = measure(pairs, n_labels, confidence)
                if found is None:
                    continue
                gain, more = found
                said = {"pair": pair, "labels": n_labels, "design": design, **asdict(gain)}
                results.add({"case": case, **said, **more, "outcome": outcome_of(gain, REGISTERED["margin"])}, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder with heart_cleveland.csv and hepatitis.csv")
    parser.add_argument("--save", action="store_true", help="keep rows in results/fine_tuning.json, go on from them")
    parser.add_argument("--at-most", type=int, default=N_CASES * len(DESIGNS), help="rows to measure now")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    digest = hashlib.sha256(json.dumps(REGISTERED, sort_keys=True).encode()).hexdigest()
    path = RESULTS / "fine_tuning.json" if args.save else None
    results = Results(path, environment_facts(1, registered=digest), sources_key(digest))
    _measure(results, args.tables, args.at_most)
    rows = results.rows()
    if args.json:
        print_json(results.environment, rows)
        return
    print_table(
        "Fine-tuning against training from scratch: AUC on rows without labels",
        rows,
        {
            "parent -> child": lambda row: row["pair"],
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
