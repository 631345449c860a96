"""Training jobs that begin from a registered model: admission, lineage, and what the version says."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import update

from superpose import HybridClassifier
from superpose.errors import NotFoundError, SpecError, VersionInUseError
from superpose.explain import model_card
from superpose.service import ModelVersion, Principal, Service, ServiceConfig
from superpose.service.store.tables import model_versions

from .conftest import CSV, SMALL_SPEC, ended, working

SPEC: dict[str, Any] = {name: value for name, value in SMALL_SPEC.items() if name != "model"}


def test_a_version_is_carried_on_and_its_lineage_recorded(
    service: Service, admin: Principal, config: ServiceConfig, model: ModelVersion
) -> None:
    parent = f"{model.model}:{model.version}"
    service.datasets.add(admin, name="site-b", content=CSV, format="csv", target="outcome")

    def submit(section: dict[str, Any], **further: Any) -> Any:
        spec = {**SPEC, **further, "fine_tune": {"parent": parent, **section}}
        return service.jobs.submit(admin, "train", spec, dataset="site-b", model_name="carried")

    for absent in ("nobody:1", f"{model.model}:{'9' * 25}"):
        with pytest.raises(NotFoundError) as none:
            submit({"parent": absent})
        assert absent.split(":")[1] in none.value.message or "'nobody'" in none.value.message
    with pytest.raises(NotFoundError):
        submit({"parent": "0" * 64})
    with pytest.raises(NotFoundError, match="names no version behind the colon"):
        submit({"parent": f"{model.model}:"})
    with pytest.raises(SpecError, match="has the digest"):
        submit({"digest": "0" * 64})
    with pytest.raises(SpecError, match="keeps its parent's circuit"):
        submit({}, model={"n_qubits": 7})
    with pytest.raises(SpecError, match="nothing would be trained"):
        submit({"freeze": ["entry", "circuit", "head"]})
    job = submit({"freeze": ["circuit"]})
    assert job.payload["fine_tune"]["digest"] == model.digest
    assert job.payload["fine_tune"]["parent"] == parent
    assert job.payload["model"]["n_qubits"] == SMALL_SPEC["model"]["n_qubits"]
    by_digest = submit({"parent": model.digest})
    assert by_digest.payload["fine_tune"]["parent"] == parent
    with pytest.raises(VersionInUseError) as held:  # jobs that wait hold what they begin from
        service.curation.delete_version(admin, model.model, model.version)
    assert {user["name"] for user in held.value.details["used_by"]} >= {job.id, by_digest.id}
    service.jobs.cancel(admin, by_digest.id)
    with working(config):
        assert ended(service, job).status == "succeeded"
    found = service.models.version(admin, "carried", 1)
    assert found.evaluation["fine_tuning"]["digest"] == model.digest
    assert "from_scratch" in found.evaluation["models"]["controls"]
    assert found.manifest["provenance"]["fine_tuned_from"]["entry"] == "keep"
    card = model_card(found.manifest)
    assert model.digest in card
    assert "Not trained: circuit" in card
    assert "same model trained from scratch" in card
    ids = {f"version:{model.model}@{model.version}", "version:carried@1"}
    for graph in (service.lineages.of_model(admin, "carried"), service.lineages.of_model(admin, model.model)):
        edges = {(edge["source"], edge["target"]): edge["relation"] for edge in graph.edges}
        assert ids <= {str(node["id"]) for node in graph.nodes}
        assert edges[f"version:{model.model}@{model.version}", "version:carried@1"] == "fine-tuned into"


def test_an_imported_model_is_carried_on_and_held_until_no_job_needs_it(
    service: Service, admin: Principal, config: ServiceConfig, kernels: None, tmp_path: Path
) -> None:
    rows = pd.read_csv(io.BytesIO(CSV))
    elsewhere = HybridClassifier(n_qubits=2, layers=1, epochs=3, random_state=0)
    elsewhere.fit(rows.drop(columns="outcome"), rows["outcome"]).save(tmp_path / "elsewhere.superpose")
    service.datasets.add(admin, name="site-b", content=CSV, format="csv", target="outcome")
    imported = service.imports.submit(admin, "elsewhere", (tmp_path / "elsewhere.superpose").read_bytes())
    with working(config):
        assert ended(service, imported).status == "succeeded"
    spec = {**SPEC, "fine_tune": {"parent": "elsewhere"}}
    job = service.jobs.submit(admin, "train", spec, dataset="site-b", model_name="carried")
    assert job.payload["fine_tune"]["parent"] == "elsewhere:1"
    with pytest.raises(VersionInUseError, match=job.id):
        service.curation.delete_model(admin, "elsewhere")
    with working(config):
        assert ended(service, job).status == "succeeded"
    began = service.models.version(admin, "carried").manifest["provenance"]["fine_tuned_from"]
    assert (began["parent"], began["entry"]) == ("elsewhere:1", "keep")
    late = service.jobs.submit(admin, "train", spec, dataset="site-b", model_name="late")
    with service.store.database.write() as connection:  # as a restored backup might have it
        gone = update(model_versions).where(model_versions.c.model == "elsewhere")
        connection.execute(gone.values(deleted_at=datetime.now(UTC)))
    with working(config):
        failed = ended(service, late)
    assert failed.status == "failed"
    assert "elsewhere:1, which this job begins from, was deleted. Import its file again" in failed.error["message"]


@pytest.mark.slow
def test_a_sweep_searches_over_rates_of_a_model_that_it_carries_on(
    service: Service, admin: Principal, config: ServiceConfig, model: ModelVersion
) -> None:
    pytest.importorskip("optuna", reason="the extra 'sweeps' is not installed")
    parent = f"{model.model}:{model.version}"
    rates = {"circuit": 0.001}
    sweep: dict[str, Any] = {
        "spec": {**SPEC, "fine_tune": {"parent": model.model, "learning_rates": rates}},
        "space": {"fine_tune.learning_rates.circuit": [1e-7, 0.05], "training.learning_rate": [0.01]},
        "objective": {"metric": "brier", "folds": 2},
        "sampler": {"name": "grid"},
    }
    with pytest.raises(SpecError, match="keep the circuit of their parent") as refused:
        service.sweeps.submit(admin, {**sweep, "space": {"model.max_angle": [1.0, 2.0]}}, dataset="trial", model="s")
    assert refused.value.field == "space.model.max_angle"
    with pytest.raises(SpecError, match="all trials begin from") as refused:
        service.sweeps.submit(
            admin, {**sweep, "space": {"fine_tune.parent": [parent, "nobody:1"]}}, dataset="trial", model="s"
        )
    assert refused.value.field == "space.fine_tune.parent"
    made = service.sweeps.submit(admin, sweep, dataset="trial", name="rates", model="tuned")
    assert made.job.payload["spec"]["fine_tune"]["parent"] == parent
    with pytest.raises(VersionInUseError, match=made.job.id):
        service.curation.delete_version(admin, model.model, model.version)
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    trials = service.sweeps.get(admin, "rates").trials
    assert [trial.state for trial in trials or ()] == ["complete", "complete"]
    assert len({trial.value for trial in trials or ()}) == 2  # the rate of the circuit was used
    found = service.models.version(admin, "tuned")
    assert found.evaluation["fine_tuning"]["parent"] == parent
    assert found.manifest["provenance"]["sweep"]["n_trials"] == 2
