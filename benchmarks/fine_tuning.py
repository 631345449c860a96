"""Whether a model that was trained on some patients helps with others of whom few labels are known.

A hybrid model is trained on heart disease (Cleveland) and carried over to hepatitis, and one of men with heart disease
to women. Of the new patients 10, 20, 40 or 80 have labels; all others test. Beside it the same model is trained from
scratch on the same rows, with the same epochs, batch and seed: each draw of rows is a pair. The interval is that of the
mean difference over draws by the corrected resampled t test (Nadeau and Bengio 2003) that verdicts of training jobs
use; all of them together hold at 95 % (Bonferroni).

``python benchmarks/fine_tuning.py [--draws 20] [--labels 10 20 40 80] [--save] [--json]``
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from harness import environment_facts, print_json, print_table, say
from results import RESULTS, Results, sources_key
from superpose import HybridClassifier
from superpose.learning.verdicts import compare

TABLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "health" / "tables"
LABELS = (10, 20, 40, 80)
CARRIERS: dict[str, dict[str, Any]] = {
    "all blocks trained": {},
    "circuit frozen": {"freeze": ("circuit",)},
    "circuit at a tenth of the rate": {"learning_rates": {"circuit": 0.002}},
}
"""What is done with the parent's blocks; the head begins anew in each."""


def _heart(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.read_csv(folder / "heart_cleveland.csv", na_values="?")
    return frame.drop(columns="num"), np.where(frame["num"] > 0, "ill", "healthy")


def _hepatitis(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.read_csv(folder / "hepatitis.csv", na_values="?")
    frame["sex"] = (frame["sex"] == 1).astype(float)  # 1 is male here, as 1 is in the other table
    return frame.drop(columns="class"), np.where(frame["class"] == 1, "dies", "lives")


def _site(folder: Path, sex: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Heart disease of one sex: the same columns, other patients."""
    rows, labels = _heart(folder)
    chosen = (rows["sex"] == sex).to_numpy()
    return rows[chosen].reset_index(drop=True), labels[chosen]


def _draw(labels: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Places of the rows whose labels are known: each class in proportion, at least two of each."""
    rng, found = np.random.default_rng(seed), []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        found.append(rng.permutation(places)[: max(2, round(n_labels * len(places) / len(labels)))])
    return np.concatenate(found)


def _auc(model: HybridClassifier, rows: pd.DataFrame, labels: np.ndarray) -> float:
    return float(roc_auc_score(labels == model.classes_[1], model.predict_proba(rows)[:, 1]))


def _measure(parent: HybridClassifier, rows: Any, labels: np.ndarray, n_labels: int, draws: int) -> dict[str, Any]:
    scores: dict[str, list[float]] = {name: [] for name in ("from scratch", *CARRIERS)}
    for seed in range(draws):
        known = _draw(labels, n_labels, seed)
        rest = np.setdiff1d(np.arange(len(labels)), known)
        chosen = rows.iloc[known].reset_index(drop=True)
        plain = HybridClassifier(validation_fraction=0.0, random_state=seed).fit(chosen, labels[known])
        scores["from scratch"].append(_auc(plain, rows.iloc[rest], labels[rest]))
        for name, options in CARRIERS.items():
            child = parent.fine_tune(chosen, labels[known], **options, validation_fraction=0.0, random_state=seed)
            scores[name].append(_auc(child, rows.iloc[rest], labels[rest]))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder with heart_cleveland.csv and hepatitis.csv")
    parser.add_argument(
        "--save", action="store_true", help="keep rows in results/fine_tuning.json, and go on from them"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    path = RESULTS / "fine_tuning.json" if args.save else None
    results = Results(path, environment_facts(1, draws=args.draws), sources_key(args.draws, CARRIERS))
    pairs = {
        "heart, all -> hepatitis": (_heart(args.tables), _hepatitis(args.tables)),
        "heart, men -> heart, women": (_site(args.tables, 1.0), _site(args.tables, 0.0)),
    }
    n_statements = len(pairs) * len(args.labels) * len(CARRIERS)
    for pair, (source, target) in pairs.items():
        parent = HybridClassifier(random_state=0).fit(*source)
        for n_labels in args.labels:
            case = f"{pair}, {n_labels} labels"
            if results.has(case) or n_labels >= len(target[1]) // 2 + 10:
                continue
            say(case)
            scores = _measure(parent, *target, n_labels, args.draws)
            base = scores.pop("from scratch")
            carriers = {}
            for name, values in scores.items():
                (row,) = compare(
                    values,
                    {"baseline": base},
                    metric="auc",
                    test_over_train=(len(target[1]) - n_labels) / n_labels,
                    confidence=1.0 - 0.05 / n_statements,
                )
                plain = np.subtract(values, base)
                carriers[name] = {
                    "auc": float(np.mean(values)),
                    "difference": row.mean_difference,
                    "low": row.low,
                    "high": row.high,
                    "outcome": row.outcome,
                    "better_draws": int((plain > 0).sum()),
                }
            results.add({"case": case, "from_scratch": float(np.mean(base)), "carriers": carriers}, {})
    rows = results.rows()
    if args.json:
        print_json(results.environment, rows)
        return
    told = [
        {"case": row["case"], "how": name, "plain": row["from_scratch"], **found}
        for row in rows
        for name, found in row["carriers"].items()
    ]
    print_table(
        "Fine-tuning against training from scratch: AUC on the rows without labels",
        told,
        {
            "parent -> child": lambda row: row["case"],
            "how": lambda row: row["how"],
            "from scratch": lambda row: f"{row['plain']:.3f}",
            "fine-tuned": lambda row: f"{row['auc']:.3f}",
            "gain": lambda row: f"{row['difference']:+.3f}",
            "interval": lambda row: f"{row['low']:+.3f} to {row['high']:+.3f}",
            "better in": lambda row: f"{row['better_draws']} of {args.draws}",
            "verdict": lambda row: row["outcome"],
        },
        ["Intervals hold together at 95 % (Bonferroni), corrected for the overlap of draws."],
    )


if __name__ == "__main__":
    main()
