"""Forecasts by a person with a model file: features of coming periods, quantities; one run in a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.errors import (
    CheckpointError,
    DatasetFormatError,
    DatasetTooSmallError,
    FeatureMismatchError,
    SpecError,
)
from superpose.learning import HybridRegressor, ModelFacts, Predictor
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.templates.demand import features, forecast, read_series, train_demand
from superpose.learning.templates.demand.feature_rows import all_rows, feature_names

pytest.importorskip("torch")


def sales(path: Path, n: int = 60, future: int = 0, **columns: Any) -> Path:
    """Two shops' daily demand with a week's pattern."""
    shops = []
    for name, level in (("north", 50.0), ("south", 8.0)):
        dates = pd.date_range("2026-01-01", periods=n, freq="D").strftime("%Y-%m-%d")
        quantity = level * (1 + 0.2 * np.sin(2 * np.pi * np.arange(n) / 7)) + np.arange(n) % 3
        quantity[n - future :] = np.nan
        shops.append(pd.DataFrame({"date": dates, "quantity": quantity, "series": name, **columns}))
    pd.concat(shops).to_csv(path, index=False)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return sales(tmp_path / "sales.csv")


@pytest.fixture
def model(file: Path, tmp_path: Path) -> Path:
    """A demand model of the file's series, as `train_demand` leaves one."""
    data = read_series(file)
    rows = all_rows(data, 5)
    frame = pd.DataFrame(rows.features, columns=list(feature_names(data)))
    fitted = HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(frame, rows.targets)
    told = ModelFacts(data={"frequency": "daily"}, provenance={"template": "demand", "horizon": 5})
    fitted.save(tmp_path / "m.superpose", told, Safeguards(interval=NumberInterval(0.8, -0.1, 0.2, 30)))
    return tmp_path / "m.superpose"


def test_features_are_those_of_training_and_know_no_future(file: Path, tmp_path: Path) -> None:
    data = read_series(file)
    trained = all_rows(data, 5)
    found = features(file, at="2026-02-10", horizon=5)
    assert list(found.rows.columns) == list(feature_names(data)) and len(found.rows) == 10
    assert list(found.about["series"]) == ["north"] * 5 + ["south"] * 5
    assert found.about["period"][0] == "2026-02-11" and found.about["period"][9] == "2026-02-15"
    same = [(trained.features == row).all(axis=1).any() for row in found.rows.to_numpy()]
    assert all(same)  # each is a training row of the same origin
    changed = pd.read_csv(file)
    changed.loc[changed["date"] > "2026-02-10", "quantity"] = 1e6
    changed.to_csv(tmp_path / "changed.csv", index=False)
    assert features(tmp_path / "changed.csv", at="2026-02-10", horizon=5).rows.equals(found.rows)
    assert features(file).about["period"][0] == "2026-03-02" and len(features(file).rows) == 28


def test_quantities_undo_the_units(file: Path) -> None:
    ahead = features(file, at="2026-02-10", horizon=5)
    known = read_series(file).series[0].quantities
    assert np.allclose(ahead.quantities(np.zeros(10))[:5], known[34:39])  # what came a week before each
    level = known[34:41].mean()
    assert np.allclose(ahead.quantities(np.full(10, 0.1))[:5], known[34:39] + 0.1 * level)
    assert (ahead.quantities(np.full(10, -50.0)) == 0).all()
    assert ahead.quantities(np.zeros((10, 2))).shape == (10, 2)
    with pytest.raises(ValueError, match="10 numbers are needed"):
        ahead.quantities([1.0])


def test_a_model_file_forecasts_the_next_periods(file: Path, model: Path) -> None:
    found = forecast(model, file)
    assert list(found.columns) == ["series", "period", "step", "quantity", "low", "high"] and len(found) == 10
    predictor = Predictor.load(model)
    ahead = features(file, horizon=5)
    assert np.allclose(found["quantity"], ahead.quantities(predictor.predict(ahead.rows)))
    assert np.allclose(found["high"] - found["quantity"], 0.2 * ahead.about["level"])
    assert forecast(predictor, file, at="2026-02-10")["period"][0] == "2026-02-11"


def test_what_cannot_be_forecast_says_why(file: Path, model: Path, tmp_path: Path) -> None:
    for at, error, said in (
        ("2027-01-01", DatasetFormatError, "no quantity for 2027-01-01"),
        ("2026-01-05", DatasetTooSmallError, "5 periods up to 2026-01-05; features need 14"),
        ("soon", SpecError, "must be a date"),
        ("", SpecError, "must be a date"),
        ("2026-02", SpecError, "must be one period of daily series, as 2026-11-27 is, got '2026-02'"),
    ):
        with pytest.raises(error, match=said):
            features(file, at=at)
    with pytest.raises(SpecError, match="1 to 366"):
        features(file, horizon=0)
    priced = sales(tmp_path / "priced.csv", future=3, price=2.0)
    with pytest.raises(DatasetFormatError, match="covariates for 3 of the 5 periods"):
        features(priced, horizon=5)
    assert len(features(priced, horizon=3).rows) == 6
    with pytest.raises(FeatureMismatchError, match="price"):
        forecast(model, priced, at="2026-02-10")
    rows = np.random.default_rng(0).normal(size=(20, 2))
    HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, rows[:, 0]).save(tmp_path / "o.superpose")
    with pytest.raises(FeatureMismatchError, match="none that train_demand"):
        forecast(tmp_path / "o.superpose", file)
    monthly = pd.DataFrame({"date": [f"20{y}-{m:02}" for y in range(20, 24) for m in range(1, 13)], "quantity": 1.0})
    monthly.to_csv(tmp_path / "monthly.csv", index=False)
    with pytest.raises(FeatureMismatchError, match="daily series, these are monthly"):
        forecast(model, read_series(tmp_path / "monthly.csv"))


def test_a_directory_holds_one_run_at_a_time(file: Path, tmp_path: Path, held_elsewhere: Any) -> None:
    place = tmp_path / "run"
    with (
        held_elsewhere(place) as pid,
        pytest.raises(CheckpointError, match=rf"another run is under way in run \(process {pid}\)"),
    ):
        train_demand(file, place, horizon=6, origins=2, calibration=1)
    with pytest.raises(DatasetTooSmallError):  # the lock went with the process that held it
        train_demand(file, place, horizon=6, origins=40, calibration=1)
