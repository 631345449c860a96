"""Seeds and splits as sources of variance: against SciPy and statsmodels, and what the deciding test makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from superpose.learning.verdicts import compare, spread


def scores(splits: float, seeds: float, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Scores ``(n_splits, n_seeds)`` that vary so far over splits and seeds."""
    rng = np.random.default_rng(seed)
    return 0.8 + splits * rng.normal(size=(shape[0], 1)) + seeds * rng.normal(size=shape)


def test_parts_are_those_of_the_analysis_of_variance() -> None:
    values = scores(0.05, 0.02, (8, 4), 0)
    found = spread(values.tolist())
    f = float(stats.f_oneway(*values).statistic)
    assert 1.0 + 4 * (found["splits"] / found["seeds"]) ** 2 == pytest.approx(f, rel=1e-12)
    assert found["seeds"] ** 2 == pytest.approx(np.mean([stats.tvar(row) for row in values]), rel=1e-12)


def test_parts_are_those_of_a_mixed_model() -> None:
    import pandas as pd
    import statsmodels.formula.api as smf

    values = scores(0.05, 0.02, (12, 5), 1)
    frame = pd.DataFrame({"score": 100 * values.ravel(), "split": np.repeat(np.arange(12), 5)})
    fitted = smf.mixedlm("score ~ 1", frame, groups=frame["split"]).fit(reml=True)
    found = spread(values.tolist())
    assert 100 * found["seeds"] == pytest.approx(np.sqrt(fitted.scale), rel=1e-4)
    assert 100 * found["splits"] == pytest.approx(np.sqrt(float(fitted.cov_re.iloc[0, 0])), rel=1e-3)


def test_seeds_that_explain_everything_leave_nothing_to_splits() -> None:
    row = [0.7, 0.8, 0.9]
    assert spread([row, row[::-1], row]) == {"splits": 0.0, "seeds": pytest.approx(0.1)}


def test_means_over_seeds_keep_the_error_rate_of_the_deciding_test() -> None:
    """400 experiments with equal models: 5 % may decide at most; more than 8 % have a chance below 0.01."""
    rng = np.random.default_rng(2)
    decided = 0
    for _ in range(400):
        shared = 0.03 * rng.normal(size=(10, 1))
        one, two = (0.8 + shared + 0.02 * rng.normal(size=(10, 3)) for _ in range(2))
        (found,) = compare(
            one.mean(axis=1), {"twin": two.mean(axis=1)}, metric="accuracy", test_over_train=0.3, confidence=0.95
        )
        decided += found.decides
    assert decided <= 32
