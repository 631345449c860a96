"""The chest X-ray template from a file to report and model, killed and resumed, on small pictures and on real ones."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superpose.datasets.picture_sets import Pictures, PictureSet, checked_set, read_pictures
from superpose.errors import CheckpointError, DatasetFormatError, FeatureMismatchError, SpecError
from superpose.explain import diff_versions, model_card
from superpose.learning import Predictor, read_model
from superpose.learning.calibration.asking import Asked
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.templates.pneumonia import PRESETS, train_pneumonia
from superpose.learning.templates.pneumonia.augmentation import augmented
from superpose.learning.templates.pneumonia.fitting import build, fit
from superpose.learning.templates.pneumonia.networks import DressedHead, ResNet18Features, dressed_block
from superpose.learning.templates.pneumonia.options import default_variants
from superpose.learning.templates.pneumonia.reuse import OtherRun
from superpose.learning.templates.pneumonia.run import Run
from superpose.learning.templates.pneumonia.safeguards import safeguards_of
from superpose.learning.templates.pneumonia.settings import Augmentation, TemplateSettings
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions

X_RAYS = Path(__file__).resolve().parents[4] / "shared" / "data" / "health" / "pneumoniamnist" / "pneumoniamnist.npz"
MOST = list(default_variants("chest"))
needs_x_rays = pytest.mark.skipif(not X_RAYS.is_file(), reason="the shared pneumonia images are not on this machine")


def by_hand(angles: np.ndarray, weights: np.ndarray) -> list[float]:
    """<Z> of the dressed circuit of Mari et al., by matrices of 16 x 16."""

    def on(qubit: int, gate: np.ndarray) -> np.ndarray:
        found = np.eye(1)
        for place in range(4):
            found = np.kron(found, gate if place == qubit else np.eye(2))
        return found

    def turn(angle: float) -> np.ndarray:
        return np.array([[np.cos(angle / 2), -np.sin(angle / 2)], [np.sin(angle / 2), np.cos(angle / 2)]])

    def cx(control: int, target: int) -> np.ndarray:
        return on(control, np.diag([1, 0])) + on(control, np.diag([0, 1])) @ on(target, np.array([[0, 1], [1, 0]]))

    state = np.eye(16)[0]
    for qubit in range(4):
        state = on(qubit, turn(angles[qubit])) @ on(qubit, np.array([[1, 1], [1, -1]]) / np.sqrt(2)) @ state
    for layer in weights.reshape(6, 4):
        for pair in ((0, 1), (2, 3), (1, 2)):
            state = cx(*pair) @ state
        for qubit in range(4):
            state = on(qubit, turn(layer[qubit])) @ state
    return [float(state @ on(qubit, np.diag([1, -1])) @ state) for qubit in range(4)]


def test_the_circuit_is_the_dressed_one() -> None:
    random = np.random.default_rng(3)
    layer = QuantumLayer.from_block(dressed_block(), dtype=torch.float64, seed=1)
    angles = random.uniform(-1.5, 1.5, 4)
    expected = by_hand(angles, layer.weights.detach().numpy())
    assert layer(torch.from_numpy(angles)[None])[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_the_twin_has_as_many_numbers_and_frozen_weights_stay() -> None:
    counts = {
        kind: sum(p.numel() for p in DressedHead(8, kind, 0).parameters() if p.requires_grad)
        for kind in ("hybrid", "twin", "unentangled", "frozen")
    }
    assert counts["hybrid"] == counts["twin"] == counts["unentangled"] == counts["frozen"] + 24


def test_augmentation_is_repeatable_and_changes_nothing_at_zero() -> None:
    images = torch.rand(6, 1, 12, 12)
    still = Augmentation(degrees=0, shift=0, zoom=0, brightness=0, contrast=0, noise=0)
    assert torch.allclose(augmented(images, still, torch.Generator()), images, atol=1e-5)
    strong = replace(Augmentation(), patch=0.5, flip=True)
    first, second = (augmented(images, strong, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second) and not torch.allclose(first, images, atol=0.05)
    mirrored = augmented(images.repeat(20, 1, 1, 1), replace(still, flip=True), torch.Generator().manual_seed(0))
    flipped = [
        torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(mirrored, images.repeat(20, 1, 1, 1), strict=True)
    ]
    assert 30 < sum(flipped) < 90


def test_training_goes_on_from_a_checkpoint_to_the_same_network(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels, labels = random.random((40, 144), np.float32), np.arange(40) % 2
    settings = replace(PRESETS["chest"].hybrid, epochs=4, batch_size=16, width=4)

    class Killed(Exception):
        pass

    def stop(epoch: int, loss: float) -> None:
        if epoch == 2:
            raise Killed

    path, told = tmp_path / "run.checkpoint", []
    with pytest.raises(Killed):
        fit(build(settings, "hybrid", 12, 1), pixels, labels, settings, 1, checkpoint=path, after_epoch=stop)
    resumed = fit(
        build(settings, "hybrid", 12, 1), pixels, labels, settings, 1, checkpoint=path,
        after_epoch=lambda epoch, loss: told.append(epoch),
    )  # fmt: skip
    whole = fit(build(settings, "hybrid", 12, 1), pixels, labels, settings, 1)
    assert told == [3, 4]
    assert np.array_equal(SharedConvolutions(pixels).logits(resumed), SharedConvolutions(pixels).logits(whole))
    with pytest.raises(CheckpointError, match="does not fit this network"):
        fit(build(settings, "linear", 12, 1), pixels, labels, settings, 1, checkpoint=path)


@pytest.fixture(scope="module")
def run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A whole run with every variant but the largest, two seeds, one epoch."""
    place = tmp_path_factory.mktemp("run")
    return train_pneumonia(small_set, place, seeds=2, epochs=1, variants=MOST), place


def test_patients_in_two_parts_are_counted_and_not_learnt_from(small_set: Path, tmp_path: Path) -> None:
    apart = read_pictures(small_set)
    owners = {part: start + np.arange(len(own)) // 3 for start, (part, own) in zip((0, 100, 200), apart.parts.items())}  # noqa: B905
    owners["train"][:6] = owners["val"][:3] = 205
    parts = {part: replace(own, patients=owners[part]) for part, own in apart.parts.items()}
    shared = checked_set("shared", apart.side, apart.classes, parts, "official")
    told: list[str] = []
    report = train_pneumonia(
        shared, tmp_path / "run", seeds=1, epochs=1, variants=["logistic_regression"], tell=told.append
    )
    data = report["data"]
    assert data["n_left_out_as_equal"] == 1 and data["n_left_out_of_patients"] == 8  # one of the nine is an equal too
    assert [data["parts"][part]["n_used"] for part in ("train", "val", "test")] == [66, 21, 30]
    assert data["patients"]["n_in_several_parts"] == 1 and data["patients"]["n_pictures"] == 9
    assert "8 pictures left out: their patients also stand in a later part" in told
    n_patients = len(np.unique(owners["test"]))
    assert report["intervals"]["n_patients"] == n_patients
    assert (
        f"{n_patients} patients" in report["intervals"]["over_images"] and f"{n_patients} patients" in report["limits"]
    )
    own = read_model(tmp_path / "run" / "model.superpose").manifest
    assert own["evaluation"]["calibration"]["n_groups"] == n_patients
    card = " ".join(model_card(own).split())
    assert "intervals over test patients" in card and f"The test part has {n_patients} patients" in card
    assert report["configuration"]["data"] != apart.digest, "a network that was trained on other pictures is not taken"
    with pytest.raises(CheckpointError, match="its data is"):
        train_pneumonia(small_set, tmp_path / "other", seeds=1, epochs=1, reuse=[tmp_path / "run"])


def test_a_run_reports_every_variant_and_seals_the_test(run: tuple[dict[str, Any], Path]) -> None:
    report, place = run
    assert report == json.loads((place / "report.json").read_text())
    assert list(report["variants"]) == MOST
    assert report["data"]["n_left_out_as_equal"] == 1
    assert report["data"]["n_left_out_of_patients"] == 0 and report["data"]["patients"] is None  # MedMNIST names none
    assert (
        report["intervals"]["n_patients"] is None and "Patients of the test pictures are not known" in report["limits"]
    )
    parts, own = report["data"]["parts"], read_model(place / "model.superpose").manifest
    assert sum(part["n_pictures"] - part["n_used"] for part in parts.values()) == 1
    trained_on = parts["train"]["n_used"]
    assert own["data"]["split"]["train"] == own["drift_baseline"]["n_rows"] == trained_on  # not what was left out
    card = " ".join(model_card(own).split())
    assert f"trained on {trained_on} rows, with thresholds chosen on {parts['val']['n_used']} validation rows" in card
    assert "Architecture: the PyTorch module PictureClassifier" in card
    assert report["configuration_recorded_at"] <= report["test_openings"][0]["at"]
    assert len(report["test_openings"]) == 1
    assert report["test_openings"][0]["configuration"] == report["configuration_sha256"]
    assert report["metrics"]["auc"]["mean"] == np.mean(report["metrics"]["auc"]["values"])
    assert set(report["metrics"]) == {
        "auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece",
    }  # fmt: skip
    assert "Not for clinical use" in report["notice"]
    assert {(c["subject"], c["against"]) for c in report["comparisons"]} == {
        ("hybrid", "strong_cnn"),
        *(("hybrid_head", name) for name in ("classical_twin", "no_entanglement", "frozen", "logistic_regression")),
    }
    assert not list(place.glob("*.checkpoint"))


def test_model_files_of_two_runs_are_told_apart_by_settings(run: tuple[dict[str, Any], Path]) -> None:
    report, place = run
    own = read_model(place / "model.superpose").manifest
    digest = report["configuration_sha256"]
    assert own["provenance"]["configuration"] == report["configuration"]
    card = model_card(own)
    assert f"- Template: pneumonia, its configuration (SHA-256): `{digest}`" in card and "- Versions: numpy " in card
    other = copy.deepcopy(own)
    other["provenance"] |= {"configuration_sha256": "0" * 64}
    other["provenance"]["configuration"]["settings"]["hybrid"]["width"] = 64

    def changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[Any, ...]]:
        found = diff_versions((before, before["evaluation"], None), (after, after["evaluation"], None))
        return [tuple(row.values()) for row in found["spec"]]

    width = report["configuration"]["settings"]["hybrid"]["width"]
    assert changed(own, other) == [("settings.hybrid.width", width, 64)]
    del other["provenance"]["configuration"]  # as files of releases before
    assert changed(own, other) == [("configuration_sha256", digest, "0" * 64)]


def test_the_model_file_serves_without_torch_what_the_report_measured(
    run: tuple[dict[str, Any], Path], small_set: Path
) -> None:
    report, place = run
    assert report["model"]["runtime"] == "numpy"
    predictor = Predictor.load(place / "model.superpose", report["model"]["sha256"])
    with np.load(small_set) as arrays:
        rows, truth = arrays["test_images"].reshape(30, -1) / 255.0, arrays["test_labels"].reshape(-1)
    found = predictor.predict_proba(rows)
    accuracy = float(np.mean((found[:, 1] > 0.5) == truth))
    measured = report["metrics"]["accuracy"]["values"][report["model"]["seed"]]
    assert abs(accuracy - measured) < 1.5 / 30  # rounding may move a picture that lies on the threshold
    assert predictor.feature_names[13] == "grey_01_01"
    # the sentence stands below tables whose models are columns, too
    assert " row" not in read_model(place / "model.superpose").manifest["evaluation"]["means_over"]
    assert predictor.notice == "Not for clinical use."


def test_networks_of_an_earlier_run_are_taken_over_and_told(
    run: tuple[dict[str, Any], Path], small_set: Path, tmp_path: Path
) -> None:
    first, place = run
    told: list[str] = []
    second = train_pneumonia(
        small_set, tmp_path, seeds=1, epochs=1, variants=["frozen"], reuse=[place], tell=told.append
    )
    for name in ("hybrid", "frozen"):
        assert second["variants"][name]["taken_from"] == [first["configuration_sha256"]]
        taken, trained = ((where / f"{name}-0.safetensors").read_bytes() for where in (tmp_path, place))
        assert taken == trained
    assert second["metrics"]["auc"]["values"] == pytest.approx(first["metrics"]["auc"]["values"][:1], abs=1e-6)
    assert not [line for line in told if "epoch" in line]


def test_a_finished_run_trains_nothing_again_and_logs_the_second_look(
    run: tuple[dict[str, Any], Path], small_set: Path
) -> None:
    report, place = run
    told: list[str] = []
    again = train_pneumonia(small_set, place, seeds=2, epochs=1, variants=MOST, tell=told.append)
    assert not [line for line in told if "epoch" in line]
    for name, own in report["variants"].items():  # of networks read from disk, to the last digit
        assert again["variants"][name] == own
    assert again["model"] == report["model"]
    assert len(again["test_openings"]) == 2
    with pytest.raises(CheckpointError, match="another configuration"):
        train_pneumonia(small_set, place, seeds=2, epochs=2, variants=MOST)
    (place / "hybrid-0.safetensors").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match=r"hybrid-0\.safetensors does not hold"):
        train_pneumonia(small_set, place, seeds=2, epochs=1, variants=MOST)


def test_a_run_of_which_nothing_fits_is_refused(small_set: Path, tmp_path: Path) -> None:
    pictures = read_pictures(small_set)
    settings = PRESETS["chest"].for_epochs(1)

    def begun(name: str, settings: TemplateSettings, data: PictureSet, tell: Callable[[str], None], *reuse: str) -> Run:
        return Run(
            data, settings, 1, ("strong_cnn", "frozen"), tmp_path / name, tell=tell,
            reuse=[tmp_path / one for one in reuse],
        )  # fmt: skip

    begun("first", settings, pictures, print)
    with pytest.raises(CheckpointError, match=r"from .*first: its data is .*Leave it out, or give a run of the same d"):
        begun("second", settings, replace(pictures, digest="0" * 64), print, "first")
    with pytest.raises(
        CheckpointError, match=r"its settings are others \(hybrid: epochs 2 \(there 1\); strong_cnn: ep"
    ):
        begun("second", PRESETS["chest"].for_epochs(2), pictures, print, "first")
    with pytest.raises(CheckpointError, match="holds no run to take networks from"):
        begun("second", settings, pictures, print, "nowhere")
    assert not (tmp_path / "second" / "configuration.json").exists()
    told: list[str] = []
    wider = replace(settings, strong_cnn=replace(settings.strong_cnn, width=8))
    digest = begun("second", wider, pictures, told.append, "first")._others[0].digest
    assert told[0] == f"not taken over from run {digest[:12]}: strong_cnn: width 8 (there 32)"
    before = len(told)
    viewed = replace(settings, strong_cnn=replace(settings.strong_cnn, flips=True, zooms=True))
    begun("viewed", viewed, pictures, told.append, "first")
    assert not any("not taken over" in line for line in told[before:])  # training knows of no view
    begun("usual", replace(settings, heads=replace(settings.heads, small=False)), pictures, print)
    begun("third", settings, pictures, told.append, "usual")
    assert [line for line in told if "frozen" in line] == [
        f"not taken over from run {OtherRun.at(tmp_path / 'usual').digest[:12]}: frozen: small True (there False)"
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"preset": "knee"}, r"preset: must be one of chest, breast, pretrained, got 'knee'"),
        ({"seeds": 0}, r"seeds: must be 1 to 100, got 0"),
        ({"epochs": 0}, r"epochs: must be 1 to 100000, got 0"),
        ({"variants": ["twin"]}, r"variants: must be out of hybrid, .* got 'twin'"),
    ],
)
def test_wrong_options_are_refused(small_set: Path, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        train_pneumonia(small_set, tmp_path, **options)


def test_pictures_that_cannot_be_halved_twice_are_refused(tmp_path: Path) -> None:
    sizes = (("train", 16), ("val", 6), ("test", 8))
    labels = {f"{part}_labels": (np.arange(n) % 2).astype(np.uint8)[:, None] for part, n in sizes}
    np.savez(
        tmp_path / "tiny.npz",
        **labels,
        **{f"{part}_images": np.eye(3, dtype=np.uint8)[None].repeat(n, 0) for part, n in sizes},
    )
    with pytest.raises(DatasetFormatError, match="at least 4 x 4 pixels, got 3 x 3"):
        train_pneumonia(tmp_path / "tiny.npz", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_directory_holds_one_run_at_a_time(small_set: Path, tmp_path: Path, held_elsewhere: Any) -> None:
    place = tmp_path / "run"
    with held_elsewhere(place) as pid:
        said = rf"another run is under way in run \(process {pid}\); wait for it, or give another directory"
        with pytest.raises(CheckpointError, match=said):
            train_pneumonia(small_set, place, seeds=1, epochs=1, variants=[])
        assert [path.name for path in place.iterdir()] == ["run.lock"]  # nothing was begun
    with pytest.raises(CheckpointError, match="holds no run"):  # the lock went with the process that held it
        train_pneumonia(small_set, place, seeds=1, epochs=1, variants=[], reuse=[tmp_path])


def test_presets_learn_what_is_easy(small_set: Path, tmp_path: Path) -> None:
    report = train_pneumonia(small_set, tmp_path, preset="breast", seeds=1, epochs=12, variants=())
    assert list(report["variants"]) == ["hybrid"]
    assert report["metrics"]["auc"]["mean"] > 0.95
    assert report["verdict"].startswith("Undecided")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "superpose", "train", "pneumonia", *arguments]


@pytest.mark.slow
def test_kill_9_loses_at_most_an_epoch(small_set: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    arguments = command(
        "--data", str(small_set), "--out", str(place), "--seeds", "1", "--epochs", "60", "--beside", "none"
    )
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        done = 0
        for line in process.stderr:
            if "epoch 5 of 60" in line:
                os.kill(process.pid, signal.SIGKILL)
            if "epoch" in line:
                done = int(line.split("epoch ")[1].split()[0])
    assert done >= 5 and not (place / "report.json").exists()
    again = subprocess.run([*arguments, "--json"], capture_output=True, text=True, check=True)
    first = next(line for line in again.stderr.splitlines() if "epoch" in line)
    assert int(first.split("epoch ")[1].split()[0]) in (done, done + 1, done + 2)
    assert json.loads(again.stdout)["metrics"]["auc"]["mean"] > 0.9


def test_resnet18_is_the_published_one_but_for_its_stem() -> None:
    features = ResNet18Features()
    shapes = {name: tuple(value.shape) for name, value in features.named_parameters() if value.dim() == 4}
    assert len(shapes) == 17 + 3  # convolutions, and those of 1 x 1 where shapes change
    published = 11_689_512 - 513_000 - 3 * 64 * 49  # without the layer of 1,000 classes and ImageNet's stem
    assert sum(value.numel() for value in features.parameters()) == published + 64 * 9
    last = torch.nn.Sequential(*list(features)[:-2])(torch.zeros(2, 1, 28, 28))
    assert last.shape == (2, 512, 2, 2)


@pytest.mark.slow
def test_resnet18_is_trained_with_fewer_seeds_and_when_asked_for(small_set: Path, tmp_path: Path) -> None:
    report = train_pneumonia(small_set, tmp_path / "asked", seeds=4, epochs=1, variants=("resnet18",))
    assert {name: row["n_seeds"] for name, row in report["variants"].items()} == {"hybrid": 4, "resnet18": 3}
    assert [(row["against"], row["n_seeds"]) for row in report["comparisons"]] == [("resnet18", 3)] * 2
    assert report["verdict"] == " ".join(f"{row['said']}." for row in report["comparisons"])
    assert "resnet18" not in train_pneumonia(small_set, tmp_path / "left", seeds=1, epochs=1)["variants"]


@pytest.mark.slow
@needs_x_rays
def test_two_epochs_on_real_x_rays(tmp_path: Path) -> None:
    arguments = command("--data", str(X_RAYS), "--out", str(tmp_path / "run"), "--seeds", "1", "--epochs", "2")
    done = subprocess.run([*arguments, "--beside", "none", "--json"], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["metrics"]["auc"]["mean"] > 0.9
    assert report["data"]["parts"]["test"]["n_pictures"] == 624
    assert "Not for clinical use" in done.stderr


def test_the_model_keeps_sets_abstains_by_them_and_tells_pictures_unlike_its_own(
    run: tuple[dict[str, Any], Path], small_set: Path
) -> None:
    predictor = Predictor.load(run[1] / "model.superpose")
    validation = read_pictures(small_set).parts["val"].pixels.astype(np.float64)
    noise = np.random.default_rng(0).uniform(0.0, 1.0, (20, validation.shape[1]))
    _, told = predictor.detailed(validation, Asked(prediction_set=True, abstain=True, novelty=True))
    assert told.coverage == 0.9 and told.sets and told.reasons and told.novel is not None
    assert [reason is not None for reason in told.reasons] == [len(labels) == 2 for labels in told.sets]
    assert sum(told.novel) <= 1  # its threshold is one of theirs
    blank = np.repeat([[0.0], [0.5], [1.0]], validation.shape[1], axis=1)
    assert all(predictor.detailed(np.vstack([noise, blank]), Asked(novelty=True))[1].novel or ())
    found = predictor.manifest["evaluation"]["calibration"]
    assert found["conformal"]["coverage"] == 0.9 and found["novelty"] is not None
    card = model_card(predictor.manifest)
    assert "promise to hold the true class for 90 %" in card and "too little variation in any" in card


@pytest.mark.parametrize(("n", "coverage"), [(17, None), (18, 0.9), (38, 0.95), (197, 0.95), (198, 0.99)])
def test_sets_promise_as_much_as_validation_pictures_or_patients_allow(n: int, coverage: float | None) -> None:
    random = np.random.default_rng(0)
    train, held, one_each = (Pictures(random.random((m, 16), np.float32), np.arange(m) % 2) for m in (30, 2 * n, n))
    paired = replace(held, patients=np.arange(2 * n) // 2)
    for validation in (one_each, paired):
        found = safeguards_of(train, validation, random.normal(size=len(validation)))
        assert found.novelty is not None and found.novelty.n_rows == n
        assert (None if found.sets is None else found.sets.coverage) == coverage
        assert (found.abstain is None) == (coverage is None)


@pytest.mark.parametrize("scale", [255.0, 65_535.0, -1.0])
def test_pixels_that_are_not_from_0_to_1_are_refused_by_name(run: tuple[dict[str, Any], Path], scale: float) -> None:
    predictor = Predictor.load(run[1] / "model.superpose")
    rows = np.zeros((2, len(predictor.input_schema)))
    rows[1, 3] = scale
    with pytest.raises(
        FeatureMismatchError, match=r"'grey_00_03' takes 0 to 1, .* row 1; .* divided by 255"
    ) as refused:
        predictor.predict_proba(rows)
    assert refused.value.details == {"column": "grey_00_03", "row": 1}
    rows[1, 3] = 1.0
    assert predictor.predict_proba(rows).shape == (2, 2)
