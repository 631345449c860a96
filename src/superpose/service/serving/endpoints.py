"""Endpoints: names under which model versions answer predictions, loaded on demand and computed in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from superpose.errors import ConflictError, RequestError
from superpose.service.catalogue.models import Models, VersionRef, version_row
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, ModelVersion, Page, Prediction, Principal, Role
from superpose.service.serving.alarms import Alarm, Alarms
from superpose.service.serving.answering import Answering
from superpose.service.serving.batching import BatchStats
from superpose.service.serving.deployment import Endpoint, Limits, Release, Stage
from superpose.service.serving.endpoint_records import EndpointRecords
from superpose.service.serving.endpoint_rows import add_endpoint, select_endpoints
from superpose.service.serving.loaded_models import LoadedModels, Rows
from superpose.service.serving.promotion import Gate
from superpose.service.serving.rollouts import Rollouts
from superpose.service.serving.traffic import SideStats
from superpose.service.store.database import Database
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import endpoints

if TYPE_CHECKING:
    from superpose.explain import Explain
    from superpose.learning.calibration.asking import Asked
    from superpose.learning.predictor import Predictor

__all__ = ["MAX_EXPLAINED_ROWS", "Endpoints", "Rows"]

MAX_EXPLAINED_ROWS = 100
"""Rows that one request may have explained."""


class Endpoints:
    """The endpoints of a service.

    Args:
        database: where they are kept.
        models: where model files come from.
        loaded: the models in memory.
        config: limits.
        clock: what tells the time.
        steady: the store's clock for pauses.

    Attributes:
        gate: what model versions must have for production.
        rollouts: changes of versions, canaries and limits.
    """

    def __init__(
        self,
        database: Database,
        models: Models,
        loaded: LoadedModels,
        config: ServiceConfig,
        clock: Clock,
        *,
        steady: Clock,
    ) -> None:
        self._database = database
        self._models = models
        self._clock = clock
        self._records = EndpointRecords(database, loaded, clock)
        self._alarms = Alarms(database, clock, steady)
        self._answering = Answering(self._records.find, self._read, loaded, config, self._alarms)
        self.gate = Gate(self._records)
        self.rollouts = Rollouts(self._records, self._answering, loaded, self.gate)

    def create(
        self,
        principal: Principal,
        name: str,
        model: str,
        version: VersionRef = None,
        limits: Mapping[str, float | None] | None = None,
        release: Release = Release(),  # noqa: B008  # frozen
    ) -> Endpoint:
        """Put a model version behind a name: a number, an alias, or by default the newest one, which stays that one.

        An alias is looked up once: the endpoint keeps the version and the alias, and stays when the alias moves.

        Args:
            principal: the caller, an editor at least.
            name: of the endpoint.
            model: what answers.
            version: of the model.
            limits: some of ``Limits``.
            release: its stage, development by default, and an override of the promotion gate.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name, or a limit out of its range.
            NotFoundError: no such model version in the caller's project.
            ConflictError: the name is taken.
            PromotionError: it is for production, and the version lacks something.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        principal.require(Role.EDITOR)
        check_name(name)
        own, stage = Limits().changed(limits or {}), release.wanted or Stage.DEVELOPMENT
        with self._database.read() as connection:
            wanted = version_row(connection, principal.project, model, version)
        self._read(principal.project, model, wanted.version)  # the first request is too late to learn that it cannot be
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            named = select(endpoints.c.id).where(endpoints.c.project == principal.project, endpoints.c.name == name)
            if connection.execute(named).first() is not None:
                raise ConflictError(
                    f"Endpoint {name!r} exists. Update it, choose another name, or delete it first.",
                    kind="endpoint",
                    name=name,
                )
            made = Endpoint(
                id=new_id("ep"),
                name=name,
                project=principal.project,
                model=model,
                version=found.version,
                state="unloaded",
                created_at=self._clock(),
                alias=version if isinstance(version, str) else None,
                limits=own,
                stage=stage,
                notice=found.notice,
            )
            add_endpoint(connection, made, principal.key_id)
            self._records.record(connection, made, principal, "created")
            self.gate.admit(connection, principal, made, found, release)
            return self._records.row(connection, principal.project, name)

    def list(self, principal: Principal, part: Part = Part()) -> Page[Endpoint]:  # noqa: B008  # frozen
        """Endpoints of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select_endpoints(principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, endpoints.c.name, part, self._records.of)

    def get(self, principal: Principal, name: str) -> Endpoint:
        """An endpoint of the caller's project.

        Raises:
            NotFoundError: there is none of this name.
        """
        principal.require(Role.PREDICTOR)
        return self._records.find(principal.project, name)

    def delete(self, principal: Principal, name: str) -> None:
        """Delete an endpoint with its revisions; the models stay, and so do its events.

        Raises:
            ForbiddenError: the caller's role is too small: admin for a production endpoint, else editor.
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = self._records.row(connection, principal.project, name)
            self.gate.release(connection, principal, found)
            connection.execute(delete(endpoints).where(endpoints.c.id == found.id))
            self._records.record(connection, found, principal, "deleted")
        self._answering.forget_all_of(found)

    def predictor(self, principal: Principal, name: str) -> tuple[Endpoint, Predictor]:
        """The endpoint and its model, loaded: what describes inputs and classes. Blocks while it loads.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        found = self.get(principal, name)
        return found, self._answering.load(found, found.model, found.version).predictor

    def model_version(self, principal: Principal, name: str) -> ModelVersion:
        """The model version behind an endpoint.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        found = self.get(principal, name)
        with self._database.read() as connection:
            return version_row(connection, found.project, found.model, found.version)

    def explain(
        self,
        principal: Principal,
        name: str,
        rows: Rows,
        wanted: Explain | None = None,
        look: Callable[[], None] | None = None,
    ) -> dict[str, object]:
        """What the predictions of rows were made of, by the endpoint's own version; blocks while it computes.

        Args:
            principal: the caller, a predictor at least.
            name: of the endpoint.
            rows: at most 100, in the forms of `predict`.
            wanted: attributions by default.
            look: called again and again while it computes; what it raises ends the work.

        Returns:
            ``model``, ``model_version`` and what `superpose.explain.explain_rows` gives.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            RequestError: no rows, or too many.
            ExplanationError: no such method or class, or the model cannot be explained this way.
            FeatureMismatchError: the rows do not fit the model.

        Cost: up to some thousand predictions per row, tens of thousands with counterfactuals.
        """
        from superpose.explain import Explain, explain_rows

        if not 0 < len(rows) <= MAX_EXPLAINED_ROWS:
            raise RequestError(
                f"One request explains 1 to {MAX_EXPLAINED_ROWS} rows, got {len(rows):,}; send several requests.",
                field="rows",
                max_rows=MAX_EXPLAINED_ROWS,
            )
        found, predictor = self.predictor(principal, name)
        explained = explain_rows(predictor, rows, wanted or Explain(), look)
        return {"model": found.model, "model_version": found.version, **explained}

    async def predict(
        self,
        principal: Principal,
        name: str,
        rows: Rows,
        *,
        request_id: str | None = None,
        version: int | None = None,
        asked: Asked | None = None,
    ) -> Prediction:
        """Class probabilities of rows, computed together with those of other callers that arrive meanwhile.

        Args:
            principal: the caller; any role.
            name: the endpoint.
            rows: one mapping of column names to values per row, one list of values in the model's order, or an array
                of numbers ``(n_rows, n_columns)``.
            request_id: what the answer is marked with, and what a canary may choose by; a new id by default.
            version: which of the endpoint's sides must answer; by default its canary's share decides.
            asked: prediction sets, abstaining, novelty; see `superpose.learning.calibration.asking.Asked`.

        Raises:
            NotFoundError: there is none of this name in the caller's project, or it has no side of this version.
            SafeguardAbsentError: something is asked for that the model version cannot tell.
            RequestError: no rows, too many, or not a list of rows of one form.
            FeatureMismatchError: the rows do not have the model's columns; other callers are not touched by it.
            OverloadedError: too many rows wait at this endpoint.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        principal.require(Role.PREDICTOR)
        return await self._answering.predict(
            principal.project, name, rows, request_id=request_id, version=version, asked=asked
        )

    def stats(self, principal: Principal, name: str) -> BatchStats:
        """How the requests of the endpoint's own version were batched since its model was loaded.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        return self.traffic(principal, name)[0].batches

    def alarms(self, principal: Principal, name: str) -> tuple[Alarm, ...]:
        """Alarms of an endpoint, the newest first: that its rows are not what its model was trained on.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        return tuple(self._alarms.of(self._records.find(principal.project, name)))

    def traffic(self, principal: Principal, name: str) -> tuple[SideStats, ...]:
        """What each side of an endpoint has answered since the server started: its own version, then its canary.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        return self._answering.stats(self._records.find(principal.project, name))

    def _read(self, project: str, model: str, version: int) -> Predictor:
        from superpose.learning.predictor import Predictor

        with self._database.read() as connection:
            found = version_row(connection, project, model, version)
        return Predictor.load(self._models.content(found), expected_digest=found.digest)
