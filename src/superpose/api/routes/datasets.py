"""``/v1/datasets``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import media_type_of, read_body, read_model
from superpose.api.documents import BuiltinDataset, body_of
from superpose.errors import MediaTypeError, RequestError
from superpose.service import Part, Role, Service

__all__ = ["FORMAT_OF", "routes"]

#: Media type of the body -> format of the table.
FORMAT_OF = {
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/x-npz": "npz",
}


def routes(service: Service) -> APIRouter:
    """The routes of data sets."""
    router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
    max_bytes = service.config.max_body_bytes

    @router.post("", status_code=201, openapi_extra=_body())
    async def add(
        request: Request,
        name: Annotated[str | None, Query(description="name in the project, for a table in the body")] = None,
        target: Annotated[str | None, Query(description="column with the classes, for a table in the body")] = None,
    ) -> Response:
        """Register a table: the body's, or one that comes with superpose."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        media_type = media_type_of(request)
        if media_type == "application/json":
            wanted = await read_model(request, BuiltinDataset, max_bytes)
            dataset = await run_in_threadpool(service.datasets.add_builtin, principal, wanted.name, wanted.builtin)
        else:
            if media_type not in FORMAT_OF:
                raise MediaTypeError(
                    f"A data set is sent as {', '.join(FORMAT_OF)} or, for a built-in one, application/json; got "
                    f"Content-Type {media_type[:80]!r}.",
                    allowed=[*FORMAT_OF, "application/json"],
                )
            if not name or not target:
                raise RequestError(
                    "A table in the body needs ?name= and ?target= in the URL.",
                    errors=[{"field": f} for f, v in (("name", name), ("target", target)) if not v],
                )
            content = await read_body(request, max_bytes)
            dataset = await run_in_threadpool(
                service.datasets.add,
                principal,
                name=name,
                content=content,
                format=FORMAT_OF[media_type],
                target=target,
            )
        return Json(dataset.to_json(), 201, {"Location": f"/v1/datasets/{dataset.id}"})

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

    @router.delete("/{id_or_name}", status_code=204)
    def delete(request: Request, id_or_name: str) -> Response:
        """Delete a data set and its content."""
        service.datasets.delete(caller(request), id_or_name)
        return Response(status_code=204)

    return router


def _body() -> dict[str, object]:
    tables = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMAT_OF}
    builtin = body_of(BuiltinDataset)["requestBody"]["content"]
    return {"requestBody": {"required": True, "content": {**builtin, **tables}}}
