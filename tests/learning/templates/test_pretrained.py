"""Features that begin with ImageNet's weights: the published network, where it is found, a run, and its refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superpose.datasets.picture_sets import read_pictures
from superpose.errors import CheckpointError, ExtraMissingError, SpecError
from superpose.explain import model_card
from superpose.learning import Predictor, read_model
from superpose.learning.templates.pneumonia import PRESETS, train_pneumonia
from superpose.learning.templates.pneumonia import options as options_module
from superpose.learning.templates.pneumonia import pretrained as pretrained_module
from superpose.learning.templates.pneumonia.estimate import most_explained
from superpose.learning.templates.pneumonia.fitting import build, fit
from superpose.learning.templates.pneumonia.members import AveragedClassifiers
from superpose.learning.templates.pneumonia.networks import DressedHead, PictureClassifier
from superpose.learning.templates.pneumonia.options import (
    PRESET_NAMES,
    all_variants,
    check_options,
    default_variants,
    imagenet_file,
)
from superpose.learning.templates.pneumonia.pretrained import EfficientNetFeatures, imagenet_weights
from superpose.learning.templates.pneumonia.report import verdict_of
from superpose.learning.templates.pneumonia.run import Run
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions

needs_weights = pytest.mark.skipif(imagenet_file() is None, reason="superpose[pretrained] is not installed")

REFERENCE = [0.64495, 2.70085, -4.24161, -0.93395, -5.18826, -3.95489]
"""Six of the features of `picture`, by the network of the package efficientnet_lite_pytorch 0.1.0 at 112 x 112."""


def picture(side: int = 28) -> torch.Tensor:
    """A bright disc on a slope, ``(1, 1, side, side)``, pixels 0 .. 1."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    return (0.3 + 0.2 * x + 0.4 * ((x - 0.2) ** 2 + y**2 < 0.3).float())[None, None]


@needs_weights
def test_features_are_those_of_the_published_network() -> None:
    network = EfficientNetFeatures(28)
    network.load_imagenet()
    with torch.no_grad():
        found = network.eval()((network.enlarged(picture()) - 0.5) * 4.0)  # normalised by a mean of 0, a variance of 1
    assert found.shape == (1, network.n_features) == (1, 192)
    assert found[0, ::32].tolist() == pytest.approx(REFERENCE, abs=2e-4)


def test_pictures_are_enlarged_before_they_are_changed_and_whatever_their_number() -> None:
    network = EfficientNetFeatures(28)
    assert network.enlarged(picture().repeat(3, 1, 1, 1)).shape == (3, 1, 112, 112)
    assert float(network.enlarged(picture()).min()) >= 0.0 and float(network.enlarged(picture() * 2).max()) == 1.0


def test_large_pictures_stay_as_they_are_and_small_ones_are_enlarged() -> None:
    assert EfficientNetFeatures(28).enlarging.shape == (112, 28)
    large = EfficientNetFeatures(140).enlarging
    assert torch.allclose(large, torch.eye(140), atol=1e-6)
    constant = EfficientNetFeatures(9).enlarging @ torch.full((9, 9), 0.25) @ EfficientNetFeatures(9).enlarging.T
    assert torch.allclose(constant, torch.tensor(0.25), atol=1e-6)


@needs_weights
def test_a_network_begins_with_the_weights_and_another_seed_changes_its_head_alone() -> None:
    settings = PRESETS["pretrained"].hybrid
    one, other = (build(settings, "hybrid", 12, seed) for seed in (0, 1))
    published = imagenet_weights()["_blocks.3._expand_conv.weight"]
    for network in (one, other):
        assert torch.equal(network.features.state_dict()["blocks.3.wide.0.convolution.weight"], published)
    assert not torch.equal(one.head.entry.weight, other.head.entry.weight)  # type: ignore[union-attr]


def test_weights_of_another_digest_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pth").write_bytes(b"anything")
    monkeypatch.setattr(pretrained_module, "imagenet_file", lambda: tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights\.pth are not the ones that superpose knows: their SHA-256"):
        imagenet_weights()


def test_without_the_package_nothing_is_begun(small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (options_module, pretrained_module):
        monkeypatch.setattr(module, "imagenet_file", lambda: None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'superpose\[pretrained\]'") as refused:
        train_pneumonia(small_set, tmp_path / "run", preset="pretrained")
    assert refused.value.details["extra"] == "pretrained" and not (tmp_path / "run").exists()
    with pytest.raises(ExtraMissingError, match="pretrained"):
        EfficientNetFeatures(12).load_imagenet()
    check_options("chest", 1, None, None)


def test_the_pretrained_cnn_belongs_to_its_preset() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert "pretrained_cnn" in default_variants("pretrained") and "resnet18" not in default_variants("pretrained")
    assert "pretrained_cnn" not in all_variants("breast") and "resnet18" in all_variants("breast")
    with pytest.raises(SpecError, match="with the preset chest, got 'pretrained_cnn'"):
        check_options("chest", 1, None, ["pretrained_cnn"])


def test_settings_without_a_pretrained_cnn_keep_their_digest() -> None:
    assert "pretrained_cnn" not in PRESETS["breast"].to_dict()
    own = PRESETS["pretrained"].to_dict()
    assert own["pretrained_cnn"] == {name: value for name, value in own["hybrid"].items() if name != "auxiliary"}
    assert own["heads"]["small"] and "small" not in PRESETS["breast"].to_dict()["heads"]
    breast = PRESETS["breast"].to_dict()
    for name in ("strong_cnn", "resnet18"):
        assert own[name] == breast[name] | {"zooms": True}
    assert "zooms" not in breast["strong_cnn"]
    assert {one.epochs for one in PRESETS["pretrained"].for_epochs(3).networks().values()} == {3}


@pytest.mark.slow
@needs_weights
def test_a_run_is_judged_against_its_own_features_without_the_circuit(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Any = {name: replace(one, members=1) for name, one in PRESETS["pretrained"].networks().items()}
    monkeypatch.setitem(PRESETS, "pretrained", replace(PRESETS["pretrained"], **own))
    names = ("pretrained_cnn", "hybrid_head", "classical_twin")
    few = tmp_path / "few.npz"
    with np.load(small_set) as arrays:
        np.savez(few, **{name: array[: len(array) // 3] for name, array in arrays.items()})
    report = train_pneumonia(few, tmp_path, preset="pretrained", seeds=2, epochs=1, variants=names)
    assert set(report["variants"]) == {"hybrid", *names}
    assert ("hybrid", "pretrained_cnn") in {(row["subject"], row["against"]) for row in report["comparisons"]}
    assert "the pretrained CNN" in report["verdict"] and "strong CNN" not in report["verdict"]
    begun = report["configuration"]["begins_with"]
    assert begun["sha256"] == pretrained_module.IMAGENET_SHA256 and "ImageNet" in begun["weights"]
    assert "trained on ImageNet" in report["limits"]
    manifest = read_model(tmp_path / "model.superpose").manifest
    assert manifest["provenance"]["begins_with"] == begun
    assert "trained on ImageNet" in " ".join(model_card(manifest).split())
    assert report["model"]["runtime"] == "numpy"
    run = Run(read_pictures(few), PRESETS["pretrained"].for_epochs(1), 2, names, tmp_path, tell=lambda _: None)
    chosen = next(one for one in run.fitted() if (one.variant, one.seed) == ("hybrid", report["model"]["seed"]))
    pixels = run.validation.pixels
    served = Predictor.load(tmp_path / "model.superpose", report["model"]["sha256"]).predict_proba(
        pixels.astype(np.float64)
    )
    expected = 1.0 / (1.0 + np.exp(-chosen.scores(SharedConvolutions(run.validation.pixels))))
    assert served[:, 1] == pytest.approx(expected, abs=1e-4)


def test_a_small_head_is_nearly_linear_and_its_circuit_begins_near_the_identity() -> None:
    small, usual = (DressedHead(16, "hybrid", 3, small=small) for small in (True, False))
    assert float(small.entry.weight.detach().abs().max()) <= 0.2 / 4  # uniform up to 1 / sqrt(16) in PyTorch
    weights = [head.middle.weights.detach() for head in (small, usual)]  # type: ignore[union-attr]
    assert float(weights[0].abs().max()) < 0.05 and float(weights[1].abs().max()) > 1.0  # type: ignore[arg-type]
    assert not DressedHead(16, "frozen", 3, small=True).middle.weights.requires_grad  # type: ignore[union-attr]
    angles = torch.tensor([[0.3, -0.2, 0.1, 0.4]])
    found = small.middle(angles)[0].detach()
    assert float(found[0]) == pytest.approx(-np.sin(0.3), abs=0.1)  # no CX has qubit 0 for its target


def test_an_auxiliary_layer_teaches_the_features_and_goes(tmp_path: Path) -> None:
    """On a head that lets nothing through, features learn by the layer beside it alone; resumed, to equal numbers."""
    random = np.random.default_rng(0)
    pixels, labels = random.random((24, 64), np.float32), np.arange(24) % 2
    settings = replace(PRESETS["breast"].hybrid, epochs=2, batch_size=8, width=4, dropout=0.3, weight_decay=0.0)

    def trained(auxiliary: float, **more: object) -> PictureClassifier:
        own = replace(settings, auxiliary=auxiliary)
        network = build(own, "linear", 8, 1)
        for parameter in network.head.parameters():
            torch.nn.init.zeros_(parameter)
            parameter.requires_grad_(requires_grad=False)
        return fit(network, pixels, labels, own, 1, **more)  # type: ignore[arg-type]

    begun = dict(build(settings, "linear", 8, 1).features.named_parameters())
    alone, taught = (dict(trained(weight).features.named_parameters()) for weight in (0.0, 1.0))
    assert all(torch.equal(begun[name], alone[name]) for name in begun)
    assert not any(torch.equal(begun[name], taught[name]) for name in begun if name.endswith("0.weight"))
    assert set(trained(1.0).state_dict()) == set(build(settings, "linear", 8, 1).state_dict())

    class Killed(Exception):
        pass

    def stop(epoch: int, loss: float) -> None:
        raise Killed

    with pytest.raises(Killed):
        trained(1.0, checkpoint=tmp_path / "run.checkpoint", after_epoch=stop)
    resumed = dict(trained(1.0, checkpoint=tmp_path / "run.checkpoint").features.named_parameters())
    assert all(torch.equal(resumed[name], taught[name]) for name in taught)


@needs_weights
def test_training_moves_every_block_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels, labels = random.random((12, 64), np.float32), np.arange(12) % 2
    settings = replace(PRESETS["pretrained"].hybrid, epochs=2, batch_size=6)

    class Killed(Exception):
        pass

    def stop(epoch: int, loss: float) -> None:
        raise Killed

    path = tmp_path / "run.checkpoint"
    with pytest.raises(Killed):
        fit(build(settings, "hybrid", 8, 1), pixels, labels, settings, 1, checkpoint=path, after_epoch=stop)
    resumed = fit(build(settings, "hybrid", 8, 1), pixels, labels, settings, 1, checkpoint=path)
    whole = fit(build(settings, "hybrid", 8, 1), pixels, labels, settings, 1)
    assert np.array_equal(SharedConvolutions(pixels).logits(resumed), SharedConvolutions(pixels).logits(whole))
    before = build(settings, "hybrid", 8, 1).state_dict()
    for name, value in whole.named_parameters():
        assert not torch.equal(before[name], value), name


def test_a_verdict_names_each_partner_that_was_trained() -> None:
    row = {"metric": "auc", "outcome": "undecided", "p_worse": 1.0, "said": "said", "subject": "hybrid"}
    found = verdict_of([{**row, "against": name} for name in ("strong_cnn", "pretrained_cnn")], 5)
    assert found.count("is undecided.") == 2 and "the strong CNN" in found and "the pretrained CNN" in found


@needs_weights
def test_large_pictures_go_through_few_at_a_time_and_small_ones_as_before() -> None:
    small = build(PRESETS["breast"].hybrid, "hybrid", 28, 0)
    large = build(replace(PRESETS["breast"].hybrid, features="six"), "hybrid", 224, 0)
    enlarged = build(PRESETS["pretrained"].hybrid, "hybrid", 28, 0)
    assert (small.n_at_once(), large.n_at_once(), enlarged.n_at_once()) == (256, 10, 41)
    assert AveragedClassifiers([enlarged]).n_at_once() == 41
    sizes: list[int] = []
    enlarged.features.stem.register_forward_hook(lambda module, given, found: sizes.append(len(given[0])))
    pixels = picture().reshape(1, 784).numpy().repeat(50, axis=0)
    many, single = (SharedConvolutions(own).logits(enlarged) for own in (pixels, pixels[:1]))
    assert many == pytest.approx(np.full(50, single[0]), abs=1e-4)
    assert sizes == [*[41] * 6, *[9] * 6, *[1] * 6]  # pictures, nearer and farther ones, and their mirror images


@pytest.mark.parametrize(("features", "side"), [("six", 28), pytest.param("efficientnet", 28, marks=needs_weights)])
def test_predictions_are_means_over_nearer_and_farther_pictures(features: Any, side: int) -> None:
    settings = replace(PRESETS["breast"].hybrid, features=features, flips=False, zooms=True)
    network = build(settings, "hybrid", side, 0).eval()
    assert set(network.state_dict()) == set(build(replace(settings, zooms=False), "hybrid", side, 0).state_dict())
    image = network.enlarged(picture(side))
    views = [image]
    for zoom in (0.9, 1.1):
        grid = torch.nn.functional.affine_grid(
            torch.tensor([[[zoom, 0.0, 0.0], [0.0, zoom, 0.0]]]), list(image.shape), align_corners=False
        )
        views.append(
            torch.nn.functional.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)
        )
    found = network.views(picture(side))
    assert all(torch.allclose(own, view, atol=1e-4) for own, view in zip(found, views, strict=True))
    with torch.no_grad():
        expected = torch.stack([network.scores_of(view) for view in views]).mean(dim=0)
        assert torch.allclose(network(picture(side).reshape(1, -1)), expected, atol=1e-3)
        doubled = network.train()(picture(side).reshape(1, -1).repeat(2, 1))  # in training the picture alone
        assert torch.allclose(doubled, network.scores_of(image.repeat(2, 1, 1, 1)), atol=1e-4)


def test_fewer_pictures_are_explained_where_one_takes_long() -> None:
    assert [most_explained(preset) for preset in PRESETS] == [50, 50, 8]
