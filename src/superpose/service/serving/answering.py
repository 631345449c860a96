"""Answering predictions: from a name to a side, a loaded model, a batch, and counts. The hot path of the service."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from superpose.errors import NotFoundError, OverloadedError, RequestError, SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.names import new_id
from superpose.service.nouns import Prediction
from superpose.service.serving.alarms import Alarms
from superpose.service.serving.batching import BatchStats
from superpose.service.serving.deployment import Canary, CanarySplit, Endpoint
from superpose.service.serving.loaded_models import Answer, LoadedModels, Rows, ServedModel
from superpose.service.serving.traffic import SideStats, Traffic
from superpose.service.serving.watching import Watch
from superpose.service.traces import trace_of

if TYPE_CHECKING:
    from superpose.learning.calibration.asking import Asked, Details
    from superpose.learning.predictor import Predictor

__all__ = ["Answering", "side_key"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


def side_key(endpoint_id: str, model: str, version: int) -> str:
    """The key of an endpoint's model version among loaded models."""
    return f"{endpoint_id}/{model}/{version}"


@dataclass(frozen=True)
class _Side:
    """A model version behind an endpoint, and what it has answered."""

    name: str
    model: str
    version: int
    key: str
    traffic: Traffic
    watch: Watch


@dataclass(frozen=True)
class _Route:
    """An endpoint as it was read, with its sides."""

    read_at_s: float
    endpoint: Endpoint
    stable: _Side
    canary: _Side | None
    split: CanarySplit | None

    def side(self, request_id: str, version: int | None) -> _Side:
        """Which side answers a request; one that names a version gets that one.

        Raises:
            NotFoundError: no side has this version.
        """
        canary, split = self.canary, self.split
        if version is not None:
            for side in (self.stable, canary):
                if side is not None and side.version == version:
                    return side
            answering = f"{self.stable.version}" + (f" and {canary.version}" if canary else "")
            raise NotFoundError(
                f"Endpoint {self.endpoint.name!r} answers with version {answering}, not {version}.",
                version=self.stable.version,
            )
        if canary is None or split is None or not split.chooses(request_id):
            return self.stable
        return canary


class Answering:
    """Answers predictions of all endpoints.

    Args:
        find: reads an endpoint from the store by project and name; raises ``NotFoundError``.
        read: loads a model version of a project from the registry.
        loaded: the models in memory.
        config: limits.
        alarms: what a side's watch tells.
    """

    def __init__(
        self,
        find: Callable[[str, str], Endpoint],
        read: Callable[[str, str, int], Predictor],
        loaded: LoadedModels,
        config: ServiceConfig,
        alarms: Alarms,
    ) -> None:
        self._alarms = alarms
        self._watches: dict[str, dict[str, Watch]] = {}  # by endpoint, by side
        self._find = find
        self._read = read
        self._loaded = loaded
        self._config = config
        self._routes: dict[tuple[str, str], _Route] = {}
        self._traffic: dict[tuple[str, str], Traffic] = {}
        self._splits: dict[str, tuple[Canary, CanarySplit]] = {}
        self._under_way: dict[tuple[object, ...], asyncio.Task[Any]] = {}
        self._n_forgotten = 0
        self._changing = threading.Lock()

    async def predict(
        self,
        project: str,
        name: str,
        rows: Rows,
        *,
        request_id: str | None = None,
        version: int | None = None,
        asked: Asked | None = None,
    ) -> Prediction:
        """Class probabilities of rows, or numbers; see ``Endpoints.predict``."""
        started_s = time.perf_counter()
        n_rows = self._check_rows(rows)
        request_id = request_id or new_id("req")
        route = self._routes.get((project, name))
        age_s = math.inf if route is None else time.monotonic() - route.read_at_s
        if route is None or age_s >= 2 * self._config.cache_s:
            route = await self._together(("route", project, name), self._look_up, project, name)
        elif age_s >= self._config.cache_s:  # still good, as every change made here is known; read anew beside it
            self._begin(("route", project, name), self._look_up, project, name)
        side = route.side(request_id, version)
        try:
            served = self._loaded.peek(side.key)
            if served is None:
                key = ("model", side.key, "")
                served = await self._together(key, self.load, route.endpoint, side.model, side.version)
            self._loaded.unload_idle_later()
            answer = await served.predict(rows, n_rows)
            details = None if asked is None else await asyncio.to_thread(served.details, rows, answer, asked)
        except OverloadedError:
            side.traffic.refused()
            raise
        except Exception:
            side.traffic.answered(time.perf_counter() - started_s, n_rows, failed=True)
            raise
        side.traffic.answered(time.perf_counter() - started_s, n_rows)
        if side.watch.offer(rows):
            self._begin(("watch", side.key, ""), _count, side.watch, served)
        if served.target is not None:
            return _of_numbers(side, served, answer, request_id, details)
        classes = served.classes
        return Prediction(
            model=side.model,
            model_version=side.version,
            request_id=request_id,
            classes=classes,
            probabilities=tuple(map(tuple, answer.probabilities)),
            predictions=tuple([classes[index] for index in answer.best]),
            unknown_categories=answer.unknown,
            notice=served.notice,
            details=details,
        )

    def load(self, endpoint: Endpoint, model: str, version: int) -> ServedModel:
        """A model version for an endpoint, loaded if it is not in memory.

        Raises:
            ModelFileError, ArtifactError: the model file cannot be used.
        """
        return self._loaded.get(
            side_key(endpoint.id, model, version),
            endpoint.limits,
            lambda: self._read(endpoint.project, model, version),
        )

    def forget(self, endpoint: Endpoint) -> None:
        """Read the endpoint anew at its next request: it was changed or deleted."""
        with self._changing:
            self._n_forgotten += 1
            self._routes.pop((endpoint.project, endpoint.name), None)

    def forget_all_of(self, endpoint: Endpoint) -> None:
        """Let go of all that is kept about a deleted endpoint."""
        self.forget(endpoint)
        with self._changing:
            self._splits.pop(endpoint.id, None)
            for key in [key for key in self._traffic if key[0].startswith(f"{endpoint.id}/")]:
                self._loaded.unload(key[0])
                self._traffic.pop(key)
            self._watches.pop(endpoint.id, None)

    def stats(self, endpoint: Endpoint) -> tuple[SideStats, ...]:
        """What the sides of an endpoint have answered since the server started, the stable one first."""
        route = self._route(endpoint, 0.0)
        found = []
        for side in (route.stable, route.canary):
            if side is not None:
                served = self._loaded.peek(side.key)
                batches = BatchStats() if served is None else served.stats
                found.append(side.traffic.stats(side.name, side.model, side.version, batches))
        return tuple(found)

    def _begin(self, key: tuple[str, str, str], work: Callable[..., T], *arguments: object) -> asyncio.Task[T]:
        """The work under way for ``key`` in this event loop, begun in a thread if there is none.

        What began before an endpoint was changed is not joined by those who come after.
        """
        place = (asyncio.get_running_loop(), self._n_forgotten, *key)
        begun: asyncio.Task[T] | None = self._under_way.get(place)
        if begun is None:
            begun = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
            self._under_way[place] = begun
            begun.add_done_callback(partial(self._end, place))
        return begun

    def _end(self, place: tuple[object, ...], begun: asyncio.Task[Any]) -> None:
        self._under_way.pop(place, None)
        if not begun.cancelled():
            begun.exception()  # looked at, as perhaps nobody waits for it

    async def _together(self, key: tuple[str, str, str], work: Callable[..., T], *arguments: object) -> T:
        """What the work gives, done once for all who ask meanwhile; should it fail, each learns of it by himself."""
        try:
            return await asyncio.shield(self._begin(key, work, *arguments))
        except SuperposeError:
            return await asyncio.to_thread(work, *arguments)

    def _look_up(self, project: str, name: str) -> _Route:
        at_s, n_forgotten = time.monotonic(), self._n_forgotten
        try:
            found = self._find(project, name)
        except NotFoundError:
            with self._changing:
                self._routes.pop((project, name), None)
            raise
        route = self._route(found, at_s)
        with self._changing:
            if n_forgotten == self._n_forgotten:  # else what was read may be older than a change
                self._routes[project, name] = route
        return route

    def _route(self, endpoint: Endpoint, at_s: float) -> _Route:
        canary = endpoint.canary
        stable = self._side(endpoint, "stable", endpoint.model, endpoint.version)
        if canary is None:
            self._watch_only(endpoint, stable.key)
            return _Route(at_s, endpoint, stable, None, None)
        other = self._side(endpoint, "canary", canary.model, canary.version)
        self._watch_only(endpoint, stable.key, other.key)
        return _Route(at_s, endpoint, stable, other, self._split(endpoint, canary))

    def _watch_only(self, endpoint: Endpoint, *keys: str) -> None:
        """Let go of what versions were watched by that no longer answer; should one come back, it begins anew."""
        with self._changing:
            watches = self._watches.get(endpoint.id, {})
            for key in watches.keys() - set(keys):
                watches.pop(key)

    def _side(self, endpoint: Endpoint, name: str, model: str, version: int) -> _Side:
        key = side_key(endpoint.id, model, version)
        with self._changing:
            traffic = self._traffic.setdefault((key, name), Traffic())
            watches = self._watches.setdefault(endpoint.id, {})
            watch = watches.get(key)
            if watch is None:
                watch = watches[key] = Watch(self._alarms.watcher(endpoint, model, version))
        return _Side(name, model, version, key, traffic, watch)

    def _split(self, endpoint: Endpoint, canary: Canary) -> CanarySplit:
        """The canary's split, which goes on where it was as long as the canary is the same."""
        with self._changing:
            known = self._splits.get(endpoint.id)
            if known is None or known[0] != canary:
                known = self._splits[endpoint.id] = (canary, CanarySplit(canary))
        return known[1]

    def _check_rows(self, rows: Any) -> int:
        if isinstance(rows, np.ndarray):
            if rows.ndim != 2 or not len(rows):
                raise RequestError(f"rows must have shape (rows, columns), got {rows.shape}.", field="rows")
        elif not isinstance(rows, list | tuple) or not rows:
            raise RequestError("rows must be a list with at least one row.", field="rows")
        if len(rows) > self._config.max_request_rows:
            raise RequestError(
                f"A request may have {self._config.max_request_rows:,} rows, got {len(rows):,}. Send several requests.",
                field="rows",
                max_rows=self._config.max_request_rows,
            )
        if isinstance(rows, np.ndarray):
            return len(rows)
        mappings = isinstance(rows[0], Mapping)
        for index, row in enumerate(rows):
            if not (isinstance(row, Mapping) if mappings else isinstance(row, list | tuple)):
                raise RequestError(
                    "rows must be all objects (column name to value) or all lists of values; row "
                    f"{index} is {type(row).__name__}.",
                    field=f"rows[{index}]",
                )
        return len(rows)


def _of_numbers(
    side: _Side, served: ServedModel, answer: Answer, request_id: str, details: Details | None
) -> Prediction:
    """The answer of a model that predicts a number, with its intervals if the model keeps them."""
    interval = served.interval
    ends = None if interval is None else interval.around(np.array(answer.numbers)).tolist()
    return Prediction(
        model=side.model,
        model_version=side.version,
        request_id=request_id,
        classes=(),
        probabilities=(),
        predictions=tuple(answer.numbers),
        unknown_categories=answer.unknown,
        notice=served.notice,
        details=details,
        target=served.target,
        intervals=None if ends is None else tuple((low, high) for low, high in ends),
        coverage=None if interval is None else interval.coverage,
    )


def _count(watch: Watch, served: ServedModel) -> None:
    """Have a watch count its rows; the log has what goes wrong, as nobody waits for it."""
    try:
        watch.count(served.predictor)
    except Exception as error:
        _log.error("rows of an endpoint could not be held against its baseline: %s", trace_of(error))
