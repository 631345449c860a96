"""The verdict in words: made from the numbers alone, and no more than they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.metrics import reading
from superpose.learning.verdicts.cases import POWER
from superpose.learning.verdicts.comparison import Comparison

__all__ = ["BASELINE_LABELS", "LABELS", "rounded", "verdict"]

LABELS = {
    "hybrid": "hybrid model",
    "classical_twin": "classical twin of equal parameter count",
    "no_entanglement": "same circuit without entanglement",
    FROM_SCRATCH: "same model trained from scratch",
    "frozen": "same circuit with frozen random weights",
    "baseline": "tuned logistic regression",
}
"""How sentences and tables name each variant."""

BASELINE_LABELS = {
    "logistic_regression": LABELS["baseline"],
    "strongest": "strongest of four tuned classical models",
}
"""How they name each baseline that a spec can ask for."""


def verdict(  # noqa: PLR0913  # comparisons, and what is to be said about them
    comparisons: Sequence[Comparison],
    n_splits: int,
    confidence: float,
    subject: str = "hybrid model",
    labels: Mapping[str, str] = LABELS,
    *,
    n_seeds: int = 1,
    n_settings: Mapping[str, int] | None = None,
    seen_by_parent: int = 0,
    private: bool = False,
    missed: Sequence[str] = (),
) -> str:
    """One sentence: what the comparisons decide about the quantum circuit, and no more than that.

    "Helps" needs the hybrid model to beat its classical twin and every other control and baseline that was run; "hurts"
    needs it to lose to the twin; any other decided difference is named for what it is. Where nothing is decided a
    second sentence tells how many test cases, or groups of them, it would take, if cases are known. ``subject`` is what
    the sentence calls the model, ``labels`` what it calls the others. ``n_settings``, of each variant, were tried: a
    last sentence tells where more were tried of the hybrid model than of others. Where a parent had learnt from test
    cases, ``seen_by_parent`` of them, it is said, and a better figure than from scratch does not show that it helps.
    ``private`` training is that of networks: it is said that a baseline has no epsilon. ``missed`` are classes of which
    the model recognised no test case, which an accuracy hides where they are rare.
    """
    blind = f" The {subject} recognised no test case of {_named(missed)}." if missed else ""
    if not comparisons:
        return f"Undecided: the {subject} was trained without controls or a baseline to compare it with.{blind}"
    title = reading(comparisons[0].metric)[1]
    seeds = f" of {n_seeds} seeds each" if n_seeds > 1 else ""
    tried = blind + _tried(n_settings or {}, subject, labels) + _without_parent(comparisons)
    if seen_by_parent:
        tried += f" {seen_by_parent:,} test cases are of rows that its parent had seen: that favours the {subject}."
    if private and any(c.against == "baseline" for c in comparisons):
        tried += f" The {labels['baseline']} was trained without privacy: that favours it."
    scope = f"over {n_splits} paired splits{seeds} at {100 * confidence:g} % confidence"
    decided = [c for c in comparisons if c.outcome != "undecided"]
    if not decided:
        said = f"Undecided: {scope}, no difference in {title} is large enough to tell the {subject} from "
        return f"{said}{_all(comparisons, labels)}.{_needed(comparisons, labels)}{tried}"
    facts = _listed([_fact(c, labels) for c in decided])
    open_ones = [f"the {labels[c.against]}" for c in comparisons if c.outcome == "undecided"]
    rest = f", and undecided against {_listed(open_ones, 'or')}" if open_ones else ""
    said = _conclusion(comparisons, subject)
    if seen_by_parent and said == _FINE_TUNING["better"]:
        said = _FINE_TUNING["undecided"]
    return f"{said}: {scope}, the {subject}'s {title} is {facts}{rest}.{tried}"


def _named(classes: Sequence[str]) -> str:
    """Classes by name, the first five, names cut where they are long."""
    shown = [name if len(name) <= 40 else name[:37] + "..." for name in classes[:5]]
    more = [f"{len(classes) - 5} more"] if len(classes) > 5 else []
    return f"class{'es' if len(classes) > 1 else ''} {_listed([*shown, *more])}"


def _without_parent(comparisons: Sequence[Comparison]) -> str:
    """What a fine-tuned model's other comparisons are good for."""
    others = {c.against for c in comparisons} - {FROM_SCRATCH}
    if len(others) == len(comparisons) or not others:
        return ""
    return (
        " What else it was compared with learned without its parent, so that those differences are of fine-tuning and "
        "circuit together."
    )


def _tried(n_settings: Mapping[str, int], subject: str, labels: Mapping[str, str]) -> str:
    """Where more settings were tried of the hybrid model than of another, which favours it."""
    own = n_settings.get("hybrid", 1)
    fewer = [f"{count} of the {labels[name]}" for name, count in n_settings.items() if count < own]
    if not fewer:
        return ""
    return f" Of the {subject} {own} settings were tried, {_listed(fewer)}: that favours the {subject}."


def _conclusion(comparisons: Sequence[Comparison], subject: str) -> str:
    """The headline of a verdict in which at least one comparison decides."""
    outcomes = {c.against: c.outcome for c in comparisons}
    if FROM_SCRATCH in outcomes:
        return _FINE_TUNING[outcomes[FROM_SCRATCH]]
    twin, found = outcomes.get("classical_twin"), set(outcomes.values())
    if twin == "worse":
        return f"The quantum circuit hurts here: a classical block of its size does better than the {subject}"
    if twin == "better" and found == {"better"}:
        return "The quantum circuit helps here, as far as these controls can tell"
    if outcomes.get("baseline") == "worse":
        return f"Prefer the classical baseline to the {subject} here"
    if "worse" in found:
        return f"A simpler circuit does better than the {subject} here"
    if twin == "better":
        return f"The {subject} beats its classical twin but not everything it was compared with"
    if twin == "equal":
        return "The quantum circuit makes no difference that matters here: a classical block of its size does as well"
    if found == {"equal"}:
        return f"The {subject} does as well here as what it was compared with, and no better"
    if set(outcomes) == {"baseline"}:
        return f"The {subject} does better than the classical baseline here"
    if found == {"better"}:
        return f"The {subject} does better here than everything it was compared with, no classical twin among them"
    return "Whether the quantum circuit helps is undecided"


_FINE_TUNING = {
    "better": "Fine-tuning helps here: it does better than the same model trained from scratch",
    "equal": "Fine-tuning makes no difference that matters here: the same model trained from scratch does as well",
    "worse": "Fine-tuning hurts here: the same model trained from scratch does better",
    "undecided": "Whether fine-tuning helps is undecided",
}


def _fact(comparison: Comparison, labels: Mapping[str, str]) -> str:
    label = labels[comparison.against]
    if comparison.outcome == "equal":
        return f"equal within {comparison.margin:g} to that of the {label} (p = {comparison.p_equal:.2g})"
    size = abs(comparison.mean_difference)
    higher = "higher" if comparison.mean_difference > 0 else "lower"
    return f"{size:.3f} {higher} than that of the {label} (p = {comparison.p_value:.2g})"


def _nearest(comparisons: Sequence[Comparison]) -> Comparison:
    """The comparison that came nearest to deciding: of the least p value, and among those of 1 of the largest effect
    (intervals may be cut at what a metric can be).
    """
    return min(comparisons, key=lambda c: (c.p_value, -abs(c.effect_size or 0.0)))


def _all(comparisons: Sequence[Comparison], labels: Mapping[str, str]) -> str:
    """Name who was compared, and the difference that came nearest to deciding."""
    names = _listed([f"the {labels[c.against]}" for c in comparisons], "or")
    nearest = _nearest(comparisons)
    return (
        f"{names} (nearest: {nearest.mean_difference:+.3f} against the {labels[nearest.against]}, "
        f"interval {nearest.low:+.3f} to {nearest.high:+.3f})"
    )


def _needed(comparisons: Sequence[Comparison], labels: Mapping[str, str]) -> str:
    """How many test cases, or groups of them where those are known, would tell the hybrid model from its twin (or from
    whom it was compared with first).
    """
    chosen = next(
        (c for wanted in (FROM_SCRATCH, "classical_twin") for c in comparisons if c.against == wanted), comparisons[0]
    )
    cases = chosen.cases
    if cases is None:
        return ""
    equal = rounded(cases.to_call_equal)
    seen, of = ("", "") if cases.n_groups is None else (f" of {cases.n_groups:,} groups", " groups like theirs")
    n_seen = cases.n_cases if cases.n_groups is None else cases.n_groups
    enough = min(cases.to_call_equal, cases.to_decide or cases.to_call_equal) <= n_seen
    telling = "no number would" if cases.to_decide is None else f"some {rounded(cases.to_decide)}{of} would"
    return (
        f" {cases.n_cases:,} test cases{seen} were seen; {telling} tell it from the {labels[chosen.against]} by an "
        f"accuracy as different as theirs, some {equal}{of} show both equal within {chosen.margin:g} "
        f"if they are (with a chance of {100 * POWER:g} %)."
        + (
            " Where so many were seen, it is the splits that leave it open: the test over them decides."
            if enough
            else ""
        )
    )


def rounded(number: int) -> str:
    """Two figures are all that such a number is good for."""
    size = 10 ** max(len(str(number)) - 2, 0)
    return f"{-(-number // size) * size:,}"


def _listed(parts: Sequence[str], joint: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}"
