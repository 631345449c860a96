"""What a run is expected to take: counted as the run itself counts, and in proportion to what is asked for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from superpose.learning.effort import EXPLANATION, REST, EstimatedEffort, Work, rounded
from superpose.learning.templates.demand import read_series
from superpose.learning.templates.demand.estimate import estimated_effort as of_demand
from superpose.learning.templates.demand.feature_rows import all_rows, n_known_rows
from superpose.learning.templates.demand.options import VARIANTS as FORECASTERS
from superpose.learning.templates.demand.series import SeriesSet
from superpose.learning.templates.pneumonia.choices import PRESETS
from superpose.learning.templates.pneumonia.estimate import PictureCounts
from superpose.learning.templates.pneumonia.estimate import estimated_effort as of_pictures
from superpose.learning.templates.pneumonia.options import VARIANTS, all_variants

COUNTS = PictureCounts(n_train=60, n_validation=20, n_test=30, side=28)
PICTURES: dict[str, Any] = {"preset": "chest", "seeds": 2, "epochs": 3, "variants": list(all_variants("chest"))}
DEMAND: dict[str, Any] = {
    "horizon": 4, "origins": 3, "calibration": 2, "seeds": 2, "epochs": 5, "variants": list(FORECASTERS)
}  # fmt: skip


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> SeriesSet:
    """Two daily series, one of them shorter."""
    rows = [
        f"{date(2026, 1, 1) + timedelta(i)},{shop},{40 + i % 7}.5"
        for shop, first in (("north", 0), ("south", 15))
        for i in range(first, 60)
    ]
    path = tmp_path_factory.mktemp("series") / "sales.csv"
    path.write_text("\n".join(["date,series,quantity", *rows]))
    return read_series(path)


def test_an_effort_is_the_sum_of_what_is_done_and_says_who_it_is_for() -> None:
    effort = EstimatedEffort((Work("a", "steps", 4, 0.25), Work("a", "views", 2, 1.0), Work(REST, "runs", 1, 0.5)))
    assert (effort.cpu_s, effort.parts) == (3.5, {"a": 3.0, REST: 0.5})
    assert (effort.n_of("a", "steps"), effort.n_of("b", "steps")) == (4, 0)
    assert effort.to_dict() == {"cpu_s": 3.5, "parts": {"a": 3.0, REST: 0.5}}
    assert [rounded(s) for s in (1234.5, 0.0012345, 0.0)] == [1230.0, 0.00123, 0.0]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("epochs", [None, 1])
def test_every_preset_and_variant_of_pictures_has_an_estimate_above_0(preset: str, epochs: int | None) -> None:
    none = of_pictures(COUNTS, preset=preset, seeds=1, epochs=epochs, variants=[])
    assert set(none.parts) == {"hybrid", EXPLANATION, REST} and min(none.parts.values()) > 0
    before = none.cpu_s
    names = all_variants(preset)
    for n, _ in enumerate(names, 1):
        found = of_pictures(COUNTS, preset=preset, seeds=1, epochs=epochs, variants=names[:n])
        assert set(found.parts) == {*names[:n], "hybrid", EXPLANATION, REST} and min(found.parts.values()) > 0
        assert found.cpu_s >= before
        before = found.cpu_s


def test_members_of_a_network_count_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(members: int) -> EstimatedEffort:
        own = PRESETS["breast"]
        parts = {name: replace(getattr(own, name), members=members) for name in ("hybrid", "strong_cnn", "resnet18")}
        monkeypatch.setitem(PRESETS, "breast", replace(own, **parts))
        return of_pictures(COUNTS, **(PICTURES | {"preset": "breast"}))

    one, three = counted(1), counted(3)
    for name in all_variants("breast"):
        for what in ("pictures trained", "views predicted" if VARIANTS[name].trained == "whole" else "views scored"):
            assert three.n_of(name, what) == 3 * one.n_of(name, what) > 0, (name, what)
    for part, what in ((REST, "features cached"), (EXPLANATION, "views explained")):
        assert three.n_of(part, what) == 3 * one.n_of(part, what) > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_pictures_trained_are_in_proportion_to_epochs_seeds_and_pictures(name: str) -> None:
    preset = VARIANTS[name].presets[0]

    def trained(counts: PictureCounts = COUNTS, **changed: Any) -> tuple[int, float]:
        found = of_pictures(counts, **(PICTURES | {"preset": preset, "variants": [name]} | changed))
        return found.n_of(name, "pictures trained"), found.cpu_s

    n, cpu_s = trained()
    once = 60 * 2 * (len(PRESETS["chest"].heads.penalties) if VARIANTS[name].head == "logistic" else 3)
    assert n == once * PRESETS[preset].hybrid.members
    assert trained(replace(COUNTS, n_train=120))[0] == 2 * n
    assert trained(seeds=1)[0] == n // 2
    assert trained(epochs=30)[0] == (n if VARIANTS[name].head == "logistic" else 10 * n)
    assert trained(seeds=10)[0] == n // 2 * PRESETS["chest"].fewer_seeds.get(name, 10)
    for more in (trained(seeds=3), trained(epochs=4), trained(replace(COUNTS, n_train=61))):
        assert more[1] > cpu_s


def test_larger_pictures_take_longer_by_their_pixels() -> None:
    small, large = (
        next(
            work.each_s
            for work in of_pictures(replace(COUNTS, side=side), **PICTURES).works
            if (work.part, work.what) == ("hybrid", "pictures trained")
        )
        for side in (28, 56)
    )
    assert large == pytest.approx(4 * small)


def test_pictures_trained_are_those_that_a_run_trains(small_set: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from superpose.datasets.picture_sets import read_pictures
    from superpose.learning.templates.pneumonia import train_pneumonia

    told: list[str] = []
    chosen = ["strong_cnn", "frozen"]
    train_pneumonia(small_set, tmp_path / "run", seeds=2, epochs=2, variants=chosen, tell=told.append)
    pictures = read_pictures(small_set)
    counts = PictureCounts(*(len(pictures.parts[part]) for part in ("train", "val", "test")), side=pictures.side)
    found = of_pictures(counts, preset="chest", seeds=2, epochs=2, variants=chosen)
    assert set(found.parts) == {"hybrid", *chosen, EXPLANATION, REST}
    for name in ("hybrid", "strong_cnn"):
        n_epochs = sum(line.startswith(name) and ": epoch " in line for line in told)
        assert found.n_of(name, "pictures trained") == n_epochs * counts.n_train == 4 * 72
    n_heads = sum(line.startswith("frozen") for line in told)
    assert found.n_of("frozen", "pictures trained") == n_heads * 2 * counts.n_train


@pytest.mark.parametrize("after", [0, 4, 20, 55])
@pytest.mark.parametrize("horizon", [1, 4, 14])
def test_known_rows_are_as_many_as_a_run_learns_from(series: SeriesSet, horizon: int, after: int) -> None:
    rows = all_rows(series, horizon)
    assert n_known_rows(series, horizon, after) == int((rows.places < -after).sum())


def test_every_forecaster_has_an_estimate_above_0(series: SeriesSet) -> None:
    known = [name for name in FORECASTERS if name != "exponential_smoothing"]
    none = of_demand(series, **(DEMAND | {"variants": []}))
    assert set(none.parts) == {"hybrid", REST} and none.cpu_s > 0
    for name in known:
        found = of_demand(series, **(DEMAND | {"variants": [name]}))
        assert set(found.parts) == {"hybrid", name, REST} and min(found.parts.values()) > 0
        assert found.cpu_s > none.cpu_s or name == "hybrid"
    pytest.importorskip("statsmodels")
    assert set(of_demand(series, **DEMAND).parts) == {*FORECASTERS, REST}


def test_an_estimate_without_smoothing_where_it_is_not_installed(
    series: SeriesSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superpose.learning.templates.demand.estimate.smoothing_installed", lambda: False)
    assert set(of_demand(series, **DEMAND).parts) == {*FORECASTERS, REST} - {"exponential_smoothing"}


@pytest.mark.parametrize("name", ["classical_twin", "no_entanglement", "frozen"])
def test_rows_trained_are_in_proportion_to_epochs_and_seeds_and_grow_with_origins(series: SeriesSet, name: str) -> None:
    def trained(**changed: Any) -> tuple[int, int]:
        found = of_demand(series, **(DEMAND | changed))
        return found.n_of(name, "rows trained"), found.n_of(name, "trainings")

    n, n_trainings = trained()
    assert n_trainings == 2 * (3 + 2)
    assert n == 2 * 5 * sum(n_known_rows(series, 4, 4 * k) for k in range(1, 6))
    assert trained(epochs=50) == (10 * n, n_trainings)
    assert trained(epochs=None) == (5 * n, n_trainings)  # 25 are the template's own
    assert trained(seeds=6) == (3 * n, 3 * n_trainings)
    assert trained(origins=4)[0] > n and trained(origins=4)[1] == 12


def test_trainings_are_those_that_a_run_makes(series: SeriesSet, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from superpose.learning.templates.demand import train_demand

    told: list[str] = []
    options = {"horizon": 3, "origins": 2, "calibration": 1, "seeds": 2, "epochs": 1, "variants": ["ridge"]}
    train_demand(series, tmp_path / "run", tell=told.append, **options)  # type: ignore[arg-type]  # mixed values
    found = of_demand(series, **options)  # type: ignore[arg-type]
    made = {name: sum(line.startswith(f"{name}, seed") for line in told) for name in ("hybrid", "ridge")}
    assert made == {"hybrid": 8, "ridge": 4}
    assert found.n_of("ridge", "trainings") == 4
    assert found.n_of("hybrid", "trainings") == 8 + 1  # the model file's training has no forecast to tell


def test_explained_pictures_are_no_more_than_a_sample_takes() -> None:
    from superpose.explain.samples import MOST_SAMPLED_ROWS

    few, many = (
        of_pictures(replace(COUNTS, n_validation=n), **PICTURES).n_of(EXPLANATION, "views explained")
        for n in (20, 5000)
    )
    assert (few, many) == (5 * 20, 5 * MOST_SAMPLED_ROWS)


def test_estimating_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "import superpose.learning.templates.pneumonia.estimate, superpose.learning.templates.demand.estimate\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
