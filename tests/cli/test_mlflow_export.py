"""The MLflow export, read back with MLflow's own client and loader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.client.mlflow_export import _figures
from superpose.learning import Predictor

READ = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import pandas as pd
import mlflow
from mlflow.tracking import MlflowClient

facts = json.loads(sys.argv[1])
mlflow.set_tracking_uri(facts["tracking_uri"])
mlflow.set_registry_uri(facts["tracking_uri"])
client = MlflowClient()
run = client.get_run(facts["run_id"])
experiment = client.get_experiment(run.info.experiment_id)
model = mlflow.pyfunc.load_model(facts["model_uri"])
answer = model.predict(pd.read_csv(sys.argv[2]))
aliased = client.get_model_version_by_alias(facts["model"], "shipped")
print(json.dumps({
    "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags, "status": run.info.status,
    "experiment": experiment.name, "n_runs": len(client.search_runs([experiment.experiment_id])),
    "artifacts": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
    "splits": [m.value for m in client.get_metric_history(run.info.run_id, "hybrid.accuracy.split")],
    "card": open(client.download_artifacts(run.info.run_id, "model_card.md")).read(),
    "loader": model.metadata.flavors["python_function"]["loader_module"],
    "columns": model.metadata.get_input_schema().input_names(),
    "answer": answer.to_dict("list"), "aliased": aliased.version, "version_tags": aliased.tags,
}))
"""


@pytest.mark.slow
def test_an_export_is_a_run_and_a_model_that_mlflow_reads_and_loads(
    at_home: Callable[..., Any], trained: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    at_home("models", "alias", trained, "shipped", "--version", "1")
    reason = "Shown at the fair; nobody decides by it."
    deployed = at_home("deploy", trained, "--version", "1", "--name", "exported", "--production", "--override", reason)
    assert deployed.code == 0, deployed.err
    said = at_home("models", "export", trained, store, "--version", "shipped", "--json")
    at_home("endpoints", "remove", "exported")
    assert said.code == 0, said.err
    again = at_home("models", "export", trained, store, "--version", "1", "--format", "mlflow", "--json")
    assert again.json == said.json  # once
    version = at_home("models", "show", trained, "--version", "1", "--json").json
    columns = [c["name"] for c in version["manifest"]["pipeline"]["preprocessing"]["columns"]]
    rows = pd.DataFrame(np.random.default_rng(0).uniform(0.1, 7, (6, len(columns))), columns=columns)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "-c", READ, json.dumps(said.json), str(tmp_path / "rows.csv")]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["experiment"], found["n_runs"], found["status"]) == (trained, 1, "FINISHED")
    assert found["params"]["model.n_qubits"] == "2"
    assert found["params"]["training.seed"] == "1"
    for name, value in version["metrics"].items():
        assert found["metrics"][name] == value
    hybrid = version["evaluation"]["models"]["hybrid"]["metrics"]["accuracy"]
    assert found["metrics"]["hybrid.accuracy.mean"] == hybrid["mean"]
    assert found["splits"] == hybrid["values"]
    assert "baseline.auc.low" in found["metrics"]
    assert found["tags"]["superpose.digest"] == version["digest"]
    assert found["version_tags"]["superpose.version"] == "1"
    assert found["artifacts"] == ["evaluation.json", "manifest.json", "model", "model_card.md"]
    assert found["card"].startswith("# Model card") and reason in found["card"]
    assert (found["loader"], found["columns"]) == ("superpose.learning.mlflow_flavour", columns)
    assert str(found["aliased"]) == said.json["model_version"]
    at_home("models", "download", trained, "--version", "1", "--output", tmp_path)
    predictor = Predictor.load(tmp_path / f"{trained}-1.superpose")
    probabilities = np.column_stack([found["answer"][f"p({label})"] for label in predictor.classes])
    np.testing.assert_allclose(probabilities, predictor.predict_proba(rows), atol=1e-12)
    assert not list(store.rglob("*.pkl"))  # nothing is pickled
    refused = at_home("models", "export", trained, store, "--format", "onnx", "--json")
    assert refused.json["error"]["code"] == "service.request"
    at_home("models", "unalias", trained, "shipped")


def test_figures_of_a_template_have_means_and_no_splits() -> None:
    """It keeps no values of single seeds; exporting one ended in a KeyError."""
    figure = {"mean": 0.9, "low": 0.8, "high": 1.0}
    models = {"hybrid": {"metrics": {"auc": figure}}, "baseline": None, "controls": {}}
    version: Any = SimpleNamespace(metrics={"auc": 0.9}, evaluation={"models": models})
    assert list(_figures(version)) == [("auc", 0.9, 0), *((f"hybrid.auc.{part}", figure[part], 0) for part in figure)]
