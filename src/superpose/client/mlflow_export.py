"""A model version as an MLflow run with a registered model, in a store of its own: SQLite and files.

The model is written as the flavour ``python_function`` with a loader module, so that loading it reads our model file
and unpickles nothing. MLflow 3.17 refuses its own file store, so the store is ``DIR/mlflow.db`` with
artifacts under ``DIR/artifacts``; several versions may be exported into one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose import __version__
from superpose.client.nouns import ModelVersion
from superpose.errors import ExtraMissingError, RequestError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

__all__ = ["MlflowExport", "export_mlflow"]

_LONGEST = 5_000
_PARAMS, _METRICS = 100, 1_000


@dataclass(frozen=True)
class MlflowExport:
    """Where a version went: give ``tracking_uri`` to MLflow, and ``model_uri`` to ``mlflow.pyfunc.load_model``."""

    tracking_uri: str
    run_id: str
    model_uri: str
    model: str
    model_version: str

    def to_dict(self) -> dict[str, str]:
        """The members as JSON values."""
        return dict(vars(self))


def export_mlflow(
    version: ModelVersion, content: bytes, directory: Path, overrides: Sequence[Mapping[str, Any]] = ()
) -> MlflowExport:
    """Write a version into the MLflow store of a directory, made if absent; a version that is there is not repeated.

    Args:
        version: the version, with manifest and evaluation.
        content: the bytes of its model file.
        directory: of the store. It must stay where it is: MLflow keeps the full paths of artifacts.
        overrides: of the promotion gate, for the model card; those of an export that is there are not added to it.

    Raises:
        ExtraMissingError: MLflow is not installed.
        RequestError: the directory cannot be written.
    """
    if importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("alembic") is None:
        raise ExtraMissingError("The MLflow export needs MLflow: pip install 'superpose[mlflow]'", extra="mlflow")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export tells nobody
    home = directory.expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{home} cannot be written: {error.strerror}.", path=str(home)) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about its libraries
        return _export(version, content, home, overrides)


def _export(version: ModelVersion, content: bytes, home: Path, overrides: Sequence[Mapping[str, Any]]) -> MlflowExport:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{home / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name(version.model)
    place = (home / "artifacts" / version.model).as_uri()
    known = experiment.experiment_id if experiment else client.create_experiment(version.model, place)
    query = f"tags.`superpose.digest` = '{version.digest}' and tags.`superpose.version` = '{version.version}'"
    for run in client.search_runs([known], query, max_results=1):
        if "superpose.model_version" in run.data.tags:  # an export that was cut short has not got so far
            return _told(uri, run.info.run_id, version, run.data.tags["superpose.model_version"])
    run = client.create_run(known, run_name=f"{version.model}-{version.version}", tags=_tags(version))
    run_id = run.info.run_id
    _log(client, run_id, version)
    with tempfile.TemporaryDirectory(prefix="superpose-mlflow-") as work:
        _write_artifacts(Path(work), version, content, overrides)
        client.log_artifacts(run_id, work)
    registered = _register(client, run_id, version)
    client.set_tag(run_id, "superpose.model_version", registered)
    client.set_terminated(run_id)
    return _told(uri, run_id, version, registered)


def _told(uri: str, run_id: str, version: ModelVersion, registered: str) -> MlflowExport:
    return MlflowExport(uri, run_id, f"models:/{version.model}/{registered}", version.model, registered)


def _register(client: MlflowClient, run_id: str, version: ModelVersion) -> str:
    """Make the run's model a version of a registered model, with note, tags and aliases; returns its number."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(version.model, tags={"superpose.model": version.model})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    made = client.create_model_version(
        version.model,
        source,
        run_id=run_id,
        tags={"superpose.version": str(version.version), "superpose.digest": version.digest, **version.tags},
        description=version.note or None,
    )
    for alias in version.aliases:
        client.set_registered_model_alias(version.model, alias, str(made.version))
    return str(made.version)


def _spec(version: ModelVersion) -> Mapping[str, Any]:
    return (version.manifest.get("provenance") or {}).get("spec") or {}


def _tags(version: ModelVersion) -> dict[str, str]:
    data = version.manifest.get("data") or {}
    found = {
        "superpose.model": version.model,
        "superpose.version": str(version.version),
        "superpose.digest": version.digest,
        "superpose.job": version.job_id or "",
        "superpose.dataset": str(data.get("name", "")),
        "superpose.dataset_digest": str(data.get("digest", "")),
        "superpose.verdict": str(version.evaluation.get("verdict", ""))[:_LONGEST],
        "superpose.created_at": version.created_at.isoformat(),
    }
    return {**{f"superpose.tag.{name}": value for name, value in version.tags.items()}, **found}


def _log(client: MlflowClient, run_id: str, version: ModelVersion) -> None:
    """The spec as params, and the figures as metrics, in batches as large as MLflow takes."""
    from mlflow.entities import Metric, Param

    at_ms = round(version.created_at.timestamp() * 1000)
    params = [Param(path, str(value)[:_LONGEST]) for path, value in _flat(_spec(version))]
    metrics = [Metric(name, value, at_ms, step) for name, value, step in _figures(version)]
    for first in range(0, len(params), _PARAMS):
        client.log_batch(run_id, params=params[first : first + _PARAMS])
    for first in range(0, len(metrics), _METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + _METRICS])


def _figures(version: ModelVersion) -> Iterator[tuple[str, float, int]]:
    """The version's own figures; means with intervals of it and of what it was compared with; values over splits."""
    for name, value in version.metrics.items():
        yield name, float(value), 0
    models = version.evaluation.get("models") or {}
    rows = {"hybrid": models.get("hybrid"), "baseline": models.get("baseline"), **(models.get("controls") or {})}
    for variant, row in rows.items():
        for name, figure in ((row or {}).get("metrics") or {}).items():
            for part in ("mean", "low", "high"):
                yield f"{variant}.{name}.{part}", float(figure[part]), 0
            for split, value in enumerate(figure.get("values") or ()):  # templates keep none
                yield f"{variant}.{name}.split", float(value), split


def _write_artifacts(work: Path, version: ModelVersion, content: bytes, overrides: Sequence[Mapping[str, Any]]) -> None:
    """The model as MLflow wants it, the card, and what the registry knows as JSON."""
    import mlflow.pyfunc

    from superpose.explain import model_card

    file = work / f"{version.model}-{version.version}.superpose"
    file.write_bytes(content)
    mlflow.pyfunc.save_model(
        str(work / "model"),
        loader_module="superpose.learning.mlflow_flavour",
        data_path=str(file),
        pip_requirements=[f"superpose=={__version__}"],
        signature=_signature(version),
        metadata={"superpose_digest": version.digest},
    )
    file.unlink()
    card = model_card(
        version.manifest,
        evidence=version.evidence,
        statements=version.statements,
        overrides=overrides,
        validations=version.validations,
    )
    (work / "model_card.md").write_text(card, encoding="utf-8")
    for name, document in (("manifest", version.manifest), ("evaluation", version.evaluation)):
        (work / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _signature(version: ModelVersion) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    pipeline = version.manifest["pipeline"]
    kinds = {"number": "double", "category": "string"}
    inputs = [ColSpec(kinds[column["kind"]], column["name"]) for column in pipeline["preprocessing"]["columns"]]
    if "target" in pipeline:  # numbers
        ends = ("low", "high") if "interval" in (version.manifest.get("safeguards") or {}) else ()
        outputs = [ColSpec("double", name) for name in ("prediction", *ends)]
    else:
        shares = [ColSpec("double", f"p({label})") for label in pipeline["classes"]]
        outputs = [ColSpec("string", "prediction"), *shares]
    return ModelSignature(Schema([*inputs]), Schema([*outputs]))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif path:
        yield path, value
