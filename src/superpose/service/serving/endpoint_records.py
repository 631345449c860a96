"""Endpoints as they are kept: read from the store with the state of their model, and their events written."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping

from superpose.service.nouns import Clock, Principal
from superpose.service.serving.answering import side_key
from superpose.service.serving.deployment import Endpoint
from superpose.service.serving.endpoint_rows import endpoint_of, find_endpoint
from superpose.service.serving.loaded_models import LoadedModels
from superpose.service.store.database import Database
from superpose.service.store.history import append_event

__all__ = ["EndpointRecords"]


class EndpointRecords:
    """The endpoints in a store.

    Attributes:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, loaded: LoadedModels, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self._loaded = loaded

    def find(self, project: str, name: str) -> Endpoint:
        """An endpoint.

        Raises:
            NotFoundError: there is none of this name in the project.
        """
        with self.database.read() as connection:
            return self.row(connection, project, name)

    def row(self, connection: Connection, project: str, name: str) -> Endpoint:
        """The same, within the caller's transaction."""
        return self.of(find_endpoint(connection, project, name))

    def of(self, row: RowMapping) -> Endpoint:
        """The endpoint in a row of ``select_endpoints``, and whether its model is in memory."""
        served = self._loaded.peek(side_key(row["id"], row["model"], row["version"]))
        return endpoint_of(row, "unloaded" if served is None else "loaded")

    def record(
        self, connection: Connection, endpoint: Endpoint, principal: Principal, kind: str, **facts: object
    ) -> None:
        """Add to the endpoint's history, within the caller's write transaction."""
        append_event(
            connection,
            subject=endpoint.id,
            project=endpoint.project,
            at=self.clock(),
            kind=kind,
            actor=principal.key_id,
            data={
                "name": endpoint.name,
                "model": endpoint.model,
                "version": endpoint.version,
                "alias": endpoint.alias,
                "revision": endpoint.revision,
                "limits": endpoint.limits.to_json(),
                "stage": str(endpoint.stage),
                "by": principal.key_id,
                **facts,
            },
        )
