"""``/v1/datasets``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import media_type_of, read_body, read_model, receive_file
from superpose.api.documents import BuiltinDataset, Document, SheetEdits, body_of
from superpose.api.files import file_answer, file_answers
from superpose.errors import MediaTypeError, RequestError
from superpose.service import Incoming, Part, Role, Service, check_name

__all__ = ["FORMAT_OF", "routes"]

_PARQUET = "application/vnd.apache.parquet"

#: Media type of the body -> format of the table.
FORMAT_OF = {
    "text/csv": "csv",
    _PARQUET: "parquet",
    "application/x-parquet": "parquet",
    "application/x-npz": "npz",
    "application/zip": "images",
}


def routes(service: Service) -> APIRouter:
    """The routes of data sets."""
    router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
    config = service.config

    @router.post("", status_code=201, openapi_extra=_body())
    async def add(request: Request, asked: Annotated[_Asked, Query()]) -> Response:
        """Register a table: the body's, which goes to disk as it arrives, or one that comes with superpose."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        media_type = media_type_of(request)
        if media_type == "application/json":
            wanted = await read_model(request, BuiltinDataset, config.max_body_bytes)
            dataset = await run_in_threadpool(
                service.datasets.add_builtin, principal, wanted.name, wanted.builtin, wanted.domain
            )
        else:
            incoming = _incoming(asked, media_type, config.max_columns)
            if asked.upload is None:
                with service.datasets.arriving() as path:
                    await receive_file(request, path, config.max_dataset_bytes)
                    dataset = await run_in_threadpool(service.datasets.add_file, principal, path, incoming)
            else:
                await read_body(request, 0)
                with service.uploads.taking(principal, asked.upload) as path:
                    dataset = await run_in_threadpool(service.datasets.add_file, principal, path, incoming)
                    path.unlink()
        sheet = await run_in_threadpool(service.data_sheets.get, principal, dataset.id)
        document = {**dataset.to_json(), "warnings": [*sheet["warnings"], *_other_units(asked.units, sheet)]}
        return Json(document, 201, {"Location": f"/v1/datasets/{dataset.id}"})

    @router.get("")
    def list_datasets(request: Request, part: Annotated[Part, Depends(part_of)]) -> Response:
        """Data sets of the project."""
        return page_answer(service.datasets.list(caller(request), part))

    @router.get("/{id_or_name}")
    def get(request: Request, id_or_name: str) -> Response:
        """One data set."""
        return Json(service.datasets.get(caller(request), id_or_name).to_json())

    @router.get("/{id_or_name}/lineage")
    def lineage(request: Request, id_or_name: str) -> Response:
        """What was made from this content, as a graph."""
        return Json(service.lineages.of_dataset(caller(request), id_or_name).to_json())

    @router.get("/{id_or_name}/sheet")
    def sheet(request: Request, id_or_name: str) -> Response:
        """The data sheet: types, missing values, units, ranges, quantiles, categories, and what is odd."""
        return Json(service.data_sheets.get(caller(request), id_or_name))

    @router.patch("/{id_or_name}/sheet", openapi_extra=body_of(SheetEdits))
    async def edit_sheet(request: Request, id_or_name: str) -> Response:
        """Change units, descriptions and note; the sheet's next revision."""
        wanted = await read_model(request, SheetEdits, config.max_body_bytes)
        edited = await run_in_threadpool(service.data_sheets.edit, caller(request), id_or_name, wanted.edit())
        return Json(edited)

    @router.get("/{id_or_name}/history")
    def history(request: Request, id_or_name: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """What happened to the data set, newest first: its registration, and each edit of its sheet."""
        return page_answer(service.data_sheets.history(caller(request), id_or_name, part))

    @router.get("/{id_or_name}/file", response_class=Response, responses=file_answers(_PARQUET))
    def file(request: Request, id_or_name: str) -> Response:
        """The table as Parquet; ``Repr-Digest`` (RFC 9530) is that of the whole file, ``Range`` asks for a part."""
        dataset, stored = service.datasets.file(caller(request), id_or_name)
        return file_answer(request, stored, media_type=_PARQUET, filename=f"{dataset.name}.parquet")

    @router.delete("/{id_or_name}", status_code=204)
    def delete(request: Request, id_or_name: str) -> Response:
        """Delete a data set and its content."""
        service.datasets.delete(caller(request), id_or_name)
        return Response(status_code=204)

    return router


_IMAGES_ONLY = ("size", "mode", "patients")


class _Asked(Document):
    """What the URL says of a table in the body."""

    name: str | None = Field(None, description="name in the project")
    target: str | None = Field(None, description="column with the classes or numbers")
    target_kind: Literal["class", "number"] = Field(
        "class", description="CSV and Parquet: whether the target holds classes or numbers"
    )
    size: int | None = Field(None, description="images: width and height in pixels [28]", ge=1, le=256, strict=False)
    mode: str | None = Field(None, description="images: grey or rgb [grey]")
    patients: bool | None = Field(
        None, description="images: a column of its own numbers the patients of DICOM files [false]", strict=False
    )
    domain: Literal["general", "medical"] = Field("general", description="models trained on it are of this domain")
    upload: str | None = Field(None, description="an upload that holds the table; the body is empty then")
    units: str | None = Field(None, description='unit by column, as JSON: {"age": "a"}', max_length=50_000)


def _incoming(asked: _Asked, media_type: str, max_columns: int) -> Incoming:
    """What the body will hold."""
    if media_type not in FORMAT_OF:
        raise MediaTypeError(
            f"A data set is sent as {', '.join(FORMAT_OF)} or, for a built-in one, application/json; got "
            f"Content-Type {media_type[:80]!r}.",
            allowed=[*FORMAT_OF, "application/json"],
        )
    if not asked.name or not asked.target:
        raise RequestError(
            "A table in the body needs ?name= and ?target= in the URL.",
            errors=[{"field": field} for field in ("name", "target") if not getattr(asked, field)],
        )
    check_name(asked.name)  # before megabytes are read
    options = {name: value for name in _IMAGES_ONLY if (value := getattr(asked, name)) is not None}
    if options and FORMAT_OF[media_type] != "images":
        raise RequestError("size, mode and patients are for images (application/zip) only.", field=next(iter(options)))
    return Incoming(
        name=asked.name,
        format=FORMAT_OF[media_type],
        target=asked.target,
        units=_units(asked.units),
        options=options,
        max_columns=max_columns,
        domain=asked.domain,
        target_kind=asked.target_kind,
    )


def _units(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        units = json.loads(text)
    except (ValueError, RecursionError):
        units = None
    if not isinstance(units, dict) or not all(isinstance(unit, str) for unit in units.values()):
        raise RequestError('units must be a JSON object from column to unit, such as {"age": "a"}.', field="units")
    return units


def _other_units(asked: str | None, sheet: Mapping[str, Any]) -> list[str]:
    """What to say where the data set was there already, and its sheet has other units than those in the URL."""
    known = {column["name"]: column["unit"] for column in sheet["columns"]}
    return [
        f"Column {name!r} has the unit {known[name]!r} in the data sheet, which is kept, and not {unit!r}. The "
        "data set was registered before: edit its sheet."
        for name, unit in _units(asked).items()
        if known.get(name) != unit
    ]


def _body() -> dict[str, object]:
    tables = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMAT_OF}
    builtin = body_of(BuiltinDataset)["requestBody"]["content"]
    return {"requestBody": {"required": True, "content": {**builtin, **tables}}}
