"""Model cards: everything a reader needs, from the manifest alone."""

from __future__ import annotations

import copy
import html
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.datasets import load_iris

from superpose.datasets import builtin_table
from superpose.explain import ReportFacts, model_card, training_report
from superpose.explain.report.results import comparisons
from superpose.learning import HybridClassifier, HybridRegressor, Predictor, TrainingSpec, run_experiment
from superpose.learning.families import FAMILIES

SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2},
    "evaluation": {"n_splits": 2, "baseline": "logistic_regression"},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    directory = tmp_path_factory.mktemp("run")
    result = run_experiment(TrainingSpec.from_dict(SPEC), builtin_table("breast_cancer"), directory)
    return Predictor.load(result.model_path).manifest


def test_a_card_says_what_why_and_where_not(manifest: dict) -> None:
    card = model_card(manifest)
    titles = [line for line in card.splitlines() if line.startswith("#")]
    assert titles == [
        "# Model card: hybrid quantum-classical classifier on breast\\_cancer",
        "## Model",
        "## Data",
        "## Results",
        "## Calibration",
        "## Compared with",
        "## Privacy",
        "## Intended use and limits",
        "## Provenance",
    ]
    for said in (
        "benign, malignant",
        "2 qubits, 6 trained angles",
        "1 layer of the strongly",
        "30 numbers, 0 categories",
        " % false alarms",
        "569 rows",
        "trained on 370 rows",
        "Drift baseline: how 30 columns were distributed over 370 training rows",
        "hybrid model |",
        "tuned logistic regression |",
        "classical twin of equal parameter count |",
        "**this model**",
        "class malignant",
        "95 % confidence",
        "Not a medical device",
        manifest["data"]["digest"],
        manifest["provenance"]["spec_digest"],
    ):
        assert said in card, said
    assert re.search(r"finds \d+\.\d % \(\d+\.\d to \d+\.\d\) at 1 % false alarms, ", card)
    assert manifest["evaluation"]["verdict"][:20] in card
    assert card.endswith("\n")
    assert model_card(manifest) == card


def test_tables_have_as_many_cells_in_every_row(manifest: dict) -> None:
    rows = [line for line in model_card(manifest).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 6 + 2 + 1 + 2 + 4 + 2 + 4
    assert {row.count("|") for row in rows[:8]} == {9}
    assert {row.count("|") for row in rows[8:11]} == {5}
    assert {row.count("|") for row in rows[11:17]} == {6}
    assert {row.count("|") for row in rows[17:]} == {11}


def test_texts_from_the_data_cannot_break_the_page(manifest: dict) -> None:
    data = manifest["data"] | {"name": "x](http://evil) | <script>\n# Big"}
    card = model_card(manifest | {"data": data})
    assert "<script>" not in card
    assert "](" not in card
    assert "\n# Big" not in card


def test_what_an_imported_file_says_cannot_begin_a_section_or_a_tag(manifest: dict) -> None:
    forged = "so <script>\n\n## Approved\n\nfor all use `\n"
    evaluation = manifest["evaluation"] | {"means_over": forged, "comparisons_said": forged}
    models = evaluation["models"]
    evaluation["models"] = models | {"hybrid": models["hybrid"] | {"label": f"a|b {forged}"}}
    evaluation["split_count"] = {"reason": forged}
    data = manifest["data"] | {"digest": forged, "n_rows": "5\n\n## Approved"}
    measured = {
        "backend": "ibm_torino", "shots_spent": 10, "n_submissions": 1, "gradient_method": "spsa",
        "allocation": "equal", "evaluated_on": "exact",
    }  # fmt: skip
    provenance = manifest["provenance"] | {"measured": measured}
    card = model_card(manifest | {"evaluation": evaluation, "data": data, "provenance": provenance})
    assert "## Approved" not in card.splitlines()
    assert "\n## Approved" not in card
    assert "so <script>" not in card.replace("`so <script> ## Approved for all use '`", "")  # in code it is text
    assert "`ibm_torino`" in card
    rows = [line for line in card.splitlines() if line.startswith("| difference")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [6]


def test_what_is_not_named_of_many_classes_is_counted(manifest: dict) -> None:
    counts = {f"class {place:02d}": 5 for place in range(23)}
    card = model_card(manifest | {"data": manifest["data"] | {"class_counts": counts}})
    assert "class 19 5 and 3 more\n" in card
    assert "Fewer than 30 rows each: class 00, " in card and "class 19 and 3 more; do not rely" in card


def test_test_rows_of_a_site_of_their_own_are_not_said_to_be_of_the_same_source(manifest: dict) -> None:
    assert "Test rows come from the same source as training rows" in model_card(manifest)
    card = model_card(manifest | {"data": manifest["data"] | {"split_by": {"kind": "site", "column": "clinic_no"}}})
    assert "- Test rows come from one clinic\\_no that training did not see: figures at others may be worse." in card
    assert "same source as training rows" not in card


def test_equal_is_said_to_be_of_other_tests_than_the_intervals(manifest: dict) -> None:
    said = '"equal" means that a difference of 0.02 or more is ruled out at that confidence, upwards and downwards'
    assert said in model_card(manifest)
    assert "the intervals, of one test on both sides, are wider and may reach beyond it." in model_card(manifest)


def test_cases_of_several_seeds_are_said_to_be_of_the_first(manifest: dict) -> None:
    evaluation = copy.deepcopy(manifest["evaluation"]) | {"n_seeds": 3}
    evaluation["models"]["hybrid"]["metrics"]["accuracy"]["spread"] = {"splits": 0.01, "seeds": 0.02}
    assert "Second opinions, which do not decide:" in model_card(manifest)
    card = model_card(manifest | {"evaluation": evaluation})
    assert "Second opinions, which do not decide, of the first seed's models:" in card
    assert "the hybrid model's accuracy varies by 0.010 over splits" in card
    assert "cases, of the first seed's models" in repr(comparisons(evaluation))


def test_validation_rows_chose_nothing_in_private_training(manifest: dict) -> None:
    private = {"epsilon": 3.0, "delta": 1e-5, "covers": "weights", "protects": "a row", "does_not_cover": ["figures"]}
    private |= {"noise_multiplier": 1.0, "max_gradient_norm": 1.0, "n_steps": 10}
    card = model_card(manifest | {"evaluation": manifest["evaluation"] | {"privacy": private}})
    assert "trained on 370 rows, to its last epoch, beside 86 validation rows, tested on" in card
    assert "- Validation rows did not choose the epoch at which training stopped: " in card
    assert "stopped early by" not in card and "stopped early by 86 validation rows" in model_card(manifest)


@pytest.mark.parametrize("n_groups", [None, [24, 12]])
def test_beside_the_bound_on_attacks_stands_what_chance_makes_of_so_few_rows(
    manifest: dict, n_groups: list[int] | None
) -> None:
    """With epsilon 0.2 a card said "No attack's advantage exceeds 0.1 (here 0.14)"."""
    private = copy.deepcopy(manifest)
    private["evaluation"]["membership"] |= {
        "bound": 0.1, "advantage": 0.144, "n_trained": 96, "n_unseen": 30, "n_groups": n_groups,
    }  # fmt: skip
    chance = 0.26 if n_groups is None else 0.43
    said = (
        "No attack's advantage exceeds 0.1 over many trainings; on these rows it was 0.14, of which chance alone "
        f"makes up to {chance:g}, so few are they (19 times in 20)."
    )
    report = html.unescape(training_report(ReportFacts(manifest=private)).decode())
    assert said in model_card(private) and said in report
    n, m = n_groups or (96, 30)
    rows = np.random.default_rng(0).normal(size=(500, n + m))
    above = [ks_2samp(row[:n], row[n:], alternative="greater").statistic > chance for row in rows]
    assert 0.015 < np.mean(above) < 0.08


def test_units_are_told_where_the_data_sheet_has_them(manifest: dict) -> None:
    assert "Units" not in model_card(manifest)
    data = manifest["data"] | {"units": {"mean radius": "mm", "dose*": "mg"}}
    assert "- Units: mean radius in mm, dose\\* in mg\n" in model_card(manifest | {"data": data})


def test_a_model_without_evaluation_says_that_nothing_is_known(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, labels)
    model.save(tmp_path / "iris.superpose")
    card = model_card(Predictor.load(tmp_path / "iris.superpose").manifest)
    assert "nothing is known about how well" in card
    assert "was not compared" in card
    assert "says nothing else about the training data" in card


def test_a_card_carries_what_was_stated_and_a_medical_one_its_sentence(manifest: dict) -> None:
    spec = {**manifest["provenance"]["spec"]}
    spec["card"] = {
        "domain": "medical",
        "intended_use": "Second reading of *smears* by pathologists.",
        "limits": "Adults of one clinic only.",
        "no_subgroups": "The data name neither age nor site.",
    }
    card = model_card({**manifest, "provenance": {**manifest["provenance"], "spec": spec}})
    assert card.splitlines()[2] == "**Not for clinical use.**"
    for said in (
        "- Intended use: Second reading of \\*smears\\* by pathologists.",
        "- Limits: Adults of one clinic only.",
        "- No subgroups were compared: The data name neither age nor site.",
    ):
        assert said in card, said
    spec["card"] = {"domain": "general"}
    assert "clinical" not in model_card({**manifest, "provenance": {**manifest["provenance"], "spec": spec}})
    assert "**Not for clinical use.**" in model_card(manifest)  # trained on breast_cancer, which is medical by itself


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("projected_kernel", "1 of up to 4 qubits, 0 angles, "),
        ("kitchen_sinks", "Family: kitchen\\_sinks; hyperparameters: "),
        ("dressed_circuit", "the PyTorch module HybridNetwork"),
    ],
)
def test_families_have_cards(family: str, said: str, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = FAMILIES[family].load()()
    if "epochs" in model.get_params():
        model.set_params(epochs=1)
    model.fit(rows, labels).save(tmp_path / "iris.superpose")
    card = model_card(Predictor.load(tmp_path / "iris.superpose").manifest)
    assert card.splitlines()[0] == f"# Model card: {family.replace('_', ' ')} classifier on unnamed data"
    assert said in card
    assert "- Classes: 0, 1, 2" in card


def test_a_regressor_has_a_card(tmp_path: Path) -> None:
    rows, _ = load_iris(return_X_y=True)
    model = HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows[:, :3], rows[:, 3])
    model.save(tmp_path / "width.superpose")
    card = model_card(Predictor.load(tmp_path / "width.superpose").manifest)
    assert card.splitlines()[0] == "# Model card: hybrid quantum-classical regressor on unnamed data"
    assert "- Predicts a number: y" in card
    assert "circuit, linear layer to one number" in card


def test_a_template_s_model_of_series_has_a_card(tmp_path: Path) -> None:
    rows, _ = load_iris(return_X_y=True)
    HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows[:, :3], rows[:, 3]).save(tmp_path / "m")
    manifest = Predictor.load(tmp_path / "m").manifest
    series = {"name": "sales", "frequency": "monthly", "n_series": 2}
    card = model_card({**manifest, "data": series, "evaluation": {"verdict": "Undecided: few origins."}})
    assert "- frequency: monthly" in card
    assert "the run's report.json has the figures" in card
    assert "**Undecided: few origins.**" in card
    page = training_report(ReportFacts(Predictor.load(tmp_path / "m"), manifest={**manifest, "data": series}))
    assert b"frequency: monthly" in page

    whole = {**series, "n_periods": 200, "first": "2001-01", "last": "2017-08", "season": 12, "covariates": []}
    whole |= {"source": None, "n_filled_with_zero": 0, "digest": "ab12"}
    said = "2 series, 200 monthly periods from 2001-01 to 2017-08; a season has 12."
    card = model_card({**manifest, "data": whole})
    assert f"- {said}" in card
    assert "- Covariates: none." in card
    assert ("source: None" in card, "n filled" in card, "covariates: " in card) == (False, False, False)
    page = training_report(ReportFacts(Predictor.load(tmp_path / "m"), manifest={**manifest, "data": whole}))
    assert said.encode() in page


@pytest.mark.parametrize(
    ("value", "printed"), [(0.0, "0.0000"), (0.25, "0.2500"), (0.0456, "0.0456"), (2.34e-5, "2.34e-05")]
)
def test_small_attributions_keep_digits_that_count(manifest: dict, value: float, printed: str) -> None:
    columns = {"area": 0.5, "radius": value}
    sample = {"method": "occlusion", "n_rows": 3, "unit": "probability", "columns": columns}
    assert f"| radius | {printed} |" in model_card(manifest, evidence={"explanation": sample})
