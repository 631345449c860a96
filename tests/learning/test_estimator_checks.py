"""scikit-learn's own suite of checks on `HybridClassifier`."""

from __future__ import annotations

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

from superpose.learning import HybridClassifier

EXPECTED_FAILURES: dict[str, str] = {}
"""Every check of scikit-learn that fails, with the reason. This list may only shrink; none fails now."""

SKIPPED = {"check_array_api_input": "needs SCIPY_ARRAY_API, an experimental switch of SciPy"}
"""Every check that scikit-learn itself skips."""


@pytest.fixture(scope="module")
def results() -> list[dict[str, object]]:
    """What each check gave, on a small circuit, which is as much an estimator as a large one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = HybridClassifier(n_qubits=2, layers=1, epochs=15, learning_rate=0.1, random_state=0)
        return check_estimator(small, on_fail=None, on_skip=None)  # type: ignore[no-any-return]


def test_the_checks_that_fail_are_exactly_those_listed(results: list[dict[str, object]]) -> None:
    failed = {str(r["check_name"]): repr(r["exception"]) for r in results if r["status"] == "failed"}
    unlisted = {name: said for name, said in failed.items() if name not in EXPECTED_FAILURES}
    assert unlisted == {}
    assert set(EXPECTED_FAILURES) <= set(failed), "a check that passes must leave the list"


def test_nothing_else_is_skipped_and_the_suite_is_whole(results: list[dict[str, object]]) -> None:
    assert {str(r["check_name"]) for r in results if r["status"] == "skipped"} <= set(SKIPPED)
    assert sum(r["status"] == "passed" for r in results) > 50
