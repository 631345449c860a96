"""A data directory as the previous release left it is opened by this one: same answers, and its queue goes on."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.circuits import Circuit, ProgramGrid, ProgramSet, program_set_to_json
from superpose.service import Asked, AskedSet, CallRequest, Role, Service, ServiceConfig
from superpose.service.store.database import Database
from superpose.service.store.migrations import SCHEMA_VERSION, schema_version
from superpose.trust import read_key_file

from .conftest import ended, working

RELEASED = Path(__file__).parent / "data" / "release_1.tar.xz"


@pytest.fixture
def released(tmp_path: Path) -> tuple[ServiceConfig, dict[str, Any]]:
    """The unpacked directory of release 0.1.0 and what it said then."""
    with tarfile.open(RELEASED) as archive:
        archive.extractall(tmp_path, filter="data")
    for path in (tmp_path / "data").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return ServiceConfig(data_dir=tmp_path / "data"), json.loads((tmp_path / "expected.json").read_text())


def test_a_released_data_directory_predicts_the_same_numbers_and_runs_its_queued_jobs(
    released: tuple[ServiceConfig, dict[str, Any]], kernels: None
) -> None:
    config, expected = released
    assert expected["release"] == "0.1.0"
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        editor = service.authenticate(expected["editor_key"])
        assert (editor.project, editor.role) == (admin.project, Role.EDITOR)
        assert [item.name for item in service.datasets.list(admin).items] == ["trial"]

        before = service.models.version(admin, "outcome")
        assert (before.version, before.digest) == (1, expected["digest"])
        answer = asyncio.run(service.endpoints.predict(admin, "outcome", expected["rows"]))
        assert list(answer.classes) == expected["classes"]
        np.testing.assert_allclose(answer.probabilities, expected["probabilities"], rtol=0, atol=1e-12)
        assert service.jobs.get(admin, expected["program_job"]).result == expected["program_result"]

        training = service.jobs.get(admin, expected["queued_training"])
        program = service.jobs.get(admin, expected["queued_program"])
        assert {training.status, program.status} == {"queued"}
        with working(config):
            trained, ran = ended(service, training), ended(service, program)
        assert (trained.status, trained.model_version) == ("succeeded", 2)
        assert ran.result is not None
        then = expected["program_result"]["expectations"]  # [parameter value][observable]
        np.testing.assert_allclose(ran.result["expectations"], then, rtol=0, atol=1e-12)
        assert service.endpoints.get(admin, "outcome").version == 1

        # what came with this release works in it as well
        bell = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
        service.functions.deploy(admin, "bell", "bell.qasm", bell)
        called = asyncio.run(service.calls.call(admin, "bell", CallRequest({}), wait_s=5.0))
        assert set(called.output["counts"][0]) <= {"00", "11"}
        made = ProgramSet(ProgramGrid(Circuit(1).h(0), shots=10), seed=1)
        stored = service.program_sets.submit(admin, dict(program_set_to_json(made)), AskedSet())
        predicted = service.predictions.submit_dataset(admin, "trial", Asked(model="outcome", version=1))
        with working(config):
            assert {ended(service, one.job).status for one in (stored, predicted)} == {"succeeded"}
        service.aliases.move(admin, "outcome", "champion", 2)
        assert service.audit.verify(admin).intact


def test_opening_brings_the_schema_up_and_the_way_back_opens_for_the_old_release_again(
    released: tuple[ServiceConfig, dict[str, Any]],
) -> None:
    config, _ = released
    Service.open(config).close()
    database = Database(config.data_dir / "superpose.sqlite")
    with database.read() as connection:
        assert schema_version(connection) == SCHEMA_VERSION > 1
    database.migrate_down(1)
    with database.read() as connection:
        assert schema_version(connection) == 1
        n_keys = connection.exec_driver_sql("SELECT count(*) FROM keys").scalar_one()
    database.close()
    assert n_keys == 2
