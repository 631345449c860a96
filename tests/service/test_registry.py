"""The registry: aliases, notes and tags, search, lineage, differences, deletion."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RequestError,
    VersionInUseError,
)
from superpose.learning import read_model
from superpose.service import Part, Principal, Role, Service, ServiceConfig
from superpose.service.catalogue.model_query import ModelQuery
from superpose.trust import read_key_file

from .conftest import CSV, SMALL_SPEC, ended, working

DEEPER = {**SMALL_SPEC, "model": {"n_qubits": 3, "ansatz": {"name": "hardware_efficient", "layers": 2}}}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path_factory.mktemp("registry") / "data", max_body_bytes=1_000_000)


@pytest.fixture(scope="module")
def service(config: ServiceConfig, kernels: None) -> Iterator[Service]:
    """A service with two versions of ``outcome`` and one of ``second``."""
    with Service.open(config) as opened:
        admin = opened.authenticate(read_key_file(opened.admin_key_path))
        opened.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
        jobs = [
            opened.jobs.submit(admin, "train", spec, dataset="trial", model_name=name)
            for spec, name in ((SMALL_SPEC, "outcome"), (DEEPER, "outcome"), (SMALL_SPEC, "second"))
        ]
        with working(config):
            for job in jobs:
                assert ended(opened, job).status == "succeeded"
        yield opened


@pytest.fixture
def admin(service: Service) -> Principal:
    return service.authenticate(read_key_file(service.admin_key_path))


@pytest.fixture
def viewer(service: Service, admin: Principal) -> Principal:
    _, secret = service.keys.create(admin, role=Role.VIEWER)
    return service.authenticate(secret)


def artifact_path(service: Service, principal: Principal, name: str, version: int | None = None) -> Path:
    return service.config.data_dir / "artifacts" / service.models.version(principal, name, version).artifact


def test_an_alias_moves_in_one_step_and_leaves_a_history(
    service: Service, admin: Principal, viewer: Principal, stranger: Principal
) -> None:
    assert service.aliases.move(admin, "outcome", "champion", 1, expected=0).aliases == ("champion",)
    with pytest.raises(ConflictError, match="stands for version 1, expected was 2"):
        service.aliases.move(admin, "outcome", "champion", 2, expected=2)
    assert service.aliases.move(admin, "outcome", "champion", 2, expected=1).version == 2
    assert service.models.version(viewer, "outcome", "champion").version == 2
    service.aliases.move(admin, "outcome", "challenger", 1)
    service.aliases.move(admin, "outcome", "champion", "challenger")  # an alias by an alias
    assert service.models.get(viewer, "outcome").aliases == {"challenger": 1, "champion": 1}
    seen = service.aliases.history(viewer, "outcome", Part(limit=2))
    assert seen.items[0].kind == "alias_moved"
    assert seen.items[0].data == {"alias": "champion", "before": 2, "version": 1, "by": admin.key_id}
    older = service.aliases.history(viewer, "outcome", Part(cursor=seen.next))
    kinds = [event.kind for event in older.items]
    assert kinds == ["alias_moved", "alias_moved", "version_created", "version_created"]
    service.aliases.remove(admin, "outcome", "challenger")
    with pytest.raises(NotFoundError, match="no alias 'challenger' of model 'outcome'"):
        service.models.version(viewer, "outcome", "challenger")
    with pytest.raises(NotFoundError):
        service.aliases.remove(admin, "outcome", "challenger")
    with pytest.raises(NotFoundError):
        service.aliases.move(stranger, "outcome", "champion", 1)
    with pytest.raises(ForbiddenError):
        service.aliases.move(viewer, "outcome", "champion", 1)
    for name in ("latest", "7", "with blank", ""):
        with pytest.raises(RequestError):
            service.aliases.move(admin, "outcome", name, 1)


def test_of_many_who_move_an_alias_from_one_place_one_succeeds(service: Service, admin: Principal) -> None:
    service.aliases.move(admin, "outcome", "contested", 1)

    def move(_: int) -> bool:
        try:
            service.aliases.move(admin, "outcome", "contested", 2, expected=1)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1
    service.aliases.remove(admin, "outcome", "contested")


def test_an_endpoint_by_alias_says_its_version_and_keeps_it(service: Service, admin: Principal) -> None:
    service.aliases.move(admin, "outcome", "live", 1)
    made = service.endpoints.create(admin, "by-alias", "outcome", "live")
    assert (made.version, made.alias) == (1, "live")
    service.aliases.move(admin, "outcome", "live", 2)
    found = service.endpoints.get(admin, "by-alias")
    assert found.to_json()["version"] == 1
    assert found.to_json()["alias"] == "live"
    with pytest.raises(NotFoundError, match="no alias 'dead' of model 'outcome'"):
        service.endpoints.create(admin, "other", "outcome", "dead")
    service.endpoints.delete(admin, "by-alias")
    service.aliases.remove(admin, "outcome", "live")


def test_notes_and_tags_are_edited_with_their_history(service: Service, admin: Principal, viewer: Principal) -> None:
    edited = service.curation.edit_model(admin, "second", note="For the ward.", tags={"site": "north", "owner": "kim"})
    assert (edited.note, edited.tags) == ("For the ward.", {"site": "north", "owner": "kim"})
    service.curation.edit_model(admin, "second", tags={"owner": None, "site": "south"})
    assert service.models.get(viewer, "second").tags == {"site": "south"}
    assert service.models.get(viewer, "second").note == "For the ward."
    version = service.curation.edit_version(admin, "second", 1, note="Checked by hand.", tags={"checked": "yes"})
    assert version.tags == {"checked": "yes"}
    latest, before = service.aliases.history(viewer, "second").items[:2]
    assert latest.data["version"] == 1
    assert before.data["before"] == {"tags": {"site": "north", "owner": "kim"}}
    assert before.data["after"] == {"tags": {"site": "south"}}
    for bad in ({"note": "x" * 10_001}, {"tags": {"a b": "c"}}, {"tags": {"a": 1}}, {"tags": {"a": "x" * 201}}):
        with pytest.raises(RequestError):
            service.curation.edit_model(admin, "second", **bad)
    with pytest.raises(RequestError, match="at most 50"):
        service.curation.edit_model(admin, "second", tags={f"t{i}": "x" for i in range(60)})
    with pytest.raises(ForbiddenError):
        service.curation.edit_version(viewer, "second", 1, note="x")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome", {"outcome": (1, 2)}),
        ("OUTC", {"outcome": (1, 2)}),
        ("n_qubits>2", {"outcome": (2,)}),
        ("n_qubits<=2", {"outcome": (1,), "second": (1,)}),
        ("accuracy>=0 accuracy<=1 layers!=1", {"outcome": (2,)}),
        ("accuracy>1", {}),
        ("family:hardware_efficient", {"outcome": (2,)}),
        ("family:angle version=1", {"outcome": (1,), "second": (1,)}),
        ("dataset:trial name:sec", {"second": (1,)}),
        ("tag:room", {"second": (1,)}),
        ("tag:room=Green", {"second": (1,)}),
        ("tag:room=blue", {}),
        ('"small room"', {"second": (1,)}),
        ('note:"small room" n_params>0', {"second": (1,)}),
        ("alias:searched", {"outcome": (2,)}),
        ("", {"outcome": (1, 2), "second": (1,)}),
    ],
)
def test_search(service: Service, admin: Principal, query: str, found: dict[str, tuple[int, ...]]) -> None:
    service.curation.edit_version(admin, "second", 1, note="In the small room.", tags={"room": "green"})
    service.aliases.move(admin, "outcome", "searched", 2)
    page = service.models.list(admin, query=query)
    assert {model.name: model.matched for model in page.items} == found
    service.aliases.remove(admin, "outcome", "searched")


def test_search_by_the_digest_of_the_data_in_parts(service: Service, admin: Principal, stranger: Principal) -> None:
    digest = service.datasets.get(admin, "trial").digest
    first = service.models.list(admin, Part(limit=1), query=f"dataset:{digest[:10]}")
    assert [model.name for model in first.items] == ["outcome"]
    rest = service.models.list(admin, Part(limit=1, cursor=first.next), query=f"dataset:{digest[:10]}")
    assert [model.name for model in rest.items] == ["second"]
    assert rest.next is None
    assert service.models.list(stranger, query="outcome").items == ()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("speed>3", "'speed', which is no number of a version; allowed are accuracy"),
        ("accuracy>high", "accuracy with 'high'; a number is needed"),
        ("accuracy>nan", "a number is needed"),
        ("colour:red", "'colour:red'; allowed are name:TEXT"),
        ("name:", "allowed are name:TEXT"),
        ("x" * 501, "501 characters; at most 500"),
        ("a " * 21, "21 terms; at most 20"),
    ],
)
def test_a_search_that_cannot_be_read_says_why(service: Service, admin: Principal, query: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        service.models.list(admin, query=query)
    assert said in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_search_or_is_refused(text: str) -> None:
    try:
        query = ModelQuery.parse(text)
    except RequestError:
        return
    assert len(query.terms) <= 20


def test_lineage_there_and_back(service: Service, admin: Principal, viewer: Principal) -> None:
    service.endpoints.create(admin, "front", "outcome", 1)
    service.aliases.move(admin, "outcome", "drawn", 2)
    graph = service.lineages.of_model(viewer, "outcome").to_json()
    nodes = {node["id"]: node for node in graph["nodes"]}
    edges = {(edge["source"], edge["target"]): edge["relation"] for edge in graph["edges"]}
    first = service.models.version(admin, "outcome", 1)
    digest = service.datasets.get(admin, "trial").digest
    assert edges[f"dataset:{digest}", f"job:{first.job_id}"] == "read by"
    assert edges[f"job:{first.job_id}", "version:outcome@1"] == "made"
    assert edges["version:outcome@1", "endpoint:front"] == "answers at"
    assert edges["version:outcome@2", "alias:outcome@drawn"] == "stands as"
    assert nodes["version:outcome@1"]["digest"] == first.digest
    back = service.lineages.of_endpoint(viewer, "front").to_json()
    assert {node["kind"] for node in back["nodes"]} >= {"dataset", "job", "version", "endpoint"}
    assert "version:outcome@2" not in {node["id"] for node in back["nodes"]}
    down = {node["id"] for node in service.lineages.of_dataset(viewer, "trial").to_json()["nodes"]}
    assert down >= {"version:outcome@1", "version:outcome@2", "version:second@1", "endpoint:front"}
    service.endpoints.delete(admin, "front")
    service.aliases.remove(admin, "outcome", "drawn")


def test_lineage_is_each_projects_own(service: Service, stranger: Principal) -> None:
    for look in (service.lineages.of_model, service.lineages.of_dataset, service.lineages.of_endpoint):
        with pytest.raises(NotFoundError):
            look(stranger, "outcome")


def test_the_difference_of_two_versions(service: Service, admin: Principal, viewer: Principal) -> None:
    found = service.diffs.between(viewer, "outcome", 1, 2)
    changed = {row["path"]: (row["before"], row["after"]) for row in found["spec"]}
    assert changed == {
        "model.n_qubits": (2, 3),
        "model.ansatz.name": ("strongly_entangling", "hardware_efficient"),
        "model.ansatz.layers": (1, 2),
    }
    assert found["data"]["same"] is True
    assert found["environment"] == []
    one, two = (service.models.version(admin, "outcome", n) for n in (1, 2))
    for title, figure in found["metrics"]["figures"].items():
        means = [v.evaluation["models"]["hybrid"]["metrics"][title]["mean"] for v in (one, two)]
        assert figure["difference"] == pytest.approx(means[1] - means[0])
        assert figure["paired"]["low"] <= figure["difference"] <= figure["paired"]["high"]
    assert found["circuit"]["before"]["n_qubits"] == 2
    assert found["circuit"]["after"]["n_qubits"] == 3
    files = [read_model(service.models.content(v)) for v in (one, two)]
    assert [found["circuit"][side]["n_params"] for side in ("before", "after")] == [f.model.n_params for f in files]
    norms = found["weights"]["exit.bias"]
    assert norms["before"]["norm"] == pytest.approx(np.linalg.norm(files[0].model.arrays["exit.bias"]))
    change = files[1].model.arrays["exit.bias"] - files[0].model.arrays["exit.bias"]
    assert norms["difference"] == pytest.approx(np.linalg.norm(change), rel=1e-5)
    assert found["weights"]["entry.weight"]["difference"] is None  # other shapes

    same = service.diffs.between(viewer, "outcome", 1, None, other="second")
    assert same["spec"] == []
    assert all(row["difference"] == 0 for row in same["weights"].values())
    assert all(figure["difference"] == 0 for figure in same["metrics"]["figures"].values())


def test_what_is_used_is_not_deleted(
    service: Service, admin: Principal, config: ServiceConfig, viewer: Principal
) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="short-lived")
    again = service.jobs.submit(
        admin, "train", {**SMALL_SPEC, "training": {"epochs": 2}}, dataset="trial", model_name="short-lived"
    )
    with working(config):
        assert [ended(service, j).model_version for j in (job, again)] == [1, 2]
    service.endpoints.create(admin, "used", "short-lived", 1)
    service.aliases.move(admin, "short-lived", "champion", 1)
    with pytest.raises(VersionInUseError, match="used by endpoint 'used', alias 'champion'") as refused:
        service.curation.delete_version(admin, "short-lived", 1)
    assert refused.value.details["used_by"] == [
        {"kind": "endpoint", "name": "used"},
        {"kind": "alias", "name": "champion"},
    ]
    with pytest.raises(VersionInUseError):
        service.curation.delete_model(admin, "short-lived")
    assert service.models.get(admin, "short-lived").latest == 2  # nothing was deleted by halves
    with pytest.raises(ForbiddenError):
        service.curation.delete_version(viewer, "short-lived", 2)
    path = artifact_path(service, admin, "short-lived", 2)
    service.curation.delete_version(admin, "short-lived", 2)
    assert not path.exists()
    assert service.models.version(admin, "short-lived").version == 1
    with pytest.raises(NotFoundError):
        service.models.version(admin, "short-lived", 2)
    third = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="short-lived")
    with working(config):
        assert ended(service, third).model_version == 3  # a number is given once
    shared = artifact_path(service, admin, "second")
    assert artifact_path(service, admin, "short-lived", 3) == shared  # equal runs, one file
    service.endpoints.delete(admin, "used")
    service.aliases.remove(admin, "short-lived", "champion")
    service.curation.delete_model(admin, "short-lived")
    assert shared.exists()
    assert "short-lived" not in [model.name for model in service.models.list(admin).items]
    with pytest.raises(NotFoundError):
        service.models.get(admin, "short-lived")
