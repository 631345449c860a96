"""The model card: what a model is, what it was trained on, how well it does, against what, and where not to trust it.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993, whose sections it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from superpose.explain.calibration_section import calibration_lines
from superpose.explain.finding_words import finding_words
from superpose.explain.fine_tuning_words import fine_tuning_words
from superpose.explain.group_words import counted_in, equal_means, groups_lines, of_first_seed
from superpose.explain.limit_words import limit_words
from superpose.explain.model_section import counted, escaped, listed, model_lines, title_of_model, verbatim
from superpose.explain.privacy_words import (
    alarm_words,
    bound_words,
    more_than_one_row,
    of_groups,
    parent_had_rows,
    parent_words,
    shadow_words,
)
from superpose.explain.samples import strongest_first
from superpose.explain.series_words import series_words
from superpose.explain.validation_words import VALIDATION_NOTE, validation_points, validation_table
from superpose.learning.card import caution, no_width, notice_of, stated
from superpose.learning.fine_tuning.report import seen_warning
from superpose.learning.metrics import NUMBER_METRICS

__all__ = ["model_card"]

_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    **{name: title for name, (_, title) in NUMBER_METRICS.items()},
}

_MAX_COLUMNS = 10
_MAX_UNITS = 20


def model_card(
    manifest: Mapping[str, Any],
    *,
    evidence: Mapping[str, Any] | None = None,
    statements: Mapping[str, Any] | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
    validations: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The Markdown model card of a model file's manifest, and of what a registry knows about the version beside it.

    A pure function: equal arguments give equal cards. What they do not hold, its section says or is left out.

    Args:
        manifest: as `superpose.learning.Predictor.manifest` gives it.
        evidence: what the training job left: ``explanation`` and ``energy``.
        statements: what was stated at the version: ``intended_use``, ``limits``, ``no_subgroups``.
        overrides: ``endpoint``, ``missing``, ``reason``, ``overridden_at`` and ``overridden_by`` of each time that an
            admin let the version into production although something was missing.
        validations: how the version did on rows of other sites, as the registry keeps it, oldest first.

    Returns:
        Markdown, ending with a newline. Texts from the data (names of columns and classes) are escaped.
    """
    manifest = _in_one_line(manifest)
    name = escaped(manifest.get("data", {}).get("name") or "unnamed data")
    notice, known, evaluated = notice_of(manifest), evidence or {}, manifest.get("evaluation") or {}
    parts = [
        f"# Model card: {title_of_model(manifest)} on {name}",
        *([f"**{notice}**"] if notice else []),
        _section("Model", model_lines(manifest)),
        *_parent(manifest),
        _section("Data", _data(manifest)),
        _section("Results", _results(manifest)),
        *([] if "target" in manifest["pipeline"] else [_section("Calibration", _calibration(manifest, evaluated))]),
        _section("Compared with", _comparisons(manifest)),
        *([_section("Subgroups", _subgroups(manifest))] if _groups_of(manifest) else []),
        *([_section("External validation", _validations(validations, manifest))] if validations else []),
        *([_section("Privacy", _privacy(manifest))] if _privacy(manifest) else []),
        *_explanation(known.get("explanation")),
        _section(
            "Intended use and limits",
            [
                *_stated(manifest, statements),
                *(f"- {said}" for said in limit_words(manifest, text=escaped, this="**this model**")),
            ],
        ),
        *_energy(known.get("energy")),
        *([_section("Overrides", _overrides(overrides))] if overrides else []),
        _section("Provenance", _provenance(manifest)),
    ]
    return "\n\n".join(parts) + "\n"


def _calibration(manifest: Mapping[str, Any], evaluated: Mapping[str, Any]) -> list[str]:
    return calibration_lines(evaluated, manifest.get("safeguards"))


def _in_one_line(value: Any) -> Any:
    """The same without line breaks in any text: what an imported file says cannot begin a section of its own."""
    if isinstance(value, Mapping):
        return {_in_one_line(name): _in_one_line(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_one_line(item) for item in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def _section(title: str, lines: Iterable[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = "|".join(["---", *("---:" for _ in head[1:])])
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _parent(manifest: Mapping[str, Any]) -> list[str]:
    """The section on the model that this one began from; none where it began from random weights."""
    began = (manifest.get("provenance") or {}).get("fine_tuned_from")
    if not began:
        return []
    seen = seen_warning(_seen_by_parent(manifest), f"The parent {escaped(began['parent'])}")
    lines = [*fine_tuning_words(began, text=escaped, digest=verbatim), *([seen] if seen else [])]
    return [_section("Fine-tuning", [f"- {line}" for line in lines])]


def _seen_by_parent(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    told = (manifest.get("evaluation") or {}).get("fine_tuning") or {}
    seen: Mapping[str, Any] | None = told.get("seen_by_parent")
    return seen


def _but_its_parent(manifest: Mapping[str, Any]) -> str:
    """Of the registered model's own test rows, those that its parent learnt from."""
    seen = _seen_by_parent(manifest)
    if seen is None or not seen["test"][0]:
        return ""
    return f" (but {seen['test'][0]} of them its parent {'had seen' if seen['certain'] else 'may have seen'})"


_MISSING_TEXTS = {
    "impute": "Missing numbers are filled from training rows",
    "indicator": "Missing numbers are filled from training rows, and a column of its own tells that they were missing",
    "refuse": "Rows with missing values are refused",
}


def _data(manifest: Mapping[str, Any]) -> list[str]:
    data = manifest.get("data") or {}
    columns = manifest["pipeline"]["preprocessing"]["columns"]
    n_categories = sum(column["kind"] == "category" for column in columns)
    kinds = (counted(len(columns) - n_categories, "number"), counted(n_categories, "category", "categories"))
    lines = [f"- Columns: {', '.join(kinds)}"]
    if not data:
        return [*lines, "- The manifest says nothing else about the training data."]
    if "split" not in data:  # a template's: series, which it splits by time
        told = [f"- {escaped(line)}" for line in series_words(data)]
        return [*lines, *told, *_baseline(manifest.get("drift_baseline"))]
    counts = listed([f"{escaped(label)} {count}" for label, count in data["class_counts"].items()])
    split = data["split"]
    return [
        f"- {data['n_rows']} rows, {data['n_missing']} missing values; target {escaped(data['target'])}",
        *lines,
        f"- Rows per class: {counts}",
        f"- This model: trained on {split['train']} rows, {_validation_use(manifest)} {split['validation']} validation "
        "rows, "
        f"tested on {split['test']} rows that it never saw{_but_its_parent(manifest)}; "
        f"{_splitescaped(data.get('split_by') or {})}",
        *(f"- {line}" for line in finding_words(manifest, text=escaped)),
        *_units(data.get("units") or {}),
        *_baseline(manifest.get("drift_baseline")),
        f"- {_MISSING_TEXTS[_missing_policy(manifest)]}; categories that training rows hardly have count as unknown",
        f"- Digest (SHA-256): {verbatim(data['digest'])}",
    ]


def _validation_use(manifest: Mapping[str, Any]) -> str:
    """What validation rows were for, in words before their number; private training asks them nothing."""
    given = manifest["data"].get("validation_use")
    private = (manifest.get("evaluation") or {}).get("privacy")
    return escaped(given) if given else "to its last epoch, beside" if private else "stopped early by"


def _units(units: Mapping[str, str]) -> list[str]:
    shown = [f"{escaped(name)} in {escaped(unit)}" for name, unit in list(units.items())[:_MAX_UNITS]]
    more = [f"and {len(units) - _MAX_UNITS} more"] if len(units) > _MAX_UNITS else []
    return [f"- Units: {', '.join([*shown, *more])}"] if units else []


def _baseline(baseline: Mapping[str, Any] | None) -> list[str]:
    if not baseline:
        return []
    return [
        f"- Drift baseline: how {len(baseline['columns'])} columns were distributed over {baseline['n_rows']} training "
        "rows, to hold new rows against"
    ]


def _splitescaped(split: Mapping[str, Any]) -> str:
    column = escaped(split.get("column") or "")
    together = f" that keeps rows with the same {column} together" if column else ""
    return {
        "grouped": f"rows with the same {column} are together in one part",
        "time": f"trained on the past and tested on later rows, by {column}",
        "site": f"tested on a {column} of which no row was trained on",
        "given": "by the split that the data came with, or that was drawn once for all pictures",
        "k_fold": f"one fold of a cross-validation{together}",
    }.get(str(split.get("kind")), "split at random, each class in proportion")


def _missing_policy(manifest: Mapping[str, Any]) -> str:
    preprocessing = manifest["pipeline"]["preprocessing"]
    if preprocessing.get("missing") == "refuse":
        return "refuse"
    return "indicator" if any(column.get("indicator") for column in preprocessing["columns"]) else "impute"


def _results(manifest: Mapping[str, Any]) -> list[str]:
    evaluation = manifest.get("evaluation") or {}
    if not evaluation:
        return ["The manifest has no evaluation: nothing is known about how well this model does."]
    if "models" not in evaluation:
        return ["Judged by its template, in a form of its own: the run's report.json has the figures."]
    models = evaluation["models"]
    rows = [models["hybrid"], *models["controls"].values(), *([models["baseline"]] if models["baseline"] else [])]
    rows += models.get("others", {}).values()
    own = evaluation["model_metrics"]
    share = 100 * evaluation["confidence"]
    doubt = caution(evaluation, text=escaped)
    lines = [
        *([f"**{doubt}**", ""] if doubt else []),
        escaped(evaluation.get("means_over") or "")
        or f"Means over {evaluation['n_splits']} splits with {share:g} % intervals (corrected for the overlap of "
        "splits, Nadeau and Bengio 2003). The last row is this very model on the test rows of its own split"
        f"{_calibrated(evaluation)}.",
        "",
        *_table(
            ["model", "parameters", *(_TITLES[name] for name in own)],
            [
                *(
                    [escaped(row["label"]), str(row["n_params"]), *(_figure(row["metrics"].get(name)) for name in own)]
                    for row in rows
                ),
                ["**this model**", str(models["hybrid"]["n_params"]), *(f"{value:.3f}" for value in own.values())],
            ],
        ),
        "",
    ]
    without = no_width(evaluation, rows)
    lines += [*([without, ""] if without else []), *_repeated(evaluation)]
    if "target" in manifest["pipeline"]:
        lines += _intervals(evaluation.get("intervals"))
    elif len(manifest["pipeline"].get("classes", ())) == 2:
        lines.append(f"Sensitivity and specificity speak of the class {escaped(evaluation['positive_class'])}.")
    else:
        lines.append("Sensitivity, specificity and AUC are means over one class against the rest.")
    return lines


def _calibrated(evaluation: Mapping[str, Any]) -> str:
    """That the last row alone is calibrated, where it is."""
    method = (evaluation.get("calibration") or {}).get("method", "none")
    return "" if method == "none" else ", as it answers: calibrated, which no other row is"


def _intervals(found: Mapping[str, Any] | None) -> list[str]:
    """How often intervals held what they are meant to hold."""
    if not found:
        return []
    return [
        f"Its {100 * found['coverage']:g} % intervals held the true number {100 * found['measured']:.1f} % of the time "
        f"({escaped(found['of'])}, {found['n']} numbers)."
    ]


def _repeated(evaluation: Mapping[str, Any]) -> list[str]:
    """Why there are so many splits, how far seeds matter, and how many settings were tried of each."""
    told = []
    if "split_count" in evaluation:
        told.append(escaped(evaluation["split_count"]["reason"]))
    metric = evaluation["models"]["hybrid"]["metrics"][evaluation["primary_metric"]]
    if "spread" in metric:
        told.append(
            f"Each split was trained with {evaluation['n_seeds']} seeds; the hybrid model's "
            f"{_TITLES[evaluation['primary_metric']]} varies by {metric['spread']['splits']:.3f} over splits and by "
            f"{metric['spread']['seeds']:.3f} over seeds (standard deviations)."
        )
    if "tuning" in evaluation:
        tried = evaluation["tuning"]["n_settings"].items()
        told.append(f"Settings tried: {', '.join(f'{escaped(name)} {count}' for name, count in tried)}.")
    return [" ".join(told), ""] if told else []


def _figure(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "–"
    return f"{metric['mean']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def _comparisons(manifest: Mapping[str, Any]) -> list[str]:
    evaluation = manifest.get("evaluation") or {}
    if "models" not in evaluation and evaluation.get("verdict"):
        return [f"**{escaped(evaluation['verdict'])}**"]
    if not evaluation.get("comparisons"):
        return ["The model was not compared with controls or a baseline; do not read its figures as an advantage."]
    labels = {name: row["label"] for name, row in evaluation["models"]["controls"].items()}
    if evaluation["models"]["baseline"]:
        labels["baseline"] = evaluation["models"]["baseline"]["label"]
    title = _TITLES[evaluation["primary_metric"]]
    rows = evaluation["comparisons"]
    return [
        f"**{escaped(evaluation['verdict'])}**",
        "",
        *_table(
            [
                f"difference in {title}, {escaped(evaluation['models']['hybrid']['label'])} minus",
                "mean",
                "interval",
                "p",
                "outcome",
            ],
            [
                [
                    escaped(labels[row["against"]]),
                    f"{row['mean_difference']:+.3f}",
                    f"{row['low']:+.3f} to {row['high']:+.3f}",
                    f"{row['p_value']:.2g}",
                    escaped(row["outcome"]),
                ]
                for row in rows
            ],
        ),
        "",
        escaped(evaluation.get("comparisons_said") or "")
        or f"Intervals and p values share {100 * evaluation['confidence']:g} % confidence over all rows (Bonferroni).",
        *_second_opinions(rows, labels, evaluation),
        *(line for said in groups_lines(evaluation) for line in ("", escaped(said))),
    ]


def _second_opinions(
    rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str], evaluation: Mapping[str, Any]
) -> list[str]:
    """Other tests of the same differences, in files that have them."""
    margin = evaluation.get("equivalence_margin")
    if margin is None or any(row.get("cases") is None for row in rows):
        return []
    return [
        equal_means(margin),
        "",
        f"Second opinions, which do not decide{of_first_seed(evaluation)}:",
        "",
        *_table(
            [
                "against",
                "p of equality",
                "effect size",
                "Wilcoxon p",
                "only hybrid right",
                "only other right",
                "McNemar p",
                "bootstrap",
                f"{counted_in(rows)} to decide",
                f"{counted_in(rows)} to call equal",
            ],
            [
                [
                    escaped(labels[row["against"]]),
                    f"{row['p_equal']:.2g}",
                    "–" if row["effect_size"] is None else f"{row['effect_size']:+.2f}",
                    f"{row['wilcoxon_p']:.2g}",
                    str(row["cases"]["only_hybrid_right"]),
                    str(row["cases"]["only_other_right"]),
                    f"{row['mcnemar_p']:.2g}",
                    _interval(row["cases"]["low"], row["cases"]["high"]),
                    str(row["cases"]["to_decide"] or "–"),
                    str(row["cases"]["to_call_equal"]),
                ]
                for row in rows
            ],
        ),
        "",
        f"Cases: {rows[0]['cases']['n_cases']}, each counted once, in the first split that tests it; the bootstrap "
        "interval is that of the metric's difference over them. Wilcoxon's p and McNemar's are corrected by Holm; "
        f"Wilcoxon's test takes splits for independent. Numbers of {counted_in(rows)} are for accuracy, with a "
        "chance of 0.8.",
    ]


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def _groups_of(manifest: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (manifest.get("evaluation") or {}).get("subgroups") or ()


_GAP_TITLES = {
    "accuracy": "accuracy",
    "selection_rate": "share called positive (demographic parity)",
    "sensitivity": "sensitivity (equal opportunity)",
    "specificity": "specificity",
}


def _subgroups(manifest: Mapping[str, Any]) -> list[str]:
    """Metrics in each subgroup, with intervals, and how far subgroups are apart."""
    evaluation = manifest["evaluation"]
    share = f"{100 * evaluation['confidence']:g} %"
    counted = f"{share} intervals (Wilson), each by itself."
    answered, slices = evaluation.get("model_subgroups") or (), _slices(_groups_of(manifest), share)
    if not answered:
        return [f"Test cases counted once; {counted}", *slices]
    return [
        f"**This very model**, as it answers: calibration moves its labels. Test rows of its own split; {counted}",
        *_slices(answered, share),
        "",
        f"The hybrid model of all splits, before calibration. Test cases counted once; {counted}",
        *slices,
    ]


def _slices(columns: Sequence[Mapping[str, Any]], share: str) -> list[str]:
    """A table for each column, and the largest differences with what chance makes of them that share of the time."""
    lines: list[str] = []
    for one in columns:
        shown = list(one["groups"][0]["counts"]) if one["groups"] else []
        lines += ["", f"By {escaped(one['column'])}:", ""]
        lines += _table(
            ["group", "cases", *(_GAP_TITLES[name] for name in shown)],
            [
                [escaped(group["group"]), str(group["n_cases"]), *(_share(group, name) for name in shown)]
                for group in one["groups"]
            ],
        )
        chance = one.get("gaps_by_chance") or {}
        gaps = [
            f"{_GAP_TITLES[name]} {gap:.3f}" + (f" ({chance[name]:.3f})" if name in chance else "")
            for name, gap in one["gaps"].items()
            if gap is not None
        ]
        beside = (
            f"; in brackets what chance alone stays below in groups so large, {share} of the time" if chance else ""
        )
        if len(one["groups"]) < 2:
            lines += ["", "All test cases are in one group, so that nothing is compared."]
            continue
        said = f"{', '.join(gaps)}{beside}" if gaps else "too few cases"
        lines += ["", f"Largest differences between groups of 10 cases and more: {said}."]
    return lines


def _share(group: Mapping[str, Any], name: str) -> str:
    """A share with its interval."""
    value, interval = group["metrics"][name], group["intervals"].get(name)
    return "–" if value is None or interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _privacy(manifest: Mapping[str, Any]) -> list[str]:
    """What training promises, and what an attack found."""
    evaluation = manifest.get("evaluation") or {}
    private, attack = evaluation.get("privacy"), evaluation.get("membership")
    lines = []
    if private:
        lines.append(
            f"- Trained with differential privacy: epsilon {private['epsilon']:.3g}, delta {private['delta']:.3g} for "
            f"{escaped(private['covers'])}, towards {escaped(private['protects'])}; "
            f"noise multiplier {private['noise_multiplier']:.3g}, "
            f"gradients cut to length {private['max_gradient_norm']:.3g}, {private['n_steps']} steps."
        )
        lines.append(f"- Not covered: {'; '.join(map(escaped, private['does_not_cover']))}.")
        said = [*parent_words(manifest, text=escaped), *more_than_one_row(private)]
        lines += [f"- {sentence}" for sentence in said]
    if attack:
        bound = None if parent_had_rows(manifest) else attack.get("bound")
        lines.append(
            f"- Membership inference: an attacker who sees a row's loss tells a training row from an unseen one with "
            f"AUC {attack['auc']:.3f} ({attack['low']:.3f} to {attack['high']:.3f}; 0.5 is guessing; "
            f"{attack['n_trained']} training and {attack['n_unseen']} test rows{of_groups(attack)}), and finds "
            f"{alarm_words(attack)} of the training rows." + ("" if bound is None else f" {bound_words(attack)}")
        )
        lines.append(f"- {shadow_words(attack.get('shadow'), text=escaped)}")
    return lines


def _amount(value: float) -> str:
    """An attribution, with three digits that count where it is small: those of pixels may all be below 0.0001."""
    return f"{value:.4f}" if value == 0.0 or abs(value) >= 0.1 else f"{value:#.3g}"


def _explanation(sample: Mapping[str, Any] | None) -> list[str]:
    """The columns that moved predictions most."""
    if not sample:
        return []
    if "columns" not in sample:
        return [_section("What predictions stand on", [f"- Could not be computed: {escaped(sample.get('refused'))}"])]
    rows = strongest_first(sample)
    lines = [
        f"Mean absolute attributions by {escaped(sample['method'])} over {sample['n_rows']} "
        f"{escaped(sample.get('rows_are', 'test rows'))}, in units of {escaped(sample.get('unit', 'probability'))}. "
        "They speak of the model, not of causes.",
        "",
        *_table(["column", "attribution"], [[escaped(name), _amount(value)] for name, value in rows[:_MAX_COLUMNS]]),
    ]
    if len(rows) > _MAX_COLUMNS:
        lines += ["", f"{len(rows) - _MAX_COLUMNS} other columns have less."]
    return [_section("What predictions stand on", lines)]


def _energy(energy: Mapping[str, Any] | None) -> list[str]:
    if not energy:
        return []
    price = energy["worker_second_usd"]
    of_workers = f"{price:g} US dollars per worker's second" if price else "no price is set for workers' seconds"
    lines = [
        f"- Training took {energy['cpu_s']:.1f} s of processor time (measured) in {energy['worker_s']:.1f} s; attempts "
        "that were killed are not in it.",
        f"- Energy: about {energy['energy_wh']:.3g} Wh, an estimate: processor time at {energy['cpu_watts']:g} W for a "
        "busy thread.",
        f"- Cost: {energy['cost_usd']:.2f} US dollars, an estimate: {of_workers}, and {energy['provider_usd']:.2f} US "
        "dollars at a provider.",
    ]
    return [_section("Energy and cost", lines)]


def _overrides(overrides: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"- **Let into production without {escaped(', '.join(one['missing']))}** at endpoint "
        f"{escaped(one['endpoint'])}, at {escaped(one['overridden_at'])}, by key {escaped(one['overridden_by'])}: "
        f"{escaped(one['reason'])}"
        for one in overrides
    ]


def _validations(validations: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[str]:
    head, rows = validation_table(validations)
    table = ["", *_table(head, [[escaped(cell) for cell in row] for row in rows])] if rows else []
    points = [f"- {escaped(line)}" for line in validation_points(validations, manifest)]
    return [VALIDATION_NOTE, *table, "", *points]


def _stated(manifest: Mapping[str, Any], statements: Mapping[str, Any] | None) -> list[str]:
    """What people say about use and limits."""
    found = stated(manifest, statements)
    titles = {"intended_use": "Intended use", "limits": "Limits", "no_subgroups": "No subgroups were compared"}
    return [f"- {title}: {escaped(found[name])}" for name, title in titles.items() if name in found]


def _measured(facts: Mapping[str, Any]) -> list[str]:
    """Where circuits ran in training, of a model that was not trained on this machine's engine."""
    if not facts:
        return []
    cost = "" if facts.get("cost_usd") is None else f", {facts['cost_usd']:.2f} US dollars"
    return [
        f"- Circuits in training: measured on {verbatim(facts['backend'])}, {facts['shots_spent']:,} shots in "
        f"{facts['n_submissions']:,} submissions{cost}; gradients by {escaped(facts['gradient_method'])}, "
        f"{escaped(facts['allocation'])} shots",
        f"- Figures: {'of the exact engine, without noise' if facts['evaluated_on'] == 'exact' else 'measured there'}",
    ]


def _provenance(manifest: Mapping[str, Any]) -> list[str]:
    provenance = manifest.get("provenance") or {}
    lines = [f"- Format: {escaped(manifest['format'])} {manifest['format_version']}, kind {escaped(manifest['kind'])}"]
    versions = provenance.get("versions")
    if versions:
        lines.append(f"- Versions: {', '.join(f'{escaped(k)} {escaped(v)}' for k, v in versions.items())}")
    template, configuration = provenance.get("template"), provenance.get("configuration_sha256")
    if template and configuration:
        lines.append(f"- Template: {escaped(template)}, its configuration (SHA-256): {verbatim(configuration)}")
    spec = provenance.get("spec")
    if spec and "training" in spec:
        lines.append(f"- Seed: {spec['training']['seed']}")
    lines += _measured(provenance.get("measured") or {})
    if provenance.get("spec_digest"):
        lines.append(f"- Spec (SHA-256): {verbatim(provenance['spec_digest'])}")
    members = manifest["members"].items()
    lines += [f"- {escaped(name)} (SHA-256): {verbatim(member['sha256'])}" for name, member in members]
    return lines
