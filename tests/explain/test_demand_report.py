"""The page of a demand run: all figures and tables, nothing from elsewhere, the same bytes for the same run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.cli import main
from superpose.explain import demand_report
from superpose.learning import Predictor
from superpose.learning.templates.demand import train_demand

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("torch")
pytestmark = pytest.mark.slow  # a run is trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demand")
    shops = []
    for number, name in enumerate(("<north> & co", "south")):
        dates = pd.date_range("2026-01-01", periods=70, freq="D").strftime("%Y-%m-%d")
        noise = np.random.default_rng(number).normal(0, 1, 70)
        quantity = 50 + 10 * np.sin(2 * np.pi * np.arange(70) / 7) + noise
        shops.append(pd.DataFrame({"date": dates, "quantity": quantity, "series": name}))
    pd.concat(shops).to_csv(place / "sales.csv", index=False)
    train_demand(
        place / "sales.csv", place / "run", horizon=6, origins=3, calibration=2, seeds=1, epochs=2,
        variants=["frozen", "seasonal_naive", "ridge"],
    )  # fmt: skip
    return place / "run"


def test_the_page_shows_forecasts_residuals_coverage_and_tables(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    predictor = Predictor.load(run / "model.superpose")
    page = demand_report(report, predictor).decode()
    assert page == demand_report(report, predictor).decode()
    assert page.count("<figure") == 2 + 2 + 1 + 2 + 1  # series, truth and residuals, coverage, two curves, the circuit
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#|data:)|url\((?!#)|@import", page)
    assert "<north>" not in page and "&lt;north&gt; &amp; co" in page
    for row in report["variants"].values():
        assert row["label"] in page
    for said in (
        "Forecasts and residuals",
        "Intervals and their coverage",
        "Learning curves",
        "Diebold",
        "mean squared",
        "forecast is what the model file answers",
    ):
        assert said in page
    held = []
    for one, series in zip(report["plots"]["forecasts"]["hybrid"], report["plots"]["series"], strict=True):
        inside = (np.array(one["low"]) <= series["truth"]) & (series["truth"] <= np.array(one["high"]))
        held.append(inside.mean())
    assert f"hybrid model {100 * np.mean(held):.1f} % in all" in page
    assert np.mean(held) == pytest.approx(report["metrics"]["coverage"]["mean"])  # of one seed the same


def test_a_document_without_plots_has_a_page_that_says_so(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    page = demand_report({name: value for name, value in report.items() if name != "plots"}).decode()
    assert "keeps no forecasts to draw" in page and "keeps no losses by epoch" in page


def test_the_command_line_writes_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run), "--out", str(tmp_path / "page.html"), "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["size_bytes"] == (tmp_path / "page.html").stat().st_size > 20_000
