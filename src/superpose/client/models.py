"""The model registry: versions, aliases, notes, search, differences, files."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.client.data_checks import DriftReport
from superpose.client.downloads import download, target_path
from superpose.client.lineage import Lineage
from superpose.client.nouns import Event, Job, Listing, Model, ModelVersion
from superpose.client.promotion import GateReport
from superpose.client.reports import SavedReport, save_report
from superpose.client.resources import Resource, items, manifest_digest, read_json, segment, table_call
from superpose.client.transport import Call
from superpose.errors import ModelFileCorruptError, RequestError

if TYPE_CHECKING:
    from superpose.client.mlflow_export import MlflowExport

__all__ = ["Models", "VersionRef"]

#: How a version is named: its number, an alias such as "champion", or None for the latest.
VersionRef = int | str | None


class Models(Resource):
    """Models of the key's project: names with versions counted from 1."""

    def list(self, query: str | None = None) -> Listing[Model]:
        """All models, or those of which a version matches every term of ``query``.

        A term is a word (looked for in name, notes, tags, data set, family), a comparison such as ``accuracy>0.9`` or
        ``n_qubits<=4``, or one of ``tag:site=north``, ``dataset:``, ``family:``, ``alias:``, ``name:``, ``note:``.

        Raises:
            ApiError: the query cannot be read (``service.request``).
        """
        return items(self._transport, "/v1/models", Model.from_json, {} if query is None else {"query": query}, None)

    def import_file(self, name: str, source: str | Path | bytes, *, idempotency_key: str | None = None) -> Job:
        """Send a model file that was trained elsewhere; a job makes it the model's next version.

        Args:
            name: in the registry, new or known.
            source: a model file (``.superpose``), or its bytes; it is sent as it is, and read as data.
            idempotency_key: submitting twice under one key gives one job; made up where it is left out.

        Returns:
            The job; ``client.jobs.wait`` gives it with ``model_version`` once it has ended.

        Raises:
            RequestError: the file cannot be read.
            ApiError: it is no model file, was changed, or is of a release that the service does not know.
        """
        if isinstance(source, bytes):
            content = source
        else:
            try:
                content = Path(source).expanduser().read_bytes()
            except OSError as error:
                raise RequestError(f"{source} cannot be read: {error.strerror}.", field="source") from None
        call = Call(
            "POST",
            f"/v1/models/{segment(name)}/versions",
            body=content,
            content_type="application/zip",
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
            repeatable=True,
        )
        return Job.from_json(read_json(self._transport.send(call)))

    def get(self, name: str) -> Model:
        """One model with the numbers of its versions."""
        return Model.from_json(self._get(f"/v1/models/{segment(name)}"))

    def version(self, name: str, version: VersionRef = None) -> ModelVersion:
        """One version with its manifest and evaluation, by number or alias; the latest where it is left out."""
        return ModelVersion.from_json(self._get(_path(name, version)))

    def edit(
        self,
        name: str,
        *,
        version: VersionRef = None,
        note: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        statements: Mapping[str, str] | None = None,
    ) -> Model | ModelVersion:
        """Change the note and tags of a model, or of one of its versions; the history keeps what was there.

        Args:
            name: the model.
            version: the version, by number or alias; None means the model itself.
            note: the new note, empty to remove it; None leaves it.
            tags: values to set, None to remove a tag; others stay.
            statements: of a version: ``intended_use``, ``limits`` and ``no_subgroups``, those that change.

        Raises:
            RequestError: statements without a version.
        """
        if statements and version is None:
            raise RequestError("Statements are about a version; say version=.", field="version")
        edits = {
            "note": note,
            "tags": None if tags is None else dict(tags),
            "statements": dict(statements) if statements else None,
        }
        document = {key: value for key, value in edits.items() if value is not None}
        if version is None:
            return Model.from_json(self._change("PATCH", f"/v1/models/{segment(name)}", document))
        return ModelVersion.from_json(self._change("PATCH", _path(name, version), document))

    def record_validation(
        self, name: str, site: str, record: Mapping[str, Any], version: VersionRef = None
    ) -> dict[str, Any]:
        """Keep at a version how it did on rows of another site; its card and its report show it.

        Args:
            name: the model.
            site: what the rows are called, such as "north-2025": 1 to 63 letters, digits, ``.``, ``_`` and ``-``.
            record: ``superpose.learning.validation_record.record_of(found, predictor.digest)`` of what
                `superpose.learning.external_validation.external_validation` found.
            version: by number or alias; the latest where it is left out.

        Returns:
            The record with ``site``, ``recorded_at`` and ``recorded_by``. The same again changes nothing.

        Raises:
            ApiError: it is of another model than this version, the name has another record (``service.conflict``), or
                a figure cannot be.
        """
        return dict(self._change("PUT", f"{_path(name, version)}/validations/{segment(site)}", dict(record)))

    def withdraw_validation(self, name: str, site: str, reason: str, version: VersionRef = None) -> dict[str, Any]:
        """Mark a record as one that does not count; it stays to be seen, with the reason.

        Args:
            name: the model.
            site: what the rows were called.
            reason: why the figures do not count, up to 2,000 characters.
            version: by number or alias; the latest where it is left out.
        """
        return dict(
            self._change("POST", f"{_path(name, version)}/validations/{segment(site)}/withdraw", {"reason": reason})
        )

    def move_alias(
        self, name: str, alias: str, version: VersionRef = None, *, expected: int | None = None
    ) -> ModelVersion:
        """Let an alias stand for a version, in one step.

        Args:
            name: the model.
            alias: such as "champion"; new or known.
            version: by number or another alias; the latest where it is left out.
            expected: refuse (``service.conflict``) unless the alias stands for this version now; 0 for a new one.
        """
        by = "alias" if isinstance(version, str) else "version"
        document = {key: value for key, value in {by: version, "expected": expected}.items() if value is not None}
        path = f"/v1/models/{segment(name)}/aliases/{segment(alias)}"
        return ModelVersion.from_json(self._change("PUT", path, document))

    def remove_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays."""
        self._delete(f"/v1/models/{segment(name)}/aliases/{segment(alias)}")

    def history(self, name: str, *, limit: int | None = None) -> Listing[Event]:
        """What happened to a model, newest first: versions, moves of aliases, edits, deletions."""
        return items(self._transport, f"/v1/models/{segment(name)}/history", Event.from_json, {}, limit)

    def gate(self, name: str, version: VersionRef = None) -> GateReport:
        """What a version has and lacks for a production endpoint, and what was overridden.

        Args:
            name: the model.
            version: by number or alias; the latest where it is left out.
        """
        return GateReport.from_json(self._get(f"{_path(name, version)}/gate"))

    def report(
        self, name: str, version: VersionRef = None, path: str | Path | None = None, *, format: str | None = None
    ) -> SavedReport:
        """Save the report of the training that made a version; the digest that the service states is checked.

        Args:
            name: the model.
            version: by number or alias; the latest where it is left out.
            path: file or directory to write; ``NAME-VERSION-report.html`` here where it is left out.
            format: "html" or "pdf"; by default what the file's name ends with, else "html".
        """
        found = self.version(name, version)
        stem = f"{found.model}-{found.version}"
        return save_report(self._transport, f"{_path(found.model, found.version)}/report", path, format, stem)

    def lineage(self, name: str) -> Lineage:
        """Where a model's versions come from, and what uses them."""
        return Lineage.from_json(self._get(f"/v1/models/{segment(name)}/lineage"))

    def diff(
        self, name: str, before: int | str, after: VersionRef = None, *, other: str | None = None
    ) -> dict[str, Any]:
        """What sets version ``after`` (the latest where it is left out) apart from ``before``.

        Args:
            name: the model of ``before``.
            before: number or alias.
            after: number or alias.
            other: the model of ``after``, where it is another one.

        Returns:
            ``spec``, ``data``, ``metrics`` with intervals, ``circuit``, ``weights`` and ``environment``.
        """
        query: dict[str, str | int | float] = {"before": before}
        query |= {} if after is None else {"after": after}
        query |= {} if other is None else {"other": other}
        return dict(self._read(Call("GET", f"/v1/models/{segment(name)}/diff", query=query)))

    def delete(self, name: str, version: VersionRef = None) -> None:
        """Delete a version, or the whole model where ``version`` is left out.

        Raises:
            ApiError: ``service.version_in_use``; the details name the endpoints, aliases and jobs that need it.
        """
        self._delete(f"/v1/models/{segment(name)}" if version is None else _path(name, version))

    def download(self, name: str, version: VersionRef = None, path: str | Path | None = None) -> Path:
        """Save a version's model file and return where; its manifest must have the registry's digest.

        Args:
            name: the model.
            version: by number or alias; the latest where it is left out.
            path: file or directory to write; ``NAME-VERSION.superpose`` here where it is left out. The file appears
                whole or not at all.

        Raises:
            ModelFileCorruptError: the bytes are not those the registry knows.
        """
        registered = self.version(name, version)
        target = target_path(path, f"{name}-{registered.version}.superpose")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as directory:
            arrived = Path(directory) / target.name
            download(self._transport, f"{_path(registered.model, registered.version)}/file", arrived)
            _check_manifest(registered, arrived)
            arrived.replace(target)
        return target

    def drift(
        self,
        name: str,
        source: str | Path | bytes | None = None,
        *,
        dataset: str | None = None,
        version: VersionRef = None,
        format: str | None = None,
    ) -> DriftReport:
        """How far rows have moved from what a version was trained on, column by column, with a verdict.

        Args:
            name: the model.
            source: a CSV, Parquet or NPZ file of rows with the model's columns, or its bytes; it needs no target.
            dataset: a registered data set instead.
            version: by number or alias; the latest where it is left out.
            format: "csv", "parquet" or "npz"; the file's suffix where it is left out.

        Raises:
            RequestError: neither or both of ``source`` and ``dataset``, or no known format.
            ApiError: the version has no baseline (``service.no_baseline``), or the rows lack a column.
        """
        if (source is None) == (dataset is None):
            raise RequestError("Give either a file of rows or dataset=.", field="source")
        path = f"{_path(name, version)}/drift"
        if source is None:
            return DriftReport.from_json(self._post(path, {"dataset": dataset}))
        rows = source if isinstance(source, bytes) else Path(source).expanduser()
        kind = format or ("" if isinstance(rows, bytes) else rows.suffix.lower().lstrip("."))
        if kind not in ("csv", "parquet", "npz"):
            raise RequestError(
                f"The format of the rows is {kind or 'not given'!r}; allowed are csv, parquet and npz. Say format=.",
                field="format",
            )
        return DriftReport.from_json(read_json(self._transport.send(table_call(path, rows, kind, {}))))

    def export(
        self, name: str, directory: str | Path, version: VersionRef = None, *, format: str = "mlflow"
    ) -> MlflowExport:
        """Write a version for another tool: an MLflow run with params, metrics, artifacts, and a registered model.

        Args:
            name: the model.
            directory: of the MLflow store (SQLite and files), made if absent; it may hold other exports.
            version: by number or alias; the latest where it is left out.
            format: "mlflow".

        Raises:
            ExtraMissingError: MLflow is not installed.
            RequestError: another format, or the directory cannot be written.
            ModelFileCorruptError: the bytes are not those the registry knows.
        """
        if format != "mlflow":
            raise RequestError(f"format must be mlflow, got {format!r}.", field="format")
        from superpose.client.mlflow_export import export_mlflow

        found = self.version(name, version)
        overrides = [override.to_dict() for override in self.gate(name, found.version).overrides]
        return export_mlflow(found, self.content(found), Path(directory), overrides)

    def content(self, version: ModelVersion) -> bytes:
        """The bytes of a version's model file; the manifest in them must have the registry's digest.

        Raises:
            ModelFileCorruptError: the bytes are not those the registry knows.
        """
        reply = self._transport.send(Call("GET", f"{_path(version.model, version.version)}/file"))
        _check_manifest(version, reply.body)
        return reply.body


def _check_manifest(version: ModelVersion, model_file: bytes | Path) -> None:
    if manifest_digest(model_file) != version.digest:
        raise ModelFileCorruptError(
            f"The file of {version.model} version {version.version} that arrived is not the one in the registry: "
            "its manifest has another digest. Download it again; if it stays so, the service's copy is damaged.",
            expected=version.digest,
        )


def _path(name: str, version: VersionRef) -> str:
    reference = "latest" if version is None else str(version)
    return f"/v1/models/{segment(name)}/versions/{segment(reference)}"
