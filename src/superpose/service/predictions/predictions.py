"""Batch predictions as users see them: file jobs, submitted with a file or a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from superpose.errors import ConflictError, RequestError
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.models import Models, VersionRef, version_row
from superpose.service.nouns import Job, JobKind, ModelVersion, Principal, Role
from superpose.service.predictions.result_files import MEDIA_TYPES
from superpose.service.serving.asking import asked_from, check_safeguards
from superpose.service.store.artifacts import Staged
from superpose.service.store.claims import NewJob
from superpose.service.store.tables import datasets
from superpose.service.work.admission import check_idempotency_key, check_priority
from superpose.service.work.file_jobs import FileJob, FileJobs, FileKind, JobFiles

__all__ = ["Asked", "Predictions"]

POLICIES = ("fail", "skip")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a batch prediction is to do.

    Attributes:
        model: name of the model.
        version: number or alias; None for the newest.
        format: of the file that comes out: csv, parquet or npz.
        on_error: what becomes of rows that cannot be predicted: "fail" ends the job, "skip" leaves them out, reported.
        priority: -10 to 10; higher goes first.
        idempotency_key: under one key, equal submissions give one job.
        after: ids of jobs of the project, at most 100, that must have succeeded before it begins.
        more: ``prediction_set``, ``abstain`` and ``novelty``, as requests to endpoints have them.
    """

    model: str
    version: VersionRef = None
    format: str = "csv"
    on_error: str = "fail"
    priority: int = 0
    idempotency_key: str | None = None
    after: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def _about(job: Job) -> dict[str, object]:
    payload: Mapping[str, Any] = job.payload
    return {
        "model": job.model,
        "version": payload["version"],
        "dataset": job.dataset,
        "input_format": payload["input"]["format"],
        **{name: payload[name] for name in ("format", "on_error")},
    }


def _form(job: Job) -> tuple[str, str]:
    suffix = str(job.payload["format"])
    return suffix, MEDIA_TYPES[suffix]


class Predictions(FileJobs):
    """The batch predictions of a service.

    Args:
        files: where they are kept.
        datasets: stored tables, which may be predicted too.
        models: where model versions are registered.
    """

    sort = FileKind(
        kind=JobKind.PREDICT,
        title="batch prediction",
        noun="prediction",
        path="/v1/predictions",
        about=_about,
        form=_form,
    )

    def __init__(self, files: JobFiles, *, datasets: Datasets, models: Models) -> None:
        super().__init__(files)
        self._datasets = datasets
        self._models = models

    def submit_file(self, principal: Principal, path: Path, format: str, asked: Asked) -> FileJob:
        """Predict the rows of a file on this machine, which is copied.

        Args:
            principal: the caller; an editor.
            path: the file.
            format: csv, parquet or npz.
            asked: model, output, policy.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: an unknown format or policy.
            SafeguardAbsentError: something is asked for that the model version cannot tell.
            NotFoundError: no such model version, or no such job to come after, in the caller's project.
            JobDependencyError: a job to come after has failed or was cancelled.
            DatasetFormatError, FeatureMismatchError: the file cannot be read, or lacks columns of the model.
            QuotaError: the project has no room for the file, or for a job.
            ConflictError: the idempotency key was used for a different submission.
        """
        from superpose.datasets import RowFile

        found = self._check(principal, asked)
        if format not in MEDIA_TYPES:
            raise RequestError(f"A file is read as {', '.join(MEDIA_TYPES)}, got {format!r}.", field="input_format")
        columns: Any = found.manifest["pipeline"]["preprocessing"]["columns"]  # type: ignore[index]  # JSON
        RowFile(path, format, [(column["name"], column["kind"]) for column in columns])
        staged = self._artifacts.stage_file(path)
        return self._begin(principal, asked, found, {"format": format, "artifact": staged.digest}, staged=staged)

    def submit_dataset(self, principal: Principal, dataset: str, asked: Asked) -> FileJob:
        """Predict the rows of a stored data set; its target is ignored.

        Raises:
            NotFoundError: no such data set or model version in the caller's project.
            FeatureMismatchError: the data set lacks columns of the model.
            ForbiddenError, RequestError, JobDependencyError, QuotaError, ConflictError: as for ``submit_file``.
        """
        from superpose.errors import FeatureMismatchError

        found = self._check(principal, asked)
        data = self._datasets.get(principal, dataset)
        columns: Any = found.manifest["pipeline"]["preprocessing"]["columns"]  # type: ignore[index]  # JSON
        have = {column["name"] for column in data.columns}
        missing = [column["name"] for column in columns if column["name"] not in have]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise FeatureMismatchError(
                f"Data set {data.name!r} lacks {', '.join(map(repr, missing[:5]))}{more}, which the model needs."
                f"{_demand_rows(found)}",
                missing=missing[:50],
                unknown=[],
            )
        return self._begin(principal, asked, found, {"format": "parquet"}, dataset=(data.id, data.name))

    def _check(self, principal: Principal, asked: Asked) -> ModelVersion:
        principal.require(Role.EDITOR)
        check_priority(asked.priority)
        check_idempotency_key(asked.idempotency_key)
        if asked.format not in MEDIA_TYPES:
            raise RequestError(f"format must be {', '.join(MEDIA_TYPES)}; got {asked.format!r}.", field="format")
        if asked.on_error not in POLICIES:
            raise RequestError(f"on_error must be fail or skip, got {asked.on_error!r}.", field="on_error")
        found = self._models.version(principal, asked.model, asked.version)
        check_safeguards(found.manifest, asked_from(asked.more))
        return found

    def _begin(
        self,
        principal: Principal,
        asked: Asked,
        found: ModelVersion,
        source: Mapping[str, str],
        *,
        staged: Staged | None = None,
        dataset: tuple[str, str] | None = None,
    ) -> FileJob:
        payload = {
            "input": dict(source),
            "format": asked.format,
            "on_error": asked.on_error,
            "version": found.version,
            "digest": found.digest,
            "artifact": found.artifact,
            **({"more": dict(asked.more)} if asked_from(asked.more) else {}),
        }
        dataset_id, dataset_name = dataset or (None, None)
        new = NewJob(
            project=principal.project,
            kind=JobKind.PREDICT,
            payload=payload,
            created_by=principal.key_id,
            dataset_id=dataset_id,
            dataset=dataset_name,
            model=found.model,
            priority=asked.priority,
            idempotency_key=asked.idempotency_key,
            after=asked.after,
        )

        def check(connection: Connection) -> None:
            version_row(connection, principal.project, found.model, found.version)
            gone = select(datasets.c.id).where(datasets.c.id == dataset_id, datasets.c.deleted_at.is_not(None))
            if dataset_id is not None and connection.execute(gone).first() is not None:
                raise ConflictError(f"Data set {dataset_name!r} was deleted just now.", name=dataset_name)

        return self._submit(principal, new, staged, check=check)


def _demand_rows(found: ModelVersion) -> str:
    """What a demand template's columns are made by, which no table of quantities has; nothing of other models."""
    if (found.manifest.get("provenance") or {}).get("template") != "demand":  # type: ignore[attr-defined]  # JSON
        return ""
    return " A demand model's rows are made of quantities by superpose.learning.templates.demand.features(FILE)."
