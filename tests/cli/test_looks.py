"""How things look: narrow terminals, colours, live progress."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from superpose.cli.comparison import print_comparison
from superpose.cli.following import ProgressView, estimate_text, progress_text
from superpose.client import Event
from superpose.learning.card import no_width

METRIC = {"mean": 0.9721, "low": 0.951, "high": 1.0, "values": [0.97, 0.98]}
NAMES = ("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "brier")
ROW = {"label": "x", "n_params": 158, "n_trainable": 158, "metrics": {name: METRIC for name in NAMES}}
EVALUATION: dict[str, Any] = {
    "n_splits": 5,
    "confidence": 0.95,
    "verdict": "Undecided: " + "no difference in accuracy is large enough to tell anything from anything else, " * 3,
    "models": {
        "hybrid": ROW,
        "baseline": {**ROW, "label": "tuned logistic regression"},
        "controls": {"frozen": ROW, "no_entanglement": ROW, "classical_twin": ROW},
    },
}
PROGRESS = {
    "stage": "training",
    "split": 1,
    "n_splits": 5,
    "variant": "no_entanglement",
    "epoch": 12,
    "n_epochs": 40,
    "loss": 0.2312,
    "validation_accuracy": 0.9581,
    "eta_s": 12.4,
    "fraction": 0.25,
}


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_comparison_fits_and_names_every_model(width: int, terminal: bool) -> None:
    stream = io.StringIO()
    out = Console(file=stream, width=width, force_terminal=terminal, color_system=None, highlight=False)
    print_comparison(EVALUATION, out, indent=3)
    lines = [
        line.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        for line in stream.getvalue().splitlines()
    ]
    assert max(map(len, lines)) <= width
    assert lines == [line.rstrip() for line in lines]
    words = " ".join(" ".join(lines).split())
    for title in (
        "accuracy",
        "balanced accuracy",
        "AUC",
        "sensitivity",
        "specificity",
        "parameters",
        "0.972",
        ".951–1.00",
    ):
        assert title in words
    head = lines[0] + lines[1]
    assert [head.index(word) for word in ("hybrid", "classical", "no ", "frozen", "logistic")] == sorted(
        head.index(word) for word in ("hybrid", "classical", "no ", "frozen", "logistic")
    )
    assert " ".join(EVALUATION["verdict"].split()) in words


@pytest.mark.parametrize("width", [45, 60])
def test_a_narrow_terminal_gets_several_tables_each_with_the_names_of_its_rows(width: int) -> None:
    stream = io.StringIO()
    print_comparison(EVALUATION, Console(file=stream, width=width, color_system=None, highlight=False), indent=3)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert text.count("balanced accuracy ") == text.count("sensitivity ") == (2 if width == 60 else 3)
    assert [text.count(word) for word in ("hybrid", "classical", "frozen", "logistic")] == [1, 1, 1, 1]


def test_an_interval_without_width_is_not_left_to_be_taken_for_certainty() -> None:
    said = "An interval without width says that all splits gave the same figure, not that it is certain."
    same = {**ROW, "metrics": {**ROW["metrics"], "sensitivity": {"mean": 0.0, "low": 0.0, "high": 0.0}}}
    for row, told in ((ROW, False), (same, True)):
        stream = io.StringIO()
        found = {**EVALUATION, "models": {"hybrid": ROW, "baseline": row, "controls": {}}}
        print_comparison(found, Console(file=stream, width=80))
        assert (said in " ".join(stream.getvalue().split())) == told
        assert said not in no_width({**found, "means_over": "Means over seeds."}, [row])


def test_what_speaks_against_the_figures_stands_below_the_verdict() -> None:
    leak = {"kind": "leak", "message": "Column 'exit' alone tells the class: a leak.", "doubtful": True}
    for found, told in (({**EVALUATION, "findings": [leak]}, True), (EVALUATION, False)):
        stream = io.StringIO()
        print_comparison(found, Console(file=stream, width=80))
        shown = " ".join(stream.getvalue().split())
        assert shown.endswith("The figures may be too good. Column 'exit' alone tells the class: a leak.") == told
        assert ("too good" in shown) == told


def test_an_evaluation_without_controls_or_baseline_has_fewer_columns() -> None:
    stream = io.StringIO()
    lone = {**EVALUATION, "models": {"hybrid": ROW, "baseline": None, "controls": {}}}
    print_comparison(lone, Console(file=stream, width=80))
    assert "hybrid" in stream.getvalue()
    assert "logistic" not in stream.getvalue()


def test_progress_says_where_it_is_in_one_line() -> None:
    assert progress_text(PROGRESS) == (
        "25 % · split 2 of 5 · same circuit without entanglement · epoch 12 of 40 · loss 0.2312 · "
        "validation accuracy 0.958 · ETA 12 s"
    )
    assert progress_text({"stage": "running"}) == "running"
    assert progress_text({}) == ""


def test_progress_is_drawn_in_place_on_a_terminal_and_told_once_in_a_pipe() -> None:
    events = [
        Event(number, None, "progress", {**PROGRESS, "epoch": number, "variant": variant})
        for number, variant in ((1, "hybrid"), (2, "hybrid"), (3, "frozen"))
    ]
    stream = io.StringIO()
    with ProgressView(Console(file=stream, width=90, force_terminal=True)) as view:
        for event in events:
            view.show(event)
    drawn = stream.getvalue()
    assert "ETA 12 s" in drawn
    assert drawn.endswith("\x1b[2K") or "\x1b[2K" in drawn[-40:]  # what was drawn is taken away again

    stream = io.StringIO()
    with ProgressView(Console(file=stream, width=90)) as view:
        for event in [*events, Event(4, None, "log", {"message": "a word"})]:
            view.show(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "epoch 1 of 40" in lines[0]
    assert "frozen" in lines[1]
    assert lines[2] == "  a word"


def test_a_forecasts_table_has_its_own_measures_and_names() -> None:
    measures = {name: {"mean": 0.316, "low": 0.1, "high": 12.5} for name in ("mase", "coverage")}
    rows = {name: {"label": name, "n_params": "–", "metrics": measures} for name in ("hybrid model", "seasonal naive")}
    baseline = {"label": "ridge on the same features", "n_params": "–", "metrics": measures}
    models = {"hybrid": rows["hybrid model"], "baseline": baseline, "controls": {}}
    evaluation = {"models": {**models, "others": {"seasonal_naive": rows["seasonal naive"]}}, "means_over": "Means."}
    stream = io.StringIO()
    print_comparison(evaluation, Console(file=stream, width=100))
    head, _, body = stream.getvalue().partition("parameters")
    assert "logistic" not in head
    assert {"ridge", "on", "the", "same", "features", "seasonal", "naive", "hybrid", "model"} == set(head.split())
    assert "MASE (low is good)" in body and "coverage" in body and ".100–12.50" in body and "accuracy" not in body


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0953, "0.0953"), (3.27, "3.27"), (240.0, "240"), (4730.0, "4,730"), (1.23e7, "12,300,000")]
)
def test_an_estimate_is_told_in_plain_figures(seconds: float, told: str) -> None:
    said = estimate_text({"cpu_s": seconds, "parts": {"rest": seconds}})
    assert said == f"about {told} s of processor time (rest {told} s)"


def test_bounds_of_a_sweep_are_told_where_results_decide() -> None:
    estimate = {"cpu_s": 300.0, "parts": {"trials": 100.0, "final training": 200.0}}
    plain = "about 300 s of processor time (final training 200 s, trials 100 s)"
    assert estimate_text({**estimate, "least_cpu_s": 300.0, "most_cpu_s": 300.0}) == plain
    bounds = {"least_cpu_s": 90.5, "most_cpu_s": 2400.0}
    assert estimate_text({**estimate, **bounds}) == f"{plain}; 90.5 to 2,400 s, as results decide"
