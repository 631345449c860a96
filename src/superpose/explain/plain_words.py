"""Explanations in plain words, for people who know the matter and not the method.

Sentences are templates; every number, name and class in them is taken from the structure that is explained, and no
model writes them. Short words, short sentences, one thought in each. They say what the model does, never what is true
or what to do, and nothing where the structure says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.learning.evaluation_spec import FROM_SCRATCH

__all__ = [
    "attribution_words",
    "counterfactual_words",
    "probability_words",
    "shot_noise_words",
    "verdict_words",
]

_NAMED = 3
"""Columns that a text names on each side."""

_SMALL = 0.005
"""Half a point: what rounds to nothing is not named."""

_VARIANTS = {
    "classical_twin": "a plain model of the same size",
    "no_entanglement": "the same circuit without links between its qubits",
    "frozen": "the same circuit left as it was by chance",
    FROM_SCRATCH: "the same model that learned from nothing",
    "baseline": "a simple model that was tuned with care",
}

_OUTCOMES = {
    "better": "It did better than {rival}.",
    "worse": "It did worse than {rival}.",
    "equal": "It did as well as {rival}: no gap that counts was found, and one that counts can be ruled out.",
    "undecided": "We cannot tell it from {rival}. The test was too small, or there is no gap.",
}


def attribution_words(row: Mapping[str, Any]) -> list[str]:
    """What moved one prediction.

    Args:
        row: of `superpose.explain.Attributions.to_dict`: ``class``, ``probability``, ``typical_probability``,
            ``attributions``, of a calibrated model ``calibrated_probability``; or of a model that predicts a number
            ``number``, ``typical_number``, ``attributions``.
    """
    if "number" in row:
        return _number_words(row)
    label = row["class"]
    score, typical = _percent(row["probability"]), _percent(row["typical_probability"])
    answered = row.get("calibrated_probability")
    if answered is None:
        said = [f"The model gives {score} to {label}.", f"For a typical row it gives {typical} to {label}."]
    else:
        said = [
            f"The model gives {_percent(answered)} to {label}.",
            f"This is matched to how often it is right. Its raw score for {label} is {score}.",
            f"For a typical row that score is {typical}.",
        ]
    parts = row["attributions"].items()
    raised = [(name, value) for name, value in parts if value >= _SMALL][:_NAMED]
    lowered = [(name, value) for name, value in parts if value <= -_SMALL][:_NAMED]
    if raised:
        said.append(f"What speaks most for {label}: {_listed([_points(*one) for one in raised])}.")
    if lowered:
        said.append(f"What speaks most against it: {_listed([_points(*one) for one in lowered])}.")
    if not raised and not lowered:
        said.append("No single column moved it by much.")
    said.append("This shows how the model came to its answer. It does not show what causes what.")
    return said


def _number_words(row: Mapping[str, Any]) -> list[str]:
    number, typical = row["number"], row["typical_number"]
    said = [f"The model says {_rounded(number, 4)}.", f"For a typical row it says {_rounded(typical, 4)}."]
    parts = row["attributions"].items()
    small = 0.01 * sum(abs(value) for _, value in parts)
    for words, sign in (("raises", 1.0), ("lowers", -1.0)):
        named = [(name, value) for name, value in parts if sign * value > small][:_NAMED]
        if named:
            parted = [f"{name} (by {_rounded(abs(value), 3)})" for name, value in named]
            said.append(f"What {words} it most: {_listed(parted)}.")
    if len(said) == 2:
        moved = any(value != 0.0 for _, value in parts)
        said.append("No single column moved it by much." if moved else "No column moved it.")
    said.append("This shows how the model came to its answer. It does not show what causes what.")
    return said


def counterfactual_words(row: Mapping[str, Any]) -> list[str]:
    """What would have to be otherwise.

    Args:
        row: of `superpose.explain.Counterfactuals.to_dict`: ``class``, ``counterfactuals`` and ``to_class``, which may
            be None or absent.
    """
    label, wanted = row["class"], row.get("to_class")
    if wanted == label:
        return [f"The model says {label}. That is what was asked for."]
    if not row["counterfactuals"]:
        other = "something else" if wanted is None else wanted
        return [f"The model says {label}. We found no small change that is allowed and makes it say {other}."]
    said = [f"The model says {label}."]
    for place, one in enumerate(row["counterfactuals"]):
        changes = _listed([_changed(name, change) for name, change in one["changes"].items()])
        lead = "It would say" if place == 0 else "It would also say"
        said.append(f"{lead} {one['class']} if {changes}.")
    said.append("This is about the model. To change such a thing in life need not change what happens.")
    return said


def shot_noise_words(row: Mapping[str, Any], shots: int, flipping: float) -> list[str]:
    """How far chance decides the label.

    Args:
        row: of `superpose.explain.NoisyRow.to_dict`: ``class``, ``rival``, ``flip_probability``, ``shots_to_settle``.
        shots: of each measurement setting.
        flipping: the probability of a flip that counts as too much.
    """
    if row["flip_probability"] <= flipping:
        return [
            f"A quantum computer measures with some chance. With {shots:,} shots the answer {row['class']} would stay "
            f"the same in {_rest(row['flip_probability'])} of all runs."
        ]
    said = [
        f"Chance has a say here. With {shots:,} shots a quantum computer would give an answer other than "
        f"{row['class']} in {_percent(row['flip_probability'])} of all runs.",
        f"The closest other answer is {row['rival']}.",
    ]
    settle = row["shots_to_settle"]
    said.append(
        "The two are level, so that no number of shots would settle it."
        if settle is None
        else f"Some {settle:,} shots would bring this down to {_percent(flipping)}."
    )
    return said


def probability_words(
    label: str, probability: float, *, calibrated: bool, calibration_error: float | None = None
) -> list[str]:
    """What a probability means.

    Args:
        label: the class.
        probability: of it, 0 .. 1.
        calibrated: whether it was fitted to how often such answers are right.
        calibration_error: mean gap between stated and seen shares on test rows (ECE), 0 .. 1; None if not known.
    """
    said = [f"The model gives {_percent(probability)} to {label}."]
    if calibrated:
        said.append(f"Of all cases that get this number, about {_percent(probability)} should turn out as {label}.")
    else:
        said.append("This number was not matched to how often the model is right. Read it as a score.")
    if calibration_error is not None:
        said.append(f"On test cases such numbers were off by {_size(calibration_error)} on average.")
    return said


def verdict_words(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether the quantum part helps.

    Args:
        comparisons: of an evaluation, as `superpose.learning.verdicts.Comparison.to_dict` gives them: ``against``,
            ``outcome`` and ``cases``.
    """
    if not comparisons:
        return ["The model was not compared with any other. Nobody can say yet if the quantum part helps."]
    said = ["We trained other models on the same data and compared."]
    for one in comparisons:
        rival = _VARIANTS.get(one["against"], str(one["against"]).replace("_", " "))
        said.append(_OUTCOMES[one["outcome"]].format(rival=rival))
    outcomes = {one["against"]: one["outcome"] for one in comparisons}
    if FROM_SCRATCH in outcomes:  # the others began without what this model had learned before
        said.append("These tests tell if what it had learned before helps. They do not tell if the quantum part does.")
    elif all(outcome == "better" for outcome in outcomes.values()) and "classical_twin" in outcomes:
        said.append("So the quantum part helps here, as far as these tests can tell.")
    elif outcomes.get("classical_twin") in ("equal", "worse") or outcomes.get("baseline") == "worse":
        said.append("So there is no proof that the quantum part helps here. A plain model will do.")
    else:
        said.append("So it is open if the quantum part helps here.")
    needed = [
        (cases["to_decide"], cases.get("n_groups"))
        for one in comparisons
        if one["outcome"] == "undecided" and (cases := one.get("cases")) and cases.get("to_decide")
    ]
    if needed:
        most, n_groups = max(needed, key=lambda one: one[0])
        said.append(f"A test with some {most:,} {'groups of cases (patients)' if n_groups else 'cases'} could tell.")
    return said


def _percent(share: float) -> str:
    """A share in whole percent; never 0 or 100 for what is neither."""
    whole = round(100.0 * share)
    if whole == 0 and share > 0.0:
        return "less than 1 %"
    if whole == 100 and share < 1.0:
        return "more than 99 %"
    return f"{whole} %"


def _rest(share: float) -> str:
    """One less a share in whole percent; 1 - 1e-20 is 1 to a computer."""
    return "more than 99 %" if 0.0 < share < 0.005 else _percent(1.0 - share)


def _size(value: float) -> str:
    points = round(100.0 * abs(value))
    return "less than 1 point" if points == 0 else f"{points} point{'s' if points != 1 else ''}"


def _points(name: str, value: float) -> str:
    return f"{name} ({_size(value)})"


def _changed(name: str, change: Mapping[str, Any]) -> str:
    before, after = change["from"], change["to"]
    if before is None:
        return f"{name} were {_value(after, 6)} and not left open"
    digits = 6 if isinstance(before, str) or isinstance(after, str) else _digits(before, after)
    return f"{name} were {_value(after, digits)} and not {_value(before, digits)}"


def _digits(before: float, after: float) -> int:
    """As few digits, from 6 on, as leave the change between two numbers what it is."""
    off = 0.05 * abs(after - before)
    return next(
        (n for n in range(6, 17) if all(abs(float(f"{value:.{n}g}") - value) <= off for value in (before, after))), 17
    )


def _value(value: float | str, digits: int) -> str:
    if isinstance(value, str):
        return value
    if float(value).is_integer() and 1e4 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return _rounded(value, digits)


def _rounded(value: float, digits: int) -> str:
    """A number to so many digits, in full from a ten thousandth to a thousand billions."""
    short = f"{value:.{digits}g}"
    if "e" not in short or not 1e-4 <= abs(value) < 1e15:
        return short
    return f"{float(short):,.0f}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
