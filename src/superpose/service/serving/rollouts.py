"""How endpoints change: another version, the one before, a canary's share, promotion.

A new version is loaded and tried before it takes over, and requests under way finish with the version they began with,
so that none of this has a downtime.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.catalogue.models import VersionRef, version_row
from superpose.service.nouns import Event, ModelVersion, Page, Principal, Role
from superpose.service.serving.answering import Answering, side_key
from superpose.service.serving.deployment import Canary, Endpoint, Release, Revision, SplitBy
from superpose.service.serving.endpoint_records import EndpointRecords
from superpose.service.serving.endpoint_rows import (
    add_revision,
    find_revision,
    revision_of,
    write_canary,
    write_limits,
    write_stage,
)
from superpose.service.serving.loaded_models import LoadedModels
from superpose.service.serving.promotion import Gate
from superpose.service.store.history import read_events
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import endpoint_revisions

__all__ = ["Rollouts"]


class Rollouts:
    """Changes of endpoints, and the history of them.

    Args:
        records: the endpoints.
        answering: what answers with them, to be told of changes.
        loaded: the models in memory.
        gate: what lets versions into production.
    """

    def __init__(self, records: EndpointRecords, answering: Answering, loaded: LoadedModels, gate: Gate) -> None:
        self._gate = gate
        self._records = records
        self._answering = answering
        self._loaded = loaded

    def update(
        self,
        principal: Principal,
        name: str,
        *,
        model: str | None = None,
        version: VersionRef = None,
        limits: Mapping[str, float | None] | None = None,
        release: Release = Release(),  # noqa: B008  # frozen
    ) -> Endpoint:
        """Put another model version behind an endpoint, change its limits or stage. No request fails meanwhile.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            model: the model; by default the one it has.
            version: its number or alias; by default the newest if ``model`` is given, else the one it has.
            limits: those of ``Limits`` that change; None as a value goes back to the service's setting.
            release: another stage, and an override of the promotion gate.

        Raises:
            NotFoundError: no such endpoint or model version in the caller's project.
            ConflictError: a canary runs, or the endpoint was changed meanwhile, so that what is asked for no longer
                stands behind it.
            RequestError: nothing to change, or a limit out of its range.
            PromotionError: it is or becomes a production endpoint, and a version lacks something.
            ForbiddenError: another stage for a production endpoint, by somebody who is no admin.
            ModelFileError, ArtifactError: the new version cannot be used; the old one goes on answering.
        """
        principal.require(Role.EDITOR)
        stage = release.wanted
        if model is None and version is None and not limits and stage is None:
            raise RequestError(
                "There is nothing to change. Give a version, a model, a limit or a stage.", field="version"
            )
        before = self._records.find(principal.project, name)
        own = before.limits.changed(limits or {})
        wanted = self._wanted(before, model, version)
        if wanted is not None:
            _refuse_canary(before)
            self._answering.load(before, wanted.model, wanted.version)
        with self._records.database.write() as connection:
            found = self._records.row(connection, principal.project, name)
            named = model is not None or version is not None
            _refuse_changed(found, _side(found) == _side(before) or not named or (wanted and model is not None))
            if stage is not None:
                if stage is not found.stage:
                    self._gate.release(connection, principal, found)
                write_stage(connection, found.id, stage)
            if wanted is not None:
                _refuse_canary(found)
                wanted = version_row(connection, found.project, wanted.model, wanted.version)  # or deleted meanwhile
                self._admit(connection, principal, name, wanted, release)
                add_revision(connection, found, wanted, _alias(version), self._records.clock(), principal.key_id)
            elif stage is not None or release.override is not None:
                self._admit_present(connection, principal, name, release)
            if limits:
                own = found.limits.changed(limits)
                write_limits(connection, found.id, own)
            after = self._records.row(connection, principal.project, name)
            if after != found:
                self._records.record(connection, after, principal, "updated")
        return self._switched(before, after)

    def rollback(
        self,
        principal: Principal,
        name: str,
        revision: int | None = None,
        release: Release = Release(),  # noqa: B008  # frozen
    ) -> Endpoint:
        """Put back what answered before, as a new revision. Limits stay.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            revision: which revision to repeat; by default the one before the present one, so that a second rollback
                goes back one further.
            release: an override of the promotion gate.

        Raises:
            NotFoundError: no such endpoint or revision in the caller's project.
            ConflictError: a canary runs, or there is nothing to go back to.
            PromotionError: it is a production endpoint, and that version lacks something.
            ModelFileError, ArtifactError: that version cannot be used; the present one goes on answering.
        """
        principal.require(Role.EDITOR)
        before = self._records.find(principal.project, name)
        _refuse_canary(before)
        with self._records.database.read() as connection:
            target = self._target(connection, before, revision)
        self._answering.load(before, target.model, target.version)
        with self._records.database.write() as connection:
            found = self._records.row(connection, principal.project, name)
            _refuse_canary(found)
            _refuse_changed(found, found.revision == before.revision)
            version = version_row(connection, found.project, target.model, target.version)
            self._admit(connection, principal, name, version, release)
            add_revision(connection, found, target, None, self._records.clock(), principal.key_id)
            after = self._records.row(connection, principal.project, name)
            self._records.record(connection, after, principal, "rolled_back", origin=target.origin)
        return self._switched(before, after)

    def start_canary(  # noqa: PLR0913  # which version, which requests, how
        self,
        principal: Principal,
        name: str,
        *,
        percent: float,
        version: VersionRef = None,
        model: str | None = None,
        by: SplitBy | str = SplitBy.REQUEST_ID,
        seed: int = 0,
        release: Release = Release(),  # noqa: B008  # frozen
    ) -> Endpoint:
        """Let another model version answer a share of the requests; again, to change share or version.

        Args:
            principal: the caller, an editor at least.
            name: the endpoint.
            percent: share of the requests, above 0 and below 100.
            version: what answers them, by number or alias; by default the newest version.
            model: its model; by default the endpoint's.
            by: "request_id" (the same id always meets the same side) or "random".
            seed: of the choice.
            release: an override of the promotion gate.

        Raises:
            NotFoundError: no such endpoint or model version in the caller's project.
            RequestError: a share, seed or way to choose that does not exist.
            ConflictError: the version is the one that answers already.
            PromotionError: it is a production endpoint, and the version lacks something.
            ModelFileError, ArtifactError: the version cannot be used; nothing was changed.
        """
        principal.require(Role.EDITOR)
        before = self._records.find(principal.project, name)
        target_model = model or before.model
        with self._records.database.read() as connection:
            target = (target_model, version_row(connection, before.project, target_model, version).version)
        canary = Canary(*target, percent=percent, by=_split_by(by), seed=seed, started_at=self._records.clock())
        self._answering.load(before, *target)
        with self._records.database.write() as connection:
            found = self._records.row(connection, principal.project, name)
            if target == (found.model, found.version):
                raise ConflictError(
                    f"Version {target[1]} of {target[0]!r} is what endpoint {name!r} answers with already. Choose "
                    "another version for its canary.",
                    version=target[1],
                )
            version_found = version_row(connection, found.project, *target)
            self._admit(connection, principal, name, version_found, release)
            write_canary(connection, found.id, found.project, canary)
            after = self._records.row(connection, principal.project, name)
            self._records.record(connection, after, principal, "canary_started", canary=canary.to_json())
        return self._switched(before, after)

    def stop_canary(self, principal: Principal, name: str) -> Endpoint:
        """Let the endpoint's own version answer all requests again.

        Raises:
            NotFoundError: no such endpoint in the caller's project.
            ConflictError: no canary runs.
        """
        principal.require(Role.EDITOR)
        with self._records.database.write() as connection:
            before = self._records.row(connection, principal.project, name)
            canary = _running(before)
            write_canary(connection, before.id, before.project, None)
            after = self._records.row(connection, principal.project, name)
            self._records.record(connection, after, principal, "canary_stopped", canary=canary.to_json())
        return self._switched(before, after)

    def promote(self, principal: Principal, name: str) -> Endpoint:
        """Let the canary answer all requests: a new revision, and the end of the canary.

        Raises:
            NotFoundError: no such endpoint in the caller's project.
            ConflictError: no canary runs, or another than did when this was called.
            PromotionError: it is a production endpoint, and the version lacks something.
        """
        principal.require(Role.EDITOR)
        before = self._records.find(principal.project, name)
        canary = _running(before)
        self._answering.load(before, canary.model, canary.version)
        with self._records.database.write() as connection:
            found = self._records.row(connection, principal.project, name)
            _refuse_changed(found, _side(_running(found)) == _side(canary))
            canary = _running(found)
            write_canary(connection, found.id, found.project, None)
            promoted = version_row(connection, found.project, canary.model, canary.version)
            self._admit(connection, principal, name, promoted, Release())
            add_revision(connection, found, promoted, None, self._records.clock(), principal.key_id)
            after = self._records.row(connection, principal.project, name)
            self._records.record(connection, after, principal, "promoted", canary=canary.to_json())
        return self._switched(before, after)

    def revisions(self, principal: Principal, name: str, part: Part = Part()) -> Page[Revision]:  # noqa: B008
        """Which model versions stood behind an endpoint, newest first.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._records.database.read() as connection:
            found = self._records.row(connection, principal.project, name)
            query = select(endpoint_revisions).where(endpoint_revisions.c.endpoint_id == found.id)
            return read_page(connection, query, endpoint_revisions.c.number, part, revision_of, newest_first=True)

    def events(self, principal: Principal, name: str, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """What happened to an endpoint, oldest first, behind the event numbered ``after``.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._records.database.read() as connection:
            found = self._records.row(connection, principal.project, name)
            return tuple(read_events(connection, found.id, after, limit))

    def _admit(
        self, connection: Connection, principal: Principal, name: str, version: ModelVersion, release: Release
    ) -> None:
        """Hold a version against what the endpoint's stage, as it is now in the store, needs."""
        endpoint = self._records.row(connection, principal.project, name)
        self._gate.admit(connection, principal, endpoint, version, release)

    def _admit_present(self, connection: Connection, principal: Principal, name: str, release: Release) -> None:
        """Hold the versions that answer already against a new stage."""
        found = self._records.row(connection, principal.project, name)
        sides = [(found.model, found.version)]
        if found.canary is not None:
            sides.append((found.canary.model, found.canary.version))
        for model, number in sides:
            self._gate.admit(
                connection, principal, found, version_row(connection, found.project, model, number), release
            )

    def _wanted(self, found: Endpoint, model: str | None, version: VersionRef) -> ModelVersion | None:
        """The model version to change to; None for the one that answers already."""
        if model is None and version is None:
            return None
        with self._records.database.read() as connection:
            wanted = version_row(connection, found.project, model or found.model, version)
        known = (wanted.model, wanted.version, _alias(version)) == (found.model, found.version, found.alias)
        return None if known else wanted

    def _target(self, connection: Connection, found: Endpoint, number: int | None) -> Revision:
        """The revision to go back to."""
        if number is None:
            present = find_revision(connection, found.id, found.revision)
            number = (present.origin if present else 1) - 1
            if number < 1:
                raise ConflictError(
                    f"Endpoint {found.name!r} has no revision before the one that answers. Update it to a version.",
                    revision=found.revision,
                )
        target = find_revision(connection, found.id, number)
        if target is None:
            raise NotFoundError(
                f"Endpoint {found.name!r} has no revision {number}; the newest is {found.revision}.",
                kind="revision",
                id=number,
            )
        try:
            version_row(connection, found.project, target.model, target.version)
        except NotFoundError as error:
            raise NotFoundError(
                f"Revision {number} of endpoint {found.name!r} is version {target.version} of model {target.model!r}, "
                "which was deleted. Name another revision to go back to, or update the endpoint to a version.",
                **error.details,
            ) from error
        return target

    def _switched(self, before: Endpoint, after: Endpoint) -> Endpoint:
        """Answer with what the store now says, and let go of what no longer answers."""
        self._answering.forget(after)
        kept = {side_key(after.id, after.model, after.version)}
        if after.canary is not None:
            kept.add(side_key(after.id, after.canary.model, after.canary.version))
        for key in kept:
            self._loaded.adjust(key, after.limits)
        gone = {side_key(before.id, before.model, before.version)}
        if before.canary is not None:
            gone.add(side_key(before.id, before.canary.model, before.canary.version))
        for key in gone - kept:
            self._loaded.unload(key)
        return after


def _refuse_canary(endpoint: Endpoint) -> None:
    if endpoint.canary is not None:
        raise ConflictError(
            f"Version {endpoint.canary.version} answers {endpoint.canary.percent:g} % of the requests to endpoint "
            f"{endpoint.name!r} as a canary. Promote it or stop it first.",
            canary=endpoint.canary.to_json(),
        )


def _side(what: Endpoint | Canary) -> tuple[str, int]:
    return what.model, what.version


def _refuse_changed(endpoint: Endpoint, same: object) -> None:
    """Refuse a change whose ground has gone while the model was loaded, unless ``same``."""
    if not same:
        raise ConflictError(
            f"Endpoint {endpoint.name!r} was changed meanwhile, to revision {endpoint.revision}. Look at it and try "
            "again.",
            revision=endpoint.revision,
        )


def _running(endpoint: Endpoint) -> Canary:
    if endpoint.canary is None:
        raise ConflictError(f"Endpoint {endpoint.name!r} has no canary. Start one first.", name=endpoint.name)
    return endpoint.canary


def _alias(version: VersionRef) -> str | None:
    return version if isinstance(version, str) else None


def _split_by(by: SplitBy | str) -> SplitBy:
    try:
        return SplitBy(by)
    except ValueError:
        allowed = [str(way) for way in SplitBy]
        raise RequestError(f"by must be {' or '.join(allowed)}, got {by!r}.", field="by", allowed=allowed) from None
