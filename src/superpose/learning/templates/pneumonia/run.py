"""A run of the template: data, configuration, training of every variant and seed, one look at the test pictures.

Everything is in one directory, and a run that was killed goes on from there when it is started again: a network that
is trained is not trained again, one in training goes on from its last epoch.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from superpose import __version__
from superpose.datasets.picture_sets import PictureSet, learnable
from superpose.errors import CheckpointError
from superpose.learning.canonical import write_atomically
from superpose.learning.checkpoint import Stopped, read_sealed_json, write_sealed_json
from superpose.learning.templates.pneumonia.checkpoints import Losses, losses_in
from superpose.learning.templates.pneumonia.fitting import build, fit
from superpose.learning.templates.pneumonia.measures import THRESHOLD, measured, threshold_of
from superpose.learning.templates.pneumonia.members import (
    AveragedClassifiers,
    averaged,
    member_seeds,
    members_of,
)
from superpose.learning.templates.pneumonia.networks import PictureClassifier
from superpose.learning.templates.pneumonia.openings import SealedTest
from superpose.learning.templates.pneumonia.options import VARIANTS
from superpose.learning.templates.pneumonia.pretrained import IMAGENET_SHA256
from superpose.learning.templates.pneumonia.reuse import OtherRun
from superpose.learning.templates.pneumonia.settings import FitSettings, TemplateSettings
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions
from superpose.learning.templates.pneumonia.variants import (
    Features,
    cached_features,
    fit_head,
    logistic_head,
    with_head,
)
from superpose.learning.templates.watching import Tell, Watch

__all__ = ["Fitted", "Run"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """One variant, trained with one seed.

    Attributes:
        variant: a row of `VARIANTS`.
        seed: its seed.
        network: trained, in predicting mode.
        threshold: logit above which a picture is a finding, from the validation part.
        validation: all measures on the validation part, at that threshold.
        n_params: numbers in the network.
        seconds: that training took.
        taken_from: digest of the configuration of the run that trained it, None for this one.
        losses: of each member the mean loss of each epoch; None where the run that trained it kept none, and of heads.
    """

    variant: str
    seed: int
    network: PictureClassifier | AveragedClassifiers
    threshold: float
    validation: Mapping[str, float]
    n_params: int
    seconds: float
    taken_from: str | None = None
    losses: Sequence[Losses] | None = None

    def scores(self, pictures: SharedConvolutions) -> NDArray[np.float64]:
        """Logits over the threshold ``(n_pictures,)``."""
        return pictures.logits(self.network) - self.threshold


class Run:
    """A run in its directory.

    Args:
        pictures: the set.
        settings: how everything is trained.
        n_seeds: seeds 0 .. n_seeds - 1.
        variants: names out of `VARIANTS`; the hybrid model is always among them.
        directory: made if absent.
        tell: told of progress.
        reuse: directories of other runs, whose networks are taken over where all that decides their training is the
            same.
        watch: who looks on.

    Raises:
        CheckpointError: the directory holds a run of another configuration, or nothing of another run fits.
        DatasetTooSmallError: too few pictures are left, since equal ones or those of their patients also stand in a
            later part.
    """

    def __init__(  # noqa: PLR0913  # one parameter per part
        self,
        pictures: PictureSet,
        settings: TemplateSettings,
        n_seeds: int,
        variants: tuple[str, ...],
        directory: Path,
        *,
        tell: Tell,
        reuse: Sequence[Path] = (),
        watch: Watch = Watch(),  # noqa: B008  # frozen
    ) -> None:
        self.set, self.settings, self.n_seeds = pictures, settings, n_seeds
        self.variants = tuple(name for name in VARIANTS if name in variants or name == "hybrid")
        self.directory, self.tell, self._watch, self._n_done = directory, tell, watch, 0
        self.learnable = learnable(pictures)
        self.train, self.validation = self.learnable.train, self.learnable.validation
        self._validation_seen = SharedConvolutions(self.validation.pixels)
        self._validation_scores: dict[tuple[str, int], NDArray[np.float64]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self.configuration = {
            "template": "pneumonia",
            "release": __version__,
            "data": pictures.digest,
            "settings": settings.to_dict(),
            "seeds": list(range(n_seeds)),
            "variants": list(self.variants),
            "threshold": THRESHOLD,
            **_beginnings(settings),
        }
        self._others = [OtherRun.at(place) for place in reuse]
        for other in self._others:
            for line in other.checked(self.configuration):
                tell(line)
        self.test = SealedTest(pictures.parts["test"], self.configuration, directory)
        if self.learnable.n_of_patients:
            tell(f"{self.learnable.n_of_patients} pictures left out: their patients also stand in a later part")
        tell(f"configuration {self.test.digest[:12]} is recorded; the test pictures are closed")

    def seeds_of(self, variant: str) -> range:
        """The seeds that a variant is trained with."""
        return range(min(self.n_seeds, self.settings.fewer_seeds.get(variant, self.n_seeds)))

    def validation_scores(self, fitted: Fitted) -> NDArray[np.float64]:
        """Logits of a trained network over its threshold on the validation part, ``(n_pictures,)``; of one that was
        trained before they are computed anew.
        """
        known = self._validation_scores.get((fitted.variant, fitted.seed))
        return fitted.scores(self._validation_seen) if known is None else known

    def _settings_of(self, name: str) -> FitSettings:
        """How the network of a variant is trained, or the network whose features its head stands on."""
        found: FitSettings = getattr(self.settings, name if VARIANTS[name].trained == "whole" else "hybrid")
        return found

    def _seeds(self, name: str, seed: int) -> range:
        """The seeds of the members of a variant's network."""
        return member_seeds(self._settings_of(name).members, seed)

    def fitted(self) -> list[Fitted]:
        """Every variant with every seed, trained now or before; heads right behind the hybrid model they stand on.

        Raises:
            Stopped: the watch asked for it; what is trained is on disk.
        """
        found = []
        for seed in range(self.n_seeds):
            hybrid = self._whole("hybrid", seed)
            found.append(hybrid)
            features = functools.cache(functools.partial(self._features, hybrid.network, seed))
            for name in self.variants:
                if VARIANTS[name].trained == "head":
                    found.append(self._head(name, seed, hybrid.network, features))
        for name in self.variants:
            if VARIANTS[name].trained == "whole" and name != "hybrid":
                found += [self._whole(name, seed) for seed in self.seeds_of(name)]
        return found

    def _whole(self, name: str, seed: int) -> Fitted:
        settings = self._settings_of(name)
        head: Any = VARIANTS[name].head
        before, self._n_done = self._n_done, self._n_done + settings.members * settings.epochs
        seeds = self._seeds(name, seed)
        members = [build(settings, head, self.set.side, one) for one in seeds]
        known = self._known(name, seed, averaged(members))
        if known is not None:
            return known
        clock, checkpoints = time.perf_counter(), []
        for place, (member, own) in enumerate(zip(members, seeds, strict=True)):
            single = len(members) == 1
            label = f"{name} seed {seed}" + ("" if single else f", network {place + 1} of {len(members)}")
            checkpoints.append(self.directory / f"{name}-{seed}{'' if single else f'.{place}'}.checkpoint")
            after = self._after_epoch(label, settings.epochs, before + place * settings.epochs)
            train = self.train
            fit(member, train.pixels, train.labels, settings, own, checkpoint=checkpoints[-1], after_epoch=after)
        losses = [losses_in(checkpoint) for checkpoint in checkpoints]
        fitted = self._kept(name, seed, averaged(members), time.perf_counter() - clock, losses=losses)
        for checkpoint in checkpoints:  # those of whole members stay until all are trained
            checkpoint.unlink(missing_ok=True)
        return fitted

    def _after_epoch(self, label: str, n_epochs: int, before: int) -> Callable[[int, float], None]:
        clock = time.perf_counter()

        def after(epoch: int, loss: float) -> None:
            spent = time.perf_counter() - clock
            self.tell(f"{label}: epoch {epoch} of {n_epochs}, loss {loss:.4f}, {spent:.0f} s")
            self._seen(f"{label}: epoch {epoch} of {n_epochs}", before + epoch)

        return after

    def _features(self, network: PictureClassifier | AveragedClassifiers, seed: int) -> list[Features]:
        """What heads are trained on, for each member; made when the first head is trained."""
        return [
            cached_features(member, self.train, self.validation, self.settings, own)
            for member, own in zip(members_of(network), self._seeds("hybrid", seed), strict=True)
        ]

    def _head(
        self,
        name: str,
        seed: int,
        hybrid: PictureClassifier | AveragedClassifiers,
        features: Callable[[], list[Features]],
    ) -> Fitted:
        kind: Any = VARIANTS[name].head
        self._seen(f"{name} seed {seed}", self._n_done)
        members, seeds = members_of(hybrid), self._seeds(name, seed)
        shape: Any = "linear" if kind == "logistic" else kind
        empty = [build(self.settings.hybrid, shape, self.set.side, one).head for one in seeds]
        known = self._known(name, seed, averaged(list(map(with_head, members, empty))))
        if known is not None:
            return known
        clock = time.perf_counter()
        if kind == "logistic":
            heads = [logistic_head(own, self.settings.heads) for own in features()]
        else:
            heads = [fit_head(own, kind, self.settings.heads, one) for own, one in zip(features(), seeds, strict=True)]
        network = averaged(list(map(with_head, members, heads)))
        fitted = self._kept(name, seed, network, time.perf_counter() - clock)
        self.tell(f"{name} seed {seed}: {fitted.seconds:.1f} s on the hybrid model's features")
        return fitted

    def _seen(self, stage: str, n_epochs: int) -> None:
        """Tell the watch how far the run is, and leave off where it says so."""
        whole = [name for name in self.variants if VARIANTS[name].trained == "whole"]
        rows = [(len(self.seeds_of(name)), self._settings_of(name)) for name in whole]
        n_all = sum(n_seeds * own.members * own.epochs for n_seeds, own in rows)
        self._watch.progress(stage, n_epochs / n_all)
        if self._watch.should_stop():
            raise Stopped(f"Stopped after {stage}; begun again with the same arguments, the run goes on from there.")

    def _known(self, name: str, seed: int, network: PictureClassifier | AveragedClassifiers) -> Fitted | None:
        """The network as it was trained before, here or in another run; None where it was not."""
        if self._facts(name, seed).exists():
            return self._read(name, seed, network)
        return self._taken(name, seed, network)

    def _taken(self, name: str, seed: int, network: PictureClassifier | AveragedClassifiers) -> Fitted | None:
        """A network that another run has trained, with a threshold of this run; None where there is none."""
        for other in self._others:
            found = other.network(name, seed, self.configuration)
            if found is None:
                continue
            try:
                network.load_state_dict(load_file(found[0]))
            except Exception as error:  # safetensors and torch have many
                raise CheckpointError(f"{found[0]} does not hold the network that was trained: {error}") from error
            self.tell(f"{name} seed {seed}: taken over from run {other.digest[:12]}")
            facts = found[1]
            return self._kept(
                name, seed, network.eval(), float(facts["seconds"]), taken_from=other.digest, losses=facts.get("losses")
            )
        return None

    def _facts(self, name: str, seed: int) -> Path:
        return self.directory / f"{name}-{seed}.json"

    def _kept(
        self,
        name: str,
        seed: int,
        network: PictureClassifier | AveragedClassifiers,
        seconds: float,
        *,
        taken_from: str | None = None,
        losses: Sequence[Losses] | None = None,
    ) -> Fitted:
        """Choose the threshold, measure on validation, and put the network on disk; the facts last."""
        truth = self.validation.labels
        logits = self._validation_seen.logits(network)
        threshold = threshold_of(truth, logits)
        self._validation_scores[name, seed] = logits - threshold
        facts = {
            "threshold": threshold,
            "validation": {k: v if np.isfinite(v) else None for k, v in measured(truth, logits - threshold).items()},
            "n_params": sum(p.numel() for p in network.parameters()),
            "seconds": seconds,
            **({} if taken_from is None else {"taken_from": taken_from}),
            **({} if losses is None else {"losses": losses}),
        }
        arrays = {key: value.contiguous() for key, value in network.state_dict().items()}
        write_atomically(self.directory / f"{name}-{seed}.safetensors", save(arrays))
        write_sealed_json(self._facts(name, seed), facts)
        return _fitted(name, seed, network, facts)

    def _read(self, name: str, seed: int, network: PictureClassifier | AveragedClassifiers) -> Fitted:
        facts = read_sealed_json(self._facts(name, seed)) or {}
        try:
            network.load_state_dict(load_file(self.directory / f"{name}-{seed}.safetensors"))
        except Exception as error:  # safetensors and torch have many
            raise CheckpointError(
                f"{name}-{seed}.safetensors does not hold the network that was trained: {type(error).__name__}. Remove "
                f"it and {name}-{seed}.json to train it again."
            ) from error
        self.tell(f"{name} seed {seed}: trained before")
        return _fitted(name, seed, network.eval(), facts)


def _beginnings(settings: TemplateSettings) -> dict[str, Any]:
    """What of the configuration says that training begins with weights of somebody else; empty where none does."""
    if not any(own.features == "efficientnet" for own in settings.networks().values()):
        return {}
    return {"begins_with": {"weights": "EfficientNet-Lite0, trained on ImageNet", "sha256": IMAGENET_SHA256}}


def _fitted(name: str, seed: int, network: PictureClassifier | AveragedClassifiers, facts: Mapping[str, Any]) -> Fitted:
    keys = ("threshold", "validation", "n_params", "seconds")
    later = ("taken_from", "losses")
    found: dict[str, Any] = {**{key: facts[key] for key in keys}, **{key: facts.get(key) for key in later}}
    return Fitted(name, seed, network, **found)
