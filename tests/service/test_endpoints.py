"""Endpoints: predictions as the model file gives them, in micro-batches, each caller by himself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from superpose.errors import (
    ArtifactError,
    ConflictError,
    FeatureMismatchError,
    ForbiddenError,
    NotFoundError,
    OverloadedError,
    RequestError,
)
from superpose.learning import Predictor
from superpose.service import Dataset, ModelVersion, Principal, Role, Service, ServiceConfig

from .conftest import SMALL_SPEC, ended, working

PREDICTOR = Principal("key_p", "default", Role.PREDICTOR)


def rows(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"age": 20.0 + i % 50, "dose": i % 31 / 10} for i in range(start, start + n)]


@pytest.fixture
def endpoint(service: Service, admin: Principal, model: ModelVersion) -> str:
    return service.endpoints.create(admin, "live", "outcome").name


def test_an_endpoint_answers_as_its_model_file_does(
    service: Service, admin: Principal, model: ModelVersion, endpoint: str
) -> None:
    assert service.endpoints.get(admin, endpoint).state == "unloaded"
    answer = asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(5), request_id="req_mine"))
    expected = Predictor.load(service.models.content(service.models.version(admin, "outcome"))).predict_proba(rows(5))
    np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-6)
    assert (answer.model, answer.model_version, answer.request_id) == ("outcome", 1, "req_mine")
    assert answer.classes == ("ill", "well")
    assert answer.predictions == tuple(answer.classes[int(p[1] > p[0])] for p in answer.probabilities)
    assert set(answer.to_json()) == {
        *("model", "model_version", "request_id", "classes", "probabilities", "predictions")
    }
    lists = [[row["age"], row["dose"]] for row in rows(5)]
    by_position = asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, lists))
    assert by_position.probabilities == answer.probabilities and by_position.request_id.startswith("req_")
    found = service.endpoints.get(admin, endpoint)
    assert found.state == "loaded"
    assert found.to_json()["url"] == "/v1/endpoints/live/predict"
    assert service.endpoints.predictor(PREDICTOR, endpoint)[1].feature_names == ("age", "dose")
    assert service.endpoints.model_version(PREDICTOR, endpoint) == model


def test_concurrent_requests_equal_serial_ones_and_are_batched(
    service: Service, admin: Principal, endpoint: str
) -> None:
    requests = [rows(1 + i % 3, start=i) for i in range(64)]

    async def serial() -> list[Any]:
        return [await service.endpoints.predict(PREDICTOR, endpoint, r) for r in requests]

    async def concurrent() -> list[Any]:
        return list(await asyncio.gather(*(service.endpoints.predict(PREDICTOR, endpoint, r) for r in requests)))

    one_by_one = asyncio.run(serial())
    n_before = service.endpoints.stats(admin, endpoint).n_batches
    assert n_before == 64  # an idle endpoint answers each at once
    together = asyncio.run(concurrent())
    for alone, joined in zip(one_by_one, together, strict=True):
        np.testing.assert_allclose(joined.probabilities, alone.probabilities, rtol=1e-6)
        assert joined.predictions == alone.predictions
    stats = service.endpoints.stats(admin, endpoint)
    assert stats.n_requests == 128
    assert stats.n_batches - n_before <= 8 and stats.max_batch_requests >= 16


def test_one_callers_bad_rows_are_his_problem(service: Service, admin: Principal, endpoint: str) -> None:
    bad: list[Any] = [[{"age": 1.0}], [{"age": "old", "dose": 1}], [{"age": 1, "dose": 2, "name": "x"}], [[1, 2, 3]]]

    async def ask() -> list[Any]:
        mixed = [rows(2), bad[0], rows(1), bad[1], [[30.0, 1.0]], bad[2], bad[3], rows(3)]
        asks = (service.endpoints.predict(PREDICTOR, endpoint, r) for r in mixed)
        return list(await asyncio.gather(*asks, return_exceptions=True))

    asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    answers = asyncio.run(ask())
    assert [type(a).__name__ for a in answers] == [
        *("Prediction", "FeatureMismatchError", "Prediction", "FeatureMismatchError"),
        *("Prediction", "FeatureMismatchError", "FeatureMismatchError", "Prediction"),
    ]
    assert [len(a.probabilities) for a in answers if not isinstance(a, Exception)] == [2, 1, 1, 3]
    assert service.endpoints.stats(admin, endpoint).max_batch_requests > 1
    with pytest.raises(FeatureMismatchError, match="dose"):
        asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, bad[0]))


@pytest.mark.parametrize("given", [[], {}, "abc", [1, 2], [{"age": 1, "dose": 2}, [1, 2]], [[1, 2], "xy"], None])
def test_rows_of_no_form(service: Service, endpoint: str, given: Any) -> None:
    with pytest.raises(RequestError, match="rows must be") as caught:
        asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, given))
    assert str(caught.value.details["field"]).startswith("rows")


def test_missing_and_unknown_values_are_answered(service: Service, endpoint: str) -> None:
    answer = asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, [{"age": None, "dose": 1.0}]))
    assert sum(answer.probabilities[0]) == pytest.approx(1.0)


def test_limits(service: Service, admin: Principal, endpoint: str, config: ServiceConfig) -> None:
    service.close()
    with Service.open(replace(config, max_request_rows=50, max_queue_rows=60)) as small:
        with pytest.raises(RequestError, match="may have 50 rows, got 51"):
            asyncio.run(small.endpoints.predict(PREDICTOR, endpoint, rows(51)))

        async def flood() -> list[Any]:
            await small.endpoints.predict(PREDICTOR, endpoint, rows(1))
            asks = (small.endpoints.predict(PREDICTOR, endpoint, rows(50)) for _ in range(8))
            return list(await asyncio.gather(*asks, return_exceptions=True))

        answers = asyncio.run(flood())
        refused = [a for a in answers if isinstance(a, OverloadedError)]
        assert refused and all(error.retry_after_s > 0 for error in refused)
        assert all(not isinstance(a, Exception) for a in answers if a not in refused)
        assert small.endpoints.stats(admin, endpoint).n_refused == len(refused)


def test_the_event_loop_stays_free(service: Service, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large request is computed, the loop goes on turning: the computation ends only after that."""
    begun, turned, predict = threading.Event(), threading.Event(), Predictor.predict_encoded

    def held(predictor: Predictor, encoded: Any) -> Any:
        if len(encoded) > 1:
            begun.set()
            assert turned.wait(60), "the loop stands still"
        return predict(predictor, encoded)

    async def ask() -> int:
        await service.endpoints.predict(PREDICTOR, endpoint, rows(1))
        turns, asked = 0, asyncio.create_task(service.endpoints.predict(PREDICTOR, endpoint, rows(9_000)))
        while not asked.done():
            await asyncio.sleep(0.001)
            turns += begun.is_set()
            if turns > 3:
                turned.set()
        return len((await asked).probabilities)

    monkeypatch.setattr(Predictor, "predict_encoded", held)
    assert asyncio.run(ask()) == 9_000


def test_names_projects_and_roles(
    service: Service, admin: Principal, stranger: Principal, model: ModelVersion, endpoint: str
) -> None:
    with pytest.raises(ConflictError, match="exists"):
        service.endpoints.create(admin, "live", "outcome")
    for missing in (("other", "nothing", None), ("other", "outcome", 7)):
        with pytest.raises(NotFoundError):
            service.endpoints.create(admin, *missing)
    for call in (
        lambda: service.endpoints.get(stranger, endpoint),
        lambda: service.endpoints.delete(stranger, endpoint),
        lambda: service.endpoints.create(stranger, "mine", "outcome"),
        lambda: service.models.get(stranger, "outcome"),
        lambda: service.models.file(stranger, "outcome", 1),
        lambda: asyncio.run(service.endpoints.predict(stranger, endpoint, rows(1))),
    ):
        with pytest.raises(NotFoundError):
            call()
    asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    for call in (
        lambda: service.endpoints.list(PREDICTOR),
        lambda: service.endpoints.delete(PREDICTOR, endpoint),
        lambda: service.endpoints.create(Principal("key_v", "default", Role.VIEWER), "x", "outcome"),
        lambda: service.models.list(PREDICTOR),
    ):
        with pytest.raises(ForbiddenError):
            call()
    assert [e.name for e in service.endpoints.list(admin).items] == ["live"]
    assert service.endpoints.list(stranger).items == ()


def test_a_deleted_endpoint_is_gone_at_once(service: Service, admin: Principal, endpoint: str) -> None:
    asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    service.endpoints.delete(admin, endpoint)
    with pytest.raises(NotFoundError):
        asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    assert service.endpoints.create(admin, endpoint, "outcome").state == "unloaded"


def test_an_endpoint_keeps_its_version(
    service: Service, admin: Principal, endpoint: str, dataset: Dataset, config: ServiceConfig
) -> None:
    spec = {**SMALL_SPEC, "training": {"epochs": 2}}
    with working(config):
        ended(service, service.jobs.submit(admin, "train", spec, dataset="trial", model_name="outcome"))
    assert service.models.get(admin, "outcome").latest == 2
    assert asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1))).model_version == 1
    assert service.endpoints.create(admin, "new", "outcome").version == 2


def test_a_changed_model_file_is_not_served(
    service: Service, admin: Principal, endpoint: str, model: ModelVersion, config: ServiceConfig
) -> None:
    path = config.data_dir / "artifacts" / service.models.version(admin, "outcome").artifact
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="has changed"):
        asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    with pytest.raises(ArtifactError, match="has changed"):  # no endpoint is made that could not answer
        service.endpoints.create(admin, "another", "outcome", 1)
    assert "another" not in {made.name for made in service.endpoints.list(admin).items}
    content[len(content) // 2] ^= 1
    path.write_bytes(content)  # restored from a backup: served again
    assert asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1))).model_version == 1


def test_idle_models_are_let_go(service: Service, endpoint: str, admin: Principal, config: ServiceConfig) -> None:
    service.close()
    with Service.open(replace(config, idle_unload_s=0.2)) as quick:

        async def use_and_wait() -> tuple[str, str]:
            until_s, before = time.monotonic() + 60, "unloaded"
            while before == "unloaded" and time.monotonic() < until_s:  # it may be let go before we look
                await quick.endpoints.predict(PREDICTOR, endpoint, rows(1))
                before = quick.endpoints.get(admin, endpoint).state
            while (after := quick.endpoints.get(admin, endpoint).state) == "loaded" and time.monotonic() < until_s:
                await asyncio.sleep(0.02)
            return before, after

        assert asyncio.run(use_and_wait()) == ("loaded", "unloaded")
        assert asyncio.run(quick.endpoints.predict(PREDICTOR, endpoint, rows(1))).model_version == 1


def test_only_so_many_models_are_kept(service: Service, endpoint: str, admin: Principal, config: ServiceConfig) -> None:
    service.endpoints.create(admin, "second", "outcome")
    service.close()
    with Service.open(replace(config, max_loaded_models=1)) as small:
        for name in (endpoint, "second"):
            asyncio.run(small.endpoints.predict(PREDICTOR, name, rows(1)))
        assert [e.state for e in small.endpoints.list(admin).items] == ["unloaded", "loaded"]


def test_endpoints_serve_several_event_loops(service: Service, endpoint: str) -> None:
    """Each thread has a loop of its own, as tests and notebooks do."""
    found: list[int] = []

    def ask() -> None:
        for _ in range(5):
            found.append(len(asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(2))).predictions))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [2] * 20


def test_the_serving_process_never_loads_torch(service: Service, endpoint: str, config: ServiceConfig) -> None:
    """Submitting (with admission) and predicting, in a fresh process."""
    service.close()
    code = f"""
import asyncio, sys
from superpose.service import Service, ServiceConfig
with Service.open(ServiceConfig(data_dir={str(config.data_dir)!r})) as service:
    admin = service.authenticate(service.admin_key_path.read_text().strip())
    service.jobs.submit(admin, "train", {SMALL_SPEC!r}, dataset="trial")
    print(asyncio.run(service.endpoints.predict(admin, "live", [[30.0, 1.0]])).model_version)
print(sorted({{"torch", "sklearn", "fastapi"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n[]\n"


def test_the_store_is_read_once_for_all_who_ask_together(
    service: Service, admin: Principal, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty requests at once after the endpoint's facts have grown old: one reading, one loading, no thread each."""
    asyncio.run(service.endpoints.predict(PREDICTOR, endpoint, rows(1)))
    service.endpoints.rollouts.update(admin, endpoint, limits={"max_delay_ms": 0})  # forgotten
    service.close()
    reads = 0

    with Service.open(replace(service.config, cache_s=3600.0)) as again:
        database = again.endpoints._database
        read = database.read

        def counted() -> Any:
            nonlocal reads
            reads += 1
            return read()

        monkeypatch.setattr(database, "read", counted)

        async def ask() -> list[Any]:
            asks = (again.endpoints.predict(PREDICTOR, endpoint, rows(1)) for _ in range(40))
            return list(await asyncio.gather(*asks))

        assert len(asyncio.run(ask())) == 40
        assert reads == 2  # the endpoint, and its model version
