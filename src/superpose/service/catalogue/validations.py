"""What a registered version did on rows of other sites: external validations, recorded by who has the rows.

The figures are computed where the rows are (`superpose evaluate`); the service sees no row and vouches for nothing but
who recorded what, when, and of which model. A record is withdrawn with a reason, and not taken away: a card from which
an unwelcome one could vanish would be worth little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, update

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.learning.card import MAX_STATEMENT, n_seen
from superpose.learning.metrics import METRICS, NUMBER_METRICS
from superpose.service.catalogue.models import VersionRef, model_subject, version_row
from superpose.service.names import check_name
from superpose.service.nouns import Clock, ModelVersion, Principal, Role, iso
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.tables import model_versions

__all__ = ["MOST_VALIDATIONS", "Validations"]

MOST_VALIDATIONS = 50
"""Records that a version keeps, those withdrawn among them."""
_SLACK = 1e-9


class Validations:
    """External validations of a service's model versions.

    Args:
        database: where models are registered.
        clock: what tells the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self, principal: Principal, model: str, version: VersionRef, site: str, record: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Keep an external validation at a version; recording the same again changes nothing.

        Args:
            principal: the caller; an editor.
            model: the model.
            version: its version.
            site: what the rows are called, such as "north-2025"; a name of this version's own.
            record: as `superpose.learning.validation_record.record_of` makes it.

        Returns:
            The record with ``site``, ``recorded_at`` and ``recorded_by``.

        Raises:
            NotFoundError: no such version in the caller's project.
            ConflictError: the name has another record, or one that was withdrawn, or there are 50 already.
            RequestError: the record is of another model, or contradicts itself.
        """
        principal.require(Role.EDITOR)
        check_name(site, "site")
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            _check(found, record)
            for one in found.validations:
                if one["site"] != site:
                    continue
                if {**one, **record} == one and "withdrawn_at" not in one:
                    return dict(one)
                what = "a withdrawn" if "withdrawn_at" in one else "another"
                raise ConflictError(
                    f"Version {found.version} of model {model!r} has {what} record of {site!r}, of "
                    f"{one['recorded_at']}. Records stay as they are: choose another name, such as one with a date.",
                    site=site,
                    model=model,
                    version=found.version,
                )
            if len(found.validations) >= MOST_VALIDATIONS:
                raise ConflictError(
                    f"Version {found.version} of model {model!r} has {MOST_VALIDATIONS} records, the most that are "
                    "kept.",
                    limit=MOST_VALIDATIONS,
                    model=model,
                    version=found.version,
                )
            kept = {"site": site, "recorded_at": iso(self._clock()), "recorded_by": principal.key_id, **record}
            self._store(connection, principal, found, [*found.validations, kept], "validation_recorded", kept)
            return kept

    def withdraw(self, principal: Principal, model: str, version: VersionRef, site: str, reason: str) -> dict[str, Any]:
        """Mark a record as withdrawn, for a reason that stands where its figures stood.

        Raises:
            NotFoundError: no such version, or no record of this name.
            ConflictError: it was withdrawn before.
            RequestError: a reason that cannot be read.
        """
        principal.require(Role.EDITOR)
        said = " ".join(reason.split())
        if not (0 < len(said) <= MAX_STATEMENT and any(map(str.isalnum, said)) and n_seen(said)):
            raise RequestError(
                f"reason must be a text of 1 to {MAX_STATEMENT:,} characters that is not blank, got {len(said):,} "
                "characters; say why the figures do not count.",
                field="reason",
            )
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            place = next((n for n, one in enumerate(found.validations) if one["site"] == site), None)
            if place is None:
                raise NotFoundError(
                    f"Version {found.version} of model {model!r} has no record of {site!r}.", kind="validation", id=site
                )
            before = found.validations[place]
            if "withdrawn_at" in before:
                raise ConflictError(f"The record of {site!r} was withdrawn at {before['withdrawn_at']}.", site=site)
            facts = {"withdrawn_at": iso(self._clock()), "withdrawn_by": principal.key_id, "reason": said}
            after = {**before, **facts}
            others = list(found.validations)
            others[place] = after
            self._store(connection, principal, found, others, "validation_withdrawn", {"site": site, **facts})
            return after

    def _store(
        self,
        connection: Connection,
        principal: Principal,
        found: ModelVersion,
        validations: list[Mapping[str, Any]],
        kind: str,
        facts: Mapping[str, Any],
    ) -> None:
        connection.execute(
            update(model_versions)
            .where(
                model_versions.c.project == principal.project,
                model_versions.c.model == found.model,
                model_versions.c.version == found.version,
            )
            .values(validations=[dict(one) for one in validations])
        )
        append_event(
            connection,
            subject=model_subject(principal.project, found.model),
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data={"version": found.version, **facts},
        )


def _check(found: ModelVersion, record: Mapping[str, Any]) -> None:
    """Refuse a record that is of another model, or cannot be of this one.

    Raises:
        RequestError: which field, and what is allowed.
    """
    if record["digest"] != found.digest:
        raise RequestError(
            f"The record is of a model with digest {record['digest'][:12]}…, version {found.version} of "
            f"{found.model!r} has {found.digest[:12]}…. Hold this very version against the rows "
            f"(superpose evaluate {found.model}:{found.version} ROWS).",
            field="digest",
            allowed=found.digest,
        )
    n_groups, n_rows = record["n_groups"], record["n_rows"]
    if n_groups is not None and n_groups > n_rows:
        raise RequestError(f"n_groups is {n_groups:,}, of {n_rows:,} rows; it must not be more.", field="n_groups")
    _check_shares(record["metrics"], "metrics")
    for place, group in enumerate(record["subgroups"]):
        _check_shares(group["metrics"], f"subgroups.{place}.metrics")
    pipeline: Any = found.manifest["pipeline"]
    if "target" in pipeline:
        _check_metrics(
            record["metrics"], [*NUMBER_METRICS, "bias"], ["coverage"] if "coverage" in record["metrics"] else []
        )
        if "mae" not in record["metrics"]:
            raise RequestError("metrics must have mae.", field="metrics.mae")
        for name in ("classes", "positive_class", "positive_share", "recalibration", "calibration"):
            if record[name] is not None:
                raise RequestError(f"The model predicts a number; {name} must be null.", field=name)
        return
    _check_metrics(record["metrics"], [*METRICS], ["accuracy"])
    _check_classes([str(label) for label in pipeline["classes"]], record)


def _check_metrics(metrics: Mapping[str, Any], known: Sequence[str], whole: Sequence[str]) -> None:
    """Refuse metrics that such a model does not have, or that lack what the rows cannot but tell."""
    unknown = [name for name in metrics if name not in known]
    if unknown:
        raise RequestError(
            f"There is no metric {unknown[0]!r} of such a model; there are {', '.join(known)}.",
            field=f"metrics.{unknown[0]}",
            allowed=list(known),
        )
    missing = [name for name in ("accuracy", "auc") if name in known and name not in metrics]
    if missing:
        raise RequestError(f"metrics must have {missing[0]}.", field=f"metrics.{missing[0]}")
    for name in whole:
        _check_whole(metrics.get(name), f"metrics.{name}")
    if "coverage" in whole and metrics["coverage"].get("asked") is None:
        raise RequestError("A coverage must say what was promised (asked).", field="metrics.coverage")


def _check_shares(metrics: Mapping[str, Any], field: str) -> None:
    """Refuse what must lie between 0 and 1 and does not."""
    for name in (*METRICS, "coverage"):
        figure = metrics.get(name) or {"value": None, "low": None, "high": None}
        wrong = [figure[one] for one in ("value", "low", "high") if not -_SLACK <= (figure[one] or 0) <= 1 + _SLACK]
        if wrong:
            raise RequestError(f"{field}.{name} must lie between 0 and 1, got {wrong[0]!r}.", field=f"{field}.{name}")


def _check_whole(figure: Mapping[str, Any] | None, field: str) -> None:
    if figure is None or None in (figure["value"], figure["low"], figure["high"]):
        raise RequestError(f"{field} must be there, with value, low and high.", field=field)


def _check_classes(known: Sequence[str], record: Mapping[str, Any]) -> None:
    """Refuse classes that are not the model's, or counts that do not add up."""
    classes = record["classes"]
    if classes is None or list(classes) != known:
        raise RequestError(
            f"classes must count the rows of each class of the model, in its order: {', '.join(known[:20])}.",
            field="classes",
            allowed=list(known[:20]),
        )
    if sum(classes.values()) != record["n_rows"]:
        raise RequestError(
            f"classes count {sum(classes.values()):,} rows, n_rows says {record['n_rows']:,}; they must agree.",
            field="classes",
        )
    if record["calibration"] is None:
        raise RequestError("calibration must be there; of a model of classes it is always known.", field="calibration")
    two = len(known) == 2
    if record["positive_class"] not in (known if two else [None]):
        raise RequestError(
            "positive_class must be one of the model's two classes, or null for more.", field="positive_class"
        )
    again = record["recalibration"]
    if not two:
        for name in ("positive_share", "recalibration"):
            if record[name] is not None:
                raise RequestError(f"{name} must be null; only a model of two classes has one.", field=name)
        return
    _check_whole(record["positive_share"], "positive_share")
    if again is not None and again["n_positive"] != classes[record["positive_class"]]:
        raise RequestError(
            f"recalibration counts {again['n_positive']:,} rows of {record['positive_class']!r}, classes count "
            f"{classes[record['positive_class']]:,}; they must agree.",
            field="recalibration.n_positive",
        )
