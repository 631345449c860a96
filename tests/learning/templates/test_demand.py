"""The demand template: files, features that know no future, intervals, a run from file to model, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from superpose.errors import CheckpointError, DatasetFormatError, DatasetTooSmallError, SpecError
from superpose.learning import HybridRegressor, Predictor, read_model
from superpose.learning.calibration.intervals import conformal_reach
from superpose.learning.templates.demand import VARIANTS, builtin_series, forecast, read_series, train_demand
from superpose.learning.templates.demand.feature_rows import (
    all_rows,
    feature_names,
    first_origin,
    rows_at,
    seasonal_naive,
)
from superpose.learning.templates.demand.measures import (
    MEASURES,
    QUANTILES,
    measured,
    naive_error,
    summary,
)
from superpose.learning.templates.demand.models import exponential_smoothing, naive
from superpose.learning.templates.demand.options import check_length

FAST: dict[str, Any] = {"horizon": 6, "origins": 2, "calibration": 1, "seeds": 1, "epochs": 2}


def weeks(n: int, **columns: Any) -> pd.DataFrame:
    """Daily demand with a week's pattern."""
    dates = pd.date_range("2026-01-01", periods=n, freq="D")
    noise = np.random.default_rng(0).normal(0, 1, n)
    quantity = 50 + 10 * np.sin(2 * np.pi * np.arange(n) / 7) + noise
    return pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "quantity": quantity, **columns})


def apart(frame: pd.DataFrame, n_series: int) -> pd.DataFrame:
    """Series of three days and one almost five centuries later."""
    dates = ["1705-01-01", "1705-01-02", "1705-01-03", "2199-12-31"]
    return pd.concat([frame.head(4).assign(date=dates, series=f"s{k}") for k in range(n_series)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    shops = [weeks(60, series=name, price=np.arange(60) % 3) for name in ("north", "south")]
    pd.concat(shops).to_csv(path, index=False)
    return path


def test_frequencies_are_inferred_and_series_kept_apart(file: Path, tmp_path: Path) -> None:
    found = read_series(file)
    assert (found.frequency, found.covariates, [one.name for one in found.series]) == (
        "daily",
        ("price",),
        ["north", "south"],
    )
    assert found.series[0].n_periods == 60 and found.n_future == 0
    for word, freq, form in (("weekly", "W-SUN", "%Y-%m-%d"), ("monthly", "MS", "%Y-%m")):
        dates = pd.date_range("2020-01-05", periods=30, freq=freq).strftime(form)
        pd.DataFrame({"date": dates, "quantity": 1.0}).to_csv(tmp_path / "x.csv", index=False)
        assert read_series(tmp_path / "x.csv").frequency == word


@pytest.mark.parametrize(
    "dates",
    [
        ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"],
        ["2026-10-24 00:00+0200", "2026-10-25 00:00 +02", "2026-10-26 00:00+01:00"],
        ["2026-03-28T00:30:00Z", "2026-03-29T23:30:00-05:00", "2026-03-30"],
        [" 2026-03-28 ", "20260329", "2026-03-30T12:00:00.5+05:30"],
    ],
)
def test_a_day_is_that_of_its_writer_s_clock(dates: list[str], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{date},{number},{series}" for series in ("a", "b ") for number, date in enumerate(dates)]
    path.write_text("\r\n".join(["date ,quantity, series", *rows]))
    found = read_series(path)  # no warning either
    first = dates[0].strip()[:10]
    assert [one.name for one in found.series] == ["a", "b"]
    for one in found.series:
        assert list(map(str, one.periods)) == list(map(str, pd.period_range(first, periods=3, freq="D")))
        assert one.quantities.tolist() == [0, 1, 2]


def test_the_level_of_net_sales_that_cancel_is_their_size(tmp_path: Path) -> None:
    frame = weeks(28)
    frame["quantity"] = np.tile([300.0, -300.0, 200.0, -200.0, 100.0, -100.0, 1e-6], 4)
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = read_series(tmp_path / "x.csv")
    rows = rows_at(data, data.series[0], 20, 7)
    assert rows.levels == pytest.approx(np.full(7, 1200 / 7))
    assert np.abs(rows.features).max() < 2
    frame["quantity"] = -frame["quantity"].abs()
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = read_series(tmp_path / "x.csv")
    assert rows_at(data, data.series[0], 20, 7).levels == pytest.approx(np.full(7, 1200 / 7))


def test_rows_without_a_quantity_at_the_end_are_the_future(tmp_path: Path) -> None:
    frame = weeks(40, price=1.0)
    frame.loc[35:, "quantity"] = np.nan
    frame.to_csv(tmp_path / "x.csv", index=False)
    found = read_series(tmp_path / "x.csv")
    assert (found.series[0].n_periods, found.n_future) == (35, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="quantity"), "needs the columns date and quantity"),
        (lambda f: f.assign(date="soon"), "row 2: date must be like"),
        (lambda f: f.assign(quantity=["many", *f["quantity"][1:]]), "row 2: quantity must be a finite number"),
        (lambda f: f.drop(index=5), "no quantity for 2026-01-06 (1 such periods)"),
        (lambda f: pd.concat([f, f.tail(1)]), "twice"),
        (lambda f: f.assign(price=["", *["1"] * 29]), "row 2: price must be a finite number, got ''"),
        (lambda f: f.assign(date=pd.date_range("2000-01-01", periods=30, freq="1000D").strftime("%Y-%m-%d")), "1000"),
        (lambda f: f.assign(series=["a"] * 14 + ["b"] * 16), "must end in the same period"),
        (lambda f: pd.concat([f, f]), "most rows of a series have the date of another"),
        (lambda f: f.assign(quantity=f["quantity"] * 1e300), "row 2: quantity must be 0 or between 1e-90 and 1e+90"),
        (lambda f: f.assign(price=1e-300), "row 2: price must be 0 or between 1e-90 and 1e+90 in size, got '1e-300'"),
        (lambda f: apart(f, 2), "the series have 361,590 periods from their first row to their last, at most 200,000"),
    ],
)
def test_files_that_cannot_be_used_say_why(change: Any, said: str, tmp_path: Path) -> None:
    change(weeks(30)).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DatasetFormatError) as caught:
        read_series(tmp_path / "x.csv")
    assert said in str(caught.value)


@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), (";", "."), ("\t", ".")])
def test_files_are_read_as_data_sets_are(separator: str, decimal: str, tmp_path: Path) -> None:
    """What a spreadsheet of another country writes, and codes that begin with a 0."""
    frame = weeks(30).assign(price=np.arange(30) / 8, series="007")
    frame.to_csv(tmp_path / "comma.csv", index=False)
    frame.to_csv(tmp_path / "other.csv", index=False, sep=separator, decimal=decimal, lineterminator="\r\n")
    one, other = (read_series(tmp_path / name).series[0] for name in ("comma.csv", "other.csv"))
    assert one.name == other.name == "007" and one.periods.equals(other.periods)
    np.testing.assert_array_equal(one.quantities, other.quantities)
    np.testing.assert_array_equal(one.covariates, other.covariates)


def test_points_at_thousands_are_no_decimals(tmp_path: Path) -> None:
    cells = [f"{(i + 9) * 100:,}".replace(",", ".") for i in range(30)]  # 900, 1.000, 1.100 and so on
    weeks(30).assign(quantity=cells).to_csv(tmp_path / "x.csv", index=False, sep=";")
    with pytest.raises(DatasetFormatError, match=r"such as '1\.000'.*: write 1000, or 1,000 for the decimal"):
        read_series(tmp_path / "x.csv")


def test_a_row_index_is_no_covariate_and_longer_rows_are_told(tmp_path: Path) -> None:
    weeks(30).to_csv(tmp_path / "indexed.csv")
    with pytest.raises(DatasetFormatError, match="Column 1 has no name"):
        read_series(tmp_path / "indexed.csv")
    (tmp_path / "long.csv").write_text("date,quantity\n" + "".join(f"2026-01-{day:02d},3,\n" for day in range(1, 9)))
    with pytest.raises(DatasetFormatError, match="Line 2 has 3 values, but the header has 2 columns"):
        read_series(tmp_path / "long.csv")


def test_dates_centuries_apart_are_read(tmp_path: Path) -> None:
    apart(weeks(4), 1).to_csv(tmp_path / "x.csv", index=False)
    found = read_series(tmp_path / "x.csv", gaps="zero")
    assert (found.frequency, found.series[0].n_periods, found.n_filled) == ("daily", 180_795, 180_791)
    with pytest.raises(SpecError, match=r"so many steps ahead of every period are .* rows of 22 features"):
        check_length(found, 60, n_calibration=6, n_test=8)
    check_length(found, 14, n_calibration=6, n_test=8)


def test_gaps_are_zero_only_where_one_says_so(tmp_path: Path) -> None:
    weeks(30).drop(index=[5, 6]).to_csv(tmp_path / "x.csv", index=False)
    found = read_series(tmp_path / "x.csv", gaps="zero")
    assert found.n_filled == 2 and found.series[0].quantities[5:7].tolist() == [0.0, 0.0]
    frame = pd.concat([weeks(30).assign(series="a"), weeks(27).assign(series="b")])
    frame.to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(DatasetFormatError, match=r"must end in the same period.*say gaps zero"):
        read_series(tmp_path / "two.csv")
    whole = read_series(tmp_path / "two.csv", gaps="zero")
    assert whole.n_filled == 3 and [one.n_periods for one in whole.series] == [30, 30]
    assert whole.series[1].quantities[26:].tolist() == [weeks(27)["quantity"].iloc[-1], 0.0, 0.0, 0.0]
    open_end = frame.iloc[-1:].assign(date=weeks(29)["date"].iloc[-1], quantity="")  # that is not known yet
    pd.concat([frame, open_end]).to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(DatasetFormatError, match="must end in the same period"):
        read_series(tmp_path / "two.csv", gaps="zero")
    for options in ({"gaps": "guess"}, {"frequency": "hourly"}):
        with pytest.raises(SpecError):
            read_series(tmp_path / "x.csv", **options)
    for absent in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DatasetFormatError, match=r"cannot be read: .*Give a CSV file"):
            read_series(absent)


def test_features_know_nothing_that_comes_after_the_origin(file: Path) -> None:
    data = read_series(file)
    one, origin = data.series[0], 30
    changed = one.quantities.copy()
    changed[origin + 1 :] = 1e6
    before = rows_at(data, one, origin, 14)
    after = rows_at(data, replace(one, quantities=changed), origin, 14)
    np.testing.assert_array_equal(before.features, after.features)
    np.testing.assert_array_equal(before.levels, after.levels)
    np.testing.assert_array_equal(before.bases, after.bases)
    assert not np.allclose(before.targets, after.targets)
    assert before.features.shape == (14, len(feature_names(data)))
    np.testing.assert_allclose(before.quantities(before.targets), one.quantities[31:45])


def test_training_rows_are_in_order_of_what_they_are_about(file: Path) -> None:
    data = read_series(file)
    rows = all_rows(data, 6)
    assert np.all(np.diff(rows.places) >= 0) and rows.places[-1] == -1
    first = first_origin(data)
    assert len(rows.places) == 2 * sum(min(6, 59 - origin) for origin in range(first, 59))
    assert np.isfinite(rows.features).all() and np.isfinite(rows.targets).all()


def test_the_naive_forecasts_repeat_the_last_season() -> None:
    quantities = np.arange(24.0)
    assert naive(quantities, 14, 12).tolist() == [*range(12, 24), 12, 13]
    assert seasonal_naive(quantities, 23, np.arange(1, 4), 12, 2).tolist() == [0, 1, 2]
    seasonal = np.tile([10.0, 20.0, 30.0, 40.0], 8) * np.linspace(1, 2, 32)
    ahead = exponential_smoothing(seasonal, 4, 4)
    expected = np.array([10.0, 20.0, 30.0, 40.0]) * (2 + np.arange(1, 5) / 31)
    assert np.abs(ahead / expected - 1).max() < 0.06
    assert np.isfinite(exponential_smoothing(np.tile([0.0, 0.0, 3.0], 5), 3, 3)).all()


def test_measures_on_a_case_by_hand() -> None:
    truth, forecast = np.array([10.0, 0.0]), np.array([8.0, 0.0])
    found = measured(truth, forecast, forecast - 1, forecast + 1, np.array([4.0, 4.0]))
    assert found["mae"] == 1.0 and found["rmse"] == pytest.approx(2**0.5) and found["mase"] == 0.25
    assert found["smape"] == pytest.approx(0.5 * 200 * 2 / 18) and found["coverage"] == 0.5 and found["width"] == 2.0
    assert found["pinball"] == pytest.approx(np.mean([(0.3 + 0.1) / 2, (1.0 + 0) / 2, (0.9 + 0.1) / 2]))
    assert naive_error(np.array([1.0, 2.0, 4.0, 8.0]), 2) == 4.5
    assert naive_error(np.ones(5), 2) == 1.0


def test_measures_are_those_of_scikit_learn_and_their_intervals_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(6):
        truth = rng.exponential(10.0, 24)
        forecast, unit = truth + rng.normal(0.0, 2.0, 24), rng.uniform(1.0, 3.0, 24)
        low, high = forecast - rng.random(24), forecast + rng.random(24)
        found = measured(truth, forecast, low, high, unit)
        assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, forecast))
        assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, forecast))
        assert found["mase"] == pytest.approx(metrics.mean_absolute_error(truth, forecast, sample_weight=1 / unit)
                                              * np.mean(1 / unit))  # fmt: skip
        ends = zip(QUANTILES, (low, forecast, high), strict=True)
        losses = [metrics.mean_pinball_loss(truth, at, alpha=share) for share, at in ends]
        assert found["pinball"] == pytest.approx(np.mean(losses))
        rows.append(found)
    for name, row in summary(rows).items():
        bounds = stats.ttest_1samp(row["values"], 0.0).confidence_interval(0.95)
        assert (row["low"], row["high"]) == pytest.approx((bounds.low, bounds.high)), name
    assert set(summary(rows)) == set(MEASURES)
    few = summary([dict.fromkeys(MEASURES, 1.0) | {"mase": 3.0}, dict.fromkeys(MEASURES, 0.8) | {"mase": 0.1}])
    assert (few["coverage"]["high"], few["mase"]["low"]) == (1.0, 0.0)  # Student's would be 2.17 and -16.9
    assert few["mae"]["high"] > 1.0


def test_the_symmetric_error_is_that_of_published_examples_and_of_scikit_learns_percentage_error() -> None:
    """The example of torchmetrics' documentation, 0.2290 of 2; and scikit-learn's error relative to both sizes."""
    ends = np.zeros(3)
    found = measured(np.array([1.0, 10.0, 1e6]), np.array([0.9, 15.0, 1.2e6]), ends, ends, np.ones(3))
    assert found["smape"] / 100 == pytest.approx(0.2290, abs=5e-5)
    rng = np.random.default_rng(5)
    truth, forecast = rng.normal(3.0, 5.0, 200), rng.normal(3.0, 5.0, 200)  # below zero too
    size = np.abs(truth) + np.abs(forecast)
    expected = 200 * metrics.mean_absolute_percentage_error(size, size + truth - forecast)
    found = measured(truth, forecast, forecast, forecast, np.ones(200))
    assert found["smape"] == pytest.approx(expected, rel=1e-12)


def test_conformal_intervals_hold_what_they_promise() -> None:
    assert conformal_reach(np.arange(1.0, 20.0), 0.8) == (2.0, 18.0)
    assert conformal_reach(np.array([3.0]), 0.8) == (3.0, 3.0)
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        drawn = rng.exponential(1.0, 40)
        low, high = conformal_reach(drawn[:39])
        inside += low <= drawn[39] <= high
    assert 1560 <= inside <= 1680  # 1,600 promised; six standard deviations are 107 below


@pytest.mark.slow
def test_a_run_from_file_to_model_and_again(file: Path, tmp_path: Path) -> None:
    told: list[str] = []
    report = train_demand(file, tmp_path / "run", tell=told.append, **FAST)
    assert set(report["variants"]) == set(VARIANTS)
    counts = {name: row["n_params"] for name, row in report["variants"].items()}
    assert counts["hybrid"] == counts["classical_twin"] == counts["no_entanglement"] == counts["frozen"]
    assert report["baseline"] in ("seasonal_naive", "exponential_smoothing", "ridge", "gradient_boosting")
    best = {name: report["variants"][name]["calibration_mase"] for name in list(VARIANTS)[4:]}
    assert best[report["baseline"]] == min(best.values())
    assert {row["against"] for row in report["comparisons"]} == {
        "classical_twin",
        "no_entanglement",
        "frozen",
        "baseline",
    }
    assert {row["against"] for row in report["diebold_mariano"]} == set(VARIANTS) - {"hybrid"}
    assert "over 2 paired splits" in report["verdict"]
    assert report["forecast"] == {"made": False, "why": report["forecast"]["why"]}
    assert "known for 0 of 6 periods" in report["forecast"]["why"]
    assert json.loads((tmp_path / "run" / "report.json").read_bytes()) == report
    truth = read_series(file).series[0].quantities[-12:]
    made = train_demand(file, tmp_path / "run", **FAST)
    assert made["metrics"] == report["metrics"] and made["model"] == report["model"]
    assert 0 <= report["metrics"]["coverage"]["mean"] <= 1 and report["metrics"]["mae"]["mean"] < np.ptp(truth)
    with pytest.raises(CheckpointError, match=r"another configuration \(other settings\)"):
        train_demand(file, tmp_path / "run", **{**FAST, "epochs": 3})
    predictor = Predictor.load(tmp_path / "run" / "model.superpose", report["model"]["sha256"])
    data = read_series(file)
    rows = rows_at(data, data.series[0], 50, 6)
    named = [dict(zip(feature_names(data), row, strict=True)) for row in rows.features.tolist()]
    loaded = HybridRegressor.load(tmp_path / "run" / "model.superpose")
    np.testing.assert_allclose(predictor.predict(named), loaded.predict(named), rtol=1e-6)
    assert loaded.n_qubits == 6 and loaded.weight_decay == 1.0
    # the sentence stands below tables whose models are columns, too
    assert " row" not in read_model(tmp_path / "run" / "model.superpose").manifest["evaluation"]["means_over"]


def test_the_forecast_goes_beyond_the_data_and_not_below_zero(tmp_path: Path) -> None:
    weeks(60).assign(quantity=lambda f: (f["quantity"] > 55) * 1.0).to_csv(tmp_path / "x.csv", index=False)
    report = train_demand(tmp_path / "x.csv", tmp_path / "run", variants=["seasonal_naive"], **FAST)
    rows = report["forecast"]["rows"]
    assert [row["period"] for row in rows[:6]] == [f"2026-03-{day:02d}" for day in range(2, 8)]
    assert {row["variant"] for row in rows} == {"hybrid", "seasonal_naive"}
    assert all(0 <= row["low"] <= row["high"] for row in rows)
    assert report["forecast"]["of"] == "The hybrid model's forecast is what the model file answers."


def test_a_forecast_of_several_seeds_says_that_the_model_file_answers_otherwise(tmp_path: Path) -> None:
    weeks(40).to_csv(tmp_path / "x.csv", index=False)
    options = {**FAST, "horizon": 3, "epochs": 1, "seeds": 2}
    report = train_demand(tmp_path / "x.csv", tmp_path / "run", variants=[], **options)
    found = np.array([row["quantity"] for row in report["forecast"]["rows"]])
    own = forecast(tmp_path / "run" / "model.superpose", tmp_path / "x.csv")["quantity"].to_numpy()
    assert not np.allclose(found, own, rtol=1e-5)
    assert "mean over 2 seeds; the model file is of the first" in report["forecast"]["of"]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_report(file: Path, tmp_path: Path) -> None:
    options = {**FAST, "variants": ["ridge"]}
    whole = train_demand(file, tmp_path / "whole", **options)
    program = (
        "import os, signal\n"
        "from superpose.learning.templates.demand import train_demand\n"
        f"train_demand({str(file)!r}, {str(tmp_path / 'run')!r}, "
        f"tell=lambda line: os.kill(os.getpid(), signal.SIGKILL), **{options!r})"
    )
    for n_kept in (1, 2):  # each time it is killed after one forecast more
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=os.environ, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert len(list((tmp_path / "run" / "forecasts").iterdir())) == n_kept
    told: list[str] = []
    resumed = train_demand(file, tmp_path / "run", tell=told.append, **options)
    assert resumed["metrics"] == whole["metrics"] and resumed["model"] == whole["model"]
    assert len(told) == len(list((tmp_path / "whole" / "forecasts").iterdir())) - 2


def test_what_does_not_fit_is_refused_before_training(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetTooSmallError, match="the shortest series has 60") as refused:
        train_demand(file, tmp_path / "r", horizon=20)
    shorter = int(str(refused.value).rpartition("a horizon of at most ")[2])
    with pytest.raises(DatasetTooSmallError, match=f"a horizon of at most {shorter}$"):
        train_demand(file, tmp_path / "r", horizon=shorter + 1)
    data = read_series(file)
    check_length(data, shorter, n_calibration=6, n_test=8)  # what is advised fits, and no more does
    with pytest.raises(DatasetTooSmallError, match=r"take at most 15 that test \(origins\)$"):
        check_length(data, 1, n_calibration=30, n_test=60)
    check_length(data, 1, n_calibration=30, n_test=15)
    for options in ({"origins": 1}, {"variants": ["oracle"]}, {"horizon": 0}):
        with pytest.raises(SpecError):
            train_demand(file, tmp_path / "r", **options)
    with pytest.raises(SpecError, match="built-in series is monthly"):
        train_demand(None, tmp_path / "r", frequency="daily")
    assert not (tmp_path / "r").exists()


def test_the_built_in_series_is_whole_and_says_whence_it_comes() -> None:
    data = builtin_series()
    assert data.series[0].n_periods == 257 and str(data.series[0].periods[-1]) == "2016-05"
    assert "Eurostat" in str(data.source) and "public domain" in str(data.source)
