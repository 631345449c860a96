"""Data sets: admitted, stored once, isolated by project, deleted when nobody needs them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from superpose.datasets import builtin_table
from superpose.errors import (
    ArtifactError,
    ConflictError,
    DatasetEmptyError,
    DatasetFormatError,
    DatasetOneClassError,
    DatasetTargetError,
    DatasetTooWideError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    RequestError,
)
from superpose.service import JobKind, Principal, Role, Service, ServiceConfig
from superpose.service.catalogue.ingest import Incoming
from superpose.service.store.job_store import NewJob
from superpose.service.store.tables import data_sheets

CSV = b"age,dose,outcome\n" + b"".join(b"%d,%d.5,%s\n" % (i, i % 7, b"ill" if i % 3 else b"well") for i in range(30))


def add(service: Service, principal: Principal, name: str = "trial", content: bytes = CSV, target: str = "outcome"):
    return service.datasets.add(principal, name=name, content=content, format="csv", target=target)


def artifacts(config: ServiceConfig) -> set[str]:
    return {path.name for path in (config.data_dir / "artifacts").iterdir()}


def test_a_data_set_is_stored_and_read_back(service: Service, admin: Principal, config: ServiceConfig) -> None:
    made = add(service, admin)
    assert (made.n_rows, made.n_features, made.classes, made.target) == (30, 2, ("ill", "well"), "outcome")
    assert service.datasets.get(admin, made.id) == service.datasets.get(admin, "trial") == made
    assert service.datasets.list(admin).items == (made,)
    table = service.datasets.table(made)
    assert (table.digest, table.name) == (made.digest, "trial")
    assert artifacts(config) == {made.artifact}
    assert not list((config.data_dir / "staging").iterdir())
    document = made.to_json()
    assert set(document) == {
        *(
            "id",
            "name",
            "format",
            "n_rows",
            "n_features",
            "target",
            "target_kind",
            "classes",
            "columns",
            "digest",
            "domain",
            "created_at",
        )
    }
    assert document["columns"][0] == {"name": "age", "kind": "number", "unit": None, "n_missing": 0}


def test_the_same_content_again_is_the_same_data_set(service: Service, admin: Principal) -> None:
    made = add(service, admin)
    assert add(service, admin) == made
    with pytest.raises(ConflictError, match="exists with other content"):
        add(service, admin, content=CSV + b"99,1.5,ill\n")


def test_builtin(service: Service, admin: Principal) -> None:
    made = service.datasets.add_builtin(admin, "cancer", "breast_cancer")
    assert (made.n_rows, made.n_features, made.format) == (569, 30, "builtin")
    assert made.digest == builtin_table("breast_cancer").digest
    with pytest.raises(RequestError, match="allowed are"):
        service.datasets.add_builtin(admin, "x", "mnist")


@pytest.mark.parametrize(
    ("content", "target", "error"),
    [
        (b"", "outcome", DatasetEmptyError),
        (b"age,outcome\n1,ill\n2,ill\n", "outcome", DatasetOneClassError),
        (CSV, "diagnosis", DatasetTargetError),
        (b"\xff\xfe\x00", "outcome", DatasetFormatError),
        (",".join([*(f"c{i}" for i in range(10_000)), "y\n"]).encode(), "y", DatasetTooWideError),
        (CSV * 4_000, "outcome", PayloadTooLargeError),
    ],
    ids=["empty", "one class", "no target", "not text", "10,000 columns", "too large"],
)
def test_unusable_tables_are_refused_and_leave_nothing(
    service: Service, admin: Principal, config: ServiceConfig, content: bytes, target: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        add(service, admin, content=content, target=target)
    assert service.datasets.list(admin).items == ()
    assert not artifacts(config) and not list((config.data_dir / "staging").iterdir())


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 64, ".hidden", "a b", "é"])
def test_unusable_names(service: Service, admin: Principal, name: str) -> None:
    with pytest.raises(RequestError) as caught:
        add(service, admin, name=name)
    assert caught.value.details["field"] == "name"


def test_other_projects_see_nothing(service: Service, admin: Principal, stranger: Principal) -> None:
    made = add(service, admin)
    for call in (service.datasets.get, service.datasets.delete):
        for name in (made.id, made.name):
            with pytest.raises(NotFoundError) as caught:
                call(stranger, name)
            assert str(caught.value) == f"There is no data set {name!r} in this project."
    assert service.datasets.list(stranger).items == ()
    theirs = add(service, stranger)
    assert theirs.id != made.id and theirs.artifact == made.artifact  # one file, two owners
    service.datasets.delete(stranger, "trial")
    assert service.datasets.table(made).n_rows == 30


def test_viewers_look_and_predictors_do_not(service: Service, admin: Principal) -> None:
    made = add(service, admin)
    viewer = Principal("key_v", "default", Role.VIEWER)
    assert service.datasets.get(viewer, made.id) == made
    for call in (lambda: add(service, viewer, "other"), lambda: service.datasets.delete(viewer, made.id)):
        with pytest.raises(ForbiddenError, match="role editor"):
            call()
    with pytest.raises(ForbiddenError, match="role viewer"):
        service.datasets.get(Principal("key_p", "default", Role.PREDICTOR), made.id)


def test_delete_removes_the_content_and_frees_the_name(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    made = add(service, admin)
    service.datasets.delete(admin, "trial")
    assert not artifacts(config)
    with pytest.raises(NotFoundError):
        service.datasets.get(admin, made.id)
    assert add(service, admin).id != made.id


def test_a_data_set_in_use_is_not_deleted(service: Service, admin: Principal) -> None:
    made = add(service, admin)
    new = NewJob(
        project="default", kind=JobKind.TRAIN, payload={}, created_by="k", dataset_id=made.id, dataset=made.name
    )
    job = service.store.submit(new)
    for _ in range(2):  # queued, then running
        with pytest.raises(ConflictError, match=job.id):
            service.datasets.delete(admin, "trial")
        claim = service.store.claim("w")
    assert claim is None
    service.store.release_worker("w")
    service.store.cancel(job.id, actor="k")
    service.datasets.delete(admin, "trial")


def test_a_changed_file_is_noticed(service: Service, admin: Principal, config: ServiceConfig) -> None:
    made = add(service, admin)
    path: Path = config.data_dir / "artifacts" / made.artifact
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="has changed"):
        service.datasets.table(made)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"cannot be read: .* Restore it from a backup\."):
        service.datasets.table(made)
    assert add(service, admin) == made  # whoever has the file has the backup
    assert service.datasets.table(made).digest == made.digest


def test_adding_at_the_same_time_gives_one(service: Service, admin: Principal) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(add(service, admin).id)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1


def test_adding_and_deleting_at_the_same_time_never_leaves_a_row_without_its_file(
    service: Service, admin: Principal, stranger: Principal
) -> None:
    """Two projects hold the same file; one adds and deletes all the time, the other's must always be readable."""
    stop = threading.Event()

    def flap() -> None:
        while not stop.is_set():
            add(service, stranger)
            service.datasets.delete(stranger, "trial")

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        for _ in range(15):
            assert service.datasets.table(add(service, admin)).n_rows == 30
            service.datasets.delete(admin, "trial")
    finally:
        stop.set()
        thread.join()


def test_data_sets_of_a_release_before_sheets_get_one_when_asked(service: Service, admin: Principal) -> None:
    made = add(service, admin)
    sheet = service.data_sheets.get(admin, "trial")
    with service._database.write() as connection:  # as a migration from that release leaves it
        connection.execute(delete(data_sheets))
    assert service.data_sheets.get(admin, made.id) == sheet
    with service._database.read() as connection:
        assert connection.execute(select(data_sheets.c.dataset_id)).scalars().all() == [made.id]
    service.datasets.delete(admin, "trial")
    with service._database.read() as connection:
        assert not connection.execute(select(data_sheets.c.dataset_id)).scalars().all()


def test_what_is_medical_stays_so(service: Service, admin: Principal) -> None:
    assert add(service, admin).domain == "general"
    assert service.datasets.add_builtin(admin, "iris", "iris").domain == "general"
    cancer = service.datasets.add_builtin(admin, "cells", "breast_cancer")
    assert cancer.domain == service.datasets.table(cancer).domain == "medical"
    told = Incoming("trial", "csv", "outcome", domain="medical")
    with service.datasets.arriving() as path:
        path.write_bytes(CSV)
        changed = service.datasets.add_file(admin, path, told)
    assert changed.domain == "medical" == add(service, admin).domain == service.datasets.get(admin, "trial").domain
    assert changed.to_json()["domain"] == "medical"
    kinds = [event.kind for event in service.data_sheets.history(admin, changed.id).items]
    assert kinds == ["domain_changed", "created"]


def test_a_model_of_medical_data_is_medical_whatever_its_spec_says(service: Service, admin: Principal) -> None:
    service.datasets.add_builtin(admin, "cells", "breast_cancer")
    service.datasets.add_builtin(admin, "iris", "iris")
    for spec in ({}, {"card": {"domain": "general", "limits": "Adults."}}):
        job = service.jobs.submit(admin, "train", spec, dataset="cells")
        assert job.payload["card"]["domain"] == "medical"
    assert "card" not in service.jobs.submit(admin, "train", {}, dataset="iris").payload
