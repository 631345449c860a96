"""The nouns of the service as the client sees them: frozen, typed, and shown as tables in notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Self, TypeVar

from superpose.client.display import comparison_html, fields_html, table_html
from superpose.client.json_fields import Fields
from superpose.errors import ProtocolError

__all__ = [
    "FINAL_STATUSES",
    "Column",
    "Dataset",
    "Event",
    "Job",
    "Listing",
    "Model",
    "ModelVersion",
    "Prediction",
    "job_ids",
]

FINAL_STATUSES: Final = frozenset({"succeeded", "failed", "cancelled"})
NounT = TypeVar("NounT", bound="Noun")


@dataclass(frozen=True)
class Noun:
    """What all nouns share: their members as a mapping, and a table for notebooks."""

    def to_dict(self) -> dict[str, Any]:
        """The members as JSON values (times in ISO 8601)."""
        return {item.name: _json(getattr(self, item.name)) for item in fields(self) if item.repr}

    def _repr_html_(self) -> str:
        shown = {item.name: getattr(self, item.name) for item in fields(self) if item.repr}
        return fields_html(type(self).__name__, shown)


def _json(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Noun):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    return value


class Listing(list[NounT]):
    """A list of nouns, shown as one table in notebooks."""

    def _repr_html_(self) -> str:
        if not self:
            return "<p>nothing here</p>"
        names = [item.name for item in fields(self[0]) if item.repr]
        return table_html(names, [[getattr(noun, name) for name in names] for noun in self])


@dataclass(frozen=True)
class Column(Noun):
    """A feature column: ``kind`` is "number" or "category"; ``unit`` is None where it is not known."""

    name: str
    kind: str
    unit: str | None
    n_missing: int

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A column from the service's JSON."""
        f = Fields.of("column", document)
        return cls(f.text("name"), f.text("kind"), f.maybe_text("unit"), f.maybe_whole("n_missing") or 0)


@dataclass(frozen=True)
class Dataset(Noun):
    """A registered data set; ``digest`` is the SHA-256 of its canonical content.

    ``target_kind`` is "class", or "number" where the target holds numbers, and ``classes`` is empty. ``warnings`` says
    what is odd about a table just added, most serious first; `Datasets.sheet` says it at any time.
    """

    id: str
    name: str
    format: str
    n_rows: int
    n_features: int
    target: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    digest: str
    created_at: datetime
    warnings: tuple[str, ...] = field(default=(), compare=False)
    domain: str = "general"
    target_kind: str = "class"

    @property
    def target_told(self) -> str:
        """The target and its classes, or that it holds numbers."""
        return f"{self.target} ({', '.join(self.classes) or 'numbers'})"

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A data set from the service's JSON."""
        f = Fields.of("dataset", document)
        return cls(
            id=f.text("id"),
            name=f.text("name"),
            format=f.text("format"),
            n_rows=f.whole("n_rows"),
            n_features=f.whole("n_features"),
            target=f.text("target"),
            classes=f.texts("classes"),
            columns=tuple(Column.from_json(item) for item in f.array("columns")),
            digest=f.text("digest"),
            created_at=f.time("created_at"),
            warnings=f.texts("warnings") if "warnings" in f.members else (),
            domain=f.text("domain") if "domain" in f.members else "general",
            target_kind=f.text("target_kind") if "target_kind" in f.members else "class",
        )

    def _repr_html_(self) -> str:
        facts = {
            "id": self.id,
            "rows": self.n_rows,
            "features": self.n_features,
            "target": self.target_told,
            "domain": self.domain,
            "digest": self.digest,
            "created at": self.created_at,
        }
        rows = [(column.name, column.kind, column.unit, column.n_missing) for column in self.columns]
        table = table_html(("column", "kind", "unit", "missing"), rows) if rows else ""
        return fields_html(f"Dataset {self.name}", facts) + table


@dataclass(frozen=True)
class Job(Noun):
    """A submitted job; ``status`` is one of queued, running, waiting, cancelling, succeeded, failed, cancelled.

    A queued job begins once all jobs in ``after`` have succeeded and ``not_before_at``, the end of the pause after an
    attempt that failed, is past. ``held`` says (``code``, ``message``, ``until``) why it may not begin although a
    worker is free: its project has used up its quota of seconds. ``estimate`` says what it was expected to take when it
    was submitted (``cpu_s``, seconds of a processor, and ``parts`` of them); None where the service has no estimate.
    ``remarks`` (each with ``code`` and ``message``) say why there is none, or that the job may not end in the time that
    workers may hold it.
    """

    id: str
    kind: str
    status: str
    attempt: int
    priority: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    dataset: str | None
    model: str | None
    model_version: int | None
    progress: Mapping[str, Any]
    error: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    after: tuple[str, ...] = ()
    not_before_at: datetime | None = None
    held: Mapping[str, Any] | None = None
    estimate: Mapping[str, Any] | None = None
    remarks: tuple[Mapping[str, Any], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the status will not change any more."""
        return self.status in FINAL_STATUSES

    @property
    def succeeded(self) -> bool:
        """Whether the job ended well."""
        return self.status == "succeeded"

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A job from the service's JSON."""
        f = Fields.of("job", document)
        return cls(
            id=f.text("id"),
            kind=f.text("kind"),
            status=f.text("status"),
            attempt=f.maybe_whole("attempt") or 0,
            priority=f.maybe_whole("priority") or 0,
            created_at=f.time("created_at"),
            started_at=f.maybe_time("started_at"),
            finished_at=f.maybe_time("finished_at"),
            dataset=f.maybe_text("dataset"),
            model=f.maybe_text("model"),
            model_version=f.maybe_whole("model_version"),
            progress=f.object("progress"),
            error=f.maybe_object("error"),
            result=f.maybe_object("result"),
            after=f.texts("after") if "after" in f.members else (),
            not_before_at=f.maybe_time("not_before_at"),
            held=f.maybe_object("held"),
            estimate=f.maybe_object("estimate"),
            remarks=f.objects("remarks") if "remarks" in f.members else (),
        )

    def _repr_html_(self) -> str:
        shown = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("id", "result")}
        return fields_html(f"Job {self.id}", shown)


def job_ids(jobs: Sequence[Job | str]) -> list[str]:
    """The ids of jobs that are given as such or by their ids."""
    return [job.id if isinstance(job, Job) else job for job in jobs]


@dataclass(frozen=True)
class Event(Noun):
    """An entry of a job's history; ``seq`` counts from 1 within the job."""

    seq: int
    at: datetime | None
    kind: str
    data: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An event from the service's JSON."""
        f = Fields.of("event", document)
        return cls(f.whole("seq"), f.maybe_time("at"), f.text("kind"), f.object("data"))


@dataclass(frozen=True)
class Model(Noun):
    """A name in the registry with the numbers of its versions; ``matched`` are those that a search found."""

    name: str
    versions: tuple[int, ...]
    latest: int | None
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    matched: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A model from the service's JSON; its versions may come as numbers or as objects."""
        f = Fields.of("model", document)
        numbers = [item.get("version") if isinstance(item, dict) else item for item in f.array("versions")]
        versions = tuple(sorted(number for number in numbers if isinstance(number, int)))
        if len(versions) != len(numbers):
            raise ProtocolError("model.versions in the service's answer holds something that is not a version number.")
        latest = f.members.get("latest")
        if isinstance(latest, dict):
            latest = latest.get("version")
        return cls(
            name=f.text("name"),
            versions=versions,
            latest=latest if isinstance(latest, int) else max(versions, default=None),
            note=f.maybe_text("note") or "",
            tags=f.object("tags"),
            aliases=f.object("aliases"),
            matched=None if f.members.get("matched") is None else tuple(f.array("matched")),
        )


@dataclass(frozen=True)
class ModelVersion(Noun):
    """One trained artifact; ``digest`` is the SHA-256 of its manifest, ``evaluation`` the honest comparison.

    ``validations`` are how it did on rows of other sites, oldest first (`Models.record_validation`).
    """

    model: str
    version: int
    digest: str
    job_id: str | None
    created_at: datetime
    metrics: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    manifest: Mapping[str, Any]
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    statements: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    notice: str | None = None
    validations: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A model version from the service's JSON."""
        f = Fields.of("model version", document)
        return cls(
            model=f.text("model"),
            version=f.whole("version"),
            digest=f.text("digest"),
            job_id=f.maybe_text("job_id"),
            created_at=f.time("created_at"),
            metrics=f.object("metrics"),
            evaluation=f.object("evaluation"),
            manifest=f.object("manifest"),
            note=f.maybe_text("note") or "",
            tags=f.object("tags"),
            aliases=f.texts("aliases"),
            statements=f.maybe_object("statements") or {},
            evidence=f.maybe_object("evidence") or {},
            notice=f.maybe_text("notice"),
            validations=tuple(f.array("validations")) if "validations" in f.members else (),
        )

    def _repr_html_(self) -> str:
        facts = {"digest": self.digest, "job": self.job_id, "created at": self.created_at}
        facts |= {"notice": self.notice} if self.notice else {}
        return fields_html(f"{self.model} version {self.version}", facts) + comparison_html(self.evaluation)


def _predicted(f: Fields) -> dict[str, Any]:
    """The members of a prediction that tell classes, or numbers."""
    if "target" not in f.members:
        return {
            "classes": f.texts("classes"),
            "probabilities": tuple(tuple(float(p) for p in row) for row in f.array("probabilities")),
            "predictions": tuple(None if label is None else str(label) for label in f.array("predictions")),
        }
    found: dict[str, Any] = {"target": f.text("target"), "classes": (), "probabilities": ()}
    found["predictions"] = tuple(float(number) for number in f.array("predictions"))
    if "intervals" in f.members:
        found["intervals"] = tuple((float(low), float(high)) for low, high in f.array("intervals"))
        found["coverage"] = f.number("coverage")
    return found


def _asked_for(f: Fields) -> dict[str, Any]:
    """Those members of a prediction that were asked for."""
    found: dict[str, Any] = {}
    if "prediction_sets" in f.members:
        found["prediction_sets"] = tuple(tuple(map(str, row)) for row in f.array("prediction_sets"))
        found["coverage"] = f.number("coverage")
    if "abstained" in f.members:
        found["abstained"] = tuple(None if reason is None else str(reason) for reason in f.array("abstained"))
    if "novelty" in f.members:
        found["novelty"] = tuple(map(float, f.array("novelty")))
        found["novel"] = tuple(map(bool, f.array("novel")))
        found["novelty_threshold"] = f.number("novelty_threshold")
    return found


@dataclass(frozen=True)
class Prediction(Noun):
    """What an endpoint answered: one predicted class and one probability per class for each row.

    Of a model that predicts a number there are no classes: ``predictions`` are its numbers, ``target`` is what they are
    called, and ``intervals``, of each row the lower and the upper end, hold the true number with the probability
    ``coverage``, if the model file keeps them.

    ``unknown_categories`` has, for each category column with values unknown to the model, how many rows hold one; such
    a value counts as none of the known ones. The rest is there if it was asked for: ``prediction_sets``, which hold the
    true class with the probability ``coverage``; ``abstained``, why a row's prediction is None, or None; ``novelty``,
    how unlike the training rows a row is, and ``novel``, whether that is above ``novelty_threshold``.
    """

    model: str
    model_version: int
    request_id: str
    classes: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    predictions: tuple[str | float | None, ...]
    unknown_categories: Mapping[str, int] = field(default_factory=dict)
    notice: str | None = None
    prediction_sets: tuple[tuple[str, ...], ...] | None = None
    coverage: float | None = None
    abstained: tuple[str | None, ...] | None = None
    novelty: tuple[float, ...] | None = None
    novel: tuple[bool, ...] | None = None
    novelty_threshold: float | None = None
    target: str | None = None
    intervals: tuple[tuple[float, float], ...] | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A prediction from the service's JSON."""
        f = Fields.of("prediction", document)
        return cls(
            model=f.text("model"),
            model_version=f.whole("model_version"),
            request_id=f.maybe_text("request_id") or "",
            **_predicted(f),
            unknown_categories=f.maybe_object("unknown_categories") or {},
            notice=f.maybe_text("notice"),
            **_asked_for(f),
        )

    def to_dict(self) -> dict[str, Any]:
        """The members as JSON values; what was not asked for is left out."""
        return {name: value for name, value in super().to_dict().items() if value is not None}

    def __len__(self) -> int:
        return len(self.predictions)

    def _repr_html_(self) -> str:
        title = f"{self.model} version {self.model_version}, request {self.request_id}"
        if self.target is not None:
            ends = self.intervals or [()] * len(self)
            numbers = [(number, *row) for number, row in zip(self.predictions, ends, strict=True)]
            return table_html((self.target, *(("from", "to") if self.intervals else ())), numbers, title)
        rows = [(label or "–", *row) for label, row in zip(self.predictions, self.probabilities, strict=True)]
        return table_html(("prediction", *self.classes), rows, title)
