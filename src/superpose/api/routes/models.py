"""``/v1/models``: the registry and its files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from superpose.api.answers import Json, caller, page_answer, part_of
from superpose.api.bodies import media_type_of, read_body, read_model
from superpose.api.documents import LARGEST_VERSION, AliasMove, Edits, VersionEdits, VersionName, body_of, version_of
from superpose.api.files import file_answer, file_answers
from superpose.api.validation_documents import NewValidation, Withdrawal
from superpose.errors import MediaTypeError, RequestError
from superpose.service import Part, Role, Service

__all__ = ["routes", "version_in_path"]

_ZIP = "application/zip"
_FILE = {"requestBody": {"required": True, "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}}}


def routes(service: Service) -> APIRouter:
    """The routes of models."""
    router = APIRouter(prefix="/v1/models", tags=["models"])
    _read_routes(router, service)
    _change_routes(router, service)
    return router


def _read_routes(router: APIRouter, service: Service) -> None:
    @router.get("")
    def list_models(
        request: Request,
        part: Annotated[Part, Depends(part_of)],
        query: Annotated[str | None, Query(description='such as: accuracy>0.9 tag:site=north "hand lens"')] = None,
    ) -> Response:
        """Models of the project; with a query those of which a version matches all its terms."""
        return page_answer(service.models.list(caller(request), part, query=query))

    @router.get("/{name}")
    def get(request: Request, name: str) -> Response:
        """One model with its versions."""
        return Json(service.models.get(caller(request), name).to_json())

    @router.get("/{name}/history")
    def history(request: Request, name: str, part: Annotated[Part, Depends(part_of)]) -> Response:
        """What happened to the model, newest first."""
        return page_answer(service.aliases.history(caller(request), name, part))

    @router.get("/{name}/lineage")
    def lineage(request: Request, name: str) -> Response:
        """What the model's versions come from and what uses them, as a graph."""
        return Json(service.lineages.of_model(caller(request), name).to_json())

    @router.get("/{name}/diff")
    def diff(
        request: Request,
        name: str,
        before: Annotated[str, Query(description="number or alias")],
        after: Annotated[str | None, Query(description="number or alias; by default the newest")] = None,
        other: Annotated[str | None, Query(description="the model of `after`, where it is another one")] = None,
    ) -> Response:
        """What sets one version apart from another."""
        second = None if after is None else version_in_path(after)
        return Json(service.diffs.between(caller(request), name, version_in_path(before), second, other=other))

    @router.get("/{name}/versions/{version}")
    def version(request: Request, name: str, version: VersionName) -> Response:
        """One version with its evaluation and manifest."""
        return Json(service.models.version(caller(request), name, version_in_path(version)).to_json())

    @router.get("/{name}/versions/{version}/gate")
    def gate(request: Request, name: str, version: VersionName) -> Response:
        """What the version has and lacks for a production endpoint, and what was overridden."""
        return Json(service.endpoints.gate.report(caller(request), name, version_in_path(version)))

    @router.get("/{name}/versions/{version}/file", response_class=Response, responses=file_answers(_ZIP))
    def file(request: Request, name: str, version: VersionName) -> Response:
        """The version's model file; ``Repr-Digest`` (RFC 9530) is that of the whole file, ``Range`` asks for a part."""
        found, stored = service.models.file(caller(request), name, version_in_path(version))
        filename = f"{found.model}-{found.version}.superpose"
        return file_answer(request, stored, media_type=_ZIP, filename=filename)


def _change_routes(router: APIRouter, service: Service) -> None:
    max_bytes = service.config.max_body_bytes

    @router.post("/{name}/versions", status_code=202, openapi_extra=_FILE)
    async def import_file(
        request: Request,
        name: str,
        idempotency_key: Annotated[str | None, Header(description="one job per key")] = None,
    ) -> Response:
        """Make a model file that was trained elsewhere the model's next version, by a job."""
        principal = caller(request)
        principal.require(Role.EDITOR)  # before megabytes are read
        media_type = media_type_of(request)
        if media_type != _ZIP:
            raise MediaTypeError(
                f"A model file is sent as {_ZIP}, got Content-Type {media_type[:80]!r}.", allowed=[_ZIP]
            )
        content = await read_body(request, max_bytes)
        job = await run_in_threadpool(service.imports.submit, principal, name, content, idempotency_key=idempotency_key)
        return Json(job.to_json(), 202, {"Location": f"/v1/jobs/{job.id}"})

    @router.patch("/{name}", openapi_extra=body_of(Edits))
    async def edit(request: Request, name: str) -> Response:
        """Change the model's note and tags."""
        wanted = await read_model(request, Edits, max_bytes)
        found = await run_in_threadpool(
            service.curation.edit_model, caller(request), name, note=wanted.note, tags=wanted.tags
        )
        return Json(found.to_json())

    @router.patch("/{name}/versions/{version}", openapi_extra=body_of(VersionEdits))
    async def edit_version(request: Request, name: str, version: VersionName) -> Response:
        """Change a version's note and tags, and what is stated about it."""
        wanted = await read_model(request, VersionEdits, max_bytes)
        found = await run_in_threadpool(
            service.curation.edit_version,
            caller(request),
            name,
            version_in_path(version),
            note=wanted.note,
            tags=wanted.tags,
            statements=wanted.statements,
        )
        return Json(found.to_json())

    @router.put("/{name}/versions/{version}/validations/{site}", openapi_extra=body_of(NewValidation))
    async def record_validation(request: Request, name: str, version: VersionName, site: str) -> Response:
        """Keep how the version did on rows of another site; the same again changes nothing."""
        wanted = await read_model(request, NewValidation, max_bytes)
        record = wanted.model_dump(exclude_unset=True)
        kept = await run_in_threadpool(
            service.validations.record, caller(request), name, version_in_path(version), site, record
        )
        return Json(kept)

    @router.post("/{name}/versions/{version}/validations/{site}/withdraw", openapi_extra=body_of(Withdrawal))
    async def withdraw_validation(request: Request, name: str, version: VersionName, site: str) -> Response:
        """Mark a record as one that does not count, and say why; it stays to be seen."""
        wanted = await read_model(request, Withdrawal, max_bytes)
        kept = await run_in_threadpool(
            service.validations.withdraw, caller(request), name, version_in_path(version), site, wanted.reason
        )
        return Json(kept)

    @router.put("/{name}/aliases/{alias}", openapi_extra=body_of(AliasMove))
    async def move_alias(request: Request, name: str, alias: str) -> Response:
        """Let an alias stand for a version, in one step; answers with that version."""
        wanted = await read_model(request, AliasMove, max_bytes)
        found = await run_in_threadpool(
            service.aliases.move,
            caller(request),
            name,
            alias,
            version_of(wanted.version, wanted.alias),
            expected=wanted.expected,
        )
        return Json(found.to_json())

    @router.delete("/{name}/aliases/{alias}", status_code=204)
    def remove_alias(request: Request, name: str, alias: str) -> Response:
        """Remove an alias; the version stays."""
        service.aliases.remove(caller(request), name, alias)
        return Response(status_code=204)

    @router.delete("/{name}/versions/{version}", status_code=204)
    def delete_version(request: Request, name: str, version: VersionName) -> Response:
        """Delete a version that nothing uses."""
        service.curation.delete_version(caller(request), name, version_in_path(version))
        return Response(status_code=204)

    @router.delete("/{name}", status_code=204)
    def delete(request: Request, name: str) -> Response:
        """Delete a model with all its versions, if nothing uses any of them."""
        service.curation.delete_model(caller(request), name)
        return Response(status_code=204)


def version_in_path(text: str) -> int | str | None:
    """A version named in a URL: a number, an alias, or ``latest``."""
    if not (text.isascii() and text.isdigit()):
        return None if text == "latest" else text
    number = int(text) if len(text) <= 10 else 0
    if not 1 <= number <= LARGEST_VERSION:
        raise RequestError(f"version must be 1 to {LARGEST_VERSION} or an alias, got {text[:40]!r}.", field="version")
    return number
