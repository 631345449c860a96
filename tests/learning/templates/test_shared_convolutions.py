"""Heads on equal convolutions: pictures are convolved once for all of them, and scores are the networks' own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from superpose.datasets.picture_sets import read_pictures
from superpose.learning.effort import REST
from superpose.learning.templates.pneumonia import PRESETS, train_pneumonia
from superpose.learning.templates.pneumonia import template as template_module
from superpose.learning.templates.pneumonia.estimate import PictureCounts, estimated_effort
from superpose.learning.templates.pneumonia.fitting import build
from superpose.learning.templates.pneumonia.members import AveragedClassifiers, averaged, members_of
from superpose.learning.templates.pneumonia.networks import PictureClassifier
from superpose.learning.templates.pneumonia.options import VARIANTS, Head, imagenet_file
from superpose.learning.templates.pneumonia.run import Fitted, Run
from superpose.learning.templates.pneumonia.serving import save_model
from superpose.learning.templates.pneumonia.settings import FitSettings, TemplateSettings
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions
from superpose.learning.templates.pneumonia.variants import with_head

Network = PictureClassifier | AveragedClassifiers

SIDE = 12
KINDS: tuple[Head, ...] = ("hybrid", "twin", "unentangled", "frozen", "linear")
HEADS = tuple(name for name, row in VARIANTS.items() if row.trained == "head")

needs_weights = pytest.mark.skipif(imagenet_file() is None, reason="superpose[pretrained] is not installed")


def given_by(network: Network, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits by the network itself, as many pictures at a time as it takes."""
    found, size = [], network.n_at_once()
    with torch.no_grad():
        for start in range(0, len(pixels), size):
            scores = network.eval()(torch.from_numpy(pixels[start : start + size]))
            found.append((scores[:, 1] - scores[:, 0]).double().numpy())
    return np.concatenate(found)


def behind(settings: FitSettings, seed: int) -> list[Network]:
    """A network, then others that have its convolutions and heads of their own."""
    seeds = range(seed, seed + settings.members)
    first = averaged([build(settings, "hybrid", SIDE, one).eval() for one in seeds])
    heads = [[build(settings, kind, SIDE, one).head for one in seeds] for kind in KINDS]
    return [first, *(averaged(list(map(with_head, members_of(first), own))) for own in heads)]


class Convolved:
    """How many rows went through convolutions in predicting."""

    n = 0


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Convolved]:
    counted, own = Convolved(), PictureClassifier.features_of

    def features_of(network: PictureClassifier, images: torch.Tensor) -> torch.Tensor:
        if not network.training and not torch.compiler.is_compiling():  # nor where a model file's graph is made
            counted.n += len(images)
        return own(network, images)

    with monkeypatch.context() as patch:
        patch.setattr(PictureClassifier, "features_of", features_of)
        yield counted


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="single"),
        pytest.param({"members": 3}, id="members"),
        pytest.param({"shifts": True}, id="shifts"),
        pytest.param({"flips": True, "zooms": True, "members": 2}, id="flips and zooms"),
        pytest.param({"shifts": True, "flips": True, "zooms": True}, id="all views"),
        pytest.param(
            {"features": "efficientnet", "flips": True, "zooms": True, "small_head": True},
            id="begun with ImageNet's weights",
            marks=needs_weights,
        ),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_scores_are_those_of_the_networks_to_the_last_digit(
    changed: dict[str, Any], layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(FitSettings(width=4), **changed)
    networks = behind(settings, 3)
    for network in networks:  # trained ones are laid out channel after channel, those from disk are not
        network.to(memory_format=layout)  # type: ignore[call-overload]
    monkeypatch.setattr(PictureClassifier, "n_at_once", lambda network: 3)
    n = 5  # two goes, of unequal size
    pixels = np.random.default_rng(0).random((n, SIDE**2), np.float32)
    n_views = (5 if settings.shifts else 1) * (2 if settings.flips else 1) * (3 if settings.zooms else 1)
    with counting(monkeypatch) as counted:
        shared = SharedConvolutions(pixels)
        assert counted.n == 0
        found = [shared.logits(network) for network in networks]
        assert counted.n == n * n_views * settings.members
    for own, network in zip(found, networks, strict=True):
        assert np.array_equal(own, given_by(network, pixels))
    assert len({own.tobytes() for own in found}) == 4  # before training a frozen head is the hybrid's


def test_a_network_with_convolutions_of_its_own_is_judged_by_them() -> None:
    settings = FitSettings(width=4, members=2, flips=True)
    one, other = behind(settings, 0), behind(settings, 2)
    statistics = behind(settings, 0)[1]
    with torch.no_grad():  # one member of two, one number
        members_of(statistics)[1].features.get_buffer("0.1.running_mean")[0] += 0.5
    views = averaged([replace_views(member) for member in members_of(one[2])])
    single = members_of(one[3])[0]
    pixels = np.random.default_rng(1).random((9, SIDE**2), np.float32)
    shared = SharedConvolutions(pixels)
    for network in (one[0], other[1], one[1], statistics, one[2], views, single, one[3]):
        assert np.array_equal(shared.logits(network), given_by(network, pixels))


def replace_views(member: PictureClassifier) -> PictureClassifier:
    """The same without mirror images."""
    found = with_head(member, member.head)
    found.flips = False
    return found


def test_features_are_of_the_numbers_that_a_network_had() -> None:
    """A network that is trained on is another one."""
    [network, *_] = behind(FitSettings(width=4), 0)
    pixels = np.random.default_rng(2).random((5, SIDE**2), np.float32)
    shared = SharedConvolutions(pixels)
    before = shared.logits(network)
    with torch.no_grad():
        next(network.parameters()).mul_(2.0)
    after = shared.logits(network)
    assert np.array_equal(after, given_by(network, pixels)) and not np.array_equal(after, before)


def test_of_no_picture_there_is_no_score() -> None:
    [network, *_] = behind(FitSettings(width=4), 0)
    assert SharedConvolutions(np.empty((0, SIDE**2), np.float32)).logits(network).shape == (0,)


def small() -> TemplateSettings:
    """One epoch, two networks a seed behind which heads stand, one where none does."""
    own = PRESETS["breast"].for_epochs(1)
    return replace(own, hybrid=replace(own.hybrid, zooms=True), strong_cnn=replace(own.strong_cnn, members=1))


def judged_by_themselves(fitted: Sequence[Fitted], pixels: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    return [given_by(one.network, pixels) - one.threshold for one in fitted]


def test_a_run_convolves_each_view_once_a_seed_and_member_as_its_estimate_counts(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "breast", small())
    pictures = read_pictures(small_set)
    n_train, n_validation, n_test = 71, 24, 30  # one of 72 also stands in the test part
    marks: dict[str, int] = {}
    names = ("strong_cnn", *HEADS)
    with counting(monkeypatch) as counted:

        def tell(line: str) -> None:
            if line.startswith("test pictures opened"):
                marks["before"] = counted.n

        def saving(*given: Any) -> dict[str, Any]:  # the exported network is tried out
            marks["judged"] = counted.n
            return save_model(*given)

        monkeypatch.setattr(template_module, "save_model", saving)
        train_pneumonia(pictures, tmp_path, preset="breast", seeds=2, variants=names, tell=tell)
    counts = PictureCounts(n_train, n_validation, n_test, side=SIDE)
    expected = estimated_effort(counts, preset="breast", seeds=2, epochs=None, variants=names)
    views = sum(expected.n_of(name, "views predicted") for name in ("hybrid", "strong_cnn"))
    assert views == 2 * (n_validation + n_test) * (2 * 6 + 2)
    cached = expected.n_of(REST, "features cached")
    assert marks["judged"] == views + cached
    assert marks["judged"] - marks["before"] == 2 * n_test * (2 * 6 + 2)  # the test part after its opening alone
    for name in HEADS:
        assert expected.n_of(name, "views predicted") == 0
        assert expected.n_of(name, "views scored") == 2 * (n_validation + n_test) * 2 * 6


def test_heads_of_a_resumed_run_and_of_runs_taken_over_are_judged_as_themselves(
    small_set: Path, tmp_path: Path
) -> None:
    pictures = read_pictures(small_set)

    def begun(place: str, *reuse: str, seeds: int = 2) -> Run:
        others = [tmp_path / one for one in reuse]
        return Run(pictures, small(), seeds, HEADS, tmp_path / place, tell=lambda _: None, reuse=others)

    first = begun("first").fitted()
    test = pictures.parts["test"].pixels
    seen = SharedConvolutions(test)
    scores = [one.scores(seen) for one in first]
    for own, expected in zip(scores, judged_by_themselves(first, test), strict=True):
        assert np.array_equal(own, expected)
    for name in ("frozen-0", "classical_twin-1"):
        (tmp_path / "first" / f"{name}.json").unlink()
    again = begun("first").fitted()  # two heads anew, all else from disk
    assert {(one.variant, one.seed): one.threshold for one in again} == pytest.approx(
        {(one.variant, one.seed): one.threshold for one in first}, abs=1e-4
    )
    taken = begun("second", "first").fitted()
    for fitted in (again, taken):
        seen = SharedConvolutions(test)
        for one, expected in zip(fitted, judged_by_themselves(fitted, test), strict=True):
            assert np.array_equal(one.scores(seen), expected)
