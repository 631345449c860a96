"""The sections of a report on how well models do: curves, results, controls, calibration, subgroups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.explain.calibration_section import groups_said, sets_that_tell_nothing
from superpose.explain.group_words import counted_in, equal_means, groups_lines, of_first_seed
from superpose.explain.report.blocks import Block, Points, Section, Table, Text
from superpose.explain.report.plots import confusion_figure, curves_figure, reliability_figure, roc_figure
from superpose.learning.card import no_width
from superpose.learning.metrics import METRICS, NUMBER_METRICS

__all__ = [
    "calibration",
    "comparisons",
    "curves",
    "number",
    "results",
    "share_said",
    "subgroups",
    "title_of",
    "unbroken",
]

Facts = Mapping[str, Any]
_NOT_EVALUATED = "Left out: this model was not evaluated."


def title_of(metric: str) -> str:
    """How a metric is called."""
    if metric in NUMBER_METRICS:
        return NUMBER_METRICS[metric][1]
    return METRICS[metric].title if metric in METRICS else metric.replace("_", " ")


def number(value: Any, form: str = ".3f") -> str:
    """A number as it stands in a table; a dash for none."""
    return format(value, form) if isinstance(value, int | float) and math.isfinite(value) else "–"


def unbroken(text: str) -> str:
    """A text that stays on one line."""
    return text.replace(" ", "\u00a0")


def models_of(evaluation: Facts) -> dict[str, Facts]:
    """Name -> row of every model that was judged, the subject first."""
    models = evaluation.get("models") or {}
    found = {"hybrid": models.get("hybrid"), **(models.get("controls") or {}), "baseline": models.get("baseline")}
    found |= models.get("others") or {}
    return {name: row for name, row in found.items() if row}


def labels_of(evaluation: Facts) -> dict[str, str]:
    """How each model is called."""
    return {name: str(row.get("label", name)) for name, row in models_of(evaluation).items()}


def _ordered(found: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[str, Any]]:
    """What is known of each model, in the order of the tables; documents keep their own."""
    names = [name for name in labels if name in found] + [name for name in found if name not in labels]
    return [(name, found[name]) for name in names]


def curves(evaluation: Facts) -> Section:
    """Losses by epoch."""
    found, labels = evaluation.get("learning_curves") or {}, labels_of(evaluation)
    blocks: list[Block] = [
        curves_figure(f"curve-{place}", labels.get(name, name), kept)
        for place, (name, kept) in enumerate(_ordered(found, labels))
        if kept and kept[0]["epochs"]
    ]
    if not evaluation:
        blocks = [Text(_NOT_EVALUATED)]
    elif not blocks:
        blocks = [Text("Left out: the job's document holds no learning curves. Jobs of older releases kept none.")]
    elif any(curve["loss"] is None for kept in found.values() for curve in kept):
        blocks.append(Text("Trained privately: losses on training rows are left out, since no epsilon covers them."))
    return Section("curves", "Learning curves", blocks)


def results(evaluation: Facts) -> Section:
    """Every model's figures, ROC curves and confusion matrices."""
    rows = models_of(evaluation)
    if not rows:
        return Section("results", "Results", [Text(_NOT_EVALUATED)])
    blocks: list[Block] = [_figures(evaluation, rows)]
    metrics = rows["hybrid"]["metrics"]
    if evaluation.get("positive_class") is not None:
        blocks.append(Text(f"Sensitivity and specificity speak of the class {evaluation['positive_class']}."))
    elif "auc" in metrics:
        blocks.append(Text("Sensitivity, specificity and AUC are means over one class against the rest."))
    without = no_width(evaluation, rows.values())
    blocks += [*([Text(without)] if without else []), *_split_texts(evaluation)]
    return Section("results", "Results", [*blocks, *_case_figures(evaluation)])


def _figures(evaluation: Facts, rows: Mapping[str, Facts]) -> Table:
    own = evaluation.get("model_metrics") or {}
    names = list(rows["hybrid"]["metrics"])
    told = [
        [
            str(row["label"]),
            str(row["n_params"]),
            *(_interval(row["metrics"].get(name)) for name in names),
        ]
        for row in rows.values()
    ]
    if own:
        told.append(["this very model", str(rows["hybrid"]["n_params"]), *(number(own.get(name)) for name in names)])
    share = 100 * evaluation.get("confidence", 0.95)
    return Table(
        evaluation.get("means_over")
        or f"Means over {evaluation.get('n_splits', '?')} splits with {share:g} % intervals; the last row is the "
        f"registered model on the test rows of its own split{_calibrated(evaluation)}",
        ["model", "parameters", *map(title_of, names)],
        told,
    )


def _calibrated(evaluation: Facts) -> str:
    return ", as it answers: calibrated, which no other row is" if _is_calibrated(evaluation) else ""


def _is_calibrated(evaluation: Facts) -> bool:
    return bool((evaluation.get("calibration") or {}).get("method", "none") != "none")


def _interval(metric: Any) -> str:
    if not isinstance(metric, Mapping):
        return "–"
    bounds = f"({number(metric.get('low'))} to {number(metric.get('high'))})"
    return f"{number(metric.get('mean'))} {unbroken(bounds)}"


def _split_texts(evaluation: Facts) -> list[Block]:
    lines = []
    if evaluation.get("split_count"):
        lines.append(str(evaluation["split_count"]["reason"]))
    if evaluation.get("n_seeds", 1) > 1:
        lines.append(f"Each split was trained with {evaluation['n_seeds']} seeds; a split's score is their mean.")
    tried = (evaluation.get("tuning") or {}).get("n_settings")
    if tried:
        labels = labels_of(evaluation)
        lines.append(f"Settings tried: {', '.join(f'{labels.get(name, name)} {n}' for name, n in tried.items())}.")
    return [Points(lines)] if lines else []


def _case_figures(evaluation: Facts) -> list[Block]:
    """ROC and confusion of the cases, where the document has them."""
    seen, labels = evaluation.get("cases"), labels_of(evaluation)
    if not seen and evaluation.get("intervals"):
        return []  # numbers have neither
    if not seen:
        return [Text("ROC curves and confusion matrices are left out: the job's document does not hold them.")]
    models: Facts = seen["models"]
    before = ", before calibration" if _is_calibrated(evaluation) else ""
    said = f"{seen['n_cases']} test cases, each counted once, in the first split that tests it" + before
    blocks: list[Block] = _answered_figures(evaluation.get("model_cases"))
    hybrid, shown = models["hybrid"], _ordered(models, labels)
    if seen["positive"] is not None:
        curves = [(labels.get(name, name), found["roc"][0]) for name, found in shown if found["roc"]]
        caption = f"ROC curves of class {seen['classes'][seen['positive']]}, with areas; {said}."
    else:
        curves = [(curve["class"], curve) for curve in hybrid["roc"] or ()]
        caption = f"ROC curves of the {labels.get('hybrid', 'model')}, each class against the rest, with areas; {said}."
    if curves:
        blocks.append(roc_figure("roc", curves, caption))
    else:
        blocks.append(Text("ROC curves are left out: too many classes, or only one occurs among the cases."))
    if hybrid["confusion"] is not None:
        names = ["hybrid", *(["classical_twin"] if "classical_twin" in models else [])]
        blocks += [
            confusion_figure(f"confusion-{name}", label, seen["classes"], models[name]["confusion"])
            for name, label in ((name, labels.get(name, name) + (before if name == "hybrid" else "")) for name in names)
        ]
    else:
        blocks.append(Text(f"Confusion matrices are left out: {len(seen['classes'])} classes are too many to draw."))
    areas = [[labels.get(name, name), number(found["auc"]), number(found["ece"])] for name, found in shown]
    return [
        *blocks,
        Table(
            f"Over all {said}: of models of several splits together, so areas differ from the means above",
            ["model", "AUC", "expected calibration error"],
            areas,
        ),
    ]


def _answered_figures(own: Facts | None) -> list[Block]:
    """The same of the registered model as it answers, where calibration moves its labels."""
    if not own:
        return []
    found, label = own["models"]["hybrid"], "registered model as it answers, after calibration"
    blocks: list[Block] = []
    if found["roc"]:
        curves = [(curve["class"], curve) for curve in found["roc"]]
        caption = f"ROC of the {label}, with areas; {own['n_cases']} test rows of its own split."
        blocks.append(roc_figure("roc-answered", curves, caption))
    if found["confusion"] is not None:
        blocks.append(confusion_figure("confusion-answered", label, own["classes"], found["confusion"]))
    return blocks


def comparisons(evaluation: Facts) -> Section:
    """What the model was compared with, and what that decides."""
    rows, labels = evaluation.get("comparisons") or [], labels_of(evaluation)
    if not rows:
        said = "The model was not compared with controls or a baseline; do not read its figures as an advantage."
        return Section("controls", "Controls and baseline", [Text(said, strong=True)])
    metric = title_of(str(evaluation["primary_metric"]))
    blocks: list[Block] = [
        Table(
            f"Difference in {metric}, {labels.get('hybrid', 'model')} minus each other; all rows share "
            f"{100 * evaluation['confidence']:g}\u00a0% confidence (Bonferroni)",
            ["against", "mean", "interval", "p", "outcome"],
            [
                [
                    labels.get(row["against"], row["against"]),
                    number(row["mean_difference"], "+.3f"),
                    f"{number(row['low'], '+.3f')} to {number(row['high'], '+.3f')}",
                    number(row["p_value"], ".2g"),
                    str(row["outcome"]),
                ]
                for row in rows
            ],
        )
    ]
    if evaluation.get("equivalence_margin") is not None:
        blocks.append(Text(equal_means(evaluation["equivalence_margin"])))
    seconds = [row for row in rows if row.get("cases")]
    if seconds:
        blocks.append(_second_opinions(seconds, labels, of_first_seed(evaluation)))
    blocks.extend(Text(said) for said in groups_lines(evaluation))
    return Section("controls", "Controls and baseline", blocks)


def _second_opinions(rows: Sequence[Facts], labels: Mapping[str, str], whose: str) -> Table:
    n_cases = f"{rows[0]['cases']['n_cases']} cases{whose}"
    return Table(
        f"Second opinions, which do not decide: over splits (Wilcoxon) and over {n_cases}",
        [
            "against",
            "p of equality",
            "effect size",
            "Wilcoxon p",
            "only this right",
            "only other right",
            "McNemar p",
            "bootstrap over cases",
            f"{counted_in(rows)} to decide",
            f"{counted_in(rows)} to call equal",
        ],
        [
            [
                labels.get(row["against"], row["against"]),
                number(row.get("p_equal"), ".2g"),
                number(row.get("effect_size"), "+.2f"),
                number(row.get("wilcoxon_p"), ".2g"),
                str(row["cases"]["only_hybrid_right"]),
                str(row["cases"]["only_other_right"]),
                number(row.get("mcnemar_p"), ".2g"),
                f"{number(row['cases'].get('low'), '+.3f')} to {number(row['cases'].get('high'), '+.3f')}",
                str(row["cases"]["to_decide"] or "–"),
                str(row["cases"]["to_call_equal"]),
            ]
            for row in rows
        ],
    )


_METHODS = {"temperature": "temperature scaling", "isotonic": "isotonic regression"}


def _of_intervals(found: Facts | None) -> str:
    said = "This model predicts numbers, and has no probabilities to calibrate."
    if not found:
        return f"Left out: {said[0].lower()}{said[1:]}"
    return (
        f"{said} Its {100 * found['coverage']:g}\u00a0% intervals held the true number "
        f"{100 * found['measured']:.1f}\u00a0% of the time ({found['of']}, {found['n']} numbers)."
    )


def calibration(evaluation: Facts, predicts_numbers: bool = False) -> Section:
    """How far probabilities can be trusted."""
    if predicts_numbers:
        return Section("calibration", "Calibration", [Text(_of_intervals(evaluation.get("intervals")))])
    if not evaluation:
        return Section("calibration", "Calibration", [Text(_NOT_EVALUATED)])
    found = evaluation.get("calibration")
    if not found:
        return Section("calibration", "Calibration", [Text("Left out: the document says nothing about calibration.")])
    calibrated = found["method"] != "none"
    series = [("before", found["before"]["bins"])] if calibrated else []
    series.append(("after calibration" if calibrated else "as they are", found["after"]["bins"]))
    stages = (
        [("before", found["before"]), ("after", found["after"])] if calibrated else [("as they are", found["after"])]
    )
    return Section(
        "calibration",
        "Calibration",
        [
            Text(
                f"{_recalibrated(found['method'])} Figures are of the registered model "
                f"on {found['n_rows']} test rows, on which nothing was fitted."
            ),
            reliability_figure(
                "reliability",
                series,
                f"Reliability on {found['n_rows']} test rows: on the dotted line, probabilities keep their word.",
            ),
            Table(
                "Calibration errors",
                ["", "expected calibration error", "Brier score", "log loss"],
                [
                    [name, number(stage["ece"]), number(stage["brier"]), number(stage["log_loss"])]
                    for name, stage in stages
                ],
            ),
            Points([*_safeguards(found), *sets_that_tell_nothing(evaluation), *groups_said(found)]),
        ],
    )


def _recalibrated(method: str) -> str:
    if method == "none":
        return "Probabilities are the model's own, not recalibrated."
    return f"Probabilities are recalibrated by {_METHODS.get(method, method)}."


def share_said(share: Facts) -> str:
    """A share in percent with its interval."""
    return f"{100 * share['share']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f} %)"


def _safeguards(found: Facts) -> list[str]:
    lines, sets, rule, novelty = [], found.get("conformal"), found.get("abstain"), found.get("novelty")
    if sets:
        lines.append(
            f"Prediction sets promise to hold the true class for {100 * sets['coverage']:g} % of rows; they did for "
            f"{share_said(sets['covered'])} of the test rows, with {sets['mean_size']['mean']:.2f} classes on average."
        )
    else:
        lines.append("Prediction sets: none were asked for.")
    if rule:
        right = "" if rule["accuracy"] is None else f", of which {share_said(rule['accuracy'])} are right"
        lines.append(f"The rule of abstaining answers {share_said(rule['answered'])} of the test rows{right}.")
    else:
        lines.append("Abstaining: no rule.")
    if novelty:
        lines.append(f"{share_said(novelty['novel'])} of the test rows are unlike the training rows (novel).")
    return lines


def subgroups(evaluation: Facts) -> Section:
    """How the model does in each subgroup."""
    own = evaluation.get("model_subgroups") or ()
    both = (
        (own, "this very model as it answers (calibration moves its labels), on the test rows of its own split"),
        (evaluation.get("subgroups") or (), "each case counted once" + (", before calibration" if own else "")),
    )
    blocks: list[Block] = [_slice(one, counted) for columns, counted in both for one in columns]
    named = "Left out: the spec named no columns to compare groups by (evaluation.subgroups)."
    said = named if evaluation else _NOT_EVALUATED
    return Section(
        "subgroups",
        "Subgroups",
        blocks or [Text(said)],
    )


def _slice(one: Facts, counted: str) -> Table:
    """The groups of one column."""
    shown = [name for name in ("accuracy", "sensitivity", "specificity") if name in one["gaps"]]
    return Table(
        f"By {one['column']}, {counted}, with Wilson intervals",
        ["group", "cases", *map(title_of, shown)],
        [
            [str(group["group"]), str(group["n_cases"]), *(_of_group(group, name) for name in shown)]
            for group in one["groups"]
        ],
    )


def _of_group(group: Facts, name: str) -> str:
    value, interval = group["metrics"].get(name), group["intervals"].get(name)
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} {unbroken(f'({interval[0]:.3f} to {interval[1]:.3f})')}"
