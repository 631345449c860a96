"""Which settings should families have by default? Cross-validation on draws other than the benchmark's.

    python benchmarks/learning_defaults.py --save                            # all candidates; resumed where it stopped
    python benchmarks/learning_defaults.py --family dressed_circuit
    python benchmarks/learning_defaults.py --family dressed_circuit --try '{"refit": true}' --json

Data: curves and hyperplanes (the two families of data sets that a default can miss) of seeds 301 and 302, where
`learning.py` judges on seeds 1 and 2. Only the training part of a data set is used: five folds of its 240 rows, three
of which are predicted by models trained on the rest (192 rows, of which a training holds back its own for stopping).
Test parts are not used. Every candidate has the same folds and seeds, so differences are paired. Candidates are the
table `learning_parts.candidates.CANDIDATES`; one process, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from harness import environment_facts, print_json, print_table, say, version_of
from learning import data_key
from learning_parts.candidates import CANDIDATES
from learning_parts.judging import settle_threads
from results import RESULTS, Results
from superpose.datasets.generated import generate
from superpose.learning.families import FAMILIES

DATA = {"two_curves_diff": (11, 15, 19), "hyperplanes_diff": (3, 11, 19)}
"""Families of data sets with the settings that are tried; curves of small degree are easy for all candidates."""
DRAWS = (301, 302)
FOLDS, JUDGED = 5, 3

Part = tuple[NDArray[np.float64], NDArray[np.int64]]


def folds(data: str, setting: int, draw: int) -> Iterator[tuple[Part, Part]]:
    """Rows and labels to learn from, and to be judged by, of the training part alone."""
    parts = generate(data, setting, seed=draw)
    rows, labels = parts.train, parts.train_labels
    chosen = StratifiedKFold(FOLDS, shuffle=True, random_state=draw).split(rows, labels)
    for _, (learn, judge) in zip(range(JUDGED), chosen, strict=False):
        yield (rows[learn], labels[learn]), (rows[judge], labels[judge])


def case_of(data: str, family: str, options: Mapping[str, Any]) -> str:
    """The name of a row."""
    return f"{data} / {family} / {json.dumps(dict(options), sort_keys=True)}"


def measured(data: str, family: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy of one candidate, by setting and fold."""
    accuracies: dict[str, list[float]] = {}
    began, fits = time.process_time(), 0
    for setting in DATA[data]:
        for draw in DRAWS:
            for (rows, labels), (others, truth) in folds(data, setting, draw):
                model = FAMILIES[family].load()(random_state=draw, **options)
                found = float(np.mean(model.fit(rows, labels).predict(others) == truth))
                accuracies.setdefault(str(setting), []).append(round(found, 4))
                fits += 1
    every = [mean(values) for values in accuracies.values()]
    return {
        "case": case_of(data, family, options),
        "data": data,
        "family": family,
        "options": dict(options),
        "accuracies": accuracies,
        "mean": round(mean(every), 4),
        "fits": fits,
        "cpu_s": round(time.process_time() - began, 2),
    }


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=list(FAMILIES), help="repeatable")
    parser.add_argument("--data", action="append", choices=list(DATA), help="repeatable")
    parser.add_argument("--try", dest="tried", action="append", help="options as JSON in place of the candidates")
    parser.add_argument("--save", action="store_true", help="write results/learning_defaults.json and go on there")
    parser.add_argument("--again", action="store_true", help="measure what is chosen even where the file has it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def main() -> None:
    """Run and print."""
    arguments = parsed()
    settle_threads()
    chosen = [
        (data, family, options)
        for family in arguments.family or CANDIDATES
        for options in ([json.loads(text) for text in arguments.tried or ()] or CANDIDATES.get(family, ({},)))
        for data in arguments.data or DATA
    ]
    facts = environment_facts(1, settings=DATA, draws=DRAWS, folds=FOLDS, judged_folds=JUDGED)
    path = RESULTS / "learning_defaults.json" if arguments.save else None
    kept = Results(path, facts, data_key(DATA, DRAWS, FOLDS, JUDGED))
    versions = {name: version_of(name) for name in ("torch", "scikit-learn", "numpy")}
    for data, family, options in chosen:
        if arguments.again or not kept.has(case_of(data, family, options)):
            row = measured(data, family, options)
            kept.add(row, versions)
            by = " ".join(f"{setting}: {mean(values):.3f}" for setting, values in row["accuracies"].items())
            say(f"{row['case']}: {row['mean']:.3f} ({by}), {row['cpu_s'] / row['fits']:.2f} s a fit")
    rows = kept.rows([case_of(*one) for one in chosen])
    if arguments.json:
        print_json(kept.environment, rows)
        return
    show(rows)


def show(rows: list[dict[str, Any]]) -> None:
    """A row per candidate: means, and differences from the family's first."""
    by_case = {row["case"]: row for row in rows}
    lines = list({(row["family"], json.dumps(row["options"], sort_keys=True)): row for row in rows}.values())
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "family": lambda row: row["family"],
        "options": lambda row: json.dumps(row["options"], sort_keys=True),
        "s a fit": lambda row: f"{row['cpu_s'] / row['fits']:.2f}",
    }
    for data in dict.fromkeys(row["data"] for row in rows):

        def cell(row: Mapping[str, Any], data: str = data) -> str:
            found = by_case.get(case_of(data, row["family"], row["options"]))
            return "–" if found is None else f"{found['mean']:.3f}{_difference(found, rows)}"

        columns[data] = cell
    print_table(
        "Cross-validated accuracy",
        lines,
        columns,
        ["in brackets: difference from the family's first row, with its standard error over folds"],
    )


def _difference(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """The mean paired difference from the first candidate of the family, and its standard error over folds."""
    first = next(other for other in rows if (other["data"], other["family"]) == (row["data"], row["family"]))
    ours, theirs = row["accuracies"], first["accuracies"]
    if first is row or list(ours) != list(theirs):
        return ""
    gaps = [a - b for name in ours for a, b in zip(ours[name], theirs[name], strict=True)]
    return f" ({mean(gaps):+.3f} ± {stdev(gaps) / len(gaps) ** 0.5:.3f})"


if __name__ == "__main__":
    main()
