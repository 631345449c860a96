"""Endpoints that change: updates without downtime, rollback, a canary's share and what is counted of it."""

from __future__ import annotations

import asyncio
import math
import shutil
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from superpose.errors import (
    ArtifactError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OverloadedError,
    RequestError,
    VersionInUseError,
)
from superpose.service import Limits, ModelVersion, Principal, Release, Role, Service, ServiceConfig
from superpose.service.serving.alarms import Alarms
from superpose.service.serving.deployment import Endpoint
from superpose.service.serving.watching import Finding
from superpose.trust import read_key_file

from .conftest import SMALL_SPEC, train

ROWS = [{"age": 33.0, "dose": 1.5}]


@pytest.fixture(scope="module")
def trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model has two versions."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("two") / "data")
    shutil.copytree(trained, config.data_dir)
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        train(service, admin, service.datasets.get(admin, "trial"), {**SMALL_SPEC, "training": {"epochs": 2}})
    return config.data_dir


@pytest.fixture
def live(service: Service, admin: Principal, model: ModelVersion) -> str:
    """An endpoint on version 1 of a model that has two."""
    return service.endpoints.create(admin, "live", "outcome", 1).name


def version_now(service: Service, admin: Principal, **options: Any) -> int:
    return asyncio.run(service.endpoints.predict(admin, "live", ROWS, **options)).model_version


def test_update_rollback_and_the_history_of_it(service: Service, admin: Principal, live: str) -> None:
    assert version_now(service, admin) == 1
    updated = service.endpoints.rollouts.update(admin, live, version=2)
    assert (updated.version, updated.revision, updated.state) == (2, 2, "loaded")
    assert version_now(service, admin) == 2
    assert service.endpoints.rollouts.update(admin, live, version=2).revision == 2  # nothing changed
    back = service.endpoints.rollouts.rollback(admin, live)
    assert (back.version, back.revision) == (1, 3)
    assert version_now(service, admin) == 1
    with pytest.raises(ConflictError, match="no revision before"):
        service.endpoints.rollouts.rollback(admin, live)
    assert service.endpoints.rollouts.rollback(admin, live, 2).version == 2
    with pytest.raises(NotFoundError, match="no revision 9; the newest is 4"):
        service.endpoints.rollouts.rollback(admin, live, 9)
    revisions = service.endpoints.rollouts.revisions(admin, live).items
    assert [(r.number, r.version, r.origin) for r in revisions] == [(4, 2, 2), (3, 1, 1), (2, 2, 2), (1, 1, 1)]
    events = service.endpoints.rollouts.events(admin, live)
    assert [event.kind for event in events] == ["created", "updated", "rolled_back", "rolled_back"]
    assert [event.data["version"] for event in events] == [1, 2, 1, 2]
    assert {event.data["by"] for event in events} == {admin.key_id}


def test_an_alias_is_kept_with_its_revision(service: Service, admin: Principal, live: str) -> None:
    service.aliases.move(admin, "outcome", "champion", 2)
    updated = service.endpoints.rollouts.update(admin, live, version="champion")
    assert (updated.version, updated.alias, updated.revision) == (2, "champion", 2)
    service.aliases.move(admin, "outcome", "champion", 1)
    assert service.endpoints.get(admin, live).version == 2  # looked up once
    assert service.endpoints.rollouts.update(admin, live, version="champion").version == 1
    back = service.endpoints.rollouts.rollback(admin, live)
    assert (back.version, back.alias, back.revision) == (2, "champion", 4)


def test_a_canary_keeps_its_version_from_being_deleted(service: Service, admin: Principal, live: str) -> None:
    service.endpoints.rollouts.start_canary(admin, live, percent=5, version=2)
    with pytest.raises(VersionInUseError, match="canary"):
        service.curation.delete_version(admin, "outcome", 2)
    service.endpoints.rollouts.stop_canary(admin, live)
    service.endpoints.rollouts.update(admin, live, version=2)
    service.endpoints.rollouts.update(admin, live, version=1)
    service.curation.delete_version(admin, "outcome", 2)
    with pytest.raises(NotFoundError, match=r"Revision 2 .* version 2 .* was deleted\. Name another revision"):
        service.endpoints.rollouts.rollback(admin, live)


def test_a_second_rollback_goes_back_one_further(service: Service, admin: Principal, live: str) -> None:
    for version in (2, 1, 2):
        service.endpoints.rollouts.update(admin, live, version=version)
    found = [service.endpoints.rollouts.rollback(admin, live) for _ in range(3)]
    assert [(e.revision, e.version) for e in found] == [(5, 1), (6, 2), (7, 1)]
    assert [r.origin for r in service.endpoints.rollouts.revisions(admin, live).items] == [1, 2, 3, 4, 3, 2, 1]


def test_no_request_fails_while_the_version_changes(service: Service, admin: Principal, live: str) -> None:
    async def ask() -> Counter[int]:
        found: Counter[int] = Counter()
        changing = asyncio.create_task(asyncio.to_thread(change))
        while not changing.done():
            answers = await asyncio.gather(*(service.endpoints.predict(admin, live, ROWS) for _ in range(8)))
            found.update(answer.model_version for answer in answers)
        changing.result()
        return found

    def change() -> None:
        for version in (2, 1, 2, 1, 2):
            service.endpoints.rollouts.update(admin, live, version=version)

    found = asyncio.run(ask())
    assert set(found) == {1, 2}
    assert version_now(service, admin) == 2


@contextmanager
def damaged(service: Service, admin: Principal, version: int) -> Iterator[None]:
    path = service.config.data_dir / "artifacts" / service.models.version(admin, "outcome", version).artifact
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    yield
    path.write_bytes(content)


def test_a_version_that_cannot_be_used_does_not_take_over(service: Service, admin: Principal, live: str) -> None:
    with damaged(service, admin, 2):
        with pytest.raises(ArtifactError):
            service.endpoints.rollouts.update(admin, live, version=2)
        with pytest.raises(ArtifactError):
            service.endpoints.rollouts.start_canary(admin, live, percent=50, version=2)
    with pytest.raises(NotFoundError, match="version 3"):
        service.endpoints.rollouts.update(admin, live, version=3)
    found = service.endpoints.get(admin, live)
    assert (found.version, found.revision, found.canary) == (1, 1, None)
    assert version_now(service, admin) == 1
    assert [event.kind for event in service.endpoints.rollouts.events(admin, live)] == ["created"]


def ask_many(service: Service, admin: Principal, ids: list[str]) -> dict[str, int]:
    async def ask() -> dict[str, int]:
        asks = (service.endpoints.predict(admin, "live", ROWS, request_id=request_id) for request_id in ids)
        return {answer.request_id: answer.model_version for answer in await asyncio.gather(*asks)}

    return asyncio.run(ask())


def test_a_canary_by_request_id(service: Service, admin: Principal, live: str) -> None:
    """500 ids at 20 %: a share outside 12 to 28 % has a probability below 1e-5, and the ids are fixed."""
    ids = [f"visit-{i:05d}" for i in range(500)]
    shared = service.endpoints.rollouts.start_canary(admin, live, percent=20, version=2)
    assert shared.canary is not None and (shared.canary.version, shared.version) == (2, 1)
    first = ask_many(service, admin, ids)
    chosen = {request_id for request_id, version in first.items() if version == 2}
    assert 60 < len(chosen) < 140
    assert ask_many(service, admin, ids) == first  # one id, one side
    service.endpoints.rollouts.start_canary(admin, live, percent=60, version=2)
    wider = {request_id for request_id, version in ask_many(service, admin, ids).items() if version == 2}
    assert chosen < wider and 240 < len(wider) < 360
    service.endpoints.rollouts.start_canary(admin, live, percent=20, version=2, seed=7)
    assert {request_id for request_id, version in ask_many(service, admin, ids).items() if version == 2} != chosen
    assert version_now(service, admin, version=2) == 2  # a request may name its side
    assert version_now(service, admin, version=1) == 1
    with pytest.raises(NotFoundError, match="answers with version 1 and 2, not 3"):
        version_now(service, admin, version=3)


def test_a_canary_at_random_repeats_with_its_seed(service: Service, admin: Principal, live: str) -> None:
    def draw(seed: int) -> list[int]:
        service.endpoints.rollouts.start_canary(admin, live, percent=30, version=2, by="random", seed=seed)
        return [version_now(service, admin, request_id="the same") for _ in range(60)]

    first, again, other = draw(5), draw(5), draw(6)
    assert first == again != other
    assert 5 < first.count(2) < 32


def test_what_each_side_answered_is_counted(service: Service, admin: Principal, live: str) -> None:
    service.endpoints.rollouts.start_canary(admin, live, percent=50, version=2)
    found = Counter(ask_many(service, admin, [f"visit-{i:05d}" for i in range(200)]).values())
    for version in (1, 2):
        with pytest.raises(Exception, match="lacks 'dose'"):
            asyncio.run(service.endpoints.predict(admin, live, [{"age": 1}], version=version))
    stable, canary = service.endpoints.traffic(admin, live)
    assert (stable.side, stable.version, stable.n_requests) == ("stable", 1, found[1] + 1)
    assert (canary.side, canary.version, canary.n_requests) == ("canary", 2, found[2] + 1)
    for side, version in ((stable, 1), (canary, 2)):
        assert (side.n_errors, side.n_refused, side.n_rows) == (1, 0, found[version])
        assert side.mean_ms is not None and side.p50_ms is not None and side.p99_ms is not None
        assert 0 < side.p50_ms <= side.p99_ms < 60_000
        assert side.batches.n_requests == side.n_requests
    assert service.endpoints.rollouts.stop_canary(admin, live).canary is None
    assert len(service.endpoints.traffic(admin, live)) == 1


def test_promote_and_stop(service: Service, admin: Principal, live: str) -> None:
    for call in (service.endpoints.rollouts.promote, service.endpoints.rollouts.stop_canary):
        with pytest.raises(ConflictError, match="has no canary"):
            call(admin, live)
    service.endpoints.rollouts.start_canary(admin, live, percent=10)
    for refused in (
        lambda: service.endpoints.rollouts.update(admin, live, version=2),
        lambda: service.endpoints.rollouts.rollback(admin, live),
    ):
        with pytest.raises(ConflictError, match="Promote it or stop it first"):
            refused()
    promoted = service.endpoints.rollouts.promote(admin, live)
    assert (promoted.version, promoted.revision, promoted.canary) == (2, 2, None)
    assert version_now(service, admin) == 2
    assert service.endpoints.rollouts.rollback(admin, live).version == 1
    kinds = [event.kind for event in service.endpoints.rollouts.events(admin, live)]
    assert kinds == ["created", "canary_started", "promoted", "rolled_back"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, service: Service, change: Callable[[], object]) -> None:
    """Let somebody else change something once, between a change's look at the store and its own write: while it loads
    the model.
    """
    answering = service.endpoints.rollouts._answering
    load, left = answering.load, [change]

    def loading(*given: Any) -> object:
        found = load(*given)
        if left:
            left.pop()()
        return found

    monkeypatch.setattr(answering, "load", loading)


def test_a_version_that_is_deleted_meanwhile_does_not_take_over(
    service: Service, admin: Principal, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, service, lambda: service.curation.delete_version(admin, "outcome", 2))
    with pytest.raises(NotFoundError):
        service.endpoints.rollouts.update(admin, live, version=2)
    assert service.endpoints.get(admin, live).version == 1
    assert [event.kind for event in service.endpoints.rollouts.events(admin, live)] == ["created"]


def test_another_canary_than_was_seen_is_not_promoted(
    service: Service, admin: Principal, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts = service.endpoints.rollouts
    train(service, admin, service.datasets.get(admin, "trial"), {**SMALL_SPEC, "training": {"epochs": 1}})
    rollouts.start_canary(admin, live, percent=10, version=2)
    meanwhile(monkeypatch, service, lambda: rollouts.start_canary(admin, live, percent=10, version=3))
    with pytest.raises(ConflictError, match="changed meanwhile"):
        rollouts.promote(admin, live)
    after = service.endpoints.get(admin, live)
    assert after.version == 1 and after.canary is not None and after.canary.version == 3
    assert rollouts.promote(admin, live).version == 3


def test_a_stage_is_not_given_to_another_version_than_was_named(
    service: Service, admin: Principal, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 is asked for in production and is there already, but no longer when the stage is written."""
    rollouts = service.endpoints.rollouts
    find = rollouts._records.find

    def finding(*given: Any) -> Endpoint:
        found = find(*given)
        monkeypatch.undo()
        rollouts.update(admin, live, version=2)
        return found

    monkeypatch.setattr(rollouts._records, "find", finding)
    reason = "Shown at the fair; nothing hangs on it."
    with pytest.raises(ConflictError, match="changed meanwhile"):
        rollouts.update(admin, live, version=1, release=Release("production", reason))
    after = service.endpoints.get(admin, live)
    assert (after.version, str(after.stage), after.override) == (2, "development", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"percent": 0}, "above 0 and below 100"),
        ({"percent": 100}, "above 0 and below 100"),
        ({"percent": math.nan}, "above 0 and below 100"),
        ({"percent": 5, "by": "weather"}, "request_id or random"),
        ({"percent": 5, "seed": -1}, "seed must be"),
    ],
)
def test_canaries_that_cannot_be(
    service: Service, admin: Principal, model: ModelVersion, options: dict[str, Any], words: str
) -> None:
    service.endpoints.create(admin, "live", "outcome")
    with pytest.raises(RequestError, match=words):
        service.endpoints.rollouts.start_canary(admin, "live", version=1, **options)
    with pytest.raises(ConflictError, match="answers with already"):
        service.endpoints.rollouts.start_canary(admin, "live", percent=5)


def test_who_may_change_an_endpoint(service: Service, admin: Principal, stranger: Principal, live: str) -> None:
    viewer, predictor = Principal("key_v", "default", Role.VIEWER), Principal("key_p", "default", Role.PREDICTOR)
    changes = (
        lambda who: service.endpoints.rollouts.update(who, live, version=2),
        lambda who: service.endpoints.rollouts.rollback(who, live),
        lambda who: service.endpoints.rollouts.start_canary(who, live, percent=5, version=2),
        lambda who: service.endpoints.rollouts.stop_canary(who, live),
        lambda who: service.endpoints.rollouts.promote(who, live),
    )
    looks = (
        lambda who: service.endpoints.rollouts.revisions(who, live),
        lambda who: service.endpoints.rollouts.events(who, live),
        lambda who: service.endpoints.traffic(who, live),
    )
    for change in changes:
        with pytest.raises(ForbiddenError):
            change(viewer)
        with pytest.raises(NotFoundError):
            change(stranger)
    for look in looks:
        look(viewer)
        with pytest.raises(ForbiddenError):
            look(predictor)
        with pytest.raises(NotFoundError):
            look(stranger)


def test_limits_of_an_endpoint(service: Service, admin: Principal, model: ModelVersion) -> None:
    made = service.endpoints.create(admin, "live", "outcome", limits={"max_batch_rows": 4})
    assert made.limits == Limits(max_batch_rows=4)

    def ask(n: int) -> list[Any]:
        async def together() -> list[Any]:
            asks = (service.endpoints.predict(admin, "live", ROWS) for _ in range(n))
            return list(await asyncio.gather(*asks, return_exceptions=True))

        return asyncio.run(together())

    assert not any(isinstance(answer, Exception) for answer in ask(20))
    assert service.endpoints.stats(admin, "live").max_batch_requests == 4
    changed = service.endpoints.rollouts.update(admin, "live", limits={"max_batch_rows": None, "max_concurrency": 5})
    assert (changed.limits, changed.revision) == (Limits(max_concurrency=5), 1)
    refused = [answer for answer in ask(20) if isinstance(answer, OverloadedError)]
    assert len(refused) == 15
    assert all(0.1 <= error.retry_after_s <= 60 for error in refused)
    assert service.endpoints.traffic(admin, "live")[0].n_refused == 15
    assert service.endpoints.get(admin, "live").limits.max_concurrency == 5
    for bad in ({"max_batch_rows": 0}, {"max_delay_ms": -1}, {"max_concurrency": 2.5}, {"speed": 1}):
        with pytest.raises(RequestError):
            service.endpoints.rollouts.update(admin, "live", limits=bad)
    with pytest.raises(RequestError, match="nothing to change"):
        service.endpoints.rollouts.update(admin, "live")


def test_what_an_endpoint_is_outlasts_the_server(
    service: Service, admin: Principal, live: str, config: ServiceConfig
) -> None:
    service.endpoints.rollouts.update(admin, live, version=2, limits={"max_delay_ms": 0})
    before = service.endpoints.rollouts.start_canary(admin, live, percent=25, version=1, by="random", seed=3)
    service.close()
    with Service.open(config) as again:
        after = again.endpoints.get(admin, live)
        assert after.to_json() == {**before.to_json(), "state": "unloaded"}
        assert [r.number for r in again.endpoints.rollouts.revisions(admin, live).items] == [2, 1]
        again.endpoints.delete(admin, live)
        assert again.endpoints.create(admin, live, "outcome").revision == 1


def test_a_canary_does_not_clear_the_alarm_of_the_version_beside_it(
    service: Service, admin: Principal, live: str
) -> None:
    endpoint = service.endpoints.rollouts.start_canary(admin, live, percent=10, version=2)
    alarms = Alarms(service.store.database, lambda: endpoint.created_at, lambda: endpoint.created_at)

    def say(version: int, verdict: str) -> list[bool]:
        watcher = alarms.watcher(endpoint, "outcome", version)
        for _ in range(4):
            watcher([Finding("drift", verdict, "Columns have moved.")])
        return [alarm.cleared_at is None for alarm in alarms.of(endpoint)]

    assert say(1, "bad") == [True]
    assert say(2, "good") == [True]  # it has learnt the newer rows; version 1 goes on answering most of them
    assert say(2, "bad") == [True]  # one alarm of a kind at a time
    assert say(2, "blind") == [True]
    service.endpoints.rollouts.promote(admin, live)
    assert say(2, "good") == [False]
    assert sorted(say(2, "bad")) == [False, True]
    service.endpoints.rollouts.rollback(admin, live)
    assert say(1, "blind") == [False, False]  # nobody that answers would ever say that it is over
    assert say(1, "blind") == [False, False]


def test_what_watched_a_replaced_version_is_let_go(
    service: Service, admin: Principal, model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Any]] = []
    watcher = Alarms.watcher

    def noted(alarms: Alarms, endpoint: Endpoint, model: str, version: int) -> Callable[[Sequence[Finding]], None]:
        judge = watcher(alarms, endpoint, model, version)
        made.append(weakref.ref(judge))
        return judge

    def kept() -> list[bool]:
        service.endpoints.traffic(admin, "live")
        return [one() is not None for one in made]

    monkeypatch.setattr(Alarms, "watcher", noted)
    service.endpoints.create(admin, "live", "outcome", 1)
    assert kept() == [True]
    service.endpoints.rollouts.start_canary(admin, "live", percent=10, version=2)
    assert kept() == [True, True]
    service.endpoints.rollouts.promote(admin, "live")
    assert kept() == [False, True]  # the canary goes on as it was
    service.endpoints.rollouts.update(admin, "live", version=1)
    assert kept() == [False, False, True]
    service.endpoints.delete(admin, "live")
    assert [one() is not None for one in made] == [False] * 3
