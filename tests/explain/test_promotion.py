"""The promotion gate as a function of facts: each requirement alone decides about itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.datasets import builtin_table, drift_baseline
from superpose.explain import attribute, check_promotion, explanation_sample, model_card, samples
from superpose.explain.promotion import REQUIREMENTS
from superpose.learning import Predictor, TrainingSpec, read_model, run_experiment
from superpose.learning.families import FAMILIES
from superpose.learning.model_file import ModelFacts

MANIFEST: dict[str, Any] = {
    "data": {"n_rows": 90, "digest": "d" * 64, "split": {"train": 60, "validation": 12, "test": 18}},
    "evaluation": {
        "primary_metric": "accuracy",
        "model_metrics": {"accuracy": 0.9, "brier": 0.1},
        "calibration": {"method": "none", "after": {"ece": 0.04, "brier": 0.1}},
        "comparisons": [{"against": "classical_twin"}],
        "subgroups": [{"column": "sex", "groups": [{"group": "f"}, {"group": "m"}]}],
    },
    "drift_baseline": {"n_rows": 60, "columns": [{"name": "age"}]},
    "provenance": {"spec": {"card": {"intended_use": "Triage.", "limits": "Adults."}}},
}
EVIDENCE: dict[str, Any] = {
    "explanation": {"method": "integrated_gradients", "n_rows": 18, "columns": {"age": 0.2}},
    "energy": {"energy_wh": 0.01, "cost_usd": 0.0},
}


def without(document: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without the value at a dotted path."""
    head, _, rest = path.partition(".")
    if not rest:
        return {name: value for name, value in document.items() if name != head}
    return {**document, head: without(document[head], rest)}


def test_a_complete_version_is_ready_and_says_what_it_has() -> None:
    report = check_promotion(MANIFEST, EVIDENCE, {})
    assert report.ready and not report.missing
    found = {one["name"]: one for one in report.to_dict()["requirements"]}
    assert list(found) == list(REQUIREMENTS)
    assert found["data"]["found"] == "90 rows (60 train, 12 validation, 18 test), digest dddddddddddd"
    assert found["calibration"]["found"] == "expected calibration error 0.040, Brier score 0.100"
    assert found["explanation"]["found"] == "integrated_gradients of 18 test rows: age"
    assert all(one["met"] and one["how"] is None for one in found.values())


def test_a_figure_that_is_no_number_is_missing() -> None:
    evaluation = MANIFEST["evaluation"] | {"model_metrics": {"accuracy": math.nan}}
    evaluation["calibration"] = {"after": {"ece": 0.04, "brier": math.nan}}
    report = check_promotion(MANIFEST | {"evaluation": evaluation}, EVIDENCE, {})
    assert [one.name for one in report.missing] == ["metrics", "calibration"]


@pytest.mark.parametrize(
    ("name", "part", "path"),
    [
        ("data", "manifest", "data"),
        ("data", "manifest", "data.split"),
        ("metrics", "manifest", "evaluation.model_metrics.accuracy"),
        ("controls", "manifest", "evaluation.comparisons"),
        ("subgroups", "manifest", "evaluation.subgroups"),
        ("calibration", "manifest", "evaluation.calibration.after.ece"),
        ("intended_use", "manifest", "provenance.spec.card.intended_use"),
        ("limits", "manifest", "provenance.spec.card.limits"),
        ("energy_and_cost", "evidence", "energy"),
        ("explanation", "evidence", "explanation.columns"),
        ("drift_baseline", "manifest", "drift_baseline"),
    ],
)
def test_what_is_taken_away_is_missing_alone_and_there_is_a_cure(name: str, part: str, path: str) -> None:
    manifest = without(MANIFEST, path) if part == "manifest" else MANIFEST
    evidence = without(EVIDENCE, path) if part == "evidence" else EVIDENCE
    report = check_promotion(manifest, evidence, {})
    assert [one.name for one in report.missing] == [name]
    assert not report.ready
    assert report.missing[0].to_dict()["how"]


def test_nothing_at_all_lacks_everything() -> None:
    assert [one.name for one in check_promotion({}, {}, {}).missing] == list(REQUIREMENTS)


def test_a_template_s_study_is_told_what_would_compare_it() -> None:
    def cure(template: str) -> str:
        missing = check_promotion({"kind": "any", "provenance": {"template": template}}, {}, {}).missing
        return next(one.how for one in missing if one.name == "controls")

    assert "--beside strong_cnn" in cure("pneumonia")
    assert "--beside hybrid_head,classical_twin" in cure("pneumonia")  # a head alone is compared with nothing
    assert "--beside ridge" in cure("demand")
    assert "seeds" not in cure("demand")  # its origins compare one seed too


@pytest.mark.parametrize(
    ("manifest", "evidence", "cured_by", "said"),
    [
        ({"kind": "hybrid_classifier"}, {}, "job", "Train the model again with this release"),
        ({"kind": "module_classifier"}, {}, "job", "Train the model again with this release"),
        ({"kind": "hybrid_classifier"}, {"imported": True}, "job or file", "The version was imported"),
        (
            {"kind": "module_classifier", "provenance": {"template": "pneumonia"}},
            {"imported": True},
            "file",
            "template",
        ),
        ({"kind": "family_classifier"}, {"imported": True}, "file", "No job trains families"),
        ({"kind": "hybrid_regressor"}, {"imported": True}, "file", "No job of a spec trains models of numbers"),
        ({"kind": "family_classifier"}, {}, "file", "No job trains families"),  # imported by an earlier release
    ],
)
def test_the_cure_is_true_for_where_a_version_comes_from(
    manifest: dict[str, Any], evidence: dict[str, Any], cured_by: str, said: str
) -> None:
    missing = {one.name: one.how for one in check_promotion(manifest, evidence, {}).missing}
    assert list(missing) == list(REQUIREMENTS)
    assert said in missing["data"]
    # a study that was trained alone lacks a comparison whatever release wrote its file
    assert ("at least 2 seeds" in missing["controls"]) == ("provenance" in manifest)
    for name in ("intended_use", "limits", "subgroups"):
        assert "superpose models annotate" in missing[name]
    computed = ("data", "metrics", "controls", "calibration", "drift_baseline", "energy_and_cost", "explanation")
    for name in computed:
        how = missing[name].casefold()
        assert ("override" in how) == (cured_by != "job"), how
        assert ("train the model" in how or "train it again" in how) == ("job" in cured_by), how
        assert ("import a file" in how or "import the file" in how) == (
            "file" in cured_by and name not in {"energy_and_cost", "explanation"}
        ), how


def test_a_file_written_with_its_facts_meets_what_files_can(tmp_path: Path) -> None:
    """What the gate says of a family's file is so."""
    model = FAMILIES["kitchen_sinks"].load()(n_qubits=2, episodes=4, random_state=0)
    table = builtin_table("iris")
    model.fit(table.features, table.target)
    evaluation, data, baseline = MANIFEST["evaluation"], MANIFEST["data"], drift_baseline(table)
    model.save(tmp_path / "bare.superpose")
    model.save(tmp_path / "whole.superpose", ModelFacts(evaluation, data, {}, baseline))
    bare, whole = (
        {one.name for one in check_promotion(read_model(tmp_path / f"{name}.superpose").manifest, {}, {}).missing}
        for name in ("bare", "whole")
    )
    assert bare - whole == {"data", "metrics", "controls", "calibration", "drift_baseline", "subgroups"}
    assert whole == {"energy_and_cost", "explanation", "intended_use", "limits"}


def test_statements_at_the_version_go_before_those_of_the_spec_and_a_reason_stands_for_subgroups() -> None:
    manifest = without(MANIFEST, "evaluation.subgroups")
    said = {"no_subgroups": "One machine, one kind of part.", "limits": "Not at night."}
    found = {one.name: one.found for one in check_promotion(manifest, EVIDENCE, said).requirements}
    assert found["subgroups"] == "no subgroups: One machine, one kind of part."
    assert (found["limits"], found["intended_use"]) == ("Not at night.", "Triage.")


def test_a_column_that_has_one_group_compares_nothing() -> None:
    alone = {"column": "site", "groups": [{"group": "A", "n_cases": 18}]}
    sex = MANIFEST["evaluation"]["subgroups"][0]

    def gate(*columns: dict[str, Any], **said: str) -> Any:
        evaluation = MANIFEST["evaluation"] | {"subgroups": list(columns)}
        return check_promotion(MANIFEST | {"evaluation": evaluation}, EVIDENCE, said)

    (missing,) = gate(alone).missing
    assert missing.name == "subgroups" and missing.how.startswith(
        "Nothing is compared: by site all 18 test cases are in one group (A). Train it again with a column of two"
    )
    tiny = {"column": "site", "groups": [{"group": "A", "n_cases": 18}, {"group": "B", "n_cases": 9}]}
    (missing,) = gate(tiny).missing
    assert missing.how.startswith(
        "Nothing is compared: by site fewer than two groups have 10 test cases (A 18, B 9). Train it again with"
    )
    (missing,) = gate(
        {"column": "site", "groups": [{"group": "A", "n_cases": None}, {"group": "B", "n_cases": "x"}]}
    ).missing
    assert "test cases (A None, B x)" in missing.how  # a file of somebody else's
    enough = {"column": "site", "groups": [*tiny["groups"], {"group": "C", "n_cases": 10}]}
    assert {one.name: one.found for one in gate(enough).requirements}["subgroups"] == "by site"
    both = MANIFEST["evaluation"] | {"subgroups": [alone, {**alone, "column": "scanner"}]}
    (missing,) = check_promotion(MANIFEST | {"evaluation": both}, {**EVIDENCE, "imported": True}, {}).missing
    assert "(A), by scanner all 18 test cases are in one group (A). Say why there are none" in missing.how
    found = {one.name: one.found for one in gate(alone, sex).requirements}
    assert found["subgroups"] == "by sex"
    found = {one.name: one.found for one in gate(alone, no_subgroups="One clinic.").requirements}
    assert found["subgroups"] == "no subgroups: One clinic."
    old = MANIFEST["evaluation"] | {"subgroups": [{"column": "site", "groups": [{"group": "A"}]}]}
    (missing,) = check_promotion(MANIFEST | {"evaluation": old}, EVIDENCE, {}).missing
    assert "by site all test cases are in one group" in missing.how


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 2},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
        }
    )
    directory: Path = tmp_path_factory.mktemp("run")
    return Predictor.load(run_experiment(spec, builtin_table("iris"), directory).model_path)


def test_a_sample_is_the_mean_of_absolute_attributions_and_the_same_each_time(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = builtin_table("iris").features.iloc[:20]
    sample = explanation_sample(predictor, rows)
    assert (sample["method"], sample["n_rows"]) == ("integrated_gradients", 20)
    assert sample["largest_completeness_error"] < 1e-6
    assert list(sample["columns"].values()) == sorted(sample["columns"].values(), reverse=True)
    means = np.abs(attribute(predictor, rows).values).mean(axis=0)
    for name, mean in zip(predictor.feature_names, means, strict=True):
        assert sample["columns"][name] == pytest.approx(mean)
    many = builtin_table("iris").features
    assert explanation_sample(predictor, many) == explanation_sample(predictor, many)
    assert explanation_sample(predictor, many)["n_rows"] == 50
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explanation_sample(predictor, many, 0, look)
    assert looks == 3 and explanation_sample(predictor, many, 0, lambda: None) == explanation_sample(predictor, many)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(samples, "_MANY", 2 * samples._NODES)  # as a large module: two rows at a time
    apart = explanation_sample(predictor, many, most_rows=5, tell=lambda *both: told.append(both))
    together = explanation_sample(predictor, many, most_rows=5)
    assert told == [(0, 5), (2, 5), (4, 5)]
    assert apart["columns"] == pytest.approx(together["columns"]) and apart["n_rows"] == 5
    assert apart["largest_completeness_error"] < 1e-6


def test_a_card_shows_evidence_statements_and_overrides(predictor: Predictor) -> None:
    override = {
        "endpoint": "live",
        "missing": ["limits", "data"],
        "reason": "Asked for by the *board*.",
        "overridden_at": "2026-11-27T03:00:00Z",
        "overridden_by": "key_1",
    }
    energy = {
        **{"cpu_s": 30.0, "worker_s": 40.0, "cpu_watts": 12.0, "energy_wh": 0.1},
        **{"worker_second_usd": 0.001, "provider_usd": 0.5, "cost_usd": 0.54},
    }
    evidence = {**EVIDENCE, "energy": energy}
    card = model_card(
        predictor.manifest, evidence=evidence, statements={"limits": "Greenhouses only."}, overrides=[override]
    )
    for said in (
        "Mean absolute attributions by integrated\\_gradients over 18 test rows",
        "| age | 0.2000 |",
        "- Limits: Greenhouses only.",
        "30.0 s of processor time (measured)",
        "about 0.1 Wh, an estimate: processor time at 12 W",
        "0.54 US dollars, an estimate: 0.001 US dollars per worker's second, and 0.50 US dollars at a provider",
        "**Let into production without limits, data** at endpoint live, at 2026-11-27T03:00:00Z, by key key\\_1: Asked",
    ):
        assert said in card, said
    bare = model_card(predictor.manifest)
    assert all(title not in bare for title in ("## Energy", "## Overrides", "## What predictions"))
    refused = model_card(predictor.manifest, evidence={"explanation": {"refused": "No gradients."}})
    assert "- Could not be computed: No gradients." in refused
