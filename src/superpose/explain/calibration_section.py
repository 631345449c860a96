"""The model card's section on how far probabilities can be trusted; a pure function of evaluation and safeguards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.explain.model_section import escaped

__all__ = ["calibration_lines", "groups_said", "sets_that_tell_nothing"]

_METHODS = {"temperature": "temperature scaling", "isotonic": "isotonic regression"}

_PLAIN = "- Probabilities were not recalibrated; the Brier score says how far they can be trusted."
_PLAIN_UNMEASURED = "- Probabilities were not recalibrated, and the file does not say how far they can be trusted."


def calibration_lines(evaluation: Mapping[str, Any], safeguards: Mapping[str, Any] | None = None) -> list[str]:
    """Lines of Markdown on calibration, prediction sets, abstaining and novelty, measured on test rows.

    Args:
        evaluation: of a model file's manifest; without ``calibration``, as releases before wrote it and estimators that
            save themselves do, nothing is known of test rows, and what there is says so.
        safeguards: of the same manifest, if it has any.
    """
    found = evaluation.get("calibration")
    if not found:
        return _unmeasured(safeguards) if safeguards else [_PLAIN if evaluation else _PLAIN_UNMEASURED]
    rows, method = found["rows"], _METHODS.get(found["method"])
    chose = found.get("validation_chose", "the epoch at which training stopped")
    told = f"Validation rows also chose {escaped(chose)}"
    if evaluation.get("privacy") and "validation_chose" not in found:
        told = "Validation rows did not choose the epoch at which training stopped: in private training it is the last"
    how = "Probabilities are the model's own, not recalibrated"
    if method:
        how = f"Probabilities are calibrated by {method}, fitted on {rows['calibration']} validation rows"
        how += _of_groups((rows.get("groups") or {}).get("calibration"))
    return [
        f"{how}. On the {found['n_rows']} test rows{_of_groups(found.get('n_groups'))}, which nothing was fitted on:",
        "",
        "| | expected calibration error | Brier score | log loss |",
        "|---|---:|---:|---:|",
        *([_line("before", found["before"]), _line("after", found["after"])] if method else []),
        *([] if method else [_line("as they are", found["after"])]),
        "",
        *_sets(found),
        *(f"- {said}" for said in sets_that_tell_nothing(evaluation)),
        *_abstain(found),
        *_novelty(found),
        f"- {told}; the figures here are of test rows alone.",
        *(f"- {said}" for said in groups_said(found)),
    ]


def _unmeasured(safeguards: Mapping[str, Any]) -> list[str]:
    """What is fitted where no test rows measured it."""
    method, sets = (safeguards.get("calibration") or {}).get("method"), safeguards.get("conformal")
    n_rows = (safeguards.get("rows") or {}).get("calibration")
    told = f", fitted on {n_rows} validation rows" if n_rows else ""
    lines = [f"- Probabilities are calibrated by {_METHODS.get(method, escaped(method))}{told}."] if method else []
    if not method:
        lines = ["- Probabilities were not recalibrated."]
    if sets:
        lines.append(
            f"- Prediction sets ({escaped(sets['method']).upper()}, from {sets['n_rows']} validation rows) promise to "
            f"hold the true class for {100 * sets['coverage']:g} % of rows from the same source."
        )
    return [*lines, "- The file does not say how well that holds on test rows."]


def _of_groups(n_groups: int | None) -> str:
    return f" of {n_groups} groups" if n_groups else ""


def groups_said(found: Mapping[str, Any]) -> list[str]:
    """Whether rows of one group were kept together, in files that say it.

    Args:
        found: the evaluation's ``calibration``.
    """
    if "n_groups" not in found:
        return []
    if found["n_groups"] is None:
        return [
            "Which rows belong together (to one patient) was not known: each counts for itself, and where some do, "
            "promises and intervals are surer than they should be."
        ]
    said = (
        "Rows of one group (a patient) were kept together in whatever was fitted here; intervals allow for rows of a "
        "group being alike"
    )
    known = found["rows"].get("groups")
    if not known:
        return [f"{said}."]
    if found["conformal"] is not None:
        said += ", and the promise of the prediction sets is for a row picked at random from those of a new group"
    both = known.get("also_in_training", 0)
    if both:
        said += (
            f". {both} of the {known['validation']} groups of validation rows have training rows too: for groups that "
            "training did not see nothing is promised. Split by group (split: grouped)"
        )
    return [f"{said}."]


def sets_that_tell_nothing(evaluation: Mapping[str, Any]) -> list[str]:
    """That every prediction set of the test rows has every class, where it is so, and what to do.

    Args:
        evaluation: of a model file's manifest, of which ``calibration`` and ``cases`` count.
    """
    sets = (evaluation.get("calibration") or {}).get("conformal")
    n_classes = len((evaluation.get("cases") or {}).get("classes") or ())
    if not sets or not n_classes or sets["mean_size"]["mean"] < n_classes - 1e-9:
        return []
    cure = "the method lac gives smaller ones" if sets["method"] == "aps" else "less coverage gives smaller ones"
    return [f"Every set of the test rows has all {n_classes} classes and tells nothing: {cure}."]


def _line(title: str, figures: Mapping[str, float]) -> str:
    return f"| {title} | {figures['ece']:.3f} | {figures['brier']:.3f} | {figures['log_loss']:.3f} |"


def _share(share: Mapping[str, float]) -> str:
    return f"{100 * share['share']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f} %)"


def _sets(found: Mapping[str, Any]) -> list[str]:
    sets = found["conformal"]
    if sets is None:
        return ["- Prediction sets: none were asked for."]
    size = sets["mean_size"]
    return [
        f"- Prediction sets ({escaped(sets['method']).upper()}, from {sets['n_rows']} validation rows"
        f"{_of_groups(sets.get('n_groups'))}) promise to hold "
        f"the true class for {100 * sets['coverage']:g} % of rows from the same source; they did for "
        f"{_share(sets['covered'])} of the test rows, with {size['mean']:.2f} classes on average "
        f"({size['low']:.2f} to {size['high']:.2f}); {_share(sets['single'])} of them have one class."
    ]


def _abstain(found: Mapping[str, Any]) -> list[str]:
    rule = found["abstain"]
    if rule is None:
        half = found["abstaining"][-1]
        return [
            f"- Abstaining: no rule. Answering only the surest {100 * half['answered']:.0f} % of test rows, the "
            f"accuracy is {half['accuracy']:.3f}, against {found['abstaining'][0]['accuracy']:.3f} on all."
        ]
    when = "sets have more than one class" if rule["by"] == "set" else f"no probability reaches {rule['below']:g}"
    accuracy = "" if rule["accuracy"] is None else f", at an accuracy of {_share(rule['accuracy'])}"
    return [f"- Abstaining, where {when}, leaves {_share(rule['answered'])} of test rows answered{accuracy}."]


def _novelty(found: Mapping[str, Any]) -> list[str]:
    novelty = found["novelty"]
    if novelty is None:
        return []
    by = "their Mahalanobis distance"
    if novelty.get("score") == "bands":
        by = "too much or too little variation in any of several bands of principal directions"
    return [
        f"- Rows unlike the training rows are told by {by}; of rows like the validation rows at most "
        f"{100 * novelty['expected_share']:.1f} % score above the threshold, of the test rows "
        f"{_share(novelty['novel'])} did."
    ]
