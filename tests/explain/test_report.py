"""Reports: every section, the document's own numbers, nothing from elsewhere, every text escaped, equal bytes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score, roc_curve
from tests.explain.conftest import module_predictor
from torch import nn

from superpose.datasets import Table, builtin_table
from superpose.datasets.readers import table_from_frame
from superpose.errors import ExtraMissingError, ModelFormatError
from superpose.explain import (
    ReportFacts,
    demand_report,
    explanation_sample,
    model_card,
    report_pdf,
    study_report,
    training_report,
)
from superpose.explain.report.blocks import Page, Section
from superpose.explain.report.blocks import Table as Rows
from superpose.explain.report.page import render_page
from superpose.explain.report.plots import look
from superpose.learning import Predictor, TrainingSpec, run_experiment
from superpose.learning.calibration.reliability import reliability_bins
from superpose.learning.plot_data import MOST_POINTS, case_plots, curve_of, roc_points
from superpose.learning.training import EpochReport
from superpose.learning.verdicts import SeenCases

SECTIONS = [
    "controls", "results", "curves", "calibration", "subgroups", "explanation", "circuit", "data", "privacy", "cost",
    "promotion", "environment",
]  # fmt: skip
SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 3},
    "evaluation": {"n_splits": 2, "controls": ["classical_twin"], "baseline": "logistic_regression"},
    "calibration": {"method": "temperature"},
    "card": {"domain": "medical", "limits": "One laboratory."},
}
EVIDENCE: dict[str, Any] = {
    "energy": {
        "cpu_s": 3.0, "worker_s": 4.0, "cpu_watts": 12.0, "energy_wh": 0.01, "worker_second_usd": 0.0,
        "provider_usd": 0.0, "cost_usd": 0.0,
    },
    "environment": {"python": "3.11.2", "machine": "x86_64", "cpu_threads": 2},
}  # fmt: skip
Facts = Callable[[], ReportFacts]


class Parts(HTMLParser):
    """What of a page matters here."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    """A real training on the breast cancer data, and what its job would leave."""
    table = builtin_table("breast_cancer")
    found = run_experiment(TrainingSpec.from_dict(SPEC), table, tmp_path_factory.mktemp("run"))
    predictor = Predictor.load(found.model_path)
    sample = explanation_sample(predictor, table.features.iloc[:3], 0)
    job = {"id": "job_1", "kind": "train", "attempt": 1, "created_at": "2026-01-01T00:00:00Z"}
    return ReportFacts(predictor, job=job, model="cells", version=3, evidence={**EVIDENCE, "explanation": sample})


@pytest.fixture(scope="module")
def html(facts: ReportFacts) -> bytes:
    return training_report(facts)


def test_every_section_is_there_and_says_what_the_document_says(facts: ReportFacts, html: bytes) -> None:
    page, evaluation = Parts(html), facts.known_evaluation
    assert [one["id"] for one in page.all("h2")] == ["verdict", *SECTIONS]
    assert "Left out" not in page.text.replace("Left out: the spec named no columns", "")
    assert page.text.count("Not for clinical use.") == 1
    assert page.text.index("Not for clinical use.") < page.text.rindex("Training report: cells version 3")
    assert evaluation["verdict"] in page.text
    for value in evaluation["model_metrics"].values():
        assert f"{value:.3f}" in page.words
    for row in evaluation["comparisons"]:
        assert f"{row['mean_difference']:+.3f}" in page.words and row["outcome"] in page.words
    for stage in ("before", "after"):
        assert f"{evaluation['calibration'][stage]['log_loss']:.3f}" in page.words
    for digest in (facts.known_manifest["data"]["digest"], facts.known_manifest["provenance"]["spec_digest"]):
        assert digest in page.text
    for said in (
        "One laboratory.",
        "cpu threads",
        "job_1",
        "about 0.01 Wh",
        "Not ready for production",
        "loss threshold",
    ):
        assert said in page.text, said


def test_figures_say_in_words_what_they_draw(facts: ReportFacts, html: bytes) -> None:
    alts = [one["aria-label"] for one in Parts(html).all("div") if one.get("role") == "img"]
    assert len(alts) == len(Parts(html).all("figure")) == 8
    cases = facts.known_evaluation["cases"]["models"]
    (roc,) = [alt for alt in alts if alt.startswith("ROC")]
    for name in ("hybrid", "classical_twin", "baseline"):
        assert f"{cases[name]['auc']:.3f}" in roc
    (reliability,) = [alt for alt in alts if alt.startswith("Reliability")]
    for one in facts.known_evaluation["calibration"]["after"]["bins"]:
        assert f"{one['confidence']:.2f} stated, {one['accuracy']:.2f} right of {one['n_rows']}" in reliability


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(html: bytes) -> None:
    page, text = Parts(html), html.decode("utf-8")
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "data", "action", "srcset", "poster"):
                assert value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert all(inner.startswith("#") for inner in re.findall(r"url\(['\"]?([^)]*)\)", text))
    assert "@import" not in text and "default-src 'none'" in text
    assert len(html) < 400_000


def test_a_page_is_whole(html: bytes) -> None:
    page = Parts(html)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs[name] for _, attrs in page.tags for name in ("href", "xlink:href") if name in attrs}
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))


def test_equal_facts_give_equal_bytes(facts: ReportFacts, html: bytes) -> None:
    assert training_report(facts) == html


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ {{ 77*91 }} &amp; ]]>'


def test_names_of_users_cannot_break_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {f"{HOSTILE} {place}": rng.normal(size=60) for place in range(2)}
    labels = np.where(rng.random(60) < 0.5, HOSTILE, f"other {HOSTILE}")
    table = table_from_frame(pd.DataFrame(columns).assign(kind=labels), name=HOSTILE, target="kind")
    spec = {
        "model": {"n_qubits": 1, "ansatz": {"layers": 1}},
        "training": {"epochs": 1},
        "evaluation": {"n_splits": 2, "controls": [], "baseline": "none", "subgroups": [f"{HOSTILE} 0"]},
        "card": {"intended_use": HOSTILE, "limits": HOSTILE},
    }
    predictor = Predictor.load(run_experiment(TrainingSpec.from_dict(spec), table, tmp_path).model_path)
    sample = explanation_sample(predictor, table.features.iloc[:2], 0)
    override = {"endpoint": HOSTILE, "overridden_by": HOSTILE, "missing": [HOSTILE], "reason": HOSTILE}
    facts = ReportFacts(
        predictor, model=HOSTILE, version=1, job={"id": HOSTILE}, evidence={"explanation": sample}, overrides=[override]
    )
    html = training_report(facts)
    page = Parts(html)
    assert {"script", "img"}.isdisjoint(tag for tag, _ in page.tags)
    assert "{{ 77*91 }}" in page.text and "7007" not in page.text.split("Privacy")[0].split("Trained on")[0]
    assert "not compared with controls" in page.text
    test_nothing_is_loaded_from_anywhere_and_nothing_runs(html)


def test_the_strongest_columns_come_first_in_whatever_order_a_registry_keeps_them(facts: ReportFacts) -> None:
    columns = {f"column {place:02d}": 0.001 * place for place in range(20)}
    sample = {"method": "occlusion", "n_rows": 2, "columns": columns}
    page = Parts(training_report(ReportFacts(facts.predictor, evidence={"explanation": sample})))
    (alt,) = [one["aria-label"] for one in page.all("div") if one.get("aria-label", "").startswith("Attributions")]
    assert alt.startswith("Attributions by column: column 19 0.019, column 18 0.018") and "column 04" not in alt
    assert "column 19, column 18" in page.text  # the promotion gate's words


def test_several_classes_each_have_a_curve(flowers: tuple[Predictor, Table]) -> None:
    predictor, _ = flowers
    page = Parts(training_report(ReportFacts(predictor)))
    (roc,) = [one["aria-label"] for one in page.all("div") if one.get("aria-label", "").startswith("ROC")]
    assert all(f"{name} " in roc for name in ("setosa", "versicolor", "virginica"))
    assert "each class against the rest" in page.text


def test_drawings_keep_names_as_they_are_and_say_their_unit(facts: ReportFacts) -> None:
    odd = 'id="x" url(#y) href="#z" 年龄'
    sample = {"method": "occlusion", "n_rows": 2, "columns": {odd: 0.2}, "unit": "the predicted number"}
    page = Parts(training_report(ReportFacts(facts.predictor, evidence={"explanation": sample})))
    assert odd in page.words  # in the drawing, beside its bar
    assert "mean absolute attribution (the predicted number)" in page.words
    assert "(probability)" not in page.text
    assert "The only column." in page.text


def test_a_class_with_an_underscore_has_its_curve_in_the_legend(flowers: tuple[Predictor, Table]) -> None:
    evaluation = copy.deepcopy(dict(flowers[0].manifest["evaluation"]))
    curves = evaluation["cases"]["models"]["hybrid"]["roc"]
    curves[0]["class"] = "_setosa"
    page = Parts(training_report(ReportFacts(flowers[0], evaluation=evaluation)))
    assert any(f"_setosa ({curves[0]['auc']:.3f})" in said for said in page.words)


def test_pixels_are_drawn_as_a_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"grey_{row}_{column}" for row in range(3) for column in range(3)]
    frame = pd.DataFrame(rng.random((60, 9)), columns=names)
    table = table_from_frame(frame.assign(kind=np.where(frame["grey_1_1"] > 0.5, "a", "b")), name="x", target="kind")
    spec = {
        "model": SPEC["model"],
        "training": {"epochs": 1},
        "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    }
    predictor = Predictor.load(run_experiment(TrainingSpec.from_dict(spec), table, tmp_path).model_path)
    columns = {name: 0.001 * place for place, name in enumerate(names)} | {"grey_2_0": 0.5}
    sample = {"method": "occlusion", "n_rows": 2, "columns": columns}
    html = training_report(ReportFacts(predictor, evidence={"explanation": sample}))
    (alt,) = [one["aria-label"] for one in Parts(html).all("div") if "3 by 3 pixels" in one.get("aria-label", "")]
    assert "the most, 0.5, at row 2, column 0" in alt
    test_nothing_is_loaded_from_anywhere_and_nothing_runs(html)
    test_a_page_is_whole(html)


def test_what_was_found_before_training_stands_beside_the_verdict_and_on_the_card(facts: ReportFacts) -> None:
    assert facts.known_manifest["evaluation"]["findings"] == []
    manifest = copy.deepcopy(dict(facts.known_manifest))
    leak = "Column '<b>*exit*' alone tells the class of 100.0 % of the test rows: a leak."
    drift = "Column 'age' is distributed otherwise."
    for found, caution in (
        ([{"kind": "leak", "message": leak, "doubtful": True}, {"kind": "drift", "message": drift}], leak),
        ([{"kind": "drift", "message": drift, "doubtful": False}], None),
        ([], None),
    ):
        manifest["evaluation"]["findings"] = found
        page = Parts(training_report(ReportFacts(facts.predictor, manifest=manifest)))
        assert page.text.count("The figures may be too good.") == (caution is not None)
        card = model_card(manifest)
        assert card.count("The figures may be too good.") == (caution is not None) and "<b>" not in card
        if caution:
            assert page.text.index(f"The figures may be too good. {caution}") < page.text.index("Controls and baseline")
            assert card.index("Found before training") < card.index("## Results") < card.index("too good")
        assert (f"Found before training: {drift}" in page.text) == ("Found before training: Column 'age'" in card)
        assert (f"Found before training: {drift}" in page.text) == bool(found)
        assert ("neither leaks, doubles" in page.text) == ("neither leaks, doubles" in card) == (not found)


def test_a_report_tells_the_limits_that_the_card_tells(facts: ReportFacts) -> None:
    manifest = copy.deepcopy(dict(facts.known_manifest))
    manifest["data"]["split_by"] = {"kind": "site", "column": "clinic"}
    manifest["data"]["class_counts"] = {"benign": 357, "malignant": 12}
    manifest["provenance"]["sweep"] = {"n_trials": 7, "folds": 3, "metric": "auc"}
    manifest["evaluation"]["privacy"] = {
        "epsilon": 2.0, "delta": 1e-5, "covers": "the weights", "protects": "one training row", "n_steps": 9,
        "does_not_cover": ["scaling"], "noise_multiplier": 1.0, "max_gradient_norm": 1.0, "largest_group": 8,
        "epsilon_of_largest_group": 86.0, "delta_of_largest_group": 1e-5, "sweep_trainings": 21,
        "epsilon_with_sweep": 44.0, "delta_with_sweep": 2.2e-4,
    }  # fmt: skip
    manifest["evaluation"]["models"]["hybrid"]["metrics"]["auc"] |= {"low": 0.9, "high": 0.9}
    text = Parts(training_report(ReportFacts(facts.predictor, manifest=manifest))).text
    card = model_card(manifest).replace("**this model**", "this very model")
    for said in (
        "Test rows come from one clinic that training did not see: figures at others may be worse.",
        "Fewer than 30 rows each: malignant; do not rely on these classes.",
        "The spec was chosen by a sweep of 7 trials, for its auc on 3 tuning folds. The row this very model is",
        "share rows with the tuning folds and may flatter the model.",
        "The patient with most training rows has 8: epsilon 86, delta 1e-05 for all of them together.",
        "all together spent up to epsilon 44, delta 0.00022.",
        "towards one training row",
        "An interval without width says that all splits gave the same figure, not that it is certain.",
    ):
        assert said in text and said in card, said


def test_a_private_child_s_promise_is_told_with_what_its_parent_learnt(facts: ReportFacts) -> None:
    manifest = copy.deepcopy(dict(facts.known_manifest))
    manifest["evaluation"]["privacy"] = {
        "epsilon": 2.0, "delta": 1e-5, "covers": "the weights", "protects": "one training row", "n_steps": 9,
        "does_not_cover": ["scaling"], "noise_multiplier": 1.0, "max_gradient_norm": 1.0,
    }  # fmt: skip
    manifest["evaluation"]["membership"] = copy.deepcopy(manifest["evaluation"]["membership"]) | {"bound": 0.5}

    def both(**began: Any) -> tuple[str, str]:
        parent = {"parent": "heart:1", "digest": "ab", "entry": "keep", "head": "keep", "freeze": [], **began}
        made = manifest | {"provenance": manifest["provenance"] | ({"fine_tuned_from": parent} if began else {})}
        return Parts(training_report(ReportFacts(facts.predictor, manifest=made))).text, model_card(made)

    own = manifest["data"]["digest"]
    for text in both():
        assert ("the parent heart:1" in text.lower(), "No attack's advantage exceeds 0.5" in text) == (False, True)
    for text in both(dataset_digest="elsewhere"):
        assert "Nor does that epsilon cover the rows that the parent heart:1 learnt from." in text
        assert "No attack's advantage exceeds 0.5" in text
    for began in ({"dataset_digest": own}, {"dataset_digest": "elsewhere", "earlier_data": [own]}):
        for text in both(**began):
            assert "for a training row that the parent had, the promise does not hold" in text
            assert "No attack's advantage exceeds" not in text


def test_what_is_not_known_is_left_out_and_said(facts: ReportFacts) -> None:
    nothing = Parts(training_report(ReportFacts()))
    assert [one["id"] for one in nothing.all("h2")] == SECTIONS
    assert nothing.text.count("Left out:") >= 9 and not nothing.all("figure")
    older = {k: v for k, v in facts.known_evaluation.items() if k not in ("cases", "learning_curves", "calibration")}
    old = Parts(training_report(ReportFacts(evaluation=older, job={"id": "job_2"})))
    assert "the model file is gone" in old.text and "holds no learning curves" in old.text
    assert older["verdict"] in old.text


@pytest.mark.parametrize(
    "said",
    [{"model_metrics": "x"}, {"learning_curves": [1, 2]}, {"calibration": 5}, {"membership": "x"}, {"subgroups": 7}],
)
def test_an_evaluation_in_another_form_is_told_as_such(said: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match="not in this release's form"):
        training_report(ReportFacts(evaluation=said))


def test_a_run_in_another_form_is_told_as_such() -> None:
    for report in (study_report, demand_report):
        with pytest.raises(ModelFormatError, match="no report can be written"):
            report({"template": "pneumonia", "metrics": None})


@pytest.mark.slow  # torch exports a module
def test_a_module_without_a_circuit_has_a_report() -> None:
    plain = module_predictor(nn.Sequential(nn.Linear(30, 2)), builtin_table("breast_cancer"))
    module = Parts(training_report(ReportFacts(plain)))
    assert "this model has no circuit" in module.text and "this model was not evaluated" in module.text


def test_roc_curves_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(400) < 0.4
    scores = np.round(rng.normal(size=400) + truth, 1)  # with ties
    points = roc_points(truth, scores)
    assert points is not None
    fpr, tpr, _ = roc_curve(truth, scores)
    np.testing.assert_allclose(points, [fpr, tpr], rtol=1e-5)
    assert auc(*points) == pytest.approx(roc_auc_score(truth, scores), abs=1e-5)
    many = roc_points(rng.random(5_000) < 0.5, rng.random(5_000))
    assert many is not None and len(many[0]) <= MOST_POINTS
    assert (many[0][0], many[1][0], many[0][-1], many[1][-1]) == (0.0, 0.0, 1.0, 1.0)
    assert roc_points(np.ones(3, dtype=bool), np.arange(3.0)) is None


def test_case_plots_count_cases(facts: ReportFacts) -> None:
    rng = np.random.default_rng(2)
    truth, said = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50)
    found = case_plots(SeenCases(truth, {"hybrid": said, "baseline": said}), ["a", "b", "c"])
    hybrid = found["models"]["hybrid"]
    from sklearn.metrics import confusion_matrix

    assert hybrid["confusion"] == confusion_matrix(truth, said.argmax(axis=1)).tolist()
    assert hybrid["bins"] == reliability_bins(truth, said)
    assert hybrid["auc"] == pytest.approx(roc_auc_score(truth, said, multi_class="ovr"))
    assert [one["auc"] for one in hybrid["roc"]] == pytest.approx(
        [roc_auc_score(truth == place, said[:, place]) for place in range(3)]
    )
    assert found["models"]["baseline"]["roc"] == []
    wide = case_plots(SeenCases(rng.integers(0, 30, 60), {"hybrid": rng.dirichlet(np.ones(30), 60)}), ["x"] * 30)
    assert wide["models"]["hybrid"]["confusion"] is None and wide["models"]["hybrid"]["roc"] is None


def test_learning_curves_are_the_epochs_thinned(facts: ReportFacts) -> None:
    (first, second) = facts.known_evaluation["learning_curves"]["hybrid"]
    assert (first["split"], second["split"], first["epochs"]) == (0, 1, [1, 2, 3])
    assert len(first["loss"]) == len(first["validation_loss"]) == 3 and first["best_epoch"] in (1, 2, 3)
    assert [one["split"] for one in facts.known_evaluation["learning_curves"]["classical_twin"]] == [0]
    history = [EpochReport(epoch, 1.0 / epoch, None, None) for epoch in range(1, 1_001)]
    long = curve_of(history, 123)
    assert len(long["epochs"]) <= MOST_POINTS and {1, 123, 1_000} <= set(long["epochs"])
    assert long["validation_loss"] is None
    assert curve_of(history, 5, private=True)["loss"] is None


@pytest.mark.slow  # WeasyPrint takes a second to load and two to set a report
def test_a_report_as_pdf_has_its_texts_and_loads_nothing(html: bytes, tmp_path: Path) -> None:
    try:
        pdf = report_pdf(html)
    except ExtraMissingError as error:
        pytest.skip(error.message)
    assert pdf.startswith(b"%PDF-") and len(pdf) > 20_000
    assert report_pdf(html) == pdf
    picture = tmp_path / "secret.svg"
    picture.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><rect width="90" height="9"/></svg>'
    )
    page = "<html><body><h1>Hello</h1>{}</body></html>"
    with_it, without = (report_pdf(page.format(part).encode()) for part in (f'<img src="{picture.as_uri()}">', ""))
    assert len(with_it) <= len(without) + 60


@pytest.mark.slow  # WeasyPrint sets twenty short pages
def test_the_last_printed_page_is_not_the_footers_alone() -> None:
    weasyprint = pytest.importorskip("weasyprint", reason="prints the pages")
    for n_rows in range(30, 50):  # one of them leaves no room for a footer of two lines
        rows = [[f"row {number}", "1"] for number in range(n_rows)]
        page = Page(
            "A report", "of rows", None, None, [], [Section("rows", "Rows", [Rows("All", ["row", "number"], rows)])]
        )
        last = weasyprint.HTML(string=render_page(page).decode()).render().pages[-1]
        told = " ".join(box.text for box in last._page_box.descendants() if hasattr(box, "text"))
        assert f"row {n_rows - 1}" in told and "Made by superpose" in told


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jinja2" else real(name))
    with pytest.raises(ExtraMissingError, match=r"superpose\[report\]"):
        training_report(ReportFacts())


def test_lines_of_many_models_are_told_apart_by_colour_and_style_together() -> None:
    looks = [look(place) for place in range(36)]
    assert len({str(one) for one in looks}) == 36
    assert len({str(style) for _, style in looks[:6]}) == 6  # the first also without colours
