"""Diebold and Mariano's test against SciPy's t test, statsmodels' long-run variance, and its own size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from superpose.learning.verdicts import FEWEST_ORIGINS, diebold_mariano, told_by


def test_one_step_ahead_it_is_the_ordinary_t_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.exponential(1.0, 30), rng.exponential(1.4, 30)
    found, expected = diebold_mariano(first, second, 1), stats.ttest_1samp(first - second, 0.0)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.mean_difference == pytest.approx((first - second).mean())


def test_more_steps_ahead_its_variance_is_statsmodels_with_a_flat_kernel() -> None:
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import weights_uniform

    rng = np.random.default_rng(1)
    noise = rng.normal(size=63)
    differences = np.convolve(noise, np.ones(4), "valid") + 0.8
    horizon, n = 4, 60
    hac = OLS(differences, np.ones(n)).fit(
        cov_type="HAC", cov_kwds={"maxlags": horizon - 1, "kernel": weights_uniform, "use_correction": False}
    )
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    found = diebold_mariano(differences, np.zeros(n), horizon)
    assert found.statistic == pytest.approx(float(hac.tvalues[0]) * correction, rel=1e-10)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.statistic), n - 1), rel=1e-12)


def test_equal_forecasts_are_called_different_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(400):
        noise = rng.normal(size=122)
        rejected += diebold_mariano(noise[:-2] + noise[1:-1] + noise[2:], np.zeros(120), 3).p_value < 0.05
    assert 6 <= rejected <= 45  # 20 expected; the test is known to be a little too free


def test_few_origins_tell_nothing_since_p_comes_out_too_small() -> None:
    rng, horizon = np.random.default_rng(0), 8
    shares = {}
    for n_origins in (2, 8):
        alike = rng.normal(size=(300, n_origins, 1)) + rng.normal(size=(300, n_origins, horizon))
        found = [diebold_mariano(losses, np.zeros(losses.size), horizon) for losses in alike.reshape(300, -1)]
        shares[n_origins] = float(np.mean([one.p_value < 0.05 for one in found]))
        told = {told_by(one, one.p_value, n_origins, 0.95) for one in found}
        assert told == ({"undecided"} if n_origins < FEWEST_ORIGINS else {"better", "worse", "undecided"})
    assert 0.17 < shares[2] < 0.31 and shares[8] < 0.16  # 23 and 10 % of many; four standard errors, seeded


def test_without_spread_the_sign_decides_and_a_negative_variance_falls_back() -> None:
    assert diebold_mariano(np.ones(8), np.ones(8), 1).p_value == 1.0
    assert diebold_mariano(np.ones(8), np.zeros(8), 1).p_value == 2.0**-7
    swinging = np.tile([1.0, -1.0], 10) + 0.3
    found = diebold_mariano(swinging, np.zeros(20), 2)
    assert found.horizon == 1
    assert found.statistic == pytest.approx(stats.ttest_1samp(swinging, 0.0).statistic)


@pytest.mark.parametrize(("n", "m", "horizon"), [(5, 4, 1), (5, 5, 5), (2, 2, 1), (5, 5, 0)])
def test_losses_that_do_not_fit_are_refused(n: int, m: int, horizon: int) -> None:
    with pytest.raises(ValueError, match="two equally long lists"):
        diebold_mariano(np.ones(n), np.ones(m), horizon)


@pytest.mark.parametrize("unit", [1e-15, 1e-9, 1.0, 1e12])
def test_the_unit_of_losses_changes_nothing(unit: float) -> None:
    """The same test of amounts in millionths and in millions, also where losses differ by a constant."""
    rng = np.random.default_rng(4)
    first, second = rng.random(30), rng.random(30) + 0.2
    one, scaled = diebold_mariano(first, second, 1), diebold_mariano(first * unit, second * unit, 1)
    assert (scaled.statistic, scaled.p_value) == pytest.approx((one.statistic, one.p_value))
    constant = diebold_mariano(first[:6] * unit, (first[:6] + 0.3) * unit, 1)
    assert (constant.statistic, constant.p_value) == (0.0, 2.0**-5)
    nothing = diebold_mariano(first * unit, first * unit, 1)
    assert (nothing.statistic, nothing.p_value) == (0.0, 1.0)
