"""The promotion gate at endpoints: which model versions may answer in production, and what admins let pass without.

It holds both ways: an endpoint that callers know as production does not become one for anything by an editor's word,
neither by another stage nor by being deleted and made anew under its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import category

from sqlalchemy import Connection, RowMapping, delete, insert, select

from superpose.errors import ForbiddenError, PromotionError, RequestError
from superpose.service.catalogue.models import VersionRef, version_row
from superpose.service.nouns import ModelVersion, Principal, Role
from superpose.service.serving.deployment import Endpoint, Override, Release, Stage
from superpose.service.serving.endpoint_records import EndpointRecords
from superpose.service.store.tables import gate_overrides

if TYPE_CHECKING:
    from superpose.explain import PromotionReport

__all__ = ["MAX_REASON", "Gate"]

MAX_REASON = 1_000
_SHORTEST_REASON = 10
_FEWEST_SEEN = 5


class Gate:
    """Holds versions against what production needs.

    Args:
        records: the endpoints.
    """

    def __init__(self, records: EndpointRecords) -> None:
        self._records = records

    def report(self, principal: Principal, model: str, version: VersionRef = None) -> dict[str, Any]:
        """What a version has and lacks for production, what was stated about it, and its overrides, oldest first.

        Args:
            principal: the caller, a viewer at least.
            model: the model.
            version: by number or alias; by default the newest.

        Raises:
            NotFoundError: there is none in the caller's project.
        """
        from superpose.learning.card import stated

        principal.require(Role.VIEWER)
        with self._records.database.read() as connection:
            found = version_row(connection, principal.project, model, version)
            query = select(gate_overrides).filter_by(project=principal.project, model=model, version=found.version)
            rows = connection.execute(query.order_by(gate_overrides.c.overridden_at)).mappings().all()
        return {
            "model": found.model,
            "version": found.version,
            "notice": found.notice,
            **_check(found).to_dict(),
            "statements": stated(found.manifest, found.statements),
            "evidence": dict(found.evidence),
            "overrides": [{"endpoint": row["endpoint"], **_override(row).to_json()} for row in rows],
        }

    def admit(
        self, connection: Connection, principal: Principal, endpoint: Endpoint, found: ModelVersion, release: Release
    ) -> None:
        """Let a version answer at an endpoint, or refuse it; within the caller's write transaction.

        At an endpoint for development all pass. In production what is missing must be covered by an override, by this
        call's or by one that was recorded for this version at this endpoint before.

        Raises:
            PromotionError: something is missing and not covered.
            ForbiddenError: an override by somebody who is no admin.
            RequestError: an override without a reason, or at an endpoint for development.
        """
        reason = _reason(principal, endpoint, release)
        if endpoint.stage is not Stage.PRODUCTION:
            return
        missing = _check(found).missing
        before = self._recorded(connection, endpoint, found)
        open_ones = [one for one in missing if before is None or one.name not in before.missing]
        if not open_ones:
            return
        if reason is None:
            raise _refusal(endpoint, found, [one.to_dict() for one in open_ones])
        made = Override(tuple(one.name for one in missing), reason, self._records.clock(), principal.key_id)
        connection.execute(
            delete(gate_overrides).filter_by(endpoint_id=endpoint.id, model=found.model, version=found.version)
        )
        connection.execute(
            insert(gate_overrides).values(
                endpoint_id=endpoint.id,
                project=endpoint.project,
                endpoint=endpoint.name,
                model=found.model,
                version=found.version,
                missing=list(made.missing),
                reason=made.reason,
                overridden_at=made.overridden_at,
                overridden_by=made.overridden_by,
            )
        )
        facts = {"of_model": found.model, "of_version": found.version, "override": made.to_json()}
        self._records.record(connection, endpoint, principal, "gate_overridden", **facts)

    def release(self, connection: Connection, principal: Principal, endpoint: Endpoint) -> None:
        """Let an endpoint leave production, by another stage or deleted, or refuse it; within the caller's transaction.

        At an endpoint for development there is nothing to leave. From production admins take it, as they alone let a
        version in without what is missing: else whatever was trained could answer under a name that callers trust.

        Raises:
            ForbiddenError: it is for production, and the caller is no admin.
        """
        if endpoint.stage is not Stage.PRODUCTION:
            return
        if not principal.role.includes(Role.ADMIN):
            raise ForbiddenError(
                f"Endpoint {endpoint.name!r} is for production; to give it another stage, or to delete it, needs the "
                f"role {Role.ADMIN}, and key {principal.key_id} has {principal.role}. Roll it back, put another "
                f"complete version behind it, or ask an admin of project {principal.project!r}.",
                role=str(principal.role),
                needed=str(Role.ADMIN),
                stage=str(endpoint.stage),
            )
        self._records.record(connection, endpoint, principal, "left_production")

    def _recorded(self, connection: Connection, endpoint: Endpoint, found: ModelVersion) -> Override | None:
        query = select(gate_overrides).filter_by(endpoint_id=endpoint.id, model=found.model, version=found.version)
        row = connection.execute(query).mappings().first()
        return None if row is None else _override(row)


def _check(found: ModelVersion) -> PromotionReport:
    from superpose.explain import check_promotion

    return check_promotion(found.manifest, found.evidence, found.statements)


def _override(row: RowMapping) -> Override:
    return Override(tuple(row["missing"]), row["reason"], row["overridden_at"], row["overridden_by"])


def _reason(principal: Principal, endpoint: Endpoint, release: Release) -> str | None:
    """The reason given for an override, checked; None where none is asked for."""
    if release.override is None:
        return None
    principal.require(Role.ADMIN)
    from superpose.learning.card import n_seen

    reason = " ".join(release.override.split())
    if not _SHORTEST_REASON <= len(reason) <= MAX_REASON:
        raise RequestError(
            f"override must be a reason of {_SHORTEST_REASON} to {MAX_REASON:,} characters, got {len(reason):,}; say "
            "why the version may answer in production without what is missing.",
            field="override",
        )
    if any(category(c) == "Cc" for c in reason) or n_seen(reason) < _FEWEST_SEEN or not any(map(str.isalnum, reason)):
        raise RequestError(
            f"override must be a reason that can be read: words, at least {_FEWEST_SEEN} characters that can be seen "
            f"and no control characters, got {n_seen(reason)} of {len(reason):,} that can be seen.",
            field="override",
        )
    if endpoint.stage is not Stage.PRODUCTION:
        raise RequestError(
            f"Endpoint {endpoint.name!r} is for {endpoint.stage}, where nothing has to be overridden. Leave override "
            "out, or say stage: production.",
            field="override",
        )
    return reason


def _refusal(endpoint: Endpoint, found: ModelVersion, missing: list[dict[str, Any]]) -> PromotionError:
    listed = "; ".join(f"{one['name']} ({one['title']}): {one['how']}" for one in missing)
    return PromotionError(
        f"Version {found.version} of model {found.model!r} may not answer at endpoint {endpoint.name!r}, which is for "
        f"production: {len(missing)} of what that needs is missing. {listed} Or an admin overrides it with a reason.",
        model=found.model,
        version=found.version,
        endpoint=endpoint.name,
        missing=missing,
        allowed="complete versions, or an admin's override with a reason",
    )
