"""Data sheets as people read and edit them: units, descriptions and a note, with every edit in the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from superpose.errors import ConflictError, DatasetFormatError, RequestError
from superpose.service.catalogue.datasets import Datasets
from superpose.service.nouns import Clock, Dataset, Event, Page, Principal, Role
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import data_sheets, datasets, events

__all__ = ["DataSheets", "SheetEdit"]

MAX_NOTE = 10_000
MAX_DESCRIPTION = 500


@dataclass(frozen=True, kw_only=True)
class SheetEdit:
    """What is to change in a data sheet; what is not named stays.

    Attributes:
        units: unit by column; None removes one.
        descriptions: by column, what it holds, in words; None removes one.
        note: of the whole sheet; empty removes it, None leaves it.
        expected: revision that the sheet must have now; None for whatever it has.
    """

    units: Mapping[str, str | None]
    descriptions: Mapping[str, str | None]
    note: str | None = None
    expected: int | None = None


class DataSheets:
    """The data sheets of a service.

    What is counted in a sheet follows from the rows and stays. What people say about them can be edited: each edit
    makes the next revision, and what was there before stands in the data set's history and in the audit log.

    Args:
        database: where they are kept.
        datasets: whose they are.
        max_columns: columns of a table, target included.
        clock: what tells the time.
    """

    def __init__(self, database: Database, datasets: Datasets, max_columns: int, clock: Clock) -> None:
        self._database = database
        self._datasets = datasets
        self._max_columns = max_columns
        self._clock = clock

    def get(self, principal: Principal, id_or_name: str) -> dict[str, Any]:
        """The data sheet: types, units, missing values, ranges, quantiles and categories of columns; what is odd.

        ``revision`` counts from 1, the sheet as it was uploaded.

        Raises:
            NotFoundError: there is no such data set in the caller's project.
            ArtifactError: the sheet had to be made, and the data set's file is gone or has changed.
        """
        dataset = self._datasets.get(principal, id_or_name)
        return {"id": dataset.id, "name": dataset.name, **self._known(dataset)}

    def edit(self, principal: Principal, id_or_name: str, wanted: SheetEdit) -> dict[str, Any]:
        """Change units, descriptions and note; the sheet as it is then. An edit that changes nothing is no revision.

        Models trained from now on carry the units as they are then.

        Args:
            principal: the caller; an editor.
            id_or_name: the data set.
            wanted: the changes.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: there is no such data set in the caller's project.
            DatasetFormatError: no such column, or a unit that is no short printable text.
            RequestError: a description or note that is too long.
            ConflictError: the sheet's revision is not the expected one; ``details`` tell it.
        """
        principal.require(Role.EDITOR)
        dataset = self._datasets.get(principal, id_or_name)
        _check(dataset, wanted)
        self._known(dataset)  # makes it, where an older release stored the data set
        with self._database.write() as connection:
            dataset = self._datasets.found(connection, principal.project, dataset.id)
            sheet = _complete(self._stored(connection, dataset))
            if wanted.expected is not None and wanted.expected != sheet["revision"]:
                raise ConflictError(
                    f"The data sheet of {dataset.name!r} is at revision {sheet['revision']}, not {wanted.expected}. "
                    "Read it again and repeat the edit.",
                    revision=sheet["revision"],
                )
            before, after = _changes(sheet, wanted)
            if not after:
                return {"id": dataset.id, "name": dataset.name, **sheet}
            edited = _edited(sheet, wanted)
            units = {column["name"]: column["unit"] for column in edited["columns"]}
            columns = [{**column, "unit": units[column["name"]]} for column in dataset.columns]
            connection.execute(
                update(data_sheets).where(data_sheets.c.dataset_id == dataset.id).values(sheet=dict(edited))
            )
            connection.execute(update(datasets).where(datasets.c.id == dataset.id).values(columns=columns))
            append_event(
                connection,
                subject=dataset.id,
                project=principal.project,
                at=self._clock(),
                kind="sheet_edited",
                actor=principal.key_id,
                data={"name": dataset.name, "revision": edited["revision"], "before": before, "after": after},
            )
        return {"id": dataset.id, "name": dataset.name, **edited}

    def history(
        self,
        principal: Principal,
        id_or_name: str,
        part: Part = Part(),  # noqa: B008  # frozen
    ) -> Page[Event]:
        """What happened to a data set, newest first: its registration, and each edit with what was there before.

        Raises:
            NotFoundError: there is no such data set in the caller's project.
        """
        dataset = self._datasets.get(principal, id_or_name)
        with self._database.read() as connection:
            return read_page(
                connection,
                select(events).where(events.c.subject == dataset.id),
                events.c.seq,
                part,
                lambda row: Event(row["seq"], row["at"], row["kind"], {**row["data"], "by": row["actor"]}),
                newest_first=True,
            )

    def _known(self, dataset: Dataset) -> dict[str, Any]:
        with self._database.read() as connection:
            known = self._stored(connection, dataset)
        if known is not None:
            return _complete(known)
        from superpose.datasets import data_sheet  # a release before sheets stored this data set

        made = data_sheet(self._datasets.table(dataset), max_columns=self._max_columns).to_dict()
        with self._database.write() as connection:
            alive = select(datasets.c.id).where(datasets.c.id == dataset.id, datasets.c.deleted_at.is_(None))
            if self._stored(connection, dataset) is None and connection.execute(alive).first() is not None:
                connection.execute(insert(data_sheets).values(dataset_id=dataset.id, sheet=made))
        return _complete(made)

    def _stored(self, connection: Connection, dataset: Dataset) -> dict[str, Any] | None:
        found = connection.execute(select(data_sheets.c.sheet).where(data_sheets.c.dataset_id == dataset.id)).scalar()
        return None if found is None else dict(found)


def _complete(sheet: Mapping[str, Any] | None) -> dict[str, Any]:
    """A stored sheet with what an edit may add to it."""
    known = dict(sheet or {})
    columns = [{**column, "description": column.get("description")} for column in known.get("columns", [])]
    return {**known, "columns": columns, "revision": known.get("revision", 1), "note": known.get("note", "")}


def _edited(sheet: Mapping[str, Any], wanted: SheetEdit) -> dict[str, Any]:
    """The next revision of a sheet."""
    columns = [
        {
            **column,
            "unit": wanted.units.get(column["name"], column["unit"]),
            "description": wanted.descriptions.get(column["name"], column["description"]),
        }
        for column in sheet["columns"]
    ]
    note = sheet["note"] if wanted.note is None else wanted.note
    return {**sheet, "columns": columns, "note": note, "revision": sheet["revision"] + 1}


def _changes(sheet: Mapping[str, Any], wanted: SheetEdit) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was there before and what is there after, where these differ."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    known = {column["name"]: column for column in sheet["columns"]}
    for kind, field, values in (("units", "unit", wanted.units), ("descriptions", "description", wanted.descriptions)):
        changed = {name: value for name, value in values.items() if value != known[name][field]}
        if changed:
            after[kind] = changed
            before[kind] = {name: known[name][field] for name in changed}
    if wanted.note is not None and wanted.note != sheet["note"]:
        before["note"], after["note"] = sheet["note"], wanted.note
    return before, after


def _check(dataset: Dataset, wanted: SheetEdit) -> None:
    """Refuse what cannot be said of a data set."""
    from superpose.datasets import check_units

    names = [str(column["name"]) for column in dataset.columns]
    check_units(names, wanted.units)
    unknown = sorted(set(wanted.descriptions) - set(names))
    if unknown:
        raise DatasetFormatError(
            f"There is no feature column {unknown[0]!r} to describe; columns are {', '.join(map(repr, names[:10]))}"
            f"{' and others' if names[10:] else ''}.",
            columns=unknown[:20],
        )
    for name, text in wanted.descriptions.items():
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= MAX_DESCRIPTION):
            raise RequestError(
                f"The description of column {name!r} must be a text of 1 to {MAX_DESCRIPTION} characters, or null to "
                "remove it.",
                field=f"columns.{name}.description",
            )
    if wanted.note is not None and len(wanted.note) > MAX_NOTE:
        raise RequestError(f"note has {len(wanted.note):,} characters; at most {MAX_NOTE:,} are kept.", field="note")
