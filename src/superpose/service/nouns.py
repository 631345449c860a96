"""The nouns that the service speaks: frozen values with the JSON form that the API sends.

Times are aware UTC; in JSON they are ISO 8601 with a ``Z``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from superpose.errors import ForbiddenError
from superpose.learning.card import notice_of
from superpose.service.statuses import JobStatus

if TYPE_CHECKING:
    from superpose.learning.calibration.asking import Details

__all__ = [
    "Clock",
    "Dataset",
    "Event",
    "Job",
    "JobKind",
    "Model",
    "ModelVersion",
    "Page",
    "Prediction",
    "Principal",
    "Role",
    "iso",
    "utc_now",
]

T = TypeVar("T")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)


def iso(at: datetime | None) -> str | None:
    """A time in ISO 8601 with microseconds and a ``Z``; None stays None."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Role(StrEnum):
    """What a key may do; each role may do all that the ones after it may: admin, editor, viewer, predictor."""

    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    PREDICTOR = "predictor"

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that ``other`` may."""
        return _RANKS[self] <= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


class JobKind(StrEnum):
    """What a job does.

    Train a model from a spec and a data set, or from a user's module; run a quantum program; search for a good spec (a
    sweep), which begins trials and a training; run a user's own function; predict the rows of a file; call a
    quantum function, whose circuit is a program begun by it; run a program set in pieces; solve a
    problem from logistics; make a model file that was trained elsewhere a version of the registry; train a template, a
    whole study of one kind of data.
    """

    TRAIN = "train"
    PROGRAM = "program"
    SWEEP = "sweep"
    TRIAL = "trial"
    TRAIN_MODULE = "train_module"
    FUNCTION = "function"
    PREDICT = "predict"
    CALL = "call"
    PROGRAM_SET = "program_set"
    SOLVE = "solve"
    IMPORT = "import_model"
    TRAIN_TEMPLATE = "train_template"


@dataclass(frozen=True)
class Principal:
    """Who calls.

    Attributes:
        key_id: the key.
        project: its project.
        role: what the caller may do there: the key's role or its user's in the project, whichever is less.
        user_id: the user to whom the key belongs.
        operator: whether the caller operates the whole installation: projects, users, quotas, everyone's keys.
        scopes: what the key may touch; None where only the role restricts.
        requests_per_minute: the project's quota of requests; None for no limit.
    """

    key_id: str
    project: str
    role: Role
    user_id: str | None = None
    operator: bool = False
    scopes: tuple[str, ...] | None = None
    requests_per_minute: int | None = None

    def require(self, role: Role) -> None:
        """Refuse a caller whose role does not include ``role``.

        Raises:
            ForbiddenError: the key's role is too small.
        """
        if not self.role.includes(role):
            raise ForbiddenError(
                f"This needs the role {role}; key {self.key_id} has {self.role}. Ask an admin of project "
                f"{self.project!r} for a key with that role.",
                role=str(self.role),
                needed=str(role),
            )

    def require_operator(self) -> None:
        """Refuse a caller who does not operate the installation.

        Raises:
            ForbiddenError: the key is no operator's.
        """
        if not self.operator:
            raise ForbiddenError(
                f"This needs an operator's key; key {self.key_id} is {self.role} of project {self.project!r} only. Ask "
                "the operator of this installation.",
                role=str(self.role),
                needed="operator",
            )


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list; ``next`` is the cursor of the following part, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A stored table; ``artifact`` is the SHA-256 of its stored form, ``digest`` that of its content."""

    id: str
    name: str
    format: str
    target: str
    n_rows: int
    n_features: int
    classes: tuple[str, ...]
    columns: tuple[Mapping[str, object], ...]
    digest: str
    artifact: str = field(repr=False)
    created_at: datetime
    domain: str = "general"

    @property
    def target_kind(self) -> str:
        """ "class", or "number" where the target holds numbers: such a table has no classes."""
        return "class" if self.classes else "number"

    def to_json(self) -> dict[str, object]:
        """The data set as the API sends it."""
        return {
            "id": self.id,
            "name": self.name,
            "format": self.format,
            "n_rows": self.n_rows,
            "n_features": self.n_features,
            "target": self.target,
            "target_kind": self.target_kind,
            "classes": list(self.classes),
            "columns": [dict(column) for column in self.columns],
            "digest": self.digest,
            "domain": self.domain,
            "created_at": iso(self.created_at),
        }


@dataclass(frozen=True)
class Job:
    """What a user submitted, and how far it is.

    ``number`` counts the jobs of the store in order of submission. A queued job begins once all jobs in ``after`` have
    succeeded and ``not_before_at``, the end of the pause after a failed attempt, is past. ``parent_id`` is the job that
    began this one, such as the sweep of a trial. ``traceparent`` names the trace of the request that submitted it,
    ``provider_job_id`` what a job that waits for a backend's queue asks that backend for. ``held`` says why a queued
    job may not begin although a worker is free, and until when: its project has used up its seconds. ``estimate`` is
    what it was expected to take when it was submitted: ``cpu_s``, seconds of a processor, and ``parts`` of them; None
    where nobody estimates. ``remarks`` are what the service said about that then, each with ``code`` and ``message``:
    why there is no estimate, or that the job may not end in the time that workers may hold it.
    """

    id: str
    number: int = field(repr=False)
    project: str
    kind: JobKind
    status: JobStatus
    priority: int
    payload: Mapping[str, object] = field(repr=False)
    dataset: str | None
    model: str | None
    model_version: int | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Mapping[str, object]
    error: Mapping[str, object] | None
    result: Mapping[str, object] | None = field(repr=False)
    dataset_id: str | None = field(repr=False)
    after: tuple[str, ...]
    not_before_at: datetime | None
    parent_id: str | None = None
    traceparent: str | None = field(default=None, repr=False)
    provider_job_id: str | None = field(default=None, repr=False)
    held: Mapping[str, object] | None = None
    estimate: Mapping[str, object] | None = field(default=None, repr=False)
    remarks: tuple[Mapping[str, object], ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, object]:
        """The job as the API sends it."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "status": str(self.status),
            "attempt": self.attempt,
            "priority": self.priority,
            "dataset": self.dataset,
            "model": self.model,
            "model_version": self.model_version,
            "after": list(self.after),
            "parent": self.parent_id,
            "created_at": iso(self.created_at),
            "not_before_at": iso(self.not_before_at),
            "held": None if self.held is None else dict(self.held),
            "estimate": None if self.estimate is None else dict(self.estimate),
            "remarks": [dict(remark) for remark in self.remarks],
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "progress": dict(self.progress),
            "error": None if self.error is None else dict(self.error),
            "result": None if self.result is None else dict(self.result),
        }


@dataclass(frozen=True)
class Event:
    """An entry of an append-only history; ``seq`` counts from 1 within its subject."""

    seq: int
    at: datetime
    kind: str
    data: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """The event as the API sends it."""
        return {"seq": self.seq, "at": iso(self.at), "kind": self.kind, "data": dict(self.data)}


@dataclass(frozen=True)
class ModelVersion:
    """One trained artifact in the registry; ``digest`` is the model's, ``artifact`` the SHA-256 of the file's bytes.

    ``evidence`` is what the training job left beside the file, ``statements`` what people said of the version later,
    ``validations`` how it did on rows of other sites, oldest first (`superpose.service.catalogue.validations`).
    """

    model: str
    version: int
    digest: str
    artifact: str = field(repr=False)
    job_id: str
    created_at: datetime
    metrics: Mapping[str, object] = field(repr=False)
    evaluation: Mapping[str, object] = field(repr=False)
    manifest: Mapping[str, object] = field(repr=False)
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)
    statements: Mapping[str, str] = field(default_factory=dict)
    validations: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def notice(self) -> str | None:
        """The sentence that the model must carry, such as "Not for clinical use."; None where there is none."""
        return notice_of(self.manifest)

    def to_json(self) -> dict[str, object]:
        """The model version as the API sends it."""
        return {
            "model": self.model,
            "version": self.version,
            "digest": self.digest,
            "job_id": self.job_id,
            "created_at": iso(self.created_at),
            "metrics": dict(self.metrics),
            "note": self.note,
            "tags": dict(self.tags),
            "aliases": list(self.aliases),
            "statements": dict(self.statements),
            "notice": self.notice,
            "evaluation": dict(self.evaluation),
            "manifest": dict(self.manifest),
            "evidence": dict(self.evidence),
            "validations": list(self.validations),
        }

    def summary(self) -> dict[str, object]:
        """The model version without evaluation, manifest, evidence and validations, as lists show it."""
        left_out = ("evaluation", "manifest", "evidence", "validations")
        return {name: value for name, value in self.to_json().items() if name not in left_out}


@dataclass(frozen=True)
class Model:
    """A name in the registry with its versions, oldest first; ``matched`` are those that a search found."""

    name: str
    created_at: datetime
    versions: tuple[ModelVersion, ...]
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[int, ...] | None = None

    @property
    def aliases(self) -> dict[str, int]:
        """Each alias and the number of the version it stands for."""
        return {alias: version.version for version in self.versions for alias in version.aliases}

    @property
    def latest(self) -> int:
        """Number of the newest version."""
        return self.versions[-1].version

    def to_json(self) -> dict[str, object]:
        """The model as the API sends it."""
        return {
            "name": self.name,
            "created_at": iso(self.created_at),
            "latest": self.latest,
            "note": self.note,
            "tags": dict(self.tags),
            "aliases": self.aliases,
            "versions": [version.summary() for version in self.versions],
            **({} if self.matched is None else {"matched": list(self.matched)}),
        }


@dataclass(frozen=True)
class Prediction:
    """An endpoint's answer: ``probabilities`` (n_rows, n_classes) and the most probable class of each row.

    Of a model that predicts a number there are no classes: ``predictions`` are its numbers, ``target`` is what they are
    called, and ``intervals`` (n_rows, 2), if the model file keeps them, hold true ones as often as ``coverage`` says.

    ``unknown_categories`` has, for each category column with values unknown to the model, how many rows hold one;
    ``notice`` is the sentence that the model must carry. ``details`` answers what else was asked for; where it
    withholds labels, ``labels`` has None.
    """

    model: str
    model_version: int
    request_id: str
    classes: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    predictions: tuple[str, ...] | tuple[float, ...]
    unknown_categories: Mapping[str, int] = field(default_factory=dict)
    notice: str | None = None
    details: Details | None = None
    target: str | None = None
    intervals: tuple[tuple[float, float], ...] | None = None
    coverage: float | None = None

    @property
    def labels(self) -> tuple[str | float | None, ...]:
        """The predicted class of each row, None where the model abstains; or its number."""
        if self.details is None or self.details.reasons is None:
            return self.predictions
        predicted: tuple[str | float, ...] = self.predictions
        pairs = zip(predicted, self.details.reasons, strict=True)
        return tuple(label if reason is None else None for label, reason in pairs)

    def to_json(self) -> dict[str, object]:
        """The answer as the API sends it."""
        told: dict[str, object] = {}
        if self.unknown_categories:
            told["unknown_categories"] = dict(self.unknown_categories)
        if self.notice is not None:
            told["notice"] = self.notice
        of_classes = {"classes": list(self.classes), "probabilities": [list(row) for row in self.probabilities]}
        if self.intervals is not None:
            told |= {"intervals": [list(ends) for ends in self.intervals], "coverage": self.coverage}
        return {
            "model": self.model,
            "model_version": self.model_version,
            "request_id": self.request_id,
            **(of_classes if self.target is None else {"target": self.target}),
            "predictions": list(self.labels),
            **told,
            **({} if self.details is None else self.details.to_json()),
        }
