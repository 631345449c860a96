"""Training jobs that begin from a registered model: admission, lineage, and what the version says."""

from __future__ import annotations

from typing import Any

import pytest

from superpose.errors import NotFoundError, SpecError
from superpose.explain import model_card
from superpose.service import ModelVersion, Principal, Service, ServiceConfig

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
        with pytest.raises(NotFoundError):
            submit({"parent": absent})
    with pytest.raises(NotFoundError):
        submit({"parent": "0" * 64})
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
