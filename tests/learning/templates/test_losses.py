"""Losses by epoch of the chest X-ray template: kept over a stop, taken over, and drawn in the report."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from superpose.datasets.picture_sets import read_pictures
from superpose.errors import CheckpointError
from superpose.explain import study_report
from superpose.learning.checkpoint import Stopped, read_sealed_json, write_sealed_json
from superpose.learning.plot_data import MOST_POINTS, losses_of_seeds
from superpose.learning.templates.pneumonia import PRESETS, train_pneumonia
from superpose.learning.templates.pneumonia.checkpoints import losses_in
from superpose.learning.templates.pneumonia.fitting import build, fit
from superpose.learning.templates.pneumonia.run import Run
from superpose.learning.templates.watching import Watch

WHOLE = ("hybrid", "strong_cnn")


class Killed(Exception):
    pass


def trained(path: Path, told: list[float], stop_after: int | None = None) -> Any:
    """A small network, its training killed after some epochs; what it tells of losses goes to ``told``."""
    random = np.random.default_rng(0)
    pixels, labels = random.random((40, 144), np.float32), np.arange(40) % 2
    settings = replace(PRESETS["chest"].hybrid, epochs=4, batch_size=16, width=4)

    def after(epoch: int, loss: float) -> None:
        told.append(loss)
        if epoch == stop_after:
            raise Killed

    return fit(
        build(settings, "hybrid", 12, 1), pixels, labels, settings, 1, checkpoint=path, after_epoch=after
    ).state_dict()


def without_losses(path: Path, **more: Any) -> None:
    """Give a checkpoint the form that it had before losses were kept."""
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["progress"])
    said.pop("losses")
    save_file(load_file(path), path, metadata={"progress": json.dumps({**said, **more})})


def test_a_training_that_was_killed_has_the_losses_of_one_that_was_not(tmp_path: Path) -> None:
    whole: list[float] = []
    trained(tmp_path / "whole", whole)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", [], stop_after=2)
    assert losses_in(tmp_path / "killed") == tuple(whole[:2])
    trained(tmp_path / "killed", [])
    assert losses_in(tmp_path / "killed") == losses_in(tmp_path / "whole") == tuple(whole)


def test_a_checkpoint_that_kept_no_losses_is_gone_on_from(tmp_path: Path) -> None:
    path, whole = tmp_path / "older", list[float]()
    expected = trained(tmp_path / "whole", whole)
    with pytest.raises(Killed):
        trained(path, [], stop_after=2)
    without_losses(path)
    found = trained(path, [])
    assert all(np.array_equal(expected[name], value) for name, value in found.items())
    assert losses_in(path) == (None, None, *whole[2:])


@pytest.mark.parametrize("losses", [[0.5], 3, None])
def test_a_checkpoint_with_other_losses_than_epochs_is_refused(tmp_path: Path, losses: Any) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Killed):
        trained(path, [], stop_after=2)
    without_losses(path, losses=losses)
    with pytest.raises(CheckpointError, match=r"Checkpoint run\.checkpoint does not fit .* Remove it to begin anew"):
        trained(path, [])
    with pytest.raises(CheckpointError, match=r"Checkpoint run\.checkpoint cannot be read: .* Remove it to begin anew"):
        losses_in(path)


def test_members_of_a_run_that_was_stopped_have_the_losses_of_one_that_was_not(small_set: Path, tmp_path: Path) -> None:
    preset = PRESETS["chest"].for_epochs(2)
    settings = replace(preset, hybrid=replace(preset.hybrid, members=2))
    seen: list[float] = []

    def begun(name: str, watch: Watch = Watch()) -> Run:  # noqa: B008  # frozen
        return Run(read_pictures(small_set), settings, 1, (), tmp_path / name, tell=lambda _: None, watch=watch)

    with pytest.raises(Stopped, match="network 2 of 2: epoch 1 of 2"):
        begun("stopped", Watch(lambda stage, fraction: seen.append(fraction), lambda: len(seen) == 3)).fitted()
    (stopped,), (whole,) = begun("stopped").fitted(), begun("whole").fitted()
    assert whole.losses is not None and [len(member) for member in whole.losses] == [2, 2]
    assert list(map(list, stopped.losses or [])) == list(map(list, whole.losses))
    (read,) = begun("whole").fitted()
    assert read.losses == list(map(list, whole.losses))


@pytest.fixture(scope="module")
def run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Two seeds, three epochs, two variants that are trained whole and a head."""
    place = tmp_path_factory.mktemp("run")
    return train_pneumonia(small_set, place, seeds=2, epochs=3, variants=["strong_cnn", "logistic_regression"]), place


def kept(place: Path, name: str, seed: int) -> dict[str, Any]:
    found = read_sealed_json(place / f"{name}-{seed}.json")
    assert found is not None
    return found


def page_of(report: dict[str, Any]) -> str:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    return html.unescape(study_report(report).decode())


def test_the_report_has_a_curve_of_each_variant_that_is_trained_whole(run: tuple[dict[str, Any], Path]) -> None:
    report, place = run
    curves = report["plots"]["learning_curves"]
    assert set(curves) == set(WHOLE) and "losses" not in kept(place, "logistic_regression", 0)
    page = page_of(report)
    for name in WHOLE:
        losses = np.array([kept(place, name, seed)["losses"] for seed in (0, 1)])
        assert losses.shape == (2, 1, 3) and curves[name]["epochs"] == [1, 2, 3]
        assert np.array(curves[name]["loss"]) == pytest.approx(losses, rel=1e-5)
        first, last = losses.mean(axis=(0, 1))[[0, -1]]
        assert f"training pictures from {first:.3g} in epoch 1 to {last:.3g} in epoch 3" in page
        assert f"Learning curve of the {report['variants'][name]['label']}, mean over 2 seeds" in page
    assert page.count("all 2 seeds") >= 2 and "kept no losses" not in page
    assert "UTC, before the first look at the test pictures." in page
    earlier = {**report["test_openings"][0], "at": "2026-01-01T00:00:00+00:00"}
    again = page_of({**report, "test_openings": [earlier, *report["test_openings"]]})
    assert "UTC, after 1 look(s) of an attempt whose files could not be used, and before all others." in again


def test_networks_taken_over_keep_their_losses_where_there_are_any(
    run: tuple[dict[str, Any], Path], small_set: Path, tmp_path: Path
) -> None:
    first, place = run
    older = tmp_path / "older"  # as a release that kept no losses left it, but for one network
    older.mkdir()
    for path in place.iterdir():
        (older / path.name).write_bytes(path.read_bytes())
    for name, seed in (("hybrid", 0), ("strong_cnn", 0), ("strong_cnn", 1)):
        facts = kept(place, name, seed)
        facts.pop("losses")
        write_sealed_json(older / f"{name}-{seed}.json", facts)
    taken = {
        which: train_pneumonia(small_set, tmp_path / "new" / which, seeds=2, epochs=3, variants=WHOLE, reuse=[source])
        for which, source in (("all", place), ("some", older))
    }
    assert taken["all"]["plots"]["learning_curves"] == first["plots"]["learning_curves"]
    known = first["plots"]["learning_curves"]["hybrid"]
    assert taken["some"]["plots"]["learning_curves"] == {"hybrid": {**known, "loss": [None, known["loss"][1]]}}
    page = page_of(taken["some"])
    assert "one seed; not known of 1 more seed(s)." in page
    assert f"Not known of: {first['variants']['strong_cnn']['label']}; the runs that trained them kept no" in page
    nothing = {**first, "plots": {k: v for k, v in first["plots"].items() if k != "learning_curves"}}
    assert "Left out: the runs that trained these networks kept no losses by epoch" in page_of(nothing)


def test_an_epoch_that_is_not_known_is_a_gap(run: tuple[dict[str, Any], Path]) -> None:
    report = json.loads(json.dumps(run[0]))
    curves = report["plots"]["learning_curves"]["hybrid"]
    curves["loss"][0] = [[None, 0.5, 0.25], [None, 0.7, 0.35]]
    curves["loss"][1] = [[0.9, 0.4, 0.3], [0.9, 0.2, 0.1]]
    page = page_of(report)
    assert "from 0.45 in epoch 2 to 0.25 in epoch 3" in page
    assert "1 epoch(s) whose loss is not known of every seed, or is no finite number, left out" in page
    assert "a seed counts by the mean of its 2 networks" in page


def test_long_curves_are_thinned_and_unknown_seeds_stay_in_their_places() -> None:
    long = [[float(number) for number in range(1000)]]
    found = losses_of_seeds([None, long, [[None] * 1000]])
    assert found is not None
    assert len(found["epochs"]) <= MOST_POINTS and (found["epochs"][0], found["epochs"][-1]) == (1, 1000)
    assert found["loss"] == [None, [[epoch - 1.0 for epoch in found["epochs"]]], None]
    assert losses_of_seeds([None, None]) is None and losses_of_seeds([[[None, 1.0], [1.0, None]]]) is None
