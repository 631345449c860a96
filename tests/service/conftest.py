"""A service in a temporary directory, and its first admin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from superpose.service import Principal, Role, Service, ServiceConfig
from superpose.trust import read_key_file


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", max_body_bytes=1_000_000, max_columns=50)


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[Service]:
    with Service.open(config) as opened:
        yield opened


@pytest.fixture
def admin(service: Service) -> Principal:
    return service.authenticate(read_key_file(service.admin_key_path))


@pytest.fixture
def stranger(service: Service, admin: Principal) -> Principal:
    """An admin of another project."""
    _, secret = service.keys.create(admin, project="elsewhere", role=Role.ADMIN)
    return service.authenticate(secret)
