"""Batch predictions as users see them: submitted with a file or a data set, looked at, fetched, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.models import Models, VersionRef, version_row
from superpose.service.nouns import Clock, Job, JobKind, ModelVersion, Page, Principal, Role, iso
from superpose.service.people.quotas import Quotas
from superpose.service.predictions.result_files import MEDIA_TYPES
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts, Staged, StoredFile
from superpose.service.store.claims import NewJob
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.job_lives import job_from_row
from superpose.service.store.job_store import JobStore
from superpose.service.store.pages import Part, read_page
from superpose.service.store.referred import is_referred
from superpose.service.store.tables import datasets, jobs, predictions
from superpose.service.work.admission import check_idempotency_key, check_priority

__all__ = ["Asked", "BatchPrediction", "Predictions"]

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
    """

    model: str
    version: VersionRef = None
    format: str = "csv"
    on_error: str = "fail"
    priority: int = 0
    idempotency_key: str | None = None


@dataclass(frozen=True)
class BatchPrediction:
    """A batch prediction and the job behind it."""

    job: Job
    version: int
    created_at: datetime
    has_file: bool
    deleted: bool

    def to_json(self) -> dict[str, object]:
        """The batch prediction as the API sends it."""
        payload: Mapping[str, Any] = self.job.payload
        return {
            "id": self.job.id,
            "status": str(self.job.status),
            "model": self.job.model,
            "version": self.version,
            "dataset": self.job.dataset,
            "input_format": payload["input"]["format"],
            "format": payload["format"],
            "on_error": payload["on_error"],
            "created_at": iso(self.created_at),
            "finished_at": iso(self.job.finished_at),
            "progress": dict(self.job.progress),
            "error": None if self.job.error is None else dict(self.job.error),
            "result": None if self.job.result is None else dict(self.job.result),
            "file": f"/v1/predictions/{self.job.id}/file" if self.has_file else None,
            "deleted": self.deleted,
        }


class Predictions:
    """The batch predictions of a service.

    Args:
        database: where they are kept.
        store: the queue.
        artifacts: where files lie.
        datasets: stored tables, which may be predicted too.
        models: where model versions are registered.
        quotas: how much a project may keep.
        clock: what tells the time.
    """

    def __init__(
        self,
        database: Database,
        store: JobStore,
        artifacts: Artifacts,
        datasets: Datasets,
        models: Models,
        quotas: Quotas,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._artifacts = artifacts
        self._datasets = datasets
        self._models = models
        self._quotas = quotas
        self._clock = clock

    def submit_file(self, principal: Principal, path: Path, format: str, asked: Asked) -> BatchPrediction:
        """Predict the rows of a file on this machine, which is copied.

        Args:
            principal: the caller; an editor.
            path: the file.
            format: csv, parquet or npz.
            asked: model, output, policy.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: an unknown format or policy.
            NotFoundError: no such model version in the caller's project.
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
        try:
            return self._submit(principal, asked, found, {"format": format, "artifact": staged.digest}, staged=staged)
        finally:
            self._artifacts.discard(staged)

    def submit_dataset(self, principal: Principal, dataset: str, asked: Asked) -> BatchPrediction:
        """Predict the rows of a stored data set; its target is ignored.

        Raises:
            NotFoundError: no such data set or model version in the caller's project.
            FeatureMismatchError: the data set lacks columns of the model.
            ForbiddenError, RequestError, QuotaError, ConflictError: as for ``submit_file``.
        """
        from superpose.errors import FeatureMismatchError

        found = self._check(principal, asked)
        data = self._datasets.get(principal, dataset)
        columns: Any = found.manifest["pipeline"]["preprocessing"]["columns"]  # type: ignore[index]  # JSON
        have = {column["name"] for column in data.columns}
        missing = [column["name"] for column in columns if column["name"] not in have]
        if missing:
            raise FeatureMismatchError(
                f"Data set {data.name!r} lacks {', '.join(map(repr, missing[:5]))}, which the model needs.",
                missing=missing[:50],
                unknown=[],
            )
        return self._submit(principal, asked, found, {"format": "parquet"}, dataset=(data.id, data.name))

    def list(self, principal: Principal, part: Part = Part()) -> Page[BatchPrediction]:  # noqa: B008  # frozen
        """Batch predictions of the caller's project, newest first."""
        principal.require(Role.VIEWER)
        query = _joined().where(predictions.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, jobs.c.number, part, _prediction, newest_first=True)

    def get(self, principal: Principal, prediction_id: str) -> BatchPrediction:
        """A batch prediction by the id of its job.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _prediction(_find(connection, principal.project, prediction_id))

    def file(self, principal: Principal, prediction_id: str) -> tuple[BatchPrediction, StoredFile]:
        """The file with the predictions, verified, to be read in pieces.

        Raises:
            NotFoundError: there is no such batch prediction, or its file was deleted.
            ConflictError: it has not succeeded, so there is no file.
            ArtifactError: the file is gone or has changed.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            row = _find(connection, principal.project, prediction_id)
        found = _prediction(row)
        if found.deleted:
            raise NotFoundError(f"The file of {prediction_id} was deleted.", kind="prediction", id=prediction_id)
        if row["output_artifact"] is None:
            raise ConflictError(
                f"Batch prediction {prediction_id} is {found.job.status}; it has a file once it has succeeded.",
                status=str(found.job.status),
            )
        return found, self._artifacts.stored(row["output_artifact"])

    def delete(self, principal: Principal, prediction_id: str) -> None:
        """Delete the files of a batch prediction; the job and its counts stay.

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: it has not ended.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            row = _find(connection, principal.project, prediction_id)
            if _prediction(row).job.status not in FINAL:
                raise ConflictError(f"Batch prediction {prediction_id} is {row['status']}. Cancel it first.")
            connection.execute(
                update(predictions)
                .where(predictions.c.job_id == prediction_id)
                .values(input_artifact=None, output_artifact=None, deleted_at=self._clock())
            )
            append_event(
                connection,
                subject=prediction_id,
                project=principal.project,
                at=self._clock(),
                kind="files_removed",
                actor=principal.key_id,
                data={"input": row["input_artifact"], "output": row["output_artifact"]},
            )
        with self._database.write() as connection:  # only after the row's end is certain
            for artifact in {row["input_artifact"], row["output_artifact"]} - {None}:
                if not is_referred(connection, artifact):
                    self._artifacts.remove(artifact)

    def _check(self, principal: Principal, asked: Asked) -> ModelVersion:
        principal.require(Role.EDITOR)
        check_priority(asked.priority)
        check_idempotency_key(asked.idempotency_key)
        if asked.format not in MEDIA_TYPES:
            raise RequestError(f"format must be {', '.join(MEDIA_TYPES)}; got {asked.format!r}.", field="format")
        if asked.on_error not in POLICIES:
            raise RequestError(f"on_error must be fail or skip, got {asked.on_error!r}.", field="on_error")
        return self._models.version(principal, asked.model, asked.version)

    def _submit(
        self,
        principal: Principal,
        asked: Asked,
        found: ModelVersion,
        source: Mapping[str, str],
        *,
        staged: Staged | None = None,
        dataset: tuple[str, str] | None = None,
    ) -> BatchPrediction:
        payload = {
            "input": dict(source),
            "format": asked.format,
            "on_error": asked.on_error,
            "version": found.version,
            "digest": found.digest,
            "artifact": found.artifact,
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
        )

        def check(connection: Connection) -> None:
            version_row(connection, principal.project, found.model, found.version)
            gone = select(datasets.c.id).where(datasets.c.id == dataset_id, datasets.c.deleted_at.is_not(None))
            if dataset_id is not None and connection.execute(gone).first() is not None:
                raise ConflictError(f"Data set {dataset_name!r} was deleted just now.", name=dataset_name)
            if staged is not None:
                self._quotas.admit_bytes(connection, principal.project, staged.n_bytes)

        def register(connection: Connection, job: Job) -> None:
            connection.execute(
                insert(predictions).values(
                    job_id=job.id,
                    project=job.project,
                    model=found.model,
                    version=found.version,
                    input_artifact=None if staged is None else staged.digest,
                    created_at=job.created_at,
                )
            )
            if staged is not None:
                self._artifacts.publish(staged)

        job = self._store.submit(new, check=check, also=register)
        return self.get(principal, job.id)


def _joined() -> Any:
    names = ("version", "input_artifact", "output_artifact", "deleted_at")
    extra = [predictions.c[name].label(name) for name in names]
    query = select(jobs, predictions.c.created_at.label("asked_at"), *extra)
    return query.join(predictions, predictions.c.job_id == jobs.c.id)


def _find(connection: Connection, project: str, prediction_id: str) -> RowMapping:
    query = _joined().where(predictions.c.project == project, predictions.c.job_id == prediction_id)
    row: RowMapping | None = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            f"There is no batch prediction {prediction_id!r} in this project.", kind="prediction", id=prediction_id
        )
    return row


def _prediction(row: RowMapping) -> BatchPrediction:
    return BatchPrediction(
        job=job_from_row(row),
        version=row["version"],
        created_at=row["asked_at"],
        has_file=row["output_artifact"] is not None,
        deleted=row["deleted_at"] is not None,
    )
