"""Demand series in registered tables, and runs that are watched."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import read_table
from superpose.errors import DatasetFormatError, DatasetTargetError, SpecError
from superpose.learning.checkpoint import Stopped
from superpose.learning.model_file import read_model
from superpose.learning.templates.demand import read_series, series_of_table, train_demand
from superpose.learning.templates.watching import Watch

FAST: dict[str, Any] = {"horizon": 3, "origins": 2, "calibration": 1, "seeds": 1, "epochs": 1, "variants": ["ridge"]}


def sales(**columns: Any) -> pd.DataFrame:
    """Two shops' daily demand, the last three days only planned."""
    dates = pd.date_range("2026-01-01", periods=45, freq="D").strftime("%Y-%m-%d")
    quantity = 50 + 10 * np.sin(2 * np.pi * np.arange(45) / 7) + np.arange(45) % 5
    one = pd.DataFrame({"date": dates, "quantity": quantity, "price": np.arange(45) % 3 / 7})
    one.loc[42:, "quantity"] = np.nan
    return pd.concat([one.assign(series=shop, **columns) for shop in (1, 2)], ignore_index=True)


def table_of(frame: pd.DataFrame, target: str = "quantity", kind: Any = "number") -> Any:
    content = frame.to_csv(index=False).encode()
    return read_table(content, format="csv", name="sales", target=target, target_kind=kind)


def test_a_table_gives_the_series_of_its_file_whatever_its_target_is_called(tmp_path: Path) -> None:
    sales().to_csv(tmp_path / "sales.csv", index=False)
    file = read_series(tmp_path / "sales.csv")
    tables = [table_of(sales()), table_of(sales().rename(columns={"quantity": "sold"}), "sold")]
    for table in tables:
        found = series_of_table(table)
        assert (found.frequency, found.covariates, found.n_future) == ("daily", ("price",), 3)
        assert (found.name, found.digest) == ("sales", table.digest)
        for one, other in zip(found.series, file.series, strict=True):
            assert one.name == other.name and one.periods.equals(other.periods)
            np.testing.assert_allclose(one.quantities, other.quantities, rtol=1e-15)  # pandas rounds the last digit
            np.testing.assert_allclose(one.covariates, other.covariates, rtol=1e-15)
    assert series_of_table(tables[0].of_domain("medical")).domain == "medical"


@pytest.mark.parametrize(
    ("frame", "options", "error", "said"),
    [
        (sales().rename(columns={"date": "day"}), {}, DatasetFormatError, "needs a column date beside its target"),
        (sales(sold=1.0), {"target": "sold"}, DatasetFormatError, "none but the target may be called quantity"),
        (sales().fillna(1), {"kind": "class"}, DatasetTargetError, "holds classes; demand is learnt from numbers"),
        (sales(weather="fine"), {}, DatasetFormatError, "row 2: weather must be a finite number, got 'fine'"),
        (sales(price=[np.nan, *[1.0] * 44]), {}, DatasetFormatError, "row 2: price must be a finite number, got ''"),
    ],
)
def test_tables_without_series_say_what_they_lack(
    frame: pd.DataFrame, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        series_of_table(table_of(frame, **options))


def test_a_run_stopped_after_each_training_comes_to_the_same_model(tmp_path: Path) -> None:
    data = series_of_table(table_of(sales()).of_domain("medical"))
    whole = train_demand(data, tmp_path / "whole", **FAST)
    seen: list[tuple[str, float]] = []
    n_stops = 0
    while True:
        n_before = len(seen)
        watch = Watch(lambda *told: seen.append(told), lambda: len(seen) > n_before + n_stops)  # noqa: B023
        try:
            resumed = train_demand(data, tmp_path / "run", watch=watch, **FAST)
            break
        except Stopped as stopped:
            assert seen[-1][0] in str(stopped)
            n_stops += 1
    assert n_stops >= 3 and resumed["model"] == whole["model"] and resumed["metrics"] == whole["metrics"]
    assert seen[0] == ("hybrid seed 0: origin 1 of 3", 1 / 8) and seen[-1] == ("done", 1.0)
    last = [fraction for _, fraction in seen[n_before:]]
    assert last == sorted(last) and last[-2] < 1.0
    manifest = read_model(tmp_path / "run" / "model.superpose").manifest
    assert manifest["data"]["digest"] == data.digest
    assert manifest["provenance"]["spec"]["card"]["domain"] == "medical"
    assert manifest["provenance"]["configuration"] == resumed["configuration"]
    assert set(manifest["provenance"]["versions"]) == {"superpose", "torch", "numpy"}
    with pytest.raises(SpecError, match="these series are daily"):
        train_demand(data, tmp_path / "other", frequency="weekly")


def test_a_run_stopped_within_its_trainings_goes_on_from_the_epoch_to_the_same_model(tmp_path: Path) -> None:
    data = series_of_table(table_of(sales()))
    options = {**FAST, "epochs": 5}
    whole = train_demand(data, tmp_path / "whole", **options)
    stopped: list[str] = []
    while True:
        asked: list[None] = []

        def should_stop() -> bool:
            asked.append(None)  # noqa: B023
            return len(asked) == len(stopped) + 2  # noqa: B023  # later each time, and so past all that is kept

        try:
            resumed = train_demand(data, tmp_path / "run", watch=Watch(should_stop=should_stop), **options)
            break
        except Stopped as one:
            stopped.append(str(one))
    assert len([said for said in stopped if "in epoch" in said]) >= 4, stopped
    assert resumed["model"] == whole["model"] and resumed["metrics"] == whole["metrics"]
    assert not list((tmp_path / "run" / "training").rglob("*.json")), "no checkpoint is left behind"


@pytest.mark.slow
def test_what_a_server_needs_loads_no_torch() -> None:
    program = (
        "import sys\n"
        "from superpose.learning.templates.demand import VARIANTS, series_of_table\n"
        "from superpose.learning.templates.demand.options import check_length, check_options\n"
        "from superpose.learning.templates.demand import features, forecast\n"
        "assert callable(features) and callable(forecast)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'sklearn', 'statsmodels'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", io.StringIO(done.stderr).read()
