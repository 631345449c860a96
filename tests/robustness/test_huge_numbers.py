"""Whole numbers that no float holds: where a number is asked for they are refused in our words, and short ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose.circuits import Circuit, Observable
from superpose.circuits.wording import shown
from superpose.engine.gradients.problem import GradientOptions
from superpose.errors import (
    AngleError,
    JobFunctionError,
    ObservableError,
    ProblemError,
    ProgramError,
    RequestError,
    SpecError,
    UnsupportedProgramError,
)
from superpose.functions.context import check_metrics
from superpose.learning import TrainingSpec
from superpose.optimization.options import SolveOptions
from superpose.optimization.penalties import penalised
from superpose.optimization.quadratic import QuadraticProblem
from superpose.service import ServiceConfig
from superpose.service.experiments.sweep_spec import SweepSpec
from superpose.service.work.admission import check_spending

BEYOND = {"beyond floats": 10**400, "below floats": -(10**400), "beyond what Python prints": 10**5000}


def sweep(values: Any) -> SweepSpec:
    return SweepSpec.from_dict({"space": {"training.learning_rate": values}, "sampler": {"name": "random"}})


@pytest.mark.parametrize("huge", BEYOND.values(), ids=BEYOND)
@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda n: check_spending(None, n, False), RequestError),
        (lambda n: check_spending(n, None, False), RequestError),
        (lambda n: ServiceConfig(data_dir=Path("data"), job_seconds=n), RequestError),
        (lambda n: TrainingSpec.from_dict({"training": {"learning_rate": n}}), SpecError),
        (lambda n: TrainingSpec.from_dict({"training": {"epochs": n}}), SpecError),
        (lambda n: TrainingSpec.from_dict({"training": {"class_weights": {"ill": n}}}), SpecError),
        (lambda n: sweep({"float": [0.1, n]}), SpecError),
        (lambda n: sweep([0.1, n]), SpecError),
        (lambda n: Circuit(1).rx(n, 0), AngleError),
        (lambda n: Circuit(1).delay(n, 0), ProgramError),
        (lambda n: Observable({"Z": n}), ObservableError),
        (lambda n: GradientOptions(step=n), UnsupportedProgramError),
        (lambda n: SolveOptions(time_limit_s=n), ProblemError),
        (lambda n: SolveOptions(penalty_scale=n), ProblemError),
        (lambda n: check_metrics({"loss": n}, 1), JobFunctionError),
        (lambda n: penalised(QuadraticProblem([1.0], {}), scale=n), ProblemError),
    ],
)
def test_a_number_that_no_float_holds_is_refused_in_our_words(
    made: Callable[[int], object], error: type[Exception], huge: int
) -> None:
    with pytest.raises(error) as refused:
        made(huge)
    assert type(refused.value) is error and len(str(refused.value)) < 300


def test_the_largest_float_is_a_number_of_seconds_still() -> None:
    largest = int(1.7976931348623157e308)
    assert check_spending(None, largest, False).max_seconds == largest
    with pytest.raises(RequestError, match=r"max_seconds must be a number above 0, at most 2e\+308, got 1000000"):
        check_spending(None, 10**400, False)


def test_what_python_does_not_print_is_named_by_its_kind() -> None:
    assert shown(10**5000) == "a value of type int that is too long to show"
    assert shown([10**5000]) == "a value of type list that is too long to show"
