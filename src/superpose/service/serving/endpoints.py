"""Endpoints: names under which model versions answer predictions, loaded on demand and computed in micro-batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.catalogue.models import Models, version_row
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Endpoint, ModelVersion, Page, Prediction, Principal, Role
from superpose.service.serving.batching import BatchStats
from superpose.service.serving.loaded_models import LoadedModels
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import endpoints

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["Endpoints", "Rows"]

Rows = Sequence[Mapping[str, object]] | Sequence[Sequence[object]]


class Endpoints:
    """The endpoints of a service.

    Args:
        database: where they are kept.
        models: where model files come from.
        loaded: the models in memory.
        config: limits.
        clock: what tells the time.
    """

    def __init__(
        self, database: Database, models: Models, loaded: LoadedModels, config: ServiceConfig, clock: Clock
    ) -> None:
        self._database = database
        self._models = models
        self._loaded = loaded
        self._config = config
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Endpoint]] = {}
        self._n_deleted = 0
        self._changing = threading.Lock()

    def create(self, principal: Principal, name: str, model: str, version: int | str | None = None) -> Endpoint:
        """Put a model version behind a name: a number, an alias, or by default the newest one, which stays that one.

        An alias is looked up once: the endpoint keeps the version and the alias, and stays when the alias moves.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: unusable name.
            NotFoundError: no such model version in the caller's project.
            ConflictError: the name is taken.
        """
        principal.require(Role.EDITOR)
        check_name(name)
        with self._database.write() as connection:
            found = version_row(connection, principal.project, model, version)
            taken = connection.execute(_named(principal.project, name)).first()
            if taken is not None:
                raise ConflictError(
                    f"Endpoint {name!r} exists. Choose another name, or delete it first.", kind="endpoint", name=name
                )
            alias = version if isinstance(version, str) else None
            made = Endpoint(
                new_id("ep"), name, principal.project, model, found.version, "unloaded", self._clock(), alias
            )
            connection.execute(
                insert(endpoints).values(
                    id=made.id,
                    project=made.project,
                    name=name,
                    model=model,
                    version=found.version,
                    created_at=made.created_at,
                    alias=alias,
                )
            )
            self._record(connection, made, principal, "created")
        return made

    def list(self, principal: Principal, part: Part = Part()) -> Page[Endpoint]:  # noqa: B008  # frozen
        """Endpoints of the caller's project, by name."""
        principal.require(Role.VIEWER)
        query = select(endpoints).where(endpoints.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, endpoints.c.name, part, self._endpoint)

    def get(self, principal: Principal, name: str) -> Endpoint:
        """An endpoint of the caller's project.

        Raises:
            NotFoundError: there is none of this name.
        """
        principal.require(Role.PREDICTOR)
        with self._database.read() as connection:
            return self._find(connection, principal.project, name)

    def delete(self, principal: Principal, name: str) -> None:
        """Delete an endpoint; the model stays.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            found = self._find(connection, principal.project, name)
            connection.execute(delete(endpoints).where(endpoints.c.id == found.id))
            self._record(connection, found, principal, "deleted")
        with self._changing:
            self._n_deleted += 1
            self._known.pop((principal.project, name), None)
        self._loaded.unload(found.id)

    def predictor(self, principal: Principal, name: str) -> tuple[Endpoint, Predictor]:
        """The endpoint and its model, loaded: what describes inputs and classes. Blocks while it loads.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        found = self.get(principal, name)
        return found, self._loaded.get(found, lambda: self._read(found)).predictor

    def model_version(self, principal: Principal, name: str) -> ModelVersion:
        """The model version behind an endpoint.

        Raises:
            NotFoundError: there is no endpoint of this name in the caller's project.
        """
        found = self.get(principal, name)
        with self._database.read() as connection:
            return version_row(connection, found.project, found.model, found.version)

    async def predict(
        self, principal: Principal, name: str, rows: Rows, *, request_id: str | None = None
    ) -> Prediction:
        """Class probabilities of rows, computed together with those of other callers that arrive meanwhile.

        Args:
            principal: the caller; any role.
            name: the endpoint.
            rows: one mapping of column names to values per row, or one list of values in the model's order.
            request_id: what the answer is marked with; a new id by default.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
            RequestError: no rows, too many, or not a list of rows of one form.
            FeatureMismatchError: the rows do not have the model's columns; other callers are not touched by it.
            OverloadedError: too many rows wait at this endpoint.
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        principal.require(Role.PREDICTOR)
        n_rows = self._check_rows(rows)
        found = self._remembered(principal.project, name)
        if found is None:
            found = await asyncio.to_thread(self._look_up, principal.project, name)
        served = self._loaded.peek(found.id)
        if served is None:
            served = await asyncio.to_thread(self._loaded.get, found, lambda: self._read(found))
        self._loaded.unload_idle_later()
        probabilities = await served.predict(rows, n_rows)
        best = probabilities.argmax(axis=1).tolist()  # (n_rows,)
        classes = served.classes
        return Prediction(
            model=found.model,
            model_version=found.version,
            request_id=request_id or new_id("req"),
            classes=classes,
            probabilities=tuple(map(tuple, probabilities.tolist())),
            predictions=tuple(classes[index] for index in best),
        )

    def stats(self, principal: Principal, name: str) -> BatchStats:
        """How the endpoint's requests were batched since its model was loaded.

        Raises:
            NotFoundError: there is none of this name in the caller's project.
        """
        principal.require(Role.VIEWER)
        served = self._loaded.peek(self.get(principal, name).id)
        return BatchStats() if served is None else served.stats

    def _check_rows(self, rows: Any) -> int:
        if not isinstance(rows, list | tuple) or not rows:
            raise RequestError("rows must be a list with at least one row.", field="rows")
        if len(rows) > self._config.max_request_rows:
            raise RequestError(
                f"A request may have {self._config.max_request_rows:,} rows, got {len(rows):,}. Send several requests.",
                field="rows",
                max_rows=self._config.max_request_rows,
            )
        mappings = isinstance(rows[0], Mapping)
        for index, row in enumerate(rows):
            if not (isinstance(row, Mapping) if mappings else isinstance(row, list | tuple)):
                raise RequestError(
                    "rows must be all objects (column name to value) or all lists of values; row "
                    f"{index} is {type(row).__name__}.",
                    field=f"rows[{index}]",
                )
        return len(rows)

    def _remembered(self, project: str, name: str) -> Endpoint | None:
        known = self._known.get((project, name))
        return known[1] if known and time.monotonic() - known[0] < self._config.cache_s else None

    def _look_up(self, project: str, name: str) -> Endpoint:
        at, n_deleted = time.monotonic(), self._n_deleted
        try:
            with self._database.read() as connection:
                found = self._find(connection, project, name)
        except NotFoundError:
            with self._changing:
                self._known.pop((project, name), None)
            raise
        with self._changing:
            if n_deleted == self._n_deleted:  # else what was read may be gone
                self._known[project, name] = (at, found)
        return found

    def _read(self, endpoint: Endpoint) -> Predictor:
        from superpose.learning.predictor import Predictor

        with self._database.read() as connection:
            version = version_row(connection, endpoint.project, endpoint.model, endpoint.version)
        return Predictor.load(self._models.content(version), expected_digest=version.digest)

    def _find(self, connection: Connection, project: str, name: str) -> Endpoint:
        row = connection.execute(_named(project, name)).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no endpoint {name!r} in this project.", kind="endpoint", id=name)
        return self._endpoint(row)

    def _endpoint(self, row: RowMapping) -> Endpoint:
        names = ("id", "name", "project", "model", "version", "created_at", "alias")
        state = "unloaded" if self._loaded.peek(row["id"]) is None else "loaded"
        return Endpoint(**{name: row[name] for name in names}, state=state)

    def _record(self, connection: Connection, endpoint: Endpoint, principal: Principal, kind: str) -> None:
        append_event(
            connection,
            subject=endpoint.id,
            project=endpoint.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data={
                "name": endpoint.name,
                "model": endpoint.model,
                "version": endpoint.version,
                "alias": endpoint.alias,
            },
        )


def _named(project: str, name: str) -> Any:
    return select(endpoints).where(endpoints.c.project == project, endpoints.c.name == name)
