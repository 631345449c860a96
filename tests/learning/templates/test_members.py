"""Networks of several members: what is averaged, what a threshold is chosen on, and how a run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from superpose.datasets.picture_sets import read_pictures
from superpose.errors import CheckpointError
from superpose.learning import Predictor
from superpose.learning.checkpoint import Stopped
from superpose.learning.model_file import ModelFacts
from superpose.learning.templates.pneumonia import PRESETS
from superpose.learning.templates.pneumonia.fitting import build
from superpose.learning.templates.pneumonia.measures import threshold_of
from superpose.learning.templates.pneumonia.members import AveragedClassifiers, averaged, member_seeds, members_of
from superpose.learning.templates.pneumonia.run import Run
from superpose.learning.templates.pneumonia.serving import save_model
from superpose.learning.templates.pneumonia.settings import TemplateSettings
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions
from superpose.learning.templates.watching import Watch

VARIANTS = ("hybrid", "strong_cnn", "hybrid_head", "classical_twin", "logistic_regression")


def several(n: int, epochs: int = 1) -> TemplateSettings:
    """The breast preset in small, with ``n`` members everywhere."""
    own = PRESETS["breast"].for_epochs(epochs)
    return replace(
        own,
        hybrid=replace(own.hybrid, members=n, width=4),
        strong_cnn=replace(own.strong_cnn, members=n, width=4),
        resnet18=replace(own.resnet18, members=n),
    )


def test_no_two_networks_share_a_seed() -> None:
    assert list(member_seeds(1, 7)) == [7]
    assert [one for seed in range(4) for one in member_seeds(3, seed)] == list(range(12))


def test_scores_are_the_mean_of_the_members() -> None:
    settings = several(3).hybrid
    members = [build(settings, "hybrid", 12, seed).eval() for seed in range(3)]
    pixels = torch.rand(5, 144)
    whole = averaged(members)
    assert isinstance(whole, AveragedClassifiers) and members_of(whole) == members
    assert averaged(members[:1]) is members[0] and members_of(members[0]) == members[:1]
    with torch.no_grad():
        expected = sum(member(pixels) for member in members) / 3
        assert torch.allclose(whole(pixels), torch.as_tensor(expected), atol=1e-6)


def test_settings_of_single_networks_keep_their_digest() -> None:
    for name in ("hybrid", "strong_cnn", "resnet18"):
        assert "members" not in several(1).to_dict()[name]
        assert several(2).to_dict()[name]["members"] == 2


@pytest.fixture(scope="module")
def run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two seeds with three members each, trained."""
    made = Run(
        read_pictures(small_set), several(3, 2), 2, VARIANTS, tmp_path_factory.mktemp("members"), tell=lambda _: None
    )
    made.fitted()
    return made


def test_members_are_single_networks_of_their_own_seeds(run: Run, small_set: Path, tmp_path: Path) -> None:
    single = Run(read_pictures(small_set), several(1, 2), 6, VARIANTS, tmp_path, tell=lambda _: None)
    alone = {(one.variant, one.seed): one.network for one in single.fitted()}
    for one in run.fitted():  # from disk
        for own, member in zip(member_seeds(3, one.seed), members_of(one.network), strict=True):
            other = alone[one.variant, own]
            expected, found = (SharedConvolutions(run.validation.pixels).logits(network) for network in (other, member))
            assert found == pytest.approx(expected, abs=1e-3), (one.variant, own)


def test_thresholds_are_those_of_the_averaged_scores(run: Run) -> None:
    found = run.fitted()
    assert {one.variant for one in found} == set(VARIANTS) and len(found) == 2 * len(VARIANTS)
    truth, pixels = run.validation.labels, run.validation.pixels
    for one in found:
        logits = np.mean([SharedConvolutions(pixels).logits(member) for member in members_of(one.network)], axis=0)
        assert one.threshold == pytest.approx(threshold_of(truth, logits), abs=0.01)
        assert one.scores(SharedConvolutions(pixels)) == pytest.approx(logits - one.threshold, abs=1e-3)
    assert not list(run.directory.glob("*.checkpoint"))


def test_heads_stand_on_the_features_of_their_own_members(run: Run) -> None:
    found = {(one.variant, one.seed): one for one in run.fitted()}
    hybrid, twin = (members_of(found[name, 1].network) for name in ("hybrid", "classical_twin"))
    for mine, other in zip(hybrid, twin, strict=True):
        for a, b in zip(mine.features.parameters(), other.features.parameters(), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(*[next(iter(member.features.parameters())) for member in hybrid[:2]])


def test_a_run_that_was_stopped_goes_on_to_the_same_members(run: Run, small_set: Path, tmp_path: Path) -> None:
    told: list[str] = []
    fractions: list[float] = []

    def begun(watch: Watch) -> Run:
        return Run(read_pictures(small_set), several(3, 2), 2, VARIANTS, tmp_path, tell=told.append, watch=watch)

    def stop() -> bool:
        return len(fractions) == 3  # in the second member's training

    with pytest.raises(Stopped, match="network 2 of 3: epoch 1 of 2"):
        begun(Watch(lambda stage, fraction: fractions.append(fraction), stop)).fitted()
    assert sorted(path.name for path in tmp_path.glob("*.checkpoint")) == [
        "hybrid-0.0.checkpoint",
        "hybrid-0.1.checkpoint",
    ]
    n_told = len(told)
    begun(Watch(lambda stage, fraction: fractions.append(fraction), lambda: False)).fitted()
    resumed = [line for line in told[n_told:] if "epoch" in line]
    assert resumed[0].startswith("hybrid seed 0, network 2 of 3: epoch 2 of 2")
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    for path in run.directory.glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_the_model_file_of_several_members_serves_without_torch(run: Run, tmp_path: Path) -> None:
    one = next(one for one in run.fitted() if one.variant == "hybrid")
    said = save_model(tmp_path / "model", one.network, one.threshold, ("0", "1"), ModelFacts(evaluation={}, data={}))
    assert said["runtime"] == "numpy" and said["n_params"] == one.n_params
    rows = run.validation.pixels
    served = Predictor.load(tmp_path / "model", said["sha256"]).predict_proba(rows.astype(np.float64))[:, 1]
    assert served == pytest.approx(1.0 / (1.0 + np.exp(-one.scores(SharedConvolutions(rows)))), abs=1e-4)


def test_networks_are_not_taken_over_from_a_run_of_other_members(run: Run, small_set: Path, tmp_path: Path) -> None:
    def begun(n: int, place: str) -> Run:
        return Run(read_pictures(small_set), several(n, 2), 1, (), tmp_path / place, tell=print, reuse=[run.directory])

    with pytest.raises(CheckpointError, match=r"hybrid: members 1 \(there 3\)"):
        begun(1, "single")
    [taken] = begun(3, "same").fitted()
    assert taken.taken_from == run.test.digest
