"""Plain words: every number comes from the structure, sentences are easy to read, nothing is said that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table
from superpose.explain import (
    CounterfactualOptions,
    Explain,
    attribution_words,
    counterfactual_words,
    explain_rows,
    probability_words,
    shot_noise_words,
    verdict_words,
)
from superpose.learning import Predictor
from superpose.learning.calibration.maps import Temperature
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.metrics import METRICS
from superpose.learning.model_file import encode_model
from superpose.learning.verdicts import compare

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def assert_numbers_come_from(words: list[str], structure: Any) -> None:
    """Each number is a leaf, a leaf in percent or its complement, or the bound for what would round away."""
    texts = sorted({text for text in leaves(structure) if isinstance(text, str)}, key=len, reverse=True)
    numbers = [abs(float(n)) for n in leaves(structure) if isinstance(n, int | float) and not isinstance(n, bool)]
    said = " ".join(words)
    for text in texts:  # names of columns and classes may hold digits
        said = said.replace(text, "")
    bounds = len(re.findall(r"less than 1 %|more than 99 %|less than 1 point", said))
    said = re.sub(r"less than 1 %|more than 99 %|less than 1 point", "", said)
    small = [n for n in numbers if n < 0.005 or 0.995 < n < 1.0]
    assert bounds == 0 or small
    for match in NUMBER.findall(said):
        number = abs(float(match.replace(",", "")))
        known = [n for n in numbers if number == round(100 * n) or number == round(100 * (1 - n))]
        assert known or any(np.isclose(number, n, rtol=1e-5, atol=0) for n in numbers), (match, words)


def grade(words: list[str]) -> float:
    """Years of school that a text takes, by Flesch and Kincaid: 0.39 words/sentence + 11.8 syllables/word - 15.59."""
    said = re.sub(r"\d[\d,.]*", "ten", " ".join(words)).replace("%", "percent")
    sentences = [part for part in re.split(r"[.!?]+", said) if part.strip()]
    found = re.findall(r"[a-z']+", said.lower())
    syllables = [max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word)))) for word in found]
    return 0.39 * len(found) / len(sentences) + 11.8 * sum(syllables) / len(found) - 15.59


def test_all_that_is_said_of_real_rows_comes_from_the_document(predictor: Predictor, cancer: Table) -> None:
    rows = cancer.features.iloc[[0, 19, 40, 100, 200]]
    wanted = Explain(counterfactuals=CounterfactualOptions(n=2), shots=30, words=True)
    found = explain_rows(predictor, rows, wanted)
    for row in found["rows"]:
        words = row.pop("words")
        assert_numbers_come_from(words, [row, found["shot_noise"]])
        assert words[0].startswith("The model gives ") and words[0].endswith(f" to {row['class']}.")
        strongest = max(row["attributions"], key=lambda name: abs(row["attributions"][name]))
        assert any(strongest in sentence for sentence in words)
        for one in row["counterfactuals"]:
            for name in one["changes"]:
                assert any(f"{name} were" in sentence for sentence in words)


ROW = {
    "class": "sick",
    "probability": 0.9968,
    "typical_probability": 0.31,
    "attributions": {"age": 0.52, "dose": -0.2, "pulse": 0.004},
}
FLIP = {"class": "sick", "rival": "well", "flip_probability": 0.23, "shots_to_settle": 1234}
FEW = {"class": "sick", "counterfactuals": [{"class": "well", "changes": {"age": {"from": 61.5, "to": 44}}}]}


def test_words_are_these() -> None:
    assert attribution_words(ROW)[:4] == [
        "The model gives more than 99 % to sick.",
        "For a typical row it gives 31 % to sick.",
        "What speaks most for sick: age (52 points).",
        "What speaks most against it: dose (20 points).",
    ]
    assert "No single column moved it by much." in attribution_words(ROW | {"attributions": {"age": 0.001}})
    assert counterfactual_words(FEW)[:2] == ["The model says sick.", "It would say well if age were 44 and not 61.5."]
    assert counterfactual_words({"class": "sick", "counterfactuals": []}) == [
        "The model says sick. We found no small change that is allowed and makes it say something else."
    ]
    none = {"class": "sick", "counterfactuals": [], "to_class": "dead"}
    assert counterfactual_words(none)[0].endswith("makes it say dead.")
    assert counterfactual_words(none | {"to_class": "sick"}) == ["The model says sick. That is what was asked for."]
    said = shot_noise_words(FLIP, 100, 0.05)
    assert "With 100 shots a quantum computer would give an answer other than sick in 23 % of all runs." in said[0]
    assert said[-1] == "Some 1,234 shots would bring this down to 5 %."
    assert "no number of shots" in shot_noise_words(FLIP | {"shots_to_settle": None}, 100, 0.05)[-1]
    for rarely in (1e-5, 1e-20):
        said = shot_noise_words(FLIP | {"flip_probability": rarely}, 100, 0.05)
        assert "stay the same in more than 99 %" in said[0]
    assert "stay the same in 100 %" in shot_noise_words(FLIP | {"flip_probability": 0.0}, 100, 0.05)[0]
    assert probability_words("sick", 0.8, calibrated=True)[1] == (
        "Of all cases that get this number, about 80 % should turn out as sick."
    )
    assert "score" in probability_words("sick", 0.8, calibrated=False)[1]
    assert probability_words("sick", 0.8, calibrated=True, calibration_error=0.03)[-1].endswith("3 points on average.")


def test_changes_are_told_with_as_many_digits_as_tell_them_apart() -> None:
    def told(before: float, after: float) -> str:
        change = {"class": "well", "changes": {"income": {"from": before, "to": after}}}
        return counterfactual_words({"class": "sick", "counterfactuals": [change]})[1]

    assert told(1234567.5, 1234568.0).endswith("if income were 1,234,568 and not 1234567.5.")
    assert told(20231105.0, 20231107.0).endswith("if income were 20,231,107 and not 20,231,105.")
    assert told(1318041.7, 944000.0).endswith("if income were 944,000 and not 1,318,040.")
    assert told(0.1234567, 0.1234568).endswith("if income were 0.1234568 and not 0.1234567.")


def test_many_small_parts_of_a_number_are_not_told_as_none() -> None:
    row = {"number": 1234567.0, "typical_number": 1000000.0, "attributions": {f"x{i}": 1172.835 for i in range(200)}}
    words = attribution_words(row)
    assert words[0] == "The model says 1,235,000."
    assert words[2] == "No single column moved it by much."
    assert attribution_words(row | {"attributions": {"x": 0.0}})[2] == "No column moved it."
    assert attribution_words(row | {"attributions": {"x": -234567.0}})[2] == "What lowers it most: x (by 235,000)."


def test_a_calibrated_answer_is_told_beside_the_score_that_is_explained(
    mixed: tuple[Predictor, list[dict[str, Any]]],
) -> None:
    predictor, rows = mixed
    calibrated = Predictor.load(encode_model(predictor.model, safeguards=Safeguards(calibration=Temperature(4.0)))[0])
    found = explain_rows(calibrated, rows, Explain(words=True))
    answers = calibrated.predict_proba(rows).max(axis=1)
    for row, answer in zip(found["rows"], answers, strict=True):
        assert row["calibrated_probability"] == answer < row["probability"]
        assert row["words"][0] == f"The model gives {round(100 * answer)} % to {row['class']}."
        assert "raw score" in row["words"][1] and "raw score" not in row["words"][0]
        assert grade(row["words"]) < 8.0
    assert all("calibrated_probability" not in row for row in explain_rows(predictor, rows, Explain())["rows"])


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.2])
def test_a_verdict_in_plain_words_says_what_the_comparisons_say(shift: float) -> None:
    rng = np.random.default_rng(1)
    values = 0.8 + 0.005 * rng.normal(size=10)
    names = ("classical_twin", "baseline")
    others = {name: values - shift + 0.002 * rng.normal(size=10) for name in names}
    found = [one.to_dict() for one in _compared(values, others)]
    words = verdict_words(found)
    outcomes = {one["outcome"] for one in found}
    end = {"better": "helps here", "worse": "no proof", "equal": "no proof"}
    assert all(end[outcome] in words[-1] for outcome in outcomes)
    assert len(words) == 2 + len(found)
    assert_numbers_come_from(words, found)
    assert grade(words) < 8.0


def _compared(values: Any, others: dict[str, Any]) -> Any:
    assert METRICS["accuracy"].higher_is_better
    return compare(values, others, metric="accuracy", test_over_train=0.25, confidence=0.95)


def test_nothing_compared_proves_nothing() -> None:
    assert "Nobody can say yet" in verdict_words([])[0]
    undecided = {"against": "classical_twin", "outcome": "undecided", "cases": {"to_decide": 3400}}
    assert verdict_words([undecided])[-2:] == [
        "So it is open if the quantum part helps here.",
        "A test with some 3,400 cases could tell.",
    ]


def test_a_fine_tuned_models_comparisons_say_nothing_of_the_quantum_part() -> None:
    better = [{"against": against, "outcome": "better"} for against in ("from_scratch", "classical_twin")]
    words = verdict_words(better)
    assert words[1] == "It did better than the same model that learned from nothing."
    assert not any("quantum part helps here" in sentence for sentence in words)
    assert "do not tell if the quantum part does" in words[-1]
    assert grade(words) < 8.0


def test_cases_that_could_tell_are_those_of_what_is_open() -> None:
    found = [
        {"against": "classical_twin", "outcome": "undecided", "cases": {"to_decide": 3400}},
        {"against": "frozen", "outcome": "equal", "cases": {"to_decide": 5_000_000}},
    ]
    assert verdict_words(found)[-1] == "A test with some 3,400 cases could tell."


def test_eight_years_of_school_are_enough() -> None:
    for words in (
        attribution_words(ROW),
        counterfactual_words(FEW),
        shot_noise_words(FLIP, 100, 0.05),
        shot_noise_words(FLIP | {"flip_probability": 0.01}, 100, 0.05),
        probability_words("sick", 0.8, calibrated=True, calibration_error=0.03),
        probability_words("sick", 0.8, calibrated=False),
    ):
        assert grade(words) < 8.0, words
