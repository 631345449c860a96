"""The pool of processors."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.backends.estimates.pool import install_pool


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Names of backends that tests look at: this machine's and the pool's, not what else is installed."""
    install_pool(tmp_path, monkeypatch)
    return ("local", "pool:good", "pool:middle", "pool:cheap", "pool:off")
