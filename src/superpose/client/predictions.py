"""Batch predictions: a file of rows in, a file of predictions out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from superpose.client.file_jobs import FileJob, FileJobs, members_of
from superpose.client.json_fields import Fields
from superpose.client.nouns import Job, job_ids
from superpose.client.resources import json_call, read_json, segment, table_call
from superpose.errors import RequestError

__all__ = ["BatchPrediction", "Predictions", "format_of"]

_SUFFIXES: Final = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}


@dataclass(frozen=True, kw_only=True)
class BatchPrediction(FileJob):
    """A batch prediction.

    ``result`` has ``n_rows``, ``n_predicted``, ``n_failed``, ``failures`` (row number, from 0, and reason; at most
    1,000), ``unknown_categories`` (column -> how many values the model does not know), ``ignored_columns``, and of a
    medical model ``notice``: "Not for clinical use.".
    """

    model: str
    version: int
    dataset: str | None
    format: str
    on_error: str

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A batch prediction from the service's JSON."""
        f = Fields.of("prediction", document)
        return cls(
            **members_of(f),
            model=f.text("model"),
            version=f.whole("version"),
            dataset=f.maybe_text("dataset"),
            format=f.text("format"),
            on_error=f.text("on_error"),
        )


class Predictions(FileJobs[BatchPrediction]):
    """Batch predictions of the key's project."""

    path = "/v1/predictions"
    title = "batch prediction"

    def create(  # noqa: PLR0913  # the fields of a submission
        self,
        model: str,
        source: str | Path | None = None,
        *,
        dataset: str | None = None,
        version: int | str | None = None,
        format: str = "csv",
        on_error: str = "fail",
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[Job | str] = (),
        prediction_set: bool = False,
        abstain: bool | float | str = False,
        novelty: bool = False,
    ) -> BatchPrediction:
        """Submit a file of rows, sent in pieces, or a stored data set.

        Args:
            model: name of the model.
            source: a .csv, .parquet or .npz file.
            dataset: instead of a file, id or name of a stored data set.
            version: number or alias; the latest where it is left out.
            format: of the file that comes out: csv, parquet or npz.
            on_error: "fail" ends the job at a row that cannot be predicted, "skip" leaves such rows out, reported.
            priority: jobs of higher priority start first.
            idempotency_key: submitting twice under one key gives one job; made up where it is left out.
            after: jobs, or their ids, at most 100, that must have succeeded before it begins.
            prediction_set, abstain, novelty: what else the file is to have, as for `Client.predict`.

        Raises:
            RequestError: neither or both of source and dataset, or a file of no known format.
            ApiError: the service refuses the file (``dataset.format``, ``learning.feature_mismatch``) or model.
        """
        if (source is None) == (dataset is None):
            raise RequestError("Name a file to predict, or dataset=, and not both.")
        by = "alias" if isinstance(version, str) else "version"
        wanted: dict[str, Any] = {"model": model, by: version, "format": format, "on_error": on_error}
        wanted |= {"priority": priority, "after": job_ids(after)}
        more = {"prediction_set": prediction_set, "abstain": abstain, "novelty": novelty}
        wanted |= {name: value for name, value in more.items() if value is not False}
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if source is None:
            document = {**wanted, "dataset": dataset}
            call = json_call("POST", self.path, document, headers=headers, repeatable=True)
            return BatchPrediction.from_json(read_json(self._transport.send(call)))
        path = Path(source).expanduser()
        waited_for = "&".join(f"after={segment(job_id)}" for job_id in wanted.pop("after"))
        query = {name: "true" if value is True else value for name, value in wanted.items() if value is not None}
        where = f"{self.path}?{waited_for}" if waited_for else self.path
        call = table_call(where, path, format_of(path), query)
        timeout_s = max(self._transport.timeout_s, call.timeout_s or 0.0)
        call = replace(call, headers=headers, repeatable=True, timeout_s=timeout_s)
        return BatchPrediction.from_json(read_json(self._transport.send(call)))

    def _of_json(self, document: object) -> BatchPrediction:
        return BatchPrediction.from_json(document)

    def _suffix(self, job_id: str) -> str:
        return self.get(job_id).format


def format_of(path: Path) -> str:
    """The format that a file's name stands for.

    Raises:
        RequestError: it ends in none of .csv, .parquet and .npz.
    """
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise RequestError(f"{path.name} must end in .csv, .parquet or .npz.", path=str(path))
    return found
