"""Cross-validation of a picture network on kinds of pictures it has not seen: folds of clusters of like pictures.

    python benchmarks/picture_folds.py pneumoniamnist.npz
    python benchmarks/picture_folds.py pneumoniamnist.npz --set width=24 --set auxiliary=0 --set small_head=no
    python benchmarks/picture_folds.py pneumoniamnist.npz --network strong_cnn --fold 0 --seed 0 --json
    python benchmarks/picture_folds.py pneumoniamnist.npz --heads 6 --head-set learning_rate=0.01

The template chooses its settings on training and validation pictures alone. Folds at random, and the official
validation part, hold pictures like those that are trained on (of the same patients too), and everything tried has an
AUC of 0.997 there. Here pictures of each class fall into 24 clusters, by k-means on 24 principal components of their
pixels, standardised per picture, and on six numbers of brightness, contrast and sharpness; a cluster stays in one fold.
The test part's pictures are never looked at but for the digests of pictures that stand in it too, which are left out.

``--heads N`` also trains N of each head alone on the features of each hybrid network, as the template does for the rows
of its table that say what the circuit is worth, and tells how the seeds spread: settings by which they spread widely
leave that question undecided.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import nn

from harness import environment_facts, print_json, print_table, say, version_of
from superpose.datasets.picture_sets import Pictures, groups_of_equals, read_pictures
from superpose.learning.templates.pneumonia.choices import PRESETS
from superpose.learning.templates.pneumonia.fitting import build, fit
from superpose.learning.templates.pneumonia.members import averaged, member_seeds
from superpose.learning.templates.pneumonia.networks import PictureClassifier
from superpose.learning.templates.pneumonia.options import Head
from superpose.learning.templates.pneumonia.settings import Augmentation, FitSettings, HeadSettings, TemplateSettings
from superpose.learning.templates.pneumonia.variants import cached_features, fit_head, logistic_head, with_head

N_FOLDS, N_CLUSTERS, N_COMPONENTS = 4, 24, 24
SIDE = 28
HELD_BACK = 0.1
"""Share of the pictures of the other folds that is not trained on either, to show what a split at random would say."""
_HEADS: Mapping[str, Any] = {"hybrid": "hybrid", "strong_cnn": "linear", "resnet18": "linear"}
MEASURES = {"auc": "AUC", "accuracy_at_half": "accuracy at 0.5", "auc_at_random": "AUC of pictures held back at random"}
_WORDS = {"yes": True, "no": False}

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pictured = tuple[Floats, Ints, Ints]
"""Pixels, labels and folds."""
Settings = TypeVar("Settings", FitSettings, HeadSettings, Augmentation)
ALONE: tuple[Head, ...] = ("hybrid", "twin", "unentangled", "frozen")


def learnable(path: Path) -> tuple[Floats, Ints]:
    """Pixels ``(n, side * side)`` and labels of training and validation, without those that the test part has too."""
    parts = read_pictures(path, side=SIDE).parts
    pixels = np.concatenate([parts[name].pixels for name in ("train", "val")])
    labels = np.concatenate([parts[name].labels for name in ("train", "val")])
    groups = groups_of_equals(np.concatenate([pixels, parts["test"].pixels]))
    kept = ~np.isin(groups[: len(pixels)], groups[len(pixels) :])
    return pixels[kept], labels[kept]


def likeness(pixels: Floats) -> NDArray[np.float64]:
    """Numbers ``(n, n_components + 6)`` by which pictures are like: shapes, and brightness, contrast and sharpness."""
    images = pixels.reshape(len(pixels), SIDE, SIDE)
    middle, spread = pixels.mean(1, keepdims=True), pixels.std(1, keepdims=True)
    shapes = PCA(N_COMPONENTS, random_state=0).fit_transform((pixels - middle) / np.maximum(spread, 1e-6))
    edges = [np.abs(np.diff(images, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    ways = np.column_stack(
        [middle[:, 0], *(np.log(np.maximum(one, 1e-6)) for one in (spread[:, 0], *edges)), pixels.min(1), pixels.max(1)]
    )
    return np.column_stack([shapes / shapes.std(), (ways - ways.mean(0)) / np.maximum(ways.std(0), 1e-12)])


def folds(pixels: Floats, labels: Ints) -> Ints:
    """The fold ``(n,)`` of each picture; clusters of a class are dealt out, largest first, to about equal folds."""
    numbers, found, rng = likeness(pixels), np.zeros(len(labels), np.int64), np.random.default_rng(0)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        cluster = KMeans(N_CLUSTERS, n_init=3, random_state=0).fit_predict(numbers[own])
        sizes, loads = np.bincount(cluster, minlength=N_CLUSTERS), np.zeros(N_FOLDS)
        for one in np.argsort(-sizes + rng.normal(0.0, 1e-3, N_CLUSTERS)):
            fold = int(np.argmin(loads + rng.random(N_FOLDS) * sizes.mean()))
            found[own[cluster == one]] = fold
            loads[fold] += sizes[one]
    return found


def changed(settings: FitSettings, changes: Sequence[str]) -> FitSettings:
    """Settings with ``NAME=VALUE`` for settings of the network or of its augmentation.

    Raises:
        ValueError: a name that neither has, or a value of another type.
    """
    for change in changes:
        own = settings.augmentation
        if change.partition("=")[0] in simple_fields(own):
            settings = replace(settings, augmentation=with_value(own, change, "--set", ()))
        else:
            settings = with_value(settings, change, "--set", simple_fields(own))
    return settings


def simple_fields(settings: Any) -> set[str]:
    """The names of settings that are one word or number each."""
    return {one.name for one in fields(settings) if isinstance(getattr(settings, one.name), bool | int | float | str)}


def with_value(settings: Settings, change: str, option: str, known_too: Iterable[str]) -> Settings:
    """Settings with another value of one.

    Args:
        settings: any of the template's.
        change: as ``NAME=VALUE``.
        option: that brought it.
        known_too: names that could have been meant besides.

    Raises:
        ValueError: there is no such setting, or the value is of another type.
    """
    name, _, text = change.partition("=")
    if name not in simple_fields(settings):
        known = sorted(simple_fields(settings) | set(known_too))
        raise ValueError(f"{option} {change}: no setting of what is trained; it takes {', '.join(known)}")
    kind = type(getattr(settings, name))
    try:
        value = _WORDS[text] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        wanted = "yes or no" if kind is bool else f"a value of type {kind.__name__}"
        raise ValueError(f"{option} {change}: {name} takes {wanted}, got {text!r}") from error
    return replace(settings, **{name: value})


def scores(network: nn.Module, pixels: Floats) -> Floats:
    """Logits ``(n,)`` of class 1."""
    with torch.no_grad():
        found = [network(torch.from_numpy(pixels[at : at + 128])) for at in range(0, len(pixels), 128)]
    both = torch.cat(found)
    return (both[:, 1] - both[:, 0]).numpy()


def row_of(pictures: Pictured, what: tuple[str, FitSettings], fold: int, seed: int) -> tuple[dict[str, Any], nn.Module]:
    """A network trained without a fold, and what it makes of that fold."""
    (pixels, labels, _), (name, settings) = pictures, what
    trained, beside, held = parts_of(pictures, fold)
    began = time.perf_counter()
    members = []
    for own in member_seeds(settings.members, seed):
        member = build(settings, _HEADS[name], SIDE, own)
        members.append(fit(member, pixels[trained], labels[trained], settings, own))
    network = averaged(members)
    logits = scores(network, pixels[held])
    row = {
        "fold": fold,
        "seed": seed,
        "n_trained": int(trained.sum()),
        "n_held": int(held.sum()),
        "auc": float(roc_auc_score(labels[held], logits)),
        "accuracy_at_half": float(np.mean((logits > 0) == labels[held])),
        "auc_at_random": float(roc_auc_score(labels[beside], scores(network, pixels[beside]))),
        "seconds": time.perf_counter() - began,
    }
    return row, network


def head_rows(
    pictures: Pictured, network: PictureClassifier, settings: TemplateSettings, place: tuple[int, int], n_seeds: int
) -> list[dict[str, Any]]:
    """What heads trained alone on a network's features make of the fold that both have not seen.

    Args:
        pictures: pixels, labels and folds.
        network: trained without the fold.
        settings: of the network and of heads.
        place: fold, and seed of the network.
        n_seeds: heads of each kind.
    """
    pixels, labels, _ = pictures
    trained, beside, held = parts_of(pictures, place[0])
    parts = [Pictures(pixels[one], labels[one], None) for one in (trained, beside)]
    features = cached_features(network, *parts, settings, place[1])
    found = []
    for kind in (*ALONE, "logistic"):
        for seed in range(n_seeds if kind != "logistic" else 1):
            head = (
                logistic_head(features, settings.heads)
                if kind == "logistic"
                else fit_head(features, kind, settings.heads, seed)
            )
            whole = with_head(network, head)
            logits = scores(whole, pixels[held])
            found.append({"fold": place[0], "seed": place[1], "head": kind, "head_seed": seed})
            found[-1]["auc"] = float(roc_auc_score(labels[held], logits))
    return found


def parts_of(pictures: Pictured, fold: int) -> tuple[Flags, Flags, Flags]:
    """Which pictures are trained on, held back at random, and held back by likeness."""
    _, labels, fold_of = pictures
    held, apart = fold_of == fold, np.random.default_rng(7).random(len(labels)) < HELD_BACK
    return ~held & ~apart, ~held & apart, held


def spread_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each head its AUC, how far its seeds lie apart on the same features, and the lowest AUC of all."""
    found = []
    for kind in dict.fromkeys(row["head"] for row in rows):
        own = [row for row in rows if row["head"] == kind]
        by_network: dict[tuple[int, int], list[float]] = {}
        for row in own:
            by_network.setdefault((row["fold"], row["seed"]), []).append(row["auc"])
        several = [stdev(aucs) for aucs in by_network.values() if len(aucs) > 1]
        aucs = [row["auc"] for row in own]
        deviation = mean(several) if several else None
        found.append({"head": kind, "auc": mean(aucs), "deviation": deviation, "lowest": min(aucs)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Cross-validation of a picture network on clusters of like pictures.")
    parser.add_argument("data", type=Path, help="pneumoniamnist.npz, or another set of two classes")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="chest")
    parser.add_argument("--network", choices=tuple(_HEADS), default="hybrid")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="changes")
    parser.add_argument("--fold", type=int, action="append", choices=range(N_FOLDS), help="default: all four")
    parser.add_argument("--seed", type=int, action="append", help="default: 0")
    parser.add_argument("--heads", type=int, default=0, metavar="N", help="train N of each head alone too")
    parser.add_argument("--head-set", action="append", default=[], metavar="NAME=VALUE", dest="head_changes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    preset = PRESETS[options.preset]
    try:
        settings = changed(getattr(preset, options.network), options.changes)
        for change in options.head_changes:
            preset = replace(preset, heads=with_value(preset.heads, change, "--head-set", ()))
    except ValueError as error:
        parser.error(str(error))
    if options.heads and (options.network != "hybrid" or settings.members != 1):
        parser.error("--heads takes the features of one hybrid network: --network hybrid, --set members=1")
    preset = replace(preset, hybrid=settings) if options.heads else preset
    pixels, labels = learnable(options.data)
    pictures = pixels, labels, folds(pixels, labels)
    rows, heads = [], []
    for seed in options.seed or [0]:
        for fold in options.fold or range(N_FOLDS):
            row, network = row_of(pictures, (options.network, settings), fold, seed)
            rows.append(row)
            say(f"  fold {fold}, seed {seed}: AUC {row['auc']:.4f} in {row['seconds']:.0f} s")
            if options.heads:
                heads += head_rows(pictures, network, preset, (fold, seed), options.heads)
    facts = environment_facts(options.threads, versions={"torch": version_of("torch")}, changes=options.changes)
    if options.heads:
        facts |= {"head_changes": options.head_changes, "heads": heads}
    if options.json:
        print_json(facts, rows)
        return
    average: dict[str, Any] = {
        "fold": "mean",
        "seed": "",
        **{name: mean(row[name] for row in rows) for name in MEASURES},
    }
    columns = {"fold": lambda row: str(row["fold"]), "seed": lambda row: str(row["seed"])}
    columns |= {title: lambda row, name=name: f"{row[name]:.4f}" for name, title in MEASURES.items()}
    print_table(f"{options.preset}, {options.network}", [*rows, average], columns)
    if heads:
        deviation = "deviation over seeds"
        of_heads = {"head": lambda row: row["head"], "AUC": lambda row: f"{row['auc']:.4f}"}
        of_heads[deviation] = lambda row: "" if row["deviation"] is None else f"{row['deviation']:.4f}"
        of_heads["lowest"] = lambda row: f"{row['lowest']:.4f}"
        print_table(f"{options.preset}, heads alone on these features", spread_of(heads), of_heads)


if __name__ == "__main__":
    main()
