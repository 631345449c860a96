"""Users' own modules through the real server: uploaded as data, trained by a worker that is killed, served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superpose import Client, export_module
from superpose.datasets import Table, builtin_table
from superpose.errors import ApiError, ModuleExportError, ModuleFormatError
from superpose.learning import ExportedModule, ModuleRecipe, read_model, run_experiment
from superpose.learning.modules.admission import module_spec
from superpose.service import Service, ServiceConfig

from ..learning import modules_under_test as users
from .server_process import ServerProcess
from .test_kill import held

SPEC: dict[str, Any] = {"evaluation": {"n_splits": 2}}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path_factory.mktemp("modules") / "data", lease_s=60.0, progress_s=0.0)


@pytest.fixture(scope="module")
def server(config: ServiceConfig) -> Iterator[ServerProcess]:
    with ServerProcess(config) as found:
        yield found


@pytest.fixture(scope="module")
def client(server: ServerProcess, config: ServiceConfig) -> Iterator[Client]:
    with Client(server.url, key_file=config.data_dir / "keys" / "admin.key") as made:
        made.datasets.add_builtin("iris")
        yield made


@pytest.fixture(scope="module")
def table() -> Table:
    return builtin_table("iris")


def hybrid() -> torch.nn.Module:
    torch.manual_seed(0)
    return users.Hybrid(4, 3)


@pytest.mark.slow  # half a minute: a server, killed workers and a module's whole training
def test_a_module_trains_through_kill_9_and_serves_what_it_gives(
    client: Client, server: ServerProcess, config: ServiceConfig, table: Table, tmp_path: Path, kernels: None
) -> None:
    job = client.train_module(hybrid(), "iris", model="own", epochs=40, patience=40, batch_size=16, spec=SPEC)
    assert job.kind == "train_module" and job.estimate is None
    assert [remark["code"] for remark in job.remarks] == ["job.not_estimated"]
    with Service.open(config, exclusive=False) as service:
        _, pid = held(service, config, service.store.get(job.id), 1)
        os.kill(pid, signal.SIGKILL)
    done = client.jobs.wait(job.id, timeout_s=120)
    assert (done.status, done.attempt) == ("succeeded", 2), done.error
    carried_on = client.jobs.estimate(dataset="iris", parent="own:1", max_seconds=1)
    assert carried_on["estimate"] is None and "module" in carried_on["remarks"][0]["message"]
    version = client.models.version("own")
    assert version.evaluation["models"]["baseline"] is not None
    assert set(version.evaluation["models"]["controls"]) == {"frozen"}

    stored = client.modules.list()[0]
    exported = ExportedModule.from_bytes(client.modules.download(stored.id, tmp_path / "a").read_bytes())
    spec = {"training": {"epochs": 40, "patience": 40, "batch_size": 16}, **SPEC}
    undisturbed = run_experiment(
        module_spec(exported, spec), table, tmp_path / "run", recipe=ModuleRecipe(exported, "cross_entropy")
    )
    assert version.digest == undisturbed.model_digest  # the weights and metrics of a run that nobody killed

    client.endpoints.create("own", model="own")
    rows = table.features.iloc[:50]
    answered = client.predict("own", rows)
    file = read_model(client.models.download("own", path=tmp_path / "own.superpose"), version.digest)
    module = users.Hybrid(4, 3)
    arrays = file.model.arrays
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    with torch.no_grad():
        encoded = torch.tensor(file.model.preprocessor.transform(rows), dtype=torch.float32)
        expected = torch.softmax(module.eval()(encoded).double(), dim=1).numpy()
    np.testing.assert_allclose(np.array(answered.probabilities), expected, atol=1e-6)
    assert answered.classes == tuple(map(str, table.classes))


def test_a_module_is_stored_once_and_deleted(client: Client, config: ServiceConfig, tmp_path: Path) -> None:
    exported = export_module(users.Single(), torch.zeros(1, 4))
    path = exported.save(tmp_path / "single.superpose-module")
    made = client.modules.add(path)
    assert (made.name, made.class_name, made.n_columns, made.n_outputs) == ("single", "Single", 4, 1)
    assert made.circuits == ({"n_qubits": 2, "n_weights": 12},)
    stored = config.data_dir / "artifacts" / made.digest
    stored.write_bytes(b"damaged")
    assert client.modules.add(exported).id == made.id
    assert stored.read_bytes() == path.read_bytes()  # added again, its file is whole again
    assert client.modules.get("single") == made
    with pytest.raises(ApiError, match="exists with other content"):
        client.modules.add(hybrid(), name="single", example=torch.zeros(1, 4))
    client.modules.delete("single")
    with pytest.raises(ApiError, match="no module 'single'"):
        client.modules.get("single")


def test_what_does_not_fit_is_refused_before_a_job_is_made(client: Client) -> None:
    before = len(client.jobs.list())
    with pytest.raises(ModuleExportError, match=r"modules_under_test\.py line"):
        client.train_module(users.Branching(), "iris")
    with pytest.raises(ApiError, match="takes 5 columns, the data have 4"):
        client.train_module(users.Hybrid(5, 3), "iris", example=torch.zeros(1, 5))
    with pytest.raises(ApiError, match="3 outputs for 3 classes, the module gives 2"):
        client.train_module(users.Hybrid(4, 2), "iris")
    with pytest.raises(ApiError, match="loss: must be one of"):
        client.train_module(hybrid(), "iris", loss="hinge")
    with pytest.raises(ApiError, match="epoch"):
        client.train_module(hybrid(), "iris", epoch=3)
    with pytest.raises(ApiError, match="no module 'nobody'"):
        client.modules.train("nobody", dataset="iris")
    with pytest.raises(ModuleFormatError, match="example"):
        client.modules.add(hybrid())
    assert len(client.jobs.list()) == before


def test_the_server_refuses_what_is_no_module(client: Client, tmp_path: Path) -> None:
    for content in (b"", b"\x80\x04K\x01.", b"PK\x03\x04"):
        with pytest.raises(ApiError) as caught:
            client.modules.add(content, name="forged")
        assert caught.value.problem_code in {"module.format", "service.request"}


@pytest.mark.slow
def test_the_command_line_exports_uploads_and_trains(
    server: ServerProcess, client: Client, config: ServiceConfig, tmp_path: Path
) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n"
        "from superpose import QuantumLayer\n"
        "def net():\n"
        "    torch.manual_seed(1)\n"
        "    return torch.nn.Sequential(torch.nn.Linear(4, 2), QuantumLayer(2, seed=1), torch.nn.Linear(2, 3))\n"
    )
    key_file = str(config.data_dir / "keys" / "admin.key")

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "superpose", *arguments, "--url", server.url, "--key-file", key_file, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = run("modules", "add", f"{path}:net", "--name", "net")
    assert (made["class_name"], made["n_columns"], made["n_outputs"]) == ("Sequential", 4, 3)
    (tmp_path / "spec.yaml").write_text("evaluation: {n_splits: 2, controls: []}\n")
    spec = str(tmp_path / "spec.yaml")
    found = run("modules", "train", "net", "--dataset", "iris", "--model", "net", "--epochs", "3", "--spec", spec)
    assert found["job"]["status"] == "succeeded"
    assert found["model_version"]["manifest"]["kind"] == "module_classifier"
    assert [m["name"] for m in run("modules", "list")].count("net") == 1
    run("modules", "remove", "net")


def test_a_viewer_may_not_upload(client: Client, server: ServerProcess) -> None:
    key = client.keys.create(role="viewer")
    with Client(server.url, key=key.secret) as viewer, pytest.raises(ApiError, match="role editor"):
        viewer.modules.add(hybrid(), example=torch.zeros(1, 4))
