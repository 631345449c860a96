"""Admission: what a run needs is known, and refused, before it starts."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml

from superpose.datasets import builtin_table, table_from_frame
from superpose.errors import SpecError, StateTooLargeError
from superpose.learning import TrainingSpec, admit
from superpose.learning.admission import class_weights, positive_class


def spec(**sections: dict) -> TrainingSpec:
    return TrainingSpec.from_dict(sections)


def test_the_plan_counts_trainings_steps_and_weights() -> None:
    plan = admit(TrainingSpec(), builtin_table("breast_cancer"))
    assert (plan.n_trainings, plan.n_weights) == (10 * 4, 24)
    assert plan.n_steps == 10 * 4 * 60 * 12
    repeated = {"n_splits": 3, "n_seeds": 2, "controls": ["frozen"], "tuning": {"trials": 4}}
    assert admit(spec(evaluation=repeated), builtin_table("breast_cancer")).n_trainings == 3 * 2 * 2 * 4
    assert 0 < plan.memory_bytes < 10**7


def test_forty_qubits_are_refused_with_the_memory_they_would_need() -> None:
    with pytest.raises(StateTooLargeError, match=r"model\.n_qubits: 40 qubits .* needs .* TB of memory") as caught:
        admit(spec(model={"n_qubits": 40}))
    assert caught.value.code == "engine.state_too_large"
    assert caught.value.details["field"] == "model.n_qubits"
    needed, available = caught.value.details["needed_bytes"], caught.value.details["available_bytes"]
    assert isinstance(needed, int)
    assert isinstance(available, int)
    assert needed > 2**40 * 8 > available


def test_a_specs_own_limits_hold() -> None:
    with pytest.raises(StateTooLargeError, match=r"limits\.memory_mb allows 1 MB"):
        admit(spec(model={"n_qubits": 14}, limits={"memory_mb": 1}))
    iris = builtin_table("iris")
    with pytest.raises(SpecError, match=r"limits\.max_steps: 20 trainings of up to 60 epochs are"):
        admit(spec(limits={"max_steps": 100}), iris)
    with pytest.raises(SpecError, match=r"limits\.max_encoded_columns: the 4 columns may become 4"):
        admit(spec(limits={"max_encoded_columns": 3}), iris)


@pytest.mark.parametrize(
    ("classes", "written", "found"),
    [
        (("1", "2"), "1", 0),
        (("0.5", "1.5"), "1.5", 1),
        (("False", "True"), "true", 1),
        (("no", "yes"), "yes", 1),
        (("OFF", "ON"), "off", 0),
        (("true", "yes"), '"yes"', 1),
    ],
)
def test_classes_that_yaml_reads_as_numbers_or_truth_values_are_meant(
    classes: tuple[str, str], written: str, found: int
) -> None:
    frame = pd.DataFrame({"dose": range(40), "label": list(classes) * 20})
    table = table_from_frame(frame, name="trial", target="label")
    text = f"evaluation: {{positive_class: {written}}}\ntraining: {{class_weights: {{{written}: 3}}}}"
    given = TrainingSpec.from_dict(json.loads(json.dumps(yaml.safe_load(text))))
    assert positive_class(given, table) == found
    weights = class_weights(given, table.classes)
    assert weights == {table.classes[found]: 3.0, table.classes[1 - found]: 1.0}


@pytest.mark.parametrize("word", ["yes", "true"])
def test_a_truth_value_that_may_be_two_classes_is_refused(word: str) -> None:
    frame = pd.DataFrame({"dose": range(40), "label": ["Yes", "TRUE"] * 20})
    table = table_from_frame(frame, name="trial", target="label")
    given = TrainingSpec.from_dict({"evaluation": {"positive_class": yaml.safe_load(word)}})
    with pytest.raises(SpecError, match="TRUE, Yes; got 'true'"):
        positive_class(given, table)
    twice = TrainingSpec.from_dict({"training": {"class_weights": {"yes": 1, "true": 2}}})
    with pytest.raises(SpecError, match="weighs 'true'"):
        class_weights(twice, ("no", "yes"))


def test_the_positive_class_must_be_one_of_the_data() -> None:
    admit(spec(evaluation={"positive_class": "setosa"}), builtin_table("iris"))
    with pytest.raises(SpecError, match="setosa, versicolor, virginica; got 'rose'"):
        admit(spec(evaluation={"positive_class": "rose"}), builtin_table("iris"))
