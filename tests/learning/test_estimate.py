"""What a training is expected to take: counted as the run itself counts, and in proportion to what is asked for."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table, builtin_table
from superpose.learning import TrainingSpec
from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.baseline_effort import BaselineCounts, baseline_works, families_of
from superpose.learning.effort import REST, EstimatedEffort, Work
from superpose.learning.encodings import ENCODINGS
from superpose.learning.estimate import (
    MOST_COMPILED_QUBITS,
    MOST_EXPLAINED,
    SPSA_POINTS,
    WHOLE_BATCHES,
    TableCounts,
    counts_of,
    effort_or_reason,
    n_shifted,
)
from superpose.learning.split_count import n_gates, n_steps, n_steps_per_split
from superpose.learning.splitting import splits_of

COUNTS = TableCounts(
    n_rows=200,
    n_features=5,
    n_columns=7,
    n_classes=2,
    n_rarest=80,
    n_splits=3,
    n_train=130,
    n_validation=30,
    n_test=40,
)
BASE: dict[str, Any] = {"training": {"epochs": 4, "batch_size": 32}, "evaluation": {"n_splits": 3}}
CIRCUITS = ("hybrid", "no_entanglement", "frozen")
VARIANTS = ("hybrid", "classical_twin", "no_entanglement", "frozen")


def spec_of(**sections: dict[str, Any]) -> TrainingSpec:
    return TrainingSpec.from_dict({**BASE, **{name: {**BASE.get(name, {}), **own} for name, own in sections.items()}})


def effort(counts: TableCounts = COUNTS, **sections: dict[str, Any]) -> EstimatedEffort:
    found = effort_or_reason(spec_of(**sections), counts)
    assert isinstance(found, EstimatedEffort), found
    return found


def each_s(found: EstimatedEffort, part: str, what: str) -> float:
    return next(work.each_s for work in found.works if (work.part, work.what) == (part, what))


def test_every_variant_has_its_part_above_0() -> None:
    assert set(effort().parts) == {*VARIANTS, "baseline", REST}
    assert min(effort().parts.values()) > 0
    alone = effort(evaluation={"controls": [], "baseline": "none"})
    assert set(alone.parts) == {"hybrid", REST} and alone.cpu_s < effort().cpu_s


@pytest.mark.parametrize("variant", VARIANTS)
def test_work_is_in_proportion_to_splits_seeds_settings_epochs_and_rows(variant: str) -> None:
    def counted(counts: TableCounts = COUNTS, **sections: dict[str, Any]) -> tuple[int, int, int, float]:
        found = effort(counts, **sections)
        return (
            found.n_of(variant, "trainings"),
            found.n_of(variant, "steps"),
            found.n_of(variant, "rows trained"),
            found.parts[variant],
        )

    n, steps, rows, seconds = counted()
    assert (n, steps, rows) == (3, 3 * 4 * 5, 3 * 4 * 130)  # 130 rows are 5 batches of 32
    for more in (
        counted(replace(COUNTS, n_splits=6)),
        counted(evaluation={"n_seeds": 2}),
        counted(evaluation={"tuning": {"trials": 2}}),
    ):
        assert more[:3] == (2 * n, 2 * steps, 2 * rows)
        assert more[3] == pytest.approx(2 * seconds)
    assert counted(training={"epochs": 8})[:3] == (n, 2 * steps, 2 * rows)
    assert counted(training={"batch_size": 64})[1] == 3 * 4 * 3
    assert counted(replace(COUNTS, n_train=260))[:3] == (n, 3 * 4 * 9, 2 * rows)
    for dearer in (counted(training={"epochs": 5}), counted(replace(COUNTS, n_train=131, n_validation=31))):
        assert dearer[3] > seconds


def test_a_baseline_searches_once_for_each_split_and_seed() -> None:
    assert effort().n_of("baseline", "models fitted") == 3
    assert effort(evaluation={"n_seeds": 4}).n_of("baseline", "models fitted") == 12
    few = effort(evaluation={"tuning": {"trials": 1}})
    assert (few.n_of("baseline", "models fitted"), few.n_of("baseline", "settings measured")) == (3, 0)


def test_the_rest_grows_with_cells_comparisons_and_splits() -> None:
    rest = effort().parts[REST]
    assert effort(replace(COUNTS, n_features=500)).parts[REST] > rest
    assert effort(replace(COUNTS, n_splits=10)).parts[REST] > rest
    assert effort(evaluation={"controls": []}).parts[REST] < rest
    assert effort().n_of(REST, "comparisons") == 4


@pytest.mark.parametrize("field", ["n_qubits", "ansatz"])
def test_wider_and_deeper_circuits_cost_more_a_row_and_the_twin_does_not(field: str) -> None:
    small, large = (
        effort(model={"n_qubits": n, "ansatz": {"layers": layers}})
        for n, layers in (((4, 2), (8, 2)) if field == "n_qubits" else ((6, 2), (6, 5)))
    )
    for variant in CIRCUITS:
        assert each_s(large, variant, "rows trained") > each_s(small, variant, "rows trained")
    assert each_s(large, "classical_twin", "steps") == each_s(small, "classical_twin", "steps")
    amplitudes = [n_gates(spec_of(model={"n_qubits": n})) * 2**n for n in (10, 11)]
    rows = [each_s(effort(model={"n_qubits": n}), "hybrid", "rows trained") for n in (10, 11)]
    assert rows[1] / rows[0] == pytest.approx(amplitudes[1] / amplitudes[0], rel=0.05)  # amplitudes are nearly all


def test_steps_outside_compiled_code_cost_more_where_the_network_takes_them() -> None:
    compiled = each_s(effort(), "hybrid", "steps")
    mapped = effort(model={"encoding": {"name": "iqp"}})
    assert each_s(mapped, "hybrid", "steps") > 100 * compiled
    assert each_s(mapped, "no_entanglement", "steps") == compiled  # no products of inputs without entangling gates
    wide = effort(model={"n_qubits": MOST_COMPILED_QUBITS + 1}, training={"batch_size": 1})
    assert each_s(wide, "hybrid", "steps") > 100 * compiled
    tuned = effort(fine_tune={"parent": "old:1", "learning_rates": {"circuit": 0.001}})
    assert each_s(tuned, "hybrid", "steps") > 100 * compiled == 100 * each_s(tuned, "from_scratch", "steps")


def test_what_is_known_here_is_what_the_run_uses() -> None:
    pytest.importorskip("torch")
    from superpose.explain.samples import MOST_SAMPLED_ROWS
    from superpose.learning.experiment.fitting import settings_of
    from superpose.learning.fused.choice import MOST_QUBITS
    from superpose.learning.quantum_block import build_block
    from superpose.learning.quantum_layer import QuantumLayer

    assert (MOST_COMPILED_QUBITS, MOST_EXPLAINED) == (MOST_QUBITS, MOST_SAMPLED_ROWS)
    options = spec_of(training={"batch_size": 32}).training
    assert [one.batch_size for one in settings_of(options, 16)] == [32] * WHOLE_BATCHES + [16] * (16 - WHOLE_BATCHES)
    half = effort(evaluation={"tuning": {"trials": 9}})
    assert half.n_of("hybrid", "steps") == 3 * 4 * (8 * math.ceil(130 / 32) + math.ceil(130 / 16))
    layer = QuantumLayer.__doc__ or ""
    assert "16 random directions" in " ".join(layer.split()) and SPSA_POINTS == 2 * 16
    assert build_block(2).n_weights + 2 * 2 == n_gates(spec_of(model={"n_qubits": 2}))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSAETZE)
@pytest.mark.parametrize("weights", [True, False])
def test_shifted_circuits_are_those_of_the_rule(encoding: str, ansatz: str, weights: bool) -> None:
    from superpose.learning.measured.shifts import ParameterShifts
    from superpose.learning.quantum_block import build_block

    spec = spec_of(model={"n_qubits": 3, "encoding": {"name": encoding}, "ansatz": {"name": ansatz, "layers": 2}})
    block = build_block(3, encoding, ansatz, 2)
    assert n_shifted(spec, weights=weights) == ParameterShifts(block, inputs=True, weights=weights).n_points


def test_measured_circuits_are_counted_by_row_shots_and_gradient() -> None:
    def measured(variant: str, **backend: Any) -> tuple[int, float]:
        found = effort(backend={"name": "local", **backend})
        return found.n_of(variant, "circuits measured"), found.parts[variant]

    n, seconds = measured("hybrid")
    assert n == 3 * 4 * 130 * (1 + 2 * (24 + 4))
    assert measured("frozen")[0] == 3 * 4 * 130 * (1 + 2 * 4)
    assert measured("hybrid", gradient="spsa", n_directions=5)[0] == 3 * 4 * 130 * (1 + 2 * 5)
    assert measured("hybrid", evaluate="backend")[0] == n + 3 * 4 * 30 + 3 * 40
    assert measured("hybrid", shots=1000)[0] == n and measured("hybrid", shots=1000)[1] > seconds
    assert measured("classical_twin") == (0, effort().parts["classical_twin"])


@pytest.mark.parametrize("method", ["parameter-shift", "finite-difference", "spsa"])
def test_gradients_without_states_run_circuits_beside_the_steps(method: str) -> None:
    found = effort(training={"gradient_method": method})
    points = 32 if method == "spsa" else 2 * (24 + 4)
    assert found.n_of("hybrid", "shifted circuits") == 3 * 4 * 130 * points
    assert found.n_of("classical_twin", "shifted circuits") == 0


def test_shadow_models_and_a_parent_s_control_have_their_parts() -> None:
    found = effort(privacy={"attack": "shadow", "shadow_models": 16})
    assert found.n_of("shadow models", "trainings") == 16
    assert found.n_of("shadow models", "rows trained") == 16 * 4 * 130
    tuned = effort(fine_tune={"parent": "old:1"})
    assert set(tuned.parts) == {*VARIANTS, "from_scratch", "baseline", REST}
    assert tuned.n_of(REST, "comparisons") == 5


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"backend": {"name": "emulator:ibm_fez"}}, "circuits are trained on emulator:ibm_fez"),
        ({"backend": {"name": "ibm:ibm_fez"}}, "circuits are trained on ibm:ibm_fez"),
        ({"privacy": {"epsilon": 3.0}}, "privacy.epsilon"),
    ],
)
def test_where_nobody_has_measured_there_is_a_reason_instead(sections: dict[str, Any], why: str) -> None:
    found = effort_or_reason(spec_of(**sections), COUNTS)
    assert isinstance(found, str) and found.startswith("No estimate: ") and why in found and found.endswith(".")


def made_table(n: int = 90) -> Table:
    random = np.random.default_rng(0)
    columns = {
        "x": random.normal(size=n),
        "colour": np.array(["red", "blue", "green"] * (n // 3), dtype=object),
        "site": np.array([f"s{i % 5}" for i in range(n)], dtype=object),
    }
    return Table.from_columns("made", columns, "y", np.array(["n", "p"] * (n // 2), dtype=object))


@pytest.mark.parametrize(
    ("split", "n_splits"),
    [({"kind": "stratified"}, 7), ({"kind": "site", "column": "site"}, 5), ({"kind": "grouped", "column": "site"}, 7)],
)
def test_counts_are_those_of_the_splits(split: dict[str, Any], n_splits: int) -> None:
    table = made_table()
    spec = TrainingSpec.from_dict({"split": split, "evaluation": {"n_splits": 7}})
    splits = splits_of(spec, table, at_most=3)
    found = counts_of(spec, table, splits)
    assert found.n_splits == n_splits == len(splits_of(spec, table))
    assert found.n_train == round(np.mean([len(one.train) for one in splits]))
    assert found.n_rarest == 45 and found.n_classes == 2
    by_column = "column" in split
    assert (found.n_features, found.n_columns) == ((2, 1 + 3) if by_column else (3, 1 + 3 + 5))


def test_trainings_and_steps_are_those_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from superpose.learning import run_experiment

    table = builtin_table("iris")
    spec = TrainingSpec.from_dict(
        {
            "training": {"epochs": 2, "patience": 2},
            "evaluation": {"n_splits": 2, "n_seeds": 2, "controls": ["frozen"], "baseline": "none"},
        }
    )
    done: list[dict[str, Any]] = []
    run_experiment(
        spec, table, tmp_path / "run", on_event=lambda kind, data: done.append(data) if kind == "metric" else None
    )
    found = effort_or_reason(spec, counts_of(spec, table, splits_of(spec, table)))
    assert isinstance(found, EstimatedEffort)
    for variant in ("hybrid", "frozen"):
        assert found.n_of(variant, "trainings") == sum(one["variant"] == variant for one in done) == 4
    left = (tmp_path / "run" / "units").rglob("result.json")
    n_epochs = sum(json.loads(path.read_text())["content"]["n_epochs"] for path in left)
    assert n_epochs == sum(found.n_of(variant, "epochs") for variant in ("hybrid", "frozen")) == 16


def test_the_rule_of_splits_counts_by_the_same_steps() -> None:
    spec = spec_of(evaluation={"n_seeds": 2, "tuning": {"trials": 3}})
    train = (1 - spec.evaluation.test_fraction - spec.evaluation.validation_fraction) * 200
    assert n_steps_per_split(spec, 200) == 4 * 2 * 3 * n_steps(spec, train)


@pytest.mark.parametrize("n_rows", [120, 400, 1_200, 10_400])
@pytest.mark.parametrize("n_settings", [None, 1, 5, 16])
def test_settings_are_those_that_the_strongest_baseline_tries(
    n_rows: int, n_settings: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    from superpose.learning import baseline

    seen: list[str] = []

    def tuned(candidates: Any, *_: Any, **__: Any) -> Any:
        seen.extend(candidate.family for candidate in candidates)
        raise StopIteration

    monkeypatch.setattr(baseline, "_tuned", tuned)
    with pytest.raises(StopIteration):
        baseline.strongest_classical(
            np.zeros((n_rows, 3)),
            np.arange(n_rows) % 2,
            np.zeros((1, 3)),
            class_weights=None,
            seed=0,
            n_settings=n_settings,
        )
    counts = BaselineCounts(n_rows, 3, 2, n_rows // 2)
    assert [family for family, _ in families_of(counts, n_settings)] == seen


@pytest.mark.parametrize("name", ["strongest", "logistic_regression"])
@pytest.mark.parametrize(("n_settings", "n_rarest"), [(None, 40), (3, 40), (1, 40), (None, 3), (None, 1)])
def test_fits_are_those_that_a_baseline_makes(
    name: str, n_settings: int | None, n_rarest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    from superpose.learning import baseline

    fits: list[int] = []

    class Model:
        coef_ = intercept_ = np.zeros(1)

        def fit(self, encoded: Any, classes: Any, sample_weight: Any = None) -> Any:
            fits.append(len(encoded))
            return self

        def predict_proba(self, encoded: Any) -> Any:
            return np.full((len(encoded), 2), 0.5)

    def regressions(encoded: Any, classes: Any, strengths: Any) -> Any:
        return [baseline._Candidate("logistic_regression", {"C": strength}, make) for strength in strengths]

    monkeypatch.setattr(baseline, "_regressions", regressions)
    for family in ("_boosted", "_support_vectors", "_forests"):
        monkeypatch.setattr(baseline, family, lambda *of: [baseline._Candidate("other", {"C": 0.1}, make)] * 4)
    monkeypatch.setattr(baseline, "_n_params", lambda family, model: 0)

    def make(final: bool) -> Any:
        return Model()

    classes = (np.arange(80) >= n_rarest).astype(np.int64)
    baseline.BASELINES[name](
        np.zeros((80, 3)), classes, np.zeros((1, 3)), class_weights=None, seed=0, n_settings=n_settings
    )
    works = list(baseline_works(name, BaselineCounts(80, 3, 2, n_rarest), n_settings, n_searches=1))
    assert sum(work.n for work in works) == len(fits)
    twice = list(baseline_works(name, BaselineCounts(80, 3, 2, n_rarest), n_settings, n_searches=2))
    assert [work.n for work in twice] == [2 * work.n for work in works]


@pytest.mark.parametrize("name", ["strongest", "logistic_regression"])
def test_a_baseline_s_seconds_grow_with_rows_columns_and_classes(name: str) -> None:
    def seconds(**changed: int) -> float:
        counts = replace(BaselineCounts(n_rows=300, n_columns=10, n_classes=2, n_rarest=100), **changed)
        works = tuple(baseline_works(name, counts, 16, 1))
        assert all(isinstance(work, Work) and work.each_s > 0 for work in works)
        return EstimatedEffort(works).cpu_s

    for changed in ({"n_rows": 900}, {"n_columns": 30}, {"n_classes": 5}):
        assert seconds(**changed) > seconds()
    assert seconds(n_rows=30_000) > seconds(n_rows=10_001)


def test_estimating_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys\n"
        "from superpose.learning.spec import TrainingSpec\n"
        "from superpose.learning.estimate import TableCounts, effort_or_reason\n"
        "found = effort_or_reason(TrainingSpec(), TableCounts(200, 5, 7, 2, 80, 3, 130, 30, 40))\n"
        "assert found.cpu_s > 0\n"
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
