"""What tests of IBM's adapter share: the server, its variables, and our provider of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.backends.clouds.ibm_server import API_KEY, CRN, Platform, serving

from superpose.backends.clouds.ibm import IbmOptions, IbmProvider
from superpose.backends.clouds.ibm_backend import IbmBackend
from superpose.backends.clouds.ibm_service import open_service
from superpose.backends.clouds.retry import Retry

__all__ = ["JOBS", "NAME", "opened", "platform", "provider", "server"]

NAME = "ibm:ibm_manila"
JOBS = "/api/v1/jobs"


@pytest.fixture(scope="module")
def server() -> Iterator[Platform]:
    with serving(Platform()) as platform:
        yield platform


@pytest.fixture
def platform(server: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The server, as new, in the variables that IBM's own packages read."""
    port, service = server.port, server.service
    server.__dict__.update(Platform().__dict__)
    server.port, server.service = port, service
    for name, value in {
        "QISKIT_IBM_TOKEN": API_KEY,
        "QISKIT_IBM_INSTANCE": CRN,
        "IAM_URL": server.url,
        "GLOBAL_SEARCH_URL": f"{server.url}/search",
        "GLOBAL_CATALOG_URL": f"{server.url}/catalog",
        "USAGE_DATA_OPT_OUT": "True",  # else the client walks its stack at each request, for its makers
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("QISKIT_IBM_URL", raising=False)
    return server


def provider(platform: Platform, pauses: list[float] | None = None, service: Any = None, **options: Any) -> IbmProvider:
    sleep = (lambda _: None) if pauses is None else pauses.append
    retry = Retry(n_tries=4, sleep=sleep, chance=lambda: 1.0)
    return IbmProvider(f"{platform.url}/api/v1", IbmOptions(retry=retry, **options), service)


def opened(platform: Platform, pauses: list[float] | None = None, **options: Any) -> IbmBackend:
    """The backend through a service that all tests but those of opening share."""
    if platform.service is None:
        platform.service = open_service(f"{platform.url}/api/v1", 120.0)
    return provider(platform, pauses, platform.service, **options).backend("ibm_manila")
