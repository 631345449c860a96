"""Drift: new rows held against what a model version was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superpose.errors import NoBaselineError
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.models import Models, VersionRef
from superpose.service.config import ServiceConfig
from superpose.service.nouns import ModelVersion, Principal, Role

__all__ = ["Drifts"]


class Drifts:
    """The drift of tables from the training data of model versions.

    Args:
        models: the registry, whose versions carry their baselines.
        datasets: registered tables.
        config: limits.
    """

    def __init__(self, models: Models, datasets: Datasets, config: ServiceConfig) -> None:
        self._models = models
        self._datasets = datasets
        self._config = config

    def of_dataset(self, principal: Principal, name: str, version: VersionRef, dataset: str) -> dict[str, Any]:
        """The drift of a registered data set.

        Raises:
            NotFoundError: no such version or data set in the caller's project.
            NoBaselineError: the version has no baseline.
            FeatureMismatchError: the data set lacks a column of the model.
        """
        found = self.version(principal, name, version)
        table = self._datasets.table(self._datasets.get(principal, dataset))
        return _report(found, {column: table.features[column].to_numpy() for column in table.feature_names})

    def of_file(self, principal: Principal, name: str, version: VersionRef, path: Path, format: str) -> dict[str, Any]:
        """The drift of a file of rows; it needs no target.

        Raises:
            NotFoundError: no such version in the caller's project.
            NoBaselineError: the version has no baseline.
            DatasetError: the file cannot be read.
            FeatureMismatchError: the file lacks a column of the model.
        """
        from superpose.datasets import read_features

        found = self.version(principal, name, version)
        columns = read_features(path, format=format, name="the rows", max_columns=self._config.max_columns)
        return _report(found, columns)

    def version(self, principal: Principal, name: str, version: VersionRef) -> ModelVersion:
        """A version that has a baseline.

        Raises:
            NotFoundError: no such version in the caller's project.
            NoBaselineError: the version has no baseline.
        """
        principal.require(Role.VIEWER)
        found = self._models.version(principal, name, version)
        if "drift_baseline" not in found.manifest:
            from superpose.explain import how_to_have

            raise NoBaselineError(
                f"Version {found.version} of model {found.model!r} has no drift baseline. "
                f"{how_to_have('drift_baseline', found.manifest, found.evidence)}",
                model=found.model,
                version=found.version,
            )
        return found


def _report(version: ModelVersion, columns: dict[str, Any]) -> dict[str, Any]:
    from superpose.datasets import compare_drift

    baseline: Any = version.manifest["drift_baseline"]
    return {"model": version.model, "version": version.version, **compare_drift(baseline, columns).to_dict()}
