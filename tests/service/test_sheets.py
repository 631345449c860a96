"""Data sheets are edited after the upload: each edit is a revision, in the history, and in models made after it."""

from __future__ import annotations

from typing import Any

import pytest

from superpose.datasets import table_from_parquet_bytes
from superpose.errors import ConflictError, DatasetFormatError, ForbiddenError, NotFoundError, RequestError
from superpose.service import Dataset, Principal, Role, Service, ServiceConfig, SheetEdit

from .conftest import CSV, SMALL_SPEC, ended, working


def edit(service: Service, principal: Principal, **changes: Any) -> dict[str, Any]:
    changes.setdefault("units", {})
    changes.setdefault("descriptions", {})
    return service.data_sheets.edit(principal, "trial", SheetEdit(**changes))


def said(sheet: dict[str, Any], field: str) -> dict[str, Any]:
    return {column["name"]: column[field] for column in sheet["columns"]}


def test_an_edit_changes_what_people_say_and_nothing_that_was_counted(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    first = service.data_sheets.get(admin, "trial")
    assert (first["revision"], first["note"]) == (1, "")
    second = edit(service, admin, units={"age": "a", "dose": "mg"}, descriptions={"dose": "per day"})
    assert (second["revision"], said(second, "unit")) == (2, {"age": "a", "dose": "mg"})
    assert said(second, "description") == {"age": None, "dose": "per day"}
    third = edit(service, admin, units={"age": None}, note="From the northern clinic.", expected=2)
    assert (third["revision"], said(third, "unit")) == (3, {"age": None, "dose": "mg"})
    assert service.data_sheets.get(admin, "trial") == third
    assert edit(service, admin, units={"dose": "mg"}) == third  # nothing changes, so it is no revision
    counted = {name: value for name, value in third.items() if name not in ("columns", "revision", "note")}
    assert counted == {name: first[name] for name in counted}
    for before, after in zip(first["columns"], third["columns"], strict=True):
        assert before == {**after, "unit": None, "description": None}
    shown = service.datasets.get(admin, "trial")
    assert {column["name"]: column["unit"] for column in shown.columns} == {"age": None, "dose": "mg"}
    assert (shown.digest, shown.artifact) == (dataset.digest, dataset.artifact)
    assert [column.unit for column in service.datasets.table(shown).columns] == [None, "mg"]


def test_every_edit_stands_in_the_history_and_in_the_audit_log(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    edit(service, admin, units={"dose": "g"})
    edit(service, admin, units={"dose": "mg"}, note="corrected")
    history = service.data_sheets.history(admin, "trial").items
    assert [event.kind for event in history] == ["sheet_edited", "sheet_edited", "created"]
    assert history[0].data["before"] == {"units": {"dose": "g"}, "note": ""}
    assert history[0].data["after"] == {"units": {"dose": "mg"}, "note": "corrected"}
    assert (history[0].data["revision"], history[0].data["by"]) == (3, admin.key_id)
    entries = [entry for entry in service.audit.export(admin) if entry.action == "dataset.sheet_edited"]
    assert [entry.data["revision"] for entry in entries] == [2, 3]
    assert entries[1].subject == dataset.id


def test_what_is_refused_changes_nothing(
    service: Service, admin: Principal, stranger: Principal, dataset: Dataset
) -> None:
    edit(service, admin, units={"dose": "mg"})
    with pytest.raises(ConflictError, match="at revision 2, not 1") as late:
        edit(service, admin, units={"dose": "g"}, expected=1)
    assert late.value.details["revision"] == 2
    with pytest.raises(DatasetFormatError, match="no feature column 'weight'"):
        edit(service, admin, units={"dose": "g", "weight": "kg"})
    with pytest.raises(DatasetFormatError, match="no feature column 'outcome'"):
        edit(service, admin, descriptions={"outcome": "x"})
    for unit in ("", "x" * 1_000, "a\nb"):
        with pytest.raises(DatasetFormatError, match="printable text"):
            edit(service, admin, units={"dose": unit})
    with pytest.raises(RequestError, match="description of column 'dose'"):
        edit(service, admin, descriptions={"dose": "x" * 501})
    with pytest.raises(RequestError, match="note has"):
        edit(service, admin, note="x" * 10_001)
    with pytest.raises(NotFoundError):
        edit(service, stranger, note="mine")
    _, secret = service.keys.create(admin, role=Role.VIEWER)
    with pytest.raises(ForbiddenError):
        edit(service, service.authenticate(secret), note="mine")
    found = service.data_sheets.get(admin, "trial")
    assert (found["revision"], said(found, "unit"), found["note"]) == (2, {"age": None, "dose": "mg"}, "")


def test_models_carry_the_units_of_the_sheet_when_they_are_trained(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome")
    edit(service, admin, units={"dose": "mg"})
    with working(config):
        assert ended(service, job).status == "succeeded"
    assert service.models.version(admin, "outcome").manifest["data"]["units"] == {"dose": "mg"}


def test_edits_survive_the_same_content_and_a_restart(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    edited = edit(service, admin, units={"dose": "mg"})
    units = {"dose": "kg"}
    again = service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome", units=units)
    assert again.id == dataset.id
    assert service.data_sheets.get(admin, "trial") == edited
    _, stored = service.datasets.file(admin, "trial")
    table = table_from_parquet_bytes(b"".join(stored.chunks(0, stored.n_bytes)))
    assert [column.unit for column in table.columns] == [None, None]  # the file stays as its digest says
    service.close()
    with Service.open(config) as reopened:
        assert reopened.data_sheets.get(admin, "trial") == edited
