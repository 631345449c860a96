"""Backup of a running service from the command line, and a server on what was restored."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from superpose import Client

from .conftest import Said, Served, start, stop


def test_a_running_service_is_backed_up_and_a_restored_one_predicts_the_same(
    at_home: Callable[..., Said], served: Served, trained: str, tmp_path: Path
) -> None:
    made = at_home("backup", tmp_path / "b.tar", "--json")
    assert made.code == 0, made.err
    assert "admin key" in made.err
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    again = at_home("backup", tmp_path / "b.tar", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "service.backup")

    back = at_home("restore", tmp_path / "b.tar", tmp_path / "superpose", "--json")
    assert back.code == 0, back.err
    assert {k: v for k, v in back.json.items() if k != "path"} == {k: v for k, v in made.json.items() if k != "path"}
    refused = at_home("restore", tmp_path / "b.tar", tmp_path / "superpose")
    assert refused.code == 1
    assert "not an empty directory" in refused.err

    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    with Client(served.url, key_file=served.key_file) as client:
        before = client.predict(trained, rows).probabilities
    running = start(tmp_path, "--workers", "0")
    try:
        with Client(running.url, key_file=running.key_file) as client:
            np.testing.assert_allclose(client.predict(trained, rows).probabilities, before, rtol=0, atol=1e-12)
    finally:
        assert stop(running) == 0
    assert json.loads(made.out)["n_files"] >= 4  # store, key, data set, model
