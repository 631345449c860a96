"""Every command that submits a job lets it come after others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.held import held_training

from superpose import Circuit, Client, ProgramGrid, ProgramSet
from superpose.circuits import program_set_to_json

SWEEP = "{dataset: flowers, model: later, space: {model.n_qubits: [1, 2]}}"
MODULE = "import torch\n\n\ndef net():\n    return torch.nn.Sequential(torch.nn.Linear(4, 3))\n"


@pytest.fixture
def later(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> dict[str, tuple[Any, ...]]:
    """A command line per kind of job; each submits and returns."""
    columns = [column["name"] for column in at_home("datasets", "show", trained, "--json").json["columns"]]
    pd.DataFrame(np.ones((3, len(columns))), columns=columns).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    (tmp_path / "net.py").write_text(MODULE)
    (tmp_path / "short.yaml").write_text("{}")
    grids = ProgramSet([ProgramGrid(Circuit(1).h(0), shots=10)])
    (tmp_path / "set.json").write_text(json.dumps(program_set_to_json(grids)))
    assert at_home("modules", "add", f"{tmp_path / 'net.py'}:net", "--name", "plain").code == 0
    return {
        "train": ("train", tmp_path / "short.yaml", "--dataset", trained),
        "sweep": ("sweep", tmp_path / "sweep.yaml"),
        "predict": ("predict-file", trained, tmp_path / "rows.csv", tmp_path / "out.csv"),
        "predict a data set": ("predictions", "of-dataset", trained, trained, tmp_path / "out.csv"),
        "module": ("modules", "train", "plain", "--dataset", trained),
        "program set": ("program-sets", "submit", tmp_path / "set.json"),
    }


def test_jobs_of_every_kind_wait_for_others_and_fail_with_them(
    at_home: Callable[..., Any], client: Client, trained: str, later: dict[str, tuple[Any, ...]]
) -> None:
    with held_training(client, trained, model="held") as job:
        jobs = {}
        for kind, command in later.items():
            said = at_home(*command, "--after", job.id, "--detach", "--json")
            assert said.code == 0, (kind, said.err)
            jobs[kind] = said.json.get("job") or said.json["id"]
        for kind, waiting in jobs.items():
            shown = at_home("jobs", "show", waiting, "--json").json
            assert (shown["status"], shown["after"]) == ("queued", [job.id]), kind
        at_home("jobs", "cancel", job.id)
        at_home("jobs", "watch", job.id)
    for kind, waiting in jobs.items():
        shown = at_home("jobs", "show", waiting, "--json").json
        assert (shown["status"], shown["error"]["code"]) == ("failed", "service.job_dependency"), kind
    refused = at_home(*later["sweep"], "--name", "other", "--after", job.id, "--detach", "--json")
    assert refused.json["error"]["code"] == "service.job_dependency"
    assert f"comes after job {job.id}" in refused.json["error"]["message"]
