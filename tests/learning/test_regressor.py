"""`HybridRegressor`: real data, conventions of scikit-learn, and a model file that is served without torch."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import check_estimator

from superpose.errors import (
    ModelFileCorruptError,
    ModelFormatError,
    ModelPredictsNumbersError,
    NotFittedError,
    SafeguardAbsentError,
    SpecError,
)
from superpose.learning import (
    CheckpointStore,
    HybridClassifier,
    HybridRegressor,
    Predictor,
    Stopped,
    TrainingWatch,
    load_model,
)
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.network import VARIANTS

SMALL: dict[str, Any] = {"n_qubits": 2, "layers": 1, "epochs": 8, "learning_rate": 0.1, "random_state": 0}


@pytest.fixture(scope="module")
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    rows, numbers = load_diabetes(return_X_y=True)
    return rows, numbers


def test_it_comes_near_ridge_on_real_data(diabetes: tuple[np.ndarray, np.ndarray]) -> None:
    rows, numbers = diabetes
    model = HybridRegressor(epochs=40, random_state=0).fit(rows[:330], numbers[:330])
    ridge = Ridge(alpha=0.1).fit(rows[:330], numbers[:330])
    assert model.score(rows[330:], numbers[330:]) > ridge.score(rows[330:], numbers[330:]) - 0.08
    assert model.n_params_ == 10 * 4 + 4 + 24 + 4 + 1


def test_predictions_keep_the_unit_and_the_place_of_the_numbers(diabetes: tuple[np.ndarray, np.ndarray]) -> None:
    rows, numbers = diabetes
    plain = HybridRegressor(**SMALL).fit(rows, numbers).predict(rows)
    moved = HybridRegressor(**SMALL).fit(rows, 1000.0 * numbers + 5e6).predict(rows)
    np.testing.assert_allclose(moved, 1000.0 * plain + 5e6, rtol=1e-4)
    constant = HybridRegressor(**SMALL).fit(rows[:20], np.full(20, 7.0)).predict(rows[:20])
    np.testing.assert_allclose(constant, 7.0, rtol=1e-9)
    for unit in (1e-9, 1e9):  # of joules, say
        found = HybridRegressor(**SMALL).fit(rows[:20], np.full(20, 7.0 * unit)).predict(rows[:20])
        np.testing.assert_allclose(found, constant * unit, rtol=1e-9)


@pytest.mark.parametrize("unit", [2.0**-43, 2.0**-700, 2.0**700])
def test_the_unit_of_the_numbers_does_not_matter(unit: float, diabetes: tuple[np.ndarray, np.ndarray]) -> None:
    rows, numbers = diabetes
    plain = HybridRegressor(**{**SMALL, "epochs": 2}).fit(rows, numbers)
    other = HybridRegressor(**{**SMALL, "epochs": 2}).fit(rows, numbers * unit)
    np.testing.assert_array_equal(other.predict(rows), plain.predict(rows) * unit)


def test_numbers_too_large_to_be_scaled_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        HybridRegressor(**SMALL).fit(np.arange(8.0)[:, None], [1.7e308, -1.7e308] * 4)


@pytest.mark.parametrize(("loss", "variant"), [("absolute", "no_entanglement"), ("squared", "frozen")])
def test_a_loaded_regressor_knows_how_it_was_trained(
    loss: str, variant: str, diabetes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    own = {"loss": loss, "variant": variant, "validation_rows": "last", "scaling": "robust"}
    model = HybridRegressor(**{**SMALL, "epochs": 2, **own}).fit(*diabetes)
    model.save(tmp_path / "model")
    assert HybridRegressor.load(tmp_path / "model").get_params().items() >= own.items()


def test_the_absolute_loss_leads_to_medians() -> None:
    rng = np.random.default_rng(0)
    rows, numbers = rng.normal(size=(400, 2)), rng.exponential(1.0, 400)  # median 0.69, mean 1, nothing to learn
    options = {**SMALL, "epochs": 40, "batch_size": 100, "validation_fraction": 0.0}
    means = HybridRegressor(**options).fit(rows, numbers).predict(rows).mean()
    medians = HybridRegressor(**options, loss="absolute").fit(rows, numbers).predict(rows).mean()
    assert abs(means - numbers.mean()) < 0.15 and medians < means - 0.1


def test_the_last_rows_decide_when_to_stop_where_rows_are_in_order() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 2))
    numbers = np.where(np.arange(100) < 80, 0.0, 1e6) + rows[:, 0]
    model = HybridRegressor(**SMALL, validation_fraction=0.2, validation_rows="last").fit(rows, numbers)
    assert abs(model.centre_) < 1.0  # nothing of the last rows went into the scale, or the network
    assert HybridRegressor(**SMALL, validation_fraction=0.2).fit(rows, numbers).centre_ > 1e4


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_control_has_as_many_numbers_and_learns(
    variant: str, diabetes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    rows, numbers = diabetes
    model = HybridRegressor(**SMALL, variant=variant).fit(rows, numbers)
    assert model.n_params_ == HybridRegressor(**SMALL).fit(rows[:9], numbers[:9]).n_params_
    assert model.score(rows, numbers) > 0.2
    if variant == "classical_twin":
        with pytest.raises(TypeError, match="QuantumLayer"):
            model.save(tmp_path / "twin.superpose")
    if variant == "frozen":
        again = HybridRegressor(**{**SMALL, "epochs": 1}, variant=variant).fit(rows, numbers)
        assert model.network_.block.weights.tolist() == again.network_.block.weights.tolist()


def test_a_model_file_gives_the_same_numbers_without_torch(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"shop": rng.choice(["north", "south"], 60), "price": rng.normal(size=60)})
    frame.loc[3, "price"] = np.nan
    numbers = np.where(frame["shop"] == "north", 10.0, -10.0)
    model = HybridRegressor(**{**SMALL, "encoding": "reuploading"}).fit(frame, numbers)
    path = tmp_path / "demand.superpose"
    digest = model.save(path)
    predictor = Predictor.load(path, digest)
    rows = [{"price": 0.3, "shop": "north"}, {"price": None, "shop": "west"}]
    np.testing.assert_allclose(predictor.predict(rows), model.predict(rows), rtol=1e-5)
    assert predictor.predicts_numbers and predictor.classes == ()
    again = HybridRegressor.load(path)
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.get_params()["encoding"] == "reuploading"
    program = (
        "import sys; from superpose.learning import Predictor; "
        f"print(Predictor.load({str(path)!r}).predict([{{'price': 0.3, 'shop': 'north'}}])[0], 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert float(said[0]) == pytest.approx(model.predict(rows)[0], rel=1e-5) and said[1] == "False"
    with pytest.raises(ModelPredictsNumbersError, match="predicts a number, 'y'"):
        predictor.predict_proba(rows)
    with pytest.raises(ModelFormatError, match="no HybridClassifier"):
        load_model(path)
    with pytest.raises(ModelFileCorruptError):
        Predictor.load(path.read_bytes()[:-1])
    HybridClassifier(**SMALL).fit(frame, numbers > 0).save(path)
    with pytest.raises(ModelFormatError, match="no HybridRegressor"):
        HybridRegressor.load(path)


def bent(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two columns, and numbers of them with noise of one."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 2))
    return rows, np.sin(rows[:, 0]) * 3 + rows[:, 1] + random.normal(size=n)


@pytest.mark.parametrize("coverage", [0.6, 0.9])
def test_intervals_hold_as_many_new_numbers_as_promised(coverage: float) -> None:
    model = HybridRegressor(**SMALL, conformal=coverage, validation_fraction=0.4).fit(*bent(1, 1000))
    rows, numbers = bent(2, 4000)
    ends = model.predict_intervals(rows)
    assert ends.shape == (4000, 2) and ends.dtype == np.float64
    n_held = int(((ends[:, 0] <= numbers) & (numbers <= ends[:, 1])).sum())
    # Of 400 residuals ranks l and h bound the interval: beta-binomial, apart from what stopping saw of those rows.
    rank_low, rank_high = np.floor(401 * (1 - coverage) / 2 + 1e-9), np.ceil(401 * (1 + coverage) / 2 - 1e-9)
    exact = betabinom(4000, rank_high - rank_low, 401 - rank_high + rank_low)
    assert exact.ppf(1e-6) <= n_held <= exact.isf(1e-6)


def test_an_interval_is_of_the_held_out_rows_and_goes_into_the_file(tmp_path: Path) -> None:
    rows, numbers = bent(3, 200)
    model = HybridRegressor(**SMALL, conformal=0.8, validation_rows="last", validation_fraction=0.2)
    plain = clone(model).set_params(conformal=None).fit(rows, numbers)
    model.fit(rows, numbers)
    held = numbers[160:] - plain.predict(rows[160:])
    assert model.safeguards_.interval == NumberInterval.from_residuals(0.8, held)
    np.testing.assert_array_equal(model.predict(rows), plain.predict(rows))
    path = tmp_path / "load.superpose"
    model.save(path)
    ends = model.predict_intervals(rows)
    again = HybridRegressor.load(path)
    np.testing.assert_array_equal(again.predict_intervals(rows), ends)
    named = [{"x0": x, "x1": y} for x, y in rows]
    np.testing.assert_allclose(Predictor.load(path).predict_intervals(named), ends, rtol=1e-4, atol=1e-4)
    assert again.get_params()["conformal"] == 0.8 and clone(model).get_params() == model.get_params()
    plain.save(path)
    for without in (plain, HybridRegressor.load(path)):
        with pytest.raises(SafeguardAbsentError, match=r"no intervals\. Fit it with a coverage"):
            without.predict_intervals(rows)
    with pytest.raises(NotFittedError):
        clone(model).predict_intervals(rows)


def test_a_coverage_of_single_precision_is_kept_in_the_file(tmp_path: Path) -> None:
    model = HybridRegressor(**SMALL, conformal=np.float32(0.75)).fit(*bent(1, 200))  # as a grid of values may give it
    model.save(tmp_path / "load.superpose")
    assert HybridRegressor.load(tmp_path / "load.superpose").get_params()["conformal"] == 0.75


@pytest.mark.parametrize(
    ("conformal", "n_rows", "said"),
    [
        (0.95, 200, "at least 39 validation rows for a coverage of 0.95, .* leaves 30"),
        (0.8, 40, "at least 9 .* leaves 6"),
        (0.2, 200, "from 0.5 to 0.999, or None, got 0.2"),
        (1.0, 200, "got 1.0"),
        ("much", 200, "got 'much'"),
        (True, 200, "got True"),
        (float("nan"), 200, "got nan"),
    ],
)
def test_intervals_that_cannot_be_are_refused_before_training(conformal: Any, n_rows: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        HybridRegressor(**SMALL, conformal=conformal).fit(*bent(1, n_rows))


def test_stopped_training_goes_on_to_the_same_numbers(diabetes: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rows, numbers = diabetes
    whole = HybridRegressor(**SMALL).fit(rows, numbers)
    store, seen = CheckpointStore(tmp_path, {"run": 1}), []
    with pytest.raises(Stopped):
        HybridRegressor(**SMALL).fit(
            rows, numbers, watch=TrainingWatch(on_epoch=seen.append, should_stop=lambda: len(seen) == 3, store=store)
        )
    resumed = HybridRegressor(**SMALL).fit(rows, numbers, watch=TrainingWatch(store=store))
    np.testing.assert_array_equal(resumed.predict(rows), whole.predict(rows))
    assert resumed.history_ == whole.history_
    assert all(report.validation_accuracy is None for report in whole.history_)


def test_wrong_words_and_wrong_numbers_are_refused(diabetes: tuple[np.ndarray, np.ndarray]) -> None:
    rows, numbers = diabetes
    for name in ("loss", "variant", "validation_rows"):
        with pytest.raises(SpecError, match=name):
            HybridRegressor(**{name: "other"}).fit(rows, numbers)
    with pytest.raises(ValueError, match="NaN"):
        HybridRegressor().fit(pd.DataFrame({"a": ["x", "y"]}), [1.0, float("nan")])
    with pytest.raises(NotFittedError, match="HybridRegressor is not fitted"):
        HybridRegressor().predict(rows)
    assert clone(HybridRegressor(loss="absolute")).loss == "absolute"


def test_on_a_backend_shots_give_numbers_near_the_exact_ones(diabetes: tuple[np.ndarray, np.ndarray]) -> None:
    rows, numbers = diabetes
    model = HybridRegressor(**SMALL).fit(rows[:60], numbers[:60])
    measured = model.predict(rows[:20], backend="local", shots=20_000)
    np.testing.assert_allclose(measured, model.predict(rows[:20]), atol=0.15 * model.scale_)


def test_scikit_learns_own_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = HybridRegressor(n_qubits=2, layers=1, epochs=15, learning_rate=0.1, random_state=0)
        results = check_estimator(small, on_fail=None, on_skip=None)
    failed = {str(r["check_name"]): repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert failed == {}
    assert {str(r["check_name"]) for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}
    assert sum(r["status"] == "passed" for r in results) > 45
