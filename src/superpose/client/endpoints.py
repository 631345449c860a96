"""Endpoints over the REST interface: deploy, update, roll back, try a version on a share of the requests."""

from __future__ import annotations

from typing import Any

from superpose.client.endpoint_nouns import Alarm, Endpoint, Revision, SideStats
from superpose.client.json_fields import Fields
from superpose.client.lineage import Lineage
from superpose.client.nouns import Event, Listing
from superpose.client.resources import Resource, items, json_call, read_json, segment
from superpose.client.transport import Call

__all__ = ["Endpoints"]


class Endpoints(Resource):
    """Endpoints of the key's project: names that answer predictions.

    ``limits`` are keywords: ``max_batch_rows``, ``max_delay_ms`` (longest wait on purpose for others to join a batch),
    ``max_queue_rows`` and ``max_concurrency`` (requests under way); None goes back to the service's own setting.
    """

    def create(  # where, what, how
        self,
        name: str,
        model: str,
        version: int | str | None = None,
        *,
        stage: str | None = None,
        override: str | None = None,
        **limits: float | None,
    ) -> Endpoint:
        """Deploy a model version under a name; the latest where ``version`` is left out.

        An alias such as "champion" is looked up once: the endpoint says which version it stood for, and keeps it.

        Args:
            name: of the endpoint.
            model: what answers.
            version: by number or alias.
            stage: "production" asks for a complete version (see `Models.gate`); "development" by default.
            override: the reason why an admin lets the version into production although something is missing.
            limits: see the class.

        Raises:
            ApiError: something is missing (``service.promotion``; ``details["missing"]`` says what, and what to do).
        """
        document: dict[str, Any] = {"name": name, "model": model, **_version(version), **_release(stage, override)}
        return Endpoint.from_json(self._post("/v1/endpoints", document | ({"limits": limits} if limits else {})))

    def list(self) -> Listing[Endpoint]:
        """All endpoints."""
        return items(self._transport, "/v1/endpoints", Endpoint.from_json, {}, None)

    def get(self, name: str) -> Endpoint:
        """One endpoint."""
        return Endpoint.from_json(self._get(_path(name)))

    def columns(self, name: str) -> tuple[str, ...]:
        """Names of the columns that the endpoint's model takes, in their order; loads the model."""
        metadata = Fields.of("metadata of a model", self._get(f"/v2/models/{segment(name)}"))
        listed = Fields.of("parameters of a model", metadata.object("parameters")).array("columns")
        return tuple(Fields.of("column", column).text("name") for column in listed)

    def lineage(self, name: str) -> Lineage:
        """What the endpoint's answers come from."""
        return Lineage.from_json(self._get(f"{_path(name)}/lineage"))

    def delete(self, name: str) -> None:
        """Remove an endpoint; the model stays."""
        self._delete(_path(name))

    def update(  # where, what, how
        self,
        name: str,
        version: int | str | None = None,
        *,
        model: str | None = None,
        stage: str | None = None,
        override: str | None = None,
        **limits: float | None,
    ) -> Endpoint:
        """Put another version (or model, by default its latest) behind an endpoint, change limits or stage.

        The new version is loaded before it takes over, and no request fails meanwhile. ``stage`` and ``override`` are
        those of `create`.
        """
        document: dict[str, Any] = {**_version(version), "model": model, **_release(stage, override)}
        call = json_call("PATCH", _path(name), document | ({"limits": limits} if limits else {}))
        return self._sent(call)

    def rollback(self, name: str, revision: int | None = None, *, override: str | None = None) -> Endpoint:
        """Put back what answered before, or a certain revision, as a new revision; ``override`` as for `create`."""
        document = {"revision": revision, **_release(None, override)}
        return Endpoint.from_json(self._post(f"{_path(name)}/rollback", document))

    def canary(
        self,
        name: str,
        percent: float,
        version: int | str | None = None,
        *,
        model: str | None = None,
        by: str = "request_id",
        seed: int = 0,
        override: str | None = None,
    ) -> Endpoint:
        """Let another version (the latest by default) answer a share of the requests.

        Args:
            name: the endpoint.
            percent: share of the requests, above 0 and below 100.
            version: what answers them, by number or alias.
            model: its model; the endpoint's where it is left out.
            by: "request_id" (one id always meets the same side) or "random".
            seed: of the choice.
            override: as for `create`.
        """
        document = {"percent": percent, **_version(version), "model": model, "by": by, "seed": seed}
        document |= _release(None, override)
        return self._sent(json_call("PUT", f"{_path(name)}/canary", document, repeatable=True))

    def stop_canary(self, name: str) -> Endpoint:
        """Let the endpoint's own version answer all requests again."""
        return self._sent(Call("DELETE", f"{_path(name)}/canary"))

    def promote(self, name: str) -> Endpoint:
        """Let the canary answer all requests: a new revision, and the end of the canary."""
        return Endpoint.from_json(self._post(f"{_path(name)}/promote", {}))

    def revisions(self, name: str) -> Listing[Revision]:
        """Which versions stood behind an endpoint, newest first."""
        return items(self._transport, f"{_path(name)}/revisions", Revision.from_json, {}, None)

    def events(self, name: str) -> Listing[Event]:
        """What happened to an endpoint, oldest first."""
        found: Listing[Event] = Listing()
        while True:
            after = found[-1].seq if found else 0
            page = read_json(self._transport.send(Call("GET", f"{_path(name)}/events", query={"after": after})))
            part = Fields.of("list of events", page).array("items")
            found.extend(Event.from_json(item) for item in part)
            if not part:
                return found

    def stats(self, name: str) -> tuple[SideStats, ...]:
        """What the endpoint's version, and then its canary, have answered since the server started."""
        sides = Fields.of("statistics", self._get(f"{_path(name)}/stats")).array("sides")
        return tuple(SideStats.from_json(side) for side in sides)

    def alarms(self, name: str) -> Listing[Alarm]:
        """Alarms that rows are not what the model was trained on, newest first; open ones have no ``cleared_at``."""
        found = Fields.of("list of alarms", self._get(f"{_path(name)}/alarms")).array("items")
        return Listing(Alarm.from_json(item) for item in found)

    def _sent(self, call: Call) -> Endpoint:
        return Endpoint.from_json(read_json(self._transport.send(call)))


def _version(version: int | str | None) -> dict[str, int | str | None]:
    """A version by number or alias, as the API takes it."""
    return {"alias" if isinstance(version, str) else "version": version}


def _release(stage: str | None, override: str | None) -> dict[str, str]:
    """Stage and override, those that are given."""
    given = {"stage": stage, "override": override}
    return {name: value for name, value in given.items() if value is not None}


def _path(name: str) -> str:
    return f"/v1/endpoints/{segment(name)}"
