"""Reports of every kind of training: each names what is its own, and no section is broken or silently empty."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from superpose import HybridClassifier, HybridRegressor, load_model
from superpose.explain import ReportFacts, training_report
from superpose.learning import Predictor
from superpose.learning.families import FAMILIES
from superpose.service import JobKind, ModelVersion, Principal, Service, ServiceConfig

from .conftest import SMALL_SPEC, ended, working

Setting = tuple[Service, Principal, ServiceConfig, Path]
ALONE: dict[str, Any] = {**SMALL_SPEC, "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}}


def _of_job(setting: Setting, spec: dict[str, Any], kind: str = JobKind.TRAIN, model: str = "one") -> bytes:
    """The report of a job on the trial data, which is that of its version too."""
    service, admin, config, _ = setting
    job = service.jobs.submit(admin, kind, spec, dataset="trial", model_name=model)
    with working(config):
        job = ended(service, job)
    assert job.status == "succeeded", job.error
    page = _bytes(service.reports.of_job(admin, job.id))
    assert _bytes(service.reports.of_version(admin, model)) == page
    result: Any = job.result
    verdict = result["evaluation"]["verdict"]  # every training has one, whatever its kind, and shows it
    assert verdict.endswith(".") and verdict in html.unescape(page.decode("utf-8"))
    return page


def _bytes(made: Any) -> bytes:
    return b"".join(made.file.chunks(0, made.file.n_bytes))


def _module(setting: Setting) -> bytes:
    import torch

    from superpose import export_module

    from ..learning import modules_under_test as users

    service, admin, _, _ = setting
    version = service.models.version(admin, "outcome")
    n_columns = version.manifest["pipeline"]["network"]["n_columns"]
    exported = export_module(users.Hybrid(n_columns, 2), torch.zeros(2, n_columns))
    module = service.modules.add(admin, name="own", content=exported.to_bytes())
    spec = {"training": {"epochs": 2}, "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"}}
    return _of_job(setting, {"module": module.id, "loss": "cross_entropy", "spec": spec}, JobKind.TRAIN_MODULE)


def _measured(setting: Setting) -> bytes:
    return _of_job(setting, {**ALONE, "training": {"epochs": 1}, "backend": {"name": "local", "shots": 20}})


def _private(setting: Setting) -> bytes:
    return _of_job(setting, {**SMALL_SPEC, "privacy": {"epsilon": 5.0}})


def _fine_tuned(setting: Setting) -> bytes:
    spec = {name: value for name, value in SMALL_SPEC.items() if name != "model"}
    return _of_job(setting, {**spec, "fine_tune": {"parent": "outcome:1", "freeze": ["circuit"]}})


def _imported(setting: Setting) -> bytes:
    """A model file without an evaluation."""
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    path = setting[3] / "flowers.superpose"
    HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, labels).save(path)
    return _of_version(setting, path)


def _of_version(setting: Setting, path: Path) -> bytes:
    service, admin, config, _ = setting
    job = service.imports.submit(admin, "arrived", path.read_bytes())
    with working(config):
        assert ended(service, job).status == "succeeded"
    return _bytes(service.reports.of_version(admin, "arrived"))


def _carried_over(setting: Setting) -> bytes:
    """The file of a trained version, imported."""
    service, admin, _, directory = setting
    path = directory / "outcome.superpose"
    path.write_bytes(service.models.content(service.models.version(admin, "outcome")))
    return _of_version(setting, path)


def _private_file(setting: Setting) -> bytes:
    """An estimator's file, which no job has judged."""
    pytest.importorskip("opacus", reason="private training needs superpose[privacy]")
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    path = setting[3] / "private.superpose"
    made = HybridClassifier(n_qubits=2, layers=1, epochs=1, epsilon=5.0, random_state=0).fit(rows, labels)
    made.save(path)
    load_model(path).save(path)  # and what was spent is still there
    return training_report(ReportFacts(Predictor.load(path)))


def _family(setting: Setting) -> bytes:
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    model = FAMILIES["projected_kernel"].load()(random_state=0, max_qubits=3, bandwidth=1.0, C=1.0)
    path = setting[3] / "family.superpose"
    model.fit(rows.iloc[:100], np.asarray(labels)[:100]).save(path)
    return training_report(ReportFacts(Predictor.load(path)))


def _regressor(setting: Setting) -> bytes:
    rows, numbers = load_diabetes(return_X_y=True, as_frame=True)
    path = setting[3] / "numbers.superpose"
    HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows.iloc[:60], numbers[:60]).save(path)
    return training_report(ReportFacts(Predictor.load(path)))


KINDS: list[tuple[Callable[[Setting], bytes], list[str]]] = [
    (_module, ["Training report: one version 1", "kind of job train_module", "3 qubits, 18 trained angles"]),
    (_measured, ["Circuits in training were measured on local: ", "over 1 epoch.", "circuits in training local"]),
    (
        _private,
        ["Trained with differential privacy: epsilon 4.9", "Trained privately: losses on training rows are left"],
    ),
    (_private_file, ["Trained with differential privacy: epsilon 4.9"]),
    (
        _fine_tuned,
        [
            "Fine-tuning Against the same model trained from scratch: undecided; difference in accuracy +0.",
            "Fine-tuned from outcome:1 (SHA-256 ",
            "preprocessing and entry layer were taken over; the head was taken over.",
            "Not trained: circuit.",
            "The parent was trained on data with the digest",
        ],
    ),
    (
        _imported,
        [
            "What it was trained on is not recorded",
            "Learning curves Left out: this model was not evaluated.",
            "Left out: the model file does not tell of its data. It takes 4 columns.",
            "Nothing tells of differential privacy",
            "imported by job job_",
        ],
    ),
    (
        _carried_over,
        [
            "58 training rows, 14 validation rows, 18 test rows",
            "Explanation Left out: the model file alone does not hold it",
            "Cost and energy Left out: the model file alone does not hold it",
            "imported by job job_",
        ],
    ),
    (_family, ["Training report: projected kernel", "Results Left out: this model was not evaluated."]),
    (_regressor, ["Training report: hybrid regressor", "this model predicts numbers, and has no probabilities"]),
]
NEVER = {
    _imported: ["there is no model file", "Jobs of older releases", "kind of job", "the training job left"],
    _carried_over: ["kind of job", "started"],
    _family: ["hybrid model", "there is no model file", "Jobs of older releases", "the training job left"],
    _regressor: ["hybrid model", "there is no model file", "Jobs of older releases", "the training job left"],
}
"""What would be wrong there."""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(make, says, id=make.__name__[1:], marks=() if make in NEVER else pytest.mark.slow)
        for make, says in KINDS
    ],
)
def test_every_kind_of_training_has_its_report(
    make: Callable[[Setting], bytes],
    says: list[str],
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    model: ModelVersion,
    tmp_path: Path,
) -> None:
    page = make((service, admin, config, tmp_path)).decode("utf-8")
    drawn = re.sub(r'<div role="img" aria-label="([^"]*)">', r" \1 ", page)
    text = " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|svg|nav).*?</\1>", " ", drawn)).split())
    for said in says:
        assert said in text, said
    for wrong in NEVER.get(make, ()):
        assert wrong not in text, wrong
    assert not re.search(r"\b(None|nan)\b", text)
    for section in re.findall(r"(?s)<h2 id=.*?</section>", page):
        assert re.search(r"<(p|li|td|figure)\b", section), section
