"""Reports of trainings: one page from what the registry and the job store hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import ArtifactError, ConflictError, ModelFormatError, NotFoundError, RequestError
from superpose.service.catalogue.models import Models, VersionRef
from superpose.service.nouns import Job, JobKind, ModelVersion, Principal, Role
from superpose.service.statuses import JobStatus
from superpose.service.store.artifacts import StoredFile
from superpose.trust import sha256_bytes

if TYPE_CHECKING:
    from superpose.explain import ReportFacts
    from superpose.learning.predictor import Predictor

__all__ = ["MadeReport", "Reports"]

_TRAININGS = (JobKind.TRAIN, JobKind.TRAIN_MODULE, JobKind.TRAIN_TEMPLATE)
_STUDY = "report.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class MadeReport:
    """A report that was made just now: a name for its file, its media type and its bytes."""

    filename: str
    media_type: str
    file: StoredFile


class Reports:
    """Makes reports.

    Args:
        models: where versions are registered.
        job: gives a job of the caller's project.
        gate: what a version has and lacks for production, and its overrides.
        file: gives a file that a job of the caller's project has left.
    """

    def __init__(
        self,
        models: Models,
        job: Callable[[Principal, str], Job],
        gate: Callable[[Principal, str, VersionRef], dict[str, Any]],
        file: Callable[[Principal, str, str], StoredFile],
    ) -> None:
        self._models, self._job, self._gate, self._file = models, job, gate, file

    def of_job(self, principal: Principal, job_id: str, form: str = "html") -> MadeReport:
        """The report of a training job; of the model version too that it made, as long as there is one.

        Args:
            principal: the caller, a viewer at least.
            job_id: a training job that has succeeded.
            form: "html" or "pdf".

        Raises:
            NotFoundError: there is no such job in the caller's project.
            ConflictError: the job trains nothing, or has not succeeded.
            RequestError: another form.
            ExtraMissingError: what draws reports is not installed here.
        """
        principal.require(Role.VIEWER)
        _check_form(form)
        job = self._job(principal, job_id)
        if job.kind not in _TRAININGS:
            raise ConflictError(
                f"Job {job.id} is of kind {job.kind}; only trainings ({', '.join(_TRAININGS)}) have reports. Of a "
                "sweep, ask for the training that it ends with."
            )
        if job.status is not JobStatus.SUCCEEDED:
            raise ConflictError(f"Job {job.id} is {job.status}; there is a report once it has succeeded.")
        version = None
        if job.model is not None and job.model_version is not None:
            try:
                version = self._models.version(principal, job.model, job.model_version)
            except NotFoundError:
                version = None  # deleted since: the job's own document is left
        return self._made(principal, job, version, form)

    def of_version(
        self, principal: Principal, model: str, version: VersionRef = None, form: str = "html"
    ) -> MadeReport:
        """The report of the training that made a model version.

        Args:
            principal: the caller, a viewer at least.
            model: the model.
            version: by number or alias; by default the newest.
            form: "html" or "pdf".

        Raises:
            NotFoundError: there is none in the caller's project.
            ConflictError: what an imported file says of its evaluation is in no form that a report can show.
            RequestError: another form.
            ExtraMissingError: what draws reports is not installed here.
        """
        principal.require(Role.VIEWER)
        _check_form(form)
        found = self._models.version(principal, model, version)
        try:
            job = self._job(principal, found.job_id)
        except NotFoundError:
            job = None  # not kept any longer
        return self._made(principal, job, found, form)

    def _made(self, principal: Principal, job: Job | None, version: ModelVersion | None, form: str) -> MadeReport:
        from superpose.explain import demand_report, report_pdf, study_report, training_report

        study, facts = self._study(principal, job), self._facts(principal, job, version)
        if study is not None:
            page_of = demand_report if study["template"] == "demand" else study_report
            content = page_of(study, known=facts)
        else:
            try:
                content = training_report(facts)
            except ModelFormatError as error:  # an imported file may say anything of its evaluation
                raise ConflictError(error.message) from error
        if form == "pdf":
            content = report_pdf(content)
        stem = f"{version.model}-{version.version}" if version is not None else "" if job is None else job.id
        kinds = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}
        return MadeReport(f"{stem}-report.{form}", kinds[form], _in_memory(content))

    def _study(self, principal: Principal, job: Job | None) -> dict[str, Any] | None:
        """The document that a template's job left; None where there is none, or it was removed."""
        if job is None or job.kind is not JobKind.TRAIN_TEMPLATE:
            return None
        try:
            file = self._file(principal, job.id, _STUDY)
        except (NotFoundError, ArtifactError):
            return None
        found: dict[str, Any] = json.loads(b"".join(file.chunks(0, file.n_bytes)))
        return found

    def _facts(self, principal: Principal, job: Job | None, version: ModelVersion | None) -> ReportFacts:
        from superpose.explain import ReportFacts

        told: dict[str, Any] = {}
        if job is not None:
            told["job"] = {name: value for name, value in job.to_json().items() if name not in ("result", "progress")}
            result: Any = job.result or {}
            told["evaluation"] = result.get("evaluation") or {}
        if version is not None:
            told |= {
                "manifest": version.manifest,
                "evaluation": version.evaluation,
                "model": version.model,
                "version": version.version,
                "evidence": version.evidence,
                "statements": version.statements,
                "validations": version.validations,
                "overrides": self._gate(principal, version.model, version.version)["overrides"],
                "predictor": self._predictor(version),
            }
        return ReportFacts(**told)

    def _predictor(self, version: ModelVersion) -> Predictor | None:
        from superpose.learning.predictor import Predictor

        try:
            return Predictor.load(self._models.content(version), version.digest)
        except (ArtifactError, ModelFormatError):
            return None  # the circuit is left out, and the report says so


def _check_form(form: str) -> None:
    from superpose.explain import FORMATS

    if form not in FORMATS:
        raise RequestError(f"format must be {' or '.join(FORMATS)}, got {form[:20]!r}.", field="format")


def _in_memory(content: bytes) -> StoredFile:
    def chunks(start: int, stop: int) -> Iterator[bytes]:
        for place in range(start, stop, _CHUNK):
            yield content[place : min(place + _CHUNK, stop)]

    return StoredFile(sha256_bytes(content), len(content), chunks)
