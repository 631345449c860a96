"""`train_pneumonia`: the chest X-ray template from a file of pictures to a report and a model file."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose import __version__
from superpose.datasets import drift_baseline
from superpose.datasets.picture_patients import groups_of_patients, shared_patients
from superpose.datasets.picture_sets import PARTS, Pictures, PictureSet, groups_of_equals, read_pictures
from superpose.datasets.picture_tables import picture_table
from superpose.learning.calibration.report import calibration_report
from superpose.learning.canonical import canonical_json, write_atomically
from superpose.learning.plot_data import losses_of_seeds
from superpose.learning.templates.directory_lock import locked
from superpose.learning.templates.pneumonia.choices import CHOSEN_BY, PRESETS
from superpose.learning.templates.pneumonia.facts import INTENDED_USE, drawn_said, facts_of, limits_of
from superpose.learning.templates.pneumonia.measures import measures_of
from superpose.learning.templates.pneumonia.options import VARIANTS, check_options, check_side, default_variants
from superpose.learning.templates.pneumonia.plots import plots_of
from superpose.learning.templates.pneumonia.report import CONFIDENCE, MARGIN, NOTICE, comparisons_of, verdict_of
from superpose.learning.templates.pneumonia.run import Fitted, Run
from superpose.learning.templates.pneumonia.safeguards import both_probabilities, safeguards_of
from superpose.learning.templates.pneumonia.serving import save_model
from superpose.learning.templates.pneumonia.shared_convolutions import SharedConvolutions
from superpose.learning.templates.watching import Tell, Watch

__all__ = ["train_pneumonia"]


def _quiet(line: str) -> None:
    pass


def train_pneumonia(  # noqa: PLR0913  # one parameter per option
    source: PictureSet | Path | str,
    directory: Path | str,
    *,
    preset: str = "chest",
    seeds: int = 5,
    epochs: int | None = None,
    variants: Sequence[str] | None = None,
    side: int = 28,
    reuse: Sequence[Path | str] = (),
    tell: Tell = _quiet,
    watch: Watch = Watch(),  # noqa: B008  # frozen
    exclusive: bool = True,
) -> dict[str, Any]:
    """Train the hybrid classifier of pictures beside what it must be compared with, and judge it on the test part.

    Convolutional features -> 4 -> dressed circuit of six layers -> 2 classes. The configuration's digest is on disk
    before the test pictures are looked at; every look is in the report. A run that was killed goes on when it is
    called again with the same arguments, and loses at most an epoch. Not for clinical use.

    Args:
        source: a MedMNIST file, a folder or a zip archive, see `superpose.datasets.picture_sets`; or pictures that have
            been read.
        directory: of the run: checkpoints, networks, ``report.json`` and ``model.superpose``; made if absent.
        preset: "chest", "breast" or "pretrained". The second takes mirror images for equal, trains longer on few
            pictures, and averages two networks of each seed; the third begins with what was learnt on ImageNet
            (``pip install 'superpose[pretrained]'``).
        seeds: how many; with fewer than two there is no interval over seeds and no comparison.
        epochs: of every training; by default the preset's.
        variants: names of what is trained beside the hybrid model; see `VARIANTS`. By default all of the preset but
            ResNet-18.
        side: pixels that PNG, JPEG and DICOM pictures are brought to.
        reuse: directories of earlier runs: networks trained there under identical settings (same data, release, seed
            and training) are taken over, and the report says which. A directory of which nothing fits is refused.
        tell: told of progress.
        watch: told of progress in numbers, and asked whether to stop.
        exclusive: refuse if another process runs in the directory; the service, whose attempts have directories of
            their own, leaves that out.

    Returns:
        The report as JSON values; ``metrics.auc.mean`` is the mean over the seeds. Classification measures are at the
        threshold that each seed chose on validation.

    Raises:
        SpecError: no such preset or variant, or a number out of range.
        ExtraMissingError: the preset begins with weights that are not installed.
        DatasetFormatError: pictures of fewer than 4 x 4 pixels.
        Stopped: the watch asked for it.
        DatasetError: see `read_pictures`.
        CheckpointError: the directory holds a run of another configuration, or a damaged file, or another process runs
            in it; nothing of a directory in ``reuse`` fits.
        OSError: a file cannot be read or written.

    Cost: on PneumoniaMNIST, with 5 seeds, about an hour on one core; three seeds of ResNet-18 are another hour. 0.6 GB
    of memory, with ResNet-18 1 GB.
    Source: Mari et al. 2020, arXiv 1912.08278 (the circuit); Yang et al. 2023, arXiv 2110.14795 (the data).
    """
    clock = time.perf_counter()
    check_options(preset, seeds, epochs, variants)
    pictures = source if isinstance(source, PictureSet) else read_pictures(Path(source), side=side)
    check_side(pictures.side)
    settings = PRESETS[preset] if epochs is None else PRESETS[preset].for_epochs(epochs)
    place = Path(directory)
    with locked(place) if exclusive else nullcontext():
        run = Run(
            pictures,
            settings,
            seeds,
            default_variants(preset) if variants is None else tuple(variants),
            place,
            tell=tell,
            reuse=[Path(one) for one in reuse],
            watch=watch,
        )
        return _reported(run, preset, clock)


def _reported(run: Run, preset: str, clock: float) -> dict[str, Any]:
    """Train what is not trained yet, open the test part, and write model file and report."""
    pictures, place, tell = run.set, run.directory, run.tell
    fitted = run.fitted()
    test = run.test.open(f"measure {len(fitted)} trained networks, {', '.join(run.variants)}")
    tell(f"test pictures opened, {len(test)}")
    scores: dict[str, list[NDArray[np.float64]]] = {name: [] for name in run.variants}
    seen = SharedConvolutions(test.pixels)
    for one in fitted:
        scores[one.variant].append(one.scores(seen))
    groups = groups_of_patients(test.owners())
    n_patients = None if groups is None else len(np.unique(groups))
    figures = {name: measures_of(test.labels, own, groups=groups) for name, own in scores.items()}
    comparisons = comparisons_of(figures)
    report: dict[str, Any] = {
        "template": "pneumonia",
        "notice": NOTICE,
        "preset": preset,
        "intended_use": INTENDED_USE,
        "limits": limits_of(run.configuration, n_patients),
        "data": _data(run),
        "configuration": run.configuration,
        "configuration_sha256": run.test.digest,
        "configuration_recorded_at": run.test.recorded_at,
        "chosen_by": CHOSEN_BY[preset],
        "test_openings": run.test.openings,
        "intervals": {
            "over_seeds": "Student, 95 %, of the mean over seeds on these test pictures",
            "over_images": drawn_said(n_patients),
            "n_patients": n_patients,
        },
        "metrics": figures["hybrid"],
        "variants": {name: {**_row(name, fitted), "metrics": figures[name]} for name in run.variants},
        "comparisons": comparisons,
        "margin": MARGIN,
        "confidence": CONFIDENCE,
        "verdict": verdict_of(comparisons, run.n_seeds),
    }
    report["model"] = _saved(place / "model.superpose", run, fitted, report, test, scores["hybrid"])
    report["plots"] = plots_of(test.labels, scores, pictures.classes, report["model"]["seed"])
    report["plots"]["learning_curves"] = _curves(run, fitted)
    report["environment"] = {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__,
                             "python": platform.python_version(), "threads": torch.get_num_threads()}  # fmt: skip
    report["seconds"] = {"this_call": time.perf_counter() - clock, "training": sum(one.seconds for one in fitted)}
    write_atomically(place / "report.json", canonical_json(report))
    tell(NOTICE)
    return report


def _data(run: Run) -> dict[str, Any]:
    pictures, parts = run.set, {}
    used = {"train": run.train, "val": run.validation}
    for part in PARTS:
        own = pictures.parts[part]
        counts = np.bincount(own.labels, minlength=2).tolist()
        groups = groups_of_equals(own.pixels)
        parts[part] = {
            "n_pictures": len(own),
            "n_used": len(used.get(part, own)),
            "per_class": dict(zip(pictures.classes, counts, strict=True)),
            "n_equal_to_another": len(groups) - len(np.unique(groups)),
        }
    return {"name": pictures.name, "sha256": pictures.digest, "side": pictures.side, "classes": list(pictures.classes),
            "split": pictures.origin, "parts": parts, "n_left_out_as_equal": run.learnable.n_equal,
            "n_left_out_of_patients": run.learnable.n_of_patients, "patients": _patients(pictures)}  # fmt: skip


def _patients(pictures: PictureSet) -> dict[str, int] | None:
    """How many patients there are, and how many stand in several parts; None where they are not known."""
    parts = np.repeat(PARTS, [len(pictures.parts[part]) for part in PARTS])
    return shared_patients(parts.tolist(), np.concatenate([pictures.parts[part].owners() for part in PARTS]))


def _row(name: str, fitted: Sequence[Fitted]) -> dict[str, Any]:
    own = [one for one in fitted if one.variant == name]
    return {
        "label": VARIANTS[name].label,
        "trained": VARIANTS[name].trained,
        "n_seeds": len(own),
        "n_params": own[0].n_params,
        "seconds_per_seed": sum(one.seconds for one in own) / len(own),
        "thresholds": [one.threshold for one in own],
        "validation": [dict(one.validation) for one in own],
        "taken_from": [one.taken_from for one in own],
    }


def _curves(run: Run, fitted: Sequence[Fitted]) -> dict[str, Any]:
    """Of each variant that is trained whole the losses by epoch, as far as they are known."""
    whole = [name for name in run.variants if VARIANTS[name].trained == "whole"]
    found = {name: losses_of_seeds([one.losses for one in fitted if one.variant == name]) for name in whole}
    return {name: curves for name, curves in found.items() if curves is not None}


def _saved(
    path: Path,
    run: Run,
    fitted: Sequence[Fitted],
    report: dict[str, Any],
    test: Pictures,
    scores: Sequence[NDArray[np.float64]],
) -> dict[str, Any]:
    """The model file of the hybrid model whose seed did best on validation, by Brier score; it has scores by seed."""
    best = min((one for one in fitted if one.variant == "hybrid"), key=lambda one: one.validation["brier"])
    safeguards = safeguards_of(run.train, run.validation, run.validation_scores(best))
    calibration = calibration_report(
        safeguards, probabilities=both_probabilities(scores[best.seed]), truth=test.labels,
        encoded=test.pixels.astype(np.float64), confidence=CONFIDENCE,
        groups=groups_of_patients(test.owners()),
    )  # fmt: skip
    facts = facts_of(
        report,
        best.seed,
        CONFIDENCE,
        calibration={**calibration, "validation_chose": "the threshold of 0.5"},
        baseline=drift_baseline(picture_table(run.set.name, run.train, run.set.classes)),
    )
    said = save_model(path, best.network, best.threshold, run.set.classes, facts, safeguards)
    return {"file": path.name, "seed": best.seed, **said}
